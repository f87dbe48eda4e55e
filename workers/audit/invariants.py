"""Every invariant of docs/reliability.md that can be read off a system's books, each by one pure function."""

import asyncio
from collections.abc import Callable
from typing import Final

from workers.audit.agreement import books_agree
from workers.audit.effects import nothing_settled_unknown, nothing_younger_than_its_tombstone, one_effect_per_step
from workers.audit.evidence import Evidence
from workers.audit.findings import AuditReport, Finding
from workers.audit.inventory import no_capture_after_a_lost_hold, nothing_live_unlisted, undo_touched_only_its_own
from workers.audit.money import confirmed_is_paid, ledger_balances, never_more_than_agreed, undone_costs_its_fee
from workers.audit.privacy import nothing_personal
from workers.audit.progress import (
    every_booking_gets_somewhere,
    one_booking_per_key,
    only_legal_transitions,
    operators_are_told,
)
from workers.audit.telling import told_once_and_never_early

INVARIANTS: Final[tuple[Callable[[Evidence], Finding], ...]] = (
    confirmed_is_paid,
    undone_costs_its_fee,
    never_more_than_agreed,
    nothing_live_unlisted,
    one_effect_per_step,
    nothing_younger_than_its_tombstone,
    no_capture_after_a_lost_hold,
    nothing_settled_unknown,
    told_once_and_never_early,
    every_booking_gets_somewhere,
    operators_are_told,
    books_agree,
    only_legal_transitions,
    one_booking_per_key,
    nothing_personal,
    undo_touched_only_its_own,
    ledger_balances,
)
"""1 to 14, 18 to 20; 15 to 17 are of tests, not of books."""


def check(evidence: Evidence) -> AuditReport:
    """Judges the evidence. Pure: the same evidence has the same report."""
    ours, vendors = evidence.ours, evidence.vendors
    looked_at = {
        "bookings": len(ours.bookings),
        "items": len(ours.items),
        "attempts": len(ours.attempts),
        "events": len(ours.events),
        "ledger entries": len(ours.entries),
        "suppliers' reservations": len(vendors.reservations),
        "providers' payments": len(vendors.payments),
        "notifications": len(ours.notices),
        "messages to travellers": len(vendors.notices or ()),
        "vendors' ledger entries": len(vendors.effects or ()),
        "workflow histories": len(evidence.answers or ()),
    }
    findings = [invariant(evidence) for invariant in INVARIANTS]
    return AuditReport(evidence.taken_at, findings, looked_at, evidence.notes)


async def audit(evidence: Evidence) -> AuditReport:
    """`check` beside the event loop: many bookings take a while."""
    return await asyncio.to_thread(check, evidence)
