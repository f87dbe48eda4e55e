"""Dead letters: what could not be taken, kept until an operator has dealt with it, and the record of who did what about it.

Of a message only its ids and its type are kept, never its body. A body may hold personal data; everything we do follows from the ids,
because the object is fetched again; and its vendor shows the event itself to whoever has its id.
"""

from datetime import datetime
from typing import Literal

from sqlalchemy import RowMapping, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.dead_letters import DeadLetter, Failure, NewDeadLetter, Status, Target
from schema.model import Message
from schema.references import new_id
from schema.tables import dead_letters, desk_actions
from store.cursors import read_cursor, write_cursor
from store.desk import Kind

_WAITING = dead_letters.c.settled_at.is_(None)


class LetterFilter(Message):
    """Which letters; what is None does not matter."""

    status: Literal["waiting", "resolved", "dropped", "all"] = "waiting"
    kind: str | None = None
    vendor: str | None = None
    cause: str | None = None


class LetterPage(Message):
    letters: list[DeadLetter]
    next_cursor: str | None


class LetterAction(Message):
    """A line of the desk's record. `key` must merge every repeat of one request and nothing else."""

    letter_id: str
    kind: Kind
    key: str
    operator: str
    action: Literal["replay", "repair", "drop"]
    reference: str | None = None
    """What a repair says the message is about."""
    note: str


class RecordedAction(LetterAction):
    created_at: datetime


async def add(connection: AsyncConnection, new: NewDeadLetter) -> None:
    """Keeps the letter. The same message again is the same letter, which has failed once more unless it is settled."""
    values = new.model_dump(exclude={"failure"}) | new.failure.model_dump() | {"id": new_id("dl")}
    if new.first_failed_at is None:
        values["first_failed_at"] = func.now()
    statement = insert(dead_letters).values(values)
    statement = statement.on_conflict_do_update(
        index_elements=["kind", "vendor", "event_id"],
        set_={"failures": dead_letters.c.failures + 1, "last_failed_at": func.now()},
        where=_WAITING,
    )
    await connection.execute(statement)


async def get(connection: AsyncConnection, letter_id: str, *, lock: bool = False) -> DeadLetter | None:
    query = select(dead_letters).where(dead_letters.c.id == letter_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    return None if row is None else _letter(row)


async def listed(connection: AsyncConnection, wanted: LetterFilter, limit: int, cursor: str | None) -> LetterPage:
    """Oldest first: that is the one to work on. Raises Malformed for a cursor that is not one of ours."""
    query = select(dead_letters)
    if wanted.status == "waiting":
        query = query.where(_WAITING)
    elif wanted.status != "all":
        query = query.where(dead_letters.c.settled_as == wanted.status)
    for column, value in wanted.model_dump(exclude={"status"}, exclude_none=True).items():
        query = query.where(dead_letters.c[column] == value)
    if cursor is not None:
        query = query.where(tuple_(dead_letters.c.first_failed_at, dead_letters.c.id) > read_cursor(cursor))
    query = query.order_by(dead_letters.c.first_failed_at, dead_letters.c.id).limit(limit + 1)
    found = [_letter(row) for row in (await connection.execute(query)).mappings()]
    more = len(found) > limit
    found = found[:limit]
    last = found[-1] if more else None
    return LetterPage(
        letters=found, next_cursor=None if last is None else write_cursor(last.first_failed_at, last.letter_id)
    )


async def waiting(connection: AsyncConnection) -> int:
    """How many nobody has dealt with yet."""
    return await connection.scalar(select(func.count()).select_from(dead_letters).where(_WAITING)) or 0


async def aim(connection: AsyncConnection, letter_id: str, target: Target) -> None:
    """Says what the letter is about, in place of what was read."""
    await connection.execute(update(dead_letters).where(dead_letters.c.id == letter_id).values(target.model_dump()))


async def failed_again(connection: AsyncConnection, letter_id: str, failure: Failure) -> None:
    await connection.execute(
        update(dead_letters)
        .where(dead_letters.c.id == letter_id, _WAITING)
        .values(failures=dead_letters.c.failures + 1, last_failed_at=func.now(), **failure.model_dump())
    )


async def settle(connection: AsyncConnection, letter_id: str, status: Status) -> None:
    """Once; what is settled stays as it is."""
    await connection.execute(
        update(dead_letters)
        .where(dead_letters.c.id == letter_id, _WAITING)
        .values(settled_at=func.now(), settled_as=status)
    )


async def record(connection: AsyncConnection, action: LetterAction) -> None:
    """Writes the line once, in the transaction of what it tells; again is a no-op."""
    values = action.model_dump(exclude={"letter_id"}) | {"dead_letter_id": action.letter_id}
    await connection.execute(insert(desk_actions).values(values).on_conflict_do_nothing(index_elements=["key"]))


async def record_of(connection: AsyncConnection, letter_id: str) -> list[RecordedAction]:
    """Oldest first."""
    query = select(desk_actions).where(desk_actions.c.dead_letter_id == letter_id).order_by(desk_actions.c.id)
    rows = (await connection.execute(query)).mappings()
    return [RecordedAction.model_validate({**row, "letter_id": row["dead_letter_id"]}) for row in rows]


def _letter(row: RowMapping) -> DeadLetter:
    return DeadLetter.model_validate({**row, "letter_id": row["id"], "status": row["settled_as"] or "waiting"})
