"""A repair that its vendor takes, and that changes nothing: asked about after a while, not repeated for ever."""

import sys
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from schema.bookings import TASK_QUEUE, Accepted, CaseOpened, NewSagaPolicy, Resolution
from schema.money import Money
from schema.reconciliation import (
    REPAIR_WORKFLOW,
    Concluded,
    ExamineBooking,
    Examined,
    RepairInput,
    RepairResult,
    StrayAuthorisation,
    repair_workflow_id_for,
)
from schema.states import BookingState
from tests.saga.waiting import eventually
from workflows.repair import RepairWorkflow

pytestmark = pytest.mark.timeout(60)


class Vendors:
    """Say that they have let go of it, and show it again."""

    def __init__(self) -> None:
        self.let_go = 0
        self.decided = False
        self.opened: list[CaseOpened] = []
        self.ended: list[str] = []

    @activity.defn(name="examine")
    async def examine(self, asked: ExamineBooking) -> Examined:
        stray = StrayAuthorisation(
            booking_id=asked.booking_id,
            vendor="stripe",
            provider_reference="pi_1",
            payment_id=None,
            amount=Money(amount_minor=100, currency="EUR"),
            known=False,
            correlation_id=asked.correlation_id,
            retry_initial_s=asked.retry_initial_s,
        )
        strays = [] if self.decided else [stray]
        return Examined(decision="aside", state=BookingState.FAILED, version=1, authorisations=strays)

    @activity.defn(name="release_stray")
    async def release_stray(self, stray: StrayAuthorisation) -> None:
        self.let_go += 1

    @activity.defn(name="conclude")
    async def conclude(self, concluded: Concluded) -> None:
        self.ended.append(concluded.outcome)

    @activity.defn(name="open_case")
    async def open_case(self, opened: CaseOpened) -> None:
        self.opened.append(opened)

    @activity.defn(name="close_case")
    async def close_case(self, resolution: Resolution) -> None:
        self.decided = resolution.action != "retry"


async def test_what_no_repair_changes_is_asked_about():
    vendors = Vendors()
    # The wheel's, which lies beside this interpreter.
    server = Path(sys.executable).parent / "temporal-test-server"
    async with (
        await WorkflowEnvironment.start_time_skipping(
            data_converter=pydantic_data_converter, test_server_existing_path=str(server)
        ) as environment,
        Worker(
            environment.client,
            task_queue=TASK_QUEUE,
            workflows=[RepairWorkflow],
            activities=[
                *(vendors.examine, vendors.release_stray, vendors.conclude, vendors.open_case, vendors.close_case)
            ],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ),
    ):
        handle = await environment.client.start_workflow(
            REPAIR_WORKFLOW,
            RepairInput(booking_id="B1", policy=NewSagaPolicy()),
            id=repair_workflow_id_for("B1"),
            task_queue=TASK_QUEUE,
            run_timeout=timedelta(days=1),
            result_type=RepairResult,
        )

        async def asked(count: int) -> bool:
            return len(vendors.opened) == count

        for nth, action in enumerate(("retry", "settled_by_hand"), 1):
            await eventually(lambda nth=nth: asked(nth))
            assert vendors.let_go == 5 * nth, "no more than that without a word of an operator"
            case = vendors.opened[-1].case
            assert [(one.step, one.reference) for one in case.effects] == [("payment", "pi_1")]
            word = Resolution.model_validate(
                {"case_id": case.case_id, "action": action, "operator": "test", "note": "asked the provider"}
            )
            await handle.execute_update("resolve", word, result_type=Accepted)
        assert (await handle.result()).outcome == "repaired"
    assert vendors.ended[-1] == "settled"
