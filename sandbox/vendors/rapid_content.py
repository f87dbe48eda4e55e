"""The hotels Rapid sells: a dozen around every airport, the same ones for a seed. Airports, cities and countries are
real (`sandbox.content`), the hotels, their places and prices are invented. Prices are base prices in euro cents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

from sandbox.content import Airport, City, airports, find_place
from sandbox.world import JsonObject

HOTELS_PER_AIRPORT: Final = 12

_ID_STEP: Final = 100
_REGION_BASE: Final = 6_000_000
_KM_PER_DEGREE: Final = 111.2
_BRANDS: Final = (
    "Aurora",
    "Bellevue",
    "Continental",
    "Meridian",
    "Parkside",
    "Regent",
    "Savoy",
    "Victoria",
    "Wayfarer",
)
_KINDS: Final = ("Hotel", "Inn", "Suites", "Grand Hotel", "Boutique Hotel", "Residence")
_STREETS: Final = ("Station Road", "Market Square", "Harbour Street", "Church Lane", "Garden Avenue", "Airport Way")


@dataclass(frozen=True, slots=True)
class RatePlan:
    """One way to buy a room."""

    number: int
    factor: float
    refundable: bool
    holdable: bool
    breakfast: bool


@dataclass(frozen=True, slots=True)
class Room:
    """A room type."""

    number: int
    name: str
    factor: float
    sleeps: int
    bed_group: str
    beds: str
    bed_size: str
    bed_count: int


ROOMS: Final = (
    Room(1, "Standard Double Room", 1.0, 3, "37310", "1 Queen Bed", "QueenBed", 1),
    Room(2, "Superior Twin Room", 1.2, 4, "37311", "2 Twin Beds", "TwinBed", 2),
    Room(3, "Junior Suite", 1.7, 5, "37312", "1 King Bed", "KingBed", 1),
)
RATE_PLANS: Final = (
    RatePlan(1, 1.0, refundable=True, holdable=True, breakfast=False),
    RatePlan(2, 0.88, refundable=False, holdable=False, breakfast=False),
    RatePlan(3, 1.14, refundable=True, holdable=False, breakfast=True),
)
"""Flexible and holdable; cheaper but not refundable; flexible with breakfast but to be paid at once."""


@dataclass(frozen=True, slots=True)
class Hotel:
    """A property."""

    id: str
    airport: Airport
    name: str
    stars: float
    guest_rating: float
    latitude: float
    longitude: float
    street: str
    night_minor: int
    """A night in the simplest room, without tax, in euro cents."""
    city_tax_minor: int
    """Paid at the hotel, per room and night, in euro cents; 0 where there is none."""
    rank: int

    def room_id(self, room: Room) -> str:
        return f"{self.id}{room.number}"

    def rate_id(self, room: Room, plan: RatePlan) -> str:
        return f"{self.id}{room.number}{plan.number}"


def property_ids(airport: Airport) -> list[str]:
    """The hotels of an airport; the id carries the airport, so that there is no table to keep."""
    base = int(airport.code, 36) * _ID_STEP
    return [str(base + number) for number in range(1, HOTELS_PER_AIRPORT + 1)]


@lru_cache(maxsize=20_000)
def hotel(seed: int, property_id: str) -> Hotel | None:
    """The hotel of this id, if there is one. Cached: it follows from the arguments alone."""
    if not property_id.isdecimal() or len(property_id) > 7:
        return None
    place, number = divmod(int(property_id), _ID_STEP)
    airport = airports().get(_base36(place))
    if airport is None or not 1 <= number <= HOTELS_PER_AIRPORT or property_id[0] == "0":
        return None
    dice = Random(f"{seed}|hotel|{property_id}")
    distance_km, bearing = dice.uniform(0.8, 18), dice.uniform(0, 2 * math.pi)
    north = distance_km * math.cos(bearing) / _KM_PER_DEGREE
    east = distance_km * math.sin(bearing) / (_KM_PER_DEGREE * max(0.05, math.cos(math.radians(airport.latitude))))
    stars = dice.choice((2.5, 3.0, 3.0, 3.5, 4.0, 4.0, 4.5, 5.0))
    return Hotel(
        id=property_id,
        airport=airport,
        name=f"{_BRANDS[(number * 7 + place) % len(_BRANDS)]} {dice.choice(_KINDS)} {airport.city_name}",
        stars=stars,
        guest_rating=round(dice.uniform(2.9, 4.9), 1),
        latitude=round(max(-89.9, min(89.9, airport.latitude + north)), 6),
        longitude=round((airport.longitude + east + 180) % 360 - 180, 6),
        street=f"{dice.randrange(1, 240)} {dice.choice(_STREETS)}",
        night_minor=round(2600 * 1.38**stars * dice.uniform(0.85, 1.3)),
        city_tax_minor=dice.choice((0, 0, 0, 180, 250, 350)),
        rank=dice.randrange(1, 10_000),
    )


def _base36(number: int) -> str:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    letters = ""
    for _ in range(3):
        number, remainder = divmod(number, 36)
        letters = digits[remainder] + letters
    return letters if number == 0 else ""


def content_document(found: Hotel) -> JsonObject:
    """The `PropertyContent` a traveller needs: what it is called, where it is, how good."""
    return {
        "property_id": found.id,
        "name": found.name,
        "address": {
            "line_1": found.street,
            "city": found.airport.city_name,
            "postal_code": f"{int(found.id) % 90_000 + 10_000}",
            "country_code": found.airport.country,
            "obfuscation_required": False,
        },
        "ratings": {
            "property": {"rating": f"{found.stars:.1f}", "type": "Star"},
            "guest": {"count": found.rank % 900 + 20, "overall": f"{found.guest_rating:.1f}"},
        },
        "location": {
            "coordinates": {"latitude": found.latitude, "longitude": found.longitude},
            "obfuscation_required": False,
        },
        "category": {"id": "1", "name": "Hotel"},
        "rank": found.rank,
        "business_model": {"expedia_collect": True, "property_collect": False},
        "checkin": {"begin_time": "3:00 PM", "end_time": "11:00 PM", "min_age": 18},
        "checkout": {"time": "11:00 AM"},
        "airports": {"preferred": {"iata_airport_code": found.airport.code}},
        "rooms": {found.room_id(room): {"id": found.room_id(room), "name": room.name} for room in ROOMS},
        "multi_unit": False,
        "payment_registration_recommended": False,
        "supply_source": "expedia",
    }


def region_document(airport: Airport, include: set[str]) -> JsonObject:
    """An airport's `Region`."""
    document: JsonObject = {
        "id": region_id(airport),
        "type": "airport",
        "name": f"{airport.city_name} ({airport.code}-{airport.name})",
        "name_full": f"{airport.city_name}, {airport.country} ({airport.code}-{airport.name})",
        "iata_airport_code": airport.code,
        "country_code": airport.country,
    }
    if airport.city:
        document["iata_airport_metro_code"] = airport.city.code
    if include & {"details", "standard"}:
        document["coordinates"] = {"center_longitude": airport.longitude, "center_latitude": airport.latitude}
    if "property_ids" in include:
        document["property_ids"] = property_ids(airport)
    if "property_ids_expanded" in include:
        document["property_ids_expanded"] = property_ids(airport)
    return document


