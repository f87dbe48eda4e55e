"""The outbox, seen through the one connection that holds the relay's lock: what is not published yet, and marking it.

The lock lives and dies with its connection, and so do the reads and marks that are made through it: a relay that has lost the
lock cannot mark anything. PostgreSQL ends a session that has been silent for a few seconds, so that a relay that is stalled, or
on a machine that is gone, does not keep the lock from the others.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import BigInteger

from schema.model import Message
from schema.tables import events
from store.database import Database

_RELAY_LOCK: Final = 7_281_002
"""Any number that nothing else in this database locks; `store/migrate.py` has the one before."""

# A mark that a crash of PostgreSQL loses is made again, together with its deliveries: nothing waits for the disk.
_TRY_LOCK = text("""
SELECT pg_try_advisory_lock(:lock), set_config('idle_session_timeout', :max_silence_ms, false),
  set_config('synchronous_commit', 'off', false)
""")
_UNPUBLISHED = (
    select(events)
    .where(events.c.published_at.is_(None))
    .order_by(events.c.id)
    .limit(bindparam("at_most", type_=BigInteger))
)
# One statement, so that heads and numbers cannot disagree, whatever dies. Unlike the marks it waits for the disk: a client may have
# seen a number the moment after, and it must never belong to another event.
_NUMBER = text("""
WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true)),
fresh AS (
  SELECT id, client_id, row_number() OVER (PARTITION BY client_id ORDER BY id) AS place
  FROM events, durable WHERE id = ANY(:ids) AND feed_sequence IS NULL
),
heads AS (
  INSERT INTO feed_heads AS head (client_id, sequence) SELECT client_id, count(*) FROM fresh GROUP BY client_id
  ON CONFLICT (client_id) DO UPDATE SET sequence = head.sequence + excluded.sequence
  RETURNING client_id, sequence
),
first AS (
  SELECT heads.client_id, heads.sequence - max(fresh.place) AS before
  FROM heads JOIN fresh ON fresh.client_id = heads.client_id GROUP BY heads.client_id, heads.sequence
),
numbered AS (
  UPDATE events SET feed_sequence = first.before + fresh.place
  FROM fresh JOIN first ON first.client_id = fresh.client_id
  WHERE events.id = fresh.id
  RETURNING events.id, events.feed_sequence
)
SELECT id, feed_sequence FROM events WHERE id = ANY(:ids) AND feed_sequence IS NOT NULL
UNION ALL SELECT id, feed_sequence FROM numbered
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))
# One statement, so that an event is marked if and only if its deliveries are there. Their ids follow from event and endpoint:
# a delivery that is made twice is one delivery.
_MARK = text("""
WITH marked AS (
  UPDATE events SET published_at = now() WHERE id = ANY(:ids) AND published_at IS NULL RETURNING *
)
INSERT INTO webhook_deliveries (id, endpoint_id, subject, type, occurred_at, data)
SELECT
  'msg_' || left(encode(sha256(convert_to(marked.id || ':' || endpoint.id, 'UTF8')), 'hex'), 32),
  endpoint.id, marked.booking_id, marked.type, marked.created_at,
  marked.data || jsonb_build_object(
    'booking_id', marked.booking_id, 'version', marked.version, 'state', marked.state
  )
FROM marked JOIN webhook_endpoints AS endpoint
  ON endpoint.client_id = marked.client_id AND endpoint.disabled_at IS NULL
  AND split_part(marked.type, '.', 1) <> 'notice'
  AND endpoint.event_types && ARRAY['*', split_part(marked.type, '.', 1) || '.*', marked.type]
ORDER BY marked.id
ON CONFLICT DO NOTHING
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))


class OutboxEvent(Message):
    """An event as it is published; no personal data."""

    id: int
    client_id: str
    booking_id: str
    stream: str
    version: int
    type: str
    state: str
    data: dict[str, object]
    created_at: datetime
    feed_sequence: int | None = None
    """Its number in the client's live feed; None until it is given one."""

    @property
    def ordered_by(self) -> str:
        """What its version counts: the states of a booking, or the revisions of what came of it."""
        return self.booking_id if self.stream == "booking" else f"{self.booking_id}:{self.stream}"


class Outbox:
    """Usable as long as its connection lives; every method raises one of `store.database.AWAY` once that is lost."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def unpublished(self, limit: int) -> list[OutboxEvent]:
        """In the order of their ids, which within a booking is the order of its versions: the booking's row is locked while an
        event gets its id, until it is committed. Across bookings an id may appear after a higher one, hence no watermark."""
        rows = await self._connection.execute(_UNPUBLISHED, {"at_most": limit})
        return [OutboxEvent.model_validate(dict(row)) for row in rows.mappings()]

    async def number(self, events: Sequence[OutboxEvent]) -> list[OutboxEvent]:
        """Gives each event the next number of its client's live feed, unless it has one; the numbers of a client have no gaps."""
        fresh = [event.id for event in events if event.feed_sequence is None]
        if not fresh:
            return list(events)
        rows = await self._connection.execute(_NUMBER, {"ids": fresh})
        given = {row.id: int(row.feed_sequence) for row in rows}
        return [
            event.model_copy(update={"feed_sequence": given[event.id]}) if event.id in given else event
            for event in events
        ]

    async def mark_published(self, ids: Sequence[int]) -> int:
        """Also hands the events out to their clients' endpoints; returns how many deliveries that made."""
        return (await self._connection.execute(_MARK, {"ids": list(ids)})).rowcount


@asynccontextmanager
async def held_outbox(database: Database, max_silence_s: float) -> AsyncIterator[Outbox | None]:
    """The outbox for the one who gets the lock, None for all others. `database` is the relay's own: the connection is kept for
    the whole block and thrown away after it, whatever happened, which lets go of the lock."""
    values = {"lock": _RELAY_LOCK, "max_silence_ms": str(round(max_silence_s * 1000))}
    async with database.read() as connection:
        try:
            yield Outbox(connection) if await connection.scalar(_TRY_LOCK, values) else None
        finally:
            await connection.invalidate()
