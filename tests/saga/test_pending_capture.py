"""A capture that the provider never finishes: a day of looking, one patience, a history within its budget, then an operator."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from schema.bookings import (
    TASK_QUEUE,
    WORKFLOW,
    BookingInput,
    BookingStatus,
    ItemPrice,
    ItemStep,
    NewSagaPolicy,
    StateChange,
    StepResult,
)
from schema.outcomes import Confirmed, Unknown
from schema.payments import PaymentResult, PaymentStep
from schema.references import new_id
from schema.search_attributes import BOOKING_STATE, WAITING
from schema.states import BookingState
from tests.replay.test_gate import HISTORIES, MAX_EVENTS, history_of
from workflows.booking import BookingWorkflow

pytestmark = pytest.mark.timeout(60)


def plan_of_a_stored_booking() -> BookingInput:
    path = next(path for path in HISTORIES if path.stem == "booking-confirmed")
    started = history_of(path).events[0].workflow_execution_started_event_attributes
    plan = BookingInput.model_validate(json.loads(started.input.payloads[0].data))
    return plan.model_copy(update={"policy": NewSagaPolicy(freshness_s=10**6, assumed_hold_s=10**6)})


class Vendors:
    """Activities that confirm everything but the capture."""

    def __init__(self, plan: BookingInput) -> None:
        self.plan = plan
        self.looks = 0
        self.states: list[BookingState] = []

    @activity.defn(name="check_price")
    async def check_price(self, step: ItemStep) -> ItemPrice:
        return ItemPrice(item_no=step.item_no, price=self.plan.items[step.item_no - 1].price)

    @activity.defn(name="record_state")
    async def record_state(self, change: StateChange) -> bool:
        self.states.append(change.state)
        return True

    @activity.defn(name="authorise")
    async def authorise(self, step: PaymentStep) -> PaymentResult:
        return PaymentResult(outcome=Confirmed(provider_reference="pi_1"))

    @activity.defn(name="capture")
    async def capture(self, step: PaymentStep) -> PaymentResult:
        self.looks += 1
        return PaymentResult(outcome=Unknown(reason="working on it"), pending=True)

    @activity.defn(name="hold")
    async def hold(self, step: ItemStep) -> StepResult:
        return StepResult(outcome=Confirmed(provider_reference=f"o{step.item_no}"))

    @activity.defn(name="book")
    async def book(self, step: ItemStep) -> StepResult:
        return StepResult(outcome=Confirmed(provider_reference=f"o{step.item_no}"))

    @activity.defn(name="confirm")
    async def confirm(self, step: ItemStep) -> StepResult:
        return StepResult(outcome=Confirmed(provider_reference=f"o{step.item_no}"))


async def test_a_day_of_looking_fits_into_a_history():
    plan = plan_of_a_stored_booking()
    vendors = Vendors(plan)
    activities = [
        *(vendors.check_price, vendors.record_state, vendors.authorise, vendors.capture),
        *(vendors.hold, vendors.book, vendors.confirm),
    ]
    # The wheel's, which lies beside this interpreter.
    server = Path(sys.executable).parent / "temporal-test-server"
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter, test_server_existing_path=str(server)
    ) as environment:
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=environment.client.namespace,
                search_attributes={key.name: key.indexed_value_type for key in (BOOKING_STATE, WAITING)},
            )
        )
        worker = Worker(
            environment.client,
            task_queue=TASK_QUEUE,
            workflows=[BookingWorkflow],
            activities=activities,
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with worker:
            handle = await environment.client.start_workflow(
                WORKFLOW, plan, id=new_id("booking"), task_queue=TASK_QUEUE, run_timeout=timedelta(days=30)
            )
            await environment.sleep(timedelta(seconds=plan.policy.capture_patience_s + 3600))
            status = await handle.query("state", result_type=BookingStatus)
            history = await handle.fetch_history()
            await handle.terminate()
    assert status.state == BookingState.NEEDS_OPERATOR
    assert 24 < vendors.looks < 48, "at first often, then once an hour, for one day"
    assert len(history.events) <= MAX_EVENTS
