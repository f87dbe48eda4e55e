"""The vendors' books: from the sandbox whole, from real vendors one reference after the other, as far as their contracts allow."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter

from gateways.ports import LookUp, PaymentProvider, ProviderPayment, Vendors
from schema.errors import TravelHubError
from schema.states import ItemState, PaymentState
from store import audit as store_audit
from store.audit import AuditedPayment, AuditedRefund, ToLookUp
from store.database import Database
from workers.audit.evidence import (
    Effect,
    Unseen,
    VendorEvidence,
    VendorNotice,
    VendorPayment,
    VendorReservation,
    place_of,
)

CORRELATION_ID = "audit"
LOOKED_UP_AT_MOST = 200
"""Bookings, newest first: real vendors count every question against our quota."""
_NOTHING_THERE = (PaymentState.DECLINED, PaymentState.VOIDED)
"""Of a payment without a reference; who cannot be asked by ours was asked before we said so."""
_AT_ONCE = 8
_SANDBOX_TIMEOUT_S = 60
_Answer = TypeVar("_Answer")


class VendorBooks(Protocol):
    """Where the vendors' side of the evidence comes from."""

    async def read(self, booking_ids: list[str] | None) -> VendorEvidence:
        """What the vendors have of these bookings; None: of all."""
        ...


class _Reservation(BaseModel):
    vendor: str
    kind: str
    object_id: str
    metadata: dict[str, object] | None
    status: str
    price_minor: int | None
    currency: str | None
    created_at: datetime | None


class _Payment(BaseModel):
    vendor: str
    object_id: str
    metadata: dict[str, object] | None
    status: str
    authorised_minor: int
    captured_minor: int
    refunded_minor: int
    refund_pending_minor: int
    currency: str
    authorisation_open: bool
    created_at: datetime | None


class _Notice(BaseModel):
    vendor: str
    object_id: str
    metadata: dict[str, object] | None
    status: str


class _Books(BaseModel):
    reservations: list[_Reservation]
    payments: list[_Payment]
    notices: list[_Notice] = []


class _Entry(BaseModel):
    seq: int
    at: datetime
    vendor: str
    type: str
    object_id: str
    metadata: dict[str, object] | None
    amount_minor: int | None
    currency: str | None
    details: dict[str, object] | None


_LEDGER: TypeAdapter[list[_Entry]] = TypeAdapter(list[_Entry])


