"""Bookings that move, endpoints that listen, and relays to run between them; on the real PostgreSQL and Valkey of the session."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio
import structlog
from redis.asyncio import Redis
from sqlalchemy import delete, func, select

from schema.bookings import StateChange
from schema.feed import FeedMessage
from schema.references import booking_id_for, new_id
from schema.settings import RelaySettings, Settings
from schema.states import BookingState
from schema.tables import events, webhook_deliveries, webhook_endpoints
from store import bookings, endpoints, feed
from store.clients import ensure_client
from store.database import Database
from store.endpoints import NewEndpoint, StoredEndpoint
from store.event_stream import STREAM
from store.feed_window import FeedWindow
from store.valkey import Valkey
from tests.relay.consumer import Consumer, consuming
from tests.store.made import new_booking
from workers.relay import relaying

LIFE = [BookingState.AWAITING_PAYMENT, BookingState.RESERVING, BookingState.CONFIRMED]
QUICK = RelaySettings(
    poll_s=0.01, max_silence_s=1, retry_delays_s=[0.05], give_up_after_s=60, allow_private_targets=True, timeout_s=5
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Servers and pools live on the session's loop, so these tests run on it too."""
    for item in items:
        if item.path.is_relative_to(__file__.removesuffix("/conftest.py")) and item.get_closest_marker("asyncio"):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.stack)


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """Drawing a traceback as structlog does by default would keep the loop, and thereby the relay, busy for a second."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    )


@dataclass
class Client:
    """An API client with its bookings and endpoints, as the tables and the stream show them."""

    client_id: str
    database: Database
    redis: Redis
    valkey_url: str

    async def books(self) -> str:
        booking_id = booking_id_for(self.client_id, new_id("key"))
        async with self.database.transaction() as connection:
            new = new_booking(self.client_id, booking_id).model_copy(update={"idempotency_key": booking_id})
            await bookings.create(connection, new)
        return booking_id

    async def lives(self) -> str:
        """A booking with four events, versions 0 to 3."""
        booking_id = await self.books()
        for version, state in enumerate(LIFE, 1):
            await self.moves(booking_id, version, state)
        return booking_id

    async def moves(self, booking_id: str, version: int, state: BookingState) -> None:
        async with self.database.transaction() as connection:
            await bookings.record(connection, StateChange(booking_id=booking_id, version=version, state=state))

    async def listens(self, url: str, *event_types: str) -> StoredEndpoint:
        new = NewEndpoint(
            endpoint_id=new_id("we"),
            client_id=self.client_id,
            url=url,
            event_types=list(event_types) or ["*"],
            description=None,
            made_for="key-of-this-test",
        )
        async with self.database.transaction() as connection:
            made = await endpoints.add(connection, new, 10)
        assert made is not None
        return made

    async def endpoint(self, endpoint_id: str) -> StoredEndpoint:
        async with self.database.read() as connection:
            found = await endpoints.find(connection, self.client_id, endpoint_id)
        assert found is not None
        return found

    async def in_stream(self) -> list[tuple[str, int]]:
        """Booking and version of each entry."""
        entries = [fields for _, fields in await self.redis.xrange(STREAM)]
        ours = [fields for fields in entries if fields[b"client"].decode() == self.client_id]
        return [(fields[b"booking"].decode(), int(fields[b"version"])) for fields in ours]

    async def feed(self) -> list[FeedMessage]:
        """Its live feed, as the books have it."""
        async with self.database.read() as connection:
            return await feed.page(connection, self.client_id, 0, 1000)

    async def kept(self) -> list[FeedMessage]:
        """The same, as Valkey has it."""
        valkey = Valkey(self.valkey_url)
        try:
            return await FeedWindow(valkey).page(self.client_id, 0, 200)
        finally:
            await valkey.aclose()

    async def feed_head(self) -> int:
        async with self.database.read() as connection:
            return await feed.head(connection, self.client_id)

    async def all_published(self) -> bool:
        query = select(func.count()).where(events.c.client_id == self.client_id, events.c.published_at.is_(None))
        async with self.database.read() as connection:
            return await connection.scalar(query) == 0

    async def delivery_states(self) -> list[str]:
        query = (
            select(webhook_deliveries.c.state)
            .join(webhook_endpoints, webhook_endpoints.c.id == webhook_deliveries.c.endpoint_id)
            .where(webhook_endpoints.c.client_id == self.client_id)
        )
        async with self.database.read() as connection:
            return list(await connection.scalars(query))

    async def told_all(self) -> bool:
        """Everything is in the stream, and every delivery is done."""
        return await self.all_published() and set(await self.delivery_states()) <= {"delivered"}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(postgres_url, pool_size=4)
    yield opened
    await opened.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def client(database: Database, valkey_url: str) -> AsyncIterator[Client]:
    client_id = await ensure_client(database, name=new_id("client"), scopes=[], token=new_id("token"))
    async with Redis.from_url(valkey_url) as redis:
        yield Client(client_id, database, redis, valkey_url)
    async with database.transaction() as connection:
        # Nobody listens there any more, and the relays of other tests need not find that out.
        await connection.execute(delete(webhook_endpoints).where(webhook_endpoints.c.client_id == client_id))


@pytest_asyncio.fixture(loop_scope="session")
async def consumer() -> AsyncGenerator[Consumer]:
    async with consuming() as opened:
        yield opened


Relaying = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
def relay(settings: Settings, database: Database) -> Relaying:
    """Runs a relay, quick unless told otherwise, for as long as the block lasts."""

    @asynccontextmanager
    async def run(**changes: object) -> AsyncIterator[None]:
        changed = settings.model_copy(update={"relay": QUICK.model_copy(update=changes)})
        valkey = Valkey(str(settings.valkey_url))
        async with relaying(changed, database, valkey):
            yield
        await valkey.aclose()

    return run
