"""What Temporal keeps of a sample of bookings: how their workflows ended, and every text that anybody could read there."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from schema.bookings import BookingResult, workflow_id_for
from schema.money import Money
from schema.notifications import NOTIFICATION_PREFIX
from schema.payments import CancellationResult
from workers.audit.evidence import WorkflowAnswer

_AT_ONCE = 8
_ENDS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
    }
)
_OF_WORKERS = frozenset({"identity", "task_queue"})
"""They name a process and its host, which may look like an e-mail address."""


async def read_answers(client: Client, others: Mapping[str, Sequence[str]]) -> list[WorkflowAnswer]:
    """Of the bookings that are named: their own workflow, and those that cancelled them or told of them. Workflows that Temporal
    has forgotten, or has not seen yet, are left out. Raises RPCError when Temporal cannot be reached."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(booking_id: str, workflow_id: str) -> WorkflowAnswer | None:
        async with turn:
            return await _read(client, booking_id, workflow_id)

    asked = [
        one(booking_id, workflow_id)
        for booking_id, workflow_ids in others.items()
        for workflow_id in (workflow_id_for(booking_id), *workflow_ids)
    ]
    return [answer for answer in await asyncio.gather(*asked) if answer is not None]


async def _read(client: Client, booking_id: str, workflow_id: str) -> WorkflowAnswer | None:
    try:
        history = await client.get_workflow_handle(workflow_id).fetch_history()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise
    texts = tuple(text for event in history.events for text in readable_texts(event))
    last = history.events[-1]
    if last.event_type not in _ENDS:
        return WorkflowAnswer(workflow_id, booking_id, running=True, texts=texts)
    # What a notification answers is in our books, which invariant 9 looks at.
    result = None
    if not workflow_id.startswith(NOTIFICATION_PREFIX):
        result = await _result(client, last, workflow_id == workflow_id_for(booking_id))
    captured: Money | None = result.captured if isinstance(result, BookingResult) else None
    fee: Money | None = result.fee if isinstance(result, CancellationResult) else None
    return WorkflowAnswer(
        workflow_id,
        booking_id,
        running=False,
        state=result.state if result is not None else None,
        captured_minor=captured.amount_minor if captured is not None else None,
        fee_minor=fee.amount_minor if fee is not None else None,
        texts=texts,
    )


async def _result(client: Client, last: HistoryEvent, of_booking: bool) -> BookingResult | CancellationResult | None:
    payloads = last.workflow_execution_completed_event_attributes.result.payloads
    if not payloads:
        return None
    wanted: type[BookingResult | CancellationResult] = BookingResult if of_booking else CancellationResult
    (result,) = await client.data_converter.decode(payloads, [wanted])
    return result if isinstance(result, BookingResult | CancellationResult) else None


def readable_texts(message: Message) -> Iterator[str]:
    """Every string and payload in it, as Temporal stores them: what a codec has encrypted is no readable text."""
    if isinstance(message, Payload):
        yield message.data.decode(errors="replace")
        return
    for descriptor, value in message.ListFields():
        if descriptor.name not in _OF_WORKERS:
            yield from _of_value(value)


def _of_value(value: object) -> Iterator[str]:
    """A string, a message, or a list or map of such; numbers say nothing."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Message):
        yield from readable_texts(value)
    elif isinstance(value, Mapping):
        for entry in cast("Mapping[object, object]", value).values():
            yield from _of_value(entry)
    elif isinstance(value, Iterable) and not isinstance(value, bytes):
        for entry in cast("Iterable[object]", value):
            yield from _of_value(entry)
