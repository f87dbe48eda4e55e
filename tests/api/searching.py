"""What tests of searches share: a trip, and applications that search under other bounds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
from fastapi import FastAPI

from api.app import create_app
from schema.searches import SearchPolicy
from schema.settings import Settings
from tests.api.conftest import Caller, running
from tests.api.fakes import FakeVendors, trip_day
from tests.api.waiting import until

DAY = trip_day().date()
TRIP: dict[str, object] = {
    "origin": "LHR",
    "destination": "JFK",
    "departure_date": str(DAY),
    "return_date": str(DAY + timedelta(days=4)),
}


@asynccontextmanager
async def another_process(settings: Settings, vendors: FakeVendors, **policy: object) -> AsyncIterator[FastAPI]:
    """An application of its own on the same servers, as another API process is."""
    search = SearchPolicy.model_validate(policy)
    async with running(create_app(settings.model_copy(update={"search": search}), vendors)) as app:
        yield app


async def searched(caller: Caller, **changes: object) -> dict:
    answer = await caller.post("/v1/searches", TRIP | changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


def outcomes(body: dict) -> dict[str, str]:
    return {report["supplier"]: report["outcome"] for report in body["suppliers"]}


def ids(body: dict) -> list[str]:
    return [offer["offer_id"] for offer in body["offers"]]


async def hears_news(app: FastAPI) -> None:
    """Until the process hears which entries are dropped."""
    await until(lambda: app.state.services.search.copies.hears)


async def began(caller: Caller, **changes: object) -> httpx.Response:
    """A search that nobody waits for."""
    return await caller.post("/v1/searches", TRIP | changes, Prefer="respond-async")
