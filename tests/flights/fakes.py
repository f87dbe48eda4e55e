"""A made-up source of flight status: it says what a test has it say, and counts who asks."""

import asyncio
from collections import Counter
from typing import Any

from gateways.ports import Vendors
from schema.errors import VendorUnavailable
from schema.flights import FlightId, FlightNews


class FakeSource:
    """The port `FlightStatusSource`."""

    code = "amadeus"

    def __init__(self) -> None:
        self.says: dict[str, FlightNews] = {}
        self.away = False
        self.polls: Counter[str] = Counter()

    async def status(self, flight: FlightId, correlation_id: str) -> FlightNews | None:
        self.polls[flight.key] += 1
        await asyncio.sleep(0)
        if self.away:
            raise VendorUnavailable("amadeus", "it is away")
        return self.says.get(flight.key)


class WithSource:
    """The vendors of a process, with another source of flight status, or none."""

    def __init__(self, real: Vendors, source: FakeSource | None) -> None:
        self._real, self._source = real, source

    def flight_status(self) -> Any:
        return self._source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
