"""Stripe: status x operation -> outcome, amounts, and webhooks."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from gateways import stripe as stripe_module
from schema.errors import InvariantBroken, OutcomeUnclear, VendorContractBroken, VendorUnavailable
from schema.outcomes import ActionRequired, Confirmed, Rejected
from tests.gateways.documents import intent, ok, refund, stripe_error, stripe_list
from tests.gateways.support import (
    BOOKING_ID,
    LOST,
    NOT_CONNECTED,
    NOW,
    PAYMENT_ID,
    PRICE,
    Vendor,
    ending,
    payment_request,
    payments,
)

DECLINED = stripe_error(402, "card_error", "card_declined", decline_code="generic_decline")
UNEXPECTED = stripe_error(400, "invalid_request_error", "payment_intent_unexpected_state")
REPLAYED = httpx.Response(
    500, json={"error": {"type": "api_error", "message": "x"}}, headers={"Idempotent-Replayed": "true"}
)

COMMON = [
    (stripe_error(409, "invalid_request_error", "lock_timeout"), "VendorUnavailable"),
    (stripe_error(429, "invalid_request_error", "rate_limit"), "RateLimited"),
    (stripe_error(401, "invalid_request_error"), "CredentialsRefused"),
    (stripe_error(400, "idempotency_error"), "InvariantBroken"),
    (stripe_error(500, "api_error"), "unknown"),
    (stripe_error(503, "api_error"), "unknown"),
    (REPLAYED, "unknown"),
    (httpx.Response(502, text="<html>"), "unknown"),
    (httpx.Response(200, text="<html>"), "unknown"),
    (httpx.Response(200, content=b"{\xff"), "unknown"),
    (ok({}), "unknown"),
    (httpx.Response(302), "unknown"),
    (LOST, "unknown"),
    (NOT_CONNECTED, "VendorUnavailable"),
]


@pytest.mark.parametrize("operation", ["authorise", "capture", "void", "refund"])
@pytest.mark.parametrize(("answer", "expected"), COMMON)
async def test_what_every_effect_does(operation, answer, expected):
    vendor = Vendor(answer)
    assert await ending(getattr(payments(vendor), operation)(payment_request())) == expected
    assert len(vendor.requests) == 1


AUTHORISATIONS = [
    (ok(intent()), "confirmed"),
    (ok(intent("requires_action")), "action_required"),
    (ok(intent("processing")), "unknown"),
    (ok(intent("a_new_status")), "unknown"),
    (ok(intent("requires_payment_method")), "card_declined"),
    (DECLINED, "card_declined"),
    (stripe_error(404, "invalid_request_error", "resource_missing", param="payment_method"), "card_declined"),
    (stripe_error(400, "invalid_request_error", "amount_too_small"), "amount_out_of_range"),
    (stripe_error(400, "invalid_request_error", "parameter_missing"), "vendor_rejected"),
]


@pytest.mark.parametrize(("answer", "expected"), AUTHORISATIONS)
async def test_authorising(answer, expected):
    assert await ending(payments(Vendor(answer)).authorise(payment_request())) == expected


async def test_an_authorisation_ends_when_the_charge_says():
    outcome = await payments(Vendor(ok(intent()))).authorise(payment_request())
    ends_at = (NOW + timedelta(days=5)).replace(microsecond=0)
    assert outcome == Confirmed(provider_reference="pi_1", price=PRICE, expires_at=ends_at)


@pytest.mark.parametrize("charge", [None, "ch_1", {"payment_method_details": {"card": {}}}])
async def test_an_authorisation_ends_after_seven_days_otherwise(charge):
    outcome = await payments(Vendor(ok(intent(latest_charge=charge)))).authorise(payment_request())
    assert isinstance(outcome, Confirmed)
    assert outcome.expires_at == (NOW + timedelta(days=7)).replace(microsecond=0)


async def test_three_d_secure_is_the_customers_turn():
    outcome = await payments(Vendor(ok(intent("requires_action")))).authorise(payment_request())
    assert outcome == ActionRequired(provider_reference="pi_1")


@pytest.mark.parametrize(
    ("decline_code", "message"),
    [
        ("insufficient_funds", "The card has insufficient funds."),
        ("stolen_card", "The card was declined."),
        ("fraudulent", "The card was declined."),
        (None, "The card was declined."),
    ],
)
async def test_why_a_card_was_declined_is_told_only_where_it_helps(decline_code, message):
    answer = stripe_error(402, "card_error", "card_declined", decline_code=decline_code)
    outcome = await payments(Vendor(answer)).authorise(payment_request())
    assert outcome == Rejected(code="card_declined", message=message)


CAPTURES = [
    ([ok(intent("succeeded"))], "confirmed"),
    ([ok(intent("processing"))], "unknown"),
    ([UNEXPECTED, ok(intent("succeeded"))], "confirmed"),
    ([UNEXPECTED, ok(intent("succeeded", amount_received=1))], "already_captured"),
    ([UNEXPECTED, ok(intent("canceled"))], "payment_not_completed"),
    ([UNEXPECTED, ok(intent("processing"))], "unknown"),
    ([UNEXPECTED, ok(intent("requires_action"))], "vendor_rejected"),
    ([UNEXPECTED, LOST], "unknown"),
    ([DECLINED, ok(intent())], "card_declined"),
    ([stripe_error(404, "invalid_request_error", "resource_missing")], "vendor_rejected"),
]


@pytest.mark.parametrize(("answers", "expected"), CAPTURES)
async def test_capturing(answers, expected):
    assert await ending(payments(Vendor(*answers)).capture(payment_request())) == expected


VOIDS = [
    ([ok(intent("canceled"))], "confirmed"),
    ([UNEXPECTED, ok(intent("canceled"))], "confirmed"),
    ([UNEXPECTED, ok(intent("succeeded"))], "already_captured"),
    ([UNEXPECTED, ok(intent("processing"))], "unknown"),
    ([UNEXPECTED, ok(intent())], "vendor_rejected"),
    ([UNEXPECTED, ok(intent("requires_action"))], "unknown"),
    ([UNEXPECTED, LOST], "unknown"),
    ([stripe_error(404, "invalid_request_error", "resource_missing")], "vendor_rejected"),
]


@pytest.mark.parametrize(("answers", "expected"), VOIDS)
async def test_voiding(answers, expected):
    assert await ending(payments(Vendor(*answers)).void(payment_request())) == expected


async def test_what_is_reserved_is_not_reserved_anew():
    vendor = Vendor()
    provider = payments(vendor)
    assert await ending(provider.reauthorise(payment_request())) == "cannot_reauthorise"
    assert not provider.capabilities.reauthorise
    assert vendor.requests == []


@pytest.mark.parametrize("operation", ["capture", "void", "refund"])
async def test_without_a_reference_nothing_is_sent(operation):
    with pytest.raises(InvariantBroken):
        await getattr(payments(Vendor()), operation)(payment_request(provider_reference=None))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("succeeded", "succeeded"),
        ("pending", "pending"),
        ("requires_action", "pending"),
        ("failed", "failed"),
        ("canceled", "failed"),
        ("a_new_status", "pending"),
    ],
)
async def test_an_accepted_refund_is_not_yet_a_succeeded_one(status, expected):
    made, outcome = await payments(Vendor(ok(refund(status)))).refund(payment_request())
    assert outcome == Confirmed(provider_reference="re_1", price=PRICE)
    assert made is not None
    assert (made.status, made.amount) == (expected, PRICE)
    assert (await payments(Vendor(ok(refund(status)))).get_refund("re_1", "trip-1")).status == expected


async def test_a_refund_too_many_is_refused():
    answer = stripe_error(400, "invalid_request_error", "charge_already_refunded")
    made, outcome = await payments(Vendor(answer)).refund(payment_request())
    assert made is None
    assert isinstance(outcome, Rejected)
    assert outcome.code == "already_refunded"


# --------------------------------------------------------------------------------------------------------------- reads

PAYMENTS = [
    (intent(), "authorised", PRICE.amount_minor, 0),
    (intent("succeeded"), "captured", PRICE.amount_minor, PRICE.amount_minor),
    (intent("canceled"), "voided", 0, 0),
    (intent("processing"), "processing", 0, 0),
    (intent("requires_action"), "action_required", 0, 0),
    (intent("requires_confirmation"), "created", 0, 0),
    (intent("requires_payment_method"), "created", 0, 0),
    (intent("requires_payment_method", last_payment_error={"code": "card_declined"}), "failed", 0, 0),
    (intent("a_new_status"), "processing", 0, 0),
]


@pytest.mark.parametrize(("document", "status", "authorised", "captured"), PAYMENTS)
async def test_how_a_payment_stands(document, status, authorised, captured):
    found = await payments(Vendor(ok(document))).get("pi_1", "trip-1")
    assert (found.status, found.authorised.amount_minor, found.captured.amount_minor) == (status, authorised, captured)
    assert found.client_secret == "pi_1_secret_x"
    assert (found.expires_at is not None) == (status == "authorised")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (LOST, OutcomeUnclear),
        (NOT_CONNECTED, VendorUnavailable),
        (stripe_error(500, "api_error"), VendorUnavailable),
        (stripe_error(429, "invalid_request_error"), VendorUnavailable),
        (httpx.Response(200, text="<html>"), VendorContractBroken),
        (httpx.Response(200, content=b"{\xff"), VendorContractBroken),
        (ok({"object": "payment_intent"}), VendorContractBroken),
        (stripe_error(404, "invalid_request_error", "resource_missing"), VendorContractBroken),
    ],
)
@pytest.mark.parametrize("operation", ["get", "get_refund", "find", "find_refund"])
async def test_reads_raise_what_may_be_tried_again(operation, answer, error):
    provider = payments(Vendor(answer))
    attempt = {
        "get": lambda: provider.get("pi_1", "trip-1"),
        "get_refund": lambda: provider.get_refund("re_1", "trip-1"),
        "find": lambda: provider.find(PAYMENT_ID, NOW, "trip-1"),
        "find_refund": lambda: provider.find_refund("pi_1", "key", "trip-1"),
    }[operation]
    with pytest.raises(error):
        await attempt()


async def test_a_payment_is_found_by_our_id_on_a_later_page():
    vendor = Vendor(
        ok(stripe_list(intent(id="pi_9", metadata={}), has_more=True)), ok(stripe_list(intent("succeeded")))
    )
    found = await payments(vendor).find(PAYMENT_ID, NOW, "trip-1")
    assert found is not None
    assert (found.provider_reference, found.status) == ("pi_1", "captured")
    assert vendor.requests[1].url.params["starting_after"] == "pi_9"
    assert int(vendor.requests[0].url.params["created[gte]"]) < NOW.timestamp()


async def test_a_payment_that_is_not_there_is_not_found():
    assert await payments(Vendor(ok(stripe_list()))).find(PAYMENT_ID, NOW, "trip-1") is None


async def test_too_many_payments_prove_nothing(monkeypatch):
    monkeypatch.setattr(stripe_module, "MAX_PAGES", 1)
    page = ok(stripe_list(intent(metadata={}), has_more=True))
    with pytest.raises(OutcomeUnclear):
        await payments(Vendor(page)).find(PAYMENT_ID, NOW, "trip-1")


async def test_a_refund_is_found_by_our_key():
    page = stripe_list(refund(id="re_9", metadata={"key": "other"}), refund())
    found = await payments(Vendor(ok(page))).find_refund("pi_1", f"{BOOKING_ID}:refund:0", "trip-1")
    assert found is not None
    assert found.provider_reference == "re_1"
    assert await payments(Vendor(ok(stripe_list()))).find_refund("pi_1", "key", "trip-1") is None
