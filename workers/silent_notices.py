"""The net under notifications: one that is not over, and of which nothing was heard for longer than any of its steps takes, has lost
its workflow, and gets it again.

Any number of processes look side by side: a workflow that still runs is left alone, and one that is begun again goes by its rows, so
that nobody is told twice.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from structlog.stdlib import get_logger
from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError

from schema.bookings import TASK_QUEUE
from schema.notifications import NOTIFICATION_WORKFLOW, notification_workflow_id_for
from schema.search_attributes import OWNER
from schema.settings import Settings
from store import notifications
from store.database import AWAY, Database
from store.notifications import StoredRow

_log = get_logger(__name__)
_EVERY_S: Final = 300.0
_PAGE: Final = 100
_START_TIMEOUT_S: Final = 5


class SilentNotices:
    """Looks for them, and starts what tells them."""

    def __init__(self, settings: Settings, database: Database, client: Client, task_queue: str = TASK_QUEUE) -> None:
        self._ladder = settings.notification
        self._database = database
        self._client = client
        self._task_queue = task_queue

    async def run(self) -> None:
        """Every five minutes, until it is cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.once()
            except (
                RPCError,
                RuntimeError,
                TimeoutError,
                *AWAY,
            ) as error:  # RuntimeError: the client was never connected
                _log.warning("silent_notices_wait", error=type(error).__name__)

    async def once(self) -> None:
        """All that there are now. Raises RPCError and TimeoutError while Temporal is away, and one of `store.database.AWAY`."""
        since = datetime.now(UTC) - timedelta(seconds=self._ladder.silent_for_at_most_s)
        after: str | None = ""
        while after is not None:
            async with self._database.read() as connection:
                rows = await notifications.silent(connection, since, after, _PAGE)
            for row in {(row.subject, row.kind, row.revision): row for row in rows}.values():
                await self._start(row)
            after = rows[-1].notification_id if len(rows) == _PAGE else None

    async def _start(self, row: StoredRow) -> None:
        async with asyncio.timeout(_START_TIMEOUT_S):
            await self._client.start_workflow(
                NOTIFICATION_WORKFLOW,
                row.wanted(self._ladder),
                id=notification_workflow_id_for(row.subject, row.kind, row.revision),
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=TypedSearchAttributes([SearchAttributePair(OWNER, row.client_id)]),
                static_summary=f"Tell of {row.kind}",
            )
        _log.warning("silent_notice_started", subject=row.subject, kind=row.kind, revision=row.revision)
