"""Health: alive whatever is away; ready only with PostgreSQL and Temporal; started only on a schema this release knows."""

import pytest
from sqlalchemy import text

from api.app import create_app
from schema.settings import Settings
from store.database import Database
from store.migrate import head_revision
from tests.api.conftest import running, speak
from tests.api.fakes import FakeVendors

NOWHERE = "127.0.0.1:1"
AWAY = {
    "postgresql": {"database_url": f"postgresql+psycopg://nobody@{NOWHERE}/nothing"},
    "valkey": {"valkey_url": f"redis://{NOWHERE}/0"},
    "temporal": {"temporal_address": NOWHERE},
}


async def _get(settings: Settings, path: str, **changes: object):
    async with running(create_app(settings.model_copy(update=changes), FakeVendors())) as app, speak(app) as http:
        return await http.get(path)


async def test_all_is_well(settings: Settings) -> None:
    ready = await _get(settings, "/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ready.json()["checks"] == {"postgresql": "ok", "valkey": "ok", "temporal": "ok"}
    assert (await _get(settings, "/health/startup")).json()["status"] == "started"


@pytest.mark.parametrize("away", AWAY)
async def test_it_lives_whatever_is_away(away, settings: Settings) -> None:
    answer = await _get(settings, "/health/live", **AWAY[away])
    assert (answer.status_code, answer.json()["status"]) == (200, "alive")


@pytest.mark.parametrize(
    ("away", "status", "word"),
    [("postgresql", 503, "unavailable"), ("temporal", 503, "unavailable"), ("valkey", 200, "degraded")],
)
async def test_it_says_what_is_away(away, status, word, settings: Settings) -> None:
    answer = await _get(settings, "/health/ready", **AWAY[away])
    assert (answer.status_code, answer.json()["status"]) == (status, word)
    assert {name: found == "ok" for name, found in answer.json()["checks"].items()} == {
        name: name != away for name in AWAY
    }
    assert "127.0.0.1" not in answer.text


async def test_checks_are_remembered_for_five_seconds(settings: Settings, monkeypatch) -> None:
    async with running(create_app(settings, FakeVendors())) as app, speak(app) as http:
        asked = 0
        ping = app.state.services.database.ping

        async def counted() -> None:
            nonlocal asked
            asked += 1
            await ping()

        monkeypatch.setattr(app.state.services.database, "ping", counted)
        now = 1000.0
        monkeypatch.setattr("api.readiness.monotonic", lambda: now)
        for _ in range(3):
            await http.get("/health/ready")
        assert asked == 1
        now += 5
        await http.get("/health/ready")
        assert asked == 2


async def test_a_process_that_drains_is_not_ready(settings: Settings) -> None:
    async with running(create_app(settings, FakeVendors())) as app, speak(app) as http:
        app.state.draining.set()
        assert (await http.get("/health/ready")).status_code == 503


@pytest.mark.parametrize("revision", ["9999_from_the_future", None])
async def test_a_schema_it_does_not_know_stops_the_start(revision, settings: Settings, database: Database) -> None:
    known = head_revision()
    try:
        async with database.transaction() as connection:
            await connection.execute(text("DELETE FROM alembic_version"))
            if revision is not None:
                await connection.execute(text("INSERT INTO alembic_version VALUES (:r)"), {"r": revision})
        assert (await _get(settings, "/health/startup")).status_code == 503
    finally:
        async with database.transaction() as connection:
            await connection.execute(text("DELETE FROM alembic_version"))
            await connection.execute(text("INSERT INTO alembic_version VALUES (:r)"), {"r": known})
    assert (await _get(settings, "/health/startup")).status_code == 200
