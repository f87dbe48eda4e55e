"""PayPal: how its books are read, its amounts, its token, and what is logged."""

from __future__ import annotations

import base64
from datetime import timedelta

import httpx
import orjson
import pytest
from structlog.testing import capture_logs

from gateways.parts import Parts
from gateways.paypal import build
from gateways.traffic import Unbounded
from schema.errors import CredentialsRefused, OutcomeUnclear, VendorContractBroken, VendorUnavailable
from schema.money import Money
from schema.outcomes import Rejected
from tests.gateways.conftest import settings_for
from tests.gateways.paypal_documents import (
    APPROVAL_URL,
    MADE_AT,
    ORDER_ID,
    REFUND_ID,
    REFUND_KEY,
    TOKEN_ASKED,
    authorisation,
    authorised,
    behind_token,
    capture,
    captured,
    first_request,
    gateway,
    order,
    paypal_error,
    refund,
    refused,
    renewed,
    shown,
    token,
)
from tests.gateways.support import LOST, NOT_CONNECTED, NOW, PAYMENT_ID, PRICE, Vendor

ALL = PRICE.amount_minor
LESS = {"currency_code": "EUR", "value": "100.00"}
PARTLY = order(authorizations=[authorisation("PARTIALLY_CAPTURED")], captures=[capture(amount=LESS)])
TRIED = order(authorizations=[authorisation()], captures=[capture("DECLINED")])
TWICE = order(
    authorizations=[authorisation("CAPTURED")],
    captures=[capture("DECLINED"), capture(id="2GG279541U471931Q", amount=LESS)],
)
AWAY = refund("FAILED", amount=LESS)

PAYMENTS = [
    (order("PAYER_ACTION_REQUIRED"), "action_required", 0, 0, 0),
    (order("CREATED"), "action_required", 0, 0, 0),
    (order("APPROVED"), "approved", 0, 0, 0),
    (order("SAVED"), "created", 0, 0, 0),
    (order("VOIDED"), "voided", 0, 0, 0),
    (order("COMPLETED"), "processing", 0, 0, 0),
    (order("A_NEW_STATUS"), "processing", 0, 0, 0),
    (authorised(), "authorised", ALL, 0, 0),
    (authorised("PENDING"), "processing", 0, 0, 0),
    (authorised("VOIDED"), "voided", 0, 0, 0),
    (authorised("DENIED"), "failed", 0, 0, 0),
    (authorised("CAPTURED"), "processing", 0, 0, 0),
    (order(authorizations=[renewed(amount=LESS), authorisation()]), "authorised", 10000, 0, 0),
    (order(authorizations=[renewed(status="DENIED"), authorisation()]), "authorised", ALL, 0, 0),
    (captured("PENDING"), "processing", 0, 0, 0),
    (captured(), "captured", ALL, ALL, 0),
    (PARTLY, "captured", ALL, 10000, 0),
    (TRIED, "authorised", ALL, 0, 0),
    (TWICE, "captured", ALL, 10000, 0),
    (captured("REFUNDED", refund()), "captured", ALL, ALL, ALL),
    (captured("PARTIALLY_REFUNDED", refund("PENDING", amount=LESS), AWAY), "captured", ALL, ALL, 10000),
]


@pytest.mark.parametrize(("document", "status", "reserved", "taken", "given_back"), PAYMENTS)
async def test_how_a_payment_stands(document, status, reserved, taken, given_back):
    found = await gateway(behind_token(shown(document))).get(ORDER_ID, "trip-1")
    assert found.status == status
    sums = [found.authorised, found.captured, found.refunded]
    assert sums == [Money(amount_minor=sum_, currency="EUR") for sum_ in (reserved, taken, given_back)]
    assert (found.expires_at is not None) == (status == "authorised")
    assert found.approval_url == (APPROVAL_URL if status == "action_required" else None)


async def test_a_payment_says_why_it_failed():
    found = [
        await gateway(behind_token(shown(one))).get(ORDER_ID, "trip-1")
        for one in (authorised("DENIED"), TRIED, authorised())
    ]
    assert [one.failure for one in found] == ["DENIED", "DECLINED", None]


async def test_a_renewed_payment_ends_with_its_renewal():
    document = order(authorizations=[renewed(), authorisation()])
    found = await gateway(behind_token(shown(document))).get(ORDER_ID, "trip-1")
    assert found.expires_at == MADE_AT + timedelta(days=7)


READS = {
    "get": lambda provider: provider.get(ORDER_ID, "trip-1"),
    "get_refund": lambda provider: provider.get_refund(REFUND_ID, "trip-1"),
    "find_refund": lambda provider: provider.find_refund(ORDER_ID, REFUND_KEY, "trip-1"),
}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (LOST, OutcomeUnclear),
        (NOT_CONNECTED, VendorUnavailable),
        (paypal_error(500, name="INTERNAL_SERVER_ERROR"), VendorUnavailable),
        (paypal_error(429, name="RATE_LIMIT_REACHED"), VendorUnavailable),
        (httpx.Response(200, text="<html>"), VendorContractBroken),
        (shown({"status": "COMPLETED"}), VendorContractBroken),
        (paypal_error(404, "INVALID_RESOURCE_ID", "RESOURCE_NOT_FOUND"), VendorContractBroken),
    ],
)
@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_reads_raise_what_may_be_tried_again(read, answer, error):
    with pytest.raises(error):
        await read(gateway(behind_token(answer)))


