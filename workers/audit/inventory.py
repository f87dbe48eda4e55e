"""Invariants 4, 7 and 19: what suppliers hold for us, and what was undone."""

from collections.abc import Iterable

from schema.states import ItemState
from store.proving import made_by_hand
from workers.audit.evidence import Dossier, Effect, Evidence, VendorReservation, place_of
from workers.audit.findings import Finding

_UNDONE = (ItemState.RELEASED, ItemState.CANCELLED, ItemState.LEFT_OUT)
_CANCELLED = frozenset({"flight.cancelled", "hotel.cancelled", "car.cancelled"})
_CONFIRMED = frozenset({"flight.ticketed", "hotel.booked", "car.booked"})
NO_LEDGER = "the vendors keep no ledger that we may read"


def nothing_live_unlisted(evidence: Evidence) -> Finding:
    """What is held or confirmed at a supplier is listed as live by its booking, or its booking is still being worked on."""
    finding = Finding(4, "no supplier keeps a reservation that its booking does not list")
    for dossier in evidence.dossiers:
        if not dossier.quiet:
            continue
        for number, reservation in dossier.live():
            finding.checked += 1
            item = dossier.items.get(number)
            # By its id: beside the item that another supplier has confirmed, the refused one must be gone.
            listed = (
                dossier.confirmed
                and item is not None
                and item.state == ItemState.CONFIRMED
                and item.provider_reference == reservation.object_id
            )
            name = dossier.item_name(number)
            forbidden_at = dossier.tombstoned_at(reservation.reference)
            waits = dossier.may_still_land(forbidden_at) or name in dossier.named_in_open_cases()
            if listed or waits:
                continue
            state = item.state if item is not None else "not in our books"
            finding.broken(
                dossier.booking_id,
                f"{_said(reservation)}; the booking is {dossier.booking.state} and its item {number} is {state}",
                excused=dossier.written_off(name),
            )
    for reservation in evidence.nobodys_reservations():
        finding.checked += 1
        if reservation.live:
            booking_id = place_of(reservation.reference)[0] or None
            finding.broken(booking_id, f"{_said(reservation)}; none of our bookings knows of it")
    return finding


def no_capture_after_a_lost_hold(evidence: Evidence) -> Finding:
    """Money is not taken once the hold of something the trip cannot do without has ended."""
    finding = Finding(7, "never taken after a required hold had expired")
    if evidence.vendors.effects is None:
        finding.not_checked = NO_LEDGER
        return finding
    for dossier in evidence.dossiers:
        captures = [effect for effect in dossier.effects if effect.type == "payment.captured"]
        for capture in captures:
            finding.checked += 1
            for number, expired in _lost_holds(dossier, capture):
                text = f"{expired.vendor} let go of item {number} ({expired.object_id}) before {capture.object_id} was captured"
                finding.broken(dossier.booking_id, text)
    return finding


def undo_touched_only_its_own(evidence: Evidence) -> Finding:
    """Whatever was cancelled, voided or refunded at a vendor is something that we undid."""
    finding = Finding(19, "an undo never touched another attempt's effect")
    for dossier in evidence.dossiers:
        cancelled = {(reference, line.object_id): line.vendor for reference, line in _cancelled(dossier)}
        for (reference, object_id), vendor in cancelled.items():
            finding.checked += 1
            number = place_of(reference)[1]
            item = dossier.items.get(number)
            undone = dossier.tombstoned_at(reference) is not None or (item is not None and item.state in _UNDONE)
            if not undone:
                state = item.state if item is not None else "not in our books"
                text = f"{vendor} has cancelled {object_id}, although we never undid item {number}, which is {state}"
                finding.broken(dossier.booking_id, text)
        _money_undone(finding, dossier)
    return finding


def _lost_holds(dossier: Dossier, capture: Effect) -> Iterable[tuple[int, Effect]]:
    for expired in dossier.effects:
        number = place_of(expired.told("reference"))[1]
        item = dossier.items.get(number)
        if not expired.type.endswith(".hold_expired") or expired.seq > capture.seq or item is None or not item.required:
            continue
        replaced = any(
            effect.type in _CONFIRMED
            and place_of(effect.told("reference"))[1] == number
            and expired.seq < effect.seq < capture.seq
            for effect in dossier.effects
        )
        if not replaced:
            yield number, expired


def _cancelled(dossier: Dossier) -> Iterable[tuple[str | None, VendorReservation | Effect]]:
    for _, reservation in dossier.reservations:
        if reservation.status == "cancelled":
            yield reservation.reference, reservation
    for effect in dossier.effects:
        if effect.type in _CANCELLED:
            yield effect.told("reference"), effect


def _money_undone(finding: Finding, dossier: Dossier) -> None:
    refunds = {refund.key: refund.payment_id for refund in dossier.refunds}
    # One that was made by hand at the provider has no key of ours; reconciliation has put it into our books by its id.
    refunds |= {
        refund.provider_reference or refund.key: refund.payment_id
        for refund in dossier.refunds
        if made_by_hand(refund.key)
    }
    for effect in dossier.effects:
        payment_id = effect.told("payment_id") or ""
        if effect.type == "payment.voided":
            finding.checked += 1
            by_itself = "expired" in effect.details or "capture_failed" in effect.details
            if not by_itself and dossier.payment_tombstoned_at(payment_id) is None:
                text = f"{effect.vendor} has voided {effect.object_id}, although we never undid {payment_id}"
                finding.broken(dossier.booking_id, text)
        elif effect.type in ("payment.refunded", "payment.refund_pending"):
            finding.checked += 1
            key = effect.told("key") or ""
            by_its_id = str(effect.details.get("refund", ""))
            if payment_id not in (refunds.get(key), refunds.get(by_its_id)):
                text = f"{effect.vendor} has refunded {effect.object_id} under the key {key!r}, which is no refund of {payment_id}"
                finding.broken(dossier.booking_id, text)


def _said(reservation: VendorReservation) -> str:
    return f"{reservation.vendor} has {reservation.kind} {reservation.object_id} as {reservation.status}"
