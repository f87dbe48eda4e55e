"""Answers of suppliers that cannot be meant: the supplier's outcome is `error`, and nothing of its answer can be booked."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from schema.errors import CircuitOpen, OutcomeUnclear, RateLimited, VendorContractBroken, VendorUnavailable
from schema.money import Money
from schema.offers import Offer
from schema.tables import search_entries
from store.database import Database
from tests.api.conftest import Caller
from tests.api.fakes import FakeVendors, offer_of, trip_day
from tests.api.searching import DAY, outcomes, searched

pytestmark = pytest.mark.usefixtures("empty_cache")
GOOD = offer_of("hotel", check_in=DAY, check_out=DAY + timedelta(days=4))
UNHEARD_OF = Money.model_construct(amount_minor=100, currency="QQQ")
ANSWERS: dict[str, Offer] = {
    "a price below zero": GOOD.model_copy(update={"price": Money(amount_minor=-1, currency="EUR")}),
    "for nothing": GOOD.model_copy(update={"price": Money(amount_minor=0, currency="EUR")}),
    "in no currency": GOOD.model_copy(update={"price": UNHEARD_OF}),
    "expired": GOOD.model_copy(update={"expires_at": datetime.now(UTC) - timedelta(seconds=1)}),
    "in the past": GOOD.model_copy(update={"check_in": trip_day(-9).date(), "check_out": trip_day(-5).date()}),
    "for another day": GOOD.model_copy(update={"check_in": DAY + timedelta(days=1)}),
    "for a night less": GOOD.model_copy(update={"check_out": DAY + timedelta(days=3)}),
    "of another kind": offer_of("car", supplier="expedia_rapid"),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_impossible_offer_spoils_its_suppliers_answer_only(
    name: str, caller: Caller, vendors: FakeVendors, database: Database
) -> None:
    hotel = vendors.by_kind["hotel"]
    hotel.dated, hotel.offers = False, [GOOD, ANSWERS[name]]
    before = await _answers_in_the_books(database)
    body = await searched(caller)
    assert outcomes(body) == {"duffel": "ok", "expedia_rapid": "error", "duffel_cars": "ok"}
    assert {offer["kind"] for offer in body["offers"]} == {"flight", "car"}
    assert body["complete"] is False
    assert await _answers_in_the_books(database) == before
    hotel.offers = [GOOD]
    assert outcomes(await searched(caller))["expedia_rapid"] == "ok"


async def _answers_in_the_books(database: Database) -> int:
    async with database.read() as connection:
        of_hotels = select(func.count()).select_from(search_entries).where(search_entries.c.kind == "hotel")
        return await connection.scalar(of_hotels) or 0


async def test_a_flight_that_does_not_lead_back_is_none(caller: Caller, vendors: FakeVendors) -> None:
    flight = vendors.by_kind["flight"]
    there = offer_of("flight")
    flight.dated, flight.offers = False, [there]
    assert outcomes(await searched(caller, kinds=["flight"])) == {"duffel": "error"}


async def test_a_flight_that_has_left_is_none(caller: Caller, vendors: FakeVendors) -> None:
    """By the clock of its airport: at Honolulu it is never later than at Greenwich."""
    flight, today = vendors.by_kind["flight"], str(datetime.now(UTC).date())
    first = offer_of("flight").segments[0].model_copy(update={"departs_at": datetime(2030, 1, 1, 0, 0, tzinfo=UTC)})
    flight.offers = [offer_of("flight", segments=[first])]
    body = await searched(caller, kinds=["flight"], departure_date=today, return_date=today)
    assert outcomes(body) == {"duffel": "error"}


OUTCOMES = {
    "circuit_open": CircuitOpen("duffel", "open"),
    "rate_limited": RateLimited("duffel", "quota"),
    "timeout": TimeoutError(),
    "error": VendorContractBroken("duffel: HTML"),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
async def test_why_a_supplier_brought_nothing_is_told(outcome: str, caller: Caller, vendors: FakeVendors) -> None:
    vendors.by_kind["flight"].error = OUTCOMES[outcome]
    assert outcomes(await searched(caller))["duffel"] == outcome


async def test_a_deadline_of_the_gateways_is_a_timeout_too(caller: Caller, vendors: FakeVendors) -> None:
    """It comes first, so that it counts against the circuit; what it raises depends on how far the call had come."""
    for error in (OutcomeUnclear("no answer in time"), VendorUnavailable("duffel", "not connected in time")):
        error.__cause__ = TimeoutError()
        vendors.by_kind["flight"].error = error
        assert outcomes(await searched(caller))["duffel"] == "timeout"
