"""From a chosen alternative to a booking of its own, and from its end to that of the old flight."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity
from temporalio.client import Client

from activities.admission import booking_input, cancellation_input, start_booking
from activities.alternatives import Alternatives, old_flight
from activities.assessing import has_left
from activities.failures import told_to_temporal
from activities.ways_on import OldFlight
from gateways.ports import Vendors
from schema.bookings import OutstandingEffect, SagaPolicy
from schema.disruptions import (
    Alternative,
    CancellationOfOld,
    Disruption,
    DisruptionState,
    DisruptionStep,
    RebookingBegun,
    RebookingEnded,
    RebookStep,
)
from schema.errors import InvariantBroken, ServiceUnavailable
from schema.money import Money
from schema.payments import cancellation_workflow_id_for
from schema.references import booking_id_for, item_reference
from schema.states import CONFIRMED_STATES, BookingState, ItemState
from store import bookings, disruptions, itineraries, offers, payments, quotes
from store.database import Database
from store.records import NewBooking, NewItem, StoredBooking, StoredItem

_SOON: Final = timedelta(seconds=60)
"""An offer that expires within this is looked for again before it is booked."""


class Rebooking:
    def __init__(
        self, database: Database, vendors: Vendors, client: Client, policy: SagaPolicy, alternatives: Alternatives
    ) -> None:
        self._database = database
        self._vendors = vendors
        self._client = client
        self._policy = policy
        self._alternatives = alternatives

    @activity.defn
    async def begin_rebooking(self, step: RebookStep) -> RebookingBegun:
        """Stores a booking of the chosen alternative for the same people, paid the same way, and starts its saga. One disruption and
        alternative make one booking, however often this runs."""
        async with told_to_temporal(step.retry_initial_s):
            async with self._database.transaction() as connection:
                disruption = await _read(connection, step.disruption_id)
            if disruption.state == "offered":
                disruption = await self._choose(disruption, step)
            if disruption.state != "rebooking" or disruption.rebooking_id is None:
                return RebookingBegun(booking_id=None, reason=disruption.reason, state=disruption.state)
            async with self._database.transaction() as connection:
                booking = await bookings.get(connection, disruption.rebooking_id)
            assert booking is not None, "written in the transaction that chose it"
            if booking.workflow_started_at is None:
                plan = booking_input(booking, self._vendors, self._policy)
                await start_booking(self._client, self._database, booking, plan)
            return RebookingBegun(booking_id=booking.booking_id, state="rebooking")

    @activity.defn
    async def look_at_choice(self, step: DisruptionStep) -> RebookingBegun:
        """What the books say when `begin_rebooking` has not answered in time."""
        async with told_to_temporal(step.retry_initial_s), self._database.transaction() as connection:
            disruption = await _read(connection, step.disruption_id)
        if disruption.state == "rebooking":
            return RebookingBegun(booking_id=disruption.rebooking_id, state="rebooking")
        return RebookingBegun(booking_id=None, reason="vendor_unavailable", state=disruption.state)

    async def _choose(self, disruption: Disruption, step: RebookStep) -> Disruption:
        """Into the books: the choice and its booking, in one transaction. What has expired since then is looked for again."""
        shown = next((one for one in disruption.alternatives if one.number == step.number), None)
        if shown is None or shown.difference != step.difference:
            reason = "no_such_alternative" if shown is None else "price_moved_again"
            return disruption.model_copy(update={"reason": reason})
        chosen: Alternative | None = shown
        tried_another = disruption.rebooking_id is not None
        if tried_another or chosen.offer.expires_at <= datetime.now(UTC) + _SOON:
            fresh = await self._alternatives.search_again(disruption, step)
            chosen = next(
                (
                    one.model_copy(update={"number": shown.number})
                    for one in fresh
                    if one.offer.equal_key() == shown.offer.equal_key() and one.difference <= shown.difference
                ),
                None,
            )
            if chosen is None:
                return disruption.model_copy(update={"reason": "offer_expired"})
        async with self._database.transaction() as connection:
            await itineraries.get(connection, disruption.itinerary_id, lock=True)
            current = await _read(connection, disruption.disruption_id, lock=True)
            busy = await disruptions.rebooking_of(connection, current.itinerary_id)
            old = await old_flight(connection, current)
            flown_since = not old.flown_legs and await _begun(connection, current, old)
            if current.state != "offered" or busy is not None or flown_since:
                return current.model_copy(update={"reason": "conflict"})
            new = await self._new_booking(connection, current, chosen)
            await bookings.create(connection, new)
            await disruptions.choose(connection, current, step.number, new.booking_id)
        return current.model_copy(update={"state": "rebooking", "rebooking_id": new.booking_id})

    async def _new_booking(
        self, connection: AsyncConnection, disruption: Disruption, chosen: Alternative
    ) -> NewBooking:
        old = await old_flight(connection, disruption)
        stored = await offers.load(connection, disruption.client_id, [chosen.offer.offer_id])
        found = stored.get(chosen.offer.offer_id)
        if found is None:
            raise InvariantBroken(f"the offer of alternative {chosen.number} is not in the books")
        before = await bookings.get(connection, old.booking_id)
        assert before is not None, "its items are in the itinerary"
        travellers, _ = await bookings.travellers_of(connection, old.booking_id)
        backup = await _paid_by_backup(connection, before)
        provider, method = await bookings.paid_through(connection, old.booking_id, backup=backup)
        # Must merge every try to book this alternative of this disruption; no client can send such a key.
        key = f"\x1frebook:{disruption.disruption_id}:{chosen.number}"
        booking_id = booking_id_for(disruption.client_id, key)
        return NewBooking(
            booking_id=booking_id,
            client_id=disruption.client_id,
            idempotency_key=key,
            fingerprint=hashlib.sha256(key.encode()).digest(),
            correlation_id=before.correlation_id,
            items=[
                NewItem(
                    item_no=1,
                    client_reference=item_reference(booking_id, 1, 0),
                    offer=found.offer,
                    supplier_state=found.supplier_state,
                    version=found.version,
                    search_request=found.search_request,
                    required=True,
                )
            ],
            travellers=travellers,
            payment_method=method,
            payment_provider=provider,
            total=chosen.offer.price,
            consent_limit=chosen.offer.price,
            itinerary_id=disruption.itinerary_id,
        )

    @activity.defn
    async def look_at_rebooking(self, step: DisruptionStep) -> BookingState:
        """How the booking of the chosen alternative stands."""
        async with told_to_temporal(step.retry_initial_s), self._database.transaction() as connection:
            disruption = await _read(connection, step.disruption_id)
            assert disruption.rebooking_id is not None, "looked at only once it is chosen"
            progress = await bookings.progress(connection, disruption.rebooking_id)
            assert progress is not None, "written in the transaction that chose it"
            return progress.state

    @activity.defn
    async def end_rebooking(self, ended: RebookingEnded) -> DisruptionState:
        """The new flight is confirmed and takes the old one's place; or it could not be had, and the old one stays."""
        async with told_to_temporal(ended.retry_initial_s), self._database.transaction() as connection:
            disruption = await _read(connection, ended.disruption_id)
            await itineraries.get(connection, disruption.itinerary_id, lock=True)
            disruption = await _read(connection, ended.disruption_id, lock=True)
            if disruption.state != "rebooking":
                return disruption.state
            if ended.confirmed:
                old = await old_flight(connection, disruption)
                await disruptions.rebooked(connection, disruption, old.booking_id, old.item.item_no)
                return "rebooked"
            left = [one for one in disruption.alternatives if one.number != disruption.chosen]
            return await disruptions.not_rebooked(connection, disruption, left, ended.reason)

    @activity.defn
    async def plan_cancellation_of_old(self, step: DisruptionStep) -> CancellationOfOld:
        """What giving up the old flight is told, claimed against any other cancellation; nothing where it is given up already.

        A ticket of which a part is flown is left to an operator, for suppliers cancel whole orders. Raises ServiceUnavailable, to be
        tried again, while another change of the booking is under way.
        """
        async with told_to_temporal(step.retry_initial_s), self._database.transaction() as connection:
            disruption = await _read(connection, step.disruption_id)
            old = await old_flight(connection, disruption)
            booking = await bookings.get(connection, old.booking_id)
            assert booking is not None, "its items are in the itinerary"
            item = next(one for one in booking.items if one.item_no == old.item.item_no)
            if item.state != ItemState.CONFIRMED or booking.state == BookingState.CANCELLED:
                return CancellationOfOld()
            refund = _alternative(disruption, disruption.chosen or 0).refund
            if old.flown_legs or await _begun(connection, disruption, old):
                return CancellationOfOld(by_hand=_left_unflown(item, old, refund))
            if booking.state not in CONFIRMED_STATES:
                raise ServiceUnavailable(f"booking {booking.booking_id} is {booking.state}")
            confirmed = [one.item_no for one in booking.items if one.state == ItemState.CONFIRMED]
            item_nos = None if confirmed == [item.item_no] else [item.item_no]
            workflow_id = cancellation_workflow_id_for(booking.booking_id, booking.version, item_nos)
            claimed_by = await quotes.claim(connection, booking.booking_id, booking.version, workflow_id)
            if claimed_by != workflow_id:
                raise ServiceUnavailable(f"{claimed_by} is changing the booking")
            captured = [
                one for one in await payments.of_booking(connection, booking.booking_id) if one.captured.amount_minor
            ]
            plan = cancellation_input(booking, captured[-1], self._vendors, self._policy, item_nos)
            agreed = {"agreed_fee": plan.captured - min(refund, plan.captured, key=lambda one: one.amount_minor)}
            return CancellationOfOld(
                workflow_id=workflow_id, plan=plan.model_copy(update=agreed | {"reason": "rebooked"})
            )


