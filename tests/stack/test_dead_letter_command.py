"""`travelhub dead-letters` as an operator meets it: over a real API, with a token, under the API's rules."""

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
from schema.dead_letters import UNREADABLE, Failure, NewDeadLetter
from schema.references import booking_id_for, new_id, payment_id_for
from store import bookings, dead_letters, payments
from store.clients import ensure_client
from store.database import Database
from store.dead_letters import LetterFilter
from tests.api.fakes import FakeVendors
from tests.api.live import served
from tests.store.made import new_booking

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

_ROOT = Path(__file__).parents[2]
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("TRAVELHUB_", "TEMPORAL_"))}


@dataclass(frozen=True)
class Desk:
    environment: dict[str, str]
    operator: str
    vendor: str
    payment_id: str
    """Of a booking that waits for nothing."""
    letters: list[str]

    async def run(self, *words: str, code: int = 0, **environment: str) -> str:
        """What it says, on standard output if that went well; on a thread, because the API it speaks to runs on the loop."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-P", "-m", "cli", "dead-letters", *words],
            cwd=_ROOT,
            env=_CLEAN | self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        return done.stdout or done.stderr


@pytest_asyncio.fixture(loop_scope="session")
async def desk(servers: Stack) -> AsyncIterator[Desk]:
    """A served API, and two letters of a vendor that no other test knows. What is told of them would clear a terminal."""
    token, operator = new_id("token"), new_id("operator")
    vendor = f"vendor_{new_id('x').lower()}"
    database = Database(servers.state.database_url, pool_size=2)
    client_id = await ensure_client(database, name=operator, scopes=["ops:read", "ops:write"], token=token)
    booking = new_booking(client_id, booking_id_for(client_id, "key-of-this-test"))
    payment_id = payment_id_for(booking.booking_id, 0)
    async with database.transaction() as connection:
        await bookings.create(connection, booking)
        await payments.ensure(connection, payment_id, booking.booking_id, 0, "stripe", "EUR")
        for event_id in ("evt_1", "evt_2"):
            failure = Failure(cause=UNREADABLE, detail="no event \x1b[2J[bold]")
            await dead_letters.add(
                connection, NewDeadLetter(vendor=vendor, event_id=event_id, type="x\x1b[2J[bold]", failure=failure)
            )
        page = await dead_letters.listed(connection, LetterFilter(vendor=vendor), 10, None)
    await database.aclose()
    async with served(create_app(servers.settings(), FakeVendors())) as port:
        address = {"TRAVELHUB_API_URL": f"http://127.0.0.1:{port}", "TRAVELHUB_TOKEN": token}
        by_event = {letter.event_id: letter.letter_id for letter in page.letters}
        yield Desk(address, operator, vendor, payment_id, [by_event["evt_1"], by_event["evt_2"]])


async def test_letters_are_listed_shown_and_dealt_with(desk: Desk) -> None:
    first, second = desk.letters
    listed, as_json = await asyncio.gather(
        desk.run("list", "--vendor", desk.vendor), desk.run("list", "--vendor", desk.vendor, "--json")
    )
    assert [line.split()[0] for line in listed.splitlines()] == ["letter", *sorted(desk.letters)]
    assert "unreadable nobody knows" in " ".join(listed.split())
    assert "\x1b" not in listed
    assert sorted(letter["dead_letter_id"] for letter in json.loads(as_json)["dead_letters"]) == sorted(desk.letters)

    replayed, dropped = await asyncio.gather(
        desk.run("replay", first, "--note", "once more", code=1), desk.run("drop", second, "--note", "a test of theirs")
    )
    assert replayed.startswith("waiting: failed 2 times, now with unreadable: ")
    assert dropped == "dropped\n"
    assert await desk.run("repair", first, "--payment-id", desk.payment_id) == "resolved\n"

    shown, as_json, nothing, again = await asyncio.gather(
        desk.run("show", first),
        desk.run("show", second, "--json"),
        desk.run("list", "--vendor", desk.vendor),
        desk.run("drop", first, "--note", "too late", code=1),
    )
    assert f"{first}: resolved; " in shown
    assert f"webhook of {desk.vendor}, x [2J[bold]; at the vendor evt_1" in shown
    assert f"about {desk.payment_id}" in shown
    assert f"{desk.operator} refused replay: once more" in shown
    assert f"{desk.operator} closed repair to {desk.payment_id}" in shown
    assert "\x1b" not in shown
    assert [action["note"] for action in json.loads(as_json)["actions"]] == ["a test of theirs"]
    assert nothing == "there is no such dead letter\n"
    assert again == "travelhub: dead_letter_settled: the dead letter is resolved\n"


async def test_refusals_are_told_in_words(desk: Desk) -> None:
    stranger, aimless = await asyncio.gather(
        desk.run(code=1, TRAVELHUB_TOKEN="nobody"), desk.run("repair", desk.letters[0], code=1)
    )
    assert stranger.startswith("travelhub: unauthenticated: ")
    assert aimless.startswith("travelhub: invalid_request: ")
