"""The room of a trip: opened by its signed link, for as long as that is good, and told of nothing but the trip's revisions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from schema.links import trip_link
from schema.settings import Settings
from schema.tables import itineraries
from store.database import Database
from store.itineraries import raised
from tests.api.trip_pages import a_trip
from tests.live.conftest import Api, Listener, Listening, serving
from tests.live.hearing import packets, raw
from tests.saga.waiting import eventually


def _token(settings: Settings, itinerary_id: str, secret: str | None = None) -> str:
    assert settings.link_secret is not None
    return trip_link("", secret or settings.link_secret.get_secret_value(), itinerary_id).partition("=")[2]


async def _changes(database: Database, itinerary_id: str) -> int:
    """The trip's new revision."""
    async with database.transaction() as connection:
        return await raised(connection, itinerary_id, "itinerary.changed", {})


async def _over(database: Database, itinerary_id: str) -> None:
    past = itineraries.c.created_at - timedelta(days=91)
    async with database.transaction() as connection:
        await connection.execute(update(itineraries).where(itineraries.c.id == itinerary_id).values(ends_at=past))


async def _heard(line: AsyncIterator[tuple[str, Any]], up_to: int) -> list[tuple[str, Any]]:
    heard: list[tuple[str, Any]] = []
    async with asyncio.timeout(30):
        async for event, body in line:
            heard.append((event, body))
            if event in ("ready", "head") and body["sequence"] >= up_to:
                return heard
    raise AssertionError(f"it was disconnected after {heard}")


@asynccontextmanager
async def _opened(
    api: Api, settings: Settings, database: Database, who: Listener
) -> AsyncIterator[tuple[str, AsyncIterator[tuple[str, Any]]]]:
    """A trip, and what its room tells after it has said that it is ready."""
    mine = await a_trip(database, who.client_id)
    async with raw(api.url, {"trip": _token(settings, mine)}) as line:
        told = packets(line)
        (kind, welcome), *first = await _heard(told, 0)
        assert (kind, set(welcome), first) == ("welcome", {"sid"}, [("ready", {"sequence": 0})])
        yield mine, told


async def test_it_tells_of_its_trip_and_of_nothing_else(
    settings: Settings, database: Database, listener: Listening, relay: None
) -> None:
    who = await listener()
    other = await a_trip(database, who.client_id)
    async with (
        serving(settings, look_every_s=600) as api,
        _opened(api, settings, database, who) as (mine, told),
    ):
        await who.happens(3)
        await _changes(database, other)
        await _changes(database, other)
        await eventually(who.all_published)
        assert await _changes(database, mine) == 1
        assert await _heard(told, 1) == [("head", {"sequence": 1})]


async def test_what_nobody_told_is_found_in_the_books(
    api: Api, settings: Settings, database: Database, listener: Listening
) -> None:
    """There is no relay here."""
    async with _opened(api, settings, database, await listener()) as (mine, told):
        assert await _changes(database, mine) == 1
        assert await _heard(told, 1) == [("head", {"sequence": 1})]


@pytest.mark.parametrize("wrong", ["", "of nobody", "OTHER SECRET", "GONE", "OVER", 7])
async def test_who_is_refused(
    wrong: object, api: Api, settings: Settings, database: Database, listener: Listening
) -> None:
    who = await listener()
    mine = await a_trip(database, who.client_id)
    if wrong == "OVER":
        await _over(database, mine)
    tokens = {
        "OTHER SECRET": _token(settings, mine, "another secret"),
        "GONE": _token(settings, "itn_01JABCDEFGHJKMNPQRSTVWXYZ0"),
        "OVER": _token(settings, mine),
    }
    async with raw(api.url, {"trip": tokens.get(str(wrong), wrong)}) as line:
        event, body = await anext(packets(line))
        assert (event, body["data"]) == ("refused", {"code": "unauthenticated"})
    # The trip's link is no token of its client's, and its client's token opens no room.
    for hello in ({"token": _token(settings, mine)}, {"trip": who.token}):
        async with raw(api.url, hello) as line:
            assert (await anext(packets(line)))[0] == "refused"


async def test_a_link_that_expires_ends_the_connection(
    api: Api, settings: Settings, database: Database, listener: Listening
) -> None:
    async with _opened(api, settings, database, await listener()) as (mine, told):
        await _over(database, mine)
        async with asyncio.timeout(30):
            assert [event async for event, _ in told if event not in ("ready", "head")] == []
