"""Deliveries of events to clients' webhook endpoints: which are due, what came of an attempt, and doing one again.

Only the relay that holds the lock delivers, so nothing is claimed here. What a relay that has lost it still records counts only if
nobody else has recorded an attempt since.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import SecretStr
from sqlalchemy import Integer, Interval, RowMapping, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from schema.endpoints import Attempt, DeliveryState
from schema.model import Message
from schema.tables import webhook_deliveries as deliveries
from store import endpoints

# For each endpoint that can take more, its oldest ones that are due and have nothing of the same booking before them. What is
# to be tried again later is not even looked at.
_DUE = text("""
SELECT due.id, due.endpoint_id, due.subject, due.type, due.occurred_at, due.data, due.tries, endpoint.url, endpoint.secret,
  CASE WHEN endpoint.previous_secret_until > now() THEN endpoint.previous_secret END AS previous_secret,
  extract(epoch FROM now() - due.first_tried_at)::float AS tried_for_s
FROM webhook_endpoints AS endpoint CROSS JOIN LATERAL (
  SELECT * FROM webhook_deliveries AS delivery
  WHERE delivery.endpoint_id = endpoint.id AND delivery.state = 'pending' AND delivery.next_attempt_at <= now()
    AND delivery.id <> ALL(:under_way)
    AND NOT EXISTS (
      SELECT FROM webhook_deliveries AS earlier
      WHERE earlier.endpoint_id = delivery.endpoint_id AND earlier.subject = delivery.subject
        AND earlier.state = 'pending' AND earlier.sequence < delivery.sequence
    )
  ORDER BY delivery.next_attempt_at, delivery.sequence LIMIT :per_endpoint
) AS due
WHERE endpoint.disabled_at IS NULL AND endpoint.id <> ALL(:busy)
ORDER BY due.next_attempt_at, due.sequence LIMIT :at_most
""").bindparams(
    bindparam("under_way", type_=ARRAY(Text)),
    bindparam("busy", type_=ARRAY(Text)),
    bindparam("per_endpoint", type_=Integer),
    bindparam("at_most", type_=Integer),
)
_OF_ID = deliveries.c.id == bindparam("of_delivery")
_RECORD = (
    update(deliveries)
    .where(_OF_ID, deliveries.c.state == "pending", deliveries.c.tries == bindparam("tries_before"))
    .values(
        state=bindparam("new_state"),
        tries=deliveries.c.tries + 1,
        attempts=deliveries.c.attempts + bindparam("attempt", type_=JSONB),
        first_tried_at=func.coalesce(deliveries.c.first_tried_at, func.now()),
        next_attempt_at=func.now() + bindparam("pause", type_=Interval),
    )
)
# An array and not a join, so that the batch is chosen once.
_PRUNE = text("""
DELETE FROM webhook_deliveries WHERE id = ANY(ARRAY(
  SELECT id FROM webhook_deliveries WHERE state <> 'pending' AND next_attempt_at < :before
  ORDER BY next_attempt_at LIMIT :at_most FOR UPDATE SKIP LOCKED
))
""")


class DueDelivery(Message):
    """A delivery to try now, and what is needed to sign and send it."""

    id: str
    endpoint_id: str
    subject: str
    type: str
    occurred_at: datetime
    data: dict[str, object]
    tries: int
    """Since it was made or asked for again."""
    tried_for_s: float | None
    """Since the first of them; None before it."""
    url: str
    secret: SecretStr
    previous_secret: SecretStr | None
    """Signs as well until it runs out."""


class Verdict(Message):
    """What an attempt came to. `gone`: the endpoint wants nothing any more; its other deliveries are given up too."""

    state: DeliveryState
    retry_in_s: float = 0
    gone: bool = False


class StoredDelivery(Message):
    """A delivery as its owner sees it."""

    delivery_id: str
    type: str
    subject: str
    state: DeliveryState
    created_at: datetime
    next_attempt_at: datetime | None
    """Of one that is pending; later if one before it is not done by then."""
    attempts: list[Attempt]


async def due(
    connection: AsyncConnection, *, under_way: Sequence[str], busy: Sequence[str], per_endpoint: int, at_most: int
) -> list[DueDelivery]:
    """Deliveries to try now, but for those `under_way` and those to endpoints that are `busy`."""
    values = {"under_way": list(under_way), "busy": list(busy), "per_endpoint": per_endpoint, "at_most": at_most}
    return [DueDelivery.model_validate(dict(row)) for row in (await connection.execute(_DUE, values)).mappings()]


async def record(
    connection: AsyncConnection, tried: DueDelivery, attempt: Attempt, verdict: Verdict, *, patience_s: float
) -> None:
    """Writes down an attempt and what follows from it. An endpoint that is gone, or has failed for `patience_s`, is disabled."""
    values = {
        "of_delivery": tried.id,
        "tries_before": tried.tries,
        "new_state": verdict.state,
        "attempt": [attempt.model_dump(mode="json")],
        "pause": timedelta(seconds=verdict.retry_in_s),
    }
    if (await connection.execute(_RECORD, values)).rowcount == 0:
        return  # deleted, given up with its endpoint, or tried by the next relay meanwhile
    if verdict.state == "delivered":
        await endpoints.has_answered(connection, tried.endpoint_id)
    elif verdict.gone:
        await endpoints.disable(connection, tried.endpoint_id, "gone")
    elif await endpoints.has_failed(connection, tried.endpoint_id, timedelta(seconds=patience_s)):
        await endpoints.disable(connection, tried.endpoint_id, "failing")


async def recent(connection: AsyncConnection, endpoint_id: str, limit: int) -> list[StoredDelivery]:
    """Newest first."""
    query = select(deliveries).where(deliveries.c.endpoint_id == endpoint_id).order_by(deliveries.c.sequence.desc())
    return [_stored(row) for row in (await connection.execute(query.limit(limit))).mappings()]


async def again(
    connection: AsyncConnection, endpoint_id: str, delivery_id: str
) -> StoredDelivery | Literal["pending", "unknown"]:
    """Makes a delivery that is done or given up due once more, with all its patience. Its id stays, so the consumer can tell."""
    of_endpoint = (deliveries.c.id == delivery_id, deliveries.c.endpoint_id == endpoint_id)
    renewed = (
        update(deliveries)
        .where(*of_endpoint, deliveries.c.state != "pending")
        .values(state="pending", tries=0, first_tried_at=None, next_attempt_at=func.now())
        .returning(deliveries)
    )
    row = (await connection.execute(renewed)).mappings().one_or_none()
    if row is not None:
        return _stored(row)
    return "unknown" if await connection.scalar(select(deliveries.c.id).where(*of_endpoint)) is None else "pending"


async def prune(connection: AsyncConnection, before: datetime, at_most: int) -> int:
    """Forgets deliveries that were done or given up and not due since the moment, the oldest first. Returns how many."""
    return (await connection.execute(_PRUNE, {"before": before, "at_most": at_most})).rowcount


def _stored(row: RowMapping) -> StoredDelivery:
    return StoredDelivery(
        delivery_id=row["id"],
        type=row["type"],
        subject=row["subject"],
        state=row["state"],
        created_at=row["created_at"],
        next_attempt_at=row["next_attempt_at"] if row["state"] == "pending" else None,
        attempts=[Attempt.model_validate(attempt) for attempt in row["attempts"]],
    )
