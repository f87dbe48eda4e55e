"""Bookings and their items. State, event, case and ledger of one change are written in one transaction, by `record`."""

import base64
from datetime import datetime

from pydantic import AwareDatetime, TypeAdapter, ValidationError
from sqlalchemy import bindparam, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.bookings import StateChange
from schema.errors import InvariantBroken, Malformed
from schema.references import BookingId
from schema.states import CONFIRMED_STATES, PARKED_STATES, SETTLED_STATES, BookingState, is_legal
from schema.tables import booking_items, booking_travellers, bookings, events
from schema.travellers import Traveller
from store import cases, itineraries
from store.events import BOOKING_STREAM, NewEvent, append
from store.records import (
    NewBooking,
    Page,
    Progress,
    StoredBooking,
    StoredEvent,
    item_columns,
    stored_booking,
    stored_item,
)

TRAVELLERS: TypeAdapter[list[Traveller]] = TypeAdapter(list[Traveller])
_CURSOR: TypeAdapter[tuple[AwareDatetime, BookingId]] = TypeAdapter(tuple[AwareDatetime, BookingId])

# Built once: to build a statement costs as much as to run it. Which columns are written is said by the values given with it.
_OF_ID = bookings.c.id == bindparam("of_booking")
_CREATE = upsert(bookings).on_conflict_do_nothing().returning(bookings.c.created_at)
_ADD_ITEMS = insert(booking_items)
_ADD_TRAVELLERS = insert(booking_travellers)
_LOCK = select(bookings.c.state, bookings.c.version, bookings.c.client_id).where(_OF_ID).with_for_update()
_MOVE = update(bookings).where(_OF_ID).values(updated_at=func.now())
_READ = select(bookings).where(_OF_ID, bookings.c.deleted_at.is_(None))
_READ_OF_CLIENT = _READ.where(bookings.c.client_id == bindparam("of_client"))
_READ_ITEMS = (
    select(booking_items).where(booking_items.c.booking_id == bindparam("of_booking")).order_by(booking_items.c.item_no)
)
_READ_PROGRESS = select(bookings.c.state, bookings.c.version, bookings.c.waiting_for).where(_OF_ID)
_READ_TRAVELLERS = select(booking_travellers.c.travellers, booking_travellers.c.payment_method).where(
    booking_travellers.c.booking_id == bindparam("of_booking")
)
_READ_PAYMENT_PROVIDER = select(bookings.c.payment_provider).where(_OF_ID)
_READ_PAYER = (
    select(
        bookings.c.payment_provider,
        bookings.c.backup_payment_provider,
        booking_travellers.c.payment_method,
        booking_travellers.c.backup_payment_method,
    )
    .join(booking_travellers, booking_travellers.c.booking_id == bookings.c.id)
    .where(_OF_ID)
)
_MARK_STARTED = update(bookings).where(_OF_ID).values(workflow_started_at=func.now())


async def create(connection: AsyncConnection, new: NewBooking) -> datetime | None:
    """Writes the booking, its items, travellers and first event; returns when. None if it is there already: compare the
    fingerprint. A request under the same key that is not committed yet is waited for."""
    values = {
        "id": new.booking_id,
        "client_id": new.client_id,
        "idempotency_key": new.idempotency_key,
        "fingerprint": new.fingerprint,
        "state": BookingState.PENDING,
        "version": 0,
        "currency": new.total.currency,
        "total_minor": new.total.amount_minor,
        "consent_total_minor": new.total.amount_minor,
        "consent_limit_minor": new.consent_limit.amount_minor,
        "payment_provider": new.payment_provider,
        "backup_payment_provider": new.backup_payment_provider,
        "correlation_id": new.correlation_id,
        "substitution": new.substitution,
        "itinerary_id": new.itinerary_id,
    }
    created_at = await connection.scalar(_CREATE, values)
    if created_at is None:
        return None
    await connection.execute(_ADD_ITEMS, [item_columns(new.booking_id, item) for item in new.items])
    people = [traveller.model_dump(mode="json") for traveller in new.travellers]
    paid = {
        "booking_id": new.booking_id,
        "travellers": people,
        "payment_method": new.payment_method,
        "backup_payment_method": new.backup_payment_method,
    }
    await connection.execute(_ADD_TRAVELLERS, paid)
    await append(connection, _event(new.client_id, new.booking_id, 0, BookingState.PENDING, {}))
    return created_at


