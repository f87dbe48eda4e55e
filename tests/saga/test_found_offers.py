"""What a booking learns about an offer reaches those who search: sold out (C-4b), one less (C-4d), not what it was (C-6b)."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from schema.offers import FoundOffer, SearchRequest, Version
from schema.references import new_id
from schema.searches import Entry
from schema.states import BookingState
from schema.tables import booking_items, offers
from store import search_cache, searches
from tests.saga.harness import FAST, House, Trip
from workers.audit import check, gather

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

SOLD_OUT = {"vendor": "duffel", "method": "GET", "path": "/air/offers/", "action": "sold_out", "times": None}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def at_work(house: House) -> AsyncGenerator[House]:
    async with house.worker():
        yield house


async def shown_to_others(house: House, trip: Trip) -> Entry:
    """A cached answer of the supplier that shows the trip's flight to everybody who searches."""
    item = trip.booking.items[0]
    offer = item.offer.model_copy(update={"offer_id": new_id("off")})
    now = datetime.now(UTC)
    entry = Entry(
        entry_id=new_id("ent"),
        cache_key=f"test-{trip.booking_id}",
        supplier=item.supplier,
        kind="flight",
        found_at=now,
        fresh_until=now + timedelta(minutes=30),
        version_tag="1",
        offers=[offer],
    )
    request = item.search_request
    assert isinstance(request, SearchRequest)
    async with house.database.transaction() as connection:
        found = FoundOffer(offer=offer, supplier_state=item.supplier_state)
        await searches.add_entry(connection, entry, request, [found])
    assert await search_cache.write(house.valkey, entry, 1_000_000)
    return entry


async def is_cached(house: House, entry: Entry) -> bool:
    return bool(await search_cache.read(house.valkey, [entry.cache_key]))


async def is_stale(house: House, entry: Entry) -> bool:
    async with house.database.read() as connection:
        stale_at = await connection.scalar(select(offers.c.stale_at).where(offers.c.id == entry.offers[0].offer_id))
    return stale_at is not None


async def test_a_confirmed_trip_makes_the_next_search_ask_again(at_work: House):
    house = at_work
    trip = await house.prepare(kinds=("flight",))
    entry = await shown_to_others(house, trip)
    assert (await (await house.start(trip)).result()).state == BookingState.CONFIRMED
    assert not await is_cached(house, entry)
    assert not await is_stale(house, entry), "there may be seats left for who has seen it"


async def test_what_is_sold_out_can_no_longer_be_seen_or_booked(at_work: House):
    house = at_work
    trip = await house.prepare(kinds=("flight",))
    entry = await shown_to_others(house, trip)
    await house.fault(**SOLD_OUT, contains=trip.correlation_id)
    assert (await (await house.start(trip)).result()).state == BookingState.FAILED
    assert not await is_cached(house, entry)
    assert await is_stale(house, entry)


async def test_what_is_not_what_was_offered_is_refused(at_work: House):
    """The supplier sells it at the same price, and flies at another time."""
    house = at_work
    trip = await house.prepare(kinds=("flight",))
    entry = await shown_to_others(house, trip)
    seen = Version(last_updated=None, facts="as the traveller has seen it")
    async with house.database.transaction() as connection:
        await connection.execute(
            update(booking_items)
            .where(booking_items.c.booking_id == trip.booking_id)
            .values(offer_version=seen.model_dump())
        )
    assert (await (await house.start(trip)).result()).state == BookingState.FAILED
    assert (await house.stored(trip.booking_id)).reason == "offer_stale"
    assert await is_stale(house, entry)
    assert (await house.books(trip.booking_id))["reservations"] == []


async def test_an_offer_that_another_booking_has_used_up_is_refused_and_searched_for_again(at_work: House):
    """Duffel makes one order of what one search has found, and says so to whoever comes later: no operator is asked about it."""
    house = at_work
    first = await house.prepare(kinds=("flight",))
    item = first.booking.items[0]
    request = item.search_request
    assert isinstance(request, SearchRequest)
    same = FoundOffer(offer=item.offer, supplier_state=item.supplier_state)
    second = await house.keep([same], request, f"case-second-{first.correlation_id}")
    assert (await (await house.start(first)).result()).state == BookingState.CONFIRMED
    entry = await shown_to_others(house, second)
    assert (await (await house.start(second)).result()).state == BookingState.FAILED
    assert (await house.stored(second.booking_id)).reason == "offer_expired"
    assert not await is_cached(house, entry)
    assert not await is_stale(house, entry), "it still flies"
    effects = {line["type"] for line in await house.ledger(second.booking_id)}
    assert effects == {"payment.authorised", "payment.voided"}
    report = check(await gather(house.settings, [first.booking_id, second.booking_id], policy=FAST, histories=0))
    assert [violation.text for violation in report.violations] == []
