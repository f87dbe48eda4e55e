"""Our books as an auditor reads them: whole tables in a few queries, from one snapshot, plain values without judgement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Select, Text, and_, any_, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.payments import cancellation_workflow_id_for
from schema.states import BookingState
from schema.tables import (
    attempts,
    booking_items,
    booking_travellers,
    bookings,
    cancellation_claims,
    dead_letters,
    desk_actions,
    events,
    ledger_entries,
    notifications,
    payments,
    refunds,
    review_cases,
    superseded_items,
)
from schema.travellers import Traveller
from store.audited_notices import NOTICES, AuditedNotice
from store.records import StoredItem, stored_item

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class AuditedBooking:
    booking_id: str
    client_id: str
    idempotency_key: str
    fingerprint: bytes
    state: str
    version: int
    reason: str | None
    waiting_for: str | None
    currency: str
    total_minor: int
    consent_limit_minor: int
    fee_minor: int
    payment_provider: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class AuditedItem:
    booking_id: str
    item_no: int
    kind: str
    supplier: str
    client_reference: str
    provider_reference: str | None
    state: str
    required: bool
    currency: str
    price_minor: int
    words: str
    """Names of places and companies in the offer, which may look like names of travellers."""


@dataclass(frozen=True, slots=True)
class AuditedAttempt:
    key: str
    booking_id: str
    step: str
    item_no: int | None
    generation: int
    vendor: str
    reference: str
    status: str
    provider_reference: str | None
    outcome: Json | None
    tombstoned_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AuditedPayment:
    payment_id: str
    booking_id: str
    generation: int
    provider: str
    state: str
    provider_reference: str | None
    currency: str
    authorised_minor: int
    captured_minor: int
    refunded_minor: int
    failure: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AuditedRefund:
    key: str
    payment_id: str
    provider_reference: str | None
    status: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class AuditedEntry:
    effect_key: str
    account: str
    amount_minor: int
    currency: str
    booking_id: str
    payment_id: str


@dataclass(frozen=True, slots=True)
class AuditedEvent:
    booking_id: str
    version: int
    state: str
    data: Json


@dataclass(frozen=True, slots=True)
class AuditedCase:
    case_id: str
    booking_id: str
    reason: str
    effects: list[Json]
    resolved_at: datetime | None
    resolution: Json | None


@dataclass(frozen=True, slots=True)
class AuditedNote:
    """What an operator wrote at the desk, about a case or a dead letter."""

    booking_id: str | None
    """None: nobody knows what the dead letter is about."""
    about: str
    key: str
    text: str


@dataclass(frozen=True)
class OurBooks:
    """Every table the audit needs, from one snapshot."""

    bookings: Sequence[AuditedBooking]
    items: Sequence[AuditedItem] = ()
    attempts: Sequence[AuditedAttempt] = ()
    payments: Sequence[AuditedPayment] = ()
    refunds: Sequence[AuditedRefund] = ()
    entries: Sequence[AuditedEntry] = ()
    events: Sequence[AuditedEvent] = ()
    cases: Sequence[AuditedCase] = ()
    notes: Sequence[AuditedNote] = ()
    notices: Sequence[AuditedNotice] = ()
    travellers: Sequence[tuple[str, list[Json]]] = ()
    """Booking id and people; an audit compares with them and never shows them."""


@dataclass(frozen=True)
class ToLookUp:
    """What a gateway needs to find one item by its reference."""

    booking_id: str
    item: StoredItem
    travellers: list[Traveller]
    correlation_id: str
    since: datetime


_Row = TypeVar("_Row")
_TRAVELLERS: TypeAdapter[list[Traveller]] = TypeAdapter(list[Traveller])
_WORDS = ("name", "city", "room_type", "vendor_name", "car_name", "pickup_place", "dropoff_place")


async def versions(connection: AsyncConnection, booking_ids: list[str] | None) -> dict[str, int]:
    """Version of every booking, or of those that are named."""
    query = select(bookings.c.id, bookings.c.version)
    rows = await connection.execute(_only(query, bookings.c.id, booking_ids))
    return {row.id: row.version for row in rows}


async def read_books(connection: AsyncConnection, booking_ids: list[str] | None) -> OurBooks:
    """All books, or those of the bookings that are named. The connection's transaction must not have begun to read."""
    await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))

    async def rows(make: type[_Row], query: Select[*tuple[object, ...]], owner: ColumnElement[str]) -> list[_Row]:
        return [make(*row) for row in await connection.execute(_only(query, owner, booking_ids))]

    people = select(booking_travellers.c.booking_id, booking_travellers.c.travellers)
    return OurBooks(
        bookings=await rows(AuditedBooking, _BOOKINGS, bookings.c.id),
        items=await rows(AuditedItem, _ITEMS, booking_items.c.booking_id),
        attempts=await rows(AuditedAttempt, _ATTEMPTS, attempts.c.booking_id),
        payments=await rows(AuditedPayment, _PAYMENTS, payments.c.booking_id),
        refunds=await rows(AuditedRefund, _REFUNDS, payments.c.booking_id),
        entries=await rows(AuditedEntry, _ENTRIES, ledger_entries.c.booking_id),
        events=await rows(AuditedEvent, _EVENTS, events.c.booking_id),
        cases=await rows(AuditedCase, _CASES, review_cases.c.booking_id),
        notes=await rows(AuditedNote, _NOTES, _NOTED_OF),
        notices=await rows(AuditedNotice, NOTICES, notifications.c.booking_id),
        travellers=[
            (row.booking_id, row.travellers)
            for row in await connection.execute(_only(people, booking_travellers.c.booking_id, booking_ids))
        ],
    )


