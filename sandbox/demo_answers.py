"""What TravelHub's API and the vendors' books answer, as far as the demo reads it.

The models are the demo's own reading of the documented answers; what it does not need it leaves out.
"""

from __future__ import annotations

from datetime import datetime

from schema.model import Message
from schema.money import Money
from schema.offers import Kind
from schema.states import BookingState, ItemState, PaymentState


class SameElsewhere(Message):
    """An equal offer of another supplier, listed with the cheapest."""

    supplier: str
    offer_id: str
    price: Money


class OfferSeen(Message):
    """An offer of `POST /v1/searches`."""

    offer_id: str
    supplier: str
    kind: Kind
    price: Money
    holdable: bool
    also_from: list[SameElsewhere]


class Replaced(Message):
    """An offer that its supplier refused, so that another one's took its place."""

    supplier: str
    price: Money
    reason: str


class ItemSeen(Message):
    item_no: int
    kind: Kind
    supplier: str
    summary: str
    state: ItemState
    price: Money
    replaces: list[Replaced]


class PaymentNamed(Message):
    payment_id: str
    state: PaymentState


class BookingSeen(Message):
    """`GET /v1/bookings/{id}`."""

    booking_id: str
    state: BookingState
    reason: str | None
    waiting_for: str | None
    total: Money
    consent_limit: Money
    items: list[ItemSeen]
    payments: list[PaymentNamed]


class NextAction(Message):
    """What the payer has to do, and with what: the provider's own client library, or its page."""

    provider: str
    client_secret: str | None
    approval_url: str | None


class PaymentSeen(Message):
    """`GET /v1/payments/{id}`."""

    payment_id: str
    state: PaymentState
    authorised: Money
    captured: Money
    refunded: Money
    next_action: NextAction | None = None


class FeeQuoted(Message):
    """`POST /v1/bookings/{id}/cancellation` without a token."""

    fee: Money
    refund: Money
    token: str


class StatementLine(Message):
    """One effect on the money of a booking, in words."""

    effect: str
    meaning: str
    amount: Money
    at: datetime


class StatementTotals(Message):
    """Of one currency; `balance` is the sum over the whole ledger."""

    captured: Money
    refunded: Money
    fees_kept: Money
    balance: Money


class StatementSeen(Message):
    """`GET /v1/bookings/{id}/statement`."""

    entries: list[StatementLine]
    totals: list[StatementTotals]


class EventSeen(Message):
    state: BookingState
    data: dict[str, object]
    created_at: datetime


class CaseSeen(Message):
    """One line of `GET /v1/ops/cases`."""

    case_id: str
    booking_id: str
    reason: str


class OutstandingSeen(Message):
    """Something at a vendor that nobody could settle by machine."""

    vendor: str
    step: str
    reference: str
    provider_reference: str | None
    amount: Money | None
    problem: str


class AttemptSeen(Message):
    """Something that was asked of a vendor."""

    step: str
    vendor: str
    generation: int
    status: str
    reason: str | None


class Resolved(Message):
    """What an operator decided."""

    action: str
    operator: str
    note: str


class CaseDetail(CaseSeen):
    """`GET /v1/ops/cases/{id}`."""

    waiting_for: str | None
    effects: list[OutstandingSeen]
    attempts: list[AttemptSeen]
    resolution: Resolved | None


class VendorReservation(Message):
    """One line of a supplier's books."""

    vendor: str
    kind: str
    object_id: str
    metadata: dict[str, object]
    status: str
    price_minor: int | None
    currency: str | None

    @property
    def live(self) -> bool:
        """Somebody has a seat, a bed or a car because of it."""
        return self.status in ("held", "confirmed")

    @property
    def reference(self) -> str:
        """Ours, as the supplier keeps it."""
        return str(self.metadata.get("reference", ""))


class VendorPayment(Message):
    """One line of the payment provider's books."""

    vendor: str
    object_id: str
    metadata: dict[str, object]
    status: str
    authorised_minor: int
    captured_minor: int
    refunded_minor: int
    currency: str
    authorisation_open: bool


class VendorBooks(Message):
    reservations: list[VendorReservation]
    payments: list[VendorPayment]


class Effect(Message):
    """One entry of a vendor's append-only ledger."""

    at: datetime
    vendor: str
    type: str
    object_id: str
    amount_minor: int | None
    currency: str | None


class FaultSeen(Message):
    """A rule of the sandbox's fault plan, with how often it met its call and how often it struck."""

    id: str
    action: str
    path: str | None
    matched: int
    fired: int