def region_id(airport: Airport) -> str:
    return str(_REGION_BASE + int(airport.code, 36))


def airport_of_region(wanted: str) -> Airport | None:
    """The airport a region id stands for."""
    return airports().get(_base36(int(wanted) - _REGION_BASE)) if wanted.isdecimal() and len(wanted) == 7 else None


def airports_of_code(code: str) -> list[Airport]:
    """The airport of an IATA code, or the airports of a metropolitan one."""
    place = find_place(code)
    if isinstance(place, City):
        return [airports()[member] for member in place.airports if member in airports()]
    return [place] if place else []


def airports_within(radius_km: float, latitude: float, longitude: float) -> list[Airport]:
    """Airports around a point, nearest first."""
    scale = math.cos(math.radians(latitude))

    def distance(airport: Airport) -> float:
        east = ((airport.longitude - longitude + 180) % 360 - 180) * scale
        return math.hypot(airport.latitude - latitude, east) * _KM_PER_DEGREE

    near = [
        airport for airport in airports().values() if abs(airport.latitude - latitude) * _KM_PER_DEGREE <= radius_km
    ]
    return sorted((airport for airport in near if distance(airport) <= radius_km), key=distance)


def properties_in_polygon(seed: int, ring: list[tuple[float, float]]) -> list[str]:
    """Hotels inside a polygon of (longitude, latitude) corners."""
    margin_degrees = 0.5  # a hotel is up to 18 km from its airport; generous where meridians are close
    south, north = min(y for _, y in ring) - margin_degrees, max(y for _, y in ring) + margin_degrees
    west, east = min(x for x, _ in ring) - margin_degrees, max(x for x, _ in ring) + margin_degrees
    found: list[str] = []
    for airport in airports().values():
        if south <= airport.latitude <= north and west <= airport.longitude <= east:
            for property_id in property_ids(airport):
                place = hotel(seed, property_id)
                if place and _inside(place.longitude, place.latitude, ring):
                    found.append(property_id)
    return found


def _inside(x: float, y: float, ring: list[tuple[float, float]]) -> bool:
    """Even-odd rule."""
    inside = False
    for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside
