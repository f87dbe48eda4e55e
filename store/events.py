"""Events are written here, in the transaction of what they tell: for the relay to publish, and for what follows from them."""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Integer

from schema.follow_ups import is_followed_up
from schema.model import Message
from schema.tables import events

BOOKING_STREAM: Final = "booking"
"""Of the events that tell of a booking's states; their version is the booking's."""

# Built once: to build a statement costs as much as to run it. Which columns are written is said by the values given with it.
_ADD = insert(events)
_DUE = (
    select(events)
    .where(events.c.follow_up_at <= func.now())
    .order_by(events.c.follow_up_at, events.c.id)
    .limit(bindparam("at_most", type_=Integer))
    .with_for_update(skip_locked=True)
)


class NewEvent(Message):
    """One event; `version` counts within (booking, stream)."""

    client_id: str
    booking_id: str
    stream: str = BOOKING_STREAM
    version: int
    type: str
    state: str
    """Of what the stream is about, once this has happened."""
    data: dict[str, object]


class DueEvent(NewEvent):
    """An event from which something follows that has not been done yet."""

    id: int


async def append(connection: AsyncConnection, event: NewEvent) -> None:
    """Needs the transaction of the change."""
    values = event.model_dump()
    if is_followed_up(event.type, event.data):
        values["follow_up_at"] = datetime.now(UTC)
    await connection.execute(_ADD, values)


async def due(connection: AsyncConnection, at_most: int, busy_for_s: float) -> list[DueEvent]:
    """What is due, taken by nobody else for `busy_for_s`: whoever dies with it leaves it due again after that. One transaction."""
    rows = (await connection.execute(_DUE, {"at_most": at_most})).mappings().all()
    taken = [DueEvent.model_validate(dict(row)) for row in rows]
    if taken:
        until = datetime.now(UTC) + timedelta(seconds=busy_for_s)
        ids = [event.id for event in taken]
        await connection.execute(update(events).where(events.c.id.in_(ids)).values(follow_up_at=until))
    return taken


async def followed(connection: AsyncConnection, event_ids: list[int]) -> None:
    """Done: nothing more follows from them."""
    await connection.execute(update(events).where(events.c.id.in_(event_ids)).values(follow_up_at=None))


async def follow_later(connection: AsyncConnection, event_id: int, after_s: float) -> None:
    """Somebody was away: once more after a while."""
    at = datetime.now(UTC) + timedelta(seconds=after_s)
    await connection.execute(update(events).where(events.c.id == event_id).values(follow_up_at=at))
