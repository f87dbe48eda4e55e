"""LiteAPI: status x operation -> outcome."""

from __future__ import annotations

from datetime import timedelta

import httpx
import orjson
import pytest

from gateways.liteapi import build
from gateways.parts import Parts
from gateways.traffic import Unbounded
from schema.errors import CredentialsRefused, OutcomeUnclear, VendorContractBroken, VendorUnavailable
from schema.money import Money
from schema.outcomes import Confirmed, Rejected
from tests.gateways.conftest import settings_for
from tests.gateways.liteapi_documents import (
    BOOK,
    BOOKING,
    BOOKING_ID,
    BOOKINGS,
    CANCEL,
    FOUND_STATE,
    PREBOOK,
    PREBOOKED_STATE,
    booking,
    cancellation,
    data,
    gateway,
    liteapi_error,
    not_found,
    policies,
    prebook,
)
from tests.gateways.support import (
    LOST,
    NOT_CONNECTED,
    NOW,
    PRICE,
    REFERENCE,
    Vendor,
    ending,
    look_up,
    reservation,
    reservation_request,
    search_request,
)

HTML = httpx.Response(502, text="<html>Bad Gateway</html>")
UNAUTHORISED = liteapi_error(401, 401)
LIMITED = liteapi_error(429, 429)
DUPLICATE = liteapi_error(400, 4005, "duplicate booking attempt with existing client reference")

REFUSALS = [
    (DUPLICATE, "unknown"),
    (liteapi_error(400, 4002, "invalid prebookId, rate not found"), "offer_expired"),
    (liteapi_error(400, 4002, "guests: required"), "vendor_rejected"),
    (liteapi_error(400, 4010, "prebookId data validation failed"), "vendor_rejected"),
    (liteapi_error(400, 4040, "outdated offerId"), "offer_expired"),
    (liteapi_error(400, 2001, "no availability found"), "sold_out"),
    # Refused with 400 as well, but after the hotel was asked: it may have the booking.
    (liteapi_error(400, 2010, "booking not confirmed"), "unknown"),
    (liteapi_error(400, 2013, "booking failed, provider booking response is invalid"), "unknown"),
    (liteapi_error(400, 2014, "booking incomplete, booking data was not updated"), "unknown"),
    (liteapi_error(400, 5000, "booking initial save failed, please try again"), "unknown"),
    (httpx.Response(400, text="<html>"), "unknown"),
    (liteapi_error(408, 4016), "unknown"),
    (liteapi_error(500, 4002), "unknown"),
    (HTML, "unknown"),
    (httpx.Response(202), "unknown"),
    (httpx.Response(204), "unknown"),
    (httpx.Response(200, text="<html>"), "unknown"),
    (data({"status": "CONFIRMED"}), "unknown"),
    (data(booking("PENDING")), "unknown"),
    (data(booking("A_NEW_STATUS")), "unknown"),
    (data(booking("CANCELLED")), "unknown"),
    (UNAUTHORISED, "CredentialsRefused"),
    (liteapi_error(403, 403), "CredentialsRefused"),
    (LOST, "unknown"),
]


@pytest.mark.parametrize(("answer", "expected"), REFUSALS)
async def test_a_booking_that_is_not_confirmed(answer, expected):
    vendor = Vendor(answer)
    ended = await ending(gateway(vendor).book(reservation_request(PREBOOKED_STATE)))
    assert ended in (expected, "RateLimited") if expected == "VendorUnavailable" else ended == expected, ended
    assert vendor.asked() == [BOOK]


async def test_a_booking_is_made_under_our_reference():
    vendor = Vendor(data(booking()))
    outcome, state = await gateway(vendor).book(reservation_request(PREBOOKED_STATE, count=2))
    assert outcome == Confirmed(provider_reference=BOOKING_ID, price=PRICE, record_locator="H1")
    assert state == {**PREBOOKED_STATE, "booking_id": BOOKING_ID}
    sent = orjson.loads(vendor.requests[0].content)
    assert (sent["clientReference"], sent["prebookId"]) == (REFERENCE, "zzWkJcdgk")
    assert len(sent["guests"]) == 1, "one guest for each room, and we book one"


@pytest.mark.parametrize(
    ("check", "expected", "asked"),
    [
        (prebook(), "confirmed", [PREBOOK, BOOK]),
        (prebook(price=150), "price_changed", [PREBOOK]),
        (liteapi_error(400, 2001), "sold_out", [PREBOOK]),
        (liteapi_error(408, 4040, "outdated offerId"), "sold_out", [PREBOOK]),
        (liteapi_error(408, 4016), "VendorUnavailable", [PREBOOK]),
        (LOST, "VendorUnavailable", [PREBOOK]),
        (HTML, "VendorUnavailable", [PREBOOK]),
    ],
)
async def test_a_rate_that_was_never_prebooked_is_prebooked_first(check, expected, asked):
    vendor = Vendor(check, data(booking()))
    assert await ending(gateway(vendor).book(reservation_request(FOUND_STATE))) == expected
    assert vendor.asked() == asked


async def test_a_price_that_moved_is_told():
    outcome, _ = await gateway(Vendor(prebook(price=150))).book(reservation_request(FOUND_STATE))
    assert isinstance(outcome, Rejected)
    assert outcome.price == Money(amount_minor=15000, currency="EUR")


