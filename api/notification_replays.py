"""An operator wants a notification to be tried again that no vendor took for a day."""

import asyncio
from typing import Final

from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from api.services import Services
from schema.bookings import TASK_QUEUE
from schema.errors import ServiceUnavailable
from schema.notifications import NOTIFICATION_WORKFLOW, Replay, notification_workflow_id_for
from store import notifications

_START_S: Final = 5


async def tell_again(services: Services, notification_id: str) -> None:
    """Starts its workflow anew, or tells the one that still runs; nothing for one that has been sent meanwhile. May be done twice.
    Raises ServiceUnavailable while Temporal is away."""
    async with services.database.transaction() as connection:
        row = await notifications.revive(connection, notification_id)
    if row is None or not row.planned().open:
        return
    wanted = row.wanted(services.settings.notification)
    try:
        async with asyncio.timeout(_START_S):
            await services.temporal.start_workflow(
                NOTIFICATION_WORKFLOW,
                wanted,
                id=notification_workflow_id_for(row.subject, row.kind, row.revision),
                task_queue=TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal="replay",
                start_signal_args=[Replay(notification_id=notification_id)],
            )
    except (RPCError, TimeoutError, RuntimeError) as error:
        raise ServiceUnavailable("it cannot be told now; try again with the same key") from error
