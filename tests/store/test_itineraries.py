"""Itineraries begin, change and end in the transactions of what they tell, one event for each revision."""

from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import select

from schema.bookings import StateChange
from schema.flights import FlightPoint, FlightStatus
from schema.itineraries import itinerary_id_for
from schema.references import new_id
from schema.states import BookingState, ItemState
from schema.tables import events
from store import bookings, items, itineraries
from store.clients import ensure_client
from store.database import Database
from tests.store.trips import a_booking, confirm

pytestmark = pytest.mark.asyncio(loop_scope="session")
S = BookingState


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(postgres_url):
    opened = Database(postgres_url, pool_size=4)
    yield opened
    await opened.aclose()


@pytest_asyncio.fixture
async def client_id(database):
    return await ensure_client(database, name=new_id("client"), scopes=[], token=new_id("token"))


async def events_of(database, booking_id):
    query = (
        select(events.c.version, events.c.type, events.c.data, events.c.follow_up_at)
        .where(events.c.booking_id == booking_id, events.c.stream == "itinerary")
        .order_by(events.c.version)
    )
    async with database.read() as connection:
        return (await connection.execute(query)).all()


async def itinerary_of(database, booking_id):
    async with database.read() as connection:
        return await itineraries.get(connection, itinerary_id_for(booking_id))


async def test_it_begins_with_the_confirmation(database, client_id):
    booking_id = await a_booking(database, client_id)
    assert await itinerary_of(database, booking_id) is None

    await confirm(database, booking_id)

    itinerary = await itinerary_of(database, booking_id)
    assert (itinerary.state, itinerary.revision, itinerary.title) == ("active", 0, "Trip to Lisbon")
    assert [segment.details.kind for segment in itinerary.segments] == ["flight", "car", "hotel", "flight"]
    out = itinerary.segments[0]
    # 09:00 in London is 09:00 UTC in winter; Lisbon keeps the same time.
    assert out.starts_at == datetime(2027, 2, 1, 9, tzinfo=UTC)
    assert (out.start_zone, out.end_zone, out.flight_key) == ("Europe/London", "Europe/Lisbon", "ZZ101-2027-02-01-LHR")
    (event,) = await events_of(database, booking_id)
    assert (event.version, event.type) == (0, "itinerary.created")
    assert event.follow_up_at is not None


async def test_confirmed_again_it_is_the_same(database, client_id):
    booking_id = await a_booking(database, client_id)
    await confirm(database, booking_id)
    async with database.transaction() as connection:
        await itineraries.booked(connection, booking_id)
    assert len((await itinerary_of(database, booking_id)).segments) == 4
    assert len(await events_of(database, booking_id)) == 1


async def test_what_is_given_up_is_no_longer_ahead(database, client_id):
    booking_id = await a_booking(database, client_id)
    version = await confirm(database, booking_id)
    async with database.transaction() as connection:
        await items.set_state(connection, booking_id, 2, ItemState.CANCELLED)
        for state in (S.CANCELLING, S.PARTIALLY_CONFIRMED):
            version += 1
            await bookings.record(connection, StateChange(booking_id=booking_id, version=version, state=state))

    itinerary = await itinerary_of(database, booking_id)
    assert [segment.details.kind for segment in itinerary.segments if segment.state == "cancelled"] == ["hotel"]
    assert (itinerary.state, itinerary.revision) == ("active", 1)

    async with database.transaction() as connection:
        for item_no in (1, 3):
            await items.set_state(connection, booking_id, item_no, ItemState.CANCELLED)
        for state in (S.CANCELLING, S.CANCELLED):
            version += 1
            await bookings.record(connection, StateChange(booking_id=booking_id, version=version, state=state))
    itinerary = await itinerary_of(database, booking_id)
    assert {segment.state for segment in itinerary.segments} == {"cancelled"}
    assert (itinerary.state, itinerary.revision) == ("cancelled", 2)
    assert [event.type for event in await events_of(database, booking_id)] == [
        *("itinerary.created", "itinerary.changed", "itinerary.changed")
    ]


def late(revision: int, minutes: int) -> FlightStatus:
    at = datetime(2027, 2, 1, 9, tzinfo=UTC)
    return FlightStatus(
        flight_key="ZZ101-2027-02-01-LHR",
        revision=revision,
        departure=FlightPoint(airport="LHR", scheduled=at, estimated=at + timedelta(minutes=minutes)),
        arrival=FlightPoint(airport="LIS", scheduled=at + timedelta(hours=3)),
        delay_minutes=minutes,
        said_at=at,
        source="amadeus",
    )


