"""Invariants 5, 6 and 8: every effect at most once, none after its undo, none believed without evidence."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime

from schema.states import ItemState, PaymentState
from store.audit import AuditedAttempt
from workers.audit.evidence import CREATING_STEPS, Dossier, Evidence, place_of
from workers.audit.findings import Finding

_ONCE = frozenset(
    {
        "flight.held",
        "flight.ticketed",
        "flight.cancelled",
        "hotel.held",
        "hotel.booked",
        "hotel.cancelled",
        "car.booked",
        "car.cancelled",
        "payment.authorised",
        "payment.captured",
        "payment.voided",
    }
)
_MADE = frozenset({"flight.held", "flight.ticketed", "hotel.held", "hotel.booked", "car.booked"})
_OPEN = ("calling", "unknown")
_PROVIDER_HAS_SPOKEN = (
    PaymentState.CAPTURED,
    PaymentState.VOIDED,
    PaymentState.REFUND_PENDING,
    PaymentState.PARTIALLY_REFUNDED,
    PaymentState.REFUNDED,
)


def one_effect_per_step(evidence: Evidence) -> Finding:
    """One order under one reference, one authorisation of one payment, one refund under one key, each effect once."""
    finding = Finding(5, "at most one effect per booking, step and generation")
    for dossier in evidence.dossiers:
        ordered: defaultdict[tuple[str, str | None], list[str]] = defaultdict(list)
        for _, reservation in dossier.reservations:
            ordered[reservation.kind, reservation.reference].append(reservation.object_id)
        for (kind, reference), object_ids in ordered.items():
            finding.checked += 1
            if len(object_ids) > 1:
                text = f"{len(object_ids)} reservations of a {kind} under {reference}: {', '.join(object_ids)}"
                finding.broken(dossier.booking_id, text)
        authorised: defaultdict[str, list[str]] = defaultdict(list)
        for payment in dossier.vendor_payments:
            if payment.authorised_minor:
                authorised[payment.payment_id or payment.object_id].append(payment.object_id)
        for payment_id, object_ids in authorised.items():
            finding.checked += 1
            if len(object_ids) > 1:
                text = f"{len(object_ids)} authorisations of {payment_id}: {', '.join(object_ids)}"
                finding.broken(dossier.booking_id, text)
        _ledger_once(finding, dossier)
    return finding


def nothing_younger_than_its_tombstone(evidence: Evidence) -> Finding:
    """What was made after its undo had forbidden it has been undone again."""
    finding = Finding(6, "no effect is younger than its tombstone")
    for dossier in evidence.dossiers:
        if not dossier.quiet:
            continue
        made = {attempt.reference for attempt in dossier.attempts if attempt.step in CREATING_STEPS}
        for reference in sorted(made):
            number = place_of(reference)[1]
            forbidden_at = dossier.tombstoned_at(reference)
            if forbidden_at is None or dossier.may_still_land(forbidden_at):
                continue
            finding.checked += 1
            name = dossier.item_name(number)
            if name in dossier.named_in_open_cases():
                continue
            for object_id in _made_after(dossier, reference, forbidden_at):
                text = f"item {number} was made as {object_id} after it had been undone at {forbidden_at:%H:%M:%S}, and is there"
                finding.broken(dossier.booking_id, text, excused=dossier.written_off(name))
        _payments_after_tombstones(finding, dossier)
    return finding


def nothing_settled_unknown(evidence: Evidence) -> Finding:
    """A settled booking rests on the vendors' answers or an operator's decisions, never on a guess."""
    finding = Finding(8, "nothing is settled while an attempt's outcome is unknown")
    for dossier in evidence.dossiers:
        if not dossier.quiet:
            continue
        for attempt in dossier.attempts:
            if attempt.step in CREATING_STEPS or attempt.item_no is None:
                finding.checked += 1
            if attempt.status in _OPEN and not _accounted_for(dossier, attempt):
                text = f"{attempt.step} at {attempt.vendor} ({attempt.key}) is still {attempt.status}"
                finding.broken(dossier.booking_id, f"{text}, and the booking is {dossier.booking.state}")
        for item in dossier.items.values():
            if dossier.confirmed and item.state == ItemState.IN_DOUBT:
                finding.broken(dossier.booking_id, f"item {item.item_no} is in doubt in a confirmed booking")
            if item.state == ItemState.CONFIRMED and not _confirmed_by_vendor(dossier, item.item_no):
                finding.broken(
                    dossier.booking_id, f"item {item.item_no} is confirmed without {item.supplier} having said so"
                )
        for payment in dossier.payments.values():
            if payment.captured_minor and not _captured_by_vendor(dossier, payment.payment_id):
                text = f"{payment.payment_id} is captured without {payment.provider} having said so"
                finding.broken(dossier.booking_id, text)
    return finding


def _ledger_once(finding: Finding, dossier: Dossier) -> None:
    times: Counter[tuple[str, str, str]] = Counter()
    refunds: defaultdict[str, set[str]] = defaultdict(set)
    for effect in dossier.effects:
        refund = str(effect.details.get("refund", effect.seq))
        if effect.type in _ONCE:
            # A hotel is cancelled room by room.
            times[effect.type, effect.object_id, str(effect.details.get("room", ""))] += 1
        elif effect.type in ("payment.refunded", "payment.refund_pending"):
            refunds[effect.told("key") or refund].add(refund)
    finding.checked += len(times) + len(refunds)
    for (kind, object_id, _), count in times.items():
        if count > 1:
            finding.broken(dossier.booking_id, f"{kind} happened {count} times to {object_id}")
    for key, ids in refunds.items():
        if len(ids) > 1:
            finding.broken(dossier.booking_id, f"{len(ids)} refunds under the key {key}: {', '.join(sorted(ids))}")


def _made_after(dossier: Dossier, reference: str, forbidden_at: datetime) -> Iterable[str]:
    """Objects that are there and were made, or confirmed, after the moment; by the ledger if there is one."""
    late = {
        effect.object_id
        for effect in dossier.effects
        if effect.type in _MADE and effect.told("reference") == reference and effect.at > forbidden_at
    }
    of_reference = [line for _, line in dossier.reservations if line.reference == reference]
    late |= {line.object_id for line in of_reference if line.created_at is not None and line.created_at > forbidden_at}
    return sorted(late & {line.object_id for line in of_reference if line.live})


def _payments_after_tombstones(finding: Finding, dossier: Dossier) -> None:
    authorised_at = {effect.object_id: effect.at for effect in dossier.effects if effect.type == "payment.authorised"}
    for payment in dossier.vendor_payments:
        forbidden_at = dossier.payment_tombstoned_at(payment.payment_id or "")
        if forbidden_at is None or dossier.may_still_land(forbidden_at):
            continue
        finding.checked += 1
        made_at = authorised_at.get(payment.object_id, payment.created_at)
        there = payment.authorisation_open or payment.kept_minor > 0
        if there and made_at is not None and made_at > forbidden_at:
            finding.broken(
                dossier.booking_id,
                f"{payment.payment_id} was authorised as {payment.object_id} after it had been undone, and is there",
                excused=dossier.written_off(payment.payment_id or ""),
            )


def _accounted_for(dossier: Dossier, attempt: AuditedAttempt) -> bool:
    """Forbidden and looked for, or superseded by what the vendor said since, or decided by an operator."""
    if attempt.tombstoned_at is not None:
        return True
    if attempt.item_no is not None:
        # An undo is repeated until the supplier shows that nothing is left; invariant 4 reads the supplier's books.
        undo = attempt.step not in CREATING_STEPS
        return undo or dossier.operator_decided(dossier.item_name(attempt.item_no))
    if dossier.operator_decided(attempt.reference) or attempt.step == "void":
        return True
    payment = dossier.payments.get(attempt.reference)
    if attempt.step.startswith("refund-"):
        reason = attempt.key.rsplit(":", 1)[0]
        return any(refund.status == "succeeded" and refund.key.startswith(f"{reason}:") for refund in dossier.refunds)
    of_the_payment = attempt.step in ("capture", "reauthorise")
    return of_the_payment and payment is not None and payment.state in _PROVIDER_HAS_SPOKEN


def _confirmed_by_vendor(dossier: Dossier, item_no: int) -> bool:
    return dossier.operator_decided(dossier.item_name(item_no)) or any(
        attempt.item_no == item_no and attempt.step in ("book", "confirm") and attempt.status == "confirmed"
        for attempt in dossier.attempts
    )


def _captured_by_vendor(dossier: Dossier, payment_id: str) -> bool:
    return dossier.operator_decided(payment_id) or any(
        attempt.step == "capture" and attempt.reference == payment_id and attempt.status == "confirmed"
        for attempt in dossier.attempts
    )
