"""Monitors at work: a real PostgreSQL and Temporal, travellers planted by the handful, and a source that says what it is told to."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.running import at_work
from activities.watching import begin_watching, take_pushed
from bench.monitors.planting import plant
from gateways.ports import Vendors
from gateways.registry import build_vendors
from sandbox.stack import running_stack
from schema.bookings import TASK_QUEUE
from schema.flights import FlightId, FlightNews, FlightPoint, FlightPolicy, MonitorResult, monitor_id_for
from schema.references import new_id
from schema.settings import Settings
from schema.tables import events
from schema.tables import flights as flights_table
from store import flights, itineraries
from store.clients import ensure_client
from store.database import Database
from store.flights import PlannedFlight, StoredFlight
from store.valkey import Valkey
from tests.flights.fakes import FakeSource, WithSource
from tests.saga.waiting import eventually
from workers.interceptors import ObservedActivities
from workers.main import workflow_runner
from workers.temporal import temporal_connection
from workers.wiring import WORKFLOWS, all_activities

SLOW = FlightPolicy(jitter=0, fan_out_batch=5)
"""As in production, but for the size of batches: nothing is asked again while a test runs, unless somebody says so."""


@dataclass
class Tower:
    """Everything around monitors."""

    settings: Settings
    database: Database
    valkey: Valkey
    vendors: Vendors
    client: Client
    client_id: str
    source: FakeSource = field(default_factory=FakeSource)
    count: int = 0

    @asynccontextmanager
    async def worker(self, *, source: bool = True, **options: Any) -> AsyncGenerator[Worker]:
        vendors: Any = WithSource(self.vendors, self.source if source else None)
        defaults: dict[str, Any] = {"interceptors": [ObservedActivities()]}
        async with Worker(
            self.client,
            task_queue=TASK_QUEUE,
            workflows=WORKFLOWS,
            activities=all_activities(self.settings, self.database, self.valkey, vendors, self.client),
            workflow_runner=workflow_runner(self.settings),
            **{**defaults, **options},
        ) as worker:
            yield worker

    def a_flight(self, departs_in: timedelta = timedelta(days=10)) -> PlannedFlight:
        """One that no other test has."""
        self.count += 1
        departs_at = (datetime.now(UTC) + departs_in).replace(microsecond=0)
        flight = FlightId(carrier="ZY", number=str(self.count), on=departs_at.date(), origin="LHR")
        return PlannedFlight(
            flight=flight, destination="LIS", departs_at=departs_at, arrives_at=departs_at + timedelta(hours=3)
        )

    async def travellers(self, planned: PlannedFlight, count: int) -> list[str]:
        """Confirmed itineraries on the flight, of which no monitor knows."""
        prefix = new_id("x")[-16:]
        return await plant(self.database, self.client_id, [planned], count, prefix=prefix)

    async def subscribe(self, itinerary_ids: list[str], policy: FlightPolicy = SLOW) -> None:
        for itinerary_id in itinerary_ids:
            async with self.database.read() as connection:
                itinerary = await itineraries.get(connection, itinerary_id)
            assert itinerary is not None
            settings = self.settings.model_copy(update={"flights": policy})
            await begin_watching(self.client, self.database, itinerary, settings)

    async def watched(self, count: int, policy: FlightPolicy = SLOW, **options: Any) -> tuple[PlannedFlight, list[str]]:
        """A new flight with so many travellers, all subscribed."""
        planned = self.a_flight(**options)
        joined = await self.travellers(planned, count)
        await self.subscribe(joined, policy)
        return planned, joined

    async def push(self, news: FlightNews, policy: FlightPolicy = SLOW) -> None:
        """As a webhook does."""
        assert await take_pushed(self.client, self.database, policy, news, None, new_id("evt"))

    async def close_down(self) -> None:
        """No monitor is left for the workers of other tests, which do not know them."""
        async with self.database.read() as connection:
            keys = list(await connection.scalars(select(flights_table.c.flight_key)))
        for key in keys:
            with suppress(RPCError):  # it has ended
                await self.client.get_workflow_handle(monitor_id_for(key)).terminate("the tests are over")

    def handle(self, planned: PlannedFlight) -> WorkflowHandle[Any, MonitorResult]:
        return self.client.get_workflow_handle(monitor_id_for(planned.flight.key), result_type=MonitorResult)

    async def running(self, planned: PlannedFlight) -> bool:
        return await at_work(self.client, [monitor_id_for(planned.flight.key)])

    async def stored(self, planned: PlannedFlight) -> StoredFlight:
        async with self.database.read() as connection:
            stored = await flights.get(connection, planned.flight.key)
        assert stored is not None
        return stored

    async def until(self, planned: PlannedFlight, reached: Callable[[StoredFlight], bool]) -> StoredFlight:
        async def look() -> StoredFlight | None:
            stored = await self.stored(planned)
            return stored if reached(stored) else None

        found = await eventually(look, 100)
        assert found is not None
        return found

    async def told(self, itinerary_ids: list[str]) -> list[list[list[str]]]:
        """For each itinerary the changes that it was told of, in order."""
        query = (
            select(events.c.booking_id, events.c.data)
            .where(events.c.type == "itinerary.flight_changed")
            .where(events.c.booking_id.in_([one.removeprefix("itn_") for one in itinerary_ids]))
            .order_by(events.c.version)
        )
        async with self.database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            [row.data["changes"] for row in rows if f"itn_{row.booking_id}" == itinerary_id]
            for itinerary_id in itinerary_ids
        ]


def news_of(planned: PlannedFlight, *, said_min: int = 0, delay_min: int | None = None, **more: Any) -> FlightNews:
    """What a source says, `said_min` minutes after an hour ago."""
    estimated = None if delay_min is None else planned.departs_at + timedelta(minutes=delay_min)
    values = {
        "flight": planned.flight,
        "source": "duffel",
        "said_at": datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1) + timedelta(minutes=said_min),
        "departure": FlightPoint(airport="LHR", estimated=estimated, gate=more.pop("gate", None)),
        **more,
    }
    return FlightNews.model_validate(values)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def tower(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Tower]:
    """On servers of its own: on those that other tests share, their stand-ins for workflows would take its work."""
    async with running_stack(tmp_path_factory.mktemp("tower"), workers=0, api=False, vendors=False) as stack:
        async for made in _towers(stack.settings()):
            yield made


async def _towers(settings: Settings) -> AsyncGenerator[Tower]:
    database, valkey = Database(str(settings.database_url), 10), Valkey(str(settings.valkey_url))
    vendors = build_vendors(settings)
    client = await temporal_connection(settings)
    client_id = await ensure_client(database, name=new_id("tower"), scopes=[], token=new_id("token"))
    made = Tower(settings, database, valkey, vendors, client, client_id)
    yield made
    await made.close_down()
    await vendors.aclose()
    await valkey.aclose()
    await database.aclose()