async def test_everybody_on_a_flight_is_told_once(database, client_id):
    ids = [await a_booking(database, client_id) for _ in range(3)]
    for booking_id in ids:
        await confirm(database, booking_id)
    status = late(1, 45)
    mine = sorted(map(itinerary_id_for, ids))
    async with database.read() as connection:
        found, after = [], ""
        while page := await itineraries.on_flight(connection, status.flight_key, after, 2):
            found += page
            after = page[-1]
    assert [one for one in found if one in mine] == mine

    for expected in (1, None):
        async with database.transaction() as connection:
            assert await itineraries.tell_of_flight(connection, mine[0], status, ["delayed"]) == expected
    async with database.transaction() as connection:
        assert await itineraries.tell_of_flight(connection, mine[0], late(2, 90), ["delayed"]) == 2
        assert await itineraries.tell_of_flight(connection, mine[0], late(1, 45), ["delayed"]) is None

    itinerary = await itinerary_of(database, mine[0].removeprefix("itn_"))
    assert itinerary.segments[0].flight.delay_minutes == 90
    assert itinerary.segments[0].starts_at == datetime(2027, 2, 1, 9, tzinfo=UTC), "a delay is no new schedule"


async def test_a_new_schedule_moves_the_segment(database, client_id):
    booking_id = await a_booking(database, client_id)
    await confirm(database, booking_id)
    moved = late(1, 0)
    at = datetime(2027, 2, 1, 12, tzinfo=UTC)
    moved = moved.model_copy(
        update={
            "departure": FlightPoint(airport="LHR", scheduled=at),
            "arrival": FlightPoint(airport="LIS", scheduled=at + timedelta(hours=3)),
        }
    )
    async with database.transaction() as connection:
        await itineraries.tell_of_flight(connection, itinerary_id_for(booking_id), moved, ["schedule_changed"])
    itinerary = await itinerary_of(database, booking_id)
    assert next(one for one in itinerary.segments if one.flight_key == moved.flight_key).starts_at == at


async def test_a_rebooking_joins_the_itinerary_it_is_for(database, client_id):
    booking_id = await a_booking(database, client_id)
    await confirm(database, booking_id)
    itinerary_id = itinerary_id_for(booking_id)
    other = await a_booking(database, client_id, kinds=("flight",), itinerary_id=itinerary_id, number="202")
    await confirm(database, other)

    itinerary = await itinerary_of(database, booking_id)
    assert await itinerary_of(database, other) is None
    assert sorted(segment.segment_no for segment in itinerary.segments) == [1, 2, 3, 4, 5, 6]
    assert {segment.booking_id for segment in itinerary.segments if segment.segment_no > 4} == {other}

    async with database.transaction() as connection:
        gone = await itineraries.replaced(connection, itinerary_id, booking_id, 1)
        await itineraries.raised(connection, itinerary_id, "itinerary.rebooked", {"replaced_segment_nos": gone})
    async with database.read() as connection:
        assert itinerary_id not in await itineraries.on_flight(connection, "ZZ101-2027-02-01-LHR", "", 100)
        assert itinerary_id in await itineraries.on_flight(connection, "ZZ202-2027-02-01-LHR", "", 100)


async def test_somebody_elses_is_nobodys(database, client_id):
    booking_id = await a_booking(database, client_id)
    await confirm(database, booking_id)
    async with database.read() as connection:
        assert await itineraries.get(connection, itinerary_id_for(booking_id), "somebody-else") is None
        page = await itineraries.page(connection, "somebody-else", 10, None)
    assert page.itineraries == []


@pytest.mark.parametrize("limit", [1, 2, 10])
async def test_pages_hold_everything_once(database, client_id, limit):
    ids = [await a_booking(database, client_id) for _ in range(3)]
    for booking_id in ids:
        await confirm(database, booking_id)
    seen, cursor = [], None
    async with database.read() as connection:
        while True:
            page = await itineraries.page(connection, client_id, limit, cursor)
            seen += [one.booking_id for one in page.itineraries]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert sorted(seen) == sorted(ids)