async def record(connection: AsyncConnection, change: StateChange) -> bool:
    """Moves the booking to `change.version` with its event and case. False if that was recorded before.

    Raises InvariantBroken when the transition is not in the table, or the version was recorded with another state: two writers.
    """
    row = (await connection.execute(_LOCK, {"of_booking": change.booking_id})).one()
    before = BookingState(row.state)
    if row.version >= change.version:
        await _check_same(connection, change)
        return False
    if row.version != change.version - 1 or not is_legal(before, change.state):
        raise InvariantBroken(
            f"booking {change.booking_id} cannot go from {before} v{row.version} to {change.state} v{change.version}"
        )
    values: dict[str, object] = {
        "of_booking": change.booking_id,
        "state": change.state,
        "version": change.version,
        "reason": change.reason,
        "waiting_for": change.waiting_for,
    }
    if change.total is not None:
        values["total_minor"] = change.total.amount_minor
    if change.consent_limit is not None:
        values["consent_limit_minor"] = change.consent_limit.amount_minor
    if change.fee is not None:
        values["fee_minor"] = change.fee.amount_minor
    await connection.execute(_MOVE, values)
    if change.case is not None:
        await cases.open_case(connection, change.booking_id, change.case)
    if change.close_case is not None:
        await cases.close_case(connection, change.close_case)
    data = change.model_dump(
        mode="json", include={"reason", "waiting_for", "total", "consent_limit", "fee"}, exclude_none=True
    )
    await append(connection, _event(row.client_id, change.booking_id, change.version, change.state, data))
    if change.state in CONFIRMED_STATES and before == BookingState.RESERVING:
        await itineraries.booked(connection, change.booking_id)
    elif change.state in (BookingState.CANCELLED, BookingState.PARTIALLY_CONFIRMED):
        await itineraries.follow(connection, change.booking_id)
    return True


async def _check_same(connection: AsyncConnection, change: StateChange) -> None:
    recorded = await connection.scalar(
        select(events.c.state).where(
            events.c.booking_id == change.booking_id,
            events.c.stream == BOOKING_STREAM,
            events.c.version == change.version,
        )
    )
    if recorded != change.state:
        raise InvariantBroken(
            f"booking {change.booking_id} v{change.version} is recorded as {recorded}, not as {change.state}"
        )


def _event(client_id: str, booking_id: str, version: int, state: BookingState, data: dict[str, object]) -> NewEvent:
    event_type = f"booking.{state.value.lower()}"
    return NewEvent(
        client_id=client_id, booking_id=booking_id, version=version, type=event_type, state=state.value, data=data
    )


async def get(connection: AsyncConnection, booking_id: str, client_id: str | None = None) -> StoredBooking | None:
    """The booking with its items; None if there is none, or it is not this client's."""
    if client_id is None:
        rows = await connection.execute(_READ, {"of_booking": booking_id})
    else:
        rows = await connection.execute(_READ_OF_CLIENT, {"of_booking": booking_id, "of_client": client_id})
    row = rows.mappings().one_or_none()
    if row is None:
        return None
    items = await connection.execute(_READ_ITEMS, {"of_booking": booking_id})
    return stored_booking(row, [stored_item(item) for item in items.mappings()])


async def progress(connection: AsyncConnection, booking_id: str) -> Progress | None:
    """As little of the booking as somebody who waits for it needs."""
    row = (await connection.execute(_READ_PROGRESS, {"of_booking": booking_id})).one_or_none()
    if row is None:
        return None
    return Progress(state=BookingState(row.state), version=row.version, waiting_for=row.waiting_for)


