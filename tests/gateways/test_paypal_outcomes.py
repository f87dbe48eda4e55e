"""PayPal: status x operation -> outcome of everything that moves money."""

from __future__ import annotations

from datetime import timedelta

import httpx
import orjson
import pytest

from schema.errors import InvariantBroken
from schema.money import Money
from schema.outcomes import ActionRequired, Confirmed, Rejected, Unknown
from tests.gateways.paypal_documents import (
    AUTHORISE,
    CAPTURE,
    CREATE,
    KEY,
    MADE_AT,
    ORDER_ID,
    READ,
    REAUTHORISE,
    REFUND,
    REFUND_KEY,
    REFUND_MARK,
    RENEWED_ID,
    TOKEN_ASKED,
    VOID,
    authorisation,
    authorised,
    behind_token,
    capture,
    captured,
    first_request,
    gateway,
    later_request,
    order,
    paypal_error,
    refund,
    refused,
    renewed,
    shown,
)
from tests.gateways.support import LOST, NOT_CONNECTED, PRICE, Vendor, ending

HTML = httpx.Response(502, text="<html>Bad Gateway</html>")
LESS = {"currency_code": "EUR", "value": "100.00"}

COMMON = [
    (paypal_error(500, name="INTERNAL_SERVER_ERROR"), "unknown"),
    (paypal_error(503, name="SERVICE_UNAVAILABLE"), "unknown"),
    (httpx.Response(408), "unknown"),
    (HTML, "unknown"),
    (httpx.Response(400, text="<html>"), "unknown"),
    (httpx.Response(200, text="<html>"), "unknown"),
    (httpx.Response(302), "unknown"),
    (shown({}), "unknown"),
    (LOST, "unknown"),
    (NOT_CONNECTED, "VendorUnavailable"),
    (paypal_error(409, "PREVIOUS_REQUEST_IN_PROGRESS", "RESOURCE_CONFLICT"), "VendorUnavailable"),
    (refused("PREVIOUS_REQUEST_IN_PROGRESS"), "VendorUnavailable"),
    (paypal_error(429, name="RATE_LIMIT_REACHED"), "RateLimited"),
    (paypal_error(403, "PERMISSION_DENIED", "NOT_AUTHORIZED"), "CredentialsRefused"),
    (paypal_error(400, "INVALID_PARAMETER_VALUE", "INVALID_REQUEST"), "vendor_rejected"),
    (paypal_error(404, "INVALID_RESOURCE_ID", "RESOURCE_NOT_FOUND"), "vendor_rejected"),
]
EFFECTS = [
    ("authorise", order("APPROVED"), AUTHORISE),
    ("void", authorised(), VOID),
    ("reauthorise", authorised(), REAUTHORISE),
    ("refund", captured(), REFUND),
]


@pytest.mark.parametrize(("operation", "before", "request_line"), EFFECTS)
@pytest.mark.parametrize(("answer", "expected"), COMMON)
async def test_what_every_effect_does(operation, before, request_line, answer, expected):
    vendor = behind_token(shown(before), answer)
    request = later_request(operation)
    got = await ending(getattr(gateway(vendor), operation)(request))
    if (operation, expected) == ("reauthorise", "vendor_rejected"):
        expected = "cannot_reauthorise"
    assert got == expected
    assert vendor.asked() == [TOKEN_ASKED, READ, request_line]


@pytest.mark.parametrize("answer", [LOST, HTML, httpx.Response(404), shown({}), NOT_CONNECTED])
@pytest.mark.parametrize("operation", ["authorise", "capture", "reauthorise", "void", "refund"])
async def test_an_order_that_cannot_be_read_is_not_touched(operation, answer):
    vendor = behind_token(answer)
    assert await ending(getattr(gateway(vendor), operation)(later_request())) == "VendorUnavailable"
    assert vendor.asked() == [TOKEN_ASKED, READ]


@pytest.mark.parametrize("operation", ["capture", "reauthorise", "void", "refund"])
async def test_without_a_reference_nothing_is_sent(operation):
    with pytest.raises(InvariantBroken):
        await getattr(gateway(Vendor()), operation)(later_request(provider_reference=None))


