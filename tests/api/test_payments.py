"""Payments: how one stands, and the secret for what the customer still has to do."""

import pytest_asyncio

from gateways.ports import ProviderPayment
from schema.money import Money
from schema.outcomes import Confirmed
from schema.references import payment_id_for
from store import payments
from store.database import Database
from tests.api.conftest import Booking, Caller, Minting
from tests.api.fakes import FakeVendors

TOTAL = Money(amount_minor=30_000, currency="EUR")
SECRET = "pi_1_secret_2"


@pytest_asyncio.fixture(loop_scope="session")
async def payment_id(caller: Caller, book: Booking, database: Database) -> str:
    """A payment that was created, of a booking of the caller's."""
    booking_id = str((await book(caller))["booking_id"])
    made = payment_id_for(booking_id, 0)
    async with database.transaction() as connection:
        await payments.ensure(connection, made, booking_id, 0, "stripe", "EUR")
    return made


async def test_a_payment_says_how_it_stands(caller: Caller, payment_id: str, database: Database) -> None:
    async with database.transaction() as connection:
        await payments.authorised(connection, payment_id, TOTAL, Confirmed(provider_reference=f"pi_{payment_id}"))
    body = (await caller.get(f"/v1/payments/{payment_id}")).json()
    assert (body["state"], body["authorised"]["amount_minor"], body["next_action"]) == ("AUTHORISED", 30_000, None)
    booking = (await caller.get(f"/v1/bookings/{body['booking_id']}")).json()
    assert booking["payments"] == [{"payment_id": payment_id, "state": "AUTHORISED"}]


async def _waits(database: Database, payment_id: str) -> str:
    reference = f"pi_{payment_id}"
    async with database.transaction() as connection:
        await payments.action_required(connection, payment_id, reference)
    return reference


async def test_the_secret_comes_live_from_the_provider(
    caller: Caller, payment_id: str, database: Database, vendors: FakeVendors
) -> None:
    reference = await _waits(database, payment_id)
    zero = Money.zero("EUR")
    vendors.stripe.known[reference] = ProviderPayment(
        provider_reference=reference,
        status="action_required",
        authorised=zero,
        captured=zero,
        refunded=zero,
        client_secret=SECRET,
    )
    answer = await caller.get(f"/v1/payments/{payment_id}")
    assert answer.json()["next_action"] == {
        "provider": "stripe",
        "client_secret": SECRET,
        "approval_url": None,
    }
    assert answer.headers["cache-control"] == "no-store"


async def test_without_the_provider_the_state_is_still_told(caller: Caller, payment_id: str, database) -> None:
    await _waits(database, payment_id)
    answer = await caller.get(f"/v1/payments/{payment_id}")
    assert (answer.status_code, answer.json()["state"], answer.json()["next_action"]) == (200, "ACTION_REQUIRED", None)
    assert answer.json()["next_action_unavailable"]


async def test_another_clients_payment_looks_like_none(payment_id: str, mint: Minting) -> None:
    stranger = await mint()
    nobodys = payment_id_for("01JABCDEFGHJKMNPQRSTVWXYZ0", 0)
    answers = [await stranger.get(f"/v1/payments/{found}") for found in (payment_id, nobodys)]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_found")] * 2
    assert answers[0].json()["detail"] == answers[1].json()["detail"]
