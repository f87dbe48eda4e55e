"""Where an airport is: what suppliers that know no IATA codes are asked by."""

from dataclasses import dataclass
from functools import cache

import airportsdata

from schema.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Place:
    """Of an airport; latitude and longitude in degrees."""

    latitude: float
    longitude: float
    city: str


def place_of(iata: str) -> Place:
    """Raises InvalidRequest with code `unknown_place` if there is no such airport."""
    airport = _airports().get(iata)
    if airport is None:
        raise InvalidRequest(f"no airport has the code {iata}", code="unknown_place", field="destination")
    return Place(latitude=airport["lat"], longitude=airport["lon"], city=airport["city"])


@cache
def _airports() -> dict[str, airportsdata.Airport]:
    return airportsdata.load("IATA")


def load() -> None:
    """Read the table now (60 ms), so that no call has to wait for it."""
    _airports()