# ------------------------------------------------------------------------------------------------------ authorising

VAULTED = "vault:8kk8451t"
SECOND = [CREATE, AUTHORISE]
LOOKED_UP = [CREATE, AUTHORISE, READ]
AUTHORISATIONS = [
    ("paypal", [shown(order("PAYER_ACTION_REQUIRED"))], [CREATE], "action_required"),
    ("paypal", [shown(order("CREATED"), 201)], [CREATE], "action_required"),
    ("paypal", [shown(order("VOIDED"))], [CREATE], "payment_not_completed"),
    ("paypal", [shown(order("SAVED"))], [CREATE], "unknown"),
    ("paypal", [shown(order("COMPLETED"))], [CREATE], "unknown"),
    ("paypal", [shown(authorised())], [CREATE], "confirmed"),
    ("paypal", [shown(order("APPROVED")), shown(authorised(), 201)], SECOND, "confirmed"),
    ("paypal", [shown(order("APPROVED")), shown(authorised("PENDING"), 201)], SECOND, "unknown"),
    ("paypal", [shown(order("APPROVED")), shown(authorised("DENIED"), 201)], SECOND, "card_declined"),
    ("paypal", [shown(order("APPROVED")), shown(authorised("VOIDED"))], SECOND, "payment_not_completed"),
    ("paypal", [shown(order("APPROVED")), shown(authorised("A_NEW_STATUS"), 201)], SECOND, "unknown"),
    ("paypal", [shown(order("APPROVED")), shown(order("APPROVED"))], SECOND, "unknown"),
    ("paypal", [shown(order("APPROVED")), refused("INSTRUMENT_DECLINED")], SECOND, "card_declined"),
    ("paypal", [shown(order("APPROVED")), refused("ORDER_EXPIRED")], SECOND, "payment_not_completed"),
    ("paypal", [shown(order("APPROVED")), refused("ORDER_NOT_APPROVED")], SECOND, "action_required"),
    ("paypal", [shown(order("APPROVED")), refused("PAYER_ACTION_REQUIRED")], SECOND, "action_required"),
    (
        "paypal",
        [shown(order("APPROVED")), refused("ORDER_ALREADY_AUTHORIZED"), shown(authorised())],
        LOOKED_UP,
        "confirmed",
    ),
    (
        "paypal",
        [shown(order("APPROVED")), refused("DUPLICATE_INVOICE_ID"), shown(authorised())],
        LOOKED_UP,
        "confirmed",
    ),
    (
        "paypal",
        [shown(order("APPROVED")), refused("DUPLICATE_INVOICE_ID"), shown(order("APPROVED"))],
        LOOKED_UP,
        "unknown",
    ),
    (
        VAULTED,
        [shown(order("CREATED")), refused("DUPLICATE_INVOICE_ID"), shown(order("CREATED"))],
        LOOKED_UP,
        "unknown",
    ),
    ("paypal", [refused("DUPLICATE_INVOICE_ID")], [CREATE], "unknown"),
    ("paypal", [refused("INVALID_CURRENCY_CODE")], [CREATE], "currency_not_supported"),
    (VAULTED, [shown(authorised(), 201)], [CREATE], "confirmed"),
    (VAULTED, [shown(order("CREATED"), 201), shown(authorised(), 201)], SECOND, "confirmed"),
    (VAULTED, [shown(order("PAYER_ACTION_REQUIRED"), 201)], [CREATE], "action_required"),
    (VAULTED, [refused("AGREEMENT_ALREADY_CANCELLED")], [CREATE], "card_declined"),
    ("pm_card_visa", [], [], "card_declined"),
]


@pytest.mark.parametrize(("method", "answers", "asked", "expected"), AUTHORISATIONS)
async def test_authorising(method, answers, asked, expected):
    vendor = behind_token(*answers)
    assert await ending(gateway(vendor).authorise(first_request(method))) == expected
    assert vendor.asked()[1:] == asked


