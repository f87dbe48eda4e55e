"""SendGrid's mails and events, as the contract and its documentation want them."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sandbox.vendors import sendgrid
from tests.contracts import notice_specs
from tests.sandbox.conftest import DEADLINE_S, TLS, RunningSandbox, eventually, serve
from tests.sandbox.receiver import Delivery, Receiver, receiving

_ARGS = {"notification_id": "n1", "booking_id": "01JTEST"}


def _check(response: httpx.Response) -> None:
    response.read()
    if not notice_specs.available(notice_specs.SENDGRID):
        return
    path = response.request.url.path.removeprefix("/sendgrid")
    notice_specs.check_response(notice_specs.SENDGRID, response, path)
    if response.is_success:
        notice_specs.check_request(notice_specs.SENDGRID, response.request, path)


@pytest.fixture
def api(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    yield from _client(sandbox)


def _client(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer SG.anything"}
    hooks = {"response": [_check]}
    with httpx.Client(
        verify=TLS, base_url=f"{sandbox.url}/sendgrid", headers=headers, timeout=DEADLINE_S, event_hooks=hooks
    ) as http:
        yield http


@pytest.fixture
def receiver(sandbox: RunningSandbox) -> Iterator[Receiver]:
    with receiving() as opened:
        assert sandbox.control.put("/sendgrid/webhook", json={"url": opened.url}).status_code == 200
        yield opened


def mail(to: str = "amelie@example.org", **changes: object) -> dict:
    body = {
        "personalizations": [{"to": [{"email": to}], "custom_args": _ARGS}],
        "from": {"email": "trips@travelhub.example", "name": "TravelHub"},
        "subject": "Your flight is late",
        "content": [{"type": "text/plain", "value": "Late."}, {"type": "text/html", "value": "<p>Late.</p>"}],
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def send(api: httpx.Client, **changes: object) -> str:
    answer = api.post("/v3/mail/send", json=mail(**changes))
    assert (answer.status_code, answer.content) == (202, b""), answer.text
    return answer.headers["X-Message-Id"]


def events(receiver: Receiver) -> list[dict]:
    return [event for delivery in receiver.got for event in json.loads(delivery.body)]


def verify(sandbox: RunningSandbox, delivery: Delivery, body: bytes) -> None:
    shown = sandbox.control.get("/sendgrid/public_key").json()["public_key"]
    key = load_der_public_key(b64decode(shown))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signature = b64decode(delivery.headers["X-Twilio-Email-Event-Webhook-Signature"])
    timestamp = delivery.headers["X-Twilio-Email-Event-Webhook-Timestamp"]
    key.verify(signature, timestamp.encode() + body, ec.ECDSA(SHA256()))


@pytest.mark.contract
def test_a_mail_is_taken_kept_delivered_and_told_of(sandbox: RunningSandbox, api: httpx.Client, receiver: Receiver):
    notice_specs.require(notice_specs.SENDGRID)
    attachment = {"content": "QkVHSU4=", "filename": "trip.ics", "type": "text/calendar"}
    message_id = send(api, attachments=[attachment], categories=["flight_delayed"], custom_args={"language": "en"})
    eventually(lambda: len(events(receiver)) == 2, "processed and delivered arrive")
    assert {event["event"] for event in events(receiver)} == {"processed", "delivered"}
    for event in events(receiver):
        assert event["sg_message_id"].startswith(f"{message_id}.")
        assert (event["notification_id"], event["language"], event["email"]) == ("n1", "en", "amelie@example.org")
    assert len({event["sg_event_id"] for event in events(receiver)}) == 2
    (kept,) = sandbox.control.get("/sendgrid/mails").json()
    assert (kept["subject"], kept["attachments"][0]["filename"]) == ("Your flight is late", "trip.ics")
    assert [each["type"] for each in kept["content"]] == ["text/plain", "text/html"]
    accepted, delivered = sandbox.ledger(vendor="sendgrid")
    assert (accepted["type"], delivered["type"]) == ("mail.accepted", "mail.delivered")
    assert accepted["metadata"] == {**_ARGS, "language": "en"}
    (notice,) = sandbox.control.get("/books").json()["notices"]
    assert (notice["kind"], notice["status"], notice["metadata"]["booking_id"]) == ("email", "delivered", "01JTEST")


def test_events_are_signed_over_time_and_body(sandbox: RunningSandbox, api: httpx.Client, receiver: Receiver):
    send(api)
    delivery = eventually(lambda: receiver.got, "an event arrives")[0]
    verify(sandbox, delivery, delivery.body)
    with pytest.raises(InvalidSignature):
        verify(sandbox, delivery, delivery.body + b" ")


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("bounce@example.org", [["processed"], ["bounce"]]),
        ("deferred@example.org", [["processed"], ["deferred", "delivered"]]),
        ("dropped@example.org", [["dropped"]]),
    ],
)
def test_what_befalls_a_mail_follows_from_its_address(api: httpx.Client, receiver: Receiver, to: str, told: list):
    send(api, to=to)
    eventually(lambda: len(receiver.got) == len(told), "all events arrive")
    got = [[event["event"] for event in json.loads(each.body)] for each in receiver.got]
    assert sorted(got) == sorted(told)


def test_who_bounced_is_not_written_to_again_and_a_fault_can_make_anybody_bounce(
    sandbox: RunningSandbox, api: httpx.Client, receiver: Receiver
):
    sandbox.fault(vendor="sendgrid", action="accept_later", delay_s=0.01, fail=True)
    send(api)
    eventually(lambda: len(receiver.got) == 2, "the bounce arrives")
    send(api)
    eventually(lambda: len(receiver.got) == 3, "the drop arrives")
    assert [event["event"] for event in events(receiver)][2] == "dropped"
    assert {event["event"] for event in events(receiver)[:2]} == {"processed", "bounce"}
    assert sandbox.effects() == ["mail.accepted", "mail.bounced", "mail.accepted", "mail.dropped"]


def test_a_reader_can_open_a_mail(sandbox: RunningSandbox, api: httpx.Client, receiver: Receiver):
    message_id = send(api)
    eventually(lambda: len(receiver.got) == 2, "it is delivered")
    assert sandbox.control.post(f"/sendgrid/mails/{message_id}/open").status_code == 200
    eventually(lambda: events(receiver)[-1]["event"] == "open", "it is told of")
    assert sandbox.control.post("/sendgrid/mails/none/open").status_code == 404


@pytest.mark.parametrize(("mode", "copies"), [("doubled", 2), ("silent", 0), ("reordered", 1)])
def test_events_come_twice_never_or_in_any_order(sandbox: RunningSandbox, api: httpx.Client, mode: str, copies: int):
    with receiving() as receiver:
        sandbox.control.put("/sendgrid/webhook", json={"url": receiver.url, "mode": mode})
        for _ in range(5):
            send(api)
        eventually(lambda: sandbox.effects().count("mail.delivered") == 5, "all are delivered")
        eventually(lambda: len(receiver.got) == 10 * copies, "all events arrive")
        told = [event["event"] for event in events(receiver)]
        ids = [event["sg_event_id"] for event in events(receiver)]
    assert [ids.count(each) for each in set(ids)] == [copies] * (10 if copies else 0)
    if mode == "reordered":
        assert told != sorted(told, reverse=True)
        assert told.count("processed") == told.count("delivered") == 5


@pytest.mark.contract
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"personalizations": []}, "personalizations"),
        ({"to": "nobody"}, "personalizations.0.to.0.email"),
        ({"subject": None}, None),
        ({"content": None}, None),
        ({"content": [{"type": "text/html", "value": "x"}, {"type": "text/plain", "value": "x"}]}, "content"),
        ({"colour": "red"}, "colour"),
        ({"send_at": 9_999_999_999}, "send_at"),
    ],
)
def test_a_mail_that_is_none_is_refused_with_the_field(api: httpx.Client, changes: dict, field: str | None):
    answer = api.post("/v3/mail/send", json=mail(**changes))
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.contract
def test_keys_senders_and_sizes_have_limits(api: httpx.Client, monkeypatch: pytest.MonkeyPatch):
    assert api.post("/v3/mail/send", json=mail(), headers={"Authorization": "Bearer wrong"}).status_code == 401
    body = mail(**{"from": {"email": "unverified@example.org"}})
    assert api.post("/v3/mail/send", json=body).status_code == 403
    monkeypatch.setattr(sendgrid, "_LARGEST_BYTES", 100)
    assert api.post("/v3/mail/send", json=mail()).status_code == 413


@pytest.mark.contract
def test_faults_are_worded_as_sendgrid_words_them(sandbox: RunningSandbox, api: httpx.Client):
    for rule, status in (
        ({"action": "refuse", "code": "403"}, 403),
        ({"action": "refuse"}, 400),
        ({"action": "server_error", "status": 500}, 500),
        ({"action": "rate_limited", "retry_after_s": 7}, 429),
    ):
        sandbox.fault(vendor="sendgrid", **rule)
        answer = api.post("/v3/mail/send", json=mail())
        assert (answer.status_code, list(answer.json())) == (status, ["errors"])
    assert answer.headers["Retry-After"] == "7"
    assert sandbox.effects() == []
    sandbox.fault(vendor="sendgrid", action="drop_after")
    with pytest.raises(httpx.TransportError):
        api.post("/v3/mail/send", json=mail())
    assert sandbox.effects()[0] == "mail.accepted"


def test_a_trial_sends_nothing(sandbox: RunningSandbox, api: httpx.Client):
    trial = mail(mail_settings={"sandbox_mode": {"enable": True}})
    with httpx.Client(verify=TLS, headers=api.headers) as plain:  # the contract knows only the 202
        assert plain.post(f"{sandbox.url}/sendgrid/v3/mail/send", json=trial).status_code == 200
    assert sandbox.effects() == []


def test_a_mail_under_way_arrives_after_a_restart(tmp_path: Path):
    database = tmp_path / "world.sqlite"
    with serve(database=database) as sandbox:
        sandbox.control.put("/sendgrid/settings", json={"deliver_s": 0.6})
        for api in _client(sandbox):
            send(api)
        assert sandbox.effects() == ["mail.accepted"]
    with serve(database=database) as sandbox:
        eventually(lambda: sandbox.effects() == ["mail.accepted", "mail.delivered"], "it arrives")
