"""What Temporal wrote down of a workflow: its input, its shape, its size, its time."""

from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from schema.bookings import BookingInput


@dataclass(frozen=True, slots=True)
class Shape:
    """What a saga costs the server, in its own units."""

    events: int
    workflow_tasks: int
    signals: int
    size_bytes: int


async def events_of(client: Client, workflow_id: str) -> list[HistoryEvent]:
    return [event async for event in client.get_workflow_handle(workflow_id).fetch_history_events()]


async def shape_of(client: Client, workflow_id: str) -> Shape:
    """With the children it started."""
    events = await events_of(client, workflow_id)
    for event in list(events):
        if event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
            child = event.child_workflow_execution_started_event_attributes.workflow_execution
            events += await events_of(client, child.workflow_id)
    types = [event.event_type for event in events]
    return Shape(
        events=len(events),
        workflow_tasks=types.count(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED),
        signals=types.count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED),
        size_bytes=sum(event.ByteSize() for event in events),
    )


async def input_of(client: Client, workflow_id: str) -> BookingInput:
    """What a booking's saga was told."""
    first = (await events_of(client, workflow_id))[0]
    payloads = list(first.workflow_execution_started_event_attributes.input.payloads)
    (plan,) = await client.data_converter.decode(payloads, [BookingInput])
    return plan


async def duration_s(client: Client, workflow_id: str) -> float:
    """From start to close, by the server's clock."""
    described = await client.get_workflow_handle(workflow_id).describe()
    assert described.close_time is not None, f"{workflow_id} has ended"
    return (described.close_time - described.start_time).total_seconds()
