"""What clients are answered: what is theirs to know, never a supplier's tokens, never anybody's personal data."""

from datetime import datetime
from typing import TypedDict

from schema.bookings import BookingStatus
from schema.errors import REFUSALS
from schema.model import Message
from schema.money import Money
from schema.offers import Kind
from schema.states import BookingState, ItemState, PaymentState
from store.payments import StoredPayment
from store.quotes import StoredQuote
from store.records import Replaced, StoredBooking, StoredEvent, StoredItem


class ItemView(Message):
    """One item of a trip."""

    item_no: int
    kind: Kind
    summary: str
    state: ItemState
    required: bool
    supplier: str
    price: Money
    offer_price: Money
    penalty: Money
    """What the supplier kept when it was cancelled."""
    record_locator: str | None
    """The code to show at the desk."""
    replaces: list[Replaced] = []
    """Offers of other suppliers that were refused, oldest first; this one took their place."""

    @classmethod
    def of(cls, item: StoredItem) -> "ItemView":
        return cls(
            item_no=item.item_no,
            kind=item.offer.kind,
            summary=item.offer.summary(),
            state=item.state,
            required=item.required,
            supplier=item.supplier,
            price=item.price,
            offer_price=item.offer_price,
            penalty=item.penalty,
            record_locator=item.record_locator,
            replaces=item.replaces,
        )


class PaymentSummary(Message):
    """Which payment a booking has; `GET /v1/payments/{payment_id}` tells the rest."""

    payment_id: str
    state: PaymentState


class BookingSummary(Message):
    """A booking as a list shows it."""

    booking_id: str
    state: BookingState
    version: int
    """Grows by one with every recorded change."""
    reason: str | None
    """Why it is in this state: a code."""
    reason_text: str | None
    waiting_for: str | None
    """Whom the booking waits for, if it waits."""
    total: Money
    consent_limit: Money
    """Never is more than this taken."""
    fee: Money
    """The cancellation fee that was disclosed and is kept."""
    created_at: datetime
    updated_at: datetime


class BookingView(BookingSummary):
    """A booking with its items and payments."""

    items: list[ItemView]
    payments: list[PaymentSummary]
    live: BookingStatus | None = None
    """With `?live=true`: the workflow's own word."""
    live_unavailable: str | None = None
    """Why there is no word of the workflow, if it was asked for."""


class BookingPage(Message):
    bookings: list[BookingSummary]
    next_cursor: str | None


class EventView(Message):
    """Something that was recorded of a booking."""

    version: int
    type: str
    state: BookingState
    data: dict[str, object]
    created_at: datetime

    @classmethod
    def of(cls, event: StoredEvent) -> "EventView":
        return cls(
            version=event.version, type=event.type, state=event.state, data=event.data, created_at=event.created_at
        )


class EventList(Message):
    events: list[EventView]


class NextAction(Message):
    """What the customer has to do: with the provider's own client library, or on its page."""

    provider: str
    client_secret: str | None = None
    """For the provider's client library (3-D Secure)."""
    approval_url: str | None = None
    """The provider's page on which the payer approves (PayPal)."""


class PaymentView(Message):
    payment_id: str
    booking_id: str
    provider: str
    state: PaymentState
    authorised: Money
    captured: Money
    refunded: Money
    expires_at: datetime | None
    failure: str | None
    created_at: datetime
    next_action: NextAction | None = None
    next_action_unavailable: str | None = None
    """Why the action cannot be told right now, although one is needed."""

    @classmethod
    def of(cls, payment: StoredPayment) -> "PaymentView":
        return cls(
            payment_id=payment.payment_id,
            booking_id=payment.booking_id,
            provider=payment.provider,
            state=payment.state,
            authorised=payment.authorised,
            captured=payment.captured,
            refunded=payment.refunded,
            expires_at=payment.expires_at,
            failure=payment.failure,
            created_at=payment.created_at,
        )


class DecisionView(Message):
    """What came of a request that changes a running booking."""

    booking_id: str
    state: BookingState
    message: str


class CancellationQuote(Message):
    """What cancelling costs, until when that holds, and the token that accepts it."""

    booking_id: str
    fee: Money
    refund: Money
    expires_at: datetime
    token: str

    @classmethod
    def of(cls, quote: StoredQuote, token: str) -> "CancellationQuote":
        return cls(
            booking_id=quote.booking_id, fee=quote.fee, refund=quote.refund, expires_at=quote.expires_at, token=token
        )


class WebhookReceipt(Message):
    received: bool = True


class _Common(TypedDict):
    booking_id: str
    state: BookingState
    version: int
    reason: str | None
    reason_text: str | None
    waiting_for: str | None
    total: Money
    consent_limit: Money
    fee: Money
    created_at: datetime
    updated_at: datetime


def summary_of(booking: StoredBooking) -> BookingSummary:
    return BookingSummary(**_common(booking))


def view_of(booking: StoredBooking, payments: list[StoredPayment]) -> BookingView:
    return BookingView(
        **_common(booking),
        items=[ItemView.of(item) for item in booking.items],
        payments=[PaymentSummary(payment_id=payment.payment_id, state=payment.state) for payment in payments],
    )


def _common(booking: StoredBooking) -> _Common:
    known = None if booking.reason is None else REFUSALS.get(booking.reason)
    return {
        "booking_id": booking.booking_id,
        "state": booking.state,
        "version": booking.version,
        "reason": booking.reason,
        "reason_text": known.title if known else None,
        "waiting_for": booking.waiting_for,
        "total": booking.total,
        "consent_limit": booking.consent_limit,
        "fee": booking.fee,
        "created_at": booking.created_at,
        "updated_at": booking.updated_at,
    }
