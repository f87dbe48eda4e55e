"""Invariants 1, 2, 3 and 20: what travellers paid, what the providers have, and what our ledger says."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from schema.states import ItemState, PaymentState
from store.audit import AuditedEntry, AuditedItem, AuditedPayment
from workers.audit.evidence import Dossier, Effect, Evidence, VendorPayment
from workers.audit.findings import Finding, told

_BOOKED = (ItemState.CONFIRMED, ItemState.IN_DOUBT)


def confirmed_is_paid(evidence: Evidence) -> Finding:
    """Confirmed: the provider keeps exactly the sum of what the suppliers have confirmed, and the fees of what was cancelled."""
    finding = Finding(1, "a confirmed trip has cost the sum of its confirmed prices")
    for dossier in evidence.dossiers:
        if not (dossier.quiet and dossier.confirmed and dossier.money_seen):
            continue
        finding.checked += 1
        due: Counter[str] = Counter({dossier.booking.currency: dossier.booking.fee_minor})
        for item in dossier.items.values():
            if item.state in _BOOKED:
                amount_minor, currency = _confirmed_price(dossier, item)
                due[currency] += amount_minor
        for currency, kept_minor, due_minor in _differences(_kept(dossier), due):
            finding.broken(
                dossier.booking_id,
                f"the provider keeps {told(kept_minor, currency)}, the suppliers have confirmed for {told(due_minor, currency)}",
            )
    return finding


def undone_costs_its_fee(evidence: Evidence) -> Finding:
    """Failed or cancelled: nothing is kept but the fee that was disclosed, and nothing is reserved on the card."""
    finding = Finding(2, "a failed or cancelled trip has cost its disclosed fee and nothing else")
    for dossier in evidence.dossiers:
        if not (dossier.quiet and dossier.final and dossier.money_seen):
            continue
        finding.checked += 1
        booking = dossier.booking
        excused = any(dossier.written_off(payment_id) for payment_id in dossier.payments)
        fee: Counter[str] = Counter({booking.currency: booking.fee_minor})
        for currency, kept_minor, fee_minor in _differences(_kept(dossier), fee):
            text = f"the provider keeps {told(kept_minor, currency)}, the disclosed fee is {told(fee_minor, currency)}"
            finding.broken(dossier.booking_id, text, excused=excused)
        for payment in dossier.vendor_payments:
            if payment.authorisation_open:
                text = f"{payment.vendor} still reserves {told(payment.authorised_minor, payment.currency)} ({payment.object_id})"
                finding.broken(dossier.booking_id, text, excused=excused)
    return finding


def never_more_than_agreed(evidence: Evidence) -> Finding:
    """At every moment: taken within reserved, given back within taken, taken within what the traveller agreed to."""
    finding = Finding(3, "never taken above what is reserved or agreed, never given back above what is taken")
    for dossier in evidence.dossiers:
        if not dossier.money_seen:
            continue
        for payment in dossier.vendor_payments:
            finding.checked += 1
            _totals(finding, dossier, payment)
        for object_id, effects in _by_object(dossier.effects).items():
            for text in _moments(effects):
                finding.broken(dossier.booking_id, f"{object_id}: {text}")
        taken: Counter[str] = Counter()
        for payment in dossier.vendor_payments:
            taken[payment.currency] += payment.captured_minor
        limit: Counter[str] = Counter({dossier.booking.currency: dossier.booking.consent_limit_minor})
        for currency, taken_minor in taken.items():
            if taken_minor > limit[currency]:
                text = (
                    f"{told(taken_minor, currency)} were taken, agreed were at most {told(limit[currency], currency)}"
                )
                finding.broken(dossier.booking_id, text)
    return finding


def ledger_balances(evidence: Evidence) -> Finding:
    """Every effect has its counter-entry, and replaying a payment's entries gives the payment."""
    finding = Finding(20, "our ledger balances, and replaying it gives each payment")
    sums: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for entry in evidence.ours.entries:
        sums[entry.effect_key, entry.currency, entry.booking_id] += entry.amount_minor
    finding.checked += len(sums)
    for (effect_key, currency, booking_id), sum_minor in sums.items():
        if sum_minor:
            finding.broken(booking_id, f"the entries of {effect_key} are {told(sum_minor, currency)} out of balance")
    for dossier in evidence.dossiers:
        entries: defaultdict[str, list[AuditedEntry]] = defaultdict(list)
        for entry in dossier.entries:
            entries[entry.payment_id].append(entry)
        for payment in dossier.payments.values():
            finding.checked += 1
            for text in _replay(payment, entries.pop(payment.payment_id, [])):
                finding.broken(dossier.booking_id, f"{payment.payment_id}: {text}")
        for payment_id in entries:
            finding.broken(
                dossier.booking_id, f"the ledger has entries of {payment_id}, which is no payment of this booking"
            )
    return finding


