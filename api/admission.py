"""Admission: as many sagas at once as the house can carry, and each stored booking's saga started."""

import asyncio
from time import monotonic
from typing import Final

from structlog.stdlib import get_logger
from temporalio.client import Client

from activities.admission import booking_input, cancellation_input, start_booking
from gateways.ports import Vendors
from schema.errors import ServiceUnavailable
from schema.payments import CancellationInput
from schema.settings import Settings
from store import bookings
from store.database import Database
from store.payments import StoredPayment
from store.records import StoredBooking

_log = get_logger(__name__)
_COUNTED_FOR_S: Final = 1
_RETRY_AFTER_S: Final = 5


class Gate:
    """Refuses new bookings while too many are unfinished. Counts at most once a second, and adds what it let in since: several
    processes together may exceed the limit by what they let in within that second."""

    def __init__(self, database: Database, limit: int) -> None:
        self._database = database
        self._limit = limit
        self._in_flight = 0
        self._count_after = 0.0
        self._counting = asyncio.Lock()

    async def check(self) -> None:
        """Raises ServiceUnavailable, before anything is written, when there is no room."""
        if monotonic() >= self._count_after:
            async with self._counting:
                if monotonic() >= self._count_after:  # somebody else may have counted while we waited
                    async with self._database.read() as connection:
                        self._in_flight = await bookings.count_in_flight(connection)
                    self._count_after = monotonic() + _COUNTED_FOR_S
        if self._in_flight >= self._limit:
            raise ServiceUnavailable(
                "too many bookings are being worked on; nothing was written",
                code="too_busy",
                retry_after_s=_RETRY_AFTER_S,
            )

    def passed(self) -> None:
        """One more is in flight."""
        self._in_flight += 1


async def start_saga(
    client: Client, database: Database, vendors: Vendors, settings: Settings, booking: StoredBooking
) -> bool:
    """Whether the saga runs now. If not, the booking is stored all the same, and the admission sweep starts it later."""
    try:
        await start_booking(client, database, booking, booking_input(booking, vendors, settings.saga))
    except ServiceUnavailable as error:
        _log.warning("saga_not_started", booking_id=booking.booking_id, reason=error.message)
        return False
    return True


def cancellation_plan(
    booking: StoredBooking,
    payment: StoredPayment,
    vendors: Vendors,
    settings: Settings,
    item_nos: list[int] | None = None,
) -> CancellationInput:
    """What the cancellation of a confirmed booking, or of some of its items, is told; and the payment that was taken."""
    quote_ttl_s = settings.cancellation_quote_ttl_s
    return cancellation_input(booking, payment, vendors, settings.saga, item_nos, quote_ttl_s=quote_ttl_s)
