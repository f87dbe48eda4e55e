"""Plausible travel content: real airports, real carriers, flights that could exist, car classes.

Everything follows from the world's seed and the question, so the same search finds the same flights at the same price
in every process. Schedules, durations and prices are invented; distances and local times are computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import airportsdata

CURRENCY: Final = "EUR"

_EARTH_RADIUS_KM: Final = 6371.0
_CRUISE_KM_PER_MINUTE: Final = 13.8
_TAXI_AND_CLIMB_MINUTES: Final = 32
_LONGEST_DETOUR: Final = 1.9
"""A connection may be this much longer than the straight line."""


@dataclass(frozen=True, slots=True)
class City:
    """A city with several airports, as IATA's metropolitan codes have it."""

    code: str
    name: str
    country: str
    airports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Airport:
    code: str
    icao: str
    name: str
    city_name: str
    city: City | None
    country: str
    latitude: float
    longitude: float
    time_zone: str


@dataclass(frozen=True, slots=True)
class Carrier:
    code: str
    name: str
    hub: str
    home_countries: tuple[str, ...]
    low_cost: bool = False


CARRIERS: Final[tuple[Carrier, ...]] = (
    # Duffel's own test airline; it flies everywhere and is always offered.
    Carrier("ZZ", "Duffel Airways", "LHR", ()),
    Carrier("AF", "Air France", "CDG", ("FR",)),
    Carrier("LH", "Lufthansa", "FRA", ("DE",)),
    Carrier("BA", "British Airways", "LHR", ("GB",)),
    Carrier("KL", "KLM", "AMS", ("NL",)),
    Carrier("IB", "Iberia", "MAD", ("ES",)),
    Carrier("AZ", "ITA Airways", "FCO", ("IT",)),
    Carrier("LX", "SWISS", "ZRH", ("CH",)),
    Carrier("OS", "Austrian Airlines", "VIE", ("AT",)),
    Carrier("SN", "Brussels Airlines", "BRU", ("BE",)),
    Carrier("SK", "SAS", "CPH", ("DK", "NO", "SE")),
    Carrier("AY", "Finnair", "HEL", ("FI",)),
    Carrier("TP", "TAP Air Portugal", "LIS", ("PT",)),
    Carrier("EI", "Aer Lingus", "DUB", ("IE",)),
    Carrier("LO", "LOT Polish Airlines", "WAW", ("PL",)),
    Carrier("A3", "Aegean Airlines", "ATH", ("GR",)),
    Carrier("U2", "easyJet", "LGW", ("GB", "FR", "CH"), low_cost=True),
    Carrier("VY", "Vueling", "BCN", ("ES",), low_cost=True),
    Carrier("TK", "Turkish Airlines", "IST", ("TR",)),
    Carrier("EK", "Emirates", "DXB", ("AE",)),
    Carrier("QR", "Qatar Airways", "DOH", ("QA",)),
    Carrier("AA", "American Airlines", "DFW", ("US",)),
    Carrier("DL", "Delta Air Lines", "ATL", ("US",)),
    Carrier("UA", "United Airlines", "ORD", ("US",)),
    Carrier("AC", "Air Canada", "YYZ", ("CA",)),
    Carrier("SQ", "Singapore Airlines", "SIN", ("SG",)),
    Carrier("CX", "Cathay Pacific", "HKG", ("HK",)),
    Carrier("NH", "All Nippon Airways", "HND", ("JP",)),
    Carrier("QF", "Qantas", "SYD", ("AU",)),
    Carrier("AI", "Air India", "DEL", ("IN",)),
    Carrier("LA", "LATAM Airlines", "SCL", ("CL", "BR", "PE")),
    Carrier("ET", "Ethiopian Airlines", "ADD", ("ET",)),
)

AIRCRAFT: Final[tuple[tuple[str, str, int], ...]] = (
    ("320", "Airbus A320", 3500),
    ("32N", "Airbus A320neo", 4500),
    ("738", "Boeing 737-800", 4000),
    ("333", "Airbus A330-300", 9500),
    ("789", "Boeing 787-9", 13500),
    ("359", "Airbus A350-900", 16500),
)
"""IATA code, name, range in km."""


@dataclass(frozen=True, slots=True)
class CarModel:
    """A car, or one similar. Words of class, body and fuel are Duffel's."""

    sipp: str
    name: str
    category: str
    body: str
    transmission: str
    fuel: str
    seats: int
    large_bags: int
    daily_minor: int
    """A day's rent before season and supplier, in cents."""


CARS: Final[tuple[CarModel, ...]] = (
    CarModel("MCMR", "Fiat 500", "mini", "two_or_four_door", "manual", "petrol", 4, 1, 2900),
    CarModel("ECMR", "Renault Clio", "economy", "two_or_four_door", "manual", "petrol", 5, 1, 3300),
    CarModel("CDMR", "Volkswagen Golf", "compact", "four_door", "manual", "petrol", 5, 2, 3900),
    CarModel("IDAR", "Skoda Octavia", "intermediate", "four_door", "automatic", "diesel", 5, 3, 4900),
    CarModel("SFAH", "Toyota RAV4", "standard", "suv", "automatic", "hybrid", 5, 3, 6200),
    CarModel("FVMR", "Volkswagen Transporter", "fullsize", "passenger_van", "manual", "diesel", 9, 5, 9100),
    CarModel("PDAC", "Tesla Model 3", "premium", "four_door", "automatic", "electric", 5, 2, 8300),
    CarModel("LDAR", "BMW 5 Series", "luxury", "four_door", "automatic", "petrol", 5, 3, 11900),
)

