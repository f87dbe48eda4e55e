"""Cancellation quotes: what cancelling costs, accepted by a token; only the token's hash is kept."""

import hashlib
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.model import Message
from schema.money import Money
from schema.tables import cancellation_claims, cancellation_quotes


class StoredQuote(Message):
    booking_id: str
    booking_version: int
    fee: Money
    refund: Money
    expires_at: datetime
    item_nos: list[int] | None = None
    """None: all that is confirmed."""


async def save(connection: AsyncConnection, token: str, quote: StoredQuote) -> None:
    statement = insert(cancellation_quotes).values(
        token_hash=_hash(token),
        booking_id=quote.booking_id,
        booking_version=quote.booking_version,
        fee_minor=quote.fee.amount_minor,
        refund_minor=quote.refund.amount_minor,
        currency=quote.fee.currency,
        item_nos=quote.item_nos,
        expires_at=quote.expires_at,
    )
    await connection.execute(statement.on_conflict_do_nothing())


async def find(connection: AsyncConnection, token: str) -> StoredQuote | None:
    row = (
        await connection.execute(select(cancellation_quotes).where(cancellation_quotes.c.token_hash == _hash(token)))
    ).one_or_none()
    if row is None:
        return None
    return StoredQuote(
        booking_id=row.booking_id,
        booking_version=row.booking_version,
        fee=Money(amount_minor=row.fee_minor, currency=row.currency),
        refund=Money(amount_minor=row.refund_minor, currency=row.currency),
        expires_at=row.expires_at,
        item_nos=row.item_nos,
    )


async def claim(connection: AsyncConnection, booking_id: str, version: int, workflow_id: str) -> str:
    """The cancellation that is to be carried out for that version: this one, or one that was there before."""
    statement = insert(cancellation_claims).values(
        booking_id=booking_id, booking_version=version, workflow_id=workflow_id
    )
    await connection.execute(statement.on_conflict_do_nothing())
    claimed = await connection.scalar(
        select(cancellation_claims.c.workflow_id).where(
            cancellation_claims.c.booking_id == booking_id, cancellation_claims.c.booking_version == version
        )
    )
    assert claimed is not None, "it was there, or it is now"
    return claimed


async def give_up(connection: AsyncConnection, workflow_id: str) -> None:
    """Its quote ran out before it was carried out: another one may be accepted."""
    await connection.execute(delete(cancellation_claims).where(cancellation_claims.c.workflow_id == workflow_id))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
