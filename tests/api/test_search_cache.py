"""The cache of suppliers' answers: shared by clients, asked for once, and dropped the moment it is known to be wrong."""

import asyncio
import zlib

import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from sqlalchemy import event, func, select

from schema.money import Money
from schema.settings import Settings
from schema.tables import offers, searches
from search.invalidation import drop_item
from store import offers as store_offers
from store.database import Database
from store.valkey import Valkey
from tests.api.conftest import Caller, Minting, booking_body
from tests.api.fakes import FakeVendors, offer_of, on_the_days_of
from tests.api.searching import TRIP, another_process, hears_news, ids, outcomes, searched
from tests.api.test_health import AWAY
from tests.api.waiting import until

pytestmark = pytest.mark.usefixtures("empty_cache")


async def _count(database: Database, table) -> int:
    async with database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(table)) or 0


async def test_one_answer_serves_many_clients(caller: Caller, mint: Minting, vendors: FakeVendors, database) -> None:
    first = await searched(caller)
    rows = await _count(database, offers)
    other = await mint()
    second = await searched(other, filters={"refundable_only": True}, sort="departure", display_currency="USD")
    assert set(outcomes(second).values()) == {"cached"}
    assert ids(second) == ids(first)
    assert second["search_id"] != first["search_id"]
    assert [len(supplier.asked) for supplier in vendors.all] == [1, 1, 1]
    assert await _count(database, offers) == rows


async def test_whoever_has_not_searched_cannot_book_what_others_found(caller: Caller, mint: Minting) -> None:
    body = await searched(caller)
    choice = [offer_of("hotel").model_copy(update={"offer_id": body["offers"][0]["offer_id"]})]
    refused = await (await mint()).post("/v1/bookings", booking_body(choice))
    assert refused.json()["code"] == "unknown_offer"
    other = await mint()
    await searched(other)
    assert (await other.post("/v1/bookings", booking_body(choice))).json().get("code") != "unknown_offer"


async def test_a_repeat_is_answered_again_without_a_statement(caller: Caller, app: FastAPI) -> None:
    await hears_news(app)
    first = await searched(caller)
    statements: list[str] = []
    engine = app.state.services.database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    second = await searched(caller)
    reordered = await caller.http.post("/v1/searches", json=dict(reversed(TRIP.items())))
    assert statements == []
    assert set(outcomes(second).values()) == {"cached"}
    assert (second["search_id"], ids(second)) == (first["search_id"], ids(first))
    assert reordered.json() == second
    assert (await caller.get(f"/v1/searches/{second['search_id']}")).json()["offers"] == second["offers"]


async def test_a_repeat_is_for_the_same_client_only(caller: Caller, mint: Minting, app: FastAPI) -> None:
    await hears_news(app)
    first = await searched(caller)
    assert (await searched(await mint()))["search_id"] != first["search_id"]
    reader = await mint(["bookings:read"])
    assert (await reader.post("/v1/searches", TRIP)).status_code == 403


async def test_without_news_every_repeat_is_looked_up(caller: Caller, app: FastAPI, database: Database) -> None:
    await hears_news(app)
    await searched(caller)
    app.state.services.search.copies.listening(on=False)
    second = await searched(caller)
    assert set(outcomes(second).values()) == {"cached"}
    async with database.read() as connection:
        mine = await connection.scalar(
            select(func.count()).select_from(searches).where(searches.c.client_id == caller.client_id)
        )
    assert mine == 2


@pytest.mark.parametrize("price", [Money(amount_minor=100_001, currency="USD"), Money(amount_minor=1, currency="KWD")])
async def test_dear_answers_are_asked_for_each_time(price: Money, caller: Caller, app: FastAPI, vendors) -> None:
    await hears_news(app)
    vendors.by_kind["hotel"].offers = [offer_of("hotel", price=price)]
    first, second = await searched(caller), await searched(caller)
    assert outcomes(second) == {"duffel": "cached", "expedia_rapid": "ok", "duffel_cars": "cached"}
    assert len(vendors.by_kind["hotel"].asked) == 2
    assert first["search_id"] != second["search_id"]


async def test_a_thousand_dollars_are_not_dear(caller: Caller, vendors: FakeVendors) -> None:
    limit = Money(amount_minor=100_000, currency="USD")
    vendors.by_kind["hotel"].offers = [offer_of("hotel", price=limit)]
    await searched(caller)
    assert set(outcomes(await searched(caller)).values()) == {"cached"}


async def test_many_at_once_ask_a_supplier_once(mint: Minting, vendors: FakeVendors, settings: Settings) -> None:
    """Across processes: each has its own registry of vendors."""
    others = FakeVendors()
    for supplier in (*vendors.all, *others.all):
        supplier.silent = True
    async with another_process(settings, others) as app:
        clients = [await mint(of=app if number % 2 else None) for number in range(6)]
        asking = [asyncio.create_task(searched(client)) for client in clients]
        await until(lambda: sum(len(supplier.asked) for supplier in (*vendors.all, *others.all)) == 3)
        for supplier in (*vendors.all, *others.all):
            supplier.silent = False
        found = await asyncio.gather(*asking)
    assert len({tuple(ids(body)) for body in found}) == 1
    assert sum(len(supplier.asked) for supplier in (*vendors.all, *others.all)) == 3


