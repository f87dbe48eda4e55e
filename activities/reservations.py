"""Holding, booking and confirming one item at its supplier, and finding out what a lost answer did.

Every call that can have an effect is preceded by its attempt row. A second call for the same effect is only made where the
supplier's capabilities say that it cannot make a second effect, and after looking for the first where one can look.
"""

import hashlib
from collections.abc import Awaitable, Callable

import orjson
from temporalio import activity

from activities.failures import told_to_temporal
from activities.found_offers import FoundOffers
from gateways.ports import LookUp, Reservation, ReservationRequest, Supplier, SupplierState, Vendors
from schema.bookings import ItemStep, StepResult
from schema.errors import OutcomeUnclear, VendorUnavailable
from schema.outcomes import Confirmed, Outcome, Rejected, Unknown
from schema.references import item_reference, step_key
from schema.states import ItemState
from schema.travellers import Traveller
from store import attempts, items
from store.attempts import Attempt, NewAttempt
from store.database import Database
from store.items import StepItem
from store.records import StoredItem

Call = Callable[[Supplier, ReservationRequest], Awaitable[tuple[Outcome, SupplierState]]]


class Reservations:
    """The activities of an item on its way to being confirmed."""

    def __init__(self, database: Database, vendors: Vendors, found_offers: FoundOffers) -> None:
        self._database = database
        self._vendors = vendors
        self._found_offers = found_offers

    @activity.defn
    async def hold(self, step: ItemStep) -> StepResult:
        """Reserve without paying, where the supplier can."""
        return await self._create(step, "hold", ItemState.HELD, lambda supplier, request: supplier.hold(request))

    @activity.defn
    async def book(self, step: ItemStep) -> StepResult:
        """Reserve and confirm in one."""
        return await self._create(step, "book", ItemState.CONFIRMED, lambda supplier, request: supplier.book(request))

    @activity.defn
    async def confirm(self, step: ItemStep) -> StepResult:
        """Confirm what was held."""
        return await self._create(
            step, "confirm", ItemState.CONFIRMED, lambda supplier, request: supplier.confirm(request)
        )

    @activity.defn
    async def find_out_hold(self, step: ItemStep) -> StepResult:
        """What became of a hold whose answer was lost."""
        return await self._find_out(step, "hold", ItemState.HELD)

    @activity.defn
    async def find_out_book(self, step: ItemStep) -> StepResult:
        """What became of a booking whose answer was lost."""
        return await self._find_out(step, "book", ItemState.CONFIRMED)

    @activity.defn
    async def find_out_confirm(self, step: ItemStep) -> StepResult:
        """What became of a confirmation whose answer was lost."""
        return await self._find_out(step, "confirm", ItemState.CONFIRMED)

    async def _create(self, step: ItemStep, name: str, goal: ItemState, call: Call) -> StepResult:
        async with told_to_temporal(step.retry_initial_s):
            async with self._database.transaction() as connection:
                item, travellers = await items.with_travellers(
                    connection, step.booking_id, step.item_no, generation=step.generation
                )
                attempt = await attempts.begin(connection, new_attempt(step, name, item))
            if attempt.tombstoned:
                return StepResult(outcome=Rejected(code="cancelled", message="the step was undone before it ran"))
            if isinstance(attempt.outcome, Confirmed | Rejected):
                return StepResult(outcome=attempt.outcome)
            supplier = self._vendors.supplier(item.supplier)
            if not attempt.fresh:
                found = await self._what_earlier_tries_did(step, supplier, item, travellers, attempt, goal)
                if found is not None:
                    return await self._record(step, attempt, goal, *found)
            request = ReservationRequest(
                reference=attempt.reference,
                price=item.price,
                supplier_state=item.supplier_state,
                travellers=travellers,
                correlation_id=step.correlation_id,
            )
            try:
                outcome, state = await call(supplier, request)
            except VendorUnavailable:
                # Only the sole caller may say that nothing happened; an earlier, silent one may still have had its effect.
                if attempt.fresh:
                    async with self._database.transaction() as connection:
                        await attempts.nothing_happened(connection, attempt.key)
                raise
            # What is confirmed is our own order: there, this would be no word of somebody else's.
            if isinstance(outcome, Unknown) and outcome.used_up and name != "confirm":
                outcome = await self._used_up(attempt, item, outcome)
            result = await self._record(step, attempt, goal, outcome, state)
            if isinstance(outcome, Rejected) and outcome.code == "sold_out":
                await self._found_offers.is_gone(item)
            return result

    async def _used_up(self, attempt: Attempt, item: StepItem, outcome: Unknown) -> Outcome:
        """Whose order it is: of somebody else if nobody has called for this item before, else perhaps our own."""
        refused = Rejected(code="offer_expired", message=f"{item.supplier} has made another order of this offer")
        async with self._database.transaction() as connection:
            only = await attempts.refuse_only(connection, attempt, refused)
        if not only:
            return outcome
        await self._found_offers.was_used_up(item)
        return refused

    async def _what_earlier_tries_did(  # what a look-up needs
        self,
        step: ItemStep,
        supplier: Supplier,
        item: StepItem,
        travellers: list[Traveller],
        attempt: Attempt,
        goal: ItemState,
    ) -> tuple[Outcome, SupplierState | None] | None:
        """The outcome of an earlier, silent try; None if the call may be made (again)."""
        can_look = supplier.capabilities.lookup_by_reference or item.provider_booking_ref is not None
        if can_look:
            found = await supplier.find(look_up(step, item, travellers, attempt))
            outcome = None if found is None else outcome_of(found, goal)
            if found is not None and outcome is not None:
                return outcome, found.supplier_state or None
            if found is not None and found.status == "held":
                return None  # to be confirmed, and a held order is confirmed at most once
        if supplier.capabilities.idempotent_create:
            return None
        return Unknown(reason=f"{supplier.code} was called before, and a second call could book twice"), None

    async def _find_out(self, step: ItemStep, name: str, goal: ItemState) -> StepResult:
        """Confirmed or Rejected by the supplier's evidence; Unknown where nobody can look; a retryable failure while the
        look-up shows nothing yet."""
        async with told_to_temporal(step.retry_initial_s):
            async with self._database.transaction() as connection:
                item, travellers = await items.with_travellers(
                    connection, step.booking_id, step.item_no, generation=step.generation
                )
                attempt = await attempts.by_key(connection, new_attempt(step, name, item).key)
                if attempt is None or attempt.status == "ready":
                    # Nothing was ever sent with effect; the tombstone keeps a straggler from sending it after all.
                    await attempts.tombstone(connection, new_attempt(step, name, item))
                    return StepResult(
                        outcome=Rejected(code="vendor_unavailable", message=f"{item.supplier} could not be reached")
                    )
            if isinstance(attempt.outcome, Confirmed | Rejected):
                return StepResult(outcome=attempt.outcome)
            supplier = self._vendors.supplier(item.supplier)
            if step.provider_reference is not None:
                item = item.model_copy(update={"provider_booking_ref": step.provider_reference})
            if not supplier.capabilities.lookup_by_reference and item.provider_booking_ref is None:
                return StepResult(outcome=Unknown(reason=f"{supplier.code} cannot be asked by our reference"))
            found = await supplier.find(look_up(step, item, travellers, attempt))
            outcome = None if found is None else outcome_of(found, goal)
            if found is None or outcome is None:
                raise OutcomeUnclear(f"{supplier.code} does not show {name} {attempt.reference} yet")
            return await self._record(step, attempt, goal, outcome, found.supplier_state or None)

    async def _record(
        self, step: ItemStep, attempt: Attempt, goal: ItemState, outcome: Outcome, state: SupplierState | None
    ) -> StepResult:
        async with self._database.transaction() as connection:
            recorded = await attempts.finish(connection, attempt.key, outcome)
            if isinstance(outcome, Confirmed):
                await items.reserved(
                    connection,
                    step.booking_id,
                    step.item_no,
                    goal,
                    outcome,
                    state or None,
                    generation=step.generation,
                )
            elif isinstance(outcome, Unknown) and recorded:
                await items.set_state(
                    connection, step.booking_id, step.item_no, ItemState.IN_DOUBT, generation=step.generation
                )
        return StepResult(outcome=outcome)


