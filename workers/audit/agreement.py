"""Invariant 12: our projection, the workflows' answers and the vendors' books tell the same story."""

from collections.abc import Iterable, Iterator

from schema.bookings import workflow_id_for
from schema.states import CONFIRMED_STATES, SETTLED_STATES, BookingState, ItemState, PaymentState
from store.audit import AuditedItem, AuditedPayment
from workers.audit.evidence import Dossier, Evidence, VendorPayment, is_booking_id
from workers.audit.findings import Finding, told

_MONEY_SEEN = (
    PaymentState.AUTHORISED,
    PaymentState.CAPTURED,
    PaymentState.REFUND_PENDING,
    PaymentState.PARTIALLY_REFUNDED,
    PaymentState.REFUNDED,
)
"""States in which our books claim to know what was reserved."""


def books_agree(evidence: Evidence) -> Finding:
    """At quiescence all three agree; the versions of a projection have no gap at any time."""
    finding = Finding(12, "our books, the workflows' answers and the vendors' books agree")
    for dossier in evidence.dossiers:
        finding.checked += 1
        problems = list(_versions(dossier))
        if dossier.quiet:
            problems += [*_items(dossier), *_payments(dossier), *_answers(dossier)]
        for text in problems:
            finding.broken(dossier.booking_id, text)
    for payment in evidence.nobodys_payments():
        finding.checked += 1
        if is_booking_id(payment.booking_id) and (payment.kept_minor or payment.authorisation_open):
            finding.broken(
                payment.booking_id, f"{payment.vendor} has {payment.object_id} of a booking that is not in our books"
            )
    return finding


def _versions(dossier: Dossier) -> Iterator[str]:
    booking, versions = dossier.booking, [event.version for event in dossier.events]
    if versions != list(range(booking.version + 1)):
        yield f"the booking is at version {booking.version}, its events have the versions {versions}"
    elif dossier.events[-1].state != booking.state:
        yield f"the booking is {booking.state}, its last event says {dossier.events[-1].state}"


def _items(dossier: Dossier) -> Iterator[str]:
    for item in dossier.items.values():
        if dossier.final:
            by_hand = dossier.operator_decided(dossier.item_name(item.item_no))
            if item.state in (ItemState.HELD, ItemState.CONFIRMED) and not by_hand:
                yield f"item {item.item_no} is {item.state} in a booking that is {dossier.booking.state}"
        elif item.state == ItemState.CONFIRMED:
            yield from _confirmed_item(dossier, item)
        elif item.state == ItemState.CANCELLED and _was_cancelled(dossier):
            continue
        elif item.required and item.state != ItemState.IN_DOUBT:
            yield f"required item {item.item_no} is {item.state} in a booking that is {dossier.booking.state}"
    missing = any(item.state not in (ItemState.CONFIRMED, ItemState.IN_DOUBT) for item in dossier.items.values())
    if dossier.booking.state == BookingState.CONFIRMED and missing:
        yield "the booking is CONFIRMED although an item of it is not"


def _was_cancelled(dossier: Dossier) -> bool:
    """The traveller has cancelled the trip, or some of it."""
    return any(event.state == BookingState.CANCELLING for event in dossier.events)


def _confirmed_item(dossier: Dossier, item: AuditedItem) -> Iterator[str]:
    if not dossier.item_seen(item.item_no):
        return
    lines = [line for line in dossier.reservations_of(item.item_no) if line.object_id == item.provider_reference]
    if not lines:
        others = [line.object_id for line in dossier.reservations_of(item.item_no)]
        yield f"item {item.item_no} is confirmed as {item.provider_reference}; {item.supplier} has {others or 'nothing'}"
        return
    line = lines[0]
    if line.status != "confirmed":
        yield f"item {item.item_no} is confirmed in our books; {line.vendor} has {line.object_id} as {line.status}"
    if line.price_minor is not None and (line.price_minor, line.currency) != (item.price_minor, item.currency):
        ours, theirs = told(item.price_minor, item.currency), told(line.price_minor, line.currency)
        yield f"item {item.item_no} costs {ours} in our books and {theirs} in those of {line.vendor}"