FINDINGS = [
    (data([booking()]), "confirmed"),
    (data([booking("PENDING")]), "pending"),
    (data([booking("A_NEW_STATUS")]), "pending"),
    (data([booking("CANCELLED")]), "cancelled"),
    (data([booking("CANCELED")]), "cancelled"),
    (data([booking("CANCELLED_WITH_CHARGES")]), "cancelled"),
    (data([booking("CANCELLED"), booking(), booking("CANCELLED")]), "confirmed"),
    (data([booking(clientReference="somebody-elses")]), None),
    (data([]), None),
    (data(None), None),
    (not_found(), None),
]


@pytest.mark.parametrize(("answer", "status"), FINDINGS)
async def test_finding_by_reference(answer, status):
    vendor = Vendor(answer)
    found = await gateway(vendor).find(look_up(PREBOOKED_STATE))
    assert (found.status if found else None) == status
    assert vendor.requests[0].url.params["clientReference"] == REFERENCE


async def test_of_several_bookings_the_newest_is_ours():
    older = booking(bookingId="old", createdAt=(NOW - timedelta(days=1)).isoformat())
    found = await gateway(Vendor(data([booking(), older]))).find(look_up(PREBOOKED_STATE))
    assert found is not None
    assert found.provider_reference == BOOKING_ID


async def test_finding_by_id_first():
    vendor = Vendor(not_found(), data([booking()]))
    assert await gateway(vendor).find(look_up(PREBOOKED_STATE, BOOKING_ID)) is not None
    assert vendor.asked() == [BOOKING, BOOKINGS]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (LOST, OutcomeUnclear),
        (NOT_CONNECTED, VendorUnavailable),
        (LIMITED, VendorUnavailable),
        (UNAUTHORISED, CredentialsRefused),
        (httpx.Response(200, text="<html>"), VendorContractBroken),
        (liteapi_error(400, 5000), VendorContractBroken),
    ],
)
@pytest.mark.parametrize("operation", ["find", "cancellation_fee", "price", "search", "check"])
async def test_reads_raise_what_may_be_tried_again(operation, answer, error):
    supplier = gateway(Vendor(answer))
    attempt = {
        "find": lambda: supplier.find(look_up(PREBOOKED_STATE)),
        "cancellation_fee": lambda: supplier.cancellation_fee(reservation({}, reference=BOOKING_ID), "trip-1"),
        "price": lambda: supplier.price(FOUND_STATE, "trip-1"),
        "search": lambda: supplier.search(search_request(), "trip-1"),
        "check": lambda: supplier.check("trip-1"),
    }[operation]
    with pytest.raises(error):
        await attempt()


CHARGED = booking("CANCELLED_WITH_CHARGES", cancellationPolicies=policies(tag="NRFN"))
CANCELS = [
    ([data(cancellation(cancellation_fee=25.0, refund_amount=98.4))], 2500, CANCEL),
    ([data(cancellation("CANCELLED_WITH_CHARGES", cancellation_fee=123.4))], 12340, CANCEL),
    # The fee is not promised; nor is a body where nothing changed, because it was cancelled before.
    ([data(cancellation()), data(booking("CANCELLED"))], 0, BOOKING),
    ([httpx.Response(304), data(CHARGED)], 12340, BOOKING),
    ([httpx.Response(304), data(booking("CANCELLED", amountRefunded=100))], 2340, BOOKING),
    ([liteapi_error(400, 1000), data(booking("CANCELLED"))], 0, BOOKING),
    ([httpx.Response(304), data(booking())], VendorContractBroken, BOOKING),
    ([liteapi_error(400, 5000), data(booking())], VendorContractBroken, BOOKING),
    ([not_found(), not_found()], OutcomeUnclear, BOOKING),
    ([httpx.Response(202)], OutcomeUnclear, CANCEL),
    ([data(cancellation("PENDING"))], OutcomeUnclear, CANCEL),
    ([liteapi_error(408, 4016)], OutcomeUnclear, CANCEL),
    ([HTML], OutcomeUnclear, CANCEL),
    ([LOST], OutcomeUnclear, CANCEL),
    ([NOT_CONNECTED], VendorUnavailable, CANCEL),
    ([UNAUTHORISED], CredentialsRefused, CANCEL),
]


@pytest.mark.parametrize(("answers", "expected", "asked"), CANCELS)
async def test_cancelling(answers, expected, asked):
    vendor = Vendor(*answers)
    attempt = gateway(vendor).cancel(reservation({}, reference=BOOKING_ID), "trip-1")
    if isinstance(expected, int):
        assert (await attempt).fee == Money(amount_minor=expected, currency="EUR")
    else:
        with pytest.raises(expected):
            await attempt
    assert vendor.asked()[-1] == asked
    assert vendor.answers == []


async def test_without_a_key_there_is_no_liteapi():
    url = "http://127.0.0.1:9"
    assert build(Parts(settings_for(url, liteapi_api_key=None), Unbounded())) is None
    parts = Parts(settings_for(url, liteapi_api_key="sand_x", vendor_clock_scale=0.5), Unbounded())
    supplier = build(parts)
    assert supplier is not None
    assert supplier.capabilities.lookup_lag_s == 30
    # Both hosts under one name: what bounds the calls to one bounds those to the other.
    assert {vendor for vendor, _ in parts.https} == {supplier.vendor}
    assert len(parts.https) == 2
    for http in parts.https.values():
        await http.aclose()