async def newest(connection: AsyncConnection, booking_ids: list[str] | None, limit: int) -> list[str]:
    """Ids of the newest bookings, newest first."""
    query = select(bookings.c.id).order_by(bookings.c.created_at.desc()).limit(limit)
    return list(await connection.scalars(_only(query, bookings.c.id, booking_ids)))


async def cancellations(connection: AsyncConnection, booking_ids: list[str]) -> dict[str, list[str]]:
    """Of each booking the workflows that cancelled it, or some of it; those of releases that kept no claims by their usual id."""
    before = events.c.version - 1
    claimed = and_(
        cancellation_claims.c.booking_id == events.c.booking_id, cancellation_claims.c.booking_version == before
    )
    query = (
        select(events.c.booking_id, before.label("version"), cancellation_claims.c.workflow_id)
        .outerjoin(cancellation_claims, claimed)
        .where(events.c.state == BookingState.CANCELLING)
    )
    found: dict[str, list[str]] = {booking_id: [] for booking_id in booking_ids}
    for row in await connection.execute(_only(query, events.c.booking_id, booking_ids)):
        workflow_id = row.workflow_id or cancellation_workflow_id_for(row.booking_id, row.version)
        if workflow_id not in found[row.booking_id]:
            found[row.booking_id].append(workflow_id)
    return found


async def to_look_up(connection: AsyncConnection, booking_ids: list[str]) -> list[ToLookUp]:
    """Every item a supplier was called for, replaced ones included, with what the supplier's look-up wants to know."""
    called = select(attempts.c.booking_id, attempts.c.item_no, func.min(attempts.c.created_at).label("since"))
    called = called.where(attempts.c.item_no.is_not(None), attempts.c.tries > 0)
    called = _only(called, attempts.c.booking_id, booking_ids).group_by(attempts.c.booking_id, attempts.c.item_no)
    since = {(row.booking_id, row.item_no): row.since for row in await connection.execute(called)}
    people = select(bookings.c.id, bookings.c.correlation_id, booking_travellers.c.travellers).join(booking_travellers)
    known = {row.id: row for row in await connection.execute(_only(people, bookings.c.id, booking_ids))}
    items = await connection.execute(_only(select(booking_items), booking_items.c.booking_id, booking_ids))
    superseded = select(superseded_items.c.booking_id, superseded_items.c.item)
    earlier = await connection.execute(_only(superseded, superseded_items.c.booking_id, booking_ids))
    all_items = [(str(row["booking_id"]), stored_item(row)) for row in items.mappings()]
    all_items += [(row.booking_id, StoredItem.model_validate(row.item)) for row in earlier]
    found: list[ToLookUp] = []
    for booking_id, item in all_items:
        if (booking_id, item.item_no) in since and booking_id in known:
            booking = known[booking_id]
            travellers = _TRAVELLERS.validate_python(booking.travellers)
            at = since[(booking_id, item.item_no)]
            found.append(ToLookUp(booking_id, item, travellers, booking.correlation_id, at))
    return found