async def test_the_payer_approves_and_the_same_call_goes_on():
    vendor = behind_token(
        shown(order("PAYER_ACTION_REQUIRED"), 201), shown(order("APPROVED")), shown(authorised(), 201)
    )
    provider = gateway(vendor)
    assert await provider.authorise(first_request()) == ActionRequired(provider_reference=ORDER_ID)
    assert isinstance(await provider.authorise(first_request()), Confirmed)
    keys = [request.headers["paypal-request-id"] for request in vendor.requests[1:]]
    assert keys == [KEY, KEY, f"{KEY}:authorize"]
    assert vendor.requests[1].content == vendor.requests[2].content


async def test_a_known_order_is_read_and_never_made_again():
    """After 6 hours PayPal has forgotten the key, and would make a second order under it."""
    vendor = behind_token(shown(order("APPROVED")), shown(authorised(), 201))
    outcome = await gateway(vendor).authorise(first_request(provider_reference=ORDER_ID))
    assert isinstance(outcome, Confirmed)
    assert vendor.asked()[1:] == [READ, AUTHORISE]


@pytest.mark.parametrize(
    ("told", "lasts"),
    [
        ({}, timedelta(days=3)),
        ({"expiration_time": (MADE_AT + timedelta(days=1)).isoformat()}, timedelta(days=1)),
        ({"expiration_time": None}, timedelta(days=3)),
        ({"create_time": None}, timedelta(days=29)),
    ],
)
async def test_an_authorisation_lasts_as_long_as_paypal_honours_it(told, lasts):
    answer = shown(order(authorizations=[authorisation(**told)]))
    outcome = await gateway(behind_token(answer)).authorise(first_request())
    assert outcome == Confirmed(provider_reference=ORDER_ID, price=PRICE, expires_at=MADE_AT + lasts)


@pytest.mark.parametrize(
    ("issue", "message"),
    [
        ("CARD_EXPIRED", "The card has expired."),
        ("PAYER_ACCOUNT_RESTRICTED", "PayPal declined the payment."),
        ("COMPLIANCE_VIOLATION", "PayPal declined the payment."),
        ("TRANSACTION_REFUSED", "PayPal declined the payment."),
    ],
)
async def test_why_a_payer_was_declined_is_told_only_where_it_helps(issue, message):
    outcome = await gateway(behind_token(refused(issue))).authorise(first_request())
    assert outcome == Rejected(code="card_declined", message=message)


# -------------------------------------------------------------------------------------------------------- capturing

CAPTURES = [
    ([authorised(), shown(capture(), 201)], "confirmed"),
    ([authorised(), shown(capture("PARTIALLY_REFUNDED"))], "confirmed"),
    ([authorised(), shown(capture("PENDING"), 201)], "unknown"),
    ([authorised(), shown(capture("A_NEW_STATUS"), 201)], "unknown"),
    ([authorised(), shown(capture("DECLINED"), 201)], "card_declined"),
    ([authorised(), shown(capture("FAILED"), 201)], "vendor_rejected"),
    ([authorised(), shown(capture(amount=LESS))], "already_captured"),
    ([order("APPROVED")], "payment_not_completed"),
    ([authorised("VOIDED")], "authorisation_expired"),
    ([authorised("DENIED")], "authorisation_expired"),
    ([captured()], "confirmed"),
    ([captured("REFUNDED")], "confirmed"),
    ([captured("PENDING")], "unknown"),
    ([captured(amount=LESS)], "already_captured"),
    ([order(authorizations=[authorisation()], captures=[capture("DECLINED")]), shown(capture(), 201)], "confirmed"),
    ([authorised(), refused("AUTHORIZATION_EXPIRED"), authorised()], "authorisation_expired"),
    ([authorised(), refused("AUTHORIZATION_VOIDED"), authorised("VOIDED")], "authorisation_expired"),
    ([authorised(), refused("PAYER_CANNOT_PAY"), authorised()], "card_declined"),
    ([authorised(), refused("MAX_CAPTURE_AMOUNT_EXCEEDED"), authorised()], "amount_out_of_range"),
    ([authorised(), refused("AUTHORIZATION_ALREADY_CAPTURED"), captured()], "confirmed"),
    ([authorised(), refused("AUTHORIZATION_ALREADY_CAPTURED"), captured(amount=LESS)], "already_captured"),
    ([authorised(), refused("AUTHORIZATION_ALREADY_CAPTURED"), authorised()], "unknown"),
    ([authorised(), refused("DUPLICATE_INVOICE_ID"), captured()], "confirmed"),
    ([authorised(), refused("DUPLICATE_INVOICE_ID"), authorised()], "unknown"),
    ([authorised(), refused("TRANSACTION_REFUSED"), LOST], "unknown"),
    ([authorised(), LOST], "unknown"),
    ([authorised(), HTML], "unknown"),
    ([authorised(), paypal_error(409, "PREVIOUS_REQUEST_IN_PROGRESS")], "VendorUnavailable"),
]


