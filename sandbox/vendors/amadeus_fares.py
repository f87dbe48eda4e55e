"""What Amadeus sells: the flights that Duffel's simulation sells too, at prices of its own.

An offer is no more than its document, as in reality: the client carries it from the search to the pricing and the order. So
nothing is kept of it but its fate (sold out, dearer), under what it is made of: flights, fare and cabin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, cast

from sandbox.content import Airport, Flight, Itinerary
from sandbox.operations import is_sold
from sandbox.timetable import itineraries_on
from sandbox.vendors.amadeus_http import VENDOR
from sandbox.world import JsonObject, World

CABINS: Final = {"ECONOMY": 100, "PREMIUM_ECONOMY": 170, "BUSINESS": 340, "FIRST": 550}
"""Cabins, and what they cost beside economy, in percent."""
SHARES: Final = {
    "ADULT": 100,
    "SENIOR": 100,
    "YOUNG": 100,
    "STUDENT": 100,
    "CHILD": 75,
    "SEATED_INFANT": 75,
    "HELD_INFANT": 10,
}
"""Types of traveller, and what each pays, in percent."""
PER_EURO: Final = {"EUR": 100, "USD": 109, "GBP": 85}
"""Currencies that are sold in, in percent of a euro. All have two decimals."""

_JOURNEYS: Final = 6
"""Ways to fly in one answer; each in two fares."""
_NOT_SOLD: Final = "ZZ"
"""Duffel's own test airline."""
_PAR: Final = 10_000
_DEVIATION: Final = (-300, 600)
"""From Duffel's price, in hundredths of a percent: which supplier is cheaper is for the dice."""


@dataclass(frozen=True, slots=True)
class Brand:
    """What a fare is called, costs (in percent) and allows. `refund_penalty`: percent of the total; None is no refund."""

    name: str
    percent: int
    refund_penalty: int | None
    checked_bags: int


_LIGHT: Final = Brand("LIGHT", 100, None, 0)
_STANDARD: Final = Brand("STANDARD", 122, 30, 1)
_FLEX: Final = Brand("FLEX", 175, 0, 2)
BRANDS: Final = {brand.name: brand for brand in (_LIGHT, _STANDARD, _FLEX)}


@dataclass(frozen=True, slots=True)
class Leg:
    """One part of a journey as it is searched for."""

    origin: Airport
    destination: Airport
    on: date


@dataclass(frozen=True, slots=True)
class Fare:
    """A way to fly the whole journey, in a brand and a cabin."""

    ways: tuple[Itinerary, ...]
    brand: Brand
    cabin: str

    @property
    def flights(self) -> list[Flight]:
        return [flight for way in self.ways for flight in way.flights]

    @property
    def journey(self) -> str:
        """Names the flights, whatever the fare."""
        return "|".join(
            f"{flight.carrier.code}{flight.number} {flight.departs:%Y-%m-%dT%H:%M}" for flight in self.flights
        )

    @property
    def key(self) -> str:
        return f"{self.journey}|{self.brand.name}|{self.cabin}"

    def departed(self, now: datetime) -> bool:
        """Whether the journey has begun."""
        return self.flights[0].departs <= now


@dataclass(frozen=True, slots=True)
class Price:
    """What one traveller pays, in minor units."""

    base_minor: int
    tax_minor: int

    @property
    def total_minor(self) -> int:
        return self.base_minor + self.tax_minor


def journeys(world: World, legs: Sequence[Leg]) -> list[tuple[tuple[Itinerary, ...], tuple[Brand, Brand]]]:
    """Ways to fly all legs, each with the two brands it is sold in: there and back as the other supplier pairs them."""
    per_leg = [itineraries_on(world, leg.origin, leg.destination, leg.on) for leg in legs]
    if not all(per_leg):
        return []
    found: list[tuple[tuple[Itinerary, ...], tuple[Brand, Brand]]] = []
    for number, outbound in enumerate(per_leg[0][:_JOURNEYS]):
        ways = (outbound, *(later[number % len(later)] for later in per_leg[1:]))
        if not any(flight.carrier.code == _NOT_SOLD for way in ways for flight in way.flights):
            found.append((ways, (_LIGHT, _STANDARD) if number % 2 == 0 else (_STANDARD, _FLEX)))
    return found


def find_way(world: World, leg: Leg, flights: Sequence[tuple[str, str, str]]) -> Itinerary | None:
    """The way to fly a leg with these flights (carrier, number, local departure `YYYY-MM-DDThh:mm:ss`), if it is sold."""
    for way in itineraries_on(world, leg.origin, leg.destination, leg.on):
        told = [(each.carrier.code, each.number, local_time(each.departs)) for each in way.flights]
        if told == list(flights) and not any(code == _NOT_SOLD for code, _, _ in told):
            return way
    return None


def local_time(moment: datetime) -> str:
    """As Amadeus writes it: local, without a zone."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def price_for(world: World, fare: Fare, traveler_type: str, currency: str) -> Price:
    """What a traveller of this type pays as of now."""
    deviation = world.random(VENDOR, "price", fare.journey).randint(*_DEVIATION)
    share = SHARES[traveler_type]
    fares_minor = sum(way.fare_minor for way in fare.ways)
    base_minor = _part(
        fares_minor * share * fare.brand.percent * CABINS[fare.cabin] * (_PAR + deviation), 100 * 100 * 100 * _PAR
    )
    tax_minor = _part(base_minor * 14 + 850 * len(fare.ways) * share, 100)
    factor = cast(int, _fate(world, fare).get("factor", _PAR)) * PER_EURO[currency]
    total_minor = _part((base_minor + tax_minor) * factor, _PAR * 100)
    taxed_minor = _part(tax_minor * factor, _PAR * 100)
    return Price(total_minor - taxed_minor, taxed_minor)


def _part(amount: int, divisor: int) -> int:
    """The quotient, rounded half up."""
    return (2 * amount + divisor) // (2 * divisor)


# ------------------------------------------------------------------------------------------------------------ fate


def is_sold_out(world: World, fare: Fare) -> bool:
    """Whether nobody can buy it any more."""
    return _fate(world, fare).get("sold_out") is True or not all(is_sold(world, flight) for flight in fare.flights)


def sell_out(world: World, fare: Fare) -> None:
    """From now on nobody can buy it."""
    _keep_fate(world, fare, {"sold_out": True})


def change_price(world: World, fare: Fare, percent: float) -> None:
    """From now on it costs so much more."""
    factor = cast(int, _fate(world, fare).get("factor", _PAR))
    _keep_fate(world, fare, {"factor": round(factor * (1 + percent / 100))})


def _fate(world: World, fare: Fare) -> JsonObject:
    fate = world.get(VENDOR, "fate", fare.key)
    if fate is None or world.now() >= datetime.fromisoformat(cast(str, fate["until"])):
        return {}
    return fate


def _keep_fate(world: World, fare: Fare, change: JsonObject) -> None:
    # Every search finds the same fare again: what befell it lasts as long as a client may carry the offer, not for good.
    until = world.now() + timedelta(seconds=world.settings.offer_ttl_s)
    world.put(VENDOR, "fate", fare.key, {**_fate(world, fare), **change, "until": until.isoformat()})
