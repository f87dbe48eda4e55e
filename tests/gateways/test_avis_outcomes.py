"""Avis Budget: status x operation -> outcome, and the token."""

from __future__ import annotations

import httpx
import orjson
import pytest

from gateways.avis import build
from gateways.parts import Parts
from gateways.traffic import Unbounded
from schema.errors import CredentialsRefused, InvariantBroken, OutcomeUnclear, VendorContractBroken, VendorUnavailable
from schema.money import Money
from schema.outcomes import Confirmed, Rejected, Unknown
from tests.gateways.avis_documents import (
    BOOKED_STATE,
    CANCEL,
    FOUND_STATE,
    NUMBER,
    QUOTE,
    QUOTED_STATE,
    RESERVE,
    SHOW,
    TOKEN,
    avis,
    avis_error,
    behind_token,
    gateway,
    quote,
    reserved,
)
from tests.gateways.conftest import settings_for
from tests.gateways.support import (
    LOST,
    NOT_CONNECTED,
    PRICE,
    REFERENCE,
    Vendor,
    ending,
    look_up,
    reservation,
    reservation_request,
    search_request,
    travellers,
)

HTML = httpx.Response(502, text="<html>Bad Gateway</html>")
UNAUTHORISED = httpx.Response(401, json={"error": "invalid_grant", "error_description": "token not found"})
FORBIDDEN = avis_error(403, "403")
LIMITED = avis_error(429, "429")
NOTHING = Money.zero("EUR")

REFUSALS = [
    (avis_error(404, "223"), "sold_out"),
    (avis_error(400, "223"), "sold_out"),
    (avis_error(400, "14105"), "offer_expired"),
    (avis_error(400, "14022"), "offer_expired"),
    (avis_error(400, "212"), "vendor_rejected"),
    (avis_error(400, "400"), "vendor_rejected"),
    (avis_error(415, "415"), "vendor_rejected"),
    (avis_error(500, "40018"), "unknown"),
    (avis_error(503, "503"), "unknown"),
    (avis_error(408, "408"), "unknown"),
    (HTML, "unknown"),
    (httpx.Response(202), "unknown"),
    (httpx.Response(201, text="<html>"), "unknown"),
    (avis(201, product={"brand": "Budget"}, reservation={}), "unknown"),
    (reserved(201, vehicle_status="OnRequest"), "unknown"),
    (reserved(201, vehicle_status="OnRequest", vehicle_onrequest_status="Confirmed"), "confirmed"),
    (reserved(201, vehicle_status="Available"), "confirmed"),
    (reserved(200), "confirmed"),
    (FORBIDDEN, "CredentialsRefused"),
    (LOST, "unknown"),
]


@pytest.mark.parametrize(("answer", "expected"), REFUSALS)
async def test_how_a_reservation_ends(answer, expected):
    vendor = behind_token(answer)
    assert await ending(gateway(vendor).book(reservation_request(QUOTED_STATE))) == expected
    assert vendor.asked() == [TOKEN, RESERVE]


@pytest.mark.parametrize("answer", [NOT_CONNECTED, LIMITED])
async def test_a_reservation_that_never_began_may_be_sent_again(answer):
    with pytest.raises(VendorUnavailable):
        await gateway(behind_token(answer)).book(reservation_request(QUOTED_STATE))


async def test_a_reservation_is_paid_by_our_voucher_and_names_our_reference():
    vendor = behind_token(reserved(201))
    outcome, state = await gateway(vendor).book(reservation_request(QUOTED_STATE))
    assert outcome == Confirmed(provider_reference=NUMBER, price=PRICE, record_locator=NUMBER)
    assert state == {**QUOTED_STATE, "last_name": travellers()[0].family_name}
    sent = orjson.loads(vendor.requests[1].content)
    assert sent["rate_totals"]["rate"]["quote_id"] == "quote-1"
    assert sent["reservation"]["remark"] == REFERENCE
    assert (sent["payment_preference"]["type"], sent["payment_preference"]["amount"]) == ("Voucher", 123.4)


async def test_a_car_on_request_is_told_with_its_number():
    """Nothing can look it up by our reference, so a person must be able to."""
    outcome, _ = await gateway(behind_token(reserved(201, vehicle_status="OnRequest"))).book(
        reservation_request(QUOTED_STATE)
    )
    assert isinstance(outcome, Unknown)
    assert NUMBER in outcome.reason


@pytest.mark.parametrize(
    ("check", "expected", "asked"),
    [
        (quote(), "confirmed", [TOKEN, QUOTE, RESERVE]),
        (quote(150), "price_changed", [TOKEN, QUOTE]),
        (avis_error(404, "223"), "sold_out", [TOKEN, QUOTE]),
        (avis_error(400, "14105"), "sold_out", [TOKEN, QUOTE]),
        (LOST, "VendorUnavailable", [TOKEN, QUOTE]),
        (HTML, "VendorUnavailable", [TOKEN, QUOTE]),
    ],
)
async def test_a_rate_that_was_never_quoted_is_quoted_first(check, expected, asked):
    vendor = behind_token(check, reserved(201))
    assert await ending(gateway(vendor).book(reservation_request(FOUND_STATE))) == expected
    assert vendor.asked() == asked


