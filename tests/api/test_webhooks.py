"""Webhooks: only genuine ones come in; each is stored once and handed to its booking once, now or later, and none is lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from sqlalchemy import select, update
from temporalio.client import Client

from activities.sweeping import Sweeping, SweepInput
from api.app import create_app
from schema.bookings import workflow_id_for
from schema.errors import OutcomeUnclear, VendorContractBroken, VendorUnavailable
from schema.references import booking_id_for, payment_id_for
from schema.settings import Settings
from schema.tables import dead_letters, inbox
from store import payments
from store.database import Database
from store.valkey import Valkey
from tests.api.conftest import Booking, Caller, running, speak
from tests.api.fakes import SIGNATURE, FakeVendors
from tests.api.live import served

PATH = "/v1/webhooks/stripe"
STRANGER = booking_id_for("another-house", "some-key-of-theirs")


def _event(booking_id: str | None = None) -> dict[str, object]:
    payment_id = None if booking_id is None else payment_id_for(booking_id, 0)
    event = {"event_id": f"evt_{uuid4().hex}", "type": "payment_intent.succeeded"}
    return event | {"booking_id": booking_id, "payment_id": payment_id}


async def _send(app: FastAPI, event: object, signature: str | bytes = SIGNATURE, path: str = PATH):
    """Returns when the application is done with it, also after its answer."""
    async with speak(app) as http:
        return await http.post(path, json=event, headers={"Stripe-Signature": signature})


async def _kept(database: Database, event: dict[str, object]):
    async with database.read() as connection:
        return (await connection.execute(select(inbox).where(inbox.c.event_id == event["event_id"]))).one_or_none()


async def _letters(database: Database, since: datetime) -> list[tuple[str, int, str | None]]:
    async with database.read() as connection:
        rows = await connection.execute(select(dead_letters).where(dead_letters.c.first_failed_at >= since))
        return [(row.cause, row.failures, row.booking_id) for row in rows]


async def _waits_for_the_customer(database: Database, booking_id: str) -> None:
    """A booking whose payment needs the customer: the one whose workflow waits for news."""
    payment_id = payment_id_for(booking_id, 0)
    async with database.transaction() as connection:
        await payments.ensure(connection, payment_id, booking_id, 0, "stripe", "EUR")
        await payments.action_required(connection, payment_id, f"pi_{booking_id}")


@pytest_asyncio.fixture(loop_scope="session")
async def sweeping(database: Database, vendors: FakeVendors, temporal: Client, settings: Settings):
    valkey = Valkey(str(settings.valkey_url))
    yield Sweeping(database, valkey, vendors, temporal, settings)  # pyright: ignore[reportArgumentType]
    await valkey.aclose()


async def test_an_event_nobody_waits_for_wakes_nobody(
    app: FastAPI, caller: Caller, book: Booking, database: Database, temporal: Client
) -> None:
    """Most events say what the answer to the call has said already; a signal would cost a workflow task."""
    booking_id = str((await book(caller))["booking_id"])
    async with database.transaction() as connection:
        await payments.ensure(connection, payment_id_for(booking_id, 0), booking_id, 0, "stripe", "EUR")
    event = _event(booking_id)
    assert (await _send(app, event)).status_code == 200
    assert (await _kept(database, event)).handled_at is not None
    assert await temporal.get_workflow_handle(workflow_id_for(booking_id)).query("heard") == []


async def test_an_event_reaches_its_booking_once(
    app: FastAPI, caller: Caller, book: Booking, database: Database, temporal: Client
) -> None:
    booking_id = str((await book(caller))["booking_id"])
    await _waits_for_the_customer(database, booking_id)
    event = _event(booking_id)
    answers = [await _send(app, event) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert (await _kept(database, event)).handled_at is not None
    heard = await temporal.get_workflow_handle(workflow_id_for(booking_id)).query("heard")
    assert heard == [event["event_id"]]


async def test_an_event_before_its_payment_waits_for_it(
    app: FastAPI, caller: Caller, book: Booking, database: Database, temporal: Client, sweeping: Sweeping
) -> None:
    booking_id = str((await book(caller))["booking_id"])
    event = _event(booking_id)
    assert (await _send(app, event)).status_code == 200
    await sweeping.sweep_admissions(SweepInput(older_than_s=0))
    early = await _kept(database, event)
    assert (early.handled_at, early.failures) == (None, 0)
    await _waits_for_the_customer(database, booking_id)
    await sweeping.sweep_admissions(SweepInput(older_than_s=0))
    assert (await _kept(database, event)).handled_at is not None
    assert await temporal.get_workflow_handle(workflow_id_for(booking_id)).query("heard") == [event["event_id"]]


async def test_news_of_a_payment_that_never_comes_is_buried_after_a_day(
    app: FastAPI, database: Database, sweeping: Sweeping
) -> None:
    late, young = _event(STRANGER), _event(STRANGER)
    for event in (late, young):
        await _send(app, event)
    received = datetime.now(UTC) - timedelta(hours=25)
    async with database.transaction() as connection:
        await connection.execute(update(inbox).where(inbox.c.event_id == late["event_id"]).values(received_at=received))
    await sweeping.sweep_admissions(SweepInput(older_than_s=0))
    assert [(await _kept(database, event)).handled_at is None for event in (late, young)] == [False, True]
    async with database.read() as connection:
        query = select(dead_letters).where(dead_letters.c.event_id == late["event_id"])
        letter = (await connection.execute(query)).one()
    assert (letter.cause, letter.booking_id, letter.first_failed_at) == ("never_owned", STRANGER, received)
    assert (letter.vendor, letter.payment_id, letter.type) == ("stripe", late["payment_id"], late["type"])


@pytest.mark.parametrize("signature", ["", "wrong", "t=1,v1=abc", b"sch\xf6n"])
async def test_without_a_good_signature_nothing_is_kept(signature, app: FastAPI, database: Database) -> None:
    since, event = datetime.now(UTC), _event()
    answer = await _send(app, event, signature)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")
    assert await _kept(database, event) is None
    assert await _letters(database, since) == []


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        (None, "unreadable"),
        ({"event_id": "a\x00b"}, "unusable_ids"),
        ({"event_id": "e" * 300}, "unusable_ids"),
        ({"type": "t" * 300}, "unusable_ids"),
        ({"booking_id": STRANGER, "payment_id": "pay_x"}, "unusable_ids"),
    ],
)
async def test_a_genuine_event_that_cannot_be_used_is_one_dead_letter(
    changes, cause: str, app: FastAPI, database: Database
) -> None:
    since, event = datetime.now(UTC), {"because": uuid4().hex} if changes is None else _event() | changes
    assert [(await _send(app, event)).status_code for _ in range(2)] == [200, 200], "no vendor shall send it for days"
    assert await _letters(database, since) == [(cause, 2, event.get("booking_id"))]
    if changes and len(str(event["event_id"])) < 255 and "\x00" not in str(event["event_id"]):
        assert await _kept(database, event) is None


@pytest.mark.parametrize(("booking_id", "payment_id"), [(None, None), ("somebody-elses", "pay_x"), (STRANGER, None)])
async def test_an_event_that_is_nobodys_is_kept_and_done(
    booking_id, payment_id, app: FastAPI, database: Database
) -> None:
    since, event = datetime.now(UTC), _event() | {"booking_id": booking_id, "payment_id": payment_id}
    assert (await _send(app, event)).status_code == 200
    assert (await _kept(database, event)).handled_at is not None
    assert await _letters(database, since) == []


async def test_a_body_over_the_limit_is_refused(app: FastAPI) -> None:
    async with speak(app) as http:
        answer = await http.post(PATH, content=b"x" * 300_000, headers={"Stripe-Signature": SIGNATURE})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_vendor_that_tells_nothing_does_not_exist(app: FastAPI) -> None:
    answer = await _send(app, _event(), path="/v1/webhooks/nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "error", [VendorUnavailable("stripe", "away"), OutcomeUnclear("no answer"), VendorContractBroken("nonsense")]
)
async def test_while_the_vendor_cannot_vouch_for_it_it_is_to_be_sent_again(
    error, app: FastAPI, vendors: FakeVendors, database: Database
) -> None:
    vendors.stripe.webhook_error = error
    event = _event()
    answer = await _send(app, event)
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    assert await _kept(database, event) is None


async def test_while_temporal_is_away_events_are_kept_for_later(
    settings: Settings, vendors: FakeVendors, caller: Caller, book: Booking, database: Database, app: FastAPI
) -> None:
    booking_id = str((await book(caller))["booking_id"])
    await _waits_for_the_customer(database, booking_id)
    event = _event(booking_id)
    away = settings.model_copy(update={"temporal_address": "127.0.0.1:1"})
    async with running(create_app(away, vendors)) as without_temporal:
        for _ in range(4):
            assert (await _send(without_temporal, event)).status_code == 200
    kept = await _kept(database, event)
    assert (kept.handled_at, kept.failures) == (None, 0), "that is not the event's fault"
    # The provider sends it again: now it is handed on.
    assert (await _send(app, event)).status_code == 200
    assert (await _kept(database, event)).handled_at is not None


@contextlib.asynccontextmanager
async def _silent_server() -> AsyncIterator[str]:
    """Accepts every connection, and never says a word."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_silent_temporal_does_not_delay_the_answer(
    settings: Settings, vendors: FakeVendors, caller: Caller, book: Booking, database: Database, monkeypatch
) -> None:
    booking_id = str((await book(caller))["booking_id"])
    await _waits_for_the_customer(database, booking_id)
    event = _event(booking_id)
    monkeypatch.setattr("activities.handing_over._SIGNAL_TIMEOUT_S", 3)
    async with _silent_server() as address:
        silent = settings.model_copy(update={"temporal_address": address})
        async with served(create_app(silent, vendors)) as port, httpx.AsyncClient(timeout=2) as http:
            answer = await http.post(
                f"http://127.0.0.1:{port}{PATH}", json=event, headers={"Stripe-Signature": SIGNATURE}
            )
            assert answer.status_code == 200
    assert (await _kept(database, event)).handled_at is None
