"""What time it is at an airport."""

from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

import airportsdata

UTC_NAME: Final = "UTC"


def zone_name_of(airport: str) -> str | None:
    """The IANA name of its time zone; None for an airport we have never heard of."""
    return zones().get(airport)


def zone_of(airport: str) -> ZoneInfo | None:
    """Its time zone; None for an airport we have never heard of."""
    name = zone_name_of(airport)
    return None if name is None else zone(name)


@cache
def zones() -> dict[str, str]:
    """Of every airport by its IATA code; the rest of the table is let go."""
    return {code: airport["tz"] for code, airport in airportsdata.load("IATA").items()}


@cache
def zone(name: str) -> ZoneInfo:
    """Raises ZoneInfoNotFoundError for a name that is none."""
    return ZoneInfo(name)
