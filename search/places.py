"""Airports and the cities they serve: which codes exist, which pairs a search means, and what time it is there."""

from functools import cache
from itertools import product
from typing import Final

import airportsdata

from schema.searches import TripSearch
from schema.zones import zones

MAX_PAIRS: Final = 4
"""Of airports in one search: each pair is a query of its own to every supplier of flights."""


def is_known(code: str) -> bool:
    """Whether it is the IATA code of an airport, or of a city with several."""
    return code in zones() or code in _cities()


def pairs(trip: TripSearch) -> list[tuple[str, str]]:
    """From where to where: the airports asked for come first; none if there is no way between two of them."""
    nearby = trip.filters.nearby_airports
    ways = product(airports(trip.origin, nearby=nearby), airports(trip.destination, nearby=nearby))
    return [(origin, destination) for origin, destination in ways if origin != destination][:MAX_PAIRS]


def airports(code: str, *, nearby: bool) -> list[str]:
    """A city's airports; an airport itself, followed by the others of its city if these are wanted."""
    if code not in zones():
        return list(_cities().get(code, ()))
    if not nearby:
        return [code]
    others = {airport for city in _cities().values() if code in city for airport in city}
    return [code, *sorted(others - {code})]


def load() -> None:
    """Reads the tables now (60 ms), so that no search has to wait for it."""
    zones()
    _cities()


@cache
def _cities() -> dict[str, tuple[str, ...]]:
    """IATA's metropolitan areas. The table knows no distances and no sizes, so "nearby" means "of the same city"."""
    known = zones()
    cities = airportsdata.load_iata_macs()
    return {code: tuple(airport for airport in city["airports"] if airport in known) for code, city in cities.items()}
