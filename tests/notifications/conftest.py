"""Travellers on the real servers, each with a booking and vendors of their own."""

from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from schema.references import new_id
from schema.settings import Settings
from store.clients import ensure_client
from store.database import Database
from tests.notifications.people import People, some_people


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(postgres_url, pool_size=8)
    yield opened
    await opened.aclose()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal(temporal_address: str) -> Client:
    return await Client.connect(temporal_address, data_converter=pydantic_data_converter)


@pytest_asyncio.fixture(loop_scope="session")
async def people(settings: Settings, database: Database, temporal: Client) -> People:
    client_id = await ensure_client(database, name=new_id("client"), scopes=[], token=new_id("token"))
    return await some_people(settings, database, temporal, client_id)
