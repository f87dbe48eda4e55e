"""Cancelling: the fee first, then for just that fee; before it is confirmed for nothing, afterwards as the suppliers say."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from temporalio.client import Client

from schema.bookings import StateChange, workflow_id_for
from schema.money import Money
from schema.outcomes import Confirmed
from schema.payments import cancellation_workflow_id_for
from schema.references import payment_id_for
from schema.states import BookingState, ItemState
from schema.tables import bookings as bookings_table
from schema.tables import cancellation_quotes, idempotency_keys
from store import bookings, items, payments
from store.database import Database
from tests.api.conftest import Booking, Caller, Minting

TO_CONFIRMED = (BookingState.AWAITING_PAYMENT, BookingState.RESERVING, BookingState.CONFIRMED)


async def confirm(database: Database, booking_id: str) -> None:
    """What a saga writes on its way to CONFIRMED: items, payment, states."""
    payment_id, amount = payment_id_for(booking_id, 0), Money(amount_minor=30_000, currency="EUR")
    async with database.transaction() as connection:
        for item_no in (1, 2, 3):
            outcome = Confirmed(provider_reference=f"ref-{booking_id}-{item_no}", record_locator="ABC123")
            await items.reserved(connection, booking_id, item_no, ItemState.CONFIRMED, outcome, None)
        await payments.ensure(connection, payment_id, booking_id, 0, "stripe", "EUR")
        await payments.authorised(connection, payment_id, amount, Confirmed(provider_reference=f"pi_{booking_id}"))
        await payments.captured(connection, payment_id, amount)
        for version, state in enumerate(TO_CONFIRMED, start=1):
            await bookings.record(connection, StateChange(booking_id=booking_id, version=version, state=state))


@pytest.fixture
def confirmed(book: Booking, database: Database):
    async def make(caller: Caller) -> str:
        booking_id = str((await book(caller))["booking_id"])
        await confirm(database, booking_id)
        return booking_id

    return make


async def test_an_unconfirmed_booking_is_cancelled_for_nothing(caller: Caller, book: Booking, temporal: Client) -> None:
    booking_id = str((await book(caller))["booking_id"])
    path = f"/v1/bookings/{booking_id}/cancellation"
    quote = await caller.post(path, {})
    assert quote.status_code == 200, quote.text
    assert quote.json()["fee"] == quote.json()["refund"] == {"amount_minor": 0, "currency": "EUR"}
    done = await caller.post(path, {"token": quote.json()["token"]}, key="cancel-it-now")
    assert (done.status_code, done.json()["state"]) == (202, "COMPENSATING"), done.text
    again = await caller.post(path, {"token": quote.json()["token"]}, key="cancel-it-now")
    assert (again.status_code, again.json()) == (202, done.json())
    called = await temporal.get_workflow_handle(workflow_id_for(booking_id)).query("called")
    assert called == [f"cancel by {caller.name}"]


async def test_a_free_quote_holds_while_the_saga_moves_on(caller: Caller, book: Booking, database: Database) -> None:
    booking_id = str((await book(caller))["booking_id"])
    path = f"/v1/bookings/{booking_id}/cancellation"
    token = (await caller.post(path, {})).json()["token"]
    async with database.transaction() as connection:
        await bookings.record(
            connection, StateChange(booking_id=booking_id, version=1, state=BookingState.AWAITING_PAYMENT)
        )
    assert (await caller.post(path, {"token": token})).status_code == 202


async def test_a_free_quote_ends_when_the_booking_is_confirmed(caller, book: Booking, database: Database) -> None:
    booking_id = str((await book(caller))["booking_id"])
    path = f"/v1/bookings/{booking_id}/cancellation"
    token = (await caller.post(path, {})).json()["token"]
    await confirm(database, booking_id)
    answer = await caller.post(path, {"token": token})
    assert (answer.status_code, answer.json()["code"]) == (409, "quote_invalid")


async def test_a_confirmed_booking_is_cancelled_for_the_quoted_fee(caller: Caller, confirmed, temporal: Client) -> None:
    booking_id = await confirmed(caller)
    path = f"/v1/bookings/{booking_id}/cancellation"
    quote = (await caller.post(path, {})).json()
    assert (quote["fee"]["amount_minor"], quote["refund"]["amount_minor"]) == (3_000, 27_000)
    done = await caller.post(path, {"token": quote["token"]})
    assert (done.status_code, done.json()["state"]) == (202, "CANCELLING"), done.text
    # Another request with the same token means the same cancellation.
    assert (await caller.post(path, {"token": quote["token"]})).status_code == 202
    handle = temporal.get_workflow_handle(cancellation_workflow_id_for(booking_id, 3))
    assert await handle.query("executions") == 1


async def test_a_quote_repeated_under_its_key_is_a_quote_again(caller: Caller, confirmed) -> None:
    path = f"/v1/bookings/{await confirmed(caller)}/cancellation"
    first, second = [await caller.post(path, {}, key="what-does-it-cost") for _ in range(2)]
    assert (second.status_code, second.json()["fee"]) == (200, first.json()["fee"])
    other = await caller.post(path, {"token": first.json()["token"]}, key="what-does-it-cost")
    assert other.json()["code"] == "idempotency_key_reused"


async def test_a_token_is_not_kept_in_clear(caller: Caller, book: Booking, database: Database) -> None:
    path = f"/v1/bookings/{(await book(caller))['booking_id']}/cancellation"
    token = (await caller.post(path, {}, key="keep-no-secret")).json()["token"]
    async with database.read() as connection:
        kept = await connection.scalar(
            select(idempotency_keys.c.answer).where(idempotency_keys.c.client_id == caller.client_id)
        )
    assert token not in str(kept)


async def test_tokens_of_others_times_and_versions_are_refused(
    caller: Caller, confirmed, mint: Minting, database: Database
) -> None:
    booking_id = await confirmed(caller)
    path = f"/v1/bookings/{booking_id}/cancellation"
    token = (await caller.post(path, {})).json()["token"]
    other_path = f"/v1/bookings/{await confirmed(caller)}/cancellation"
    refused = [await caller.post(other_path, {"token": token}), await caller.post(path, {"token": "x" * 43})]
    async with database.transaction() as connection:
        mine = bookings_table.c.id == booking_id
        await connection.execute(update(bookings_table).where(mine).values(version=4))
    refused.append(await caller.post(path, {"token": token}))
    async with database.transaction() as connection:
        await connection.execute(update(bookings_table).where(mine).values(version=3))
        earlier = func.now() - timedelta(seconds=1)
        of_it = cancellation_quotes.c.booking_id == booking_id
        await connection.execute(update(cancellation_quotes).where(of_it).values(expires_at=earlier))
    refused.append(await caller.post(path, {"token": token}))
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(409, "quote_invalid")] * 4


async def test_a_quote_whose_workflow_has_ended_is_refused(caller: Caller, confirmed, temporal: Client) -> None:
    booking_id = await confirmed(caller)
    path = f"/v1/bookings/{booking_id}/cancellation"
    token = (await caller.post(path, {})).json()["token"]
    handle = temporal.get_workflow_handle(cancellation_workflow_id_for(booking_id, 3))
    await handle.signal("end")
    await handle.result()
    answer = await caller.post(path, {"token": token})
    assert (answer.status_code, answer.json()["code"]) == (409, "quote_invalid")
    # Asking again is a new run.
    fresh = (await caller.post(path, {})).json()["token"]
    assert (await caller.post(path, {"token": fresh})).status_code == 202


@pytest.mark.parametrize(
    "state", ["FAILED", "CANCELLED", "CANCELLING", "COMPENSATING", "REFUND_PENDING", "NEEDS_OPERATOR"]
)
async def test_what_cannot_be_cancelled_is_not(state, caller: Caller, book: Booking, database: Database) -> None:
    booking_id = str((await book(caller))["booking_id"])
    async with database.transaction() as connection:
        mine = bookings_table.c.id == booking_id
        await connection.execute(update(bookings_table).where(mine).values(state=state))
    answer = await caller.post(f"/v1/bookings/{booking_id}/cancellation", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_cancellable")


async def test_a_saga_that_just_ended_cannot_be_stopped(caller: Caller, book: Booking, temporal: Client) -> None:
    booking_id = str((await book(caller))["booking_id"])
    path = f"/v1/bookings/{booking_id}/cancellation"
    token = (await caller.post(path, {})).json()["token"]
    handle = temporal.get_workflow_handle(workflow_id_for(booking_id))
    await handle.signal("end")
    await handle.result()
    answer = await caller.post(path, {"token": token})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_cancellable")
