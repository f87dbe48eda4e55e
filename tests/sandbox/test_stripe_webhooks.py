"""Stripe's events: signed so that the real library accepts them, kept, listable, delivered at least once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from tests.contracts import stripe_spec
from tests.sandbox.conftest import RunningSandbox, eventually
from tests.sandbox.receiver import Receiver, receiving
from tests.sandbox.test_stripe import authorise, error_of, intent_of, stripe_client

SECRET = "whsec_test"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def api(sandbox):
    with stripe_client(sandbox) as client:
        yield client


def send_to(sandbox: RunningSandbox, receiver: Receiver, mode: str = "normal") -> None:
    body = {"url": receiver.url, "secret": SECRET, "mode": mode}
    assert sandbox.control.put("/stripe/webhook", json=body).status_code == 200


def test_the_real_library_accepts_the_signature(sandbox, api, receiver):
    send_to(sandbox, receiver)
    intent = intent_of(authorise(api))
    eventually(lambda: receiver.got, "an event arrives")
    delivery = receiver.got[0]
    body, signature = delivery.body, delivery.headers["Stripe-Signature"]
    client = stripe.StripeClient("sk_test_x")
    event = client.construct_event(body, signature, SECRET)
    assert (event.type, event.data.object.id) == ("payment_intent.amount_capturable_updated", intent["id"])
    assert delivery.path == "/hooks?from=sandbox"
    assert event.data.object.metadata["booking"] == intent["metadata"]["booking"]
    with pytest.raises(stripe.SignatureVerificationError):
        client.construct_event(body, signature, "whsec_other")


def test_every_step_tells_its_event(sandbox, api, receiver):
    send_to(sandbox, receiver)
    judge = stripe_spec.require()
    intent = intent_of(authorise(api))["id"]
    api.post(f"/v1/payment_intents/{intent}/capture", data={})
    sandbox.fault(vendor="stripe", action="refund_pending", delay_s=0.01)
    api.post("/v1/refunds", data={"payment_intent": intent, "amount": 100})
    sandbox.fault(vendor="stripe", action="refund_fails", delay_s=0.01)
    api.post("/v1/refunds", data={"payment_intent": intent, "amount": 100})
    cancelled = intent_of(authorise(api))["id"]
    api.post(f"/v1/payment_intents/{cancelled}/cancel", data={})
    error_of(authorise(api, card="pm_card_chargeDeclined"), 402)
    intent_of(authorise(api, card="pm_card_threeDSecure2Required"))
    expected = {
        *("payment_intent.amount_capturable_updated", "payment_intent.succeeded", "payment_intent.canceled"),
        *("payment_intent.payment_failed", "payment_intent.requires_action", "charge.captured", "charge.refunded"),
        *("refund.created", "refund.updated", "refund.failed"),
    }
    eventually(lambda: expected <= set(receiver.types()), "all events arrive")
    for event in (delivery.event for delivery in receiver.got):
        judge.check_object("event", event)
        judge.check_object(event["data"]["object"]["object"], event["data"]["object"])
    listed = api.get("/v1/events", params={"limit": 100}).json()["data"]
    assert {event["type"] for event in listed} == expected
    assert api.get(f"/v1/events/{listed[0]['id']}").json() == listed[0]
    only = api.get("/v1/events", params={"type": "payment_intent.canceled"}).json()["data"]
    assert [event["data"]["object"]["id"] for event in only] == [cancelled]
    some = api.get("/v1/events", params={"types[0]": "refund.failed", "types[1]": "refund.updated"}).json()["data"]
    assert [event["type"] for event in some] == ["refund.failed", "refund.updated", "refund.updated"]


def test_an_event_may_come_twice(sandbox, api, receiver):
    send_to(sandbox, receiver, "doubled")
    authorise(api)
    eventually(lambda: len(receiver.got) == 2, "both copies arrive")
    first, second = receiver.got
    assert first.event["id"] == second.event["id"]


def test_a_silent_stripe_still_lists_its_events(sandbox, api, receiver):
    send_to(sandbox, receiver, "silent")
    authorise(api)
    assert len(api.get("/v1/events").json()["data"]) == 1
    # Whatever were on its way would be overtaken by nothing: the next one is sent, and comes alone.
    send_to(sandbox, receiver)
    authorise(api)
    eventually(lambda: receiver.got, "the second event arrives")
    assert len(receiver.got) == 1


def test_a_refused_delivery_is_tried_again(sandbox, api, receiver):
    receiver.refuse = 1
    send_to(sandbox, receiver)
    authorise(api)
    eventually(lambda: receiver.got, "the event arrives at the second attempt")


def test_wants_a_sensible_endpoint(sandbox):
    answer = sandbox.control.put("/stripe/webhook", json={"url": "ftp://example.org", "secret": "x"})
    assert answer.status_code == 422
