"""What the tables of a booking say, as values: written by store/bookings.py and store/items.py, read by everybody."""

from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import RowMapping

from schema.bookings import Substitution
from schema.model import Message
from schema.money import Money
from schema.offers import FoundOffer, Offer, SearchRequest, Version
from schema.states import BookingState, ItemState
from schema.travellers import Traveller

_OFFER: TypeAdapter[Offer] = TypeAdapter(Offer)


class NewItem(FoundOffer):
    item_no: int
    client_reference: str
    required: bool
    search_request: SearchRequest | None = None
    """How it was found; without it no equal offer can be looked for elsewhere."""


class Replaced(Message):
    """An offer whose place another supplier's took."""

    supplier: str
    summary: str
    price: Money
    reason: str


class NewBooking(Message):
    booking_id: str
    client_id: str
    idempotency_key: str
    fingerprint: bytes
    correlation_id: str
    items: list[NewItem]
    travellers: list[Traveller]
    payment_method: str
    payment_provider: str
    backup_payment_method: str | None = None
    backup_payment_provider: str | None = None
    total: Money
    consent_limit: Money
    substitution: Substitution = "never"
    itinerary_id: str | None = None
    """The itinerary that it rebooks a part of; None: it begins one of its own."""


class StoredItem(Message):
    item_no: int
    generation: int = 0
    kind: str
    supplier: str
    offer: Offer
    client_reference: str
    provider_booking_ref: str | None
    record_locator: str | None
    state: ItemState
    required: bool
    offer_price: Money
    price: Money
    penalty: Money
    hold_expires_at: datetime | None
    supplier_state: dict[str, object]
    item_key: str | None = None
    version: Version | None = None
    search_request: SearchRequest | None = None
    replaces: list[Replaced] = []

    @property
    def offer_id(self) -> str:
        return self.offer.offer_id


class StoredBooking(Message):
    booking_id: str
    client_id: str
    fingerprint: bytes
    state: BookingState
    version: int
    reason: str | None
    waiting_for: str | None
    total: Money
    consent_total: Money
    consent_limit: Money
    fee: Money
    payment_provider: str
    backup_payment_provider: str | None = None
    correlation_id: str
    created_at: datetime
    updated_at: datetime
    workflow_started_at: datetime | None
    substitution: Substitution = "never"
    itinerary_id: str | None = None
    items: list[StoredItem] = []


class Progress(Message):
    state: BookingState
    version: int
    waiting_for: str | None


class StoredEvent(Message):
    sequence: int
    version: int
    type: str
    state: BookingState
    data: dict[str, object]
    created_at: datetime


class Page(Message):
    bookings: list[StoredBooking]
    next_cursor: str | None


def item_columns(booking_id: str, item: NewItem) -> dict[str, object]:
    """All columns of a new item."""
    request = item.search_request
    return {
        "booking_id": booking_id,
        "item_no": item.item_no,
        "kind": item.offer.kind,
        "client_reference": item.client_reference,
        "state": ItemState.PLANNED,
        "required": item.required,
        "currency": item.offer.price.currency,
        "price_minor": item.offer.price.amount_minor,
        "search_request": None if request is None else request.model_dump(mode="json"),
        **found_columns(item),
    }


def found_columns(found: FoundOffer) -> dict[str, object]:
    """The columns of an item that are about the offer it is, whichever supplier's."""
    return {
        "offer_id": found.offer.offer_id,
        "provider_code": found.offer.supplier,
        "offer_price_minor": found.offer.price.amount_minor,
        "item_key": found.offer.item_key(),
        "offer_version": None if found.version is None else found.version.model_dump(mode="json"),
        "public": found.offer.model_dump(mode="json"),
        "supplier_state": found.supplier_state,
    }


def stored_item(row: RowMapping) -> StoredItem:
    """From a whole row of `booking_items`."""
    currency = str(row["currency"])
    return StoredItem(
        item_no=row["item_no"],
        generation=row["generation"],
        kind=row["kind"],
        supplier=row["provider_code"],
        offer=_OFFER.validate_python(row["public"]),
        client_reference=row["client_reference"],
        provider_booking_ref=row["provider_booking_ref"],
        record_locator=row["record_locator"],
        state=ItemState(row["state"]),
        required=row["required"],
        offer_price=Money(amount_minor=row["offer_price_minor"], currency=currency),
        price=Money(amount_minor=row["price_minor"], currency=currency),
        penalty=Money(amount_minor=row["penalty_minor"], currency=currency),
        hold_expires_at=row["hold_expires_at"],
        supplier_state=row["supplier_state"],
        item_key=row["item_key"],
        version=row["offer_version"],
        search_request=row["search_request"],
        replaces=row["replaces"],
    )


def stored_booking(row: RowMapping, items: list[StoredItem]) -> StoredBooking:
    """From a whole row of `bookings`."""

    def money(column: str) -> Money:
        return Money(amount_minor=row[column], currency=row["currency"])

    return StoredBooking(
        booking_id=row["id"],
        client_id=row["client_id"],
        fingerprint=row["fingerprint"],
        state=BookingState(row["state"]),
        version=row["version"],
        reason=row["reason"],
        waiting_for=row["waiting_for"],
        total=money("total_minor"),
        consent_total=money("consent_total_minor"),
        consent_limit=money("consent_limit_minor"),
        fee=money("fee_minor"),
        payment_provider=row["payment_provider"],
        backup_payment_provider=row["backup_payment_provider"],
        correlation_id=row["correlation_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        workflow_started_at=row["workflow_started_at"],
        substitution=row["substitution"],
        itinerary_id=row["itinerary_id"],
        items=items,
    )
