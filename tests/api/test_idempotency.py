"""Keys of the other requests: replayed, refused for another body, held while in flight, let go after a refusal."""

import asyncio
import hashlib

import orjson
import pytest
import pytest_asyncio
from fastapi import FastAPI
from sqlalchemy import func, select, update
from temporalio.client import Client

from schema.bookings import workflow_id_for
from schema.tables import idempotency_keys
from store import idempotency
from store.database import Database
from store.valkey import answer_key
from tests.api.conftest import Booking, Caller
from tests.api.stub_workflows import NEVER_DONE_MINOR, NOTHING_TO_ACCEPT_MINOR


def _total(amount_minor: int) -> dict[str, object]:
    return {"total": {"amount_minor": amount_minor, "currency": "EUR"}}


@pytest_asyncio.fixture(loop_scope="session")
async def path(caller: Caller, book: Booking) -> str:
    return f"/v1/bookings/{(await book(caller))['booking_id']}/price-acceptance"


async def _calls(temporal: Client, path: str) -> list[str]:
    return await temporal.get_workflow_handle(workflow_id_for(path.split("/")[3])).query("called")


@pytest.mark.parametrize("valkey", ["remembers", "forgets", "talks nonsense"])
async def test_a_repeat_gets_the_same_answer(valkey, path, caller: Caller, temporal, app: FastAPI) -> None:
    first = await caller.post(path, _total(500), key="accept-it-once")
    assert (first.status_code, first.json()["state"]) == (200, "PRICE_CHANGED")
    kept = answer_key(caller.client_id, "accept-it-once")
    assert await app.state.services.valkey.get(kept)
    if valkey == "forgets":
        await app.state.services.valkey._redis.delete(kept)
    if valkey == "talks nonsense":
        await app.state.services.valkey.set(kept, b'{"status": "x"', 60)
    second = await caller.post(path, _total(500), key="accept-it-once")
    assert (second.status_code, second.json()) == (200, first.json())
    assert second.headers["idempotent-replayed"] == "true"
    assert await _calls(temporal, path) == ["accept_price"]


async def test_another_body_or_place_is_refused(path, caller: Caller, book: Booking) -> None:
    await caller.post(path, _total(500), key="accept-it-once")
    elsewhere = f"/v1/bookings/{(await book(caller))['booking_id']}/price-acceptance"
    for other_path, body in ((path, _total(501)), (elsewhere, _total(500))):
        answer = await caller.post(other_path, body, key="accept-it-once")
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_key_in_flight_is_held(path, caller: Caller, database: Database, temporal: Client) -> None:
    first = asyncio.create_task(caller.post(path, _total(NEVER_DONE_MINOR), key="takes-its-time"))
    while not await _calls(temporal, path):
        assert not first.done()
    answer = await caller.post(path, _total(NEVER_DONE_MINOR), key="takes-its-time")
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_in_flight")
    assert answer.headers["retry-after"] == "1"
    await temporal.get_workflow_handle(workflow_id_for(path.split("/")[3])).signal("end")
    assert (await first).status_code == 200


async def test_a_refusal_lets_go_of_the_key(path, caller: Caller, database: Database) -> None:
    answer = await caller.post(path, _total(NOTHING_TO_ACCEPT_MINOR), key="refused-at-first")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_price_to_accept")
    async with database.read() as connection:
        held = select(func.count()).where(idempotency_keys.c.client_id == caller.client_id)
        assert await connection.scalar(held) == 0


async def test_a_key_whose_holder_died_is_taken_over(path, caller: Caller, database: Database) -> None:
    body = orjson.dumps(_total(500), option=orjson.OPT_SORT_KEYS)
    fingerprint = hashlib.sha256(f"POST {path}\n".encode() + body).digest()
    async with database.transaction() as connection:
        assert (await idempotency.claim(connection, caller.client_id, "holder-died", fingerprint)).kind == "ours"
    assert (await caller.post(path, _total(500), key="holder-died")).status_code == 409
    async with database.transaction() as connection:
        long_ago = func.now() - idempotency._ABANDONED_AFTER * 2
        mine = idempotency_keys.c.client_id == caller.client_id
        await connection.execute(update(idempotency_keys).where(mine).values(created_at=long_ago))
    assert (await caller.post(path, _total(500), key="holder-died")).status_code == 200


async def test_the_key_is_needed_everywhere(path, caller: Caller) -> None:
    for place, body in (
        (path, _total(500)),
        (path.replace("price-acceptance", "cancellation"), {}),
        ("/v1/ops/cases/case-1/resolution", {"action": "retry", "note": "n"}),
    ):
        answer = await caller.http.post(place, json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")
