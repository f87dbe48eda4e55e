"""Whether a workflow of these runs, as Temporal itself says: one that was terminated, or whose history is deleted, does not."""

from collections.abc import Sequence

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode


async def at_work(client: Client, workflow_ids: Sequence[str]) -> bool:
    """Raises RPCError while Temporal is away: that it cannot be asked proves nothing."""
    for workflow_id in workflow_ids:
        try:
            described = await client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            continue
        if described.status == WorkflowExecutionStatus.RUNNING:
            return True
    return False
