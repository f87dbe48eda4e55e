"""Webhooks received: each (vendor, event id) once; what is not handled yet is found again."""

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.bookings import workflow_id_for
from schema.model import Message
from schema.payments import refund_workflow_id_of
from schema.states import PaymentState
from schema.tables import inbox, payments, refunds

_WAITED_FOR = (PaymentState.ACTION_REQUIRED, PaymentState.IN_DOUBT)
"""States of a payment in which its booking waits for the provider or the customer."""


class InboxMessage(Message):
    vendor: str
    event_id: str
    type: str
    booking_id: str | None
    payment_id: str | None


async def receive(connection: AsyncConnection, message: InboxMessage) -> bool:
    """Keeps the message. False if it was there already and is handled: nothing is left to do."""
    statement = insert(inbox).values(message.model_dump()).on_conflict_do_nothing().returning(inbox.c.event_id)
    if await connection.scalar(statement) is not None:
        return True
    handled = await connection.scalar(
        select(inbox.c.handled_at).where(inbox.c.vendor == message.vendor, inbox.c.event_id == message.event_id)
    )
    return handled is None


async def handled(connection: AsyncConnection, vendor: str, event_id: str) -> None:
    await connection.execute(
        update(inbox).where(inbox.c.vendor == vendor, inbox.c.event_id == event_id).values(handled_at=func.now())
    )


async def unhandled(connection: AsyncConnection, before: datetime, limit: int) -> list[InboxMessage]:
    """Oldest first: received, but whoever received them died before the workflow was told."""
    rows = await connection.execute(
        select(inbox)
        .where(inbox.c.handled_at.is_(None), inbox.c.received_at < before)
        .order_by(inbox.c.received_at)
        .limit(limit)
    )
    return [
        InboxMessage(
            vendor=row.vendor,
            event_id=row.event_id,
            type=row.type,
            booking_id=row.booking_id,
            payment_id=row.payment_id,
        )
        for row in rows
    ]


async def who_waits(connection: AsyncConnection, payment_id: str) -> list[str]:
    """Ids of the workflows that wait for news of this payment: its booking's, and those of its unfinished refunds."""
    booking = select(payments.c.booking_id).where(
        payments.c.id == payment_id, payments.c.state.in_([state.value for state in _WAITED_FOR])
    )
    booking_id = await connection.scalar(booking)
    unfinished = select(refunds.c.key).where(
        refunds.c.payment_id == payment_id, refunds.c.status.not_in(["succeeded", "failed"])
    )
    waiting = {refund_workflow_id_of(key) for key in await connection.scalars(unfinished)}
    return sorted(waiting | ({workflow_id_for(booking_id)} if booking_id is not None else set()))
