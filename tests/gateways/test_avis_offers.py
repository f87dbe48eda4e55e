"""Avis Budget: what is offered by which brand, and what a quote says."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import httpx
import pytest

from schema.errors import VendorContractBroken, VendorUnavailable
from schema.money import Money
from schema.offers import CarOffer
from tests.gateways.avis_documents import (
    FOUND_STATE,
    LOCATIONS,
    QUOTED_STATE,
    TOKEN,
    VEHICLES,
    avis_error,
    behind_token,
    desk,
    desks,
    gateway,
    quote,
    rate_totals,
    vehicle,
    vehicles,
)
from tests.gateways.support import DEPARTURE, LOST, PRICE, search_request

HTML = httpx.Response(502, text="<html>Bad Gateway</html>")


async def found_in(*answers, **changes):
    return await gateway(behind_token(*answers)).search(search_request(**changes), "trip-1")


async def test_an_offer_of_the_desk_at_the_airport():
    vendor = behind_token(desks(), vehicles())
    (found,) = await gateway(vendor).search(search_request(), "trip-1")
    offer = found.offer
    assert isinstance(offer, CarOffer)
    assert (offer.price, offer.refundable, offer.holdable, offer.airport) == (PRICE, False, False, "CDG")
    assert (offer.vendor_name, offer.car_name, offer.car_class) == ("Budget", "Ford Fiesta", "economy")
    assert (offer.pickup_place, offer.dropoff_place) == ("Budget at CDG", "Budget at CDG")
    assert offer.pickup_at == datetime.combine(DEPARTURE, time(11, 0))
    assert offer.dropoff_at == datetime.combine(DEPARTURE + timedelta(days=3), time(10, 0))
    assert found.supplier_state == FOUND_STATE
    assert vendor.asked() == [TOKEN, LOCATIONS, VEHICLES]


async def test_desks_are_asked_for_once():
    vendor = behind_token(desks(), vehicles(), vehicles())
    supplier = gateway(vendor)
    for _ in range(2):
        await supplier.search(search_request(), "trip-1")
    assert vendor.asked() == [TOKEN, LOCATIONS, VEHICLES, VEHICLES]


async def test_only_desks_of_the_airport_itself_are_asked():
    others = [desk(code="ORY"), desk("Payless", at_airport=False), desk("Truck")]
    vendor = behind_token(desks(*others, desk("Avis")), vehicles())
    (found,) = await gateway(vendor).search(search_request(), "trip-1")
    assert found.supplier_state["brand"] == "Avis"
    assert vendor.requests[-1].url.params["brand"] == "Avis"


@pytest.mark.parametrize("answer", [desks(desk(code="ORY")), avis_error(404, "609"), avis_error(400, "225")])
async def test_no_desk_is_no_error_and_is_asked_for_again(answer):
    vendor = behind_token(answer, desks(), vehicles())
    supplier = gateway(vendor)
    assert await supplier.search(search_request(), "trip-1") == []
    assert len(await supplier.search(search_request(), "trip-1")) == 1


@pytest.mark.parametrize("answer", [avis_error(404, "223"), avis_error(400, "223"), avis_error(404, "500708")])
async def test_sold_out_is_no_error(answer):
    assert await found_in(desks(), answer) == []


@pytest.mark.parametrize("trouble", [HTML, LOST, httpx.Response(200, text="<html>"), avis_error(400, "400")])
async def test_a_brand_in_trouble_does_not_harm_the_others(trouble):
    found = await found_in(
        desks(desk("Avis"), desk("Budget"), desk("Payless")),
        vehicles(vehicle(amount=200.0)),
        trouble,
        vehicles(vehicle(amount=150.0)),
    )
    assert [item.supplier_state["brand"] for item in found] == ["Payless", "Avis"], "cheapest first"


async def test_all_brands_in_trouble_is_an_error():
    with pytest.raises(VendorUnavailable):
        await found_in(desks(desk("Avis"), desk("Budget")), HTML, HTML)


@pytest.mark.parametrize(
    "found",
    [
        vehicle(vehicle_status="OnRequest"),
        vehicle(vehicle_status="ANewStatus"),
        vehicle(seats="2"),
    ],
)
async def test_cars_that_are_not_for_us_are_left_out(found):
    assert await found_in(desks(), vehicles(found), travellers=3) == []


@pytest.mark.parametrize(
    "broken",
    [
        {**vehicle(), "rate_totals": {"rate": {"rate_code": "2G", "currency": "EUR"}}},
        {**vehicle(), "rate_totals": {**rate_totals(), "totals": {}}},
        vehicle(sipp_code=None),
    ],
)
async def test_a_vehicle_that_breaks_the_contract_is_left_out(broken):
    assert len(await found_in(desks(), vehicles(broken, vehicle()))) == 1
    with pytest.raises(VendorContractBroken):
        await found_in(desks(), vehicles(broken))


@pytest.mark.parametrize(
    ("sipp", "words"),
    [
        ("MBMR", "mini"),
        ("NDAR", "mini"),
        ("CCMR", "compact"),
        ("IDAR", "intermediate"),
        ("SFAR", "standard"),
        ("FVAR", "fullsize"),
        ("PCAR", "premium"),
        ("WDAR", "luxury"),
        ("XXAR", "special"),
        ("OFAR", "special"),
    ],
)
async def test_the_class_is_the_first_letter_of_the_sipp_code(sipp, words):
    (found,) = await found_in(desks(), vehicles(vehicle(sipp)))
    assert isinstance(found.offer, CarOffer)
    assert found.offer.car_class == words


async def test_a_version_is_of_the_car_and_not_of_its_price():
    first, second, other = await found_in(
        desks(), vehicles(vehicle(), vehicle(amount=150.0), vehicle("CCMR", amount=200.0))
    )
    assert first.version == second.version != other.version


@pytest.mark.parametrize(
    ("answer", "price", "reason"),
    [
        (quote(), PRICE, None),
        (quote(150), Money(amount_minor=15000, currency="EUR"), None),
        (avis_error(404, "223"), None, "sold_out"),
        (avis_error(400, "14105"), None, "rate_no_longer_available (14105)"),
        (avis_error(400, "231"), None, "rate_no_longer_available (231)"),
    ],
)
async def test_checking_a_price(answer, price, reason):
    check = await gateway(behind_token(answer)).price(FOUND_STATE, "trip-1")
    assert (check.price, check.reason, check.version) == (price, reason, None)
    assert check.supplier_state == (QUOTED_STATE if price else None)


@pytest.mark.parametrize("answer", [quote(currency="USD"), quote(quote_id=None)])
async def test_a_quote_that_keeps_no_price_is_none(answer):
    with pytest.raises(VendorContractBroken):
        await gateway(behind_token(answer)).price(FOUND_STATE, "trip-1")
