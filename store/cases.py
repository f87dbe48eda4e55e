"""Review cases: what machines could not settle, with every outstanding effect named."""

from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.bookings import OutstandingEffect, Resolution, ReviewCase
from schema.model import Message
from schema.tables import review_cases

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
    await connection.execute(
        update(review_cases)
        .where(review_cases.c.id == resolution.case_id, review_cases.c.resolved_at.is_(None))
        .values(resolved_at=func.now(), resolution=resolution.model_dump(mode="json"))
    )


async def get(connection: AsyncConnection, case_id: str) -> StoredCase | None:
    row = (await connection.execute(select(review_cases).where(review_cases.c.id == case_id))).mappings().one_or_none()
    return None if row is None else _case(row)


async def listed(connection: AsyncConnection, *, include_resolved: bool, limit: int) -> list[StoredCase]:
    """Oldest first: that is the one to work on."""
    query = select(review_cases).order_by(review_cases.c.opened_at).limit(limit)
    if not include_resolved:
        query = query.where(review_cases.c.resolved_at.is_(None))
    return [_case(row) for row in (await connection.execute(query)).mappings()]


async def of_booking(connection: AsyncConnection, booking_id: str) -> list[StoredCase]:
    query = select(review_cases).where(review_cases.c.booking_id == booking_id).order_by(review_cases.c.opened_at)
    return [_case(row) for row in (await connection.execute(query)).mappings()]


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
