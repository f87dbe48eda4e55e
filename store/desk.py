"""The desk's record: who proposed, decided or was refused what, and what closed a case. Append-only: the database refuses changes.

A line is written in the transaction of what it tells. A proposal is nothing but its line: it stands until it expires, or until
another proposal or decision of the same case follows it; a decision that carries it out does not end it.
"""

from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import RowMapping, func, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.model import Message
from schema.money import Money
from schema.tables import desk_actions, payments, refunds
from store.payments import StoredRefund

Kind = Literal["proposed", "decided", "refused", "closed"]
"""`proposed`: waits for a second operator. `decided`: handed to the workflow, or about to be. `refused`: the workflow did not take
it. `closed`: the workflow has closed the case with it."""


class NewAction(Message):
    """A line to write. `key` must merge every repeat of one request and nothing else."""

    case_id: str
    kind: Kind
    key: str
    operator: str
    action: str
    reference: str | None = None
    provider_reference: str | None = None
    note: str
    proposed_by: str | None = None
    """Whose proposal a second operator carries out with this."""


class DeskAction(NewAction):
    created_at: datetime
    expires_at: datetime | None
    """Of a proposal."""


async def append(connection: AsyncConnection, new: NewAction, *, lasts_s: float | None = None) -> None:
    """Writes the line once; again is a no-op. `lasts_s`: for how long a proposal stands."""
    expires_at = None if lasts_s is None else func.now() + timedelta(seconds=lasts_s)
    await connection.execute(
        insert(desk_actions)
        .values(**new.model_dump(), expires_at=expires_at)
        .on_conflict_do_nothing(index_elements=["key"])
    )


async def by_key(connection: AsyncConnection, key: str) -> DeskAction | None:
    row = (await connection.execute(select(desk_actions).where(desk_actions.c.key == key))).mappings().one_or_none()
    return None if row is None else _action(row)


async def of_case(connection: AsyncConnection, case_id: str) -> list[DeskAction]:
    """Oldest first."""
    query = select(desk_actions).where(desk_actions.c.case_id == case_id).order_by(desk_actions.c.id)
    return [_action(row) for row in (await connection.execute(query)).mappings()]


async def proposals(connection: AsyncConnection, case_ids: list[str]) -> dict[str, DeskAction]:
    """The proposal that stands, of those of the cases that have one."""
    last = (
        select(desk_actions, (desk_actions.c.expires_at > func.now()).label("stands"))
        .where(
            desk_actions.c.case_id.in_(case_ids),
            desk_actions.c.kind.in_(["proposed", "decided"]),
            desk_actions.c.proposed_by.is_(None),
        )
        .ext(distinct_on(desk_actions.c.case_id))
        .order_by(desk_actions.c.case_id, desk_actions.c.id.desc())
    )
    rows = (await connection.execute(last)).mappings()
    return {row["case_id"]: _action(row) for row in rows if row["stands"]}


async def refunds_of(connection: AsyncConnection, booking_id: str) -> list[StoredRefund]:
    """Of every payment of the booking, oldest first."""
    query = select(refunds).join(payments, payments.c.id == refunds.c.payment_id)
    rows = await connection.execute(query.where(payments.c.booking_id == booking_id).order_by(refunds.c.created_at))
    return [
        StoredRefund(
            key=row.key,
            payment_id=row.payment_id,
            provider_reference=row.provider_reference,
            status=row.status,
            amount=Money(amount_minor=row.amount_minor, currency=row.currency),
        )
        for row in rows
    ]


def _action(row: RowMapping) -> DeskAction:
    return DeskAction.model_validate(dict(row))
