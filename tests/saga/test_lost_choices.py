"""A choice that is in the books, and whose run has not heard of it in time: it is seen through, and nobody pays for two flights."""

from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from activities.sweeping import Sweeping, SweepInput
from schema.bookings import workflow_id_for
from schema.disruptions import KeepFlight
from schema.states import BookingState
from store import disruptions
from tests.saga.disrupted import (
    airline_says,
    choose,
    clean,
    confirmed,
    flights_of,
    in_state,
    settled,
    workflow_of,
)
from tests.saga.harness import House
from workers.follow_ups import following_up

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]


class NoNewTrips:
    """Temporal's real client, which cannot start a booking's saga while `away`."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.away = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def start_workflow(self, *arguments: Any, **options: Any) -> Any:
        if self.away and options["id"].startswith(workflow_id_for("")):
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        return await self._real.start_workflow(*arguments, **options)


async def test_a_choice_that_could_not_be_handed_over_is_seen_through(house: House):
    temporal = NoNewTrips(house.client)
    async with house.worker(temporal=temporal), following_up(house.settings, house.database, house.client):
        trip, itinerary = await confirmed(house, kinds=("flight",))
        await airline_says(house, flights_of(itinerary)[0], cancelled=True)
        offered = await in_state(house, itinerary, "offered")
        temporal.away = True
        begun = await choose(house, offered, 1)
        assert begun.state == "rebooking", "it is in the books, so it is not refused"
        assert begun.booking_id is not None
        temporal.away = False
        sweep = Sweeping(house.database, house.valkey, house.vendors, house.client, house.settings)
        await sweep.sweep_admissions(SweepInput(older_than_s=0))
        assert (await workflow_of(house, offered).result()).state == "rebooked"
        await settled(house, trip.booking_id, BookingState.CANCELLED)
        assert (await house.stored(begun.booking_id)).state == BookingState.CONFIRMED
        await clean(house, trip.booking_id, begun.booking_id)


async def test_a_choice_that_was_written_after_nobody_waited_is_not_overruled(house: House):
    """A straggler writes it when the run has gone back to its offer: whatever the run decides then, the books know better."""
    async with house.worker(), following_up(house.settings, house.database, house.client):
        trip, itinerary = await confirmed(house, kinds=("flight",))
        await airline_says(house, flights_of(itinerary)[0], cancelled=True)
        offered = await in_state(house, itinerary, "offered")
        late = await house.prepare(kinds=("flight",), leaves_in_days=300)
        async with house.database.transaction() as connection:
            await disruptions.choose(connection, offered, 1, late.booking_id)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await workflow_of(house, offered).execute_update("keep", KeepFlight())
        assert getattr(refused.value.cause, "type", None) == "conflict"
        await (await house.start(late)).result()
        assert (await workflow_of(house, offered).result()).state == "rebooked"
        await settled(house, trip.booking_id, BookingState.CANCELLED)
