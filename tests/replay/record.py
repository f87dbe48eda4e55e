"""Records histories of the replay gate anew: `python -m tests.replay.record`, or only some by their scenarios' names. One for every
wait point of every workflow.

Run it when a workflow's commands change on purpose, and say so in the change log: a history that no longer replays is a running
booking that would break on deployment.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle

from schema.bookings import Accepted, BookingStatus, CancelRequest
from schema.states import BookingState
from tests.replay import disruptions, monitors, notices, repairs
from tests.replay.snapshots import snapshot, without_places
from tests.saga.driver import People
from tests.saga.harness import House, Trip, running_house
from tests.saga.table import CAPTURE_ROUTE, CAR_ROUTE, REFUND
from tests.saga.waiting import eventually

HISTORIES = Path(__file__).parent / "histories"
_AUTHORISE = {"vendor": "stripe", "method": "POST", "path": "/payment_intents$"}
_PRICE = {"vendor": "duffel", "method": "GET", "path": "/air/offers/"}
Scenario = Callable[[House], Awaitable[Any]]
"""Returns handles, or snapshots taken on the way, by the name of the history."""


async def _in_state(house: House, trip: Trip, state: BookingState, waiting: str = "") -> None:
    async def reached() -> bool:
        stored = await house.stored(trip.booking_id)
        return stored.state == state and waiting in (stored.waiting_for or "")

    await eventually(reached, 60)


async def _started(house: House, rule: dict[str, Any] | None = None, **options: Any) -> Trip:
    trip = await house.prepare(**options)
    if rule is not None:
        await house.fault(contains=trip.correlation_id, **rule)
    await house.start(trip)
    return trip


def _handle(trip: Trip) -> WorkflowHandle[Any, Any]:
    assert trip.handle is not None
    return trip.handle


async def confirmed(house: House) -> dict[str, WorkflowHandle[Any, Any]]:
    trip = await _started(house)
    await _handle(trip).result()
    return {"booking-confirmed": _handle(trip)}


async def waiting_for_consent(house: House) -> dict[str, WorkflowHandle[Any, Any]]:
    trip = await _started(house, {**_PRICE, "action": "price_changed", "percent": 10})
    await _in_state(house, trip, BookingState.PRICE_CHANGED)
    return {"booking-waits-for-consent": _handle(trip)}


async def accepted_and_cancelled(house: House) -> dict[str, WorkflowHandle[Any, Any]]:
    trip = await _started(house, {**_PRICE, "action": "price_changed", "percent": 10})
    await _in_state(house, trip, BookingState.PRICE_CHANGED)
    await _handle(trip).query("state", result_type=BookingStatus)
    await _handle(trip).execute_update("cancel", CancelRequest(requested_by="traveller"), result_type=Accepted)
    await _handle(trip).result()
    return {"booking-cancelled-while-waiting": _handle(trip)}


async def waiting_for_customer(house: House) -> dict[str, WorkflowHandle[Any, Any]]:
    trip = await _started(house, {**_AUTHORISE, "action": "three_d_secure"})
    await _in_state(house, trip, BookingState.AWAITING_PAYMENT, "customer")
    return {"booking-waits-for-3-d-secure": _handle(trip)}


async def waiting_for_operator(house: House) -> dict[str, WorkflowHandle[Any, Any]]:
    trip = await _started(house, {**CAR_ROUTE, "action": "drop_after"})
    await _in_state(house, trip, BookingState.NEEDS_OPERATOR)
    return {"booking-waits-for-operator-to-find-out": _handle(trip)}


async def waiting_for_operator_to_undo(house: House) -> dict[str, WorkflowHandle[Any, Any]]:
    cancel = {"vendor": "duffel", "method": "POST", "path": "/actions/cancel$", "action": "server_error", "times": None}
    trip = await house.prepare()
    await house.fault(contains=trip.correlation_id, **CAPTURE_ROUTE, action="refuse")
    await house.fault(contains=trip.correlation_id, **cancel)
    await house.start(trip)
    await _in_state(house, trip, BookingState.NEEDS_OPERATOR)
    return {"booking-waits-for-operator-to-undo": _handle(trip)}


async def waiting_for_a_late_effect(house: House) -> dict[str, WorkflowHandle[Any, Any]]:
    trip = await _started(house, {**_AUTHORISE, "action": "server_error", "status": 500})
    await _handle(trip).result()
    return {"booking-looked-for-a-late-effect": _handle(trip)}


async def undone(house: House) -> dict[str, WorkflowHandle[Any, Any]]:
    trip = await _started(house, {**CAPTURE_ROUTE, "action": "refuse"})
    await _handle(trip).result()
    return {"booking-undone": _handle(trip)}


async def cancellation(house: House) -> dict[str, WorkflowHandle[Any, Any]]:
    trip = await _started(house, {**REFUND, "action": "refund_pending", "delay_s": 3})
    await _handle(trip).result()
    done = asyncio.ensure_future(People(house, trip).cancel_for_the_fee())
    await _in_state(house, trip, BookingState.REFUND_PENDING)
    refund = f"refund-pay_{trip.booking_id}0-cancellation-{(await house.stored(trip.booking_id)).version - 2}"
    waiting = {"refund-waits-for-provider": await snapshot(house.client.get_workflow_handle(refund))}
    handle = await done
    return {**waiting, "cancellation-done": handle, "refund-done": house.client.get_workflow_handle(refund)}


SCENARIOS: list[Scenario] = [
    confirmed,
    waiting_for_consent,
    accepted_and_cancelled,
    waiting_for_customer,
    waiting_for_operator,
    waiting_for_operator_to_undo,
    waiting_for_a_late_effect,
    undone,
    cancellation,
]


async def main(names: list[str]) -> None:
    HISTORIES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        async with running_house(Path(data)) as house, house.worker():
            for scenario in [
                *SCENARIOS,
                *repairs.SCENARIOS,
                *monitors.SCENARIOS,
                *notices.SCENARIOS,
                *disruptions.SCENARIOS,
            ]:
                if names and scenario.__name__ not in names:
                    continue
                for name, found in (await scenario(house)).items():
                    workflow_id, history = found if isinstance(found, tuple) else await snapshot(found)
                    document = {"workflow_id": workflow_id, "history": without_places(json.loads(history))}
                    (HISTORIES / f"{name}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
