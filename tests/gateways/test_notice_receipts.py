"""Webhooks of those who take messages: who is let in, and what each event says of a message."""

from __future__ import annotations

import base64
import hmac
import time
from datetime import UTC, datetime
from hashlib import sha1
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateways.notice_ports import Receipt
from gateways.registry import build_vendors
from schema.errors import Malformed, NotFound, UnreadableEvent
from schema.settings import SettingsError
from tests.gateways.conftest import settings_for
from tests.gateways.notice_documents import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    EMAIL,
    MESSAGE_SID,
    NOTIFICATION_ID,
    PHONE,
    RECEIPTS_URL,
    SHOWN_KEY,
    mail,
    mail_signed,
    push,
    service_account,
    sms,
)
from tests.gateways.support import Vendor

URL = "https://travel.example/v1/webhooks/sendgrid"


def event(kind: str = "delivered", **changes: object) -> dict[str, Any]:
    return {
        "email": EMAIL,
        "timestamp": 1821600000,
        "event": kind,
        "sg_event_id": "rbtnWrG1DVDGGGFHFyun0A==",
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
        "notification_id": NOTIFICATION_ID,
        **changes,
    }


def mailed(body: object, **signing: Any) -> list[Receipt]:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return mail(Vendor()).read_receipts(mail_signed(raw, **signing), raw, URL)


def refused(call: Any) -> str:
    with pytest.raises(Malformed) as caught:
        call()
    return caught.value.problem_code


# --------------------------------------------------------------------------------------------------------- SendGrid


@pytest.mark.parametrize(
    ("kind", "more", "status", "reason"),
    [
        ("processed", {}, "sent", None),
        ("delivered", {"response": f"250 {EMAIL}"}, "delivered", None),
        ("open", {}, "opened", None),
        ("bounce", {"status": "5.1.1", "reason": f"550 <{EMAIL}> does not exist"}, "failed", "bounce: 5.1.1"),
        ("bounce", {"status": EMAIL, "reason": EMAIL}, "failed", "bounce"),
        ("dropped", {"reason": "Bounced Address"}, "failed", "dropped: Bounced Address"),
        ("dropped", {"reason": EMAIL}, "failed", "dropped"),
    ],
)
def test_what_an_event_says(kind: str, more: dict, status: str, reason: str | None):
    assert mailed([event(kind, **more)]) == [
        Receipt(
            event_id="rbtnWrG1DVDGGGFHFyun0A==",
            notification_id=NOTIFICATION_ID,
            provider_reference="14c5d75ce93",
            status=status,
            reason=reason,
            occurred_at=datetime.fromtimestamp(1821600000, UTC),
        )
    ]


def test_one_delivery_holds_many_events_and_what_is_none_holds_up_no_other():
    told = [
        event("processed", sg_event_id="1"),
        event("deferred", sg_event_id="2"),
        event("click", sg_event_id="3"),
        event("something_new", sg_event_id="4"),
        event("delivered", sg_event_id="5", notification_id=None, sg_message_id=None),
        event(sg_event_id=None),
        event(timestamp="soon"),
        {},
    ]
    receipts = mailed(told)
    assert [(receipt.event_id, receipt.notification_id) for receipt in receipts] == [
        ("1", NOTIFICATION_ID),
        ("5", None),
    ]
    assert mailed([]) == []


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[1]", b'"x"'])
def test_what_is_signed_and_no_event(body: bytes):
    with pytest.raises(UnreadableEvent):
        mailed(body)


@pytest.mark.parametrize(
    "signing",
    [{"key": ec.generate_private_key(ec.SECP256R1())}, {"age_s": 310}, {"age_s": -310}],
    ids=["by somebody else", "too old", "of the future"],
)
def test_mail_events_that_are_not_sendgrids_or_not_of_now(signing: dict):
    assert refused(lambda: mailed([event()], **signing)) == "invalid_signature"


def test_mail_events_are_good_for_some_minutes():
    assert mailed([event()], age_s=290) == mailed([event()], age_s=-290) == mailed([event()])


