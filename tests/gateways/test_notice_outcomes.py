"""What becomes of a message that a vendor was handed: each ending of `send`, and what `find` finds of a lost one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from google.auth import jwt

from gateways.notice_ports import Notice, NoticeSender
from schema.errors import REFUSALS, RateLimited, VendorUnavailable
from schema.outcomes import Confirmed, Rejected
from tests.gateways.notice_documents import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    DEVICE,
    EMAIL,
    MESSAGE_SID,
    MESSAGES,
    NOTIFICATION_ID,
    PHONE,
    PUSHED,
    RECEIPTS_URL,
    SEND_PUSH,
    TOKEN_URL,
    behind_google,
    body_of,
    form_of,
    google_token,
    mail,
    mail_error,
    mail_taken,
    message,
    notice,
    push,
    push_error,
    pushed,
    service_account,
    sms,
    sms_error,
    sms_page,
    sms_taken,
)
from tests.gateways.support import LOST, NOT_CONNECTED, Answer, Vendor, ending

MADE_AT = datetime(2028, 8, 24, 5, 1, 45, tzinfo=UTC)
HTML = httpx.Response(503, text="<html>")
WHO: dict[str, tuple[Callable[[Vendor], NoticeSender], str, Callable[..., Vendor]]] = {
    "email": (mail, EMAIL, Vendor),
    "sms": (sms, PHONE, Vendor),
    "push": (push, DEVICE, behind_google),
}


async def sent(channel: str, answer: Answer, **changes: object) -> str:
    sender, to, vendor = WHO[channel]
    return await ending(sender(vendor(answer)).send(notice(to, **changes)))


def private(text: str) -> list[str]:
    return [word for word in (EMAIL, PHONE, DEVICE, AUTH_TOKEN, "11:30", "token=x") if word in text]


@pytest.mark.parametrize("channel", WHO)
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (LOST, "unknown"),
        (httpx.ReadTimeout("late"), "unknown"),
        (NOT_CONNECTED, "VendorUnavailable"),
        (httpx.Response(500), "unknown"),
        (httpx.Response(502), "unknown"),
        (HTML, "unknown"),
        (httpx.Response(504, text="<html>"), "unknown"),
        (httpx.Response(408), "unknown"),
        (httpx.Response(302), "unknown"),
        (httpx.Response(429), "RateLimited"),
        (httpx.Response(413), "vendor_rejected"),
        (httpx.Response(400, json=[]), "vendor_rejected"),
        (httpx.Response(400, json={"errors": 1, "error": {"details": 1}}), "vendor_rejected"),
    ],
    ids=str,
)
async def test_what_every_vendor_may_do(channel: str, answer: Answer, expected: str):
    assert await sent(channel, answer) == expected


@pytest.mark.parametrize("channel", WHO)
async def test_nobody_is_told_who_was_written_to(channel: str, capfd: pytest.CaptureFixture[str]):
    answers = [mail_error(400, "subject"), sms_error(400, 21211), push_error(404, "UNREGISTERED")]
    told: list[str] = []
    sender, to, vendor = WHO[channel]
    for answer in [*answers, httpx.Response(500), httpx.Response(403, text=to), LOST, NOT_CONNECTED]:
        try:
            told.append(repr(await sender(vendor(answer)).send(notice(to))))
        except VendorUnavailable as error:
            told.append(error.message)
    out, err = capfd.readouterr()
    assert len(told) == 7
    assert private(f"{told}{out}{err}") == []


async def test_the_refusals_are_documented():
    assert {"address_unusable", "device_gone", "opted_out"} <= set(REFUSALS)


# ---------------------------------------------------------------------------------------------------------- e-mail

MAIL_ENDINGS = [
    (mail_error(400, "personalizations.0.to.0.email"), "address_unusable"),
    (mail_error(400, "personalizations.0.custom_args"), "vendor_rejected"),
    (mail_error(400), "vendor_rejected"),
    (mail_error(401), "CredentialsRefused"),
    (mail_error(403, "from"), "CredentialsRefused"),
    (mail_error(404), "vendor_rejected"),
    (httpx.Response(200, json={}), "unknown"),
]


@pytest.mark.parametrize(("answer", "expected"), MAIL_ENDINGS)
async def test_mail(answer: Answer, expected: str):
    assert await sent("email", answer) == expected


@pytest.mark.parametrize(
    ("answer", "reference"), [(mail_taken(**{"X-Message-Id": "14c5d75ce93"}), "14c5d75ce93"), (mail_taken(), "ntf_1")]
)
async def test_mail_that_was_taken(answer: httpx.Response, reference: str):
    vendor = Vendor(answer)
    assert await mail(vendor).send(notice(EMAIL)) == Confirmed(provider_reference=reference)
    assert vendor.asked() == ["POST /v3/mail/send"]
    assert vendor.requests[0].headers["authorization"] == "Bearer SG.key"
    assert body_of(vendor.requests[0]) == {
        "personalizations": [{"to": [{"email": EMAIL}], "custom_args": {"notification_id": NOTIFICATION_ID}}],
        "from": {"email": "trips@travelhub.example", "name": "TravelHub"},
        "subject": notice(EMAIL).subject,
        "content": [
            {"type": "text/plain", "value": notice(EMAIL).text},
            {"type": "text/html", "value": notice(EMAIL).html},
        ],
        "tracking_settings": {"click_tracking": {"enable": False, "enable_text": False}},
    }


@pytest.mark.parametrize("channel", ["email", "push"])
async def test_what_cannot_be_looked_up(channel: str):
    sender, to, _ = WHO[channel]
    assert await sender(Vendor()).find(notice(to), MADE_AT) is None


# -------------------------------------------------------------------------------------------------------------- SMS

SMS_ENDINGS = [
    (sms_taken(), "confirmed"),
    (httpx.Response(201, text="<html>"), "unknown"),
    (httpx.Response(201, json={}), "unknown"),
    (sms_error(400, 21211), "address_unusable"),
    (sms_error(400, 21614), "address_unusable"),
    (sms_error(400, 21610), "opted_out"),
    (sms_error(400, 21606), "vendor_rejected"),
    (sms_error(401, 20003), "CredentialsRefused"),
    (sms_error(403, 20005), "CredentialsRefused"),
    (sms_error(503, 20503), "unknown"),
]


@pytest.mark.parametrize(("answer", "expected"), SMS_ENDINGS)
async def test_sms(answer: Answer, expected: str):
    assert await sent("sms", answer) == expected


@pytest.mark.parametrize("status", [429, 400])
async def test_too_many_sms_say_when_to_come_back(status: int):
    with pytest.raises(RateLimited) as caught:
        await sms(Vendor(sms_error(status, 20429, **{"Retry-After": "7"}))).send(notice(PHONE))
    assert caught.value.retry_after_s == 7


async def test_an_sms_says_where_its_status_is_to_be_told():
    vendor = Vendor(sms_taken())
    assert await sms(vendor).send(notice(PHONE)) == Confirmed(provider_reference=MESSAGE_SID)
    (request,) = vendor.requests
    assert (request.method, request.url.path) == ("POST", MESSAGES)
    basic = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
    assert request.headers["authorization"] == f"Basic {basic}"
    assert form_of(request) == {
        "To": PHONE,
        "From": "+15005550006",
        "Body": notice(PHONE).text,
        "StatusCallback": RECEIPTS_URL,
    }


OTHER_TEXT = message(sid="SM" + "cd" * 16, body="LH400 now leaves at 12:00.")
BEFORE = message(sid="SM" + "ef" * 16, date_created="Thu, 24 Aug 2028 04:00:00 +0000")
NEXT = f"https://somebody.example{MESSAGES}?To=%2B442080160509&PageSize=100&Page=1&PageToken=PASM1"


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        ([sms_page(OTHER_TEXT, message())], MESSAGE_SID),
        ([sms_page(message(date_sent=None, status="queued"))], MESSAGE_SID),
        ([sms_page(OTHER_TEXT, following=NEXT), sms_page(message())], MESSAGE_SID),
        ([sms_page(BEFORE, OTHER_TEXT)], None),
        ([sms_page()], None),
    ],
    ids=["there", "queued", "on the next page", "only an older one", "none"],
)
async def test_a_lost_sms_is_found_by_its_number_and_text(pages: list[httpx.Response], found: str | None):
    vendor = Vendor(*pages)
    outcome = await sms(vendor).find(notice(PHONE), MADE_AT + timedelta(seconds=2))
    if found:
        assert outcome == Confirmed(provider_reference=found)
    else:
        assert isinstance(outcome, Rejected)
        assert outcome.code == "not_found"
        assert private(outcome.message) == []
    assert vendor.requests[0].url.params["To"] == PHONE
    for request in vendor.requests:
        assert (request.url.host, request.url.path) == ("api.twilio.com", MESSAGES)
    if len(pages) > 1:
        assert vendor.requests[1].url.params["PageToken"] == "PASM1"


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (LOST, "LostAnswer"),
        (NOT_CONNECTED, "VendorUnavailable"),
        (httpx.Response(503), "VendorUnavailable"),
        (sms_error(429, 20429), "RateLimited"),
        (sms_error(401, 20003), "CredentialsRefused"),
        (sms_error(400, 20001), "VendorContractBroken"),
        (httpx.Response(200, text="<html>"), "VendorContractBroken"),
        (sms_page(message(date_created="yesterday")), "VendorContractBroken"),
    ],
)
async def test_a_look_up_that_fails_finds_nothing_out(answer: Answer, raised: str):
    assert await ending(sms(Vendor(answer)).find(notice(PHONE), MADE_AT)) == raised


async def test_a_list_without_an_end_is_left():
    vendor = Vendor(*[sms_page(OTHER_TEXT, following=NEXT)] * 21)
    assert await ending(sms(vendor).find(notice(PHONE), MADE_AT)) == "VendorContractBroken"
    assert len(vendor.requests) == 20


# ------------------------------------------------------------------------------------------------------------- push

PUSH_ENDINGS = [
    (pushed(), "confirmed"),
    (httpx.Response(200, json={}), "unknown"),
    (push_error(404, "UNREGISTERED"), "device_gone"),
    (httpx.Response(404, json={"error": {"status": "NOT_FOUND"}}), "vendor_rejected"),
    (push_error(400, "INVALID_ARGUMENT", field="message.token"), "address_unusable"),
    (push_error(400, "INVALID_ARGUMENT", field="message.data"), "vendor_rejected"),
    (push_error(400, "INVALID_ARGUMENT"), "vendor_rejected"),
    (push_error(403, "SENDER_ID_MISMATCH"), "vendor_rejected"),
    (httpx.Response(403, json={"error": {"status": "PERMISSION_DENIED"}}), "CredentialsRefused"),
    (push_error(401, "THIRD_PARTY_AUTH_ERROR"), "CredentialsRefused"),
    (push_error(500, "INTERNAL"), "unknown"),
    (httpx.Response(503, json={"error": {"status": "INTERNAL"}}), "unknown"),
    (httpx.Response(503, json={"error": {"status": "UNAVAILABLE"}}), "VendorUnavailable"),
]


@pytest.mark.parametrize(("answer", "expected"), PUSH_ENDINGS)
async def test_push(answer: Answer, expected: str):
    assert await sent("push", answer) == expected


@pytest.mark.parametrize(("status", "code"), [(503, "UNAVAILABLE"), (429, "QUOTA_EXCEEDED")])
async def test_a_busy_fcm_says_when_to_come_back(status: int, code: str):
    with pytest.raises(VendorUnavailable) as caught:
        await push(behind_google(push_error(status, code, **{"Retry-After": "9"}))).send(notice(DEVICE))
    assert caught.value.retry_after_s == 9


async def test_a_push_and_what_takes_its_place():
    vendor = behind_google(pushed(), pushed(), pushed())
    sender = push(vendor)
    assert await sender.send(notice(DEVICE)) == Confirmed(provider_reference=PUSHED)
    await sender.send(notice(DEVICE, notification_id="ntf_2", urgent=True))
    await sender.send(notice(DEVICE, collapse_key=None, link=None, subject=""))
    assert vendor.asked() == ["POST /token", *[f"POST {SEND_PUSH}"] * 3]
    first, second, third = (body_of(request)["message"] for request in vendor.requests[1:])
    assert first["token"] == DEVICE
    assert first["notification"] == {"title": notice(DEVICE).subject, "body": notice(DEVICE).text}
    assert first["data"] == {"notification_id": NOTIFICATION_ID, "link": notice(DEVICE).link}
    keys = [
        {
            told["android"]["collapseKey"],
            told["android"]["notification"]["tag"],
            told["apns"]["headers"]["apns-collapse-id"],
            told["webpush"]["headers"]["Topic"],
            told["webpush"]["notification"]["tag"],
        }
        for told in (first, second, third)
    ]
    assert keys[0] == keys[1] != keys[2]
    assert [len(key) for key in keys] == [1, 1, 1]
    assert (first["android"]["priority"], second["android"]["priority"]) == ("NORMAL", "HIGH")
    assert third["notification"] == {"body": notice(DEVICE).text}
    assert "link" not in third["data"]
    assert "fcmOptions" not in third["webpush"]


async def test_the_service_account_asks_for_one_token():
    vendor = behind_google(pushed(), pushed())
    sender = push(vendor)
    for _ in range(2):
        await sender.send(notice(DEVICE))
    assert [str(request.url) for request in vendor.requests].count(TOKEN_URL) == 1
    asked = form_of(vendor.requests[0])
    assert asked["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = jwt.decode(asked["assertion"], certs={"key-1": service_account()["public"]}, audience=TOKEN_URL)
    assert claims["iss"] == service_account()["client_email"]
    assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
    assert claims["exp"] - claims["iat"] == 3600
    assert vendor.requests[2].headers["authorization"] == "Bearer first"


async def test_a_token_that_google_refuses_is_renewed_once():
    refused = httpx.Response(401, json={"error": {"status": "UNAUTHENTICATED"}})
    vendor = behind_google(refused, google_token("second"), pushed())
    assert await ending(push(vendor).send(notice(DEVICE))) == "confirmed"
    assert vendor.requests[3].headers["authorization"] == "Bearer second"
    again = behind_google(refused, google_token("second"), refused)
    assert await ending(push(again).send(notice(DEVICE))) == "CredentialsRefused"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx.Response(400, json={"error": "invalid_grant"}), "CredentialsRefused"),
        (httpx.Response(401), "CredentialsRefused"),
        (httpx.Response(500), "VendorUnavailable"),
        (httpx.Response(200, text="<html>"), "VendorUnavailable"),
        (LOST, "VendorUnavailable"),
        (NOT_CONNECTED, "VendorUnavailable"),
    ],
)
async def test_without_a_token_nothing_was_sent(answer: Answer, expected: str):
    vendor = Vendor(answer)
    assert await ending(push(vendor).send(notice(DEVICE))) == expected
    assert vendor.asked() == ["POST /token"]


# ---------------------------------------------------------------------------------------------------------- in a hurry


class Queue:
    """A quota that writes down who asked for how much of it."""

    def __init__(self) -> None:
        self.priorities: list[str] = []

    async def admit(self, vendor: str, priority: str, wait_at_most_s: float) -> None:
        self.priorities.append(priority)
        assert wait_at_most_s <= 20

    async def record(self, vendor: str, ended: str) -> None:
        """Nobody asks."""


@pytest.mark.parametrize(("channel", "answer"), [("email", mail_taken()), ("sms", sms_taken()), ("push", pushed())])
async def test_what_is_urgent_may_use_the_last_of_the_quota(channel: str, answer: Answer, monkeypatch):
    sender, to, vendor = WHO[channel]
    queue = Queue()
    scripted = vendor(answer, answer)
    gateway = sender(scripted)
    monkeypatch.setattr(gateway._http, "traffic", queue)  # the one way to a quota without a store
    told: list[Notice] = [notice(to), notice(to, urgent=True)]
    for one in told:
        await gateway.send(one)
    assert queue.priorities[-2:] == ["search", "booking"]
