"""Taking the evidence of a live system, in an order that makes books of different moments comparable.

First the versions of our bookings, then the workflows and the vendors, then our books in one snapshot. So every effect a vendor
shows was announced in our books before we read them, and a booking whose version moved meanwhile is known to have moved.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from temporalio.service import RPCError

from gateways.ports import Vendors
from gateways.registry import build_vendors
from schema.bookings import SagaPolicy
from schema.settings import Settings, SettingsError
from store import audit as store_audit
from store import audited_notices
from store.database import Database
from workers.audit.evidence import Bounds, Evidence, VendorEvidence, WorkflowAnswer
from workers.audit.histories import read_answers
from workers.audit.vendor_books import LOOKED_UP_AT_MOST, GatewayBooks, SandboxBooks, VendorBooks
from workers.temporal import temporal_connection

HISTORIES: Final = 25
"""How many bookings' workflows are read: a history is large, and the sample is the newest."""
_TEMPORAL_TIMEOUT_S: Final = 30
_CONNECTIONS: Final = 2


async def gather(
    settings: Settings,
    booking_ids: list[str] | None = None,
    *,
    policy: SagaPolicy | None = None,
    histories: int = HISTORIES,
) -> Evidence:
    """Everything about all bookings, or about those that are named. `policy`: what the sagas run under, if not the settings'.

    Raises SQLAlchemyError or httpx.HTTPError when our books or the sandbox's cannot be read; Temporal may be away.
    """
    database = Database(str(settings.database_url), _CONNECTIONS)
    vendors = build_vendors(settings)
    try:
        async with database.read() as connection:
            before = await store_audit.versions(connection, booking_ids)
            sample = await store_audit.newest(connection, booking_ids, histories)
        answers, notes = await _answers(settings, database, sample)
        vendors_read_at = datetime.now(UTC)
        books = await _books_of(settings, database, vendors).read(booking_ids)
        async with database.transaction() as connection:
            ours = await store_audit.read_books(connection, booking_ids)
    finally:
        await vendors.aclose()
        await database.aclose()
    return Evidence(
        taken_at=datetime.now(UTC),
        ours=ours,
        vendors=books,
        bounds=bounds_of(policy or settings.saga, vendors),
        answers=answers,
        vendors_read_at=vendors_read_at,
        in_motion=frozenset(
            booking.booking_id for booking in ours.bookings if before.get(booking.booking_id) != booking.version
        ),
        whole=booking_ids is None,
        notes=[*notes, *_vendor_notes(books, len(ours.bookings))],
    )


def bounds_of(policy: SagaPolicy, vendors: Vendors) -> Bounds:
    """How long what is under way may take, by the policy and what the vendors declare."""
    lags = [supplier.capabilities.lookup_lag_s for supplier in vendors.suppliers()]
    late_effect_s = policy.step_timeout_s + max(lags, default=0) + policy.undo_budget_s
    return Bounds(
        late_effect_s=late_effect_s,
        still_s=late_effect_s + policy.undo_budget_s + policy.step_timeout_s * policy.retry_attempts,
        waits_s={
            "traveller": policy.consent_timeout_s,
            "customer": policy.payment_action_timeout_s,
            "provider": policy.refund_timeout_s,
        },
    )


async def _answers(
    settings: Settings, database: Database, sample: list[str]
) -> tuple[Sequence[WorkflowAnswer] | None, list[str]]:
    """The answers of the sample, and what to say about what is missing."""
    if not sample:
        return None, []
    async with database.read() as connection:
        others = await store_audit.cancellations(connection, sample)
        told = await audited_notices.workflows(connection, sample)
    try:
        async with asyncio.timeout(_TEMPORAL_TIMEOUT_S):
            client = await temporal_connection(settings)
            answers = await read_answers(client, {one: [*others[one], *told.get(one, ())] for one in others})
    except (OSError, TimeoutError, RPCError, SettingsError) as error:
        return None, [f"the workflows were not looked at: Temporal is away ({type(error).__name__})"]
    found = len({answer.booking_id for answer in answers})
    return answers, [f"the workflows of the {found} newest bookings only were looked at"]


def _books_of(settings: Settings, database: Database, vendors: Vendors) -> VendorBooks:
    if settings.sandbox_url is not None:
        return SandboxBooks(str(settings.sandbox_url))
    return GatewayBooks(database, vendors)


def _vendor_notes(books: VendorEvidence, bookings: int) -> list[str]:
    notes: list[str] = []
    if books.seen is not None and len(books.seen) < bookings:
        notes.append(f"the vendors were asked about the {LOOKED_UP_AT_MOST} newest of {bookings} bookings only")
    if books.effects is None:
        notes.append(
            "the vendors show no ledger and no list of what is ours: order of effects and strangers were not checked"
        )
    reasons = Counter((unseen.vendor, unseen.why) for unseen in books.unseen)
    notes += [f"{vendor} did not show {count} of ours: {why}" for (vendor, why), count in reasons.most_common()]
    return notes
