"""Review cases: what machines could not settle, with every outstanding effect named."""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import TypeAdapter
from sqlalchemy import BigInteger, ColumnElement, RowMapping, Select, cast, exists, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.bookings import OutstandingEffect, Resolution, ReviewCase
from schema.model import Message
from schema.tables import review_cases
from store import desk
from store.cursors import read_cursor, write_cursor
from store.desk import NewAction

_EFFECTS: TypeAdapter[list[OutstandingEffect]] = TypeAdapter(list[OutstandingEffect])


class StoredCase(Message):
    case_id: str
    booking_id: str
    workflow_id: str
    reason: str
    effects: list[OutstandingEffect]
    opened_at: datetime
    resolved_at: datetime | None
    resolution: Resolution | None


class CaseFilter(Message):
    """Which cases; what is None does not matter."""

    state: Literal["open", "resolved", "all"] = "open"
    reason: str | None = None
    """A part of it, in any case of letters."""
    vendor: str | None = None
    older_than_s: int | None = None
    min_amount_minor: int | None = None
    """Of the sum of the effects in one currency; an effect whose amount nobody knows adds nothing."""


class CasePage(Message):
    cases: list[StoredCase]
    next_cursor: str | None


async def open_case(connection: AsyncConnection, booking_id: str, case: ReviewCase) -> None:
    statement = insert(review_cases).values(
        id=case.case_id,
        booking_id=booking_id,
        workflow_id=case.workflow_id,
        reason=case.reason,
        effects=_EFFECTS.dump_python(case.effects, mode="json"),
    )
    await connection.execute(statement.on_conflict_do_nothing())


async def close_case(connection: AsyncConnection, resolution: Resolution) -> None:
    """Once, with its line in the desk's record; again is a no-op."""
    closed = await connection.execute(
        update(review_cases)
        .where(review_cases.c.id == resolution.case_id, review_cases.c.resolved_at.is_(None))
        .values(resolved_at=func.now(), resolution=resolution.model_dump(mode="json"))
    )
    if closed.rowcount:
        line = resolution.model_dump(include=set(NewAction.model_fields))
        await desk.append(connection, NewAction(**line, kind="closed", key=f"{resolution.case_id}:closed"))


async def get(connection: AsyncConnection, case_id: str, *, lock: bool = False) -> StoredCase | None:
    query = select(review_cases).where(review_cases.c.id == case_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    return None if row is None else _case(row)


async def page(connection: AsyncConnection, wanted: CaseFilter, limit: int, cursor: str | None) -> CasePage:
    """Oldest first: that is the one to work on. Raises Malformed for a cursor that is not one of ours."""
    query = _only(wanted)
    if cursor is not None:
        query = query.where(tuple_(review_cases.c.opened_at, review_cases.c.id) > read_cursor(cursor))
    rows = await connection.execute(query.order_by(review_cases.c.opened_at, review_cases.c.id).limit(limit + 1))
    found = [_case(row) for row in rows.mappings()]
    more = len(found) > limit
    found = found[:limit]
    return CasePage(cases=found, next_cursor=write_cursor(found[-1].opened_at, found[-1].case_id) if more else None)


async def of_booking(connection: AsyncConnection, booking_id: str) -> list[StoredCase]:
    query = select(review_cases).where(review_cases.c.booking_id == booking_id).order_by(review_cases.c.opened_at)
    return [_case(row) for row in (await connection.execute(query)).mappings()]


def _only(wanted: CaseFilter) -> Select[*tuple[object, ...]]:
    query = select(review_cases)
    if wanted.state != "all":
        unresolved = review_cases.c.resolved_at.is_(None)
        query = query.where(unresolved if wanted.state == "open" else ~unresolved)
    if wanted.reason is not None:
        query = query.where(review_cases.c.reason.icontains(wanted.reason, autoescape=True))
    if wanted.vendor is not None:
        query = query.where(cast(review_cases.c.effects, JSONB).contains([{"vendor": wanted.vendor}]))
    if wanted.older_than_s is not None:
        query = query.where(review_cases.c.opened_at < func.now() - timedelta(seconds=wanted.older_than_s))
    if wanted.min_amount_minor is not None:
        query = query.where(_sum_reaches(wanted.min_amount_minor))
    return query


def _sum_reaches(minor: int) -> ColumnElement[bool]:
    effect = func.jsonb_array_elements(review_cases.c.effects, type_=JSONB).column_valued("effect")
    amount_minor = cast(effect["amount"]["amount_minor"].astext, BigInteger)
    total_minor = func.sum(amount_minor)
    return exists(select(total_minor).group_by(effect["amount"]["currency"]).having(total_minor >= minor))


def _case(row: RowMapping) -> StoredCase:
    return StoredCase(
        case_id=row["id"],
        booking_id=row["booking_id"],
        workflow_id=row["workflow_id"],
        reason=row["reason"],
        effects=_EFFECTS.validate_python(row["effects"]),
        opened_at=row["opened_at"],
        resolved_at=row["resolved_at"],
        resolution=None if row["resolution"] is None else Resolution.model_validate(row["resolution"]),
    )