async def test_a_refund_is_found_by_our_key():
    others = refund(id="1JU08902781691412", custom_id=f"{PAYMENT_ID}.refund-compensation.0")
    provider = gateway(behind_token(*[shown(captured("PARTIALLY_REFUNDED", others, refund())) for _ in range(2)]))
    found = await provider.find_refund(ORDER_ID, REFUND_KEY, "trip-1")
    assert found is not None
    assert found.provider_reference == REFUND_ID
    assert await provider.find_refund(ORDER_ID, f"{PAYMENT_ID}:refund-other:0", "trip-1") is None


async def test_an_unknown_order_is_found_by_calling_again_and_not_by_searching():
    provider = gateway(Vendor())
    assert provider.capabilities.idempotent_create
    assert not provider.capabilities.lookup_by_reference
    assert provider.capabilities.reauthorise
    with pytest.raises(NotImplementedError):
        await provider.find(PAYMENT_ID, NOW, "trip-1")


# ---------------------------------------------------------------------------------------------------------- amounts


@pytest.mark.parametrize(
    ("amount_minor", "currency", "sent"),
    [
        (12340, "EUR", "123.40"),
        (5, "USD", "0.05"),
        (500, "JPY", "500"),
        (50000, "HUF", "500"),
        (50000, "TWD", "500"),
        (50001, "HUF", "amount_out_of_range"),
        (50050, "TWD", "amount_out_of_range"),
        (50000, "KWD", "currency_not_supported"),
        (50000, "ISK", "currency_not_supported"),
    ],
)
async def test_amounts_as_paypal_writes_them(amount_minor, currency, sent):
    amount = Money(amount_minor=amount_minor, currency=currency)
    there = {"currency_code": currency, "value": sent}
    answered = order(authorizations=[authorisation(amount=there)])
    vendor = behind_token(shown(answered, 201))
    outcome = await gateway(vendor).authorise(first_request(amount=amount))
    if isinstance(outcome, Rejected):
        assert (outcome.code, vendor.requests) == (sent, [])
    else:
        body = orjson.loads(vendor.requests[-1].content)
        assert body["purchase_units"][0]["amount"] == there
        assert outcome.price == amount


# ------------------------------------------------------------------------------------------------- token and building


async def test_the_token_is_asked_for_with_our_credentials():
    vendor = behind_token(shown(authorised()))
    await gateway(vendor).get(ORDER_ID, "trip-1")
    assert vendor.requests[0].content == b"grant_type=client_credentials"
    assert vendor.requests[0].headers["authorization"] == f"Basic {base64.b64encode(b'client:secret').decode()}"
    assert vendor.requests[1].headers["authorization"] == "Bearer first"


async def test_a_token_that_is_refused_is_renewed_once():
    unauthorised = paypal_error(401, name="INVALID_TOKEN")
    vendor = behind_token(
        unauthorised, token("second"), shown(authorised()), unauthorised, token("third"), unauthorised
    )
    provider = gateway(vendor)
    assert (await provider.get(ORDER_ID, "trip-1")).status == "authorised"
    with pytest.raises(CredentialsRefused):
        await provider.get(ORDER_ID, "trip-1")
    sent = [request.headers["authorization"] for request in vendor.requests if request.method == "GET"]
    assert sent == ["Bearer first", "Bearer second", "Bearer second", "Bearer third"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (shown({"error": "invalid_client"}, 401), CredentialsRefused),
        (httpx.Response(500), VendorUnavailable),
        (LOST, VendorUnavailable),
    ],
)
async def test_without_a_token_nothing_is_done(answer, error):
    vendor = Vendor(answer)
    with pytest.raises(error):
        await gateway(vendor).authorise(first_request())
    assert vendor.asked() == [TOKEN_ASKED]


async def test_a_refusal_is_logged_by_paypals_number_and_not_by_its_words():
    with capture_logs() as logs:
        await gateway(behind_token(refused("INSTRUMENT_DECLINED"))).authorise(first_request())
    (entry,) = [one for one in logs if one["event"] == "vendor_problem"]
    assert (entry["issue"], entry["debug_id"], entry["status"]) == ("INSTRUMENT_DECLINED", "90957fca61718", 422)
    assert "told by PayPal" not in str(logs)


async def test_without_credentials_there_is_no_paypal():
    url = "http://127.0.0.1:9"
    given = {"paypal_client_id": "client", "paypal_client_secret": "secret"}
    for missing in given:
        assert build(Parts(settings_for(url, **{**given, missing: None}), Unbounded())) is None
    parts = Parts(settings_for(url, vendor_clock_scale=0.01, **given), Unbounded())
    provider = build(parts)
    assert provider is not None
    assert provider.capabilities.lookup_lag_s == pytest.approx(0.6)
    assert [vendor for vendor, _ in parts.https] == [provider.code]
    await parts.https.popitem()[1].aclose()
