"""Stripe: keys, amounts in its units, and webhooks."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from urllib.parse import parse_qs

import pytest

from gateways.ports import PaymentEvent
from gateways.stripe_wire import NotChargeable, from_stripe, to_stripe
from schema.errors import Malformed, UnreadableEvent, VendorContractBroken
from schema.money import Money
from schema.outcomes import Rejected, Unknown
from tests.gateways.documents import intent, ok, stripe_error
from tests.gateways.support import BOOKING_ID, LOST, PAYMENT_ID, WEBHOOK_SECRET, Vendor, payment_request, payments


@pytest.mark.parametrize("operation", ["authorise", "capture", "void", "refund"])
async def test_our_key_and_correlation_id_go_along_as_they_are(operation):
    vendor = Vendor(LOST)
    await getattr(payments(vendor), operation)(payment_request(idempotency_key="a:b:0"))
    headers = vendor.requests[0].headers
    assert headers["idempotency-key"] == "a:b:0"
    assert headers["x-correlation-id"] == "trip-1"
    assert headers["stripe-version"]
    assert "x-stripe-client-telemetry" not in headers


async def test_calls_at_once_do_not_share_what_is_theirs():
    """The library is told by a context variable whose call it sends."""
    vendor = Vendor(*[ok(intent()) for _ in range(8)])
    provider = payments(vendor)
    await asyncio.gather(*(provider.get(f"pi_{n}", f"trip-{n}") for n in range(8)))
    assert {(r.url.path.split("/")[-1], r.headers["x-correlation-id"]) for r in vendor.requests} == {
        (f"pi_{n}", f"trip-{n}") for n in range(8)
    }


@pytest.mark.parametrize(
    ("minor", "currency", "at_stripe"),
    [
        (1234, "EUR", 1234),
        (500, "JPY", 500),
        (500, "ISK", 50000),
        (500, "UGX", 50000),
        (12300, "MGA", 123),
        (12340, "KWD", 12340),
    ],
)
def test_amounts_in_stripes_units(minor, currency, at_stripe):
    money = Money(amount_minor=minor, currency=currency)
    assert to_stripe(money) == at_stripe
    assert from_stripe(at_stripe, currency.lower()) == money


@pytest.mark.parametrize(("minor", "currency"), [(12345, "KWD"), (12301, "MGA")])
async def test_amounts_that_stripe_cannot_take_exactly_are_refused(minor, currency):
    money = Money(amount_minor=minor, currency=currency)
    with pytest.raises(NotChargeable):
        to_stripe(money)
    outcome = await payments(Vendor()).authorise(payment_request(amount=money))
    assert isinstance(outcome, Rejected)
    assert outcome.code == "amount_out_of_range"


@pytest.mark.parametrize(("amount", "currency"), [(150, "isk"), (1, "zzz")])
def test_amounts_that_stripe_cannot_have_are_broken(amount, currency):
    with pytest.raises(VendorContractBroken):
        from_stripe(amount, currency)


async def test_the_whole_authorisation_is_one_form():
    vendor = Vendor(ok(intent()))
    await payments(vendor).authorise(payment_request())
    form = {name: values[0] for name, values in parse_qs(vendor.requests[0].content.decode()).items()}
    assert form["amount"] == "12340"
    assert form["capture_method"] == "manual"
    assert (form["metadata[booking_id]"], form["metadata[payment_id]"]) == (BOOKING_ID, PAYMENT_ID)


# ------------------------------------------------------------------------------------------------------------ webhooks


def signed(body: bytes, age_s: float = 0, secret: str = WEBHOOK_SECRET) -> str:
    moment = int(time.time() - age_s)
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


EVENT = json.dumps(
    {
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "data": {
            "object": {
                "id": "pi_1",
                "object": "payment_intent",
                "metadata": {"payment_id": PAYMENT_ID, "booking_id": BOOKING_ID},
            }
        },
    }
).encode()


async def read(body: bytes, signature: str) -> PaymentEvent:
    return await payments(Vendor()).read_webhook({"Stripe-Signature": signature}, body)


async def test_a_webhook_says_which_payment_it_is_about():
    event = await read(EVENT, signed(EVENT))
    assert (event.event_id, event.type) == ("evt_1", "payment_intent.succeeded")
    assert (event.payment_id, event.booking_id) == (PAYMENT_ID, BOOKING_ID)


@pytest.mark.parametrize("name", ["Stripe-Signature", "stripe-signature"])
async def test_the_signature_is_read_from_its_header(name):
    event = await payments(Vendor()).read_webhook({name: signed(EVENT)}, EVENT)
    assert event.event_id == "evt_1"
    with pytest.raises(Malformed):
        await payments(Vendor()).read_webhook({}, EVENT)


async def test_a_webhook_about_something_else_names_nothing_of_ours():
    body = json.dumps({"id": "evt_2", "object": "event", "type": "new.thing", "data": {"object": {"id": "x"}}}).encode()
    event = await read(body, signed(body))
    assert (event.payment_id, event.booking_id) == (None, None)


@pytest.mark.parametrize(
    ("body", "signature", "code"),
    [
        (EVENT + b" ", signed(EVENT), "invalid_signature"),
        (EVENT, signed(EVENT, secret="other"), "invalid_signature"),
        (EVENT, signed(EVENT, age_s=301), "invalid_signature"),
        (EVENT, "", "invalid_signature"),
        (EVENT, "nonsense", "invalid_signature"),
        (EVENT, "t=1,v1=sch\xf6n", "invalid_signature"),
        (b"\xff", "t=1,v1=x", "invalid_signature"),
    ],
    ids=["another body", "another secret", "too old", "none", "nonsense", "not ASCII", "no text"],
)
async def test_a_webhook_that_is_not_stripes_is_refused(body, signature, code):
    with pytest.raises(Malformed) as caught:
        await read(body, signature)
    assert caught.value.problem_code == code


@pytest.mark.parametrize(
    ("body", "event_id"), [(b"{", None), (b"[]", None), (b"{}", None), (b'{"id":"evt_1","type":"x","data":1}', "evt_1")]
)
async def test_a_webhook_of_stripes_that_is_no_event_says_which_it_was(body, event_id):
    with pytest.raises(UnreadableEvent) as caught:
        await read(body, signed(body))
    assert caught.value.event_id == event_id


async def test_unknown_is_told_without_stripes_words():
    outcome = await payments(Vendor(stripe_error(500, "api_error"))).authorise(payment_request())
    assert isinstance(outcome, Unknown)
    assert "told by Stripe" not in outcome.reason
