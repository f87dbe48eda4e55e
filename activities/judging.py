"""What one line of a vendor's list means beside our books: values in, a suspicion or nothing out.

Only settled bookings are judged: of one that is being worked on, its workflow knows more, and whether that is still there is a
question of its own.
"""

from collections.abc import Iterator

from gateways.ports import ListedDispute, ListedPayment, ListedRefund, Reservation
from schema.reconciliation import Finding, FindingKind
from schema.states import CONFIRMED_STATES, FINAL_STATES, SETTLED_STATES, ItemState, PaymentState
from store.reconciled import OurItem, OurPayment, OurRefunds, SettledBooking

OURSELVES = "travelhub"
"""The vendor of what our own books say."""
OVER = frozenset({"won", "lost", "warning_closed", "prevented"})
"""How a dispute can have ended."""
_RESERVED = frozenset(
    {PaymentState.CREATED, PaymentState.ACTION_REQUIRED, PaymentState.AUTHORISED, PaymentState.IN_DOUBT}
)


def judge_payment(vendor: str, line: ListedPayment, ours: OurPayment) -> Finding | None:
    """A line that carries the id of a booking."""
    kind = _of_payment(line, ours)
    return None if kind is None else _finding(kind, vendor, line.payment.provider_reference, ours, line.payment_id)


def _of_payment(line: ListedPayment, ours: OurPayment) -> FindingKind | None:
    theirs = line.payment
    kept_minor = theirs.captured.amount_minor - theirs.refunded.amount_minor
    if ours.booking_state is not None and ours.booking_state not in SETTLED_STATES:
        return None
    if theirs.status == "authorised":
        return "open_authorisation"
    same = ours.payment_id is not None and ours.provider_reference in (None, theirs.provider_reference)
    if kept_minor > ours.fee_minor and (ours.booking_state is None or ours.booking_state in FINAL_STATES or not same):
        return "paid_without_booking"
    return _of_our_payment(theirs.captured.amount_minor, theirs.refunded.amount_minor, line, ours) if same else None


def _of_our_payment(
    captured_minor: int, refunded_minor: int, line: ListedPayment, ours: OurPayment
) -> FindingKind | None:
    other_currency = captured_minor > 0 and line.payment.captured.currency != ours.currency
    if other_currency or captured_minor != ours.captured_minor or refunded_minor < ours.refunded_minor:
        return "amount_differs"
    if refunded_minor > ours.refunded_minor:
        return "refund_by_hand"
    return None if ours.ledger_complete else "ledger_incomplete"


def judge_refund(vendor: str, line: ListedRefund, ours: OurRefunds) -> Finding | None:
    """A refund of a payment that is in our books."""
    if ours.booking_state not in SETTLED_STATES:
        return None
    status = ours.statuses.get(line.key or "")
    known = status is not None or line.refund.provider_reference in ours.provider_references
    kind: FindingKind | None = None
    if not known and line.refund.status != "failed":
        kind = "refund_by_hand"
    elif line.refund.status == "succeeded" and status in ("began", "pending"):
        kind = "refund_unfinished"
    if kind is None:
        return None
    return Finding(
        kind=kind,
        vendor=vendor,
        object_id=line.payment_reference,
        booking_id=ours.booking_id,
        reference=ours.payment_id,
    )


def judge_dispute(vendor: str, line: ListedDispute, ours: OurRefunds) -> Finding | None:
    """A dispute of a payment that is in our books: always for people, until the bank has decided."""
    if line.status in OVER:
        return None
    return Finding(
        kind="disputed",
        vendor=vendor,
        object_id=line.provider_reference,
        booking_id=ours.booking_id,
        reference=ours.payment_id,
    )


def judge_reservation(
    vendor: str, reference: str, booking_id: str, theirs: Reservation, ours: OurItem
) -> Finding | None:
    """A reservation under one of our references."""
    kind = of_reservation(theirs, ours)
    if kind is None:
        return None
    return Finding(
        kind=kind, vendor=vendor, object_id=theirs.provider_reference, booking_id=booking_id, reference=reference
    )


def of_reservation(theirs: Reservation, ours: OurItem) -> FindingKind | None:
    """What is wrong with it, if anything is."""
    if ours.booking_state is not None and ours.booking_state not in SETTLED_STATES:
        return None
    relied_on = (
        ours.booking_state in CONFIRMED_STATES
        and ours.item_state == ItemState.CONFIRMED
        and ours.provider_reference == theirs.provider_reference
    )
    if not relied_on:
        return "reservation_without_owner" if theirs.status in ("held", "confirmed") else None
    if theirs.status in ("held", "cancelled", "failed"):
        return "reservation_missing"
    price = theirs.price
    same_price = price is None or (price.amount_minor, price.currency) == (ours.price_minor, ours.currency)
    return None if same_price else "amount_differs"


def judge_settled(booking: SettledBooking) -> Iterator[Finding]:
    """What our own books say that cannot be so."""
    if booking.state in CONFIRMED_STATES and not any(payment.captured_minor for payment in booking.payments):
        yield Finding(
            kind="booked_without_payment",
            vendor=OURSELVES,
            object_id=booking.booking_id,
            booking_id=booking.booking_id,
        )
    for payment in booking.payments:
        kind: FindingKind | None = None
        if payment.state in _RESERVED:
            kind = "open_authorisation"
        elif payment.state == PaymentState.REFUND_PENDING or booking.open_refunds:
            kind = "refund_unfinished"
        elif not payment.ledger_complete:
            kind = "ledger_incomplete"
        if kind is not None:
            object_id = payment.provider_reference or payment.payment_id or booking.booking_id
            yield _finding(kind, payment.provider or OURSELVES, object_id, payment, payment.payment_id)


def _finding(kind: FindingKind, vendor: str, object_id: str, ours: OurPayment, payment_id: str | None) -> Finding:
    return Finding(kind=kind, vendor=vendor, object_id=object_id, booking_id=ours.booking_id, reference=payment_id)