@pytest.mark.parametrize(("answers", "expected"), CAPTURES)
async def test_capturing(answers, expected):
    vendor = behind_token(*[shown(one) if isinstance(one, dict) else one for one in answers])
    assert await ending(gateway(vendor).capture(later_request())) == expected
    assert vendor.asked() == [TOKEN_ASKED, READ, CAPTURE, READ][: len(answers) + 1]


async def test_a_partial_capture_is_the_last():
    vendor = behind_token(shown(authorised()), shown(capture(amount=LESS), 201))
    less = Money(amount_minor=10000, currency="EUR")
    outcome = await gateway(vendor).capture(later_request(amount=less))
    assert outcome == Confirmed(provider_reference=ORDER_ID, price=less)
    assert orjson.loads(vendor.requests[-1].content) == {"amount": LESS, "final_capture": True}
    assert vendor.requests[-1].headers["paypal-request-id"] == later_request().idempotency_key


RENEWED = order(authorizations=[renewed(), authorisation()])


async def test_what_was_renewed_is_captured_by_the_renewal_and_voided_and_renewed_by_the_original():
    vendor = behind_token(
        *[shown(RENEWED), shown(capture(), 201)],
        *[shown(RENEWED), httpx.Response(204)],
        *[shown(RENEWED), refused("REAUTHORIZATION_NOT_SUPPORTED")],
    )
    provider = gateway(vendor)
    assert await ending(provider.capture(later_request())) == "confirmed"
    assert await ending(provider.void(later_request("void"))) == "confirmed"
    assert await ending(provider.reauthorise(later_request("reauthorise"))) == "cannot_reauthorise"
    sent = [line for line in vendor.asked()[1:] if line != READ]
    assert sent == [f"POST /v2/payments/authorizations/{RENEWED_ID}/capture", VOID, REAUTHORISE]


REAUTHORISATIONS = [
    (shown(renewed(), 201), "confirmed"),
    (shown(renewed(status="PENDING"), 201), "unknown"),
    (shown(renewed(status="DENIED"), 201), "card_declined"),
    (refused("PAYER_CANNOT_PAY"), "card_declined"),
    (refused("AUTHORIZATION_ALREADY_CAPTURED"), "already_captured"),
    (refused("AUTHORIZATION_VOIDED"), "authorisation_expired"),
    (refused("REAUTHORIZATION_NOT_SUPPORTED"), "cannot_reauthorise"),
    (refused("SOME_OTHER_ISSUE"), "cannot_reauthorise"),
]


@pytest.mark.parametrize(("answer", "expected"), REAUTHORISATIONS)
async def test_reauthorising(answer, expected):
    vendor = behind_token(shown(authorised()), answer)
    assert await ending(gateway(vendor).reauthorise(later_request("reauthorise"))) == expected


async def test_a_renewal_has_three_more_days_under_the_same_order():
    vendor = behind_token(shown(authorised()), shown(renewed(), 201))
    outcome = await gateway(vendor).reauthorise(later_request("reauthorise"))
    ends_at = MADE_AT + timedelta(days=7)
    assert outcome == Confirmed(provider_reference=ORDER_ID, price=PRICE, expires_at=ends_at)


