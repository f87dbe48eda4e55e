"""Notifications: one row for each channel and recipient, written before anything is sent; what was tried; how each stands.

A state only moves forward, by the rank below: whatever order answers and receipts come in, and however often, the row ends the same.
The one way back is an operator's, from `dead`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from sqlalchemy import RowMapping, bindparam, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.model import Message
from schema.notifications import (
    MAKES_POINTLESS,
    Channel,
    Language,
    Notification,
    NotificationInput,
    NotificationKind,
    NotificationState,
    PlannedRow,
    RetryLadder,
    flight_of_disruption,
)
from schema.tables import notifications
from store.cursors import read_cursor, write_cursor

Ended = Literal["confirmed", "rejected", "unknown", "unavailable"]
"""Of a try. `unavailable`: it had no effect for certain."""
_RANK: Final[dict[NotificationState, int]] = {
    "planned": 0,
    "sending": 1,
    "unknown": 2,
    "dead": 3,
    "sent": 4,
    "delivered": 5,
    "failed": 6,
    "skipped": 7,
}
"""`failed` beats `delivered`: a mail server may take a message and send it back later."""

_READ = select(notifications).where(notifications.c.id == bindparam("of_id"))
_LOCK = _READ.with_for_update()
_CHANGE = update(notifications).where(notifications.c.id == bindparam("of_id")).values(updated_at=func.now())
_NEWER = (
    select(notifications.c.kind, notifications.c.disruption_id)
    .where(notifications.c.subject == bindparam("of_subject"), notifications.c.revision > bindparam("than_revision"))
    .distinct()
)


_OF_INPUT: Final = set(NotificationInput.model_fields) - {"ladder", "step_timeout_s"}


class NewRow(Message):
    """One channel and recipient, as planned."""

    notification_id: str
    subject: str
    kind: NotificationKind
    revision: int
    channel: Channel
    recipient: str = ""
    client_id: str
    booking_id: str
    itinerary_id: str | None
    disruption_id: str | None
    correlation_id: str
    state: Literal["planned", "skipped"]
    reason: str | None = None
    language: Language
    not_before: datetime | None = None


class Try(Message):
    """One call to a vendor; `ended` None: it may be under way, or whoever made it has died."""

    at: datetime
    vendor: str
    ended: Ended | None = None
    code: str | None = None
    text: str | None = None
    """Of an SMS whose fate is not known: what it is looked up by at its vendor, as it was sent."""


class StoredRow(Notification):
    """A row with what its sending needs."""

    recipient: str
    itinerary_id: str | None
    disruption_id: str | None
    correlation_id: str
    language: Language
    not_before: datetime | None
    first_tried_at: datetime | None
    attempts: list[Try]

    def wanted(self, ladder: RetryLadder) -> NotificationInput:
        """What its workflow is started with."""
        known = self.model_dump(include=_OF_INPUT)
        return NotificationInput.model_validate({**known, "ladder": ladder})

    def planned(self) -> PlannedRow:
        return PlannedRow(
            notification_id=self.notification_id,
            channel=self.channel,
            state=self.state,
            tries=self.tries,
            begun=bool(self.attempts) and self.attempts[-1].ended is None,
            not_before=self.not_before,
        )


class NotificationPage(Message):
    notifications: list[Notification]
    next_cursor: str | None


async def plan(connection: AsyncConnection, rows: Sequence[NewRow]) -> None:
    """Writes those that are not there yet; what is there was planned before, and stays."""
    for row in rows:
        values = row.model_dump(exclude={"notification_id"}) | {"id": row.notification_id}
        await connection.execute(insert(notifications).values(values).on_conflict_do_nothing())


async def planned(connection: AsyncConnection, subject: str, kind: NotificationKind, revision: int) -> list[StoredRow]:
    """All rows of one notification."""
    query = select(notifications).where(
        notifications.c.subject == subject, notifications.c.kind == kind, notifications.c.revision == revision
    )
    rows = (await connection.execute(query.order_by(notifications.c.channel, notifications.c.recipient))).mappings()
    return [_stored(row) for row in rows]


async def silent(connection: AsyncConnection, since: datetime, after: str, limit: int) -> list[StoredRow]:
    """Those after this one, in the order of their ids, that are not over and of which nothing was heard since, nor was to be."""
    query = select(notifications).where(
        text("state IN ('planned', 'sending')"),  # as the index has it, which a parameter would hide
        notifications.c.id > after,
        func.greatest(notifications.c.updated_at, notifications.c.not_before) < since,
    )
    rows = (await connection.execute(query.order_by(notifications.c.id).limit(limit))).mappings()
    return [_stored(row) for row in rows]


async def get(connection: AsyncConnection, notification_id: str, *, lock: bool = False) -> StoredRow | None:
    row = (await connection.execute(_LOCK if lock else _READ, {"of_id": notification_id})).mappings().one_or_none()
    return None if row is None else _stored(row)


async def begin(connection: AsyncConnection, row: StoredRow, number: int, vendor: str, text: str | None = None) -> None:
    """Notes a try before the vendor is called; `row` is locked, and has had one try less. Needs a transaction."""
    assert len(row.attempts) == number - 1, f"try {number} of {row.notification_id} does not follow {len(row.attempts)}"
    attempts = [*row.attempts, Try(at=datetime.now(UTC), vendor=vendor, text=text)]
    await _write(
        connection,
        row,
        state="sending",
        vendor=vendor,
        tries=number,
        attempts=[one.model_dump(mode="json") for one in attempts],
        first_tried_at=func.coalesce(notifications.c.first_tried_at, func.now()),
    )


async def finish(
    connection: AsyncConnection,
    notification_id: str,
    number: int,
    ended: Ended,
    code: str | None = None,
    provider_reference: str | None = None,
) -> NotificationState:
    """Writes down what came of a try; returns how the row stands then. Needs a transaction."""
    row = await _locked(connection, notification_id)
    attempts = list(row.attempts)
    one = attempts[number - 1]
    text = one.text if ended == "unknown" else None
    attempts[number - 1] = one.model_copy(update={"ended": ended, "code": code, "text": text})
    state: NotificationState = row.state
    values: dict[str, object] = {"attempts": [one.model_dump(mode="json") for one in attempts]}
    if ended == "confirmed":
        state = _further(row.state, "sent")
        values |= {"provider_reference": provider_reference, "sent_at": _first("sent_at", datetime.now(UTC))}
        if state != "failed":
            values["reason"] = None
    elif ended == "rejected" and _RANK[row.state] < _RANK["sent"]:
        # A no to one try says nothing of a message that an earlier one has left with the vendor.
        state = "failed"
        values["reason"] = code
    elif row.state == "sending":
        values["reason"] = code
    await _write(connection, row, state=state, **values)
    return state


async def told(
    connection: AsyncConnection,
    notification_id: str,
    status: Literal["sent", "delivered", "failed"],
    at: datetime,
    reason: str | None,
) -> bool:
    """A receipt: the vendor's own word for what became of a message. False where our books know no such row. Needs a transaction."""
    row = await get(connection, notification_id, lock=True)
    if row is None:
        return False
    values: dict[str, object] = {}
    if status in ("sent", "delivered"):
        values["sent_at"] = _first("sent_at", at)
    if status == "delivered":
        values["delivered_at"] = _first("delivered_at", at)
    state = _further(row.state, status)
    if state != row.state:
        values["reason"] = reason if status == "failed" else None
    await _write(connection, row, state=state, **values)
    return True


