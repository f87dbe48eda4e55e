"""The payment gateway and the simulated Stripe over real HTTP: every operation, and every fault of the plan."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateways.ports import PaymentRequest, Vendors
from schema.errors import VendorUnavailable
from schema.money import Money
from schema.outcomes import Confirmed, Rejected
from tests.gateways.support import BOOKING_ID, PAYMENT_ID, PRICE, eventually, named, short
from tests.sandbox.conftest import RunningSandbox


def pay(step: str, **changes: object) -> PaymentRequest:
    return PaymentRequest.model_validate(
        {
            "idempotency_key": f"{BOOKING_ID}:{step}:0",
            "booking_id": BOOKING_ID,
            "payment_id": PAYMENT_ID,
            "amount": PRICE,
            "payment_method": "pm_card_visa",
            "correlation_id": "trip-1",
            **changes,
        }
    )


async def test_authorise_capture_refund(sandbox: RunningSandbox, vendors: Vendors):
    provider = vendors.payments("stripe")
    since = datetime.now(UTC)
    outcome = await provider.authorise(pay("authorise"))
    assert isinstance(outcome, Confirmed)
    assert await provider.authorise(pay("authorise")) == outcome
    reference = outcome.provider_reference
    found = await provider.find(PAYMENT_ID, since, "trip-1")
    assert found == await provider.get(reference, "trip-1")
    assert found is not None
    assert (found.status, found.authorised) == ("authorised", PRICE)
    part = Money(amount_minor=10000, currency="EUR")
    captured = await provider.capture(pay("capture", amount=part, provider_reference=reference))
    assert captured == Confirmed(provider_reference=reference, price=part)
    # A repeat under another key finds it done; another amount is refused; there is nothing left to void.
    again = pay("capture", amount=part, provider_reference=reference, idempotency_key="another:key:0")
    assert await provider.capture(again) == captured
    assert short(await provider.capture(pay("more", provider_reference=reference))) == "already_captured"
    assert short(await provider.void(pay("void", provider_reference=reference))) == "already_captured"
    request = pay("refund", amount=part, provider_reference=reference)
    refund, accepted = await provider.refund(request)
    assert refund is not None
    assert (refund.status, short(accepted)) == ("succeeded", "confirmed")
    assert await provider.get_refund(refund.provider_reference, "trip-1") == refund
    assert await provider.find_refund(reference, request.idempotency_key, "trip-1") == refund
    _, refused = await provider.refund(pay("refund-2", amount=part, provider_reference=reference))
    assert isinstance(refused, Rejected)
    final = await provider.get(reference, "trip-1")
    assert (final.status, final.captured, final.refunded) == ("captured", part, part)
    assert sandbox.effects() == ["payment.authorised", "payment.captured", "payment.refunded"]


async def test_void(sandbox: RunningSandbox, vendors: Vendors):
    provider = vendors.payments("stripe")
    outcome = await provider.authorise(pay("authorise"))
    assert isinstance(outcome, Confirmed)
    reference = outcome.provider_reference
    for key in ("void", "void-again"):
        assert short(await provider.void(pay(key, provider_reference=reference))) == "confirmed"
    assert (await provider.get(reference, "trip-1")).status == "voided"
    assert short(await provider.capture(pay("capture", provider_reference=reference))) == "payment_not_completed"
    assert sandbox.effects() == ["payment.authorised", "payment.voided"]


async def test_three_d_secure(sandbox: RunningSandbox, vendors: Vendors):
    provider = vendors.payments("stripe")
    sandbox.fault(vendor="stripe", path="/payment_intents$", action="three_d_secure")
    outcome = await provider.authorise(pay("authorise"))
    assert short(outcome) == "action_required"
    reference = getattr(outcome, "provider_reference", "")
    waiting = await provider.get(reference, "trip-1")
    assert (waiting.status, bool(waiting.client_secret)) == ("action_required", True)
    sandbox.control.post(f"/stripe/payment_intents/{reference}/authenticate", json={"succeed": True})
    assert (await provider.get(reference, "trip-1")).status == "authorised"


@pytest.mark.parametrize(("method", "expected"), [("pm_card_visa_chargeDeclined", "card_declined")])
async def test_a_card_that_is_declined(vendors: Vendors, method, expected):
    assert short(await vendors.payments("stripe").authorise(pay("authorise", payment_method=method))) == expected


PAYMENT_FAULTS = [
    ({"action": "decline"}, "card_declined", "authorise"),
    ({"action": "refuse"}, "Rejected", "any"),
    ({"action": "server_error", "status": 500}, "unknown", "any"),
    ({"action": "server_error", "status": 503}, "unknown", "any"),
    ({"action": "server_error_after", "status": 500}, "unknown", "any"),
    ({"action": "rate_limited"}, "RateLimited", "any"),
    ({"action": "delay", "delay_s": 0.05}, "confirmed", "any"),
    ({"action": "drop_before"}, "unknown", "any"),
    ({"action": "drop_after"}, "unknown", "any"),
    ({"action": "drop_then_effect", "delay_s": 0.05}, "unknown", "any"),
]
PAYMENT_PATHS = {
    "authorise": "/payment_intents$",
    "capture": "/capture$",
    "void": "/cancel$",
    "refund": "/refunds$",
}


@pytest.mark.parametrize("operation", list(PAYMENT_PATHS))
@pytest.mark.parametrize(("fault", "expected", "where"), named(PAYMENT_FAULTS))
async def test_faults_of_payments(sandbox: RunningSandbox, vendors: Vendors, operation, fault, expected, where):
    if where not in ("any", operation):
        pytest.skip("a card is declined when it is charged")
    provider = vendors.payments("stripe")
    reference = None
    if operation != "authorise":
        authorised = await provider.authorise(pay("authorise"))
        reference = getattr(authorised, "provider_reference", None)
    if operation == "refund":
        await provider.capture(pay("capture", provider_reference=reference))
    effects_before = len(sandbox.effects())
    sandbox.fault(vendor="stripe", method="POST", path=PAYMENT_PATHS[operation], **fault)
    request = pay(operation, provider_reference=reference)
    try:
        answer = await getattr(provider, operation)(request)
        outcome = answer[1] if isinstance(answer, tuple) else answer
        ended = "Rejected" if expected == "Rejected" and isinstance(outcome, Rejected) else short(outcome)
    except VendorUnavailable as error:
        ended = short(error)
    assert ended == expected
    if fault["action"] in ("drop_after", "drop_before", "drop_then_effect", "rate_limited"):
        # The same key again: the effect is made once, whether or not the first try had made it.
        async def again() -> bool:
            try:
                repeated = await getattr(provider, operation)(request)
            except VendorUnavailable:
                return False
            return short(repeated[1] if isinstance(repeated, tuple) else repeated) == "confirmed"

        await eventually(again, "the repeat under the same key is confirmed")
        assert len(sandbox.effects()) == effects_before + 1


async def test_a_lost_authorisation_and_a_lost_refund_are_found(sandbox: RunningSandbox, vendors: Vendors):
    provider = vendors.payments("stripe")
    since = datetime.now(UTC)
    sandbox.fault(vendor="stripe", path="/payment_intents$", action="drop_after")
    assert short(await provider.authorise(pay("authorise"))) == "unknown"
    found = await provider.find(PAYMENT_ID, since, "trip-1")
    assert found is not None
    await provider.capture(pay("capture", provider_reference=found.provider_reference))
    sandbox.fault(vendor="stripe", path="/refunds$", action="drop_after")
    request = pay("refund", provider_reference=found.provider_reference)
    assert short((await provider.refund(request))[1]) == "unknown"
    assert await provider.find_refund(found.provider_reference, request.idempotency_key, "trip-1") is not None


@pytest.mark.parametrize(("action", "status"), [("refund_pending", "succeeded"), ("refund_fails", "failed")])
async def test_a_refund_that_ends_later(sandbox: RunningSandbox, vendors: Vendors, action, status):
    provider = vendors.payments("stripe")
    authorised = await provider.authorise(pay("authorise"))
    reference = getattr(authorised, "provider_reference", "")
    await provider.capture(pay("capture", provider_reference=reference))
    sandbox.fault(vendor="stripe", path="/refunds$", action=action, delay_s=0.05)
    made, accepted = await provider.refund(pay("refund", provider_reference=reference))
    assert made is not None
    assert (made.status, short(accepted)) == ("pending", "confirmed")

    async def ended() -> bool:
        return (await provider.get_refund(made.provider_reference, "trip-1")).status == status

    await eventually(ended, f"the refund has {status}")
