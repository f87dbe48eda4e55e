"""LiteAPI: what is offered, at what price, what a prebook changes, and what a cancellation costs."""

from __future__ import annotations

from datetime import timedelta

import httpx
import orjson
import pytest

from schema.errors import VendorContractBroken
from schema.money import Money
from schema.offers import HotelOffer
from tests.gateways.liteapi_documents import (
    BOOKING_ID,
    FOUND_STATE,
    PREBOOKED_STATE,
    RATES,
    booking,
    data,
    gateway,
    liteapi_error,
    not_found,
    penalty,
    policies,
    prebook,
    rate,
    rates,
    room_type,
)
from tests.gateways.support import NOW, PRICE, Vendor, reservation, search_request

PAST = (NOW - timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S")
SOON = (NOW + timedelta(hours=3)).strftime("%Y-%m-%d %H:%M:%S")


async def found_by(answer, **changes):
    return await gateway(Vendor(answer)).search(search_request(**changes), "trip-1")


async def test_an_offer_is_what_our_account_is_charged_for_a_room():
    vendor = Vendor(rates())
    (found,) = await gateway(vendor).search(search_request(), "trip-1")
    offer = found.offer
    assert isinstance(offer, HotelOffer)
    assert (offer.price, offer.refundable, offer.holdable) == (PRICE, True, False)
    assert (offer.property_id, offer.name, offer.city, offer.stars) == ("lp1897", "Grand", "Paris", 4.5)
    assert offer.room_type == "King Room"
    assert found.supplier_state == FOUND_STATE
    assert vendor.asked() == [RATES]
    sent = orjson.loads(vendor.requests[0].content)
    assert (sent["iataCode"], sent["occupancies"], sent["timeout"]) == ("CDG", [{"adults": 1}], 4)


@pytest.mark.parametrize(
    "offered",
    [
        room_type(rate(paymentTypes=["PROPERTY_PAY"])),
        room_type(loyaltyMembershipIdRequired=True),
        room_type(rate(maxOccupancy=1)),
    ],
)
async def test_rates_that_are_not_for_us_are_left_out(offered):
    assert await found_by(rates(offered), travellers=2) == []


async def test_what_may_be_paid_to_liteapi_or_at_the_hotel_is_for_us():
    assert len(await found_by(rates(room_type(rate(paymentTypes=["NUITEE_PAY", "PROPERTY_PAY"]))))) == 1


@pytest.mark.parametrize(
    "offered",
    [
        room_type(rate(currency="USD")),
        room_type(rate(), rate()),
        room_type(rate(retailRate={"total": []})),
        room_type(offerId=None),
    ],
)
async def test_an_offer_that_breaks_the_contract_is_left_out(offered):
    (found,) = await found_by(rates(offered, room_type()))
    assert found.offer.price == PRICE
    with pytest.raises(VendorContractBroken):
        await found_by(rates(offered))


async def test_a_hotel_without_an_id_does_not_harm_the_others():
    nameless, known = {"roomTypes": [room_type()]}, {"hotelId": "lp1897", "roomTypes": [room_type()]}
    assert len(await found_by(data([nameless, known, {"hotelId": "lp2"}]))) == 1


async def test_a_hotel_without_content_is_named_by_its_id():
    (found,) = await found_by(rates(hotel={}))
    assert isinstance(found.offer, HotelOffer)
    assert (found.offer.name, found.offer.city, found.offer.stars) == ("Hotel lp1897", "Paris", None)


@pytest.mark.parametrize(
    "answer",
    [not_found(), liteapi_error(400, 2001), liteapi_error(400, 4000, "hotel ids not found"), data([])],
)
async def test_no_rooms_are_no_error(answer):
    assert await found_by(answer) == []


async def test_a_day_trip_needs_no_hotel():
    request = search_request()
    assert await gateway(Vendor()).search(request.model_copy(update={"return_date": request.departure_date}), "t") == []


# ------------------------------------------------------------------------------------------------------------ prebook


@pytest.mark.parametrize(
    ("answer", "price", "reason"),
    [
        (prebook(), PRICE, None),
        (prebook(price=150), Money(amount_minor=15000, currency="EUR"), None),
        (liteapi_error(400, 4002, "invalid offerId"), None, "rate_no_longer_available (4002)"),
        (liteapi_error(408, 4040, "outdated offerId"), None, "rate_no_longer_available (4040)"),
        (liteapi_error(400, 1008), None, "sold_out"),
    ],
)
async def test_checking_a_price(answer, price, reason):
    check = await gateway(Vendor(answer)).price(FOUND_STATE, "trip-1")
    assert (check.price, check.reason) == (price, reason)
    assert check.supplier_state == (PREBOOKED_STATE if price else None)


async def test_a_prebook_in_another_currency_is_no_price():
    with pytest.raises(VendorContractBroken):
        await gateway(Vendor(prebook(currency="USD"))).price(FOUND_STATE, "trip-1")


def sold_as(**changes: object) -> httpx.Response:
    return prebook(roomTypes=[{"rates": [rate(**{"name": "King Room - Room only", **changes})]}])


@pytest.mark.parametrize(
    ("answer", "same"),
    [
        (prebook(), True),
        (prebook(price=150), True),
        (sold_as(name="KING ROOM"), True),
        (sold_as(cancellationPolicies=None), True),
        (sold_as(name="Twin Room - Room only"), False),
        (sold_as(cancellationPolicies=policies(tag="NRFN")), False),
        (prebook(cancellationChanged=True), False),
        (prebook(boardChanged=True), False),
        (prebook(hotelId="lp2"), False),
        (prebook(checkout=NOW.date().isoformat()), False),
    ],
)
async def test_a_prebook_of_something_else_has_another_version(answer, same):
    (found,) = await found_by(rates())
    check = await gateway(Vendor(answer)).price(found.supplier_state, "trip-1")
    assert found.version is not None
    assert (check.version == found.version) is same


# --------------------------------------------------------------------------------------------------------------- fees

FEES = [
    (policies(), 0),
    (policies(penalty(SOON, 123.4)), 0),
    (policies(penalty(PAST, 50)), 5000),
    (policies(penalty(PAST, 50), penalty(PAST, 80.5), penalty(SOON, 123.4)), 8050),
    (policies(penalty(PAST[:10], 50)), 5000),
    (policies(penalty(PAST, 500)), 12340),
    (policies(penalty(SOON, 50), tag="NRFN"), 12340),
    # What cannot be read counts against the traveller: the quote is never too low.
    (policies(penalty("some day", 50)), 5000),
    (policies(penalty(PAST, 50, type="percent")), 12340),
    (policies(penalty(PAST, 50, currency="USD")), 12340),
    (policies(tag=""), 12340),
]


@pytest.mark.parametrize(("terms", "fee_minor"), FEES)
async def test_what_a_cancellation_costs(terms, fee_minor):
    supplier = gateway(Vendor(data(booking(cancellationPolicies=terms))))
    quoted = await supplier.cancellation_fee(reservation({}, reference=BOOKING_ID), "trip-1")
    assert quoted.fee == Money(amount_minor=fee_minor, currency="EUR")


@pytest.mark.parametrize(
    ("cancelled", "fee_minor"),
    [
        ({"cancelledAt": (NOW - timedelta(days=2)).isoformat()}, 0),
        ({"cancelledAt": NOW.isoformat()}, 5000),
        ({"cancelledAt": NOW.isoformat(), "amountRefunded": 0}, 5000),
        ({"cancelledAt": NOW.isoformat(), "amountRefunded": 123.4}, 0),
    ],
)
async def test_what_a_cancellation_has_cost(cancelled, fee_minor):
    shown = booking("CANCELLED", cancellationPolicies=policies(penalty(PAST, 50)), **cancelled)
    kept = await gateway(Vendor(data(shown))).cancellation_fee(reservation({}, reference=BOOKING_ID), "trip-1")
    assert kept.fee == Money(amount_minor=fee_minor, currency="EUR")
