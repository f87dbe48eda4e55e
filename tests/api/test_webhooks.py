"""Webhooks: only signed ones come in; each is stored once and handed to its booking once, now or later."""

from uuid import uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from temporalio.client import Client

from api.app import create_app
from schema.bookings import workflow_id_for
from schema.references import payment_id_for
from schema.settings import Settings
from schema.tables import inbox
from store import payments
from store.database import Database
from tests.api.conftest import Booking, Caller, running, speak
from tests.api.fakes import SIGNATURE, FakeVendors

PATH = "/v1/webhooks/stripe"


def _event(booking_id: str | None = None) -> dict[str, object]:
    payment_id = None if booking_id is None else payment_id_for(booking_id, 0)
    event = {"event_id": f"evt_{uuid4().hex}", "type": "payment_intent.succeeded"}
    return event | {"booking_id": booking_id, "payment_id": payment_id}


async def _send(app: FastAPI, event: object, signature: str | bytes = SIGNATURE):
    async with speak(app) as http:
        return await http.post(PATH, json=event, headers={"Stripe-Signature": signature})


async def _kept(database: Database, event: dict[str, object]):
    async with database.read() as connection:
        return (await connection.execute(select(inbox).where(inbox.c.event_id == event["event_id"]))).one_or_none()


async def _waits_for_the_customer(database: Database, booking_id: str) -> None:
    """A booking whose payment needs the customer: the one whose workflow waits for news."""
    payment_id = payment_id_for(booking_id, 0)
    async with database.transaction() as connection:
        await payments.ensure(connection, payment_id, booking_id, 0, "stripe", "EUR")
        await payments.action_required(connection, payment_id, f"pi_{booking_id}")


async def test_an_event_nobody_waits_for_wakes_nobody(
    app: FastAPI, caller: Caller, book: Booking, database: Database, temporal: Client
) -> None:
    """Most events say what the answer to the call has said already; a signal would cost a workflow task."""
    booking_id = str((await book(caller))["booking_id"])
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


@pytest.mark.parametrize("signature", ["", "wrong", "t=1,v1=abc", b"sch\xf6n"])
async def test_without_a_good_signature_nothing_is_kept(signature, app: FastAPI, database: Database) -> None:
    event = _event()
    answer = await _send(app, event, signature)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")
    assert await _kept(database, event) is None


@pytest.mark.parametrize("event", [{}, [], {"event_id": "a\x00b", "type": "x"}, {"event_id": "e" * 300, "type": "x"}])
async def test_a_signed_event_that_cannot_be_read_is_refused(event, app: FastAPI) -> None:
    body = event | {"payment_id": None, "booking_id": None} if event else event
    answer = await _send(app, body)
    assert answer.status_code == 400
    assert answer.json()["code"] in ("malformed_json", "malformed_request")


@pytest.mark.parametrize("booking_id", [None, "somebody-elses", "01JABCDEFGHJKMNPQRSTVWXYZ0"])
async def test_an_event_that_is_nobodys_is_kept_and_done(booking_id, app: FastAPI, database: Database) -> None:
    event = _event() | {"booking_id": booking_id, "payment_id": "pay_x"}
    assert (await _send(app, event)).status_code == 200
    assert (await _kept(database, event)).handled_at is not None


async def test_a_body_over_the_limit_is_refused(app: FastAPI) -> None:
    async with speak(app) as http:
        answer = await http.post(PATH, content=b"x" * 300_000, headers={"Stripe-Signature": SIGNATURE})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_while_temporal_is_away_events_are_kept_for_later(
    settings: Settings, vendors: FakeVendors, caller: Caller, book: Booking, database: Database, app: FastAPI
) -> None:
    booking_id = str((await book(caller))["booking_id"])
    await _waits_for_the_customer(database, booking_id)
    event = _event(booking_id)
    away = settings.model_copy(update={"temporal_address": "127.0.0.1:1"})
    async with running(create_app(away, vendors)) as without_temporal:
        assert (await _send(without_temporal, event)).status_code == 200
    assert (await _kept(database, event)).handled_at is None
    # The provider sends it again: now it is handed on.
    assert (await _send(app, event)).status_code == 200
    assert (await _kept(database, event)).handled_at is not None
