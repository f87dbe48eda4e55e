"""A run of the reconciliation, to its end."""

from schema.bookings import TASK_QUEUE
from schema.reconciliation import RECONCILIATION_WORKFLOW, ReconciliationInput, RunResult
from tests.saga.harness import House


async def reconcile(house: House, run_id: str) -> RunResult:
    """One run, to its end; its repairs may still be at work."""
    return await house.client.execute_workflow(
        RECONCILIATION_WORKFLOW,
        ReconciliationInput(started_by="test"),
        id=run_id,
        task_queue=TASK_QUEUE,
        result_type=RunResult,
    )
