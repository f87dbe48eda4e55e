"""The way of a new booking into the house: admitted, checked, stored in one transaction, its saga started, perhaps waited for.

The key is held by the booking's own row, whose id is made from it: a repeat finds that row whatever else was lost.
"""

import asyncio
import hashlib
import re
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from api.admission import start_saga
from api.booking_checks import checked_booking
from api.models import BookingRequest
from api.problems import refusal
from api.search_views import UNAVAILABLE
from api.services import Services
from schema.errors import ClientError, InvalidRequest, ServiceUnavailable
from schema.model import Message
from schema.money import Money
from schema.references import booking_id_for
from schema.states import SETTLED_STATES, BookingState, ItemState
from store import bookings, offers
from store.clients import ApiClient
from store.offers import StoredOffer
from store.records import NewBooking, Progress, StoredBooking, StoredItem

MAX_WAIT_S: Final = 30
_FIRST_PAUSE_S: Final = 0.025
_LONGEST_PAUSE_S: Final = 0.5
_WAIT: Final = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)
_SLOW_STATES: Final = frozenset({BookingState.PRICE_CHANGED, BookingState.NEEDS_OPERATOR, BookingState.REFUND_PENDING})
"""People or banks decide here: nobody waits for them with an open connection."""


class Intake(Message):
    booking: StoredBooking
    replayed: bool
    """The key was used before: this is the booking it made then, as it stands now."""


async def take_in(
    services: Services, client: ApiClient, key: str, request: BookingRequest, body: bytes, correlation_id: str
) -> Intake:
    """Raises Refused or ServiceUnavailable; then nothing was written."""
    booking_id = booking_id_for(client.client_id, key)
    fingerprint = hashlib.sha256(body).digest()
    try:
        _check_tolerance(request, services.settings.price_tolerance_max_percent)
        _check_payable(services, request)
        await services.gate.check()
        async with services.database.read() as connection:
            found = await offers.load(connection, client.client_id, [choice.offer_id for choice in request.items])
        await _check_reachable(services, found)
        new = checked_booking(
            request,
            found,
            booking_id=booking_id,
            client_id=client.client_id,
            idempotency_key=key,
            fingerprint=fingerprint,
            correlation_id=correlation_id,
            now=datetime.now(UTC),
        )
    except (ClientError, ServiceUnavailable):
        # What was answered under this key stands, although the offers may have expired since, or the house be full.
        earlier = await _earlier(services, client, booking_id, fingerprint)
        if earlier is None:
            raise
        return earlier
    async with services.database.transaction() as connection:
        created_at = await bookings.create(connection, new)
    if created_at is None:
        earlier = await _earlier(services, client, booking_id, fingerprint)
        if earlier is None:
            raise InvalidRequest("the key belongs to a booking that was deleted", code="idempotency_key_reused")
        return earlier
    services.gate.passed()
    booking = _as_stored(new, created_at)
    await _start(services, booking)
    return Intake(booking=booking, replayed=False)


async def _check_reachable(services: Services, found: dict[str, StoredOffer]) -> None:
    """Read-only mode (C-3d): a trip is not begun whose supplier, and everybody like it, cannot be reached."""
    for stored in found.values():
        opens_again_in_s = await services.search.circuits.opens_again_in_s(stored.offer.kind)
        if opens_again_in_s is not None:
            raise ServiceUnavailable(UNAVAILABLE, code="booking_unavailable", retry_after_s=opens_again_in_s)


def _check_payable(services: Services, request: BookingRequest) -> None:
    """A provider may be known to the contract and not be set up here."""
    methods = (("/payment", request.payment), ("/backup_payment", request.backup_payment))
    for field, method in methods:
        if method is None:
            continue
        try:
            services.vendors.payments(method.provider)
        except KeyError:
            raise InvalidRequest(
                f"payments by {method.provider} are not taken here", code="payment_method_unavailable", field=field
            ) from None


def _check_tolerance(request: BookingRequest, most_percent: int) -> None:
    if request.price_tolerance_percent > most_percent:
        raise refusal(
            "invalid_request", f"at most {most_percent} % may be agreed to beforehand", "/price_tolerance_percent"
        )


async def _earlier(services: Services, client: ApiClient, booking_id: str, fingerprint: bytes) -> Intake | None:
    """The booking that this key made before, its saga started if it is not; raises InvalidRequest for another body."""
    async with services.database.read() as connection:
        booking = await bookings.get(connection, booking_id, client.client_id)
    if booking is None:
        return None
    if booking.fingerprint != fingerprint:
        raise InvalidRequest(
            "this key was used with another body; use a new one", code="idempotency_key_reused", field="Idempotency-Key"
        )
    if booking.workflow_started_at is None:
        await _start(services, booking)
    return Intake(booking=booking, replayed=True)


async def _start(services: Services, booking: StoredBooking) -> None:
    await start_saga(services.temporal, services.database, services.vendors, services.settings, booking)


def _as_stored(new: NewBooking, created_at: datetime) -> StoredBooking:
    """What reading it back would give, without asking."""
    return StoredBooking(
        booking_id=new.booking_id,
        client_id=new.client_id,
        fingerprint=new.fingerprint,
        state=BookingState.PENDING,
        version=0,
        reason=None,
        waiting_for=None,
        total=new.total,
        consent_total=new.total,
        consent_limit=new.consent_limit,
        fee=Money.zero(new.total.currency),
        payment_provider=new.payment_provider,
        backup_payment_provider=new.backup_payment_provider,
        substitution=new.substitution,
        correlation_id=new.correlation_id,
        created_at=created_at,
        updated_at=created_at,
        workflow_started_at=None,
        items=[
            StoredItem(
                item_no=item.item_no,
                kind=item.offer.kind,
                supplier=item.offer.supplier,
                offer=item.offer,
                client_reference=item.client_reference,
                provider_booking_ref=None,
                record_locator=None,
                state=ItemState.PLANNED,
                required=item.required,
                offer_price=item.offer.price,
                price=item.offer.price,
                penalty=Money.zero(item.offer.price.currency),
                hold_expires_at=None,
                supplier_state=item.supplier_state,
            )
            for item in new.items
        ],
    )


def wanted_wait_s(prefer: str | None) -> int | None:
    """How long the client prefers to wait (RFC 7240), at most 30 s; None if it does not say, or not so that we understand it."""
    found = _WAIT.search(prefer or "")
    return None if found is None else min(int(found[1]), MAX_WAIT_S)


async def wait_for(services: Services, booking_id: str, wait_s: float) -> None:
    """Until the booking is settled, needs somebody, or the time is up; or this process is asked to stop."""
    deadline = monotonic() + wait_s
    pause_s = _FIRST_PAUSE_S
    while True:
        async with services.database.read() as connection:
            progress = await bookings.progress(connection, booking_id)
        left_s = deadline - monotonic()
        if progress is None or _stands(progress) or left_s <= 0 or services.draining.is_set():
            return
        try:
            async with asyncio.timeout(min(pause_s, left_s)):
                await services.draining.wait()
        except TimeoutError:
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)


def _stands(progress: Progress) -> bool:
    if progress.state in SETTLED_STATES or progress.state in _SLOW_STATES:
        return True
    return progress.state == BookingState.AWAITING_PAYMENT and progress.waiting_for is not None