_Selected = TypeVar("_Selected", bound=Select[*tuple[object, ...]])


def _only(query: _Selected, owner: ColumnElement[str], booking_ids: list[str] | None) -> _Selected:
    """One array parameter, however many ids."""
    return query if booking_ids is None else query.where(owner == any_(literal(booking_ids, ARRAY(Text))))


_BOOKINGS = select(
    bookings.c.id,
    bookings.c.client_id,
    bookings.c.idempotency_key,
    bookings.c.fingerprint,
    bookings.c.state,
    bookings.c.version,
    bookings.c.reason,
    bookings.c.waiting_for,
    bookings.c.currency,
    bookings.c.total_minor,
    bookings.c.consent_limit_minor,
    bookings.c.fee_minor,
    bookings.c.payment_provider,
    bookings.c.created_at,
    bookings.c.updated_at,
).order_by(bookings.c.created_at, bookings.c.id)
_ITEMS = select(
    booking_items.c.booking_id,
    booking_items.c.item_no,
    booking_items.c.kind,
    booking_items.c.provider_code,
    booking_items.c.client_reference,
    booking_items.c.provider_booking_ref,
    booking_items.c.state,
    booking_items.c.required,
    booking_items.c.currency,
    booking_items.c.price_minor,
    func.concat_ws(" ", *(booking_items.c.public[word].astext for word in _WORDS)),
).order_by(booking_items.c.booking_id, booking_items.c.item_no)
_ATTEMPTS = select(
    attempts.c.key,
    attempts.c.booking_id,
    attempts.c.step,
    attempts.c.item_no,
    attempts.c.generation,
    attempts.c.vendor,
    attempts.c.reference,
    attempts.c.status,
    attempts.c.provider_reference,
    attempts.c.outcome,
    attempts.c.tombstoned_at,
    attempts.c.created_at,
).order_by(attempts.c.booking_id, attempts.c.created_at)
_PAYMENTS = select(
    payments.c.id,
    payments.c.booking_id,
    payments.c.generation,
    payments.c.provider,
    payments.c.state,
    payments.c.provider_reference,
    payments.c.currency,
    payments.c.authorised_minor,
    payments.c.captured_minor,
    payments.c.refunded_minor,
    payments.c.failure,
    payments.c.created_at,
).order_by(payments.c.booking_id, payments.c.generation)
_REFUNDS = (
    select(
        refunds.c.key,
        refunds.c.payment_id,
        refunds.c.provider_reference,
        refunds.c.status,
        refunds.c.amount_minor,
        refunds.c.currency,
    )
    .join(payments)
    .order_by(refunds.c.created_at)
)
_ENTRIES = select(
    ledger_entries.c.effect_key,
    ledger_entries.c.account,
    ledger_entries.c.amount_minor,
    ledger_entries.c.currency,
    ledger_entries.c.booking_id,
    ledger_entries.c.payment_id,
).order_by(ledger_entries.c.id)
_EVENTS = (
    select(events.c.booking_id, events.c.version, events.c.state, events.c.data)
    .where(events.c.stream == "booking")
    .order_by(events.c.booking_id, events.c.version)
)
_CASES = select(
    review_cases.c.id,
    review_cases.c.booking_id,
    review_cases.c.reason,
    review_cases.c.effects,
    review_cases.c.resolved_at,
    review_cases.c.resolution,
).order_by(review_cases.c.opened_at)
_NOTED_OF = func.coalesce(review_cases.c.booking_id, dead_letters.c.booking_id)
_NOTES = (
    select(
        _NOTED_OF,
        func.coalesce(desk_actions.c.case_id, desk_actions.c.dead_letter_id),
        desk_actions.c.key,
        func.concat_ws("\n", desk_actions.c.note, desk_actions.c.reference, desk_actions.c.provider_reference),
    )
    .select_from(desk_actions.outerjoin(review_cases).outerjoin(dead_letters))
    .order_by(desk_actions.c.id)
)
