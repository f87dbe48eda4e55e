"""The reconciliation's own records: its runs, how far each list was read, and what was found, once while it is open."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import RowMapping, and_, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.model import Message
from schema.reconciliation import Finding, FindingKind, Outcome, StreamReport
from schema.tables import (
    bookings,
    reconciliation_findings,
    reconciliation_runs,
    reconciliation_watermarks,
)
from store.cursors import read_cursor, write_cursor

_STREAMS: TypeAdapter[list[StreamReport]] = TypeAdapter(list[StreamReport])
_findings = reconciliation_findings
_TO_LOOK_AT = or_(_findings.c.outcome.is_(None), _findings.c.outcome == "waiting")
_NOT_OVER = or_(_TO_LOOK_AT, _findings.c.outcome == "case")


class StoredFinding(Finding):
    finding_id: int
    outcome: Outcome | None
    found_at: datetime


class FindingCount(Message):
    """How many of a kind a run has found, and what has become of them; `outcome` None: nobody has looked again yet."""

    kind: FindingKind
    outcome: Outcome | None
    count: int


class StoredRun(Message):
    run_id: str
    started_by: str
    started_at: datetime
    ended_at: datetime | None
    streams: list[StreamReport]
    findings: list[FindingCount]


class RunPage(Message):
    runs: list[StoredRun]
    next_cursor: str | None


async def begin(connection: AsyncConnection, run_id: str, started_by: str) -> None:
    """Again is a no-op."""
    statement = insert(reconciliation_runs).values(id=run_id, started_by=started_by)
    await connection.execute(statement.on_conflict_do_nothing())


async def end(connection: AsyncConnection, run_id: str, streams: list[StreamReport]) -> None:
    """The report; and the next run begins where this one began to read, for every list that was read to its end, or where the first
    question was left for it."""
    began = await connection.scalar(
        update(reconciliation_runs)
        .where(reconciliation_runs.c.id == run_id)
        .values(
            ended_at=func.coalesce(reconciliation_runs.c.ended_at, func.now()),
            streams=_STREAMS.dump_python(streams, mode="json"),
        )
        .returning(reconciliation_runs.c.started_at)
    )
    for report in streams:
        if report.problem is None:
            until = began if began is None or report.again_from is None else min(began, report.again_from)
            moved = insert(reconciliation_watermarks).values(stream=report.stream.name, read_until=until)
            latest = func.greatest(reconciliation_watermarks.c.read_until, moved.excluded.read_until)
            await connection.execute(
                moved.on_conflict_do_update(index_elements=["stream"], set_={"read_until": latest})
            )


async def watermarks(connection: AsyncConnection) -> dict[str, datetime]:
    """Up to when each list has been read, by the stream's name."""
    return {row.stream: row.read_until for row in await connection.execute(select(reconciliation_watermarks))}


async def oldest_booking(connection: AsyncConnection) -> datetime | None:
    """When the first booking of all was made."""
    return await connection.scalar(select(func.min(bookings.c.created_at)))


async def add(connection: AsyncConnection, run_id: str, found: Sequence[Finding]) -> int:
    """How many are new: one that is open, waits for a person or was decided by one is not found a second time."""
    if not found:
        return 0
    values = [{**finding.model_dump(), "run_id": run_id} for finding in found]
    added = await connection.scalars(
        insert(_findings).values(values).on_conflict_do_nothing().returning(_findings.c.id)
    )
    return len(added.all())


async def to_look_at(connection: AsyncConnection, after: str, limit: int) -> list[str]:
    """Bookings with something that nobody has looked at for the second time, that was still being worked on then, or that waits for
    an operator: the repair that asks may itself have been lost."""
    query = select(_findings.c.booking_id).where(_NOT_OVER, _findings.c.booking_id > after)
    rows = await connection.scalars(query.distinct().order_by(_findings.c.booking_id).limit(limit))
    return list(rows)


async def open_of(connection: AsyncConnection, booking_id: str) -> list[StoredFinding]:
    """What is not over, oldest first."""
    rows = await connection.execute(
        select(_findings).where(_findings.c.booking_id == booking_id, _NOT_OVER).order_by(_findings.c.id)
    )
    return [_finding(row) for row in rows.mappings()]


async def conclude(
    connection: AsyncConnection, booking_id: str, outcome: Outcome, ids: list[str] | None = None
) -> None:
    """What became of the booking's findings that wait for their second look; with `ids` only of those about one of these."""
    of_booking = _findings.c.booking_id == booking_id
    to_change = of_booking & _TO_LOOK_AT
    if ids is not None:
        to_change &= _findings.c.object_id.in_(ids) | _findings.c.reference.in_(ids)
    await connection.execute(update(_findings).where(to_change).values(outcome=outcome, updated_at=func.now()))


async def settle(connection: AsyncConnection, booking_id: str) -> None:
    """An operator has decided everything that the booking's repair had asked."""
    waited = (_findings.c.booking_id == booking_id) & (_findings.c.outcome == "case")
    await connection.execute(update(_findings).where(waited).values(outcome="settled", updated_at=func.now()))


async def page(connection: AsyncConnection, limit: int, cursor: str | None) -> RunPage:
    """Runs, newest first. Raises Malformed for a cursor that is not one of ours."""
    runs = reconciliation_runs
    query = select(runs).order_by(runs.c.started_at.desc(), runs.c.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(tuple_(runs.c.started_at, runs.c.id) < read_cursor(cursor))
    rows = list((await connection.execute(query)).mappings())
    counts = await _counts(connection, [row["id"] for row in rows[:limit]])
    found = [_run(row, counts.get(row["id"], [])) for row in rows[:limit]]
    more = len(rows) > limit
    return RunPage(runs=found, next_cursor=write_cursor(found[-1].started_at, found[-1].run_id) if more else None)


async def get(connection: AsyncConnection, run_id: str) -> StoredRun | None:
    row = (
        (await connection.execute(select(reconciliation_runs).where(reconciliation_runs.c.id == run_id)))
        .mappings()
        .one_or_none()
    )
    return None if row is None else _run(row, (await _counts(connection, [run_id])).get(run_id, []))


async def findings_of(connection: AsyncConnection, run_id: str, limit: int) -> list[StoredFinding]:
    """What a run has found first, without what was gone at a second look; oldest first."""
    founded = or_(_findings.c.outcome.is_(None), _findings.c.outcome != "unfounded")
    query = select(_findings).where(and_(_findings.c.run_id == run_id, founded)).order_by(_findings.c.id).limit(limit)
    return [_finding(row) for row in (await connection.execute(query)).mappings()]


async def _counts(connection: AsyncConnection, run_ids: list[str]) -> dict[str, list[FindingCount]]:
    rows = await connection.execute(
        select(_findings.c.run_id, _findings.c.kind, _findings.c.outcome, func.count().label("count"))
        .where(_findings.c.run_id.in_(run_ids))
        .group_by(_findings.c.run_id, _findings.c.kind, _findings.c.outcome)
        .order_by(_findings.c.kind, _findings.c.outcome)
    )
    counts: dict[str, list[FindingCount]] = {}
    for row in rows.mappings():
        counts.setdefault(row["run_id"], []).append(FindingCount.model_validate(dict(row)))
    return counts


def _run(row: RowMapping, findings: list[FindingCount]) -> StoredRun:
    return StoredRun(
        run_id=row["id"],
        started_by=row["started_by"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        streams=_STREAMS.validate_python(row["streams"]),
        findings=findings,
    )


def _finding(row: RowMapping) -> StoredFinding:
    return StoredFinding.model_validate({**row, "finding_id": row["id"]})
