"""The ports of what is known of flights: who can be asked, and who tells by itself."""

from typing import Protocol, runtime_checkable

from schema.flights import FlightId, FlightNews


@runtime_checkable
class TellsOfFlights(Protocol):
    """A supplier that tells of changes by itself, and can say what they mean for the flights of an order."""

    async def news(self, subject: str, correlation_id: str) -> list[FlightNews]:
        """What the airline has changed of the order's flights, each by the flight as it was booked; oldest first. Raises as the reads
        of `Supplier` do."""
        ...


class FlightStatusSource(Protocol):
    """Who can be asked how a flight stands."""

    @property
    def code(self) -> str: ...

    async def status(self, flight: FlightId, correlation_id: str) -> FlightNews | None:
        """What it knows now; None for a flight that it does not know. Raises as the reads of `Supplier` do."""
        ...
