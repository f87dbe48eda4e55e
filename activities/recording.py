"""Recording what the saga decided: local activities, in the workflow task of the result they record."""

from temporalio import activity

from activities.failures import told_to_temporal
from activities.found_offers import FoundOffers
from schema.bookings import CaseOpened, ItemStep, Resolution, StateChange
from schema.states import CONFIRMED_STATES, ItemState
from store import bookings, cases, items
from store.database import Database

_RETRY_INITIAL_S = 0.2


class Recording:
    def __init__(self, database: Database, found_offers: FoundOffers) -> None:
        self._database = database
        self._found_offers = found_offers

    @activity.defn
    async def record_state(self, change: StateChange) -> bool:
        """State, event and case in one transaction. False if it was recorded before: local activities may run again."""
        async with told_to_temporal(_RETRY_INITIAL_S):
            async with self._database.transaction() as connection:
                recorded = await bookings.record(connection, change)
            if change.state in CONFIRMED_STATES:
                await self._found_offers.were_taken(change.booking_id)
            return recorded

    @activity.defn
    async def leave_out(self, step: ItemStep) -> None:
        """An optional item that could not be had is no part of the trip."""
        async with self._database.transaction() as connection:
            await items.set_state(
                connection, step.booking_id, step.item_no, ItemState.LEFT_OUT, generation=step.generation
            )

    @activity.defn
    async def record_cancelled(self, step: ItemStep) -> None:
        """An item that the traveller gave up is no longer part of the trip, also where a person saw to it at the supplier."""
        async with self._database.transaction() as connection:
            await items.set_state(
                connection, step.booking_id, step.item_no, ItemState.CANCELLED, generation=step.generation
            )

    @activity.defn
    async def open_case(self, opened: CaseOpened) -> None:
        """A case beside a settled booking, which keeps its state."""
        async with self._database.transaction() as connection:
            await cases.open_case(connection, opened.booking_id, opened.case)

    @activity.defn
    async def close_case(self, resolution: Resolution) -> None:
        async with self._database.transaction() as connection:
            await cases.close_case(connection, resolution)
