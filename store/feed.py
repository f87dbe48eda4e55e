"""The live feed in PostgreSQL: every numbered event of a client, and how far its numbers have come."""

from collections.abc import Sequence
from typing import NamedTuple, cast

from sqlalchemy import RowMapping, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.feed import FeedMessage
from schema.tables import api_clients, events, feed_heads
from store.outbox import OutboxEvent

_COLUMNS = (
    *(events.c.feed_sequence, events.c.type, events.c.created_at, events.c.data),
    *(events.c.booking_id, events.c.version, events.c.state),
)
_HEAD = func.coalesce(feed_heads.c.sequence, 0).label("sequence")
_HEADS = (
    select(api_clients.c.token_hash, _HEAD)
    .outerjoin(feed_heads, feed_heads.c.client_id == api_clients.c.id)
    .where(
        api_clients.c.token_hash == func.any(bindparam("hashes", type_=ARRAY(BYTEA))),
        api_clients.c.disabled_at.is_(None),
        literal("me:read") == func.any(api_clients.c.scopes),
    )
)


class ToldTo(NamedTuple):
    """Whose message it is, beside the message."""

    client_id: str
    message: FeedMessage


async def head(connection: AsyncConnection, client_id: str) -> int:
    """The number of the client's last message; 0 before the first."""
    found = await connection.scalar(select(feed_heads.c.sequence).where(feed_heads.c.client_id == client_id))
    return 0 if found is None else int(found)


async def heads(connection: AsyncConnection, token_hashes: Sequence[bytes]) -> dict[bytes, int]:
    """The same for many, by the hash of their token. A token that is missing from it has lost its right to the feed."""
    rows = await connection.execute(_HEADS, {"hashes": list(token_hashes)})
    return {bytes(row.token_hash): int(row.sequence) for row in rows}


async def page(connection: AsyncConnection, client_id: str, after: int, limit: int) -> list[FeedMessage]:
    """The client's messages that follow number `after`, in order."""
    statement = (
        select(*_COLUMNS)
        .where(events.c.client_id == client_id, events.c.feed_sequence > after)
        .order_by(events.c.feed_sequence)
        .limit(limit)
    )
    return [_message(row) for row in (await connection.execute(statement)).mappings()]


def messages_of(numbered: Sequence[OutboxEvent]) -> list[ToldTo]:
    """The same messages, made of events that were just numbered."""
    return [ToldTo(event.client_id, _message(dict(event))) for event in numbered]


def _message(row: RowMapping | dict[str, object]) -> FeedMessage:
    own = {name: row[name] for name in ("booking_id", "version", "state")}
    return FeedMessage.model_validate(
        {
            "sequence": row["feed_sequence"],
            "type": row["type"],
            "timestamp": row["created_at"],
            "data": {**cast(dict[str, object], row["data"]), **own},
        }
    )
