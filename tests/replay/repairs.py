"""The histories of reconciliations and repairs: one for every place where they wait."""

from collections.abc import Awaitable, Callable
from typing import Any

from temporalio.client import WorkflowHandle

from api.admission import cancellation_plan
from schema.bookings import TASK_QUEUE
from schema.payments import (
    CANCELLATION_WORKFLOW,
    ExecuteCancellation,
    FeeQuote,
    cancellation_workflow_id_for,
    refund_workflow_id_for,
)
from schema.reconciliation import RECONCILIATION_WORKFLOW, ReconciliationInput, repair_workflow_id_for
from schema.references import new_id, payment_id_for
from schema.states import BookingState
from store import cases, payments, quotes
from tests.reconciliation import planting
from tests.replay.snapshots import Snapshot, snapshot
from tests.saga.harness import House
from tests.saga.table import CANCEL_FLIGHT, REFUND, RELEASE_HOTEL
from tests.saga.waiting import eventually

_STILL_READING = 6
"""Events of a workflow that waits in its first remote activity."""
_REFUND_DELAY_S = 20
Found = dict[str, WorkflowHandle[Any, Any] | Snapshot]
LIST = {"vendor": "stripe", "method": "GET", "path": "/payment_intents$", "action": "server_error", "times": None}


async def _reconcile(house: House) -> WorkflowHandle[Any, Any]:
    return await house.client.start_workflow(
        RECONCILIATION_WORKFLOW,
        ReconciliationInput(started_by="recording"),
        id=f"reconciliation-{new_id('run')[-12:]}",
        task_queue=TASK_QUEUE,
    )


async def _repair(house: House, booking_id: str) -> WorkflowHandle[Any, Any]:
    """Sent out by a run."""
    run = await _reconcile(house)
    await run.result()
    handle = house.client.get_workflow_handle(repair_workflow_id_for(booking_id))
    await handle.describe()
    return handle


async def _asked(house: House, booking_id: str) -> None:
    async def opened() -> bool:
        async with house.database.read() as connection:
            found = await cases.of_booking(connection, booking_id)
        return any(case.resolved_at is None and case.workflow_id.startswith("repair-") for case in found)

    await eventually(opened, 60)


async def _ended(house: House, name: str, plant: Callable[[House], Awaitable[str]]) -> Found:
    booking_id = await plant(house)
    await house.sandbox.delete("/_sandbox/faults")
    handle = await _repair(house, booking_id)
    await handle.result()
    return {name: await snapshot(handle)}


async def read_to_the_end(house: House) -> Found:
    run = await _reconcile(house)
    await run.result()
    return {"reconciliation-done": run}


async def waiting_for_a_list(house: House) -> Found:
    await house.fault(**LIST)
    run = await _reconcile(house)
    found = await snapshot(run, _STILL_READING)
    await house.sandbox.delete("/_sandbox/faults")
    await run.result()
    return {"reconciliation-waits-for-vendor": found}


async def let_go(house: House) -> Found:
    return await _ended(house, "repair-let-go", planting.failed_and_reserved)


async def undone_without_its_workflow(house: House) -> Found:
    return await _ended(house, "repair-undid", planting.left_while_holding)


async def confirmed_without_its_workflow(house: House) -> Found:
    return await _ended(house, "repair-confirmed", planting.left_after_the_capture)


async def looked_for_a_late_effect(house: House) -> Found:
    return await _ended(house, "repair-looked-for-a-late-effect", planting.left_while_authorising)


async def waiting_for_a_second_look(house: House) -> Found:
    booking_id = await planting.failed_and_reserved(house)
    (reserved,) = [each for each in (await house.books(booking_id))["payments"] if each["authorisation_open"]]
    one = {"vendor": "stripe", "method": "GET", "path": f"/payment_intents/{reserved['object_id']}"}
    await house.fault(**one, action="server_error", times=None)
    found = await snapshot(await _repair(house, booking_id), _STILL_READING - 1)
    await house.sandbox.delete("/_sandbox/faults")
    return {"repair-waits-for-vendor": found}


async def waiting_for_a_refund(house: House) -> Found:
    booking_id = await planting.failed_and_paid(house)
    await house.fault(**REFUND, contains=booking_id, action="refund_pending", delay_s=_REFUND_DELAY_S)
    repair = await _repair(house, booking_id)
    refund = refund_workflow_id_for(payment_id_for(booking_id, 1), "reconciliation-0")
    await snapshot(house.client.get_workflow_handle(refund))
    return {"repair-waits-for-refund": await snapshot(repair)}


async def asking_beside_a_trip(house: House) -> Found:
    booking_id = await planting.disputed(house)
    repair = await _repair(house, booking_id)
    await _asked(house, booking_id)
    return {"repair-waits-for-operator-beside-a-trip": repair}


async def asking_how_it_ends(house: House) -> Found:
    """Some of the trip was being cancelled: nobody but a person can say what was agreed."""
    trip = await planting.ended(house)
    booking = await house.stored(trip.booking_id)
    hotel = next(item.item_no for item in booking.items if item.offer.kind == "hotel")
    async with house.database.read() as connection:
        (payment,) = await payments.of_booking(connection, trip.booking_id)
    workflow_id = cancellation_workflow_id_for(trip.booking_id, booking.version, [hotel])
    async with house.database.transaction() as connection:
        await quotes.claim(connection, trip.booking_id, booking.version, workflow_id)
    plan = cancellation_plan(booking, payment, house.vendors, house.settings, [hotel])
    handle = await house.client.start_workflow(CANCELLATION_WORKFLOW, plan, id=workflow_id, task_queue=TASK_QUEUE)
    quote = await handle.execute_update("quote", result_type=FeeQuote)
    await house.fault(contains=trip.correlation_id, **RELEASE_HOTEL, action="server_error", times=None)
    await handle.execute_update("execute", ExecuteCancellation(fee=quote.fee))

    async def cancelling() -> bool:
        return (await house.stored(trip.booking_id)).state == BookingState.CANCELLING

    await eventually(cancelling)
    await planting.take_away(house, workflow_id)
    repair = await _repair(house, trip.booking_id)
    await _asked(house, trip.booking_id)
    await house.sandbox.delete("/_sandbox/faults")
    return {"repair-waits-for-operator-to-decide": repair}


async def asking_to_undo(house: House) -> Found:
    booking_id = await planting.left_before_the_capture(house)
    await house.sandbox.delete("/_sandbox/faults")
    await house.fault(**CANCEL_FLIGHT, action="server_error", times=None)
    repair = await _repair(house, booking_id)
    await _asked(house, booking_id)
    await house.sandbox.delete("/_sandbox/faults")
    return {"repair-waits-for-operator-to-undo": repair}


SCENARIOS: list[Callable[[House], Awaitable[Found]]] = [
    read_to_the_end,
    waiting_for_a_list,
    let_go,
    undone_without_its_workflow,
    confirmed_without_its_workflow,
    looked_for_a_late_effect,
    waiting_for_a_second_look,
    waiting_for_a_refund,
    asking_beside_a_trip,
    asking_how_it_ends,
    asking_to_undo,
]
