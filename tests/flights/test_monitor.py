"""One monitor for each flight: it asks by distance to departure, tells everybody once, and ends when nothing can follow."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.watching import Watching
from schema.bookings import TASK_QUEUE
from schema.flights import (
    FLIGHT_MONITOR_WORKFLOW,
    FanOutPlace,
    FlightPolicy,
    FlightPushed,
    MonitorInput,
    TellNewcomers,
    monitor_id_for,
)
from store import flights, itineraries
from tests.flights.conftest import SLOW, Tower, news_of
from tests.saga.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.stack]


async def test_many_bookings_of_one_flight_have_one_monitor(tower: Tower) -> None:
    async with tower.worker():
        planned, joined = await tower.watched(7)
        await tower.until(planned, lambda stored: stored.polled_at is not None)
        found = [one async for one in tower.client.list_workflows(f"WorkflowId = 'flight-{planned.flight.key}'")]
        assert len(found) <= 1, "visibility may lag, and never shows two"
        assert await tower.running(planned)
        # All have subscribed before it was asked about, or are told of by signal: nobody makes it ask again.
        assert tower.source.polls[planned.flight.key] == 1
        assert (await tower.stored(planned)).itineraries == len(joined)


async def test_everybody_is_told_once_whatever_order_pushes_come_in(tower: Tower) -> None:
    async with tower.worker():
        planned, joined = await tower.watched(12)
        delayed, stale = news_of(planned, said_min=30, delay_min=60), news_of(planned, said_min=10, delay_min=200)
        for news in (delayed, stale, delayed, stale):
            await tower.push(news)
        stored = await tower.until(planned, lambda stored: stored.told_revision == 1)
        assert (stored.status.delay_minutes, stored.status.revision) == (60, 1)
        assert await tower.told(joined) == [[["delayed"]]] * 12


async def test_who_joins_later_is_told_what_the_others_know(tower: Tower) -> None:
    async with tower.worker():
        planned, _ = await tower.watched(2)
        await tower.push(news_of(planned, delay_min=60))
        await tower.until(planned, lambda stored: stored.told_revision == 1)
        late = await tower.travellers(planned, 2)
        await tower.subscribe(late + late)

        async def told() -> bool:
            return await tower.told(late) == [[["delayed"]]] * 2

        await eventually(told)


async def test_who_joins_while_a_change_is_untold_is_told_of_it_as_a_change(tower: Tower) -> None:
    """Whatever the monitor does first: welcoming somebody never stands for telling of what nobody was told yet."""
    planned = tower.a_flight()
    joined = await tower.travellers(planned, 1)
    async with tower.database.transaction() as connection:
        await flights.watch(connection, planned)
        await flights.take_news(connection, news_of(planned, gate="B12"), SLOW)
        await flights.take_news(connection, news_of(planned, said_min=1, gate="C3"), SLOW)
    watching: Any = Watching(tower.database, tower.vendors)
    welcome = TellNewcomers(flight_key=planned.flight.key, itinerary_ids=joined, policy=SLOW)
    await ActivityEnvironment().run(watching.tell_newcomers, welcome)
    async with tower.worker():
        await tower.subscribe(joined)
        await tower.until(planned, lambda stored: stored.told_revision == 1)
    assert await tower.told(joined) == [[["gate_changed"]]]


async def test_a_first_gate_is_shown_and_not_told(tower: Tower) -> None:
    async with tower.worker():
        planned, joined = await tower.watched(2)
        await tower.push(news_of(planned, gate="B12"))
        async with tower.database.read() as connection:
            itinerary = await itineraries.get(connection, joined[0])
        assert itinerary is not None
        (segment,) = itinerary.segments
        assert segment.flight is not None
        assert (segment.flight.departure.gate, itinerary.revision) == ("B12", 0)
        await tower.push(news_of(planned, said_min=1, gate="C3"))
        await tower.until(planned, lambda stored: stored.told_revision == 1)
        assert await tower.told(joined) == [[["gate_changed"]]] * 2


async def test_it_ends_once_the_cancellation_is_told_and_a_reinstatement_is_told_all_the_same(tower: Tower) -> None:
    async with tower.worker():
        planned, joined = await tower.watched(2)
        await tower.push(news_of(planned, phase="cancelled"))
        assert (await tower.handle(planned).result()).ended == "cancelled"
        assert (await tower.stored(planned)).ended_at is not None
        await tower.push(news_of(planned, said_min=1, phase="scheduled"))
        await tower.until(planned, lambda stored: stored.told_revision == 2)
        assert await tower.told(joined) == [[["cancelled"], ["reinstated"]]] * 2
        assert await tower.running(planned)


async def test_it_ends_after_the_arrival_that_a_poll_saw(tower: Tower) -> None:
    async with tower.worker():
        planned = tower.a_flight()
        joined = await tower.travellers(planned, 1)
        tower.source.says[planned.flight.key] = news_of(planned, phase="arrived")
        await tower.subscribe(joined)
        assert (await tower.handle(planned).result()).ended == "arrived"
        assert await tower.told(joined) == [[["arrived"]]]


async def test_nobody_said_that_it_arrived(tower: Tower) -> None:
    async with tower.worker():
        planned = tower.a_flight(timedelta(hours=-10))
        await tower.subscribe(
            await tower.travellers(planned, 1), SLOW.model_copy(update={"give_up_after_arrival_h": 5})
        )
        assert not [one async for one in tower.client.list_workflows(f"WorkflowId = 'flight-{planned.flight.key}'")]
        near = tower.a_flight(timedelta(hours=-3, seconds=-3))
        compressed = SLOW.model_copy(update={"give_up_after_arrival_h": 5 / 3600, "poll_near_s": 1.0})
        await tower.subscribe(await tower.travellers(near, 1), compressed)
        assert (await tower.handle(near).result()).ended == "given_up"


async def test_a_source_that_is_away_ends_nothing_and_pushes_are_told(tower: Tower) -> None:
    tower.source.away = True
    try:
        async with tower.worker():
            planned, joined = await tower.watched(1)
            away = await tower.until(planned, lambda stored: stored.next_poll_at is not None)
            assert away.polled_at is None
            assert away.next_poll_at is not None
            assert away.next_poll_at < datetime.now(UTC) + timedelta(minutes=10), "asked again soon, though far away"
            await tower.push(news_of(planned, delay_min=60))
            await tower.until(planned, lambda stored: stored.told_revision == 1)
            assert await tower.told(joined) == [[["delayed"]]]
    finally:
        tower.source.away = False


async def test_without_a_source_it_lives_by_pushes(tower: Tower) -> None:
    async with tower.worker(source=False):
        planned, joined = await tower.watched(1)
        await tower.push(news_of(planned, delay_min=60))
        stored = await tower.until(planned, lambda stored: stored.told_revision == 1)
        assert stored.polled_at is None
        assert tower.source.polls[planned.flight.key] == 0
        assert await tower.told(joined) == [[["delayed"]]]


async def test_a_fan_out_that_dies_half_way_is_resumed_and_all_are_told_once(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third batch is cut off after it has told some; a worker with an empty cache takes over."""
    real = itineraries.tell_of_flight
    died, told = asyncio.Event(), 0

    async def dying(*arguments: Any) -> int | None:
        nonlocal told
        told += 1
        if told == 13 and not died.is_set():
            died.set()
            raise OSError("the worker dies here")
        return await real(*arguments)

    monkeypatch.setattr(itineraries, "tell_of_flight", dying)
    planned, joined = None, []
    async with tower.worker(max_cached_workflows=0, max_concurrent_workflow_task_polls=1):
        planned, joined = await tower.watched(23)
        await tower.push(news_of(planned, delay_min=60))
        await asyncio.wait_for(died.wait(), 30)
    async with tower.worker(max_cached_workflows=0, max_concurrent_workflow_task_polls=1):
        await tower.until(planned, lambda stored: stored.told_revision == 1)
    assert await tower.told(joined) == [[["delayed"]]] * 23
    assert told > 23, "the batch that was cut off ran again"


