"""Stripe's own client library works against the simulated Stripe, told only where it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import stripe

from tests.sandbox.conftest import RunningSandbox

KEY = "01JTEST:authorise:1"


@contextmanager
def library(sandbox: RunningSandbox, retries: int = 0) -> Iterator[stripe.StripeClient]:
    """Stripe's own client, told where Stripe is, and nothing else."""
    http_client = stripe.RequestsClient()
    addresses = {"api": f"{sandbox.url}/stripe"}
    yield stripe.StripeClient(
        "sk_test_x", base_addresses=addresses, max_network_retries=retries, http_client=http_client
    )
    http_client.close()


CREATE = {
    "amount": 4200,
    "currency": "eur",
    "capture_method": "manual",
    "confirm": True,
    "payment_method": "pm_card_visa",
    "payment_method_types": ["card"],
    "metadata": {"booking": "b-1"},
    "expand": ["latest_charge"],
}


def test_the_stripe_library_pays_and_refunds(sandbox):
    with library(sandbox) as client:
        intent = client.v1.payment_intents.create(CREATE, options={"idempotency_key": "b-1:authorise:1"})
        assert (intent.status, intent.latest_charge.captured) == ("requires_capture", False)
        again = client.v1.payment_intents.create(CREATE, options={"idempotency_key": "b-1:authorise:1"})
        assert again.id == intent.id
        assert client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 4000}).amount_received == 4000
        refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": 500})
        assert client.v1.refunds.retrieve(refund.id).status == "succeeded"
        with pytest.raises(stripe.InvalidRequestError) as refused:
            client.v1.payment_intents.cancel(intent.id)
        assert refused.value.code == "payment_intent_unexpected_state"
        with pytest.raises(stripe.CardError) as declined:
            client.v1.payment_intents.create(CREATE | {"payment_method": "pm_card_chargeDeclined"})
        assert declined.value.code == "card_declined"
        listed = client.v1.payment_intents.list({"limit": 1, "created": {"gte": 1}})
        assert len(list(listed.auto_paging_iter())) == 2


# The library hands httpx its body in a way httpx has deprecated.
@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
async def test_the_stripe_library_works_asynchronously(sandbox):
    http_client = stripe.HTTPXClient()
    addresses = {"api": f"{sandbox.url}/stripe"}
    client = stripe.StripeClient("sk_test_x", base_addresses=addresses, max_network_retries=0, http_client=http_client)
    intent = await client.v1.payment_intents.create_async(CREATE)
    cancelled = await client.v1.payment_intents.cancel_async(intent.id)
    await http_client.close_async()
    assert cancelled.status == "canceled"
    assert sandbox.effects() == ["payment.authorised", "payment.voided"]


def test_the_stripe_library_retries_with_its_key_into_one_effect(sandbox):
    """The library makes a key of its own for its retries, and backs off 0.5 s before the first."""
    sandbox.fault(vendor="stripe", action="drop_after")
    with library(sandbox, retries=1) as client:
        assert client.v1.payment_intents.create(CREATE).status == "requires_capture"
    assert sandbox.effects() == ["payment.authorised"]


def test_the_stripe_library_names_the_conflict(sandbox):
    with library(sandbox) as client:
        client.v1.payment_intents.create(CREATE, options={"idempotency_key": KEY})
        with pytest.raises(stripe.IdempotencyError):
            client.v1.payment_intents.create(CREATE | {"amount": 9_000}, options={"idempotency_key": KEY})
