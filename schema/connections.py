"""How long it takes to change flights. Kept as data: airports publish minimum connection times, and change them.

The figures are round ones of the airports' own published times for a change between any two flights; elsewhere the policy's holds.
"""

from collections.abc import Mapping
from typing import Final

MINIMUM_CONNECTION_MINUTES: Final[Mapping[str, int]] = {
    "AMS": 50,
    "ATL": 60,
    "BCN": 60,
    "CDG": 90,
    "DOH": 60,
    "DUB": 60,
    "DXB": 75,
    "FCO": 60,
    "FRA": 45,
    "HND": 70,
    "IST": 75,
    "JFK": 90,
    "LAX": 90,
    "LHR": 75,
    "LIS": 60,
    "MAD": 60,
    "MUC": 45,
    "NRT": 75,
    "ORD": 75,
    "SFO": 75,
    "SIN": 60,
    "VIE": 30,
    "ZRH": 40,
}


def minimum_connection_minutes(airport: str, otherwise: int) -> int:
    """From the door of one aircraft to the door of the next, in minutes."""
    return MINIMUM_CONNECTION_MINUTES.get(airport, otherwise)
