"""Histories of disruptions, at each place where they wait."""

from typing import Any

from schema.disruptions import DisruptionChoice, KeepFlight
from schema.states import BookingState
from tests.replay.snapshots import snapshot
from tests.saga.disrupted import airline_says, choose, confirmed, flights_of, in_state, settled, workflow_of
from tests.saga.harness import House
from workers.follow_ups import following_up


async def rebooked_after_a_cancellation(house: House) -> dict[str, Any]:
    async with following_up(house.settings, house.database, house.client):
        trip, itinerary = await confirmed(house)
        await airline_says(house, flights_of(itinerary)[0], cancelled=True)
        offered = await in_state(house, itinerary, "offered")
        handle = workflow_of(house, offered)
        found: dict[str, Any] = {"disruption-waits-for-a-choice": await snapshot(handle)}
        await choose(house, offered, 1)
        await handle.result()
        await settled(house, trip.booking_id, BookingState.PARTIALLY_CONFIRMED)
        workflow_id = f"cancel-{trip.booking_id}"
        query = f"WorkflowId STARTS_WITH '{workflow_id}'"
        (cancelled,) = [one.id async for one in house.client.list_workflows(query)]
        found["cancellation-as-agreed"] = house.client.get_workflow_handle(cancelled)
        return {**found, "disruption-rebooked": handle}


async def kept_or_told(house: House) -> dict[str, Any]:
    async with following_up(house.settings, house.database, house.client):
        _, itinerary = await confirmed(house, kinds=("flight",))
        out = flights_of(itinerary)[0]
        await airline_says(house, out, gate="A1", matters=False)
        await airline_says(house, out, gate="B42")
        told = workflow_of(house, await in_state(house, itinerary, "informed"))
        await told.result()
        await airline_says(house, out, cancelled=True)
        handle = workflow_of(house, await in_state(house, itinerary, "offered"))
        await handle.execute_update("keep", KeepFlight(), result_type=DisruptionChoice)
        await handle.result()
        return {"disruption-told": await snapshot(told, 5), "disruption-kept": handle}


SCENARIOS = [rebooked_after_a_cancellation, kept_or_told]
