"""An API under test: the real application on the real servers, with vendors in memory and workflows that do as they are told."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
import structlog
from fastapi import FastAPI
from redis.asyncio import Redis
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from api.app import create_app
from schema.bookings import TASK_QUEUE
from schema.disruptions import DISRUPTION_WORKFLOW, Disruption, disruption_workflow_id_for
from schema.offers import FoundOffer, Kind, Offer
from schema.settings import Settings
from store import clients, offers
from store.database import Database
from tests.api.fakes import FakeVendors, offer_of
from tests.api.stub_workflows import (
    StubBookingWorkflow,
    StubCancellationWorkflow,
    StubDisruptionWorkflow,
    StubMonitorSweepWorkflow,
    StubReconciliationWorkflow,
    StubSweepWorkflow,
)
from tests.api.trip_pages import a_trip, disrupt

SCOPES = [
    *("bookings:read", "bookings:write", "searches:write", "payments:read"),
    *("webhooks:read", "webhooks:write", "ops:read", "ops:write"),
    *("itineraries:read", "itineraries:write", "me:read", "me:write"),
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Servers and pools live on the session's loop, so these tests run on it too."""
    for item in items:
        if item.path.is_relative_to(__file__.removesuffix("/conftest.py")) and item.get_closest_marker("asyncio"):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.stack)


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """Short lines, and loggers that are not cached, so that tests can listen in."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        cache_logger_on_first_use=False,
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(postgres_url, pool_size=4)
    yield opened
    await opened.aclose()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal(temporal_address: str) -> AsyncIterator[Client]:
    """A client, and a worker that runs the stub workflows."""
    client = await Client.connect(temporal_address, data_converter=pydantic_data_converter)
    worker = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[
            StubBookingWorkflow,
            StubCancellationWorkflow,
            StubDisruptionWorkflow,
            StubReconciliationWorkflow,
            StubSweepWorkflow,
            StubMonitorSweepWorkflow,
        ],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        yield client


@pytest.fixture
def vendors() -> FakeVendors:
    return FakeVendors()


@pytest_asyncio.fixture(loop_scope="session")
async def empty_cache(valkey_url: str) -> None:
    """For tests that search: what another test has found shall not be found again."""
    async with Redis.from_url(valkey_url) as redis:
        await redis.flushdb()


@dataclass(frozen=True)
class Caller:
    """One API client as a test sees it: who it is, and the HTTP client that speaks for it."""

    client_id: str
    name: str
    token: str
    http: httpx.AsyncClient

    async def post(self, path: str, body: object, key: str | None = None, **headers: str) -> httpx.Response:
        """A POST with a fresh key unless one is given."""
        sent = {"Idempotency-Key": key or f"key-{uuid4()}", **headers}
        return await self.http.post(path, json=body, headers=sent)

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path)


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[FastAPI]:
    async with app.router.lifespan_context(app):
        yield app


def speak(app: FastAPI, token: str | None = None) -> httpx.AsyncClient:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test", headers=headers)


@pytest_asyncio.fixture(loop_scope="session")
async def app(settings: Settings, vendors: FakeVendors, temporal: Client) -> AsyncIterator[FastAPI]:
    async with running(create_app(settings, vendors)) as opened:
        yield opened


Minting = Callable[..., Awaitable[Caller]]


@pytest_asyncio.fixture(loop_scope="session")
async def mint(app: FastAPI, database: Database) -> AsyncIterator[Minting]:
    """Makes API clients; `mint()` one that may do everything, `mint(["ops:read"])` one that may not; `of` another application."""
    async with AsyncExitStack() as opened:

        async def make(scopes: list[str] | None = None, of: FastAPI | None = None) -> Caller:
            name, token = f"client-{uuid4()}", f"th_test_{uuid4()}"
            client_id = await clients.ensure_client(
                database, name=name, scopes=SCOPES if scopes is None else scopes, token=token
            )
            http = await opened.enter_async_context(speak(of or app, token))
            return Caller(client_id, name, token, http)

        yield make


@pytest_asyncio.fixture(loop_scope="session")
async def caller(mint: Minting) -> Caller:
    return await mint()


async def saved_offers(database: Database, client_id: str, *found: Offer) -> list[Offer]:
    """As if the client had searched; by default one of each kind."""
    chosen = list(found) or [offer_of(kind) for kind in _kinds()]
    async with database.transaction() as connection:
        return await offers.save(
            connection, client_id, [FoundOffer(offer=offer, supplier_state={"secret": "tok"}) for offer in chosen]
        )


def _kinds() -> tuple[Kind, Kind, Kind]:
    return ("flight", "hotel", "car")


TRAVELLER = {
    "title": "ms",
    "given_name": "Ada",
    "family_name": "Lovelace",
    "gender": "f",
    "date_of_birth": "1990-12-10",
    "email": "ada@example.com",
    "phone_number": "+442080160509",
}


def booking_body(found: list[Offer], **changes: object) -> dict[str, object]:
    """A body that is right for these offers, but for the changes."""
    return {
        "items": [{"offer_id": offer.offer_id} for offer in found],
        "travellers": [TRAVELLER],
        "payment": {"method": "card", "provider": "stripe", "payment_method_id": "pm_card_visa"},
        "expected_total": {
            "amount_minor": sum(offer.price.amount_minor for offer in found),
            "currency": found[0].price.currency,
        },
    } | changes


Booking = Callable[..., Awaitable[dict[str, object]]]


@pytest.fixture
def book(database: Database) -> Booking:
    """Books a trip of three for a caller, and returns the answer's body."""

    async def make(caller: Caller, **headers: str) -> dict[str, object]:
        found = await saved_offers(database, caller.client_id)
        answer = await caller.post("/v1/bookings", booking_body(found), **headers)
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    return make


@pytest_asyncio.fixture(loop_scope="session")
async def itinerary_id(caller: Caller, database: Database) -> str:
    """A trip with a page."""
    return await a_trip(database, caller.client_id)


@pytest_asyncio.fixture(loop_scope="session")
async def disruption(database: Database, itinerary_id: str, temporal: Client) -> AsyncIterator[Disruption]:
    """Of that trip: alternatives are offered, and its workflow waits."""
    made = await disrupt(database, itinerary_id)
    handle = await temporal.start_workflow(
        DISRUPTION_WORKFLOW,
        made.disruption_id,
        id=disruption_workflow_id_for(made.disruption_id),
        task_queue=TASK_QUEUE,
    )
    yield made
    await handle.signal("end")