def _payments(dossier: Dossier) -> Iterator[str]:
    if not dossier.money_seen:
        return
    theirs: dict[str, list[VendorPayment]] = {}
    for line in dossier.vendor_payments:
        theirs.setdefault(line.payment_id or "", []).append(line)
    for payment in dossier.payments.values():
        lines = theirs.pop(payment.payment_id, [])
        named = [line for line in lines if line.object_id == payment.provider_reference]
        if payment.provider_reference is not None and not named:
            found = [line.object_id for line in lines] or "nothing"
            yield f"{payment.payment_id} is {payment.provider_reference} in our books; {payment.provider} has {found}"
        else:
            yield from _payment(dossier, payment, named or lines)
    for payment_id, lines in theirs.items():
        if any(line.captured_minor or line.authorisation_open for line in lines):
            yield f"{lines[0].vendor} has {lines[0].object_id} for the payment {payment_id!r}, which is not in our books"


def _payment(dossier: Dossier, payment: AuditedPayment, lines: Iterable[VendorPayment]) -> Iterator[str]:
    taken_minor = back_minor = reserved_minor = 0
    reserved_now = False
    for line in lines:
        taken_minor += line.captured_minor
        back_minor += line.refunded_minor
        reserved_minor += line.authorised_minor
        reserved_now = reserved_now or line.authorisation_open
        if line.currency != payment.currency:
            yield f"{payment.payment_id} is in {payment.currency} in our books and in {line.currency} at {line.vendor}"
    pairs = [("taken", payment.captured_minor, taken_minor), ("given back", payment.refunded_minor, back_minor)]
    if payment.state in _MONEY_SEEN:
        pairs.append(("reserved", payment.authorised_minor, reserved_minor))
    for name, ours_minor, theirs_minor in pairs:
        if ours_minor != theirs_minor:
            ours, theirs = told(ours_minor, payment.currency), told(theirs_minor, payment.currency)
            yield f"{payment.payment_id}: {ours} {name} in our books, {theirs} at {payment.provider}"
    # Of a final booking invariant 2 tells; a confirmed one may have let go of an earlier payment.
    late = dossier.may_still_land(dossier.payment_tombstoned_at(payment.payment_id))
    if reserved_now and dossier.confirmed and payment.state != PaymentState.AUTHORISED and not late:
        yield f"{payment.payment_id} is {payment.state} in our books and still reserved at {payment.provider}"


def _answers(dossier: Dossier) -> Iterator[str]:
    """The booking's workflow answers once; a cancellation that came later has an answer of its own."""
    booking = dossier.booking
    recorded = {event.state for event in dossier.events}
    for answer in dossier.answers:
        if answer.state is None or answer.state not in SETTLED_STATES:
            continue
        if answer.workflow_id == workflow_id_for(dossier.booking_id):
            over = dossier.final or _was_cancelled(dossier)
            went_on = answer.state in CONFIRMED_STATES and answer.state in recorded and over
            if answer.state != booking.state and not went_on:
                yield f"{answer.workflow_id} answered {answer.state}, the booking is {booking.state}"
            taken_minor = sum(line.captured_minor for line in dossier.vendor_payments)
            if dossier.money_seen and answer.captured_minor is not None and answer.captured_minor != taken_minor:
                said, taken = told(answer.captured_minor, booking.currency), told(taken_minor, booking.currency)
                yield f"{answer.workflow_id} answered that {said} were taken, the provider has taken {taken}"
        elif answer.state == BookingState.CANCELLED:
            if booking.state != BookingState.CANCELLED:
                yield f"{answer.workflow_id} answered {answer.state}, the booking is {booking.state}"
            if answer.fee_minor is not None and answer.fee_minor != booking.fee_minor:
                yield f"{answer.workflow_id} answered another fee than the one that was disclosed"