CAR_SUPPLIERS: Final = ("Avis", "Budget", "Enterprise", "Europcar", "Hertz", "Sixt")


@dataclass(frozen=True, slots=True)
class Flight:
    """One take-off and landing. Times are local to the airport, as vendors print them."""

    carrier: Carrier
    number: str
    origin: Airport
    destination: Airport
    departs: datetime
    arrives: datetime
    duration: timedelta
    distance_km: float
    aircraft: tuple[str, str]

    @property
    def key(self) -> str:
        """What it is in the timetable, whatever the day: the airline, the route, the number drawn for it, and the local time."""
        route = f"{self.carrier.code} {self.origin.code} {self.destination.code}"
        return f"{route} {self.number} {self.departs:%H%M}"

    @property
    def departure_terminal(self) -> str:
        return str(int(self.number) % 3 + 1)

    @property
    def arrival_terminal(self) -> str | None:
        return str(int(self.number) % 4) if int(self.number) % 4 else None


Numbers: TypeAlias = tuple[tuple[str, str], ...]
"""Flights, by their keys, that have another number than the one drawn for them; see `sandbox.timetable`."""


@dataclass(frozen=True, slots=True)
class Itinerary:
    """One way to fly a slice."""

    flights: tuple[Flight, ...]
    duration: timedelta
    fare_minor: int
    """Cheapest economy fare of one adult, without taxes, in cents."""


@lru_cache(maxsize=1)
def _cities() -> dict[str, City]:
    return {
        code: City(code, city["name"], city["country"], tuple(city["airports"]))
        for code, city in airportsdata.load_iata_macs().items()
    }


@lru_cache(maxsize=1)
def airports() -> dict[str, Airport]:
    """Every airport with an IATA code (7,884 in the data of 2026-09)."""
    city_of = {airport: city for city in _cities().values() for airport in city.airports}
    return {
        code: Airport(
            code=code,
            icao=row["icao"],
            name=row["name"],
            city_name=row["city"] or row["name"],
            city=city_of.get(code),
            country=row["country"],
            latitude=row["lat"],
            longitude=row["lon"],
            time_zone=row["tz"],
        )
        for code, row in airportsdata.load("IATA").items()
    }


def find_place(code: str) -> Airport | City | None:
    """What a code in a search means: an airport before a city of the same code."""
    return airports().get(code) or _cities().get(code)


def airport_of(place: Airport | City) -> Airport:
    """The airport that stands for a place: of a city, the one that is a carrier's hub, else its first."""
    if isinstance(place, Airport):
        return place
    hubs = {carrier.hub for carrier in CARRIERS}
    return airports()[next((code for code in place.airports if code in hubs), place.airports[0])]


@lru_cache(maxsize=4096)
def nearest_airport(latitude: float, longitude: float) -> Airport:
    """The closest airport to a point; a rental desk is named after it. Looks at all of them: round before asking."""

    def how_far(airport: Airport) -> float:
        # A cheap stand-in for distance, in squared degrees of latitude: only its order matters.
        east = (airport.longitude - longitude + 180) % 360 - 180
        away = (airport.latitude - latitude) ** 2 + (east * math.cos(math.radians(latitude))) ** 2
        # The data know no sizes. Airfields without any sign of being large count as some 50 km farther off.
        looks_large = airport.city is not None or "International" in airport.name
        return away if looks_large else away + 0.2

    return min(airports().values(), key=how_far)


def distance_km(origin: Airport, destination: Airport) -> float:
    """Great circle."""
    from_latitude, to_latitude = math.radians(origin.latitude), math.radians(destination.latitude)
    half_north = (to_latitude - from_latitude) / 2
    half_east = math.radians(destination.longitude - origin.longitude) / 2
    chord = math.sin(half_north) ** 2 + math.cos(from_latitude) * math.cos(to_latitude) * math.sin(half_east) ** 2
    return 2 * _EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(chord)))


@lru_cache(maxsize=512)
def carriers_between(origin: Airport, destination: Airport) -> tuple[Carrier, ...]:
    """Who would fly it: Duffel Airways, then those at home at either end, then those whose hub is on the way."""
    ends = (origin.country, destination.country)
    direct = distance_km(origin, destination)

    def detour(carrier: Carrier) -> float:
        hub = airports()[carrier.hub]
        return (distance_km(origin, hub) + distance_km(hub, destination)) / max(direct, 1.0)

    at_home = [carrier for carrier in CARRIERS[1:] if any(end in carrier.home_countries for end in ends)]
    on_the_way = [
        carrier
        for carrier in CARRIERS[1:]
        if carrier not in at_home and not carrier.low_cost and direct > 800 and detour(carrier) < _LONGEST_DETOUR
    ]
    by_detour = sorted(on_the_way, key=detour)
    near = [carrier for carrier in at_home if direct < 5500 or not carrier.low_cost]
    return (CARRIERS[0], *near, *by_detour)[:6]


