"""Amadeus flights: what is found, at which price, and whether it is still the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from schema.errors import VendorContractBroken
from schema.money import Money
from tests.gateways.amadeus_documents import (
    FOUND_STATE,
    amadeus,
    amadeus_error,
    behind_token,
    gateway,
    offer,
    priced,
    pricing_of,
    segment,
)
from tests.gateways.support import PRICE, search_request


async def test_the_order_is_made_of_what_the_price_check_answers():
    answered = offer("130.00", lastTicketingDate="2026-12-20")
    check = await gateway(behind_token(priced(answered))).price(FOUND_STATE, "trip-1")
    assert check.price == Money(amount_minor=13000, currency="EUR")
    assert check.supplier_state == {"flight_offer": answered, "traveller_ids": ["1"], "priced": True}


LATER = [{"segments": [segment(1, "LHR", "CDG", 1)]}, {"segments": [segment(2, "CDG", "LHR", 5)]}]


@pytest.mark.parametrize(
    ("answered", "same"),
    [
        (offer("150.00", lastTicketingDate="2026-12-20"), True),
        (offer(itineraries=LATER), False),
        (offer(travelerPricings=[pricing_of(1, cabin="BUSINESS")]), False),
    ],
)
async def test_other_flights_or_cabins_are_another_version(answered, same):
    supplier = gateway(behind_token(amadeus([offer()]), priced(answered)))
    (found,) = await supplier.search(search_request(), "trip-1")
    check = await supplier.price(found.supplier_state, "trip-1")
    assert found.version is not None
    assert (found.version == check.version) == same


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (amadeus_error(400, 4926), "offer_expired"),
        (amadeus_error(400, 34107), "offer_expired"),
        (amadeus_error(404, 38196), "offer_expired"),
        (httpx.Response(404), "offer_expired"),
        (amadeus_error(400, 34651), "sold_out"),
        (priced(), "sold_out"),
        (priced(offer(), bookingRequirements={"mailingAddressRequired": True}), "vendor_rejected"),
        (
            priced(offer(), bookingRequirements={"travelerRequirements": [{"documentRequired": True}]}),
            "vendor_rejected",
        ),
    ],
)
async def test_an_offer_that_cannot_be_booked_has_no_price(answer, reason):
    check = await gateway(behind_token(answer)).price(FOUND_STATE, "trip-1")
    assert (check.price, check.reason) == (None, reason)


async def test_what_we_always_send_may_be_required():
    needs = {"emailAddressRequired": True, "phoneCountryCodeRequired": True, "travelerRequirements": None}
    check = await gateway(behind_token(priced(offer(), bookingRequirements=needs))).price(FOUND_STATE, "trip-1")
    assert check.price == PRICE


async def test_a_price_in_another_currency_is_none():
    with pytest.raises(VendorContractBroken):
        await gateway(behind_token(priced(offer(currency="USD")))).price(FOUND_STATE, "trip-1")


async def test_offers_are_sorted_and_unusable_ones_left_out():
    documents = [
        offer("200.00", id="dear"),
        {"id": "broken"},
        offer("1.00", currency="USD", id="other currency"),
        offer("1.001", id="fraction"),
        offer("1.00", paymentCardRequired=True, id="by card only"),
        offer("1.00", count=2, id="for two"),
        offer("100.00", id="cheap", new_field={"any": 1}, pricingOptions={"refundableFare": True}),
    ]
    before = datetime.now(UTC)
    found = await gateway(behind_token(amadeus(documents))).search(search_request(), "trip-1")
    assert [item.supplier_state["flight_offer"] for item in found] == [documents[-1], documents[0]]
    cheap = found[0].offer
    assert (cheap.refundable, cheap.holdable, cheap.cabin, cheap.seats) == (True, False, "economy", 1)
    assert [item.offer.refundable for item in found] == [True, False]
    assert before + timedelta(seconds=1790) < cheap.expires_at < before + timedelta(seconds=1810)
    assert cheap.item_key() == "BA301 2027-01-01T09:00|BA302 2027-01-04T09:00"
    assert cheap.segments[1].arrives_at == datetime(2027, 1, 4, 11, 15)  # noqa: DTZ001 - local, as a ticket prints it


@pytest.mark.parametrize(
    ("bags", "expected"),
    [
        ([{"quantity": 2}], 2),
        ([{"weight": 23, "weightUnit": "KG"}], 1),
        ([{"weight": 0, "weightUnit": "KG"}], 0),
        ([{"quantity": 0}], 0),
        ([None], None),
        ([{"quantity": 2}, {"quantity": 1}], 1),
        ([{"quantity": 2}, None], None),
    ],
)
async def test_bags_are_what_every_traveller_has(bags, expected):
    pricings = [pricing_of(number, bag) for number, bag in enumerate(bags, start=1)]
    answer = amadeus([offer(travelerPricings=pricings)])
    (found,) = await gateway(behind_token(answer)).search(search_request(travellers=len(bags)), "trip-1")
    assert found.offer.checked_bags == expected


async def test_no_flights_are_no_error_and_no_usable_ones_are():
    assert await gateway(behind_token(amadeus([]))).search(search_request(), "trip-1") == []
    with pytest.raises(VendorContractBroken):
        await gateway(behind_token(amadeus([offer(currency="USD")]))).search(search_request(), "trip-1")
