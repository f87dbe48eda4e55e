"""A traveller gives up some items of a confirmed trip: those are cancelled, what is due for them is paid back, the rest stays."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from api.admission import cancellation_plan
from schema.bookings import TASK_QUEUE, Accepted, Resolution
from schema.money import Money
from schema.payments import (
    CANCELLATION_WORKFLOW,
    CancellationResult,
    ExecuteCancellation,
    FeeQuote,
    cancellation_workflow_id_for,
)
from schema.states import BookingState, ItemState
from store import cases, payments, quotes
from store.cases import StoredCase
from tests.saga.harness import House, Trip
from tests.saga.waiting import eventually
from workers.audit import check, gather

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def at_work(house: House) -> AsyncGenerator[House]:
    async with house.worker():
        yield house


async def cancel(house: House, trip: Trip, item_nos: list[int] | None) -> tuple[FeeQuote, CancellationResult]:
    """Quoted and accepted, as the API does it."""
    booking = await house.stored(trip.booking_id)
    async with house.database.read() as connection:
        (payment,) = await payments.of_booking(connection, trip.booking_id)
    workflow_id = cancellation_workflow_id_for(trip.booking_id, booking.version, item_nos)
    async with house.database.transaction() as connection:
        # Without the claim, reconciliation would take an unfinished cancellation for one whose workflow is lost.
        assert await quotes.claim(connection, trip.booking_id, booking.version, workflow_id) == workflow_id
    handle = await house.client.start_workflow(
        CANCELLATION_WORKFLOW,
        cancellation_plan(booking, payment, house.vendors, house.settings, item_nos),
        id=workflow_id,
        task_queue=TASK_QUEUE,
        result_type=CancellationResult,
    )
    quote = await handle.execute_update("quote", result_type=FeeQuote)
    await handle.execute_update("execute", ExecuteCancellation(fee=quote.fee), result_type=Accepted)
    return quote, await handle.result()


async def violations(house: House, trip: Trip) -> list[str]:
    report = check(await gather(house.settings, [trip.booking_id], policy=trip.plan.policy, histories=1))
    return [violation.text for violation in report.violations]


async def test_one_item_goes_and_then_the_rest(at_work: House):
    house = at_work
    trip = await house.prepare()
    await (await house.start(trip)).result()
    confirmed = await house.stored(trip.booking_id)
    gone = next(item for item in confirmed.items if item.offer.kind == "hotel")

    quote, result = await cancel(house, trip, [gone.item_no])
    assert (result.state, result.fee) == (BookingState.PARTIALLY_CONFIRMED, quote.fee)
    assert quote.refund == gone.price - quote.fee, "what was paid for the item, and nothing of the others"
    after = await house.stored(trip.booking_id)
    assert {item.item_no: item.state for item in after.items} == {
        item.item_no: ItemState.CANCELLED if item.item_no == gone.item_no else ItemState.CONFIRMED
        for item in confirmed.items
    }
    assert after.total == confirmed.total - gone.price
    live = {
        line["kind"] for line in (await house.books(trip.booking_id))["reservations"] if line["status"] == "confirmed"
    }
    assert live == {"flight", "car"}
    assert await violations(house, trip) == []

    rest, result = await cancel(house, trip, None)
    assert (result.state, result.fee) == (BookingState.CANCELLED, quote.fee + rest.fee), "both fees were disclosed"
    (money,) = (await house.books(trip.booking_id))["payments"]
    kept = money["captured_minor"] - money["refunded_minor"]
    assert Money(amount_minor=kept, currency="EUR") == quote.fee + rest.fee
    assert await violations(house, trip) == []


async def test_what_a_person_has_settled_is_not_paid_back_twice(at_work: House):
    """The supplier cannot be reached, and an operator cancels by phone: the item is given up for good all the same."""
    house = at_work
    trip = await house.prepare(kinds=("flight", "car"))
    await (await house.start(trip)).result()
    car = next(item for item in (await house.stored(trip.booking_id)).items if item.offer.kind == "car")
    refused = {"vendor": "duffel", "method": "POST", "path": "/cars/bookings/.*/actions/cancel$"}
    await house.fault(**refused, action="server_error", status=500, times=None, contains=trip.correlation_id)
    cancelling = asyncio.create_task(cancel(house, trip, [car.item_no]))

    async def asked() -> list[StoredCase]:
        async with house.database.read() as connection:
            return [case for case in await cases.of_booking(connection, trip.booking_id) if not case.resolved_at]

    (case,) = await eventually(asked, 60)
    by_phone = Resolution(case_id=case.case_id, action="settled_by_hand", operator="ops", note="cancelled by phone")
    await house.client.get_workflow_handle(case.workflow_id).execute_update("resolve", by_phone, result_type=Accepted)
    _, result = await cancelling
    assert result.state == BookingState.PARTIALLY_CONFIRMED
    after = await house.stored(trip.booking_id)
    assert next(item.state for item in after.items if item.item_no == car.item_no) == ItemState.CANCELLED


async def test_only_one_of_two_quotes_for_a_version_is_carried_out(at_work: House):
    house = at_work
    trip = await house.prepare(kinds=("flight",))
    ids = [cancellation_workflow_id_for(trip.booking_id, 7, item_nos) for item_nos in ([1], [2])]
    async with house.database.transaction() as connection:
        assert await quotes.claim(connection, trip.booking_id, 7, ids[0]) == ids[0]
        assert await quotes.claim(connection, trip.booking_id, 7, ids[0]) == ids[0], (
            "the same one may be asked for again"
        )
        assert await quotes.claim(connection, trip.booking_id, 7, ids[1]) == ids[0]
        await quotes.give_up(connection, ids[0])
        assert await quotes.claim(connection, trip.booking_id, 7, ids[1]) == ids[1]
