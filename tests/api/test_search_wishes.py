"""What a client wishes of a search: filters, order, currency, airports nearby; and equal offers of several suppliers as one."""

from datetime import timedelta
from itertools import pairwise

import pytest

from schema.money import Money
from schema.offers import FlightSegment
from tests.api.conftest import Caller
from tests.api.fakes import FakeSupplier, FakeVendors, offer_of, trip_day
from tests.api.searching import outcomes, searched

pytestmark = pytest.mark.usefixtures("empty_cache")


def _flight(number: str, hour: int, hours: float, amount_minor: int, *via: str, **changes: object):
    """To JFK, taking so long by the clocks of the airports, and back non-stop."""
    start = trip_day().replace(hour=hour)
    places = ["LHR", *via, "JFK"]
    legs = timedelta(hours=hours) / (len(places) - 1)
    out = [
        FlightSegment(carrier="BA", number=f"{number}{leg}", origin=here, destination=there,
                      departs_at=start + leg * legs, arrives_at=start + (leg + 1) * legs)
        for leg, (here, there) in enumerate(pairwise(places))
    ]  # fmt: skip
    home = FlightSegment(carrier="BA", number=f"{number}9", origin="JFK", destination="LHR",
                         departs_at=start, arrives_at=start + timedelta(hours=12))  # fmt: skip
    return offer_of("flight", amount_minor, segments=[*out, home], **changes)


@pytest.fixture
def choices(vendors: FakeVendors) -> FakeVendors:
    """Three flights, two hotels and two cars."""
    vendors.by_kind["flight"].offers = [
        _flight("1", 15, 4, 10_000, "BOS"),
        _flight("2", 12, 3, 20_000, checked_bags=1),
        _flight("3", 9, 5, 30_000, refundable=False, checked_bags=0),
    ]
    vendors.by_kind["hotel"].offers = [
        offer_of("hotel", 40_000, stars=3, room_type="Single"),
        offer_of("hotel", 50_000, stars=4.5),
    ]
    vendors.by_kind["car"].offers = [offer_of("car", 6_000), offer_of("car", 7_000, car_class="luxury")]
    return vendors


def _prices(body: dict) -> list[int]:
    return [offer["price"]["amount_minor"] // 1000 for offer in body["offers"]]


@pytest.mark.parametrize(
    ("filters", "prices"),
    [
        ({}, [6, 7, 10, 20, 30, 40, 50]),
        ({"direct_only": True}, [6, 7, 20, 30, 40, 50]),
        ({"min_checked_bags": 1}, [6, 7, 20, 40, 50]),
        ({"refundable_only": True}, [6, 7, 10, 20, 40, 50]),
        ({"price_min_minor": 7_000, "price_max_minor": 20_000}, [7, 10, 20]),
        ({"hotel_stars_min": 4}, [6, 7, 10, 20, 30, 50]),
        ({"car_classes": ["luxury", "mini"]}, [7, 10, 20, 30, 40, 50]),
    ],
)
@pytest.mark.usefixtures("choices")
async def test_filters(filters: dict, prices: list[int], caller: Caller) -> None:
    assert _prices(await searched(caller, filters=filters)) == prices


@pytest.mark.parametrize(
    ("sort", "prices"), [("price", [10, 20, 30]), ("duration", [20, 10, 30]), ("departure", [30, 20, 10])]
)
@pytest.mark.usefixtures("choices")
async def test_flights_in_the_order_that_is_wished(sort: str, prices: list[int], caller: Caller) -> None:
    assert _prices(await searched(caller, sort=sort, kinds=["flight"])) == prices


async def test_equal_offers_are_one_the_cheapest_first(caller: Caller, vendors: FakeVendors) -> None:
    vendors.more = [FakeSupplier("liteapi", "hotel"), FakeSupplier("third", "hotel")]
    dearest, cheapest, other = vendors.by_kind["hotel"], vendors.more[0], vendors.more[1]
    dearest.offers = [offer_of("hotel", 30_000), offer_of("hotel", 31_000)]
    cheapest.offers = [
        offer_of("hotel", price=Money(amount_minor=33_000, currency="USD"), name="HARBOUR  Hôtel", property_id="x9")
    ]
    other.offers = [offer_of("hotel", 10_000, room_type="Suite")]
    body = await searched(caller, kinds=["hotel"], display_currency="EUR")
    suite, first, second = body["offers"]
    assert (suite["supplier"], suite["also_from"]) == ("third", [])
    assert first["supplier"] == "liteapi"
    assert first["price"] == {"amount_minor": 33_000, "currency": "USD"}
    assert first["converted_price"] == {"amount_minor": 28_448, "currency": "EUR"}
    assert [(one["supplier"], one["price"]["amount_minor"]) for one in first["also_from"]] == [
        ("expedia_rapid", 30_000)
    ]
    assert (second["supplier"], second["also_from"]) == ("expedia_rapid", []), "a supplier's own offers stay apart"


async def test_what_cannot_be_converted_comes_last(caller: Caller, vendors: FakeVendors) -> None:
    vendors.by_kind["hotel"].offers = [
        offer_of("hotel", price=Money(amount_minor=1, currency="KWD")),
        offer_of("hotel"),
    ]
    body = await searched(caller, kinds=["hotel"])
    assert [offer["converted_price"] is None for offer in body["offers"]] == [False, True]
    limited = await searched(caller, kinds=["hotel"], filters={"price_max_minor": 99_999_999})
    assert len(limited["offers"]) == 1


@pytest.mark.parametrize(
    ("changes", "pairs"),
    [
        ({}, {"LHR-JFK"}),
        ({"filters": {"nearby_airports": True}}, {"LHR-JFK", "LHR-LGA", "LCY-JFK", "LCY-LGA"}),
        ({"destination": "PAR"}, {"LHR-CDG", "LHR-ORY"}),
    ],
)
async def test_airports_of_a_city(changes: dict, pairs: set[str], caller: Caller, vendors: FakeVendors) -> None:
    body = await searched(caller, **changes)
    assert outcomes(body) == {"duffel": "ok", "expedia_rapid": "ok", "duffel_cars": "ok"}
    flight, hotel = vendors.by_kind["flight"], vendors.by_kind["hotel"]
    assert {f"{one.origin}-{one.destination}" for one in flight.asked} == pairs
    assert len(hotel.asked) == 1
    assert body["suppliers"][0]["offers"] == len(pairs)
    repeated = await searched(caller, **changes)
    assert outcomes(repeated)["duffel"] == "cached"


async def test_one_pair_that_fails_takes_nothing_from_the_others(caller: Caller, vendors: FakeVendors) -> None:
    vendors.by_kind["flight"].fails_to = "LGA"
    body = await searched(caller, kinds=["flight"], filters={"nearby_airports": True})
    assert (outcomes(body), body["suppliers"][0]["offers"]) == ({"duffel": "error"}, 2)


async def test_the_same_city_twice_is_no_trip(caller: Caller) -> None:
    answer = await caller.post("/v1/searches", {"origin": "LHR", "destination": "LON"} | _dates())
    assert answer.status_code == 200
    answer = await caller.post("/v1/searches", {"origin": "LON", "destination": "LON"} | _dates())
    assert (answer.status_code, answer.json()["field"]) == (422, "/destination")


def _dates() -> dict[str, str]:
    day = trip_day().date()
    return {"departure_date": str(day), "return_date": str(day + timedelta(days=2))}
