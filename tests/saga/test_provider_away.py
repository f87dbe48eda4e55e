"""C-3a: a payment provider that is away is waited for, durably and visibly, and nothing is charged for a trip that is not made."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from schema.bookings import CancelRequest
from schema.states import BookingState, PaymentState
from store import bookings, payments
from tests.saga.harness import House, Trip
from tests.saga.waiting import eventually
from workers.audit import check, gather

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

AWAY: dict[str, Any] = {"vendor": "stripe", "method": "POST", "path": "/payment_intents$", "action": "rate_limited"}
TRIES_OF_A_PAYMENT = 2


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def at_work(house: House) -> AsyncGenerator[House]:
    async with house.worker():
        yield house


async def prepared(house: House, **waits: float) -> Trip:
    policy = house.settings.saga.model_copy(
        update={"retry_attempts": TRIES_OF_A_PAYMENT, "provider_patience_s": 60, **waits}
    )
    return await house.prepare(policy=policy)


async def violations(house: House, trip: Trip) -> list[str]:
    report = check(await gather(house.settings, [trip.booking_id], policy=trip.plan.policy, histories=1))
    return [violation.text for violation in report.violations]


async def waits_for(house: House, trip: Trip) -> list[str]:
    """Whom the booking said it waits for, in the order of its events."""
    async with house.database.read() as connection:
        events = await bookings.events_of(connection, trip.booking_id)
    return [str(event.data["waiting_for"]) for event in events if "waiting_for" in event.data]


async def test_a_booking_waits_for_its_provider_and_goes_on(at_work: House):
    house = at_work
    trip = await prepared(house)
    await house.fault(**AWAY, times=2 * TRIES_OF_A_PAYMENT, retry_after_s=0, contains=trip.correlation_id)
    result = await (await house.start(trip)).result()
    assert result.state == BookingState.CONFIRMED
    assert await waits_for(house, trip) == ["provider: stripe cannot be reached"], "said once, however long it takes"
    async with house.database.read() as connection:
        states = [payment.state for payment in await payments.of_booking(connection, trip.booking_id)]
    assert states == [PaymentState.VOIDED, PaymentState.VOIDED, PaymentState.CAPTURED]
    assert await violations(house, trip) == []


async def test_its_patience_ends(at_work: House):
    house = at_work
    trip = await prepared(house, provider_patience_s=1)
    await house.fault(**AWAY, times=None, retry_after_s=0, contains=trip.correlation_id)
    result = await (await house.start(trip)).result()
    assert (result.state, (await house.stored(trip.booking_id)).reason) == (BookingState.FAILED, "vendor_unavailable")
    assert await violations(house, trip) == []


async def test_a_traveller_need_not_wait(at_work: House):
    house = at_work
    # A pause longer than the test: only the cancellation can end it.
    trip = await prepared(house, provider_pause_s=60, provider_patience_s=600)
    await house.fault(**AWAY, times=None, retry_after_s=0, contains=trip.correlation_id)
    handle = await house.start(trip)

    async def waiting() -> bool:
        return (await house.stored(trip.booking_id)).waiting_for == "provider: stripe cannot be reached"

    await eventually(waiting)
    await handle.execute_update("cancel", CancelRequest(requested_by="traveller"))
    assert (await handle.result()).state == BookingState.CANCELLED
    assert await violations(house, trip) == []
