"""Idempotency keys of requests other than new bookings: held in PostgreSQL, so that losing Valkey duplicates nothing (C-2a)."""

from datetime import timedelta
from typing import Literal

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.model import Message
from schema.tables import idempotency_keys

_ABANDONED_AFTER = timedelta(seconds=60)
"""Longer than any request takes: whoever claimed the key has died. The work itself is idempotent, so it may be done again."""


class KeyClaim(Message):
    """`ours`: do the work. `in_flight`: somebody does it. `answered`: give the same answer. `reused`: another body."""

    kind: Literal["ours", "in_flight", "answered", "reused"]
    status: int | None = None
    answer: dict[str, object] | None = None


async def claim(connection: AsyncConnection, client_id: str, key: str, fingerprint: bytes) -> KeyClaim:
    statement = insert(idempotency_keys).values(client_id=client_id, key=key, fingerprint=fingerprint)
    if await connection.scalar(statement.on_conflict_do_nothing().returning(idempotency_keys.c.key)) is not None:
        return KeyClaim(kind="ours")
    row = (
        await connection.execute(
            select(idempotency_keys).where(idempotency_keys.c.client_id == client_id, idempotency_keys.c.key == key)
        )
    ).one_or_none()
    if row is None:  # released between our two statements; the next try gets it
        return KeyClaim(kind="in_flight")
    if row.fingerprint != fingerprint:
        return KeyClaim(kind="reused")
    if row.status is None:
        return KeyClaim(kind="ours" if await _take_over(connection, client_id, key) else "in_flight")
    return KeyClaim(kind="answered", status=row.status, answer=row.answer)


async def _take_over(connection: AsyncConnection, client_id: str, key: str) -> bool:
    statement = (
        update(idempotency_keys)
        .where(
            idempotency_keys.c.client_id == client_id,
            idempotency_keys.c.key == key,
            idempotency_keys.c.status.is_(None),
            idempotency_keys.c.created_at < func.now() - _ABANDONED_AFTER,
        )
        .values(created_at=func.now())
    )
    return await connection.scalar(statement.returning(idempotency_keys.c.key)) is not None


async def answer(connection: AsyncConnection, client_id: str, key: str, status: int, body: dict[str, object]) -> None:
    await connection.execute(
        update(idempotency_keys)
        .where(idempotency_keys.c.client_id == client_id, idempotency_keys.c.key == key)
        .values(status=status, answer=body)
    )


async def release(connection: AsyncConnection, client_id: str, key: str) -> None:
    """The request did nothing (a refusal, or a part of ours was away): the key may be used again."""
    await connection.execute(
        delete(idempotency_keys).where(
            idempotency_keys.c.client_id == client_id,
            idempotency_keys.c.key == key,
            idempotency_keys.c.status.is_(None),
        )
    )