async def test_a_price_that_moved_is_told():
    outcome, _ = await gateway(behind_token(quote(150))).book(reservation_request(FOUND_STATE))
    assert isinstance(outcome, Rejected)
    assert outcome.price == Money(amount_minor=15000, currency="EUR")


FINDINGS = [
    (reserved(), "confirmed"),
    (reserved(vehicle_status="OnRequest", vehicle_onrequest_status="Pending"), "pending"),
    (reserved(vehicle_status="OnRequest", vehicle_onrequest_status="Denied"), "failed"),
    (reserved(vehicle_status="ANewStatus"), "pending"),
    (avis_error(404, "14036"), "cancelled"),
    (avis_error(400, "150004"), None),
    (avis_error(404, "150004"), None),
]


@pytest.mark.parametrize(("answer", "status"), FINDINGS)
async def test_finding_by_number_and_last_name(answer, status):
    vendor = behind_token(answer)
    found = await gateway(vendor).find(look_up(QUOTED_STATE, NUMBER))
    assert (found.status if found else None) == status
    query = vendor.requests[1].url.params
    assert dict(query) == {
        "brand": "Budget",
        "confirmation_number": NUMBER,
        "last_name": travellers()[0].family_name,
    }


async def test_what_was_found_can_be_cancelled():
    vendor = behind_token(reserved(totals={"rate": {"rate_code": "2G"}}), avis(product={"brand": "Budget"}))
    supplier = gateway(vendor)
    found = await supplier.find(look_up(QUOTED_STATE, NUMBER))
    assert found is not None
    assert (found.price, found.record_locator) == (None, NUMBER)
    assert (await supplier.cancel(found, "trip-1")).fee == NOTHING
    assert vendor.asked() == [TOKEN, SHOW, CANCEL]


async def test_nobody_can_look_by_our_reference():
    vendor = Vendor()
    with pytest.raises(NotImplementedError):
        await gateway(vendor).find(look_up(QUOTED_STATE))
    assert vendor.requests == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (LOST, OutcomeUnclear),
        (NOT_CONNECTED, VendorUnavailable),
        (LIMITED, VendorUnavailable),
        (FORBIDDEN, CredentialsRefused),
        (httpx.Response(200, text="<html>"), VendorContractBroken),
        (avis_error(404, "404"), VendorContractBroken),
    ],
)
@pytest.mark.parametrize("operation", ["find", "cancellation_fee", "cancel", "price", "search", "check"])
async def test_reads_and_undos_raise_what_may_be_tried_again(operation, answer, error):
    supplier = gateway(behind_token(answer))
    booked = reservation(BOOKED_STATE, reference=NUMBER)
    attempt = {
        "find": lambda: supplier.find(look_up(QUOTED_STATE, NUMBER)),
        "cancellation_fee": lambda: supplier.cancellation_fee(booked, "trip-1"),
        "cancel": lambda: supplier.cancel(booked, "trip-1"),
        "price": lambda: supplier.price(FOUND_STATE, "trip-1"),
        "search": lambda: supplier.search(search_request(), "trip-1"),
        "check": lambda: supplier.check("trip-1"),
    }[operation]
    with pytest.raises(error):
        await attempt()


CANCELS = [
    (avis(product={"brand": "Budget"}), NOTHING),
    (avis_error(404, "14036"), NOTHING),
    (avis_error(400, "14036"), NOTHING),
    (avis_error(400, "150004"), OutcomeUnclear),
    (avis_error(400, "220"), VendorContractBroken),
    (httpx.Response(200, json={"transaction": {}}), VendorContractBroken),
    (avis_error(408, "408"), OutcomeUnclear),
    (HTML, OutcomeUnclear),
]


@pytest.mark.parametrize(("answer", "expected"), CANCELS)
async def test_cancelling(answer, expected):
    vendor = behind_token(answer)
    attempt = gateway(vendor).cancel(reservation(BOOKED_STATE, reference=NUMBER), "trip-1")
    if isinstance(expected, Money):
        assert (await attempt).fee == expected
    else:
        with pytest.raises(expected):
            await attempt
    assert vendor.asked() == [TOKEN, CANCEL]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(reserved(), NOTHING), (avis_error(404, "14036"), NOTHING), (avis_error(400, "150004"), OutcomeUnclear)],
)
async def test_no_charge_for_cancelling_is_known(answer, expected):
    attempt = gateway(behind_token(answer)).cancellation_fee(reservation(BOOKED_STATE, reference=NUMBER), "trip-1")
    if isinstance(expected, Money):
        assert (await attempt).fee == expected
    else:
        with pytest.raises(expected):
            await attempt


async def test_an_undo_without_the_last_name_is_our_own_fault():
    with pytest.raises(InvariantBroken):
        await gateway(Vendor()).cancel(reservation(QUOTED_STATE, reference=NUMBER), "trip-1")


async def test_without_credentials_there_is_no_avis():
    url = "http://127.0.0.1:9"
    for missing in ("avis_client_id", "avis_client_secret"):
        given = {"avis_client_id": "client-id-1", "avis_client_secret": "secret", missing: None}
        assert build(Parts(settings_for(url, **given), Unbounded())) is None
    parts = Parts(settings_for(url, avis_client_id="client-id-1", avis_client_secret="secret"), Unbounded())
    supplier = build(parts)
    assert supplier is not None
    assert [vendor for vendor, _ in parts.https] == [supplier.vendor]
    await parts.https.popitem()[1].aclose()
