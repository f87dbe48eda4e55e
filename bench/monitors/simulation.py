"""A stretch of simulated time over many flights, then a cancellation of a full one, then a flood of signals to one monitor."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import psutil
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.service import RPCError

from activities.watching import signal_monitor, take_pushed
from bench.histories import events_of
from bench.monitors.planting import plant
from bench.monitors.worker import QUEUE
from sandbox.stack import Stack, running_stack
from sandbox.stack_parts import own_command, own_environment
from sandbox.stack_temporal import TemporalProbe
from sandbox.supervisor import Part, Say, Supervisor
from schema.flights import (
    FLIGHT_MONITOR_WORKFLOW,
    FlightId,
    FlightNews,
    FlightPolicy,
    FlightPushed,
    MonitorInput,
    monitor_id_for,
)
from store import flights
from store.clients import ensure_client
from store.database import Database
from store.flights import PlannedFlight
from workers.temporal import temporal_connection

AHEAD_DAYS: Final = 30
"""Departures are spread evenly over so many days: what a steady business has in its books."""
_FLIGHT_H: Final = 3
_DAY_H: Final = 24
_STARTS_AT_ONCE: Final = 50
_SIGNALS_AT_ONCE: Final = 50
_DEADLINE_S: Final = 300
_SEED: Final = 20_301
ACTIONS: Final = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: "starts",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: "signals",
    EventType.EVENT_TYPE_TIMER_STARTED: "timers",
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: "activities",
    EventType.EVENT_TYPE_MARKER_RECORDED: "local activities",
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: "search attributes",
}
"""What Temporal bills as actions, by the events that they leave."""


class MonitorsBroken(Exception):
    """What was to happen did not."""


@dataclass(frozen=True, slots=True)
class Sizes:
    flights: int
    bookings: Sequence[int]
    stretch_h: float
    """Of simulated time, measured for each number of bookings."""
    stretch_s: float
    """What it takes on the clock on the wall."""
    fan_out: int
    signals: int

    @property
    def clock_scale(self) -> float:
        return self.stretch_h * 3600 / self.stretch_s


FULL: Final = Sizes(500, (1_000, 10_000, 100_000), stretch_h=2, stretch_s=40, fan_out=500, signals=1_000)
QUICK: Final = Sizes(20, (40, 400), stretch_h=2, stretch_s=8, fan_out=60, signals=100)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One number of bookings."""

    bookings: int
    polls_a_day: float
    actions_a_day: dict[str, float]
    worker_mb: float


@dataclass(frozen=True, slots=True)
class Measured:
    sizes: Sizes
    stretches: list[Stretch]
    fan_out_s: float
    signals_per_s: float
    looks_of_flood: int
    """How often the flooded monitor looked at its flight."""