async def row_of_reference(connection: AsyncConnection, vendor: str, provider_reference: str) -> str | None:
    """The id of the row that the vendor knows by this id of its own."""
    query = select(notifications.c.id).where(
        notifications.c.vendor == vendor, notifications.c.provider_reference == provider_reference
    )
    return await connection.scalar(query.limit(1))


async def end(
    connection: AsyncConnection,
    notification_id: str,
    state: Literal["skipped", "failed", "unknown", "dead"],
    reason: str,
) -> NotificationState:
    """No vendor is called any more. What is known to have been sent stays so. Returns how the row stands. Needs a transaction."""
    row = await _locked(connection, notification_id)
    if row.state not in ("planned", "sending"):
        return row.state
    await _write(connection, row, state=state, reason=reason)
    return state


async def shown(connection: AsyncConnection, notification_id: str) -> None:
    """In the live feed: its event is written in the same transaction."""
    row = await _locked(connection, notification_id)
    sent_at = _first("sent_at", datetime.now(UTC))
    await _write(connection, row, state=_further(row.state, "sent"), sent_at=sent_at, tries=1)


async def revive(connection: AsyncConnection, notification_id: str) -> StoredRow | None:
    """An operator wants a dead one to be tried again; None for one that is not there. Any other stays as it is."""
    row = await get(connection, notification_id, lock=True)
    if row is not None and row.state == "dead":
        await _write(connection, row, state="planned", reason=None, not_before=None)
        return row.model_copy(update={"state": "planned", "reason": None, "not_before": None})
    return row


async def is_pointless(connection: AsyncConnection, row: StoredRow) -> bool:
    """Whether a newer notice leaves nothing to tell of; see MAKES_POINTLESS."""
    flight = flight_of_disruption(row.disruption_id)
    newer = await connection.execute(_NEWER, {"of_subject": row.subject, "than_revision": row.revision})
    return any(
        row.kind in MAKES_POINTLESS.get(other.kind, ()) and flight_of_disruption(other.disruption_id) == flight
        for other in newer
    )


async def page(connection: AsyncConnection, client_id: str, limit: int, cursor: str | None) -> NotificationPage:
    """The client's, newest first. Raises Malformed for a cursor that is not one of ours."""
    query = select(notifications).where(notifications.c.client_id == client_id)
    if cursor is not None:
        query = query.where(tuple_(notifications.c.created_at, notifications.c.id) < read_cursor(cursor))
    query = query.order_by(notifications.c.created_at.desc(), notifications.c.id.desc()).limit(limit + 1)
    rows = (await connection.execute(query)).mappings().all()
    found = [Notification.model_validate({**row, "notification_id": row["id"]}) for row in rows[:limit]]
    last = found[-1] if len(rows) > limit else None
    next_cursor = None if last is None else write_cursor(last.created_at, last.notification_id)
    return NotificationPage(notifications=found, next_cursor=next_cursor)


def _further(now: NotificationState, to: NotificationState) -> NotificationState:
    return to if _RANK[to] > _RANK[now] else now


def _first(column: Literal["sent_at", "delivered_at"], at: datetime) -> object:
    """The earliest that anybody has said."""
    return func.least(func.coalesce(notifications.c[column], at), at)


async def _locked(connection: AsyncConnection, notification_id: str) -> StoredRow:
    row = await get(connection, notification_id, lock=True)
    assert row is not None, f"{notification_id} was planned, and rows are never deleted"
    return row


async def _write(connection: AsyncConnection, row: StoredRow, **values: object) -> None:
    await connection.execute(_CHANGE.values(values), {"of_id": row.notification_id})


def _stored(row: RowMapping) -> StoredRow:
    return StoredRow.model_validate({**row, "notification_id": row["id"]})
