"""Invariants 10, 11, 13 and 14: bookings get somewhere, people are told what is left, states are legal, keys are unique."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

from schema.bookings import workflow_id_for
from schema.references import booking_id_for
from schema.states import CONFIRMED_STATES, FINAL_STATES, SETTLED_STATES, BookingState, ItemState, is_legal
from workers.audit.evidence import Dossier, Evidence
from workers.audit.findings import Finding, told

_UNDOING = (BookingState.COMPENSATING, BookingState.CANCELLING, BookingState.REFUND_PENDING)


def every_booking_gets_somewhere(evidence: Evidence) -> Finding:
    """Settled, with an operator, waiting for somebody within that wait's own deadline, or moving."""
    finding = Finding(10, "every booking is settled, moving, or waits for somebody")
    for dossier in evidence.dossiers:
        finding.checked += 1
        if dossier.booking.state in SETTLED_STATES or dossier.in_motion:
            continue
        for text in _stuck(dossier):
            finding.broken(dossier.booking_id, text)
    return finding


def operators_are_told(evidence: Evidence) -> Finding:
    """NEEDS_OPERATOR has an open case, and the case names every effect that is left at a vendor and should not be."""
    finding = Finding(11, "a booking that needs an operator names every outstanding effect")
    for dossier in evidence.dossiers:
        open_cases = [case for case in dossier.cases if case.resolved_at is None]
        if dossier.booking.state == BookingState.FAILED and open_cases and not dossier.in_motion:
            finding.broken(dossier.booking_id, f"case {open_cases[0].case_id} is open although the booking is FAILED")
        if dossier.booking.state != BookingState.NEEDS_OPERATOR or dossier.in_motion:
            continue
        finding.checked += 1
        if not open_cases:
            finding.broken(dossier.booking_id, "it needs an operator and has no open case")
            continue
        named = dossier.named_in_open_cases()
        for name, text in _outstanding(dossier):
            if name not in named:
                finding.broken(dossier.booking_id, f"{text}, and no open case names it")
    return finding


def only_legal_transitions(evidence: Evidence) -> Finding:
    """Begins as PENDING, moves by the table, and ends at a final state."""
    finding = Finding(13, "only legal transitions, and final is final")
    for dossier in evidence.dossiers:
        finding.checked += len(dossier.events)
        states: list[BookingState] = []
        for event in dossier.events:
            try:
                states.append(BookingState(event.state))
            except ValueError:
                finding.broken(dossier.booking_id, f"version {event.version} has the unknown state {event.state}")
        if states and states[0] != BookingState.PENDING:
            finding.broken(dossier.booking_id, f"it began as {states[0]}")
        for before, after in pairwise(states):
            if before in FINAL_STATES:
                finding.broken(dossier.booking_id, f"{after} was recorded after it had ended as {before}")
            elif not is_legal(before, after):
                finding.broken(dossier.booking_id, f"it went from {before} to {after}")
    return finding


def one_booking_per_key(evidence: Evidence) -> Finding:
    """A client's key is one booking, whose id follows from it, and whose body is known by its fingerprint."""
    finding = Finding(14, "one booking per client and key")
    owners: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for booking in evidence.ours.bookings:
        finding.checked += 1
        owners[booking.client_id, booking.idempotency_key].append(booking.booking_id)
        if not booking.fingerprint:
            finding.broken(booking.booking_id, "the fingerprint of its request is missing")
        if booking.booking_id != booking_id_for(booking.client_id, booking.idempotency_key):
            finding.broken(booking.booking_id, "its id is not the one that its client and key make")
    for booking_ids in owners.values():
        if len(booking_ids) > 1:
            finding.broken(booking_ids[0], f"it shares its client and key with {', '.join(booking_ids[1:])}")
    return finding


def _stuck(dossier: Dossier) -> Iterator[str]:
    booking = dossier.booking
    # A trip that was confirmed is now in the hands of its cancellation, which must have been looked at too.
    handed_over = any(event.state in CONFIRMED_STATES for event in dossier.events)
    first = workflow_id_for(dossier.booking_id)
    answers = [answer for answer in dossier.answers if not handed_over or answer.workflow_id != first]
    if answers and not any(answer.running for answer in answers):
        yield f"it is {booking.state}, and {answers[-1].workflow_id} has ended: nobody works on it"
        return
    if booking.state == BookingState.NEEDS_OPERATOR:
        return
    still_s = (dossier.taken_at - booking.updated_at).total_seconds()
    who = (booking.waiting_for or "").split(":")[0]
    bound_s = dossier.bounds.still_s + (dossier.bounds.waits_s.get(who, 0) if who else 0)
    if still_s > bound_s:
        waiting = f", waiting for {booking.waiting_for}," if booking.waiting_for else ""
        yield f"it is {booking.state}{waiting} and has not moved for {timedelta(seconds=round(still_s))}"


def _outstanding(dossier: Dossier) -> Iterator[tuple[str, str]]:
    """While a trip is being made, what our books list as live is no trouble; while it is being undone, whatever is left is."""
    before = next((event.state for event in reversed(dossier.events) if event.state != BookingState.NEEDS_OPERATOR), "")
    undoing = before in _UNDOING
    for number, reservation in dossier.live():
        item = dossier.items.get(number)
        expected = item is not None and item.state in (ItemState.HELD, ItemState.CONFIRMED)
        if undoing or not expected:
            state = item.state if item is not None else "unknown to us"
            yield (
                dossier.item_name(number),
                f"{reservation.vendor} has {reservation.object_id} as {reservation.status}, item {number} is {state}",
            )
    # A cancellation cancels every item before it pays anything back.
    if not undoing or before == BookingState.CANCELLING:
        return
    for payment in dossier.vendor_payments:
        name = payment.payment_id or payment.object_id
        left_minor = payment.kept_minor - dossier.booking.fee_minor
        if payment.authorisation_open:
            yield name, f"{payment.vendor} still reserves {told(payment.authorised_minor, payment.currency)}"
        elif left_minor > 0:
            yield name, f"{payment.vendor} still keeps {told(left_minor, payment.currency)}"