def _confirmed_price(dossier: Dossier, item: AuditedItem) -> tuple[int, str]:
    """By the supplier's books; by ours only where the supplier cannot be asked."""
    if not dossier.item_seen(item.item_no):
        return item.price_minor, item.currency
    confirmed = [line for line in dossier.reservations_of(item.item_no) if line.status == "confirmed"]
    confirmed.sort(key=lambda line: line.object_id != item.provider_reference)
    if not confirmed:
        return 0, item.currency
    line = confirmed[0]
    if line.price_minor is None:
        return item.price_minor, item.currency
    return line.price_minor, line.currency or item.currency


def _kept(dossier: Dossier) -> Counter[str]:
    kept: Counter[str] = Counter()
    for payment in dossier.vendor_payments:
        kept[payment.currency] += payment.kept_minor
    return kept


def _differences(kept: Counter[str], due: Counter[str]) -> Iterable[tuple[str, int, int]]:
    for currency in sorted(kept.keys() | due.keys()):
        if kept[currency] != due[currency]:
            yield currency, kept[currency], due[currency]


def _totals(finding: Finding, dossier: Dossier, payment: VendorPayment) -> None:
    back_minor = payment.refunded_minor + payment.refund_pending_minor
    if payment.captured_minor > payment.authorised_minor:
        finding.broken(dossier.booking_id, f"{payment.object_id}: more was taken than was reserved")
    if back_minor > payment.captured_minor:
        finding.broken(dossier.booking_id, f"{payment.object_id}: more was given back than was taken")


def _by_object(effects: Iterable[Effect]) -> dict[str, list[Effect]]:
    found: defaultdict[str, list[Effect]] = defaultdict(list)
    for effect in effects:
        if effect.type.startswith("payment."):
            found[effect.object_id].append(effect)
    return found


def _moments(effects: list[Effect]) -> Iterable[str]:
    """Walks through one payment as the provider's ledger tells it."""
    reserved_minor = taken_minor = 0
    back: dict[str, int] = {}
    for effect in sorted(effects, key=lambda entry: entry.seq):
        refund = str(effect.details.get("refund", effect.seq))
        if effect.type == "payment.authorised":
            reserved_minor += effect.amount_minor
        elif effect.type == "payment.voided":
            reserved_minor = 0
        elif effect.type == "payment.captured":
            if effect.amount_minor > reserved_minor:
                yield f"{told(effect.amount_minor, effect.currency)} taken of {told(reserved_minor, effect.currency)} reserved"
            taken_minor += effect.amount_minor
            reserved_minor = 0  # what was not taken is released
        elif effect.type in ("payment.refunded", "payment.refund_pending"):
            back[refund] = effect.amount_minor
            if sum(back.values()) > taken_minor:
                given = told(sum(back.values()), effect.currency)
                yield f"{given} given back of {told(taken_minor, effect.currency)} taken"
        elif effect.type == "payment.refund_failed":
            back.pop(refund, None)


def _replay(payment: AuditedPayment, entries: list[AuditedEntry]) -> Iterable[str]:
    reserved_minor = taken_minor = back_minor = 0
    for entry in entries:
        if entry.currency != payment.currency:
            yield f"{entry.effect_key} is in {entry.currency}, the payment in {payment.currency}"
        if entry.account == f"authorised:{payment.provider}":
            reserved_minor += entry.amount_minor
        elif entry.account == f"receivable:{payment.provider}":
            taken_minor += max(entry.amount_minor, 0)
            back_minor += max(-entry.amount_minor, 0)
    expected_minor = payment.authorised_minor if payment.state == PaymentState.AUTHORISED else 0
    for name, replayed_minor, stored_minor in (
        ("reserved", reserved_minor, expected_minor),
        ("taken", taken_minor, payment.captured_minor),
        ("given back", back_minor, payment.refunded_minor),
    ):
        if replayed_minor != stored_minor:
            yield (
                f"the ledger says {told(replayed_minor, payment.currency)} {name}, "
                f"the payment says {told(stored_minor, payment.currency)}"
            )
