"""Invariant 17: every history of a test replays on today's code, with nothing cached."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from tests.saga.driver import Ended
from workers.wiring import WORKFLOWS


async def replay(ended: Ended) -> None:
    assert await not_replayed(ended.handles) == {}


async def not_replayed(handles: Iterable[WorkflowHandle[Any, Any]]) -> dict[str, Exception]:
    """What is wrong, by workflow id. One replayer for all: to make one costs more than to replay a history."""
    ids: dict[str, str] = {}

    async def histories() -> AsyncIterator[WorkflowHistory]:
        for handle in handles:
            history = WorkflowHistory(handle.id, (await handle.fetch_history()).events)
            ids[history.run_id] = handle.id
            yield history

    replayer = Replayer(
        workflows=WORKFLOWS, data_converter=pydantic_data_converter, workflow_runner=UnsandboxedWorkflowRunner()
    )
    results = await replayer.replay_workflows(histories(), raise_on_replay_failure=False)
    assert ids, "nothing was replayed"
    return {ids[run_id]: failure for run_id, failure in results.replay_failures.items()}
