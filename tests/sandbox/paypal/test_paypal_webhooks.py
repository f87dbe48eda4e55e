"""PayPal's events: verifiable by call, kept, listable, delivered at least once; and its list of transactions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.sandbox.conftest import RunningSandbox, eventually
from tests.sandbox.paypal.client import PAYMENT_ID, WALLET, capture_of, issue_of, link, made, money
from tests.sandbox.receiver import Delivery, Receiver, receiving

WEBHOOK_ID = "1JE4291016473214C"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def send_to(sandbox: RunningSandbox, receiver: Receiver, mode: str = "normal") -> None:
    body = {"url": receiver.url, "webhook_id": WEBHOOK_ID, "mode": mode}
    assert sandbox.control.put("/paypal/webhook", json=body).status_code == 200


def question(delivery: Delivery, **changes: object) -> dict:
    """What a receiver asks PayPal about a delivery."""
    names = ("AUTH-ALGO", "CERT-URL", "TRANSMISSION-ID", "TRANSMISSION-SIG", "TRANSMISSION-TIME")
    told = {name.lower().replace("-", "_"): delivery.headers[f"PAYPAL-{name}"] for name in names}
    return {**told, "webhook_id": WEBHOOK_ID, "webhook_event": delivery.event, **changes}


def verified(api, delivery: Delivery, **changes: object) -> str:
    answer = api.post("/v1/notifications/verify-webhook-signature", json=question(delivery, **changes))
    return answer.json()["verification_status"]


def types(receiver: Receiver) -> list[str]:
    return [delivery.event["event_type"] for delivery in receiver.got]


# ---------------------------------------------------------------------------------------------------------- webhooks


def test_says_of_a_delivery_whether_it_is_its_own(sandbox, api, receiver):
    send_to(sandbox, receiver)
    order = made(api.order())
    eventually(lambda: receiver.got, "an event arrives")
    (delivery,) = receiver.got
    assert (delivery.event["event_type"], delivery.event["resource"]["id"]) == ("CHECKOUT.ORDER.APPROVED", order["id"])
    assert verified(api, delivery) == "SUCCESS"
    forged = {**delivery.event, "event_type": "PAYMENT.CAPTURE.COMPLETED"}
    assert verified(api, delivery, webhook_event=forged) == "FAILURE"
    assert verified(api, delivery, webhook_id="OTHER") == "FAILURE"
    assert verified(api, delivery, transmission_time="2026-01-01T00:00:00Z") == "FAILURE"
    assert verified(api, delivery, cert_url="https://evil.example/cert") == "FAILURE"


def test_every_step_tells_its_event(sandbox, api, receiver):
    send_to(sandbox, receiver)
    capture = api.captured()
    sandbox.fault(vendor="paypal", path="refund$", action="refund_pending", delay_s=0.01)
    made(api.step(link(capture, "refund"), {"amount": money("1.00")}))
    sandbox.fault(vendor="paypal", path="refund$", action="refund_fails", delay_s=0.01)
    made(api.step(link(capture, "refund"), {"amount": money("1.00")}))
    api.post(link(api.authorised(), "void"))
    sandbox.fault(vendor="paypal", path="capture$", action="accept_later", delay_s=0.01, fail=True)
    denied = api.captured()
    turned_down = made(api.order(source=WALLET))
    sandbox.control.post(f"/paypal/orders/{turned_down['id']}/decline")
    expected = {
        *("CHECKOUT.ORDER.APPROVED", "CHECKOUT.ORDER.VOIDED"),
        *("PAYMENT.AUTHORIZATION.CREATED", "PAYMENT.AUTHORIZATION.VOIDED"),
        *("PAYMENT.CAPTURE.COMPLETED", "PAYMENT.CAPTURE.DENIED", "PAYMENT.CAPTURE.PENDING", "PAYMENT.CAPTURE.REFUNDED"),
        *("PAYMENT.REFUND.FAILED", "PAYMENT.REFUND.PENDING"),
    }
    eventually(lambda: expected <= set(types(receiver)), "all events arrive")
    resources = [event["resource"] for event in map(json.loads, (delivery.body for delivery in receiver.got))]
    assert {resource.get("custom_id", PAYMENT_ID) for resource in resources} == {PAYMENT_ID}
    listed = api.get("/v1/notifications/webhooks-events", params={"page_size": 100}).json()
    assert {event["event_type"] for event in listed["events"]} == expected
    newest = listed["events"][0]
    assert api.get(f"/v1/notifications/webhooks-events/{newest['id']}").json() == newest
    asked = {
        "transaction_id": denied["id"],
        "event_type": "PAYMENT.CAPTURE.DENIED",
        "start_time": "2026-01-01T00:00:00Z",
    }
    only = api.get("/v1/notifications/webhooks-events", params=asked).json()
    assert [event["resource"]["status"] for event in only["events"]] == ["DECLINED"]


def test_an_event_may_come_twice(sandbox, api, receiver):
    send_to(sandbox, receiver, "doubled")
    api.order()
    eventually(lambda: len(receiver.got) == 2, "both copies arrive")
    first, second = receiver.got
    assert first.event == second.event
    assert verified(api, first) == verified(api, second) == "SUCCESS"


def test_a_silent_paypal_still_lists_its_events(sandbox, api, receiver):
    send_to(sandbox, receiver, "silent")
    api.order()
    assert api.get("/v1/notifications/webhooks-events").json()["count"] == 1
    send_to(sandbox, receiver)
    api.order()
    eventually(lambda: receiver.got, "the second event arrives")
    assert len(receiver.got) == 1


@pytest.mark.parametrize("change", [{"url": "ftp://example.org"}, {"webhook_id": "not an id"}, {"mode": "loud"}])
def test_wants_a_sensible_webhook(sandbox, change):
    body = {"url": "http://127.0.0.1:1/", "webhook_id": WEBHOOK_ID, **change}
    assert sandbox.control.put("/paypal/webhook", json=body).status_code == 422


# ------------------------------------------------------------------------------------------------------ transactions


def now_and_then() -> dict[str, str]:
    """From an hour ago until in an hour."""
    now = datetime.now(UTC)
    return {"start_date": (now - timedelta(hours=1)).isoformat(), "end_date": (now + timedelta(hours=1)).isoformat()}


def listed(api, **changes: str) -> dict:
    answer = api.get("/v1/reporting/transactions", params={**now_and_then(), **changes})
    assert answer.status_code == 200, answer.text
    return answer.json()


def infos(page: dict) -> list[dict]:
    return [detail["transaction_info"] for detail in page["transaction_details"]]


def test_lists_what_was_taken_and_given_back(api):
    capture = api.captured(invoice="INV-1")
    refund = made(api.step(link(capture, "refund"), {"amount": money("100.00")}))
    paid, returned = infos(listed(api))
    assert (paid["transaction_id"], paid["transaction_event_code"]) == (capture["id"], "T0006")
    assert (paid["transaction_status"], paid["transaction_amount"]) == ("S", money("250.00"))
    assert (paid["custom_field"], paid["invoice_id"]) == (PAYMENT_ID, "INV-1")
    assert (returned["transaction_id"], returned["paypal_reference_id"]) == (refund["id"], capture["id"])
    assert (returned["transaction_event_code"], returned["transaction_amount"]) == ("T1107", money("-100.00"))
    everything = infos(listed(api, balance_affecting_records_only="N"))
    assert [info["transaction_event_code"] for info in everything] == ["T1300", "T0006", "T1107"]


def test_pages_through_the_transactions(api):
    order = [capture_of(made(api.step(link(made(api.order(intent="CAPTURE")), "capture"))))["id"] for _ in range(3)]
    first = listed(api, page_size="2")
    pages = [first, api.get(link(first, "next")).json()]
    assert [info["transaction_id"] for page in pages for info in infos(page)] == order
    assert [(page["page"], page["total_pages"], page["total_items"]) for page in pages] == [(1, 2, 3), (2, 2, 3)]
    assert [info["transaction_id"] for info in infos(listed(api, transaction_id=order[1]))] == [order[1]]


def test_too_many_transactions_are_not_listed(api, monkeypatch):
    monkeypatch.setattr("sandbox.vendors.paypal_lists._RESULT_MAX", 1)
    capture = api.captured()
    assert len(infos(listed(api))) == 1
    made(api.step(link(capture, "refund")))
    assert issue_of(api.get("/v1/reporting/transactions", params=now_and_then()), 400) == "RESULTSET_TOO_LARGE"


def test_a_transaction_is_listed_late(sandbox, api):
    sandbox.control.put("/paypal/settings", json={"reporting_lag_s": 60})
    api.captured()
    assert infos(listed(api)) == []
    sandbox.control.put("/paypal/settings", json={})
    assert len(infos(listed(api))) == 1


@pytest.mark.parametrize(
    ("changes", "issue"),
    [
        ({"start_date": ""}, "INVALID_PARAMETER_SYNTAX"),
        ({"start_date": "2020-01-01T00:00:00Z"}, "INVALID_DATE_RANGE"),
        ({"page_size": "501"}, "INVALID_PARAMETER_VALUE"),
    ],
)
def test_wants_a_sensible_period(api, changes, issue):
    period = {"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-01-31T00:00:00Z"}
    assert issue_of(api.get("/v1/reporting/transactions", params={**period, **changes}), 400) == issue
