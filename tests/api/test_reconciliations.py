"""Operators read what each reconciliation found and what became of it, and start one."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest_asyncio
from temporalio.client import Client

from schema.reconciliation import Finding, Stream, StreamReport
from schema.references import booking_id_for
from store import reconciliation
from store.database import Database
from tests.api.conftest import Caller, Minting

BOOKING = booking_id_for("reconciled", "trip")


@pytest_asyncio.fixture(loop_scope="session")
async def run_id(database: Database) -> str:
    """A run that has ended: one list read, one not to its end; two things found, one of them a phantom."""
    name = f"run-{uuid4()}"
    read = _read()
    findings = [
        Finding(kind=kind, vendor="stripe", object_id=f"{kind}-{name}", booking_id=BOOKING, reference="pay_x")
        for kind in ("open_authorisation", "disputed", "amount_differs")
    ]
    async with database.transaction() as connection:
        await reconciliation.begin(connection, name, "somebody")
        assert await reconciliation.add(connection, name, findings) == len(findings)
        assert await reconciliation.add(connection, name, findings) == 0, "found once while it is open"
        for finding, outcome in zip(findings, ("repaired", "case", "unfounded"), strict=True):
            await reconciliation.conclude(connection, BOOKING, outcome, [finding.object_id])
        await reconciliation.end(connection, name, read)
    return name


def _read() -> list[StreamReport]:
    since = datetime.now(UTC)
    stripe = Stream(books="payments", vendor="stripe")
    away = Stream(books="reservations", vendor="duffel")
    return [
        StreamReport(
            stream=stripe, since=since, pages=3, records=250, findings=3, unchecked={"avis cannot be asked": 4}
        ),
        StreamReport(stream=away, since=since, problem="VendorUnavailable: away"),
    ]


async def test_a_run_tells_what_became_of_what_it_found(caller: Caller, run_id: str) -> None:
    report = (await caller.get(f"/v1/ops/reconciliations/{run_id}")).json()
    assert (report["pages"], report["records"], report["repaired"], report["cases"]) == (3, 250, 1, 1)
    assert {found["kind"]: found["found"] for found in report["findings"]} == {"disputed": 1, "open_authorisation": 1}
    assert report["unchecked"] == {"avis cannot be asked": 4}
    assert report["status"] == "incomplete", "a list that was not read to its end"
    assert report["duration_s"] >= 0
    assert {detail["outcome"] for detail in report["details"]} == {"repaired", "case"}


async def test_runs_are_listed_newest_first_page_by_page(caller: Caller, run_id: str) -> None:
    first = (await caller.get("/v1/ops/reconciliations?limit=1")).json()
    assert [run["run_id"] for run in first["runs"]] == [run_id]
    if first["next_cursor"] is not None:
        second = (await caller.get(f"/v1/ops/reconciliations?limit=1&cursor={first['next_cursor']}")).json()
        assert second["runs"][0]["run_id"] != run_id


async def test_only_what_was_read_to_its_end_moves_its_watermark(database: Database, run_id: str) -> None:
    async with database.read() as connection:
        watermarks = await reconciliation.watermarks(connection)
        run = await reconciliation.get(connection, run_id)
    assert run is not None
    assert watermarks["stripe:payments"] == run.started_at
    assert "duffel:reservations" not in watermarks


async def test_a_run_on_demand_starts_once(caller: Caller, temporal: Client) -> None:
    answers = [await caller.post("/v1/ops/reconciliations", {}, key="reconcile-now") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202], answers[0].text
    (run_id,) = {answer.json()["run_id"] for answer in answers}
    assert await temporal.get_workflow_handle(run_id).result() == caller.name


async def test_it_is_for_operators(mint: Minting) -> None:
    watcher = await mint(["ops:read"])
    answer = await watcher.post("/v1/ops/reconciliations", {})
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    missing = await watcher.get(f"/v1/ops/reconciliations/run-{uuid4()}")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
