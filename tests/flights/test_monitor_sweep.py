"""The net under the monitors: flights that nobody watches, monitors that are late or gone, and those that nobody needs."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from schema.flights import MONITOR_SWEEP_WORKFLOW, MonitorSweepReport
from schema.references import new_id
from schema.tables import flights, itinerary_segments
from store import flight_watch
from store import flights as flights_store
from store.flights import PlannedFlight
from tests.flights.conftest import SLOW, Tower, news_of
from tests.saga.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.stack]


async def sweep(tower: Tower) -> MonitorSweepReport:
    return await tower.client.execute_workflow(
        MONITOR_SWEEP_WORKFLOW, id=new_id("sweep"), task_queue="bookings", result_type=MonitorSweepReport
    )


async def faults(tower: Tower, planned: PlannedFlight) -> list[str]:
    async with tower.database.read() as connection:
        found = await flight_watch.faulty(connection, datetime.now(UTC) - timedelta(minutes=10), "", 1000)
    return [watch.fault for watch in found if watch.flight_key == planned.flight.key]


async def aged(tower: Tower, planned: PlannedFlight) -> None:
    """As if nothing had been heard of its monitor for an hour."""
    ago = datetime.now(UTC) - timedelta(hours=1)
    async with tower.database.read() as connection:
        await connection.execute(
            update(flights)
            .where(flights.c.flight_key == planned.flight.key)
            .values(next_poll_at=ago, created_at=ago, updated_at=ago)
        )


async def polled(tower: Tower, travellers: int, *, gone: bool = False) -> tuple[PlannedFlight, list[str]]:
    """A flight whose monitor has polled once, and perhaps is no more; and the trips on it."""
    planned, joined = await tower.watched(travellers)
    await tower.until(planned, lambda stored: stored.polled_at is not None)
    if gone:
        await tower.handle(planned).terminate("by a test")
    return planned, joined


async def test_a_flight_that_nobody_watches_is_watched_once(tower: Tower) -> None:
    planned = tower.a_flight()
    joined = await tower.travellers(planned, 2)
    over = tower.a_flight(timedelta(days=-2))
    await tower.travellers(over, 1)
    assert await faults(tower, planned) == ["unwatched"]
    assert await faults(tower, over) == [], "it has long arrived"
    async with tower.worker():
        assert (await sweep(tower)).started >= 1
        await tower.until(planned, lambda stored: stored.polled_at is not None)
        assert await faults(tower, planned) == []
        await sweep(tower)
        assert await tower.running(planned)
        await tower.push(news_of(planned, delay_min=60))
        await tower.until(planned, lambda stored: stored.told_revision == 1)
        assert await tower.told(joined) == [[["delayed"]]] * 2


@pytest.mark.parametrize("gone", [True, False])
async def test_a_monitor_that_has_not_polled_in_time_is_woken_or_started_again(tower: Tower, gone: bool) -> None:
    async with tower.worker():
        planned, _ = await polled(tower, 1, gone=gone)
        await aged(tower, planned)
        assert await faults(tower, planned) == ["late"]
        assert (await sweep(tower)).woken >= 1

        async def right_again() -> bool:
            return await tower.running(planned) and (not gone or tower.source.polls[planned.flight.key] == 2)

        await eventually(right_again)


async def test_news_whose_signal_was_lost_are_told(tower: Tower) -> None:
    async with tower.worker():
        planned, joined = await polled(tower, 2)
        async with tower.database.transaction() as connection:
            await flights_store.take_news(connection, news_of(planned, delay_min=60), SLOW)
        await aged(tower, planned)
        await sweep(tower)
        await tower.until(planned, lambda stored: stored.told_revision == 1)
        assert await tower.told(joined) == [[["delayed"]]] * 2


@pytest.mark.parametrize("gone", [True, False])
async def test_a_flight_that_nobody_is_on_any_more_is_left(tower: Tower, gone: bool) -> None:
    async with tower.worker():
        planned, joined = await polled(tower, 1, gone=gone)
        async with tower.database.read() as connection:
            on_it = itinerary_segments.c.itinerary_id.in_(joined)
            await connection.execute(update(itinerary_segments).where(on_it).values(state="cancelled"))
        await aged(tower, planned)
        assert await faults(tower, planned) == ["released"]
        assert (await sweep(tower)).released >= 1
        await tower.until(planned, lambda stored: stored.ended_at is not None)
        if not gone:
            assert (await tower.handle(planned).result()).ended == "nobody_on_it"
        # Somebody books it after all.
        await tower.subscribe(await tower.travellers(planned, 1))
        await tower.until(planned, lambda stored: stored.ended_at is None and stored.next_poll_at is not None)
        assert await tower.running(planned)


async def test_a_sweep_of_many_goes_page_by_page(tower: Tower, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.monitor_sweeping._PAGE", 2)
    planned = [tower.a_flight() for _ in range(5)]
    for one in planned:
        await tower.travellers(one, 1)
    async with tower.worker():
        assert (await sweep(tower)).started >= 5
        for one in planned:
            await tower.until(one, lambda stored: stored.polled_at is not None)
