"""The net under the flight monitors: who is on a flight that nobody watches, who is late, who is not needed any more."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from structlog.stdlib import get_logger
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.failures import told_to_temporal
from activities.watching import wake_monitor
from schema.errors import ServiceUnavailable
from schema.flights import (
    FlightPolicy,
    FlightPushed,
    MonitorSweepPage,
    MonitorSweepReport,
    MonitorSwept,
    monitor_id_for,
)
from store import flight_watch, flights
from store.database import Database
from store.flight_watch import FaultyWatch

_log = get_logger(__name__)
_PAGE: Final = 100
_SIGNAL_TIMEOUT_S: Final = 5
_RETRY_INITIAL_S: Final = 1.0
_SWEEP: Final = "monitor-sweep"
"""In the place of the event that wakes a monitor."""


class MonitorSweeping:
    def __init__(self, database: Database, client: Client, policy: FlightPolicy) -> None:
        self._database = database
        self._client = client
        self._policy = policy

    @activity.defn
    async def sweep_monitors(self, page: MonitorSweepPage) -> MonitorSwept:
        """Puts the next faulty watches right, in the order of the flights' keys. Safe to run twice."""
        async with told_to_temporal(_RETRY_INITIAL_S):
            before = datetime.now(UTC) - timedelta(seconds=self._policy.overdue_after_s / self._policy.clock_scale)
            async with self._database.read() as connection:
                found = await flight_watch.faulty(connection, before, page.after or "", _PAGE)
            for watch in found:
                await self._put_right(watch)
            if found:
                _log.warning("flight_watches_put_right", flights=[f"{one.flight_key} {one.fault}" for one in found])
            return MonitorSwept(
                report=MonitorSweepReport(
                    started=sum(watch.fault == "unwatched" for watch in found),
                    woken=sum(watch.fault == "late" for watch in found),
                    released=sum(watch.fault == "released" for watch in found),
                ),
                after=found[-1].flight_key if len(found) == _PAGE else None,
            )

    async def _put_right(self, watch: FaultyWatch) -> None:
        key = watch.flight_key
        if watch.fault == "released":
            await self._release(key)
            return
        if watch.fault == "unwatched":
            async with self._database.transaction() as connection:
                planned = await flight_watch.booked(connection, key)
                if planned is None:
                    return
                await flights.watch(connection, planned)
        await wake_monitor(self._client, self._database, key, self._policy, _SWEEP, retell=watch.fault == "unwatched")

    async def _release(self, flight_key: str) -> None:
        """The monitor looks, sees that nobody is on the flight, and ends; one that is gone is only noted as such."""
        try:
            async with asyncio.timeout(_SIGNAL_TIMEOUT_S):
                handle = self._client.get_workflow_handle(monitor_id_for(flight_key))
                await handle.signal("pushed", FlightPushed(event_id=_SWEEP))
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise ServiceUnavailable(f"Temporal: {error.status.name}") from error
            async with self._database.read() as connection:
                await flight_watch.end(connection, flight_key)
        except TimeoutError:
            raise ServiceUnavailable("Temporal does not answer") from None