async def page(connection: AsyncConnection, client_id: str, limit: int, cursor: str | None) -> Page:
    """The client's bookings, newest first, without their items. Raises Malformed for a cursor that is not one of ours."""
    query = select(bookings).where(bookings.c.client_id == client_id, bookings.c.deleted_at.is_(None))
    if cursor is not None:
        query = query.where(tuple_(bookings.c.created_at, bookings.c.id) < _read_cursor(cursor))
    rows = await connection.execute(query.order_by(bookings.c.created_at.desc(), bookings.c.id.desc()).limit(limit + 1))
    found = [stored_booking(row, []) for row in rows.mappings()]
    more = len(found) > limit
    found = found[:limit]
    return Page(bookings=found, next_cursor=_write_cursor(found[-1]) if more else None)


def _write_cursor(last: StoredBooking) -> str:
    return base64.urlsafe_b64encode(_CURSOR.dump_json((last.created_at, last.booking_id))).decode()


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        return _CURSOR.validate_json(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, ValidationError):
        raise Malformed("the cursor is not one of ours", code="malformed_cursor", field="cursor") from None


async def events_of(connection: AsyncConnection, booking_id: str, after_version: int = -1) -> list[StoredEvent]:
    rows = await connection.execute(
        select(events)
        .where(events.c.booking_id == booking_id, events.c.stream == BOOKING_STREAM, events.c.version > after_version)
        .order_by(events.c.version)
    )
    return [
        StoredEvent(
            sequence=row.id,
            version=row.version,
            type=row.type,
            state=BookingState(row.state),
            data=row.data,
            created_at=row.created_at,
        )
        for row in rows
    ]


async def travellers_of(connection: AsyncConnection, booking_id: str) -> tuple[list[Traveller], str]:
    """Who travels, and the payment method: personal data, for the call to a vendor only."""
    row = (await connection.execute(_READ_TRAVELLERS, {"of_booking": booking_id})).one()
    return TRAVELLERS.validate_python(row.travellers), row.payment_method


async def lead_traveller_of(connection: AsyncConnection, booking_id: str) -> Traveller | None:
    """Whom to tell of the booking: personal data, for that only. None once travellers are purged."""
    row = (await connection.execute(_READ_TRAVELLERS, {"of_booking": booking_id})).one_or_none()
    people = [] if row is None else TRAVELLERS.validate_python(row.travellers)
    return people[0] if people else None


async def payment_provider_of(connection: AsyncConnection, booking_id: str) -> str:
    """The code of the provider that this booking is paid through."""
    provider = await connection.scalar(_READ_PAYMENT_PROVIDER, {"of_booking": booking_id})
    assert provider is not None, f"booking {booking_id} is not in the books"
    return provider


async def paid_through(connection: AsyncConnection, booking_id: str, *, backup: bool = False) -> tuple[str, str]:
    """The code of the payment provider, and the payment method: personal data, for the call to that provider only."""
    row = (await connection.execute(_READ_PAYER, {"of_booking": booking_id})).one()
    if backup:
        return row.backup_payment_provider, row.backup_payment_method
    return row.payment_provider, row.payment_method


async def correlation_id_of(connection: AsyncConnection, booking_id: str) -> str:
    """Of the request that made the booking: what follows from it goes by the same."""
    found = await connection.scalar(select(bookings.c.correlation_id).where(bookings.c.id == booking_id))
    assert found is not None, f"booking {booking_id} is not in the books"
    return found


async def mark_started(connection: AsyncConnection, booking_id: str) -> None:
    await connection.execute(_MARK_STARTED, {"of_booking": booking_id})


async def not_started(connection: AsyncConnection, before: datetime, limit: int) -> list[str]:
    """Bookings whose workflow may not have been started, oldest first: the API died in between, or Temporal was away."""
    rows = await connection.scalars(
        select(bookings.c.id)
        .where(bookings.c.workflow_started_at.is_(None), bookings.c.created_at < before)
        .order_by(bookings.c.created_at)
        .limit(limit)
    )
    return list(rows)


async def count_in_flight(connection: AsyncConnection) -> int:
    """Sagas that keep the machines busy, for admission; one that waits for a person or a refund costs next to nothing."""
    at_rest = [state.value for state in SETTLED_STATES | PARKED_STATES]
    return await connection.scalar(select(func.count()).where(bookings.c.state.not_in(at_rest))) or 0
