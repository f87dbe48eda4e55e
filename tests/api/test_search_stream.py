"""Searches that nobody waits for: they answer at once, go on by themselves, and are read and followed from any process."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from schema.settings import Settings
from schema.tables import searches
from store.database import Database
from tests.api.conftest import Caller, Minting
from tests.api.fakes import FakeVendors
from tests.api.live import served
from tests.api.searching import another_process, began, ids, outcomes, searched

pytestmark = pytest.mark.usefixtures("empty_cache")
Event = tuple[str, str, dict]


@asynccontextmanager
async def followed(port: int, caller: Caller, search_id: str):
    """The events of the stream, one by one."""
    headers = {"Authorization": f"Bearer {caller.token}"}
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=10) as http,
        http.stream("GET", f"/v1/searches/{search_id}/stream") as answer,
    ):
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/event-stream")
        yield _events(answer)


async def _events(answer: httpx.Response):
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "event" in fields:
            yield fields["event"], fields["id"], json.loads(fields["data"])
            fields = {}


async def test_offers_arrive_as_the_suppliers_answer(caller: Caller, vendors: FakeVendors, settings: Settings) -> None:
    """Followed in another process than the one that searches."""
    for supplier in vendors.all:
        supplier.silent = True
    begun = await began(caller)
    assert begun.status_code == 202, begun.text
    body = begun.json()
    assert begun.headers["location"] == f"/v1/searches/{body['search_id']}"
    assert begun.headers["preference-applied"] == "respond-async"
    assert (body["status"], set(outcomes(body).values())) == ("running", {"waiting"})
    async with another_process(settings, FakeVendors()) as other, served(other) as port:
        async with followed(port, caller, body["search_id"]) as events:
            for kind in ("car", "flight", "hotel"):
                supplier = vendors.by_kind[kind]
                supplier.silent = False
                name, event_id, data = await anext(events)
                assert (name, event_id, data["supplier"]["outcome"]) == ("offers", supplier.code, "ok")
                assert [offer["kind"] for offer in data["offers"]] == [kind]
            name, _, data = await anext(events)
            assert (name, data["complete"], data["status"]) == ("done", True, "complete")
            assert [event async for event in events] == []
        async with followed(port, caller, body["search_id"]) as events:
            again = [(name, event_id) async for name, event_id, _ in events]
    assert again[-1] == ("done", "done")
    assert {event_id for _, event_id in again[:-1]} == {"duffel", "expedia_rapid", "duffel_cars"}
    read = (await caller.get(begun.headers["location"])).json()
    assert (read["status"], len(read["offers"])) == ("complete", 3)


async def test_what_is_there_can_be_read_while_others_are_late(caller: Caller, vendors: FakeVendors) -> None:
    await searched(caller, kinds=["flight", "car"])
    vendors.by_kind["hotel"].silent = True
    path = (await began(caller)).headers["location"]
    async with asyncio.timeout(5):
        while len((body := (await caller.get(path)).json())["offers"]) < 2:
            pass
    assert outcomes(body) == {"duffel": "cached", "expedia_rapid": "waiting", "duffel_cars": "cached"}
    assert (body["status"], body["complete"]) == ("running", False)


async def test_a_search_that_is_cut_off_ends_and_its_stream_with_it(
    settings: Settings, mint: Minting, caller: Caller, vendors: FakeVendors
) -> None:
    vendors.by_kind["hotel"].silent = True
    async with another_process(settings, vendors) as other:
        mine = await mint(of=other)
        search_id = (await began(mine)).json()["search_id"]
        async with served(other) as port, followed(port, mine, search_id) as events:
            await anext(events)
            other.state.draining.set()
            async with asyncio.timeout(3):
                assert "done" not in [name async for name, _, _ in events]
    mine.http._transport.app = caller.http._transport.app  # pyright: ignore[reportPrivateUsage]
    body = (await mine.get(f"/v1/searches/{search_id}")).json()
    assert (body["status"], body["complete"], outcomes(body)["expedia_rapid"]) == ("complete", False, "timeout")
    assert len(ids(body)) == 2


async def test_a_search_whose_process_died_is_told_as_ended(
    caller: Caller, vendors: FakeVendors, database: Database
) -> None:
    vendors.by_kind["hotel"].silent = True
    search_id = (await began(caller, kinds=["hotel"])).json()["search_id"]
    past = datetime.now(UTC) - timedelta(seconds=3)
    async with database.read() as connection:
        await connection.execute(update(searches).where(searches.c.id == search_id).values(deadline_at=past))
    body = (await caller.get(f"/v1/searches/{search_id}")).json()
    assert (body["status"], outcomes(body)) == ("complete", {"expedia_rapid": "timeout"})


async def test_all_of_it_takes_no_longer_than_its_bound(
    settings: Settings, vendors: FakeVendors, mint: Minting
) -> None:
    vendors.by_kind["hotel"].silent = True
    async with another_process(settings, vendors, total_timeout_s=1) as app:
        body = await searched(await mint(of=app))
    assert outcomes(body) == {"duffel": "ok", "expedia_rapid": "timeout", "duffel_cars": "ok"}


@pytest.mark.parametrize("tail", ["", "/stream"])
async def test_another_clients_search_looks_like_none(tail: str, caller: Caller, mint: Minting, app: FastAPI) -> None:
    search_id = (await searched(caller))["search_id"]
    answer = await (await mint()).get(f"/v1/searches/{search_id}{tail}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    answer = await caller.get(f"/v1/searches/off_{search_id[4:]}{tail}")
    assert (answer.status_code, answer.json()["code"]) == (404, "malformed_id")