class SandboxBooks:
    """Everything the simulated vendors have, with their ledgers."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def read(self, booking_ids: list[str] | None) -> VendorEvidence:
        """Raises httpx.HTTPError when the sandbox cannot be reached."""
        # One booking is searched for by the sandbox; of several the whole books are cheaper.
        query = {"contains": booking_ids[0]} if booking_ids is not None and len(booking_ids) == 1 else {}
        async with httpx.AsyncClient(base_url=self._url, timeout=_SANDBOX_TIMEOUT_S, trust_env=False) as client:
            books_answer = await client.get("/_sandbox/books", params=query)
            ledger_answer = await client.get("/_sandbox/ledger", params=query)
        books = _Books.model_validate_json(books_answer.raise_for_status().content)
        entries = _LEDGER.validate_json(ledger_answer.raise_for_status().content)
        wanted = None if booking_ids is None else set(booking_ids)

        def ours(booking_id: str | None) -> bool:
            return wanted is None or booking_id in wanted

        reservations = [_reservation(line) for line in books.reservations]
        payments = [_payment(line) for line in books.payments]
        effects = [_effect(entry) for entry in entries]
        return VendorEvidence(
            # One booking's are not told apart by the sandbox, which knows notices by our ids only.
            notices=None if query else [_notice(line) for line in books.notices],
            reservations=[line for line in reservations if ours(place_of(line.reference)[0])],
            payments=[line for line in payments if ours(line.booking_id)],
            effects=[
                entry for entry in effects if ours(entry.told("booking_id") or place_of(entry.told("reference"))[0])
            ],
        )


class GatewayBooks:
    """Real vendors, asked by reference. They show no ledger, and nothing of ours that we do not ask for."""

    def __init__(self, database: Database, vendors: Vendors, limit: int = LOOKED_UP_AT_MOST) -> None:
        self._database = database
        self._vendors = vendors
        self._limit = limit
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def read(self, booking_ids: list[str] | None) -> VendorEvidence:
        async with self._database.read() as connection:
            asked = await store_audit.newest(connection, booking_ids, self._limit)
            wanted = await store_audit.to_look_up(connection, asked)
        async with self._database.transaction() as connection:
            ours = await store_audit.read_books(connection, asked)
        refunds: dict[str, list[AuditedRefund]] = {payment.payment_id: [] for payment in ours.payments}
        for refund in ours.refunds:
            refunds[refund.payment_id].append(refund)
        items = await asyncio.gather(*(self._reservation(entry) for entry in wanted))
        payments = await asyncio.gather(
            *(self._payment(payment, refunds[payment.payment_id]) for payment in ours.payments)
        )
        found = [*items, *payments]
        return VendorEvidence(
            reservations=[line for line in found if isinstance(line, VendorReservation)],
            payments=[line for line in found if isinstance(line, VendorPayment)],
            effects=None,
            unseen=[line for line in found if isinstance(line, Unseen)],
            seen=frozenset(asked),
        )

    async def _reservation(self, entry: ToLookUp) -> VendorReservation | Unseen | None:
        item = entry.item
        look_up = LookUp(
            reference=item.client_reference,
            provider_reference=item.provider_booking_ref,
            supplier_state=item.supplier_state,
            travellers=entry.travellers,
            since=entry.since,
            correlation_id=CORRELATION_ID,
        )
        supplier = self._vendors.supplier(item.supplier)
        nameless = item.provider_booking_ref is None and not supplier.capabilities.lookup_by_reference
        if nameless and item.state == ItemState.RELEASED:
            return None
        found = await self._asked(lambda: supplier.find(look_up))
        if isinstance(found, str):
            return Unseen(entry.booking_id, item.supplier, found, item.item_no)
        if found is None:
            return None
        return VendorReservation(
            vendor=item.supplier,
            kind=item.kind,
            object_id=found.provider_reference,
            reference=item.client_reference,
            status=found.status,
            price_minor=found.price.amount_minor if found.price else None,
            currency=found.price.currency if found.price else None,
        )

    async def _payment(
        self, payment: AuditedPayment, refunds: Sequence[AuditedRefund]
    ) -> VendorPayment | Unseen | None:
        provider = self._vendors.payments(payment.provider)
        reference = payment.provider_reference
        found: ProviderPayment | str | None
        if reference is None and payment.state in _NOTHING_THERE and not provider.capabilities.lookup_by_reference:
            return None
        if reference is not None:
            found = await self._asked(lambda: provider.get(reference, CORRELATION_ID))
        else:
            found = await self._asked(lambda: provider.find(payment.payment_id, payment.created_at, CORRELATION_ID))
        if isinstance(found, str):
            return Unseen(payment.booking_id, payment.provider, found)
        if found is None:
            return None
        pending = await self._pending(provider, refunds)
        if isinstance(pending, str):
            return Unseen(payment.booking_id, payment.provider, pending)
        return VendorPayment(
            vendor=payment.provider,
            object_id=found.provider_reference,
            booking_id=payment.booking_id,
            payment_id=payment.payment_id,
            status=found.status,
            authorised_minor=found.authorised.amount_minor,
            captured_minor=found.captured.amount_minor,
            # The provider counts a refund as done while it is still on its way.
            refunded_minor=found.refunded.amount_minor - pending,
            refund_pending_minor=pending,
            currency=found.captured.currency,
            authorisation_open=found.status == "authorised",
        )

    async def _pending(self, provider: PaymentProvider, refunds: Sequence[AuditedRefund]) -> int | str:
        """What of the refunds that we know has not arrived yet."""
        pending_minor = 0
        for refund in refunds:
            reference = refund.provider_reference
            if reference is None or refund.status == "succeeded":
                continue

            async def ask(reference: str = reference) -> int:
                found = await provider.get_refund(reference, CORRELATION_ID)
                return found.amount.amount_minor if found.status == "pending" else 0

            amount_minor = await self._asked(ask)
            if isinstance(amount_minor, str):
                return amount_minor
            pending_minor += amount_minor
        return pending_minor

    async def _asked(self, question: Callable[[], Awaitable[_Answer]]) -> _Answer | str:
        """The answer, or why there is none."""
        async with self._turn:
            try:
                return await question()
            except NotImplementedError as error:
                return str(error)
            except TravelHubError as error:
                return error.message


def _text(metadata: dict[str, object] | None, name: str) -> str | None:
    value = (metadata or {}).get(name)
    return value if isinstance(value, str) else None


def _reservation(line: _Reservation) -> VendorReservation:
    return VendorReservation(
        vendor=line.vendor,
        kind=line.kind,
        object_id=line.object_id,
        reference=_text(line.metadata, "reference"),
        status=line.status,
        price_minor=line.price_minor,
        currency=line.currency,
        created_at=line.created_at,
    )


def _notice(line: _Notice) -> VendorNotice:
    return VendorNotice(
        vendor=line.vendor,
        object_id=line.object_id,
        notification_id=_text(line.metadata, "notification_id"),
        status=line.status,
    )


def _payment(line: _Payment) -> VendorPayment:
    return VendorPayment(
        vendor=line.vendor,
        object_id=line.object_id,
        booking_id=_text(line.metadata, "booking_id"),
        payment_id=_text(line.metadata, "payment_id"),
        status=line.status,
        authorised_minor=line.authorised_minor,
        captured_minor=line.captured_minor,
        refunded_minor=line.refunded_minor,
        refund_pending_minor=line.refund_pending_minor,
        currency=line.currency,
        authorisation_open=line.authorisation_open,
        created_at=line.created_at,
    )


def _effect(entry: _Entry) -> Effect:
    return Effect(
        seq=entry.seq,
        at=entry.at,
        vendor=entry.vendor,
        type=entry.type,
        object_id=entry.object_id,
        metadata=entry.metadata or {},
        amount_minor=entry.amount_minor or 0,
        currency=entry.currency,
        details=entry.details or {},
    )
