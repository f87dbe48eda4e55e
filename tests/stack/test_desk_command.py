"""`travelhub cases` as an operator meets it: over a real API, with a token, under the API's rules."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from api.app import create_app
from sandbox.stack import Stack
from schema.bookings import OutstandingEffect, ReviewCase
from schema.money import Money
from schema.references import booking_id_for, new_id
from store import bookings, cases
from store.clients import ensure_client
from store.database import Database
from tests.api.fakes import FakeVendors
from tests.api.live import served
from tests.store.made import new_booking

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

_ROOT = Path(__file__).parents[2]
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("TRAVELHUB_", "TEMPORAL_"))}


async def _travelhub(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """On a thread: the API it speaks to runs on the loop."""
    command = [sys.executable, "-P", "-m", "cli", "cases", *words]
    return await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=_ROOT,
        env=_CLEAN | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@dataclass(frozen=True)
class Desk:
    environment: dict[str, str]
    case_id: str
    vendor: str
    operator: str

    async def run(self, *words: str) -> str:
        """What it says on standard output, once it has done as it was told."""
        done = await _travelhub(*words, **self.environment)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout


@pytest_asyncio.fixture(loop_scope="session")
async def desk(servers: Stack) -> AsyncIterator[Desk]:
    """A served API, and a case of 700 euros at a vendor that no other test knows. Its reason would clear a terminal."""
    token, operator = new_id("token"), new_id("operator")
    database = Database(servers.state.database_url, pool_size=2)
    client_id = await ensure_client(database, name=operator, scopes=["ops:read", "ops:write"], token=token)
    booking = new_booking(client_id, booking_id_for(client_id, "key-of-this-test"))
    vendor = f"vendor_{booking.booking_id.lower()}"
    effect = OutstandingEffect(
        vendor=vendor,
        step="hotel",
        reference=f"{booking.booking_id}/1",
        amount=Money(amount_minor=70_000, currency="EUR"),
        problem="no answer",
    )
    case = ReviewCase(case_id=new_id("case"), workflow_id="booking-x", reason="lost \x1b[2J[bold]", effects=[effect])
    async with database.transaction() as connection:
        await bookings.create(connection, booking)
        await cases.open_case(connection, booking.booking_id, case)
    await database.aclose()
    async with served(create_app(servers.settings(), FakeVendors())) as port:
        address = {"TRAVELHUB_API_URL": f"http://127.0.0.1:{port}", "TRAVELHUB_TOKEN": token}
        yield Desk(address, case.case_id, vendor, operator)


async def test_a_case_is_listed_shown_and_decided(desk: Desk) -> None:
    listed = await desk.run("list", "--vendor", desk.vendor, "--min-amount-minor", "70000")
    assert " ".join(listed.split()).endswith(f"{desk.case_id} 0 h 0 min 700.00 EUR an operator lost [2J[bold]")
    assert "\x1b" not in listed

    # Above what one operator may write off alone.
    proposed = await desk.run("resolve", desk.case_id, "write_off", "--note", "gone for good")
    assert proposed.startswith("proposed: ")
    again = await _travelhub("resolve", desk.case_id, "write_off", "--note", "gone", **desk.environment)
    assert again.returncode == 1
    assert again.stderr.startswith("travelhub: second_person_needed: ")

    shown = await desk.run("show", desk.case_id)
    assert f"waits for a second operator beside {desk.operator}, until " in shown
    assert f"hotel at {desk.vendor}, 700.00 EUR: no answer" in shown
    assert f"{desk.operator} proposed write_off of " in shown
    assert "gone for good" in shown
    assert "\x1b" not in shown


async def test_for_machines(desk: Desk) -> None:
    listed = json.loads(await desk.run("list", "--vendor", desk.vendor, "--json"))
    assert [case["case_id"] for case in listed["cases"]] == [desk.case_id]
    shown = json.loads(await desk.run("show", desk.case_id, "--json"))
    assert (shown["case_id"], shown["actions"]) == (desk.case_id, [])


async def test_refusals_and_mistakes_are_told_in_words(desk: Desk, servers: Stack, tmp_path: Path) -> None:
    stranger = desk.environment | {"TRAVELHUB_TOKEN": "nobody"}
    nobody_there = {"TRAVELHUB_API_URL": "http://127.0.0.1:9", "TRAVELHUB_TOKEN": "x"}
    runs: list[tuple[list[str], dict[str, str], int, str]] = [
        (["show", "case-none"], desk.environment, 1, "not_found: "),
        ([], stranger, 1, "unauthenticated: "),
        ([], nobody_there, 1, "the API does not answer at http://127.0.0.1:9"),
        ([], {"TRAVELHUB_API_URL": "http://127.0.0.1:9"}, 1, "TRAVELHUB_TOKEN is missing"),
        (["--data", str(tmp_path)], {}, 1, "start it with `travelhub up`"),
        # Without an address it is the running stack's, whose API is not served here.
        (["--data", str(servers.state.data)], {}, 1, f"the API does not answer at {servers.state.api_url}"),
        (["resolve", desk.case_id, "nonsense", "--note", "x"], desk.environment, 2, "nonsense"),
    ]
    done = await asyncio.gather(*(_travelhub(*words, **environment) for words, environment, _, _ in runs))
    for ran, (_, _, code, told) in zip(done, runs, strict=True):
        assert ran.returncode == code, ran.stderr
        assert told in ran.stderr
        assert "Traceback" not in ran.stderr