@dataclass(frozen=True, slots=True)
class Bench:
    database: Database
    temporal: Client
    client_id: str
    worker: psutil.Process
    sizes: Sizes
    say: Say

    @property
    def policy(self) -> FlightPolicy:
        return FlightPolicy(clock_scale=self.sizes.clock_scale)

    async def measure(self) -> Measured:
        ahead = self._ahead()
        self.say(f"{len(ahead)} flights, a simulated hour takes {3600 / self.sizes.clock_scale:.1f} s")
        planted, stretches = 0, list[Stretch]()
        for bookings in self.sizes.bookings:
            await plant(self.database, self.client_id, ahead, bookings - planted, prefix=f"BENCH{bookings:011d}")
            if not planted:
                await self._start(ahead)
            planted = bookings
            self.say(f"{bookings} bookings are planted and watched")
            stretches.append(await self._stretch(ahead, bookings))
        await self._stop(ahead)
        fan_out_s = await self._fan_out()
        signals_per_s, looks = await self._flood()
        return Measured(self.sizes, stretches, fan_out_s, signals_per_s, looks)

    def _ahead(self) -> list[PlannedFlight]:
        """Departures by the compressed clock: a simulated day ahead is a fraction of one from now."""
        now, spread_s = datetime.now(UTC), AHEAD_DAYS * 86_400 / self.sizes.clock_scale
        return [
            _planned(number, now + timedelta(seconds=spread_s * number / self.sizes.flights), self.sizes.clock_scale)
            for number in range(1, self.sizes.flights + 1)
        ]

    async def _start(self, ahead: Sequence[PlannedFlight]) -> None:
        """As if all had been watched for a while: each somewhere between two polls."""
        chance, places = random.Random(_SEED), asyncio.Semaphore(_STARTS_AT_ONCE)  # noqa: S311  # spreads load, no secret

        async def start(planned: PlannedFlight, share: float) -> None:
            async with places:
                async with self.database.transaction() as connection:
                    await flights.watch(connection, planned)
                now = datetime.now(UTC)
                after_s = self.policy.poll_after_s((planned.departs_at - now).total_seconds())
                plan = MonitorInput(
                    flight=planned.flight,
                    policy=self.policy,
                    correlation_id="bench",
                    departs_at=planned.departs_at,
                    arrives_at=planned.arrives_at,
                    next_poll_at=now + timedelta(seconds=after_s * share),
                )
                await self.temporal.start_workflow(
                    FLIGHT_MONITOR_WORKFLOW, plan, id=monitor_id_for(planned.flight.key), task_queue=QUEUE
                )

        await asyncio.gather(*(start(planned, chance.random()) for planned in ahead))
        async with asyncio.timeout(_DEADLINE_S):
            for planned in ahead:
                while not await self._waits(planned):  # noqa: ASYNC110  # it happens in another process
                    await asyncio.sleep(0.1)

    async def _waits(self, planned: PlannedFlight) -> bool:
        """It has looked once, and begun to wait."""
        events = await events_of(self.temporal, monitor_id_for(planned.flight.key))
        return any(event.event_type == EventType.EVENT_TYPE_TIMER_STARTED for event in events)

    async def _stop(self, ahead: Sequence[PlannedFlight]) -> None:
        """What comes next is measured by the clock on the wall, without hundreds of compressed ones beside it."""
        places = asyncio.Semaphore(_STARTS_AT_ONCE)

        async def stop(planned: PlannedFlight) -> None:
            async with places:
                with suppress(RPCError):  # its flight has arrived
                    await self.temporal.get_workflow_handle(monitor_id_for(planned.flight.key)).terminate("measured")

        await asyncio.gather(*(stop(planned) for planned in ahead))

    async def _stretch(self, ahead: Sequence[PlannedFlight], bookings: int) -> Stretch:
        since = datetime.now(UTC)
        # Not a synchronisation: the stretch is what is measured.
        await asyncio.sleep(self.sizes.stretch_s)
        until = datetime.now(UTC)
        memory_mb = self.worker.memory_info().rss / 1e6
        days = (until - since).total_seconds() * self.sizes.clock_scale / 86_400
        counted = Counter[str]()
        for planned in ahead:
            for event in await events_of(self.temporal, monitor_id_for(planned.flight.key)):
                kind = ACTIONS.get(event.event_type)
                if kind is not None and since <= event.event_time.ToDatetime(UTC) < until:
                    counted[kind] += 1
        actions = {kind: count / days for kind, count in sorted(counted.items())}
        return Stretch(bookings, counted["activities"] / days, actions, memory_mb)

    async def _fan_out(self) -> float:
        """From the airline's word to the last itinerary's event."""
        planned = await self._full_flight(9_001, self.sizes.fan_out)
        self.say(f"a flight with {self.sizes.fan_out} itineraries is cancelled")
        news = FlightNews(flight=planned.flight, source="bench", said_at=datetime.now(UTC), phase="cancelled")
        began = time.monotonic()
        if not await take_pushed(self.temporal, self.database, FlightPolicy(), news, planned, "bench"):
            raise MonitorsBroken("the cancelled flight is not watched")
        await self._until_told(planned, 1)
        return time.monotonic() - began

    async def _flood(self) -> tuple[float, int]:
        """Signals to one monitor until the last is in its history, and it has looked at its flight after it."""
        planned = await self._full_flight(9_002, 1)
        self.say(f"{self.sizes.signals} signals to one monitor")
        handle = self.temporal.get_workflow_handle(monitor_id_for(planned.flight.key))
        places = asyncio.Semaphore(_SIGNALS_AT_ONCE)

        async def signal(number: int) -> None:
            async with places:
                await handle.signal("pushed", FlightPushed(event_id=f"evt_{number}"))

        began = time.monotonic()
        await asyncio.gather(*(signal(number) for number in range(self.sizes.signals)))
        delayed = FlightNews(flight=planned.flight, source="bench", said_at=datetime.now(UTC), phase="departed")
        await take_pushed(self.temporal, self.database, FlightPolicy(), delayed, planned, "bench")
        await self._until_told(planned, 1)
        took_s = time.monotonic() - began
        events = await events_of(self.temporal, monitor_id_for(planned.flight.key))
        types = Counter(event.event_type for event in events)
        return self.sizes.signals / took_s, types[EventType.EVENT_TYPE_MARKER_RECORDED]

    async def _full_flight(self, number: int, itineraries: int) -> PlannedFlight:
        """Watched as in production, by the clock on the wall."""
        planned = _planned(number, datetime.now(UTC) + timedelta(days=10), 1)
        await plant(self.database, self.client_id, [planned], itineraries, prefix=f"FULL{number:012d}")
        async with self.database.transaction() as connection:
            await flights.watch(connection, planned)
        await signal_monitor(self.temporal, planned, FlightPolicy(), FlightPushed(event_id="bench"))
        async with asyncio.timeout(_DEADLINE_S):
            while (await self._stored(planned)).polled_at is None:  # noqa: ASYNC110  # it happens in another process
                await asyncio.sleep(0.05)
        return planned

    async def _until_told(self, planned: PlannedFlight, revision: int) -> None:
        async with asyncio.timeout(_DEADLINE_S):
            while (await self._stored(planned)).told_revision < revision:  # noqa: ASYNC110  # it happens in another process
                await asyncio.sleep(0.02)

    async def _stored(self, planned: PlannedFlight) -> flights.StoredFlight:
        async with self.database.read() as connection:
            stored = await flights.get(connection, planned.flight.key)
        if stored is None:
            raise MonitorsBroken(f"{planned.flight.key} is not in the books")
        return stored


