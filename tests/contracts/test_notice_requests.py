"""Every request of those who take messages is one that their contracts allow.

The judges are those that judge the sandbox's answers too.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.contracts import fcm_spec, notice_specs
from tests.contracts.notice_specs import SENDGRID, TWILIO
from tests.gateways.notice_documents import (
    DEVICE,
    EMAIL,
    PHONE,
    behind_google,
    mail,
    mail_taken,
    notice,
    push,
    pushed,
    sms,
    sms_page,
    sms_taken,
)
from tests.gateways.support import Vendor
from tests.gateways.test_notice_outcomes import NEXT

pytestmark = pytest.mark.contract

SHORT = {"subject": "", "html": None, "link": None, "collapse_key": None}


@pytest.mark.parametrize("changes", [{}, SHORT, {"urgent": True}], ids=str)
async def test_mail(changes: dict[str, Any]):
    notice_specs.require(SENDGRID)
    vendor = Vendor(mail_taken())
    await mail(vendor).send(notice(EMAIL, **changes))
    notice_specs.check_request(SENDGRID, vendor.requests[0], "/v3/mail/send")


@pytest.mark.parametrize("changes", [{}, SHORT], ids=str)
async def test_sms(changes: dict[str, Any]):
    notice_specs.require(TWILIO)
    vendor = Vendor(sms_taken())
    await sms(vendor).send(notice(PHONE, **changes))
    notice_specs.check_request(TWILIO, vendor.requests[0], vendor.requests[0].url.path)


async def test_the_look_up_of_an_sms():
    notice_specs.require(TWILIO)
    vendor = Vendor(sms_page(following=NEXT), sms_page())
    await sms(vendor).find(notice(PHONE), datetime.now(UTC))
    assert len(vendor.requests) == 2
    for request in vendor.requests:
        notice_specs.check_request(TWILIO, request, request.url.path)


@pytest.mark.parametrize("changes", [{}, SHORT, {"urgent": True}], ids=str)
async def test_push(changes: dict[str, Any]):
    fcm_spec.require()
    vendor = behind_google(pushed())
    await push(vendor).send(notice(DEVICE, **changes))
    fcm_spec.check_request(vendor.requests[1], vendor.requests[1].url.path)


# ------------------------------------------------------------------------------------------- the judges see what is wrong


async def test_the_judge_of_mail_sees_a_missing_recipient():
    notice_specs.require(SENDGRID)
    vendor = Vendor(mail_taken())
    await mail(vendor).send(notice(EMAIL))
    with pytest.raises(AssertionError, match="'to' is a required property"):
        notice_specs.check_request(SENDGRID, _altered(vendor.requests[0], personalizations=[{}]), "/v3/mail/send")


async def test_the_judge_of_sms_sees_a_bad_account():
    notice_specs.require(TWILIO)
    vendor = Vendor(sms_taken())
    await sms(vendor).send(notice(PHONE))
    with pytest.raises(AssertionError):
        notice_specs.check_request(TWILIO, vendor.requests[0], "/2010-04-01/Accounts/AC1/Messages.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"message": {"tokem": "x"}},
        {"message": {"data": {"number": 1}}},
        {"message": {"android": {"priority": "URGENT"}}},
        {"message": {"android": {"notification": {"colour": "red"}}}},
        {"validate": True},
    ],
    ids=str,
)
async def test_the_judge_of_push_sees_what_is_wrong(changes: dict[str, Any]):
    fcm_spec.require()
    vendor = behind_google(pushed())
    await push(vendor).send(notice(DEVICE))
    altered = _altered(vendor.requests[1], **changes)
    with pytest.raises(AssertionError, match="not a SendMessageRequest"):
        fcm_spec.check_request(altered, altered.url.path)


def _altered(request: httpx.Request, **changes: Any) -> httpx.Request:
    headers = {name: value for name, value in request.headers.items() if name != "content-length"}
    content = json.dumps({**json.loads(request.content), **changes}).encode()
    return httpx.Request(request.method, request.url, headers=headers, content=content)
