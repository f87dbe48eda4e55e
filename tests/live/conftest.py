"""Clients with events, a relay that tells them, and an API to hear them from; on the real PostgreSQL and Valkey of the session."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
import structlog
from fastapi import FastAPI
from redis.asyncio import Redis
from sqlalchemy import func, insert, select, update

from api.app import create_app
from schema.references import booking_id_for, new_id
from schema.settings import LiveSettings, Settings
from schema.tables import api_clients, events
from store import bookings
from store.clients import ensure_client
from store.database import Database
from store.outbox import held_outbox
from store.valkey import Valkey
from tests.api.fakes import FakeVendors
from tests.api.live import served
from tests.relay.conftest import QUICK
from tests.store.made import new_booking
from workers.relay import relaying

LIVE = LiveSettings(look_every_s=0.3, drain_notice_s=0)
"""Deadlines for clients as they are: they run on the loop of the tests, and are as slow as these."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Servers and pools live on the session's loop, so these tests run on it too."""
    for item in items:
        if item.path.is_relative_to(__file__.removesuffix("/conftest.py")) and item.get_closest_marker("asyncio"):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.stack)


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    structlog.configure(processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()])


@dataclass
class Listener:
    """An API client with one booking, about which there is always something new to say."""

    client_id: str
    token: str
    booking_id: str
    database: Database

    async def happens(self, number: int, size_bytes: int = 0) -> None:
        """So many events in one transaction."""
        of_this = (events.c.booking_id == self.booking_id, events.c.stream == "notice:test")
        async with self.database.transaction() as connection:
            last = await connection.scalar(select(func.coalesce(func.max(events.c.version), 0)).where(*of_this))
            values = [
                {
                    "client_id": self.client_id,
                    "booking_id": self.booking_id,
                    "stream": "notice:test",
                    "version": last + place,
                    "type": "notice.test",
                    "state": "PENDING",
                    "data": {"filling": "x" * size_bytes},
                }
                for place in range(1, number + 1)
            ]
            await connection.execute(insert(events), values)

    async def all_published(self) -> bool:
        query = select(func.count()).where(events.c.client_id == self.client_id, events.c.published_at.is_(None))
        async with self.database.read() as connection:
            return await connection.scalar(query) == 0

    async def loses_its_token(self) -> None:
        disable = update(api_clients).where(api_clients.c.id == self.client_id).values(disabled_at=func.now())
        async with self.database.transaction() as connection:
            await connection.execute(disable)


Listening = Callable[..., Awaitable[Listener]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(postgres_url, pool_size=4)
    yield opened
    await opened.aclose()


@pytest.fixture
def listener(database: Database) -> Listening:
    """Makes one; its first event says that its booking was made."""

    async def make(scopes: tuple[str, ...] = ("me:read",)) -> Listener:
        token = new_id("token")
        client_id = await ensure_client(database, name=new_id("client"), scopes=list(scopes), token=token)
        booking_id = booking_id_for(client_id, "key")
        async with database.transaction() as connection:
            new = new_booking(client_id, booking_id).model_copy(update={"idempotency_key": booking_id})
            await bookings.create(connection, new)
        return Listener(client_id, token, booking_id, database)

    return make


@pytest_asyncio.fixture(loop_scope="session")
async def relay(settings: Settings, database: Database) -> AsyncIterator[None]:
    """Runs as long as the test."""
    valkey = Valkey(str(settings.valkey_url))
    async with relaying(
        settings.model_copy(update={"relay": QUICK.model_copy(update={"max_silence_s": 5})}), database, valkey
    ):
        yield
    await valkey.aclose()


@pytest.fixture
def number_only(database: Database, postgres_url: str) -> Callable[[Listener], Awaitable[None]]:
    """A relay that dies after it has numbered a listener's events, before it has told anybody."""

    async def run(whose: Listener) -> None:
        lock_database = Database(postgres_url, pool_size=1)
        async with held_outbox(lock_database, 5) as outbox:
            assert outbox is not None
            await outbox.number(
                [event for event in await outbox.unpublished(1000) if event.client_id == whose.client_id]
            )
        await lock_database.aclose()

    return run


@pytest_asyncio.fixture(loop_scope="session")
async def empty_valkey(valkey_url: str) -> Callable[[], Awaitable[None]]:
    async def empty() -> None:
        async with Redis.from_url(valkey_url) as redis:
            await redis.flushdb()

    return empty


@dataclass
class Api:
    """An API in this process: its application, and where it answers."""

    app: FastAPI
    url: str

    @property
    def connections(self) -> int:
        return self.app.state.services.live.connections

    async def get(self, whose: Listener, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {whose.token}"}) as http:
            return await http.get(path)


@asynccontextmanager
async def serving(settings: Settings, **changes: object) -> AsyncIterator[Api]:
    live = LIVE.model_copy(update=changes)
    app = create_app(settings.model_copy(update={"live": live}), FakeVendors())
    async with served(app) as port:
        yield Api(app, f"http://127.0.0.1:{port}")


@pytest_asyncio.fixture(loop_scope="session")
async def api(settings: Settings) -> AsyncIterator[Api]:
    async with serving(settings) as opened:
        yield opened