@pytest.mark.timeout(300)
async def test_it_goes_on_under_new_runs_with_nothing_lost(tower: Tower) -> None:
    """W4: signals keep coming while runs end, in the middle of telling and between."""
    short = SLOW.model_copy(update={"events_of_a_run": 40, "fan_out_batch": 2})
    async with tower.worker():
        planned, joined = await tower.watched(9, short)
        handle, runs = tower.handle(planned), set[str | None]()
        for round_no in range(1, 6):
            await tower.push(news_of(planned, said_min=round_no, delay_min=30 * round_no), short)
            flood = [handle.signal("pushed", FlightPushed(event_id=f"evt_{number}")) for number in range(20)]
            late = await tower.travellers(planned, 1)
            joined += late
            await asyncio.gather(*flood, tower.subscribe(late, short))
            runs.add((await handle.describe()).run_id)
        await tower.until(planned, lambda stored: stored.told_revision == stored.status.revision == 5)

        async def all_know() -> bool:
            async with tower.database.read() as connection:
                found = [await itineraries.get(connection, itinerary_id) for itinerary_id in joined]
            return all(one is not None and one.segments[0].flight_revision == 5 for one in found)

        await eventually(all_know, 100)
        runs.add((await handle.describe()).run_id)
        assert len(runs) > 1
        for changes in await tower.told(joined):
            assert all(change == ["delayed"] for change in changes)
            assert 1 <= len(changes) <= 5


async def test_a_run_that_ends_the_telling_of_the_run_before_knows_what_came_meanwhile(tower: Tower) -> None:
    """Nobody signals it any more, and its next poll is hours away."""
    planned = tower.a_flight()
    joined = await tower.travellers(planned, 3)
    async with tower.database.transaction() as connection:
        await flights.watch(connection, planned)
        for revision in (1, 2):
            await flights.take_news(connection, news_of(planned, said_min=revision, delay_min=60 * revision), SLOW)
    carried = MonitorInput(
        flight=planned.flight,
        policy=SLOW,
        correlation_id="test",
        departs_at=planned.departs_at,
        arrives_at=planned.arrives_at,
        fan_out=FanOutPlace(revision=1, after=min(joined)),
        next_poll_at=datetime.now(UTC) + timedelta(hours=6),
    )
    async with tower.worker():
        await tower.client.start_workflow(
            FLIGHT_MONITOR_WORKFLOW, carried, id=monitor_id_for(planned.flight.key), task_queue=TASK_QUEUE
        )
        await tower.until(planned, lambda stored: stored.told_revision == 2)


async def test_compressed_clocks_ask_more_often_when_departure_is_near(tower: Tower) -> None:
    """Three days in 26 s: every hour from the beginning, every 5 min of the last 6 hours."""
    compressed = FlightPolicy(clock_scale=10_000, jitter=0, poll_near_s=10_000, poll_day_s=40_000)
    async with tower.worker():
        far, _ = await tower.watched(1, compressed, departs_in=timedelta(seconds=3600 * 70 / 10_000))
        near, _ = await tower.watched(1, compressed, departs_in=timedelta(seconds=1))

        async def asked() -> bool:
            return tower.source.polls[near.flight.key] >= 6

        await eventually(asked, 60)
        assert tower.source.polls[far.flight.key] < tower.source.polls[near.flight.key]