@asynccontextmanager
async def running_bench(sizes: Sizes, say: Say) -> AsyncIterator[Bench]:
    """PostgreSQL and Temporal as in production but for their place; the worker in a process of its own, without Temporal's sandbox."""
    environment = {
        "TRAVELHUB_LOG_FORMAT": "json",
        "TRAVELHUB_LOG_LEVEL": "error",
        "TRAVELHUB_WORKER_SANDBOXED": "false",
    }
    with TemporaryDirectory(prefix="travelhub-bench-") as name:
        async with running_stack(
            Path(name), workers=0, api=False, vendors=False, environment=environment, say=say
        ) as stack:
            aside = Supervisor(say)
            settings = stack.settings()
            database = Database(str(settings.database_url), 20)
            try:
                await aside.start(_worker_part(stack))
                process = aside["monitor worker"].process
                if process is None:
                    raise MonitorsBroken("the worker has just started, and is away already")
                client_id = await ensure_client(database, name="bench", scopes=[], token="bench-monitors")  # noqa: S106  # of a database that is thrown away
                temporal = await temporal_connection(settings)
                yield Bench(database, temporal, client_id, psutil.Process(process.pid), sizes, say)
            finally:
                await database.aclose()
                await aside.stop()


def _worker_part(stack: Stack) -> Part:
    probe, command = TemporalProbe(stack.state.temporal_address), own_command()
    return Part(
        name="monitor worker",
        command=[*command[: command.index("cli")], "bench.monitors.worker"],
        environment=own_environment(stack.state),
        log=stack.state.logs / "monitor-worker.log",
        ready=lambda pid: probe.polls(pid, QUEUE),
        stop_timeout_s=20,
    )


def _planned(number: int, departs_at: datetime, clock_scale: float) -> PlannedFlight:
    flight = FlightId(carrier="ZZ", number=str(number), on=departs_at.date(), origin="LHR")
    arrives_at = departs_at + timedelta(hours=_FLIGHT_H / clock_scale)
    return PlannedFlight(flight=flight, destination="LIS", departs_at=departs_at, arrives_at=arrives_at)
