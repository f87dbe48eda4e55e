"""W3: a workflow is reset to each of its workflow tasks, as an operator does with `temporal workflow reset`. Everything after that is
decided anew, and nothing is done a second time."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from schema.states import BookingState
from tests.saga.driver import SCENARIOS, Ended, People
from tests.saga.harness import FAST, House
from tests.saga.replaying import replay
from tests.saga.table import TRIPS, Case
from workers.audit import check, gather

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

ENDS = {
    "held": BookingState.CONFIRMED,
    "paypal": BookingState.CONFIRMED,
    "capture_refused": BookingState.FAILED,
    "cancelled": BookingState.CANCELLED,
    "paypal_cancelled": BookingState.CANCELLED,
}
QUOTE_TTL_S = 6
"""A cancellation that is reset to before its fee was accepted waits for that again, and nobody accepts it a second time."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def at_work(house: House) -> AsyncGenerator[House]:
    async with house.worker():
        yield house


async def tasks_of(handle: WorkflowHandle[Any, Any]) -> list[int]:
    """Events at which its workflow tasks ended, of the run that the handle names."""
    history = await handle.fetch_history()
    return [
        event.event_id for event in history.events if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]


async def reset(house: House, handle: WorkflowHandle[Any, Any], event_id: int) -> WorkflowHandle[Any, Any]:
    answer = await house.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=house.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=handle.run_id or ""),
            reason="test",
            workflow_task_finish_event_id=event_id,
            request_id=str(uuid4()),
        )
    )
    return house.client.get_workflow_handle(handle.id, run_id=answer.run_id)


async def ends(run: WorkflowHandle[Any, Any]) -> None:
    """As before; or, where the books already have other decisions than it would take now, by itself."""
    try:
        async with asyncio.timeout(60):
            await run.result()
    except WorkflowFailureError as failure:
        if not isinstance(failure.cause, ApplicationError) or failure.cause.type != "invariant_broken":
            raise


async def test_a_reset_to_any_workflow_task_does_nothing_twice(at_work: House) -> None:
    found = await asyncio.gather(*(reset_to_every_task(at_work, scenario) for scenario in ENDS), return_exceptions=True)
    assert dict(zip(ENDS, found, strict=True)) == dict.fromkeys(ENDS)


async def reset_to_every_task(house: House, scenario: str) -> None:
    trip = await house.prepare(**TRIPS.get(scenario, {}))
    for rule in SCENARIOS[scenario]:
        await house.fault(contains=trip.correlation_id, **rule)
    people = People(house, trip)
    handle: WorkflowHandle[Any, Any] = await house.start(trip)
    await people.until_done(handle)
    if ENDS[scenario] == BookingState.CANCELLED:
        handle = await people.cancel_for_the_fee(quote_ttl_s=QUOTE_TTL_S)
    first_run = (await handle.describe()).run_id
    base = house.client.get_workflow_handle(handle.id, run_id=first_run)
    before = await house.ledger(trip.booking_id)
    booking = await house.stored(trip.booking_id)
    tasks = await tasks_of(base)
    assert len(tasks) > 1
    for event_id in tasks:
        again = await reset(house, base, event_id)
        await ends(again)
        assert await house.ledger(trip.booking_id) == before, f"reset to event {event_id}"
        stored = await house.stored(trip.booking_id)
        assert (stored.state, stored.version) == (ENDS[scenario], booking.version), f"reset to event {event_id}"
        await replay(Ended(Case(scenario), trip, stored.state, stored.reason, [again], False))
    report = check(await gather(house.settings, [trip.booking_id], policy=FAST, histories=1))
    assert [violation.text for violation in report.violations] == []
