"""Every request of those who take messages is one that their contracts allow.

SendGrid and Twilio publish OpenAPI, which openapi-core judges; FCM a discovery document, whose schemas are judged here.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

import httpx
import pytest

from tests.contracts import spec
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

SENDGRID, SENDGRID_HOST = "sendgrid/tsg_mail_v3.json", "https://api.sendgrid.com"
TWILIO, TWILIO_HOST = "twilio/twilio_api_v2010-messages.json", "https://api.twilio.com"
FCM = "fcm/fcm.v1.discovery.json"
SHORT = {"subject": "", "html": None, "link": None, "collapse_key": None}


@pytest.mark.parametrize("changes", [{}, SHORT, {"urgent": True}], ids=str)
async def test_mail(changes: dict[str, Any]):
    judge = spec.require(SENDGRID)
    vendor = Vendor(mail_taken())
    await mail(vendor).send(notice(EMAIL, **changes))
    judge.check_request(vendor.requests[0], "/v3/mail/send", SENDGRID_HOST)


@pytest.mark.parametrize("changes", [{}, SHORT], ids=str)
async def test_sms(changes: dict[str, Any]):
    judge = spec.require(TWILIO)
    vendor = Vendor(sms_taken())
    await sms(vendor).send(notice(PHONE, **changes))
    judge.check_request(vendor.requests[0], vendor.requests[0].url.path, TWILIO_HOST)


async def test_the_look_up_of_an_sms():
    judge = spec.require(TWILIO)
    vendor = Vendor(sms_page(following=NEXT), sms_page())
    await sms(vendor).find(notice(PHONE), datetime.now(UTC))
    assert len(vendor.requests) == 2
    for request in vendor.requests:
        judge.check_request(request, request.url.path, TWILIO_HOST)


@pytest.mark.parametrize("changes", [{}, SHORT, {"urgent": True}], ids=str)
async def test_push(changes: dict[str, Any]):
    spec.available(FCM) or pytest.skip(f"no {FCM}: set VENDOR_SPECS")
    vendor = behind_google(pushed())
    await push(vendor).send(notice(DEVICE, **changes))
    _judge_push(vendor.requests[1])


# ------------------------------------------------------------------------------------------- the judges see what is wrong


async def test_the_judge_of_mail_sees_a_missing_recipient():
    judge = spec.require(SENDGRID)
    vendor = Vendor(mail_taken())
    await mail(vendor).send(notice(EMAIL))
    with pytest.raises(AssertionError, match="'to' is a required property"):
        judge.check_request(_altered(vendor.requests[0], personalizations=[{}]), "/v3/mail/send", SENDGRID_HOST)


async def test_the_judge_of_sms_sees_a_bad_account():
    judge = spec.require(TWILIO)
    vendor = Vendor(sms_taken())
    await sms(vendor).send(notice(PHONE))
    with pytest.raises(AssertionError):
        judge.check_request(vendor.requests[0], "/2010-04-01/Accounts/AC1/Messages.json", TWILIO_HOST)


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
    spec.available(FCM) or pytest.skip(f"no {FCM}: set VENDOR_SPECS")
    vendor = behind_google(pushed())
    await push(vendor).send(notice(DEVICE))
    with pytest.raises(AssertionError):
        _judge_push(_altered(vendor.requests[1], **changes))


def _altered(request: httpx.Request, **changes: Any) -> httpx.Request:
    headers = {name: value for name, value in request.headers.items() if name != "content-length"}
    content = json.dumps({**json.loads(request.content), **changes}).encode()
    return httpx.Request(request.method, request.url, headers=headers, content=content)


@cache
def _discovery() -> dict[str, Any]:
    return json.loads((spec.directory() / FCM).read_bytes())


def _judge_push(request: httpx.Request) -> None:
    """Path, and every field of the body by the schemas; one they do not know is a violation."""
    document = _discovery()
    method = document["resources"]["projects"]["resources"]["messages"]["methods"]["send"]
    assert request.method == method["httpMethod"]
    assert request.url.path == "/" + method["flatPath"].replace("{projectsId}", "travel")
    _check(json.loads(request.content), document["schemas"][method["request"]["$ref"]], "request")


def _check(value: Any, schema: dict[str, Any], what: str) -> None:
    if "$ref" in schema:
        schema = _discovery()["schemas"][schema["$ref"]]
    kinds = {"object": dict, "string": str, "boolean": bool, "integer": int, "array": list, "any": object}
    assert isinstance(value, kinds[schema["type"]]), f"{what} is no {schema['type']}"
    assert "enum" not in schema or value in schema["enum"], f"{what} is none of {schema['enum']}"
    assert not schema.get("readOnly"), f"{what} is Google's to write"
    if schema["type"] == "object":
        for name, nested in value.items():
            known = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            assert known, f"the contract knows no {what}.{name}"
            _check(nested, known, f"{what}.{name}")
