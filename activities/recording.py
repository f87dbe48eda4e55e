"""Recording what the saga decided: local activities, in the workflow task of the result they record."""

from temporalio import activity

from activities.failures import told_to_temporal
from schema.bookings import CaseOpened, ItemStep, Resolution, StateChange
from schema.states import ItemState
from store import bookings, cases, items
from store.database import Database

_RETRY_INITIAL_S = 0.2


class Recording:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def record_state(self, change: StateChange) -> bool:
        """State, event and case in one transaction. False if it was recorded before: local activities may run again."""
        async with told_to_temporal(_RETRY_INITIAL_S), self._database.transaction() as connection:
            return await bookings.record(connection, change)

    @activity.defn
    async def leave_out(self, step: ItemStep) -> None:
        """An optional item that could not be had is no part of the trip."""
        async with self._database.transaction() as connection:
            await items.set_state(connection, step.booking_id, step.item_no, ItemState.LEFT_OUT)

    @activity.defn
    async def open_case(self, opened: CaseOpened) -> None:
        """A case beside a settled booking, which keeps its state."""
        async with self._database.transaction() as connection:
            await cases.open_case(connection, opened.booking_id, opened.case)

    @activity.defn
    async def close_case(self, resolution: Resolution) -> None:
        async with self._database.transaction() as connection:
            await cases.close_case(connection, resolution)
