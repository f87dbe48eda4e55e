"""Twilio's messages and callbacks, as the contract and its documentation want them."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from urllib.parse import parse_qsl

import httpx
import pytest

from tests.contracts import notice_specs
from tests.sandbox.conftest import DEADLINE_S, TLS, RunningSandbox, eventually
from tests.sandbox.receiver import Receiver, receiving

_ACCOUNT = "AC" + "0" * 31 + "1"
_TOKEN = "a-token"
_LIST = f"/2010-04-01/Accounts/{_ACCOUNT}/Messages.json"
_TO, _FROM = "+447700900123", "+15005550006"


def _check(response: httpx.Response) -> None:
    response.read()
    path = response.request.url.path.removeprefix("/twilio")
    if not notice_specs.available(notice_specs.TWILIO):
        return
    notice_specs.check_response(notice_specs.TWILIO, response, path)
    if response.is_success:
        notice_specs.check_request(notice_specs.TWILIO, response.request, path)


@pytest.fixture
def api(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    hooks = {"response": [_check]}
    with httpx.Client(
        verify=TLS, base_url=f"{sandbox.url}/twilio", auth=(_ACCOUNT, _TOKEN), timeout=DEADLINE_S, event_hooks=hooks
    ) as http:
        yield http


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


def form(**changes: str | None) -> dict:
    asked = {"To": _TO, "From": _FROM, "Body": "Your flight is late.", **changes}
    return {name: value for name, value in asked.items() if value is not None}


def send(api: httpx.Client, **changes: str | None) -> dict:
    answer = api.post(_LIST, data=form(**changes))
    assert answer.status_code == 201, answer.text
    return answer.json()


def told(receiver: Receiver) -> list[dict]:
    return [dict(parse_qsl(delivery.body.decode())) for delivery in receiver.got]


def status_of(api: httpx.Client, message: dict) -> str:
    return api.get(message["uri"]).json()["status"]


@pytest.mark.contract
def test_a_message_is_queued_sent_and_delivered_with_signed_callbacks(
    sandbox: RunningSandbox, api: httpx.Client, receiver: Receiver
):
    notice_specs.require(notice_specs.TWILIO)
    callback = f"{receiver.url}&notification_id=n1&booking_id=01JTEST"
    message = send(api, StatusCallback=callback)
    assert (message["status"], message["error_code"]) == ("queued", None)
    eventually(lambda: len(receiver.got) == 2, "both callbacks arrive")
    assert {each["MessageStatus"] for each in told(receiver)} == {"sent", "delivered"}
    assert status_of(api, message) == "delivered"
    for delivery, fields in zip(receiver.got, told(receiver), strict=True):
        assert fields["MessageSid"] == message["sid"]
        text = callback + "".join(name + fields[name] for name in sorted(fields))
        expected = b64encode(hmac.new(_TOKEN.encode(), text.encode(), sha1).digest()).decode()
        assert delivery.headers["X-Twilio-Signature"] == expected
        assert delivery.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    created, delivered = sandbox.ledger(vendor="twilio")
    assert (created["type"], delivered["type"]) == ("message.created", "message.delivered")
    assert created["metadata"] == {"from": "sandbox", "notification_id": "n1", "booking_id": "01JTEST"}
    (notice,) = sandbox.control.get("/books").json()["notices"]
    assert (notice["kind"], notice["to"], notice["status"]) == ("sms", [_TO], "delivered")


@pytest.mark.parametrize(("to", "told_of"), [("+15005550010", ["sent", "undelivered"]), ("+15005550011", ["failed"])])
def test_some_numbers_cannot_be_reached(api: httpx.Client, receiver: Receiver, to: str, told_of: list[str]):
    message = send(api, To=to, StatusCallback=receiver.url)
    eventually(lambda: len(receiver.got) == len(told_of), "the callbacks arrive")
    assert sorted(each["MessageStatus"] for each in told(receiver)) == told_of
    assert [each["ErrorCode"] for each in told(receiver) if "ErrorCode" in each] == ["30003"]
    assert status_of(api, message) == told_of[-1]


@pytest.mark.parametrize(("mode", "copies"), [("doubled", 2), ("silent", 0), ("reordered", 1)])
def test_callbacks_come_twice_never_or_in_any_order(
    sandbox: RunningSandbox, api: httpx.Client, receiver: Receiver, mode: str, copies: int
):
    assert sandbox.control.put("/twilio/settings", json={"mode": mode}).status_code == 200
    for _ in range(5):
        send(api, StatusCallback=receiver.url)
    eventually(lambda: sandbox.effects().count("message.delivered") == 5, "all are delivered")
    eventually(lambda: len(receiver.got) == 10 * copies, "all callbacks arrive")
    assert [each["MessageStatus"] for each in told(receiver)].count("delivered") == 5 * copies


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"To": None}, 400, 21604),
        ({"To": "07700900123"}, 400, 21211),
        ({"To": "+15005550001"}, 400, 21211),
        ({"To": "+15005550004"}, 400, 21610),
        ({"To": "+15005550009"}, 400, 21614),
        ({"To": "+15005550029"}, 429, 20429),
        ({"From": None}, 400, 21603),
        ({"From": "+15005550001"}, 400, 21212),
        ({"Body": None}, 400, 21602),
        ({"Body": "x" * 1601}, 400, 21617),
        ({"StatusCallback": "nowhere"}, 400, 21609),
    ],
)
def test_a_message_that_cannot_be_sent_is_refused_with_twilios_number(
    sandbox: RunningSandbox, api: httpx.Client, changes: dict, status: int, code: int
):
    answer = api.post(_LIST, data=form(**changes))
    assert (answer.status_code, answer.json()["status"], answer.json()["code"]) == (status, status, code)
    assert set(answer.json()) == {"code", "message", "more_info", "status"}
    assert sandbox.effects() == []


def test_only_the_account_itself_may_ask(api: httpx.Client):
    for auth in ((_ACCOUNT, "wrong"), ("AC" + "2" * 32, _TOKEN)):
        assert api.get(_LIST, auth=auth).json()["code"] == 20003
    assert api.get(_LIST.replace(".json", f"/SM{'0' * 32}.json")).json()["code"] == 20404


@pytest.mark.contract
def test_messages_are_found_by_number_and_day_page_by_page(api: httpx.Client):
    sids = [send(api, Body=f"text {number}")["sid"] for number in range(5)]
    send(api, To="+447700900999")
    today = datetime.now(UTC).date()
    pages = [api.get(_LIST, params={"To": _TO, "DateSent>": today.isoformat(), "PageSize": 2}).json()]
    while pages[-1]["next_page_uri"]:
        pages.append(api.get(pages[-1]["next_page_uri"]).json())
    assert [each["sid"] for page in pages for each in page["messages"]] == sids[::-1]
    assert [len(page["messages"]) for page in pages] == [2, 2, 1]

    def count(**query: str) -> int:
        return len(api.get(_LIST, params={"To": _TO, **query}).json()["messages"])

    tomorrow = (today + timedelta(days=1)).isoformat()
    assert count(DateSent=today.isoformat()) == count(**{"DateSent<": today.isoformat()}) == 5
    assert count(**{"DateSent>": tomorrow}) == count(DateSent=tomorrow) == count(From="+15005550007") == 0
    assert count(**{"DateSent>": (datetime.now(UTC) - timedelta(minutes=1)).isoformat()}) == 5


def test_faults_are_worded_as_twilio_words_them(sandbox: RunningSandbox, api: httpx.Client):
    for rule, status, code in (
        ({"action": "refuse", "code": "21610"}, 400, 21610),
        ({"action": "server_error", "status": 503}, 503, 20500),
        ({"action": "rate_limited", "retry_after_s": 3}, 429, 20429),
    ):
        sandbox.fault(vendor="twilio", **rule)
        answer = api.post(_LIST, data=form())
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Retry-After"] == "3"
    assert sandbox.effects() == []
    sandbox.fault(vendor="twilio", action="accept_later", delay_s=0.01, fail=True)
    message = send(api)
    eventually(lambda: status_of(api, message) == "undelivered", "it is not delivered")
    assert sandbox.effects() == ["message.created", "message.undelivered"]