def _schedule(seed: int, carrier: Carrier, origin: Airport, destination: Airport, rotation: int) -> tuple[int, str]:
    """Minute of the day of departure, and flight number: the same every day, as a timetable is."""
    dice = Random(f"{seed}|timetable|{carrier.code}|{origin.code}|{destination.code}|{rotation}")
    return dice.randrange(6 * 60, 21 * 60, 5), str(dice.randrange(100, 2999))


def flight_at(carrier: Carrier, number: str, origin: Airport, destination: Airport, departs: datetime) -> Flight:
    """A flight that leaves at an aware time."""
    kilometres = distance_km(origin, destination)
    minutes = _TAXI_AND_CLIMB_MINUTES + kilometres / _CRUISE_KM_PER_MINUTE
    duration = timedelta(minutes=5 * math.ceil(minutes / 5))
    aircraft = _aircraft(number, kilometres)
    arrives = (departs.astimezone(UTC) + duration).astimezone(ZoneInfo(destination.time_zone))
    return Flight(carrier, number, origin, destination, departs, arrives, duration, kilometres, aircraft)


def _aircraft(number: str, kilometres: float) -> tuple[str, str]:
    able = [aircraft for aircraft in AIRCRAFT if aircraft[2] >= kilometres] or [AIRCRAFT[-1]]
    code, name, _ = able[int(number) % min(2, len(able))]
    return code, name


def departure_on(on: date, minute: int, airport: Airport) -> datetime:
    """A minute of an airport's own day."""
    midnight = datetime(on.year, on.month, on.day, tzinfo=ZoneInfo(airport.time_zone))
    return midnight.replace(hour=minute // 60, minute=minute % 60)


def _flies_direct(carrier: Carrier, origin: Airport, destination: Airport, rotation: int) -> bool:
    """From its hub, or with its first departure of the day from its home country. Duffel Airways always."""
    if carrier.code == "ZZ" or carrier.hub in (origin.code, destination.code):
        return True
    return rotation == 0 and (origin.country in carrier.home_countries or destination.country in carrier.home_countries)


def _hub_is_apart(carrier: Carrier, origin: Airport, destination: Airport) -> bool:
    """Nobody changes planes a few kilometres from where he starts or ends."""
    hub = airports()[carrier.hub]
    return min(distance_km(origin, hub), distance_km(hub, destination)) > 120


def _itinerary(
    seed: int, carrier: Carrier, origin: Airport, destination: Airport, on: date, rotation: int
) -> Itinerary:
    minute, number = _schedule(seed, carrier, origin, destination, rotation)
    departs = departure_on(on, minute, origin)
    hub = airports()[carrier.hub]
    direct = _flies_direct(carrier, origin, destination, rotation)
    if direct:
        flights = (flight_at(carrier, number, origin, destination, departs),)
    else:
        first = flight_at(carrier, number, origin, hub, departs)
        _, second_number = _schedule(seed, carrier, hub, destination, rotation)
        wait = timedelta(minutes=50 + int(number) % 20 * 5)
        onward = (first.arrives.astimezone(UTC) + wait).astimezone(ZoneInfo(hub.time_zone))
        flights = (first, flight_at(carrier, second_number, hub, destination, onward))
    duration = flights[-1].arrives.astimezone(UTC) - flights[0].departs.astimezone(UTC)
    dice = Random(f"{seed}|fare|{carrier.code}|{origin.code}|{destination.code}|{on}|{rotation}")
    kilometres = distance_km(origin, destination)
    weekend = 1.15 if on.weekday() in (4, 6) else 1.0
    level = (0.7 if carrier.low_cost else 1.0) * (1.0 if direct else 0.85) * weekend
    fare_minor = round((2900 + 9.5 * kilometres**0.93) * level * dice.uniform(0.82, 1.35))
    return Itinerary(flights, duration, fare_minor)


@lru_cache(maxsize=2048)
def itineraries(
    seed: int, origin: Airport, destination: Airport, on: date, numbers: Numbers = ()
) -> tuple[Itinerary, ...]:
    """The ways to fly on a day, two departures per carrier. Cached: they follow from the arguments alone."""
    if numbers:
        given = dict(numbers)
        return tuple(_renumbered(way, given) for way in itineraries(seed, origin, destination, on))
    return tuple(
        _itinerary(seed, carrier, origin, destination, on, rotation)
        for rotation in (0, 1)
        for carrier in carriers_between(origin, destination)
        if _flies_direct(carrier, origin, destination, rotation) or _hub_is_apart(carrier, origin, destination)
    )


def _renumbered(way: Itinerary, given: Mapping[str, str]) -> Itinerary:
    flights = [
        replace(flight, number=given[flight.key], aircraft=_aircraft(given[flight.key], flight.distance_km))
        if flight.key in given
        else flight
        for flight in way.flights
    ]
    return replace(way, flights=tuple(flights))
