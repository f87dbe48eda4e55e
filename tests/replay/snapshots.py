"""What is stored of a workflow: its history at rest, without what tells of the machine it ran on."""

from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from tests.saga.waiting import eventually

_IN_A_TASK = (EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED)
_FEWEST_EVENTS = 8
_TELLS_OF_A_MACHINE = {"stackTrace", "identity"}
Snapshot = tuple[str, str]
"""Workflow id, and its history as JSON."""


async def snapshot(handle: WorkflowHandle[Any, Any], fewest_events: int = _FEWEST_EVENTS) -> Snapshot:
    """The history at rest: one that ends within a workflow task cannot be replayed."""

    async def at_rest() -> Any:
        try:
            history = await handle.fetch_history()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return None  # its parent has not started it yet
        return None if history.events[-1].event_type in _IN_A_TASK or len(history.events) < fewest_events else history

    return (handle.id, (await eventually(at_rest)).to_json())


def without_places(document: Any) -> Any:
    """Stack traces and worker names tell of a machine and guard nothing."""
    if isinstance(document, dict):
        return {name: without_places(value) for name, value in document.items() if name not in _TELLS_OF_A_MACHINE}
    if isinstance(document, list):
        return [without_places(entry) for entry in document]
    return document
