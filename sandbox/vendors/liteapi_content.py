"""The hotels LiteAPI sells: those of Rapid by name and place, under ids of its own, most rooms called the same."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final
from zlib import crc32

from sandbox.content import Airport, airports
from sandbox.vendors.rapid_content import ROOMS, Hotel, Room, airports_of_code, airports_within, hotel, property_ids
from sandbox.world import JsonObject

_ID_PREFIX: Final = "lp"
_PLACE_PREFIX: Final = "ChIJ-sandbox-"
_KM_PER_DEGREE: Final = 111.2
_FARTHEST_FROM_AIRPORT_KM: Final = 20
_PLACES_MAX: Final = 20
_OTHER_NAMES: Final = {1: "Classic Room, 1 Queen Bed", 2: "Superior Room, 2 Twin Beds", 3: "Junior Suite King"}
"""What LiteAPI calls a room where it does not call it as Rapid does."""


def hotel_id(found: Hotel) -> str:
    """LiteAPI's id: `lp` and hexadecimal digits."""
    return f"{_ID_PREFIX}{int(found.id):x}"


def find_hotel(seed: int, wanted: str) -> Hotel | None:
    """The hotel of this id, if there is one."""
    digits = wanted.removeprefix(_ID_PREFIX)
    if digits == wanted or not digits or set(digits) - set("0123456789abcdef"):
        return None
    return hotel(seed, str(int(digits, 16)))


def room_name(seed: int, found: Hotel, room: Room) -> str:
    """Nine of ten rooms have the name that the other vendor gives them too."""
    differs = crc32(f"{seed}|liteapi|name|{found.id}|{room.number}".encode()) % 10 == 0
    return _OTHER_NAMES[room.number] if differs else room.name


def hotels_at(seed: int, near: Iterable[Airport]) -> list[Hotel]:
    """Every hotel around these airports."""
    ids = [property_id for airport in near for property_id in property_ids(airport)]
    return [found for property_id in ids if (found := hotel(seed, property_id))]


def hotels_of_code(seed: int, iata_code: str) -> list[Hotel]:
    """The hotels of an airport, or of the airports of a metropolitan code."""
    return hotels_at(seed, airports_of_code(iata_code.upper()))


def hotels_in_city(seed: int, country_code: str, city_name: str) -> list[Hotel]:
    """The hotels of a city; of a whole country nobody asks here."""
    country, city = country_code.upper(), city_name.casefold()
    return hotels_at(
        seed, (each for each in airports().values() if each.country == country and each.city_name.casefold() == city)
    )


def hotels_around(seed: int, latitude: float, longitude: float, radius_m: float) -> list[Hotel]:
    """The hotels within so many metres of a point."""
    near = airports_within(radius_m / 1000 + _FARTHEST_FROM_AIRPORT_KM, latitude, longitude)

    def distance_m(found: Hotel) -> float:
        east = ((found.longitude - longitude + 180) % 360 - 180) * math.cos(math.radians(latitude))
        return math.hypot(found.latitude - latitude, east) * _KM_PER_DEGREE * 1000

    return [found for found in hotels_at(seed, near) if distance_m(found) <= radius_m]


def hotels_of_place(seed: int, place_id: str) -> list[Hotel]:
    """The hotels of a place that `places` gave out."""
    return hotels_of_code(seed, place_id.removeprefix(_PLACE_PREFIX)) if place_id.startswith(_PLACE_PREFIX) else []


def places(text: str) -> list[JsonObject]:
    """Airports that the text may mean: by code, or by a city or name that begins so."""
    wanted = text.casefold()
    by_code = airports().get(text.upper())
    found = [by_code] if by_code else [each for each in airports().values() if _is_called(each, wanted)]
    return [
        {
            "placeId": f"{_PLACE_PREFIX}{each.code}",
            "displayName": each.name,
            "formattedAddress": f"{each.city_name}, {each.country}",
            "types": ["airport"],
        }
        for each in found[:_PLACES_MAX]
    ]


def cities(country_code: str) -> list[JsonObject]:
    """The cities of a country that have hotels."""
    country = country_code.upper()
    return [
        {"city": name} for name in sorted({each.city_name for each in airports().values() if each.country == country})
    ]


def iata_codes() -> list[JsonObject]:
    """Every airport."""
    return [
        {
            "code": each.code,
            "name": each.name,
            "latitude": each.latitude,
            "longitude": each.longitude,
            "countryCode": each.country,
        }
        for each in airports().values()
    ]


def _is_called(airport: Airport, wanted: str) -> bool:
    return airport.city_name.casefold().startswith(wanted) or airport.name.casefold().startswith(wanted)


# ------------------------------------------------------------------------------------------------------ documents


def list_entry(found: Hotel) -> JsonObject:
    """A hotel as GET /data/hotels lists it. Guest ratings go up to ten here."""
    return {
        "id": hotel_id(found),
        "name": found.name,
        "hotelDescription": f"{found.name}, near {found.airport.name}.",
        "currency": "EUR",
        "country": found.airport.country.lower(),
        "city": found.airport.city_name,
        "latitude": found.latitude,
        "longitude": found.longitude,
        "address": found.street,
        "zip": _zip(found),
        "stars": found.stars,
        "rating": round(found.guest_rating * 2, 1),
        "reviewCount": found.rank % 700 + 20,
    }


def details(seed: int, found: Hotel) -> JsonObject:
    """A hotel as GET /data/hotel tells of it."""
    return {
        "id": hotel_id(found),
        "name": found.name,
        "hotelDescription": f"{found.name}, near {found.airport.name}.",
        "checkinCheckoutTimes": {"checkin_start": "03:00 PM", "checkin_end": "11:00 PM", "checkout": "11:00 AM"},
        "country": found.airport.country.lower(),
        "city": found.airport.city_name,
        "starRating": int(found.stars),
        "location": {"latitude": found.latitude, "longitude": found.longitude},
        "address": f"{found.street}, {_zip(found)} {found.airport.city_name}",
        "rooms": [
            {
                "id": room.number,
                "roomName": room_name(seed, found, room),
                "hotelId": hotel_id(found),
                "maxOccupancy": room.sleeps,
                "bedTypes": [{"quantity": room.bed_count, "bedType": room.beds, "bedSize": room.bed_size}],
            }
            for room in ROOMS
        ],
        "airportCode": found.airport.code,
        "rating": round(found.guest_rating * 2, 1),
        "reviewCount": found.rank % 700 + 20,
    }


def summary(found: Hotel) -> JsonObject:
    """A hotel as a search for rates tells of it beside them."""
    return {
        "id": hotel_id(found),
        "name": found.name,
        "address": found.street,
        "country_code": found.airport.country.lower(),
        "city_name": found.airport.city_name,
        "latitude": found.latitude,
        "longitude": found.longitude,
        "rating": round(found.guest_rating * 2, 1),
        "stars": found.stars,
    }


def _zip(found: Hotel) -> str:
    return str(int(found.id) % 90_000 + 10_000)
