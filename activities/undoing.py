"""Undoing one item: by our reference, however little is known, and as often as needed."""

from temporalio import activity

from activities.failures import told_to_temporal
from activities.reservations import look_up, new_attempt
from gateways.ports import Supplier, Vendors
from schema.bookings import ItemStep, NothingFound, Undone, UndoResult
from schema.errors import OutcomeUnclear, TravelHubError
from schema.money import Money
from schema.outcomes import Confirmed
from schema.references import step_key
from schema.states import ItemState
from schema.travellers import Traveller
from store import attempts, bookings, items
from store.attempts import Attempt, NewAttempt
from store.database import Database
from store.records import StoredItem

_CREATING_STEPS = ("hold", "book", "confirm")


class CannotFindOut(TravelHubError):
    """An effect may exist, and the supplier offers no way to look for it: a person has to."""

    code = "cannot_find_out"
    retryable = False


class Undoing:
    """The compensation of an item, and its cancellation by the traveller: both leave nothing at the supplier."""

    def __init__(self, database: Database, vendors: Vendors) -> None:
        self._database = database
        self._vendors = vendors

    @activity.defn
    async def undo_item(self, step: ItemStep) -> UndoResult:
        """Release or cancel whatever exists under our reference.

        `Undone` once nothing is left, `NothingFound` while a late effect could still appear. Fails for good, with type
        `cannot_find_out`, where only a person can tell.
        """
        async with told_to_temporal(step.retry_initial_s):
            item, travellers, made = await self._forbid_further_calls(step)
            reference = step.provider_reference or item.provider_booking_ref
            for attempt in made:
                reference = reference or attempt.provider_reference
            supplier = self._vendors.supplier(item.supplier)
            in_doubt = [attempt for attempt in made if not _certainly_without_effect(attempt, supplier)]
            if not in_doubt and reference is None:
                return await self._finished(step, item, None)
            if reference is None and not supplier.capabilities.lookup_by_reference:
                raise CannotFindOut(f"{supplier.code} may have {in_doubt[0].reference} and cannot be asked")
            item = item.model_copy(update={"provider_booking_ref": reference})
            return await self._cancel_what_is_there(step, supplier, item, travellers, in_doubt or made)

    async def _forbid_further_calls(self, step: ItemStep) -> tuple[StoredItem, list[Traveller], list[Attempt]]:
        """Tombstones first: from here on no straggler may begin a call for this item."""
        async with self._database.transaction() as connection:
            item = await items.get(connection, step.booking_id, step.item_no, step.generation)
            travellers, _ = await bookings.travellers_of(connection, step.booking_id)
            for name in _CREATING_STEPS:
                await attempts.tombstone(connection, new_attempt(step, name, item))
            of_item = [
                attempt
                for attempt in await attempts.of_booking(connection, step.booking_id)
                if attempt.item_no == step.item_no
                and attempt.generation == step.generation
                and attempt.step in _CREATING_STEPS
            ]
        return item, travellers, of_item

    async def _cancel_what_is_there(
        self, step: ItemStep, supplier: Supplier, item: StoredItem, travellers: list[Traveller], made: list[Attempt]
    ) -> UndoResult:
        found = await supplier.find(look_up(step, item, travellers, made[0]))
        undo_key = step_key(step.booking_id, f"undo-{step.item_no}", step.generation)
        if found is None:
            if await self._was_undone_before(supplier, undo_key):
                return await self._finished(step, item, item.penalty)
            return UndoResult(result=NothingFound())
        if found.status == "pending":
            # Seen, and not to be cancelled yet: never to be taken for absent, however long it stays so.
            raise OutcomeUnclear(f"{supplier.code} shows {made[0].reference} as pending")
        if found.status in ("cancelled", "failed"):
            return await self._finished(step, item, item.penalty)
        undo = NewAttempt(
            key=undo_key,
            booking_id=step.booking_id,
            step="undo",
            item_no=step.item_no,
            generation=step.generation,
            vendor=supplier.code,
            reference=made[0].reference,
            request_hash=b"undo",
        )
        async with self._database.transaction() as connection:
            await attempts.begin(connection, undo)
        fee = (await supplier.cancel(found, step.correlation_id)).fee
        async with self._database.transaction() as connection:
            await attempts.finish(connection, undo.key, Confirmed(provider_reference=found.provider_reference))
        return await self._finished(step, item, fee)

    async def _was_undone_before(self, supplier: Supplier, undo_key: str) -> bool:
        """Our own cancellation was sent, its answer lost, and a supplier that is asked by its own id does not know the id any more."""
        if supplier.capabilities.lookup_by_reference:
            return False  # it may lag, and what it cancels it still shows
        async with self._database.read() as connection:
            return await attempts.by_key(connection, undo_key) is not None

    async def _finished(self, step: ItemStep, item: StoredItem, penalty: Money | None) -> UndoResult:
        was_confirmed = item.state in (ItemState.CONFIRMED, ItemState.CANCELLED)
        state = ItemState.CANCELLED if was_confirmed else ItemState.RELEASED
        async with self._database.transaction() as connection:
            await items.set_state(connection, step.booking_id, step.item_no, state, penalty, generation=step.generation)
        return UndoResult(result=Undone(penalty=penalty))


def _certainly_without_effect(attempt: Attempt, supplier: Supplier) -> bool:
    """`ready`: no call had an effect, and the tombstone lets none begin. Or one call, and a definite no; a supplier that must not
    be called twice was called once, however often the activity ran."""
    called_once = attempt.tries == 1 or not supplier.capabilities.idempotent_create
    return attempt.status == "ready" or (attempt.status == "rejected" and called_once)
