"""What every request needs, opened once when the process starts and closed when it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request
from temporalio.client import Client

from api.admission import Gate
from api.auth import Tokens
from api.live.hub import Hub
from api.readiness import Readiness
from api.temporal import connect
from gateways.ports import Vendors
from gateways.registry import build_vendors
from schema.settings import Settings
from search.house import SearchHouse, open_search
from store.database import Database
from store.traffic import SharedTraffic
from store.valkey import Valkey


@dataclass(frozen=True, slots=True)
class Services:
    """The doors to everything outside the process, and what it remembers for a few seconds."""

    settings: Settings
    database: Database
    valkey: Valkey
    vendors: Vendors
    temporal: Client
    tokens: Tokens
    gate: Gate
    readiness: Readiness
    search: SearchHouse
    live: Hub
    draining: asyncio.Event
    """Set when the process is asked to stop: whoever waits for something answers now."""


@asynccontextmanager
async def open_services(
    settings: Settings, draining: asyncio.Event, vendors: Vendors | None = None
) -> AsyncIterator[Services]:
    """Nothing of it connects before it is needed: the API starts, and says that it lives, while everything else is away."""
    async with AsyncExitStack() as opened:
        database = Database(str(settings.database_url), settings.database_pool_size)
        opened.push_async_callback(database.aclose)
        valkey = Valkey(str(settings.valkey_url))
        opened.push_async_callback(valkey.aclose)
        if vendors is None:
            traffic = SharedTraffic(valkey, settings.outbound)
            opened.push_async_callback(traffic.aclose)
            vendors = build_vendors(settings, traffic)
            opened.push_async_callback(vendors.aclose)
        search = await opened.enter_async_context(open_search(database, valkey, vendors, settings.search))
        live = Hub(settings.live, database, valkey)
        await opened.enter_async_context(live.running())
        temporal = await connect(settings)
        yield Services(
            settings=settings,
            database=database,
            valkey=valkey,
            vendors=vendors,
            temporal=temporal,
            tokens=Tokens(database),
            gate=Gate(database, settings.sagas_in_flight),
            readiness=Readiness(database, valkey, temporal),
            search=search,
            live=live,
            draining=draining,
        )


async def services_of(request: Request) -> Services:
    """The dependency that hands them to a route."""
    return request.app.state.services


Serve = Annotated[Services, Depends(services_of)]
