"""Read-only mode (C-3d): when nobody who sells a kind can be reached, what was found last is shown and nothing is begun."""

import pytest
from fastapi import FastAPI

from schema.offers import Offer
from store import offers
from store.database import Database
from tests.api.conftest import Caller, booking_body
from tests.api.fakes import FakeSupplier, FakeVendors, offer_of
from tests.api.searching import hears_news, ids, outcomes, searched

pytestmark = pytest.mark.usefixtures("empty_cache")


def _open(app: FastAPI, vendors: FakeVendors, *codes: str) -> None:
    """Opens these circuits, as the next second would see it."""
    vendors.traffic.open = dict.fromkeys(codes, 17.0)
    app.state.services.search.circuits._known.clear()


async def _found(database: Database, caller: Caller, body: dict) -> list[Offer]:
    async with database.read() as connection:
        stored = await offers.load(connection, caller.client_id, ids(body))
    return [stored[offer_id].offer for offer_id in ids(body)]


async def test_what_was_found_last_is_shown_and_cannot_be_booked(
    caller: Caller, app: FastAPI, vendors: FakeVendors, database: Database
) -> None:
    await hears_news(app)
    before = await searched(caller)
    assert (before["booking_available"], before["message"]) == (True, None)
    _open(app, vendors, "expedia_rapid")
    body = await searched(caller)
    assert (body["booking_available"], body["message"]) == (False, "booking temporarily unavailable")
    assert ids(body) == ids(before)
    assert {offer["kind"]: offer["stale"] for offer in body["offers"]} == {"flight": False, "hotel": True, "car": False}
    assert {report["supplier"]: report["stale"] for report in body["suppliers"]}["expedia_rapid"] is True
    found = await _found(database, caller, body)
    refused = await caller.post("/v1/bookings", booking_body(found), key="while-it-is-open")
    assert (refused.status_code, refused.json()["code"]) == (503, "booking_unavailable")
    assert refused.headers["retry-after"] == "17"
    assert (await caller.get("/v1/bookings")).json()["bookings"] == []
    others = await caller.post("/v1/bookings", booking_body([offer for offer in found if offer.kind != "hotel"]))
    assert others.status_code == 202, others.text
    _open(app, vendors)
    booked = await caller.post("/v1/bookings", booking_body(found), key="while-it-is-open")
    assert booked.status_code == 202, booked.text


async def test_even_what_must_be_asked_live_is_shown_from_what_is_kept(
    caller: Caller, app: FastAPI, vendors: FakeVendors
) -> None:
    hotel = vendors.by_kind["hotel"]
    hotel.offers = [offer_of("hotel", amount_minor=1_000_000)]
    before = await searched(caller, kinds=["hotel"])
    _open(app, vendors, "expedia_rapid")
    body = await searched(caller, kinds=["hotel"])
    assert (ids(body), outcomes(body)) == (ids(before), {"expedia_rapid": "cached"})
    assert len(hotel.asked) == 1


async def test_nothing_is_known_of_what_was_never_asked(caller: Caller, app: FastAPI, vendors: FakeVendors) -> None:
    _open(app, vendors, "expedia_rapid")
    body = await searched(caller, kinds=["hotel"])
    assert (body["offers"], outcomes(body), body["complete"]) == ([], {"expedia_rapid": "circuit_open"}, False)
    assert vendors.by_kind["hotel"].asked == []


async def test_one_supplier_that_can_be_reached_is_enough(caller: Caller, app: FastAPI, vendors: FakeVendors) -> None:
    vendors.more = [FakeSupplier("liteapi", "hotel")]
    _open(app, vendors, "expedia_rapid")
    body = await searched(caller, kinds=["hotel"])
    assert body["booking_available"] is True
    assert outcomes(body)["liteapi"] == "ok"
