"""Duffel's JSON for what does not change: places, airlines, flights. Built once, then shared by every answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from sandbox.content import Airport, Carrier, City, Flight, Itinerary, Numbers, airports, itineraries
from sandbox.world import JsonObject


@dataclass(frozen=True, slots=True)
class Way:
    """An itinerary with its segments as Duffel writes them, but for ids and passengers."""

    itinerary: Itinerary
    segments: tuple[JsonObject, ...]
    origin: JsonObject
    destination: JsonObject


@lru_cache(maxsize=2048)
def ways(seed: int, origin: Airport, destination: Airport, on: date, numbers: Numbers) -> tuple[Way, ...]:
    """The ways to fly on a day. Cached, for they follow from the arguments alone; do not change the documents."""
    return tuple(
        Way(
            itinerary,
            tuple(_segment(flight) for flight in itinerary.flights),
            airport_document(origin),
            airport_document(destination),
        )
        for itinerary in itineraries(seed, origin, destination, on, numbers)
    )


@lru_cache(maxsize=4096)
def airport_document(airport: Airport) -> JsonObject:
    """An airport, with its city where one city has several."""
    city = _city_document(airport.city) if airport.city else None
    return {**_airport_of_city(airport), "city": city}


def place_document(place: Airport | City) -> JsonObject:
    """What was searched for: an airport, or a city with its airports."""
    if isinstance(place, Airport):
        return airport_document(place)
    listed = [_airport_of_city(airports()[code]) for code in place.airports]
    return {**_city_document(place), "airports": listed}


@lru_cache(maxsize=256)
def carrier_document(carrier: Carrier) -> JsonObject:
    """An airline."""
    return {
        "id": f"arl_{carrier.code.lower()}",
        "name": carrier.name,
        "iata_code": carrier.code,
        "logo_lockup_url": None,
        "logo_symbol_url": f"https://assets.duffel.com/img/airlines/for-light-background/{carrier.code}.svg",
        "conditions_of_carriage_url": None,
    }


def duration_text(duration: timedelta) -> str:
    """ISO 8601, as in `P1DT2H5M`."""
    hours, minutes = divmod(math.ceil(duration.total_seconds() / 60), 60)
    days, hours = divmod(hours, 24)
    return "P" + (f"{days}D" if days else "") + f"T{hours}H{minutes}M"


def _city_document(city: City) -> JsonObject:
    return {
        "id": f"cit_{city.code.lower()}_{city.country.lower()}",
        "type": "city",
        "name": city.name,
        "iata_code": city.code,
        "iata_country_code": city.country,
    }


def _airport_of_city(airport: Airport) -> JsonObject:
    return {
        "id": f"arp_{airport.code.lower()}_{airport.country.lower()}",
        "type": "airport",
        "name": airport.name,
        "iata_code": airport.code,
        "iata_country_code": airport.country,
        "iata_city_code": airport.city.code if airport.city else airport.code,
        "icao_code": airport.icao or None,
        "city_name": airport.city_name,
        "latitude": airport.latitude,
        "longitude": airport.longitude,
        "time_zone": airport.time_zone,
    }


def _segment(flight: Flight) -> JsonObject:
    carrier = carrier_document(flight.carrier)
    aircraft_code, aircraft_name = flight.aircraft
    return {
        "id": "",
        "aircraft": {"id": f"arc_{aircraft_code.lower()}", "name": aircraft_name, "iata_code": aircraft_code},
        "departing_at": flight.departs.strftime("%Y-%m-%dT%H:%M:%S"),
        "arriving_at": flight.arrives.strftime("%Y-%m-%dT%H:%M:%S"),
        "origin": airport_document(flight.origin),
        "destination": airport_document(flight.destination),
        "origin_terminal": flight.departure_terminal,
        "destination_terminal": flight.arrival_terminal,
        "distance": f"{flight.distance_km:.1f}",
        "duration": duration_text(flight.duration),
        "marketing_carrier": carrier,
        "marketing_carrier_flight_number": flight.number,
        "operating_carrier": carrier,
        "operating_carrier_flight_number": flight.number,
        "stops": [],
    }
