"""A partial refund whose call lands after everybody has stopped waiting for it: the provider would grant a second one under a new
key, so whoever goes on under the next key looks for all earlier ones, and whoever wakes up late finds that it has been replaced."""

from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.refunds import Refunds
from schema.money import Money
from schema.payments import RefundStatus, RefundStep
from schema.references import payment_id_for
from store import attempts, payments, proving
from tests.saga.harness import House, Trip
from tests.saga.table import REFUND
from tests.saga.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def refund(house: House, trip: Trip, generation: int, activity: str = "start_refund") -> RefundStatus:
    step = RefundStep(
        booking_id=trip.booking_id,
        payment_id=payment_id_for(trip.booking_id, 0),
        reason_key="cancellation-3",
        generation=generation,
        amount=Money(amount_minor=1000, currency="EUR"),
        correlation_id=trip.correlation_id,
        retry_initial_s=0.05,
    )
    return await ActivityEnvironment().run(getattr(Refunds(house.database, house.vendors), activity), step)


async def paid_for(house: House) -> Trip:
    trip = await house.prepare(kinds=("flight",))
    async with house.worker():
        await (await house.start(trip)).result()
    return trip


async def refunds_of(house: House, trip: Trip) -> list[dict[str, Any]]:
    return [line for line in await house.ledger(trip.booking_id) if line["type"] == "payment.refunded"]


async def given_up(house: House, trip: Trip, **fault: Any) -> None:
    await house.fault(contains=trip.correlation_id, **REFUND, **fault)
    with pytest.raises(ApplicationError) as caught:
        await refund(house, trip, 0)
    assert caught.value.type == "outcome_unclear"


@pytest.mark.parametrize("activity", ["start_refund", "look_at_refund"])
async def test_what_landed_late_is_found_under_its_old_key(house: House, activity: str) -> None:
    trip = await paid_for(house)
    await given_up(house, trip, action="drop_then_effect", delay_s=1)
    await eventually(lambda: refunds_of(house, trip))
    status = await refund(house, trip, 1, activity)
    assert status.kind == "succeeded"
    assert len(await refunds_of(house, trip)) == 1
    async with house.database.read() as connection:
        payment = await payments.get(connection, payment_id_for(trip.booking_id, 0))
        booked = [attempt for attempt in await attempts.of_booking(connection, trip.booking_id) if attempt.outcome]
    assert payment is not None
    assert payment.refunded.amount_minor == 1000
    assert [attempt.generation for attempt in booked if attempt.step.startswith("refund-")] == [0]


async def test_a_call_that_wakes_up_late_is_not_made(house: House) -> None:
    trip = await paid_for(house)
    await given_up(house, trip, action="drop_before")
    assert (await refund(house, trip, 1)).kind == "succeeded"
    late = await refund(house, trip, 0)
    assert late.kind == "unknown"
    assert len(await refunds_of(house, trip)) == 1


async def test_what_goes_on_under_a_later_key_is_over_under_the_earlier_ones(house: House) -> None:
    """Else a reconciliation takes it for a refund that somebody has left, and begins it again, for ever."""
    trip = await paid_for(house)
    await given_up(house, trip, action="server_error", status=500)
    assert (await refund(house, trip, 1)).kind == "succeeded"
    async with house.database.read() as connection:
        ours = await proving.refunds_of(connection, payment_id_for(trip.booking_id, 0))
    assert [one.status for one in sorted(ours, key=lambda one: one.key)] == ["failed", "succeeded"]