@pytest.mark.parametrize(
    "changes",
    [
        {"X-Twilio-Email-Event-Webhook-Signature": ""},
        {"X-Twilio-Email-Event-Webhook-Signature": "schön"},
        {"X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(b"signature").decode()},
        {"X-Twilio-Email-Event-Webhook-Timestamp": ""},
        {"X-Twilio-Email-Event-Webhook-Timestamp": str(int(time.time()) - 1)},
        {"X-Twilio-Email-Event-Webhook-Timestamp": "\u0663"},
    ],
    ids=["none", "not ASCII", "of nothing", "no time", "another time", "a time in other digits"],
)
def test_mail_events_whose_signature_is_none(changes: dict):
    body = orjson.dumps([event()])
    headers = mail_signed(body) | changes
    assert refused(lambda: mail(Vendor()).read_receipts(headers, body, URL)) == "invalid_signature"


def test_mail_events_that_were_altered_on_the_way():
    headers = mail_signed(orjson.dumps([event("processed")]))
    body = orjson.dumps([event("delivered")])
    assert refused(lambda: mail(Vendor()).read_receipts(headers, body, URL)) == "invalid_signature"


def test_a_time_that_is_signed_and_none():
    body = b"[]"
    signature = mail_signed(body)
    key_signed = {**signature, "X-Twilio-Email-Event-Webhook-Timestamp": "1e9"}
    assert refused(lambda: mail(Vendor()).read_receipts(key_signed, body, URL)) == "invalid_signature"


def test_without_a_key_no_mail_events_are_taken():
    body = orjson.dumps([event()])
    with pytest.raises(NotFound):
        mail(Vendor(), key=None).read_receipts(mail_signed(body), body, URL)


def test_push_has_no_receipts():
    with pytest.raises(NotFound):
        push(Vendor()).read_receipts({}, b"{}", URL)


# ----------------------------------------------------------------------------------------------------------- Twilio


def callback(status: str = "delivered", **changes: str) -> dict[str, str]:
    return {
        "MessageSid": MESSAGE_SID,
        "MessageStatus": status,
        "SmsSid": MESSAGE_SID,
        "AccountSid": ACCOUNT_SID,
        "To": PHONE,
        "From": "+15005550006",
        "ApiVersion": "2010-04-01",
        **changes,
    }


def sms_signed(parameters: dict[str, str], url: str = RECEIPTS_URL, token: str = AUTH_TOKEN) -> dict[str, str]:
    """As Twilio's security page describes it."""
    text = url + "".join(f"{name}{parameters[name]}" for name in sorted(parameters))
    return {"X-Twilio-Signature": base64.b64encode(hmac.new(token.encode(), text.encode(), sha1).digest()).decode()}


def texted(parameters: dict[str, str], url: str = RECEIPTS_URL, headers: dict[str, str] | None = None) -> list[Receipt]:
    signed = sms_signed(parameters, url) if headers is None else headers
    return sms(Vendor()).read_receipts(signed, urlencode(parameters).encode(), url)


def test_the_signature_of_twilios_own_example():
    """From the tests of Twilio's library."""
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    parameters = {"CallSid": "CA1234567890ABCDE", "Digits": "1234", "From": "+14158675309", "To": "+18005551212"}
    parameters["Caller"] = "+14158675309"
    assert sms_signed(parameters, url, "12345") == {"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}


@pytest.mark.parametrize(
    ("status", "error", "told", "reason"),
    [
        ("sent", "", "sent", None),
        ("delivered", "", "delivered", None),
        ("undelivered", "30003", "failed", "code 30003"),
        ("failed", PHONE, "failed", None),
        ("read", "", "opened", None),
    ],
)
def test_what_a_callback_says(status: str, error: str, told: str, reason: str | None):
    before = datetime.now(UTC)
    (receipt,) = texted(callback(status, ErrorCode=error))
    assert receipt == Receipt(
        event_id=f"{MESSAGE_SID}:{status}",
        notification_id=NOTIFICATION_ID,
        provider_reference=MESSAGE_SID,
        status=told,
        reason=reason,
        occurred_at=receipt.occurred_at,
    )
    assert before <= receipt.occurred_at <= datetime.now(UTC)


@pytest.mark.parametrize("status", ["accepted", "queued", "sending", "scheduled", "something_new"])
def test_what_comes_before_it_is_sent_says_nothing(status: str):
    assert texted(callback(status)) == []


def test_a_replayed_callback_is_the_same_event():
    assert texted(callback())[0].event_id == texted(callback())[0].event_id


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Twilio-Signature": ""},
        {"X-Twilio-Signature": "schön"},
        sms_signed(callback(), token="another"),
        sms_signed(callback(), url=RECEIPTS_URL.replace("ntf_1", "ntf_2")),
        sms_signed(callback(), url=RECEIPTS_URL.replace("https", "http")),
        sms_signed(callback("failed")),
    ],
)
def test_a_callback_that_is_not_twilios(headers: dict[str, str]):
    assert refused(lambda: texted(callback(), headers=headers)) == "invalid_signature"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a=%ff", b"&".join([b"a=1"] * 200)])
