"""Entries, and whose their offers are: shared by the searches that list them, forgotten with the last of their offers."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from schema.offers import FoundOffer, SearchRequest, Version
from schema.references import new_id
from schema.searches import Entry, SearchProgress, TripSearch
from store import offers, searches
from store.clients import ensure_client
from store.database import Database
from store.searches import StoredSearch
from tests.api.fakes import offer_of, trip_day

pytestmark = pytest.mark.asyncio(loop_scope="session")
DAY = trip_day().date()
TRIP = TripSearch(origin="LHR", destination="JFK", departure_date=DAY, return_date=DAY + timedelta(days=4))
REQUEST = SearchRequest.model_validate(TRIP.model_dump(include=set(SearchRequest.model_fields)))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(postgres_url: str) -> AsyncGenerator[Database]:
    opened = Database(postgres_url, pool_size=2)
    yield opened
    await opened.aclose()


async def _client(database: Database) -> str:
    return await ensure_client(database, name=new_id("client"), scopes=[], token=new_id("token"))


async def _entry(database: Database, expires_at: datetime) -> Entry:
    found = offers.named(
        [
            FoundOffer(
                offer=offer_of("hotel", property_id=new_id("p"), expires_at=expires_at),
                supplier_state={"token": "t"},
                version=Version(last_updated="today", facts="f"),
            )
        ]
    )
    now = datetime.now(UTC)
    entry = Entry(
        entry_id=new_id("ent"), cache_key=new_id("key"), supplier="expedia_rapid", kind="hotel", found_at=now,
        fresh_until=now, version_tag="today", offers=[one.offer for one in found],
    )  # fmt: skip
    async with database.transaction() as connection:
        await searches.add_entry(connection, entry, REQUEST, found)
    return entry


async def _search(database: Database, client_id: str, *entries: Entry, created_at: datetime | None = None) -> str:
    now = datetime.now(UTC)
    search = StoredSearch(
        search_id=new_id("sea"), client_id=client_id, fingerprint=b"f", trip=TRIP,
        entries=[entry.entry_id for entry in entries], progress=SearchProgress(suppliers=[]), status="complete",
        deadline_at=now, created_at=created_at or now,
    )  # fmt: skip
    async with database.read() as connection:
        await searches.save(connection, search)
        assert await searches.load(connection, search.search_id, client_id) == search
    return search.search_id


async def test_an_offer_is_for_everybody_whose_search_lists_its_entry(database: Database) -> None:
    entry = await _entry(database, datetime.now(UTC) + timedelta(hours=1))
    one, other, stranger = [await _client(database) for _ in range(3)]
    for client_id in (one, other):
        await _search(database, client_id, entry)
    offer_id = entry.offers[0].offer_id
    async with database.read() as connection:
        found = [await offers.load(connection, client_id, [offer_id]) for client_id in (one, other, stranger)]
    assert [list(loaded) for loaded in found] == [[offer_id], [offer_id], []]
    stored = found[0][offer_id]
    assert (stored.offer, stored.supplier_state) == (entry.offers[0], {"token": "t"})
    assert (stored.version, stored.search_request) == (Version(last_updated="today", facts="f"), REQUEST)
    assert not stored.stale


async def test_offers_of_the_release_before_are_still_their_clients(database: Database) -> None:
    one, stranger = await _client(database), await _client(database)
    async with database.transaction() as connection:
        (saved,) = await offers.save(connection, one, [FoundOffer(offer=offer_of("car"), supplier_state={})])
        assert list(await offers.load(connection, one, [saved.offer_id])) == [saved.offer_id]
        assert await offers.load(connection, stranger, [saved.offer_id]) == {}


async def test_a_sold_item_is_stale_wherever_it_was_found(database: Database) -> None:
    entry, other = [await _entry(database, datetime.now(UTC) + timedelta(hours=1)) for _ in range(2)]
    client_id = await _client(database)
    await _search(database, client_id, entry, other)
    long_ago = datetime.now(UTC) - timedelta(days=1)
    item, ids = entry.offers[0].item_key(), [one.offers[0].offer_id for one in (entry, other)]
    async with database.transaction() as connection:
        assert await searches.keys_of_items(connection, [("somebody else", item)], long_ago) == []
        assert await searches.keys_of_items(connection, [("expedia_rapid", item)], long_ago) == [entry.cache_key]
        assert not any(found.stale for found in (await offers.load(connection, client_id, ids)).values())
        await searches.mark_stale(connection, "expedia_rapid", item)
        assert await searches.keys_of_items(connection, [("expedia_rapid", item)], long_ago) == [entry.cache_key]
        loaded = await offers.load(connection, client_id, ids)
        assert [loaded[offer_id].stale for offer_id in ids] == [True, False]
        assert [len(one.offers) for one in await searches.entries_of(connection, [entry.entry_id])] == [0]


async def test_old_searches_go_with_the_last_of_their_offers(database: Database) -> None:
    client_id, old = await _client(database), datetime.now(UTC) - timedelta(days=9)
    dead = await _entry(database, datetime.now(UTC) - timedelta(days=2))
    alive = await _entry(database, datetime.now(UTC) + timedelta(hours=1))
    forgotten, kept = [await _search(database, client_id, one, created_at=old) for one in (dead, alive)]
    running = await _search(database, client_id)
    async with database.read() as connection:
        assert await offers.drop_expired(connection, datetime.now(UTC) - timedelta(days=1)) >= 1
        found = {one: await searches.load(connection, one, client_id) is not None for one in (forgotten, kept, running)}
        assert found == {forgotten: False, kept: True, running: True}
        assert await searches.entries_of(connection, [dead.entry_id]) == []
        assert list(await offers.load(connection, client_id, [alive.offers[0].offer_id]))
