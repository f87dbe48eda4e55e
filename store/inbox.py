"""Webhooks received: each (vendor, event id) once; what is not handled yet is found again, and what fails too often is buried."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, RowMapping, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.bookings import workflow_id_for
from schema.dead_letters import DeadLetter, Failure, NewDeadLetter
from schema.model import Message
from schema.payments import refund_workflow_id_of
from schema.states import PaymentState
from schema.tables import inbox, payments, refunds
from store import dead_letters

MAX_FAILURES: Final = 3
"""So often a message may fail. Somebody being away is nobody's failure."""
_WAITED_FOR = (PaymentState.ACTION_REQUIRED, PaymentState.IN_DOUBT)
"""States of a payment in which its booking waits for the provider or the customer."""
_UNHANDLED = inbox.c.handled_at.is_(None)
_OF_SUPPLIER = inbox.c.subject.is_not(None)
_IN_OUR_BOOKS = exists().where(payments.c.id == inbox.c.payment_id)


class InboxMessage(Message):
    vendor: str
    event_id: str
    type: str
    booking_id: str | None
    payment_id: str | None
    subject: str | None = None
    """The supplier's id of what is to be looked at; None for news of payments, and where there is nothing to look at."""

    @classmethod
    def of(cls, letter: DeadLetter) -> "InboxMessage":
        """What is left of a message that was buried."""
        return cls.model_validate(letter.model_dump() | {"type": letter.type or ""})

    @property
    def concerns_nothing(self) -> bool:
        return self.booking_id is None and self.payment_id is None and self.subject is None


class Waiting(Message):
    """A workflow that waits for news of a payment."""

    payment_id: str
    workflow_id: str


async def receive(connection: AsyncConnection, message: InboxMessage) -> bool:
    """Keeps the message; one that concerns nothing is handled with that. False if there is nothing left to do."""
    values = message.model_dump() | ({"handled_at": func.now()} if message.concerns_nothing else {})
    statement = insert(inbox).values(values).on_conflict_do_nothing().returning(inbox.c.handled_at.is_(None))
    new = await connection.scalar(statement)
    if new is not None:
        return bool(new)
    return await connection.scalar(select(_UNHANDLED).where(_is(message))) is True


async def keep(connection: AsyncConnection, vendor: str, event_id: str, event_type: str) -> bool:
    """A message that is done in the transaction that keeps it. False if it was there before."""
    values = {"vendor": vendor, "event_id": event_id, "type": event_type, "handled_at": func.now()}
    statement = insert(inbox).values(values).on_conflict_do_nothing().returning(inbox.c.event_id)
    return await connection.scalar(statement) is not None


async def handled(connection: AsyncConnection, message: InboxMessage) -> None:
    await connection.execute(update(inbox).where(_is(message)).values(handled_at=func.now()))


async def unhandled_payments(connection: AsyncConnection, before: datetime, limit: int) -> list[InboxMessage]:
    """News of payments that are in our books, oldest first; what came before its payment waits until that is there."""
    ready = or_(_IN_OUR_BOOKS, inbox.c.payment_id.is_(None))
    return await _oldest(connection, (~_OF_SUPPLIER, ready, inbox.c.received_at < before), limit)


async def unhandled_notices(connection: AsyncConnection, before: datetime, limit: int) -> list[InboxMessage]:
    """What suppliers have told, oldest first."""
    return await _oldest(connection, (_OF_SUPPLIER, inbox.c.received_at < before), limit)


async def never_owned(connection: AsyncConnection, before: datetime, limit: int) -> list[InboxMessage]:
    """News from before the moment of payments that are still not in our books."""
    strange = (~_OF_SUPPLIER, inbox.c.payment_id.is_not(None), ~_IN_OUR_BOOKS)
    return await _oldest(connection, (*strange, inbox.c.received_at < before), limit)


async def give_up(connection: AsyncConnection, before: datetime) -> int:
    """Marks what suppliers told before the moment as handled, followed or not. Returns how many were not."""
    overdue = (_UNHANDLED, _OF_SUPPLIER, inbox.c.received_at < before)
    return (await connection.execute(update(inbox).where(*overdue).values(handled_at=func.now()))).rowcount


async def failed(connection: AsyncConnection, message: InboxMessage, failure: Failure) -> bool:
    """Counts a failure; one too many buries the message. Returns whether it is buried. Needs a transaction."""
    counted = (
        update(inbox)
        .where(_is(message), _UNHANDLED)
        .values(failures=inbox.c.failures + 1, first_failed_at=func.coalesce(inbox.c.first_failed_at, func.now()))
        .returning(inbox.c.failures)
    )
    failures = await connection.scalar(counted)
    if failures is None or failures < MAX_FAILURES:
        return False
    await bury(connection, message, failure)
    return True


async def bury(connection: AsyncConnection, message: InboxMessage, failure: Failure) -> None:
    """From the inbox to the dead letters. Needs a transaction."""
    row = (await connection.execute(select(inbox).where(_is(message)))).mappings().one()
    letter = NewDeadLetter(
        **message.model_dump(),
        failure=failure,
        failures=row["failures"],
        first_failed_at=row["first_failed_at"] or row["received_at"],  # what has never failed has waited since then
    )
    await dead_letters.add(connection, letter)
    await handled(connection, message)


async def who_waits(connection: AsyncConnection, message: InboxMessage) -> list[Waiting] | None:
    """The workflows that wait for news of the message's payment, or of each payment of its booking: the booking's, and those of
    unfinished refunds. None where our books know no such payment."""
    meant = payments.c.id == message.payment_id
    if message.payment_id is None:
        meant = payments.c.booking_id == message.booking_id
    concerned = (
        await connection.execute(select(payments.c.id, payments.c.booking_id, payments.c.state).where(meant))
    ).all()
    if not concerned:
        return None
    unfinished = select(refunds.c.key, refunds.c.payment_id).where(
        refunds.c.payment_id.in_([row.id for row in concerned]), refunds.c.status.not_in(["succeeded", "failed"])
    )
    states = {state.value for state in _WAITED_FOR}
    bookings = {(row.id, workflow_id_for(row.booking_id)) for row in concerned if row.state in states}
    of_refunds = {(row.payment_id, refund_workflow_id_of(row.key)) for row in await connection.execute(unfinished)}
    return [Waiting(payment_id=payment, workflow_id=workflow) for payment, workflow in sorted(bookings | of_refunds)]


async def _oldest(
    connection: AsyncConnection, conditions: Iterable[ColumnElement[bool]], limit: int
) -> list[InboxMessage]:
    query = select(inbox).where(_UNHANDLED, *conditions).order_by(inbox.c.received_at).limit(limit)
    return [_message(row) for row in (await connection.execute(query)).mappings()]


def _is(message: InboxMessage) -> ColumnElement[bool]:
    return (inbox.c.vendor == message.vendor) & (inbox.c.event_id == message.event_id)


def _message(row: RowMapping) -> InboxMessage:
    return InboxMessage.model_validate(dict(row))
