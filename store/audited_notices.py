"""Notifications as an auditor reads them, each with the moment at which the state that it announces was durable."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.itineraries import ITINERARY_PREFIX, STREAM
from schema.notifications import NOTICE_STREAM, notification_workflow_id_for
from schema.tables import events, notifications
from store.events import BOOKING_STREAM

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class AuditedNotice:
    """One channel and recipient; no address."""

    notification_id: str
    booking_id: str
    subject: str
    kind: str
    revision: int
    channel: str
    state: str
    tries: int
    attempts: list[Json]
    reason: str | None
    created_at: datetime
    durable_at: datetime | None
    """When the state was recorded that it announces; None: it never was."""
    shown: Json | None
    """What the live feed shows of it."""

    def tried_since(self, moment: datetime) -> bool:
        """What was read before may not show it yet."""
        return any(datetime.fromisoformat(str(one["at"])) >= moment for one in self.attempts if "at" in one)

    @property
    def in_doubt(self) -> bool:
        """Nobody has recorded what came of one of its tries."""
        return any(one.get("ended") in (None, "unknown") for one in self.attempts)


_announced = events.alias("announced")
_feed = events.alias("feed")
NOTICES = (
    select(
        notifications.c.id,
        notifications.c.booking_id,
        notifications.c.subject,
        notifications.c.kind,
        notifications.c.revision,
        notifications.c.channel,
        notifications.c.state,
        notifications.c.tries,
        notifications.c.attempts,
        notifications.c.reason,
        notifications.c.created_at,
        _announced.c.created_at,
        _feed.c.data,
    )
    .outerjoin(
        _announced,
        and_(
            _announced.c.version == notifications.c.revision,
            or_(
                and_(_announced.c.stream == BOOKING_STREAM, _announced.c.booking_id == notifications.c.subject),
                and_(
                    _announced.c.stream == STREAM,
                    func.concat(ITINERARY_PREFIX, _announced.c.booking_id) == notifications.c.subject,
                ),
            ),
        ),
    )
    .outerjoin(
        _feed,
        and_(
            notifications.c.channel == "live",
            _feed.c.booking_id == notifications.c.booking_id,
            _feed.c.version == notifications.c.revision,
            _feed.c.stream == func.concat(NOTICE_STREAM, ":", notifications.c.subject, ":", notifications.c.kind),
        ),
    )
    .order_by(notifications.c.created_at, notifications.c.id)
)
"""The columns of AuditedNotice, in its order."""


async def workflows(connection: AsyncConnection, booking_ids: list[str]) -> dict[str, list[str]]:
    """Of each booking the workflows that told of it."""
    told = select(
        notifications.c.booking_id, notifications.c.subject, notifications.c.kind, notifications.c.revision
    ).distinct()
    found: dict[str, list[str]] = {}
    for row in await connection.execute(told.where(notifications.c.booking_id.in_(booking_ids))):
        workflow_id = notification_workflow_id_for(row.subject, row.kind, row.revision)
        found.setdefault(row.booking_id, []).append(workflow_id)
    return found