async def test_one_that_dies_while_asking_keeps_the_others_waiting_for_a_moment_only(
    caller: Caller, app: FastAPI, vendors: FakeVendors, valkey_url: str
) -> None:
    hotel = vendors.by_kind["hotel"]
    hotel.silent = True
    asking = asyncio.create_task(searched(caller, kinds=["hotel"]))
    await until(lambda: len(hotel.asked) == 1)
    async with Redis.from_url(valkey_url) as redis:
        (lock,) = [key async for key in redis.scan_iter("search:asking:*")]
        assert 0 < await redis.pttl(lock) <= 2000, "nobody renews the lock of a process that has died"
        hotel.silent = False
        await asking
        assert not await redis.exists(lock)
        await redis.flushdb()
        app.state.services.search.copies.listening(on=False)
        await redis.set(lock, "of somebody who died", px=300)
        assert outcomes(await searched(caller, kinds=["hotel"])) == {"expedia_rapid": "ok"}
    assert len(hotel.asked) == 2


async def test_what_is_sold_out_is_dropped_everywhere(
    caller: Caller, app: FastAPI, database: Database, settings: Settings, vendors: FakeVendors
) -> None:
    await hears_news(app)
    first = await searched(caller)
    sold = next(offer for offer in first["offers"] if offer["kind"] == "hotel")
    kept = app.state.services.search.copies
    async with database.read() as connection:
        found = (await store_offers.load(connection, caller.client_id, [sold["offer_id"]]))[sold["offer_id"]]
    valkey = Valkey(str(settings.valkey_url))
    epoch = kept.epoch
    dropped = await drop_item(database, valkey, "expedia_rapid", found.offer.item_key(), stale=True)
    await valkey.aclose()
    assert dropped == 1
    await until(lambda: kept.epoch > epoch)
    refused = await caller.post("/v1/bookings", booking_body([found.offer]))
    assert (refused.status_code, refused.json()["code"]) == (409, "offer_stale")
    read = (await caller.get(f"/v1/searches/{first['search_id']}")).json()
    assert sold["offer_id"] not in ids(read)
    assert outcomes(await searched(caller)) == {"duffel": "cached", "expedia_rapid": "ok", "duffel_cars": "cached"}
    assert len(vendors.by_kind["hotel"].asked) == 2


async def test_what_was_booked_leaves_the_cache_and_may_still_be_tried(
    caller: Caller, app: FastAPI, database: Database
) -> None:
    first = await searched(caller, kinds=["hotel"])
    services = app.state.services
    async with database.read() as connection:
        found = list((await store_offers.load(connection, caller.client_id, ids(first))).values())
    await drop_item(database, services.valkey, "expedia_rapid", found[0].offer.item_key(), stale=False)
    assert outcomes(await searched(caller, kinds=["hotel"])) == {"expedia_rapid": "ok"}
    booked = await caller.post("/v1/bookings", booking_body([found[0].offer]))
    assert booked.status_code == 202, booked.text


async def test_what_is_sold_while_a_supplier_answers_is_not_kept(
    caller: Caller, app: FastAPI, database: Database, vendors: FakeVendors
) -> None:
    hotel = vendors.by_kind["hotel"]
    hotel.silent = True
    asking = asyncio.create_task(searched(caller, kinds=["hotel"]))
    await until(lambda: len(hotel.asked) == 1)
    item = on_the_days_of(hotel.asked[0], hotel.offers[0]).item_key()
    await drop_item(database, app.state.services.valkey, "expedia_rapid", item, stale=True)
    hotel.silent = False
    body = await asking
    async with database.read() as connection:
        found = await store_offers.load(connection, caller.client_id, ids(body))
    assert [offer.stale for offer in found.values()] == [True]
    assert outcomes(await searched(caller, kinds=["hotel"])) == {"expedia_rapid": "ok"}


async def test_an_entry_is_kept_compressed_for_a_day(caller: Caller, valkey_url: str) -> None:
    await searched(caller, kinds=["car"])
    async with Redis.from_url(valkey_url) as redis:
        (key,) = [key async for key in redis.scan_iter("search:entry:*")]
        assert 86_000 < await redis.ttl(key) <= 86_400
        assert b'"version_tag"' in zlib.decompress(await redis.get(key))


async def test_an_answer_that_is_too_large_is_served_and_not_kept(
    settings: Settings, vendors: FakeVendors, mint: Minting
) -> None:
    async with another_process(settings, vendors, cache_max_document_bytes=100) as app:
        caller = await mint(of=app)
        first, second = await searched(caller), await searched(caller)
    assert len(first["offers"]) == 3
    assert set(outcomes(second).values()) == {"ok"}


async def test_without_valkey_everything_is_asked_anew(settings: Settings, vendors: FakeVendors, mint: Minting) -> None:
    alone = settings.model_copy(update=AWAY["valkey"])
    async with another_process(alone, vendors) as app:
        caller = await mint(of=app)
        first, second = await searched(caller), await searched(caller)
    assert (first["cache"], second["cache"]) == ("away", "away")
    assert set(outcomes(second).values()) == {"ok"}
    assert ids(first) != ids(second)


async def test_operators_see_how_old_answers_are(caller: Caller, app: FastAPI) -> None:
    await hears_news(app)
    for _ in range(3):
        await searched(caller)
    figures = (await caller.get("/v1/ops/search-cache")).json()
    assert (figures["asked"], figures["cached"], figures["hit_ratio"]) == (3, 6, 0.6667)
    assert figures["served"][0] == {"at_most_minutes": 1, "served": 6}
