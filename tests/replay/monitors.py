"""Histories of flight monitors and of their sweep, at each place where they wait."""

from datetime import UTC, datetime, timedelta
from typing import Any

from activities.watching import signal_monitor, take_pushed
from bench.monitors.planting import plant
from schema.flights import (
    MONITOR_SWEEP_WORKFLOW,
    FlightId,
    FlightNews,
    FlightPoint,
    FlightPolicy,
    Phase,
    Subscribed,
    monitor_id_for,
)
from schema.references import new_id
from store import flights
from store.flights import PlannedFlight
from tests.replay.snapshots import snapshot
from tests.saga.harness import House
from tests.saga.waiting import eventually

_TWO_AT_ONCE = FlightPolicy(fan_out_batch=2)


async def _watched(house: House, number: str, policy: FlightPolicy) -> PlannedFlight:
    """A flight with three travellers, asked about once."""
    departs_at = datetime.now(UTC) + timedelta(days=10)
    planned = PlannedFlight(
        flight=FlightId(carrier="ZW", number=number, on=departs_at.date(), origin="LHR"),
        destination="LIS",
        departs_at=departs_at,
        arrives_at=departs_at + timedelta(hours=3),
    )
    joined = await plant(house.database, house.client_id, [planned], 3, prefix=new_id("x")[-16:])
    async with house.database.transaction() as connection:
        await flights.watch(connection, planned)
    await signal_monitor(house.client, planned, policy, Subscribed(itinerary_id=joined[0]))
    await _until(house, planned, 0)
    return planned


async def _until(house: House, planned: PlannedFlight, told_revision: int) -> None:
    async def reached() -> bool:
        async with house.database.read() as connection:
            stored = await flights.get(connection, planned.flight.key)
        return stored is not None and stored.next_poll_at is not None and stored.told_revision == told_revision

    await eventually(reached, 60)


async def _say(house: House, planned: PlannedFlight, policy: FlightPolicy, delay_min: int, phase: Phase | None) -> None:
    estimated = planned.departs_at + timedelta(minutes=delay_min)
    news = FlightNews(
        flight=planned.flight,
        source="duffel",
        said_at=datetime.now(UTC),
        phase=phase,
        departure=FlightPoint(airport="LHR", estimated=estimated),
    )
    await take_pushed(house.client, house.database, policy, news, None, "evt_1")


async def monitor_of_a_flight(house: House) -> dict[str, Any]:
    planned = await _watched(house, "1", _TWO_AT_ONCE)
    handle = house.client.get_workflow_handle(monitor_id_for(planned.flight.key))
    found: dict[str, Any] = {"monitor-waits-for-the-next-poll": await snapshot(handle)}
    await _say(house, planned, _TWO_AT_ONCE, 60, None)
    await _until(house, planned, 1)
    found["monitor-waits-after-telling-of-a-delay"] = await snapshot(handle)
    await _say(house, planned, _TWO_AT_ONCE, 60, "cancelled")
    await handle.result()
    return {**found, "monitor-ended-after-a-cancellation": handle}


async def monitor_under_a_new_run(house: House) -> dict[str, Any]:
    short = _TWO_AT_ONCE.model_copy(update={"events_of_a_run": 25})
    planned = await _watched(house, "2", short)
    handle = house.client.get_workflow_handle(monitor_id_for(planned.flight.key))
    for round_no in range(1, 4):
        await _say(house, planned, short, 60 * round_no, None)
        await _until(house, planned, round_no)
    return {"monitor-goes-on-under-a-new-run": await snapshot(handle)}


async def monitor_sweep(house: House) -> dict[str, Any]:
    handle = await house.client.start_workflow(MONITOR_SWEEP_WORKFLOW, id=new_id("sweep"), task_queue="bookings")
    await handle.result()
    return {"monitor-sweep-done": handle}


SCENARIOS = [monitor_of_a_flight, monitor_under_a_new_run, monitor_sweep]
