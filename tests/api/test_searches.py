"""Searches: all suppliers at once; one that is slow or broken is told and takes nothing from the others."""

from datetime import timedelta

import pytest

from api.app import create_app
from schema.errors import VendorUnavailable
from schema.searches import SearchPolicy
from schema.settings import Settings
from store import offers
from store.database import Database
from tests.api.conftest import Caller, Minting, booking_body, running
from tests.api.fakes import FakeVendors, offer_of, trip_day

pytestmark = pytest.mark.usefixtures("empty_cache")
DAY = trip_day().date()
SEARCH = {
    "origin": "LHR",
    "destination": "JFK",
    "departure_date": str(DAY),
    "return_date": str(DAY + timedelta(days=4)),
}


async def test_offers_of_every_kind_are_found_and_can_be_booked(caller: Caller, database: Database) -> None:
    answer = await caller.post("/v1/searches", SEARCH)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["complete"] is True
    assert {report["supplier"]: report["outcome"] for report in body["suppliers"]} == {
        "duffel": "ok",
        "expedia_rapid": "ok",
        "duffel_cars": "ok",
    }
    assert "tok_of_supplier" not in answer.text
    async with database.read() as connection:
        found = await offers.load(connection, caller.client_id, [offer["offer_id"] for offer in body["offers"]])
    assert len(found) == 3
    booked = await caller.post("/v1/bookings", booking_body([entry.offer for entry in found.values()]))
    assert booked.status_code == 202, booked.text


async def test_one_way_is_flights_alone_and_can_be_booked(caller: Caller, database: Database) -> None:
    one_way = {name: value for name, value in SEARCH.items() if name != "return_date"} | {"kinds": ["flight"]}
    body = (await caller.post("/v1/searches", one_way)).json()
    (offer,) = body["offers"]
    assert [segment["destination"] for segment in offer["segments"]] == ["JFK"]
    async with database.read() as connection:
        found = await offers.load(connection, caller.client_id, [offer["offer_id"]])
    booked = await caller.post("/v1/bookings", booking_body([entry.offer for entry in found.values()]))
    assert booked.status_code == 202, booked.text
    again = (await caller.post("/v1/searches", SEARCH | {"kinds": ["flight"]})).json()
    assert [segment["destination"] for segment in again["offers"][0]["segments"]] == ["JFK", "LHR"], (
        "not from the cache"
    )


async def test_only_the_kinds_asked_for_are_searched(caller: Caller) -> None:
    body = (await caller.post("/v1/searches", SEARCH | {"kinds": ["car", "hotel", "car"]})).json()
    assert [report["kind"] for report in body["suppliers"]] == ["hotel", "car"]


async def test_a_broken_supplier_takes_nothing_from_the_others(caller: Caller, vendors: FakeVendors) -> None:
    vendors.by_kind["flight"].error = VendorUnavailable("duffel", "gone")
    vendors.by_kind["hotel"].error = RuntimeError("a bug of ours")
    body = (await caller.post("/v1/searches", SEARCH)).json()
    assert [report["outcome"] for report in body["suppliers"]] == ["error", "error", "ok"]
    assert [offer["kind"] for offer in body["offers"]] == ["car"]
    assert body["complete"] is False


async def test_a_silent_supplier_is_not_waited_for(settings: Settings, vendors: FakeVendors, mint: Minting) -> None:
    impatient = SearchPolicy(supplier_timeout_s=0.1)
    async with running(create_app(settings.model_copy(update={"search": impatient}), vendors)) as app:
        vendors.by_kind["hotel"].silent = True
        body = (await (await mint(of=app)).post("/v1/searches", SEARCH)).json()
    assert [report["outcome"] for report in body["suppliers"]] == ["ok", "timeout", "ok"]
    assert {offer["kind"] for offer in body["offers"]} == {"flight", "car"}


async def test_all_suppliers_away_is_an_answer_too(caller: Caller, vendors: FakeVendors) -> None:
    for supplier in vendors.by_kind.values():
        supplier.error = VendorUnavailable(supplier.code, "gone")
    body = (await caller.post("/v1/searches", SEARCH)).json()
    assert (body["offers"], body["complete"]) == ([], False)


async def test_the_cheapest_of_many_are_kept(caller: Caller, vendors: FakeVendors) -> None:
    vendors.by_kind["car"].offers = [offer_of("car", amount_minor=1000 + number) for number in range(80)]
    body = (await caller.post("/v1/searches", SEARCH | {"kinds": ["car"]})).json()
    assert [offer["price"]["amount_minor"] for offer in body["offers"]] == list(range(1000, 1050))


@pytest.mark.parametrize("key", [None, "short", "a-good-key"])
async def test_a_key_is_not_needed_and_ignored(key, caller: Caller) -> None:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = await caller.http.post("/v1/searches", json=SEARCH, headers=headers)
    assert answer.status_code == 200, answer.text


async def test_today_may_still_be_yesterday_elsewhere(caller: Caller) -> None:
    day = trip_day(0).date()
    answer = await caller.post("/v1/searches", SEARCH | {"departure_date": str(day), "return_date": str(day)})
    assert answer.status_code == 200, answer.text
