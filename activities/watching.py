"""Watching flights: asks how one stands, keeps what was said, and tells those who are on it, a batch at a time."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.stdlib import get_logger
from temporalio import activity
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy

from activities.failures import told_to_temporal
from gateways.ports import Vendors
from schema.bookings import TASK_QUEUE
from schema.errors import InvariantBroken, ServiceUnavailable, TravelHubError
from schema.flights import (
    FLIGHT_MONITOR_WORKFLOW,
    Answer,
    BatchTold,
    EndWatching,
    FanOutBatch,
    FanOutPlace,
    FlightId,
    FlightNews,
    FlightPolicy,
    FlightPushed,
    MonitorInput,
    PollFlight,
    Subscribed,
    TellNewcomers,
    WatchedFlight,
    WatchEnded,
    monitor_id_for,
)
from schema.itineraries import FlightDetails, Itinerary
from schema.search_attributes import BOOKING_STATE
from schema.settings import Settings
from store import flight_watch, flights, itineraries
from store.database import Database
from store.flights import PlannedFlight, Telling

_log = get_logger(__name__)
_SIGNAL_TIMEOUT_S: Final = 5
_RETRY_INITIAL_S: Final = 0.2
_TOLD_AT_ONCE: Final = 4
"""Transactions of one batch side by side: the rest of the pool is for others."""


class Watching:
    def __init__(self, database: Database, vendors: Vendors) -> None:
        self._database = database
        self._vendors = vendors

    @activity.defn
    async def poll_flight(self, question: PollFlight) -> WatchedFlight:
        """Asks the source and keeps what it says. A source that is away is an answer, too: what was pushed is told all the same."""
        async with told_to_temporal(_RETRY_INITIAL_S):
            key, policy = question.flight.key, question.policy
            news, answer = await self._ask(question)
            async with self._database.transaction() as connection:
                if news is not None:
                    await flights.take_news(connection, news, policy)
                found = await _found(connection, key)
                now = datetime.now(UTC)
                after_s = policy.look_after_s((found.departs_at - now).total_seconds(), answer)
                next_at = now + timedelta(seconds=after_s * (1 + policy.jitter))
                await flight_watch.looked(connection, key, next_at, asked=answer == "given")
            return found.model_copy(update={"answer": answer})

    async def _ask(self, question: PollFlight) -> tuple[FlightNews | None, Answer]:
        source = self._vendors.flight_status()
        if source is None:
            return None, "nobody_to_ask"
        try:
            return await source.status(question.flight, question.correlation_id), "given"
        except TravelHubError as error:
            _log.warning("flight_status_away", flight=question.flight.key, vendor=source.code, error=error.problem_code)
            return None, "away"

    @activity.defn
    async def look_at_flight(self, question: PollFlight) -> WatchedFlight:
        """Only at our own books."""
        async with told_to_temporal(_RETRY_INITIAL_S), self._database.transaction() as connection:
            await flight_watch.alive(connection, question.flight.key)
            return await _found(connection, question.flight.key)

    @activity.defn
    async def fan_out_batch(self, batch: FanOutBatch) -> BatchTold:
        """The next itineraries in the order of their ids. Each is told in a transaction of its own, and knows up to which revision it
        was told: again is harmless."""
        async with told_to_temporal(_RETRY_INITIAL_S):
            key, place, policy = batch.flight_key, batch.place, batch.policy
            async with self._database.transaction() as connection:
                telling = await flights.telling(connection, key, place.revision, policy)
                joined = await itineraries.on_flight(connection, key, place.after, policy.fan_out_batch)
            count = await self._tell(joined, telling)
            _log.info("flight_told", flight=key, revision=place.revision, itineraries=count)
            if len(joined) == policy.fan_out_batch:
                return BatchTold(after=joined[-1])
            async with self._database.transaction() as connection:
                await flights.told(connection, key, place.revision)
            return BatchTold(after=None)

    @activity.defn
    async def tell_newcomers(self, newcomers: TellNewcomers) -> None:
        """Those who joined, of what the others know already; again is harmless."""
        async with told_to_temporal(_RETRY_INITIAL_S):
            async with self._database.transaction() as connection:
                telling = await flights.telling_newcomers(connection, newcomers.flight_key, newcomers.policy)
            await self._tell(newcomers.itinerary_ids, telling)

    @activity.defn
    async def end_watching(self, over: EndWatching) -> WatchEnded:
        async with told_to_temporal(_RETRY_INITIAL_S), self._database.read() as connection:
            return WatchEnded(ended=await flight_watch.end(connection, over.flight_key))

    async def _tell(self, itinerary_ids: Sequence[str], telling: Telling) -> int:
        """How many were told that were not told before."""
        if not telling.changes:
            async with self._database.read() as connection:
                await flights.show_silently(connection, itinerary_ids, telling.status)
            return 0
        places = asyncio.Semaphore(_TOLD_AT_ONCE)

        async def tell(itinerary_id: str) -> bool:
            async with places, self._database.transaction() as connection:
                told = await itineraries.tell_of_flight(connection, itinerary_id, telling.status, telling.changes)
            return told is not None

        async with asyncio.TaskGroup() as together:
            telling_each = [together.create_task(tell(itinerary_id)) for itinerary_id in itinerary_ids]
        return sum(told.result() for told in telling_each)


async def begin_watching(client: Client, database: Database, itinerary: Itinerary, settings: Settings) -> None:
    """Every flight ahead of the itinerary gets a monitor, and the monitor a subscriber; again is harmless. Raises ServiceUnavailable
    while Temporal is away."""
    now, policy = datetime.now(UTC), settings.flights
    for segment in itinerary.segments:
        details = segment.details
        if segment.state != "confirmed" or segment.flight_key is None or not isinstance(details, FlightDetails):
            continue
        if segment.ends_at + timedelta(hours=policy.give_up_after_arrival_h) < now:
            continue
        planned = PlannedFlight(
            flight=FlightId.of_key(segment.flight_key),
            destination=details.destination,
            departs_at=segment.starts_at,
            arrives_at=segment.ends_at,
        )
        async with database.transaction() as connection:
            await flights.watch(connection, planned)
        await signal_monitor(client, planned, policy, Subscribed(itinerary_id=itinerary.itinerary_id))


async def take_pushed(
    client: Client,
    database: Database,
    policy: FlightPolicy,
    news: FlightNews,
    planned: PlannedFlight | None,
    event_id: str,
    *,
    can_be_asked: bool = False,
) -> bool:
    """Keeps what a supplier has said of a flight and wakes its monitor; again is harmless. `planned`: as it was booked, where it is in
    our books, though perhaps nobody watches it yet. `can_be_asked`: somebody else knows how flights stand, and has the last word where
    the news may be about another flight of the journey. False for a flight that concerns nobody here. Raises ServiceUnavailable while
    Temporal is away: the news are kept by then."""
    ask = news.ambiguous and can_be_asked
    async with database.transaction() as connection:
        if planned is not None and await flights.get(connection, planned.flight.key) is None:
            await flights.watch(connection, planned)
        if not ask and await flights.take_news(connection, news, policy) is None:
            return False
    await wake_monitor(client, database, news.flight.key, policy, event_id, ask=ask)
    return True


async def wake_monitor(
    client: Client,
    database: Database,
    flight_key: str,
    policy: FlightPolicy,
    event_id: str,
    *,
    retell: bool = False,
    ask: bool = False,
) -> None:
    """Has the flight's monitor look at our books, and starts it if it is gone. A flight that is over, and of which all were told, is
    left alone. `ask`: it asks the source at once. `retell`: a new monitor begins by telling everybody who does not know it yet.
    Raises ServiceUnavailable."""
    async with database.read() as connection:
        stored = await flights.get(connection, flight_key)
    if stored is None or (
        stored.ended_at is not None and stored.told_revision == stored.status.revision and not retell
    ):
        return
    planned = PlannedFlight(
        flight=stored.flight,
        destination=stored.status.arrival.airport,
        departs_at=stored.departs_at,
        arrives_at=stored.arrives_at,
    )
    fan_out = FanOutPlace(revision=stored.status.revision) if retell and stored.status.revision else None
    await signal_monitor(client, planned, policy, FlightPushed(event_id=event_id, ask=ask), fan_out)


async def signal_monitor(
    client: Client,
    planned: PlannedFlight,
    policy: FlightPolicy,
    signal: Subscribed | FlightPushed,
    fan_out: FanOutPlace | None = None,
) -> None:
    """Signals the flight's monitor; starts it first if there is none. Raises ServiceUnavailable while Temporal is away."""
    flight, monitor_id = planned.flight, monitor_id_for(planned.flight.key)
    plan = MonitorInput(
        flight=flight,
        policy=policy,
        correlation_id=monitor_id,
        departs_at=planned.departs_at,
        arrives_at=planned.arrives_at,
        fan_out=fan_out,
    )
    try:
        # `rpc_timeout` does not bound the whole call when the server is away.
        async with asyncio.timeout(_SIGNAL_TIMEOUT_S):
            await client.start_workflow(
                FLIGHT_MONITOR_WORKFLOW,
                plan,
                id=monitor_id,
                task_queue=TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                start_signal="subscribed" if isinstance(signal, Subscribed) else "pushed",
                start_signal_args=[signal],
                search_attributes=TypedSearchAttributes([SearchAttributePair(BOOKING_STATE, "scheduled")]),
                static_summary=f"{flight.carrier}{flight.number} {flight.origin}-{planned.destination} {flight.on}",
                rpc_timeout=timedelta(seconds=_SIGNAL_TIMEOUT_S),
            )
    except Exception as error:
        raise ServiceUnavailable("the flight's monitor cannot be reached; the flight is in our books") from error


async def _found(connection: AsyncConnection, flight_key: str) -> WatchedFlight:
    found = await flight_watch.watched(connection, flight_key)
    if found is None:
        raise InvariantBroken(f"flight {flight_key} has a monitor, and is not in our books")
    return found