def test_a_body_that_is_no_form_is_nobodys(body: bytes):
    gateway = sms(Vendor())
    headers = sms_signed({"a": "1"})
    assert refused(lambda: gateway.read_receipts(headers, body, RECEIPTS_URL)) == "invalid_signature"


@pytest.mark.parametrize("parameters", [{}, {"MessageSid": MESSAGE_SID}, {"MessageStatus": "sent", "MessageSid": ""}])
def test_a_callback_that_is_signed_and_none(parameters: dict[str, str]):
    with pytest.raises(UnreadableEvent):
        texted(parameters)


def test_a_callback_to_an_address_without_our_id():
    url = RECEIPTS_URL.partition("?")[0]
    (receipt,) = texted(callback(), url)
    assert (receipt.notification_id, receipt.provider_reference) == (None, MESSAGE_SID)


# --------------------------------------------------------------------------------------------------------- settings

WHOLE = {
    "sendgrid_api_key": "SG.key",
    "twilio_account_sid": ACCOUNT_SID,
    "twilio_auth_token": AUTH_TOKEN,
    "twilio_from": "+15005550006",
    "fcm_project_id": "travel",
}


async def test_who_sends_what():
    told = {**WHOLE, "fcm_service_account": orjson.dumps(service_account()).decode()}
    vendors = build_vendors(settings_for("http://127.0.0.1:9", **told))
    senders = {channel: vendors.notice_sender(channel) for channel in ("email", "sms", "push", "live")}
    found = {channel: (sender.code, sender.channel) for channel, sender in senders.items() if sender is not None}
    assert found == {"email": ("sendgrid", "email"), "sms": ("twilio", "sms"), "push": ("fcm", "push")}
    await vendors.aclose()


@pytest.mark.parametrize("missing", WHOLE)
async def test_a_channel_without_its_credentials_is_not_used(missing: str):
    told = {**WHOLE, "fcm_service_account": orjson.dumps(service_account()).decode(), missing: ""}
    vendors = build_vendors(settings_for("http://127.0.0.1:9", **told))
    channel = {"send": "email", "twil": "sms", "fcm_": "push"}[missing[:4]]
    assert [one for one in ("email", "sms", "push") if vendors.notice_sender(one) is None] == [channel]
    await vendors.aclose()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"sendgrid_api_key": "SG", "sendgrid_webhook_public_key": "nonsense"},
            "TRAVELHUB_SENDGRID_WEBHOOK_PUBLIC_KEY",
        ),
        ({"sendgrid_api_key": "SG", "sendgrid_webhook_public_key": SHOWN_KEY[:-8]}, "SENDGRID_WEBHOOK_PUBLIC_KEY"),
        ({"fcm_project_id": "travel", "fcm_service_account": "{"}, "TRAVELHUB_FCM_SERVICE_ACCOUNT"),
        ({"fcm_project_id": "travel", "fcm_service_account": '{"private_key": "x"}'}, "FCM_SERVICE_ACCOUNT"),
        (
            {"fcm_project_id": "t", "fcm_service_account": '{"private_key": "secret", "client_email": "x"}'},
            "FCM_SERVICE_ACCOUNT",
        ),
    ],
)
def test_a_key_that_is_none_is_told_at_start(changes: dict, named: str):
    with pytest.raises(SettingsError, match=named) as caught:
        build_vendors(settings_for("http://127.0.0.1:9", **changes))
    assert "secret" not in str(caught.value)