def new_attempt(step: ItemStep, name: str, item: StepItem | StoredItem) -> NewAttempt:
    """The attempt of one step on one item. Its reference is the item's for every step of a generation: the supplier keeps one
    object per reference."""
    reference = item_reference(step.booking_id, step.item_no, step.generation)
    return NewAttempt(
        key=step_key(step.booking_id, f"{name}-{step.item_no}", step.generation),
        booking_id=step.booking_id,
        step=name,
        item_no=step.item_no,
        generation=step.generation,
        vendor=item.supplier,
        reference=reference,
        # The price is left out on purpose: it may be checked again between two tries of one effect.
        request_hash=hashlib.sha256(orjson.dumps([item.offer_id, reference, name])).digest(),
    )


def look_up(step: ItemStep, item: StepItem | StoredItem, travellers: list[Traveller], attempt: Attempt) -> LookUp:
    return LookUp(
        reference=attempt.reference,
        provider_reference=attempt.provider_reference or item.provider_booking_ref,
        supplier_state=item.supplier_state,
        travellers=travellers,
        since=attempt.created_at,
        correlation_id=step.correlation_id,
    )


def outcome_of(found: Reservation, goal: ItemState) -> Outcome | None:
    """What a reservation proves about the step; None if it proves nothing yet."""
    reached = found.status == "confirmed" or (found.status == "held" and goal == ItemState.HELD)
    if reached:
        return Confirmed(
            provider_reference=found.provider_reference,
            price=found.price,
            expires_at=found.expires_at,
            record_locator=found.record_locator,
        )
    if found.status in ("cancelled", "failed"):
        return Rejected(code="vendor_rejected", message=f"the supplier shows it as {found.status}")
    return None