async def test_what_was_never_authorised_is_not_renewed():
    attempt = gateway(behind_token(shown(order("APPROVED")))).reauthorise(later_request())
    assert await ending(attempt) == "cannot_reauthorise"


# ---------------------------------------------------------------------------------------------- voiding and refunding

VOIDS = [
    ([authorised(), shown(authorisation("VOIDED"))], "confirmed"),
    ([authorised(), httpx.Response(204)], "confirmed"),
    ([authorised(), shown(authorisation("CREATED"))], "unknown"),
    ([authorised(), refused("PREVIOUSLY_VOIDED")], "confirmed"),
    ([authorised(), refused("AUTHORIZATION_EXPIRED")], "confirmed"),
    ([authorised(), refused("PREVIOUSLY_CAPTURED")], "already_captured"),
    ([authorised("VOIDED")], "confirmed"),
    ([authorised("DENIED")], "confirmed"),
    ([order("PAYER_ACTION_REQUIRED")], "confirmed"),
    ([order("APPROVED")], "confirmed"),
    ([captured()], "already_captured"),
    ([captured("PENDING")], "unknown"),
    ([order(authorizations=[authorisation()], captures=[capture("FAILED")]), httpx.Response(204)], "confirmed"),
]


@pytest.mark.parametrize(("answers", "expected"), VOIDS)
async def test_voiding(answers, expected):
    vendor = behind_token(*[shown(one) if isinstance(one, dict) else one for one in answers])
    assert await ending(gateway(vendor).void(later_request("void"))) == expected
    assert vendor.asked() == [TOKEN_ASKED, READ, VOID][: len(answers) + 1]
    assert "paypal-request-id" not in vendor.requests[-1].headers


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("COMPLETED", "succeeded"),
        ("PENDING", "pending"),
        ("FAILED", "failed"),
        ("CANCELLED", "failed"),
        ("A_NEW_STATUS", "pending"),
    ],
)
async def test_an_accepted_refund_is_not_yet_a_succeeded_one(status, expected):
    details = {"reason": "ECHECK"}
    vendor = behind_token(shown(captured()), shown(refund(status, status_details=details), 201))
    made, outcome = await gateway(vendor).refund(later_request("refund", idempotency_key=REFUND_KEY))
    assert made is not None
    assert (made.status, made.amount, made.failure) == (expected, PRICE, "ECHECK")
    assert outcome == Confirmed(provider_reference=made.provider_reference, price=PRICE)
    sent = vendor.requests[-1]
    assert sent.headers["paypal-request-id"] == REFUND_KEY
    assert orjson.loads(sent.content)["custom_id"] == REFUND_MARK


REFUNDS = [
    ([captured(), refused("CAPTURE_FULLY_REFUNDED")], "already_refunded"),
    ([captured(), refused("REFUND_AMOUNT_EXCEEDED")], "amount_out_of_range"),
    ([captured(), refused("REFUND_TIME_LIMIT_EXCEEDED")], "vendor_rejected"),
    ([captured("PENDING"), refused("PENDING_CAPTURE")], "VendorUnavailable"),
    ([captured(), refused("DUPLICATE_INVOICE_ID"), captured("PARTIALLY_REFUNDED", refund())], "confirmed"),
    ([captured(), refused("DUPLICATE_INVOICE_ID"), captured()], "unknown"),
    ([authorised()], "vendor_rejected"),
]


@pytest.mark.parametrize(("answers", "expected"), REFUNDS)
async def test_refunding(answers, expected):
    vendor = behind_token(*[shown(one) if isinstance(one, dict) else one for one in answers])
    attempt = gateway(vendor).refund(later_request("refund", idempotency_key=REFUND_KEY))
    assert await ending(attempt) == expected
    assert vendor.asked() == [TOKEN_ASKED, READ, REFUND, READ][: len(answers) + 1]


async def test_unknown_is_told_without_paypals_words():
    vendor = behind_token(shown(authorised()), paypal_error(500, "SOMETHING"))
    outcome = await gateway(vendor).capture(later_request())
    assert isinstance(outcome, Unknown)
    assert "told by PayPal" not in outcome.reason
