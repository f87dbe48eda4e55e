"""W6, W7: what happens while no worker runs meets the saga in one workflow task: a flood of doubled and foreign messages; a deadline
that has passed and the news that the customer has paid, in either order."""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle

from schema.payments import PaymentChanged
from schema.references import payment_id_for
from schema.states import BookingState, PaymentState
from store import payments
from tests.saga.driver import Ended
from tests.saga.harness import FAST, House, Trip
from tests.saga.replaying import replay
from tests.saga.table import Case
from tests.saga.waiting import eventually
from workers.audit import check, gather

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

FLOOD = 200
NO_LOOKS = {"payment_poll_s": 100, "provider_patience_s": 0}


async def waiting_for_the_customer(house: House, action_timeout_s: float) -> tuple[Trip, WorkflowHandle[Any, Any], str]:
    """A trip whose customer has not paid yet, and no worker."""
    policy = FAST.model_copy(update={**NO_LOOKS, "payment_action_timeout_s": action_timeout_s})
    trip = await house.prepare(kinds=("car",), payment_method="pm_card_authenticationRequired", policy=policy)

    async def asked() -> str | None:
        async with house.database.read() as connection:
            payment = await payments.get(connection, payment_id_for(trip.booking_id, 0))
        stored = await house.stored(trip.booking_id)
        waits = payment is not None and payment.state == PaymentState.ACTION_REQUIRED and stored.waiting_for
        return payment.provider_reference if waits else None

    async with house.worker(graceful_shutdown_timeout=timedelta(seconds=1)):
        handle = await house.start(trip)
        reference = await eventually(asked, 60)
        await eventually(lambda: timers(handle, EventType.EVENT_TYPE_TIMER_STARTED))
    return trip, handle, reference


async def timers(handle: WorkflowHandle[Any, Any], kind: EventType.ValueType) -> int:
    return sum([event.event_type == kind async for event in handle.fetch_history_events()])


async def pays(house: House, reference: str) -> None:
    answer = await house.sandbox.post(
        f"/_sandbox/stripe/payment_intents/{reference}/authenticate", json={"succeed": True}
    )
    assert answer.is_success


async def is_told(trip: Trip, handle: WorkflowHandle[Any, Any], event_id: str) -> None:
    changed = PaymentChanged(payment_id=payment_id_for(trip.booking_id, 0), event_id=event_id)
    await handle.signal("payment_changed", changed)


async def ends_well(house: House, trip: Trip, handle: WorkflowHandle[Any, Any]) -> None:
    async with house.worker(graceful_shutdown_timeout=timedelta(seconds=1)):
        await handle.result()
    stored = await house.stored(trip.booking_id)
    assert stored.state == BookingState.CONFIRMED, stored.reason
    lines = [line["type"] for line in await house.ledger(trip.booking_id)]
    assert lines.count("payment.captured") == 1
    assert lines.count("car.booked") == 1
    report = check(await gather(house.settings, policy=FAST, histories=0))
    assert [violation.text for violation in report.violations if violation.booking_id == trip.booking_id] == []
    await replay(Ended(Case("held"), trip, stored.state, None, [handle], False))


@pytest.mark.parametrize("first", ["deadline", "news"])
async def test_the_deadline_and_the_payment_at_once(house: House, first: str) -> None:
    """The customer has paid: a deadline that passed unseen, before or after the news, does not take the trip away."""
    trip, handle, reference = await waiting_for_the_customer(house, action_timeout_s=4)
    await pays(house, reference)
    if first == "news":
        await is_told(trip, handle, "evt_1")
    await eventually(lambda: timers(handle, EventType.EVENT_TYPE_TIMER_FIRED))
    if first == "deadline":
        await is_told(trip, handle, "evt_1")
    await ends_well(house, trip, handle)


async def test_a_flood_of_messages(house: House) -> None:
    """Doubled, and of payments that are not its own: it looks, and takes the money once."""
    trip, handle, reference = await waiting_for_the_customer(house, action_timeout_s=100)
    for number in range(FLOOD):
        await is_told(trip, handle, f"evt_{number // 2}")
    other = PaymentChanged(payment_id=payment_id_for(trip.booking_id, 7), event_id="evt_other")
    await handle.signal("payment_changed", other)
    await pays(house, reference)
    await is_told(trip, handle, "evt_0")
    await ends_well(house, trip, handle)
    looks = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        async for event in handle.fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
    ].count("look_at_authorisation")
    assert looks <= 3, "however many say that there is news, one look sees it all"