async def _begun(connection: AsyncConnection, disruption: Disruption, old: OldFlight) -> bool:
    """Whether a flight of the old ticket has left."""
    itinerary = await itineraries.get(connection, disruption.itinerary_id)
    assert itinerary is not None, "the old flight was found in it"
    now = datetime.now(UTC)
    ticket = (old.booking_id, old.item.item_no)
    return any(has_left(one, now) for one in itinerary.segments if (one.booking_id, one.item_no) == ticket)


def _left_unflown(item: StoredItem, old: OldFlight, refund: Money) -> OutstandingEffect:
    """What an operator is asked to settle with the supplier."""
    flights = ", ".join(segment.key() for segment in old.replaced)
    promised = f"; the traveller was promised {refund.decimal()} {refund.currency}" if refund.amount_minor else ""
    return OutstandingEffect(
        vendor=item.supplier,
        step="flight",
        reference=item.client_reference,
        provider_reference=item.provider_booking_ref,
        amount=refund if refund.amount_minor else None,
        problem=f"have it give up what is not flown ({flights}), and refund what it gives back for that{promised}; "
        "never cancel the order as a whole",
    )


async def _read(connection: AsyncConnection, disruption_id: str, *, lock: bool = False) -> Disruption:
    disruption = await disruptions.get(connection, disruption_id, lock=lock)
    if disruption is None:
        raise InvariantBroken(f"there is no disruption {disruption_id}")
    return disruption


def _alternative(disruption: Disruption, number: int) -> Alternative:
    found = next((one for one in disruption.alternatives if one.number == number), None)
    if found is None:
        raise InvariantBroken(f"disruption {disruption.disruption_id} has no alternative {number}")
    return found


async def _paid_by_backup(connection: AsyncConnection, booking: StoredBooking) -> bool:
    """Whether the second method was the one that was charged."""
    if booking.backup_payment_provider is None:
        return False
    charged = [one for one in await payments.of_booking(connection, booking.booking_id) if one.captured.amount_minor]
    return any(one.provider == booking.backup_payment_provider != booking.payment_provider for one in charged)
