"""Webhook endpoints: made once for each key, their secret shown to that request only, safe addresses only, and only one's own."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
import pytest_asyncio
from fastapi import FastAPI
from sqlalchemy import insert, update

from api.app import create_app
from schema.endpoints import EVENT_TYPES
from schema.settings import RelaySettings, Settings
from schema.tables import webhook_deliveries
from store.database import Database
from tests.api.conftest import Caller, Minting, running
from tests.api.fakes import FakeVendors

PATH = "/v1/webhook-endpoints"
URL = "https://127.0.0.1/events"


@pytest_asyncio.fixture(loop_scope="session")
async def made(caller: Caller) -> dict[str, object]:
    answer = await caller.post(PATH, {"url": URL, "description": "ours"}, key="make-it-once")
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def path(made: dict[str, object]) -> str:
    return f"{PATH}/{made['endpoint_id']}"


async def test_the_secret_is_shown_to_the_request_that_made_it_only(caller: Caller, made, path) -> None:
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made["event_types"] == ["*"]
    assert (await caller.get(path)).json() == made
    assert (await caller.get(PATH)).json() == {"endpoints": [made]}
    repeated = await caller.post(PATH, {"url": URL, "description": "ours"}, key="make-it-once")
    assert (repeated.status_code, repeated.json()) == (201, made | {"secret": secret})
    assert len((await caller.get(PATH)).json()["endpoints"]) == 1


async def test_a_repeated_rotation_rotates_once(caller: Caller, made, path) -> None:
    first, second, repeat = [
        await caller.post(f"{path}/rotate-secret", {}, key=key) for key in ("rotate-1", "rotate-2", "rotate-2")
    ]
    assert len({made["secret"], first.json()["secret"], second.json()["secret"]}) == 3
    assert repeat.json() == second.json()
    assert second.json()["previous_secret_until"] is not None
    for late in (
        await caller.post(f"{path}/rotate-secret", {}, key="rotate-1"),
        await caller.post(PATH, {"url": URL, "description": "ours"}, key="make-it-once"),
    ):
        assert (late.status_code, late.json()["code"]) == (409, "secret_replaced")
    again = await caller.post(f"{path}/rotate-secret", {}, key="rotate-2")
    assert again.json() == second.json(), "the late repeats changed nothing"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"url": "ftp://127.0.0.1/"}, "unsafe_url", "/url"),
        ({"url": "https://no-such-host.invalid/"}, "unsafe_url", "/url"),
        ({"url": URL, "event_types": ["booking.confirmd"]}, "invalid_request", "/event_types/0"),
        ({"url": URL, "event_types": []}, "invalid_request", "/event_types"),
        ({}, "invalid_request", "/url"),
        ({"url": URL, "secret": "mine"}, "unknown_field", "/secret"),
    ],
)
async def test_what_is_wrong_is_told(body, code, field, caller: Caller) -> None:
    answer = await caller.post(PATH, body)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, field)


async def test_where_settings_do_not_allow_it_private_and_plain_targets_are_refused(
    settings: Settings, mint: Minting, temporal
) -> None:
    strict = settings.model_copy(update={"relay": RelaySettings()})
    async with running(create_app(strict, FakeVendors())) as app:
        caller = await mint(of=app)
        for url in (URL, "http://example.com/", "https://169.254.169.254/latest/meta-data"):
            answer = await caller.post(PATH, {"url": url})
            assert (answer.status_code, answer.json()["code"]) == (422, "unsafe_url"), url


async def test_it_can_be_changed_disabled_and_enabled(caller: Caller, path) -> None:
    other = {"url": "https://127.0.0.1/other", "event_types": ["booking.confirmed", "booking.*", "booking.*"]}
    changed = (await caller.http.patch(path, json=other)).json()
    assert changed["url"] == other["url"]
    assert changed["event_types"] == ["booking.confirmed", "booking.*"]
    disabled = (await caller.http.patch(path, json={"enabled": False})).json()
    assert (disabled["enabled"], disabled["disabled"]["reason"]) == (False, "by_client")
    assert (await caller.get(path)).json() == disabled
    enabled = (await caller.http.patch(path, json={"enabled": True})).json()
    assert enabled == changed
    unsafe = await caller.http.patch(path, json={"url": "ftp://127.0.0.1/"})
    assert (unsafe.status_code, unsafe.json()["code"]) == (422, "unsafe_url")


async def test_a_client_may_have_so_many(caller: Caller, app: FastAPI) -> None:
    most = app.state.services.settings.relay.max_endpoints
    statuses = [(await caller.post(PATH, {"url": URL})).status_code for _ in range(most)]
    assert set(statuses) == {201}
    answer = await caller.post(PATH, {"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_endpoints")


async def test_somebody_elses_is_not_there(mint: Minting, path) -> None:
    stranger = await mint()
    answers = [
        await stranger.get(path),
        await stranger.get(f"{path}/deliveries"),
        await stranger.http.patch(path, json={"enabled": False}),
        await stranger.http.delete(path),
        await stranger.post(f"{path}/rotate-secret", {}),
        await stranger.post(f"{path}/deliveries/msg_{'0' * 32}/replay", {}),
    ]
    assert [answer.status_code for answer in answers] == [404] * 6


async def test_a_removed_one_is_gone(caller: Caller, path) -> None:
    assert [(await caller.http.delete(path)).status_code for _ in range(2)] == [204, 404]
    assert (await caller.get(path)).status_code == 404


async def test_deliveries_are_listed_and_replayed(caller: Caller, database: Database, made, path) -> None:
    delivery_id = f"msg_{uuid4().hex}"
    failed = {"at": "2026-11-22T10:00:00Z", "status": 500, "duration_ms": 12}
    row = {
        "id": delivery_id, "endpoint_id": made["endpoint_id"], "subject": "a booking", "type": EVENT_TYPES[0],
        "occurred_at": datetime(2026, 11, 22, 10, tzinfo=UTC), "data": {}, "state": "given_up", "tries": 9, "attempts": [failed],
    }  # fmt: skip
    async with database.transaction() as connection:
        await connection.execute(insert(webhook_deliveries), row)
    (shown,) = (await caller.get(f"{path}/deliveries")).json()["deliveries"]
    assert (shown["state"], shown["attempts"][0]["status"], shown["next_attempt_at"]) == ("given_up", 500, None)
    replay = f"{path}/deliveries/{delivery_id}/replay"
    first, repeat, another = [await caller.post(replay, {}, key=key) for key in ("replay-1", "replay-1", "replay-2")]
    assert (first.status_code, first.json()["state"]) == (202, "pending")
    assert repeat.json() == first.json()
    assert (another.status_code, another.json()["code"]) == (409, "delivery_pending")
    unknown = await caller.post(f"{path}/deliveries/msg_{'f' * 32}/replay", {})
    assert (unknown.status_code, unknown.json()["field"]) == (404, "delivery_id")
    async with database.transaction() as connection:
        await connection.execute(
            update(webhook_deliveries).where(webhook_deliveries.c.id == delivery_id).values(state="given_up")
        )
    await caller.http.patch(path, json={"enabled": False})
    refused = await caller.post(replay, {})
    assert (refused.status_code, refused.json()["code"]) == (409, "endpoint_disabled")
