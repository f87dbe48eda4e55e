"""Flight numbers: within an airline a number is one flight, with one route and one time of the day, at every vendor.

What follows from the seed alone draws numbers per route, so two routes may draw the same. The first one that anybody sees
keeps it, the next one gets the next free number; both are written down, so that a number also tells its flight.
"""

from __future__ import annotations

from datetime import date
from typing import Final, TypedDict, cast

from sandbox.content import (
    CARRIERS,
    Airport,
    Flight,
    Itinerary,
    Numbers,
    airports,
    departure_on,
    flight_at,
    itineraries,
)
from sandbox.world import JsonObject, World

AIRLINES: Final = "airlines"
"""Under what the world keeps the documents of the airlines, who are no vendor of ours."""

_LAST_NUMBER: Final = 9999
_CARRIERS: Final = {carrier.code: carrier for carrier in CARRIERS}


class _Listed(TypedDict):
    """A flight of the timetable."""

    key: str
    carrier: str
    number: str
    origin: str
    destination: str
    minute: int
    """Of the origin's own day."""


def itineraries_on(world: World, origin: Airport, destination: Airport, on: date) -> tuple[Itinerary, ...]:
    """The ways to fly on a day."""
    return itineraries(world.seed, origin, destination, on, numbers_on(world, origin, destination, on))


def numbers_on(world: World, origin: Airport, destination: Airport, on: date) -> Numbers:
    """The flights of these ways whose number is not the one that was drawn, for `itineraries`."""
    found: list[tuple[str, str]] = []
    for way in itineraries(world.seed, origin, destination, on):
        for flight in way.flights:
            number = _number_of(world, flight)
            if number != flight.number:
                found.append((flight.key, number))
    return tuple(found)


def find_flight(world: World, carrier: str, number: int, on: date) -> Flight | None:
    """The flight that leaves on this day, local to its origin; None for a number that nobody has been shown yet."""
    listed = cast("_Listed | None", world.get(AIRLINES, "flight", f"{carrier}{number}"))
    if listed is None:
        return None
    origin, destination = airports()[listed["origin"]], airports()[listed["destination"]]
    departs = departure_on(on, listed["minute"], origin)
    return flight_at(_CARRIERS[carrier], listed["number"], origin, destination, departs)


def _number_of(world: World, flight: Flight) -> str:
    listed = world.get(AIRLINES, "route", flight.key)
    return cast(str, listed["number"]) if listed else _list(world, flight)


def _list(world: World, flight: Flight) -> str:
    """Give the flight the first free number from the drawn one on."""
    drawn = int(flight.number)
    for number in (*range(drawn, _LAST_NUMBER + 1), *range(1, drawn)):
        designator = f"{flight.carrier.code}{number}"
        if world.get(AIRLINES, "flight", designator) is None:
            listed = _Listed(
                key=flight.key,
                carrier=flight.carrier.code,
                number=str(number),
                origin=flight.origin.code,
                destination=flight.destination.code,
                minute=flight.departs.hour * 60 + flight.departs.minute,
            )
            world.put(AIRLINES, "flight", designator, cast(JsonObject, cast(object, listed)))
            world.put(AIRLINES, "route", flight.key, {"number": str(number)})
            return str(number)
    raise LookupError(f"{flight.carrier.name} has given out all its flight numbers; reset the sandbox")
