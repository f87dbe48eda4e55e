"""How flights stand, by gateways and simulated vendors over real HTTP. Both were written from the contracts, apart from each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from gateways.flight_ports import TellsOfFlights
from gateways.ports import Vendors
from gateways.registry import build_vendors
from schema.flights import FlightId, FlightNews
from schema.offers import FlightOffer, FlightSegment
from schema.outcomes import Confirmed
from schema.zones import zone_of
from tests.gateways.conftest import settings_for
from tests.gateways.support import search_request
from tests.gateways.test_against_sandbox import shopped
from tests.sandbox.conftest import RunningSandbox


@pytest_asyncio.fixture
async def vendors(sandbox: RunningSandbox) -> AsyncIterator[Vendors]:
    told = {"amadeus_url": f"{sandbox.url}/amadeus", "amadeus_client_id": "id", "amadeus_client_secret": "secret"}
    registry = build_vendors(settings_for(sandbox.url, **told))
    yield registry
    await registry.aclose()


def flight_of(segment: FlightSegment) -> FlightId:
    return FlightId(carrier=segment.carrier, number=segment.number, on=segment.departs_at.date(), origin=segment.origin)


async def segments(vendors: Vendors, code: str = "amadeus") -> list[FlightSegment]:
    """Of the first offer."""
    offer = (await vendors.supplier(code).search(search_request(), "trip-1"))[0].offer
    assert isinstance(offer, FlightOffer)
    return offer.segments


def instant(local: datetime, airport: str) -> datetime:
    return local.replace(tzinfo=zone_of(airport)).astimezone(UTC)


def say(sandbox: RunningSandbox, flight: FlightId, **news: object) -> None:
    answer = sandbox.control.post(f"/flights/{flight.carrier}{flight.number}/{flight.on}", json=news)
    assert answer.status_code == 201, answer.text


async def status(vendors: Vendors, flight: FlightId) -> FlightNews:
    source = vendors.flight_status()
    assert source is not None
    news = await source.status(flight, "trip-1")
    assert news is not None
    return news


async def test_flights_as_they_were_sold_by_either_supplier(vendors: Vendors):
    for code in ("amadeus", "duffel"):
        for segment in await segments(vendors, code):
            news = await status(vendors, flight_of(segment))
            assert news.phase == "scheduled"
            assert news.departure is not None
            assert news.departure.scheduled == instant(segment.departs_at, segment.origin)
            assert news.arrival is not None
            assert news.arrival.airport == segment.destination
            assert news.arrival.scheduled == instant(segment.arrives_at, segment.destination)


@pytest.mark.parametrize("code", ["amadeus", "duffel"])
async def test_one_way_is_sold_and_booked(sandbox: RunningSandbox, vendors: Vendors, code):
    trip = await shopped(vendors, code, return_date=None, kinds=["flight"])
    assert isinstance(await trip.do("book"), Confirmed)
    assert [entry["status"] for entry in sandbox.reservations()] == ["confirmed"]
    for found in await trip.supplier.search(search_request(return_date=None, kinds=["flight"]), "trip-1"):
        assert isinstance(found.offer, FlightOffer)
        legs = found.offer.segments
        assert (legs[0].origin, legs[-1].destination) == ("LHR", "CDG")
        assert legs[0].departs_at.date() == search_request().departure_date
        assert "LHR" not in [leg.destination for leg in legs], "it does not lead back"


async def test_a_late_flight_from_the_estimate_to_its_arrival(sandbox: RunningSandbox, vendors: Vendors):
    segment = (await segments(vendors))[0]
    flight = flight_of(segment)
    leaves, comes = instant(segment.departs_at, segment.origin), instant(segment.arrives_at, segment.destination)
    late = timedelta(minutes=50)
    say(sandbox, flight, delay_minutes=50, gate="B12", terminal="2", arrival_gate="C3")
    news = await status(vendors, flight)
    assert news.departure is not None
    assert (news.phase, news.departure.scheduled, news.departure.estimated) == ("scheduled", leaves, leaves + late)
    assert (news.departure.gate, news.departure.terminal) == ("B12", "2")
    assert news.arrival is not None
    assert (news.arrival.estimated, news.arrival.gate) == (comes + late, "C3")

    say(sandbox, flight, departed_at=(leaves + late).isoformat())
    news = await status(vendors, flight)
    assert news.departure is not None
    assert (news.phase, news.departure.actual) == ("departed", leaves + late)

    say(sandbox, flight, arrived_at=(comes + late).isoformat())
    news = await status(vendors, flight)
    assert news.arrival is not None
    assert (news.phase, news.arrival.actual) == ("arrived", comes + late)


async def test_a_cancelled_flight_one_that_is_diverted_and_one_that_is_moved(sandbox: RunningSandbox, vendors: Vendors):
    segment = (await segments(vendors))[0]
    flight = flight_of(segment)
    next_day = flight.model_copy(update={"on": flight.on + timedelta(days=1)})
    say(sandbox, flight, cancelled=True)
    assert (await status(vendors, flight)).phase == "cancelled"

    say(sandbox, next_day, reschedule_minutes=95)
    news = await status(vendors, next_day)
    assert news.departure is not None
    moved = instant(segment.departs_at + timedelta(days=1), segment.origin) + timedelta(minutes=95)
    assert (news.phase, news.departure.scheduled, news.departure.estimated) == ("scheduled", moved, None)

    say(sandbox, next_day, diverted_to="VIE")
    news = await status(vendors, next_day)
    assert (news.phase, news.diverted_to) == ("diverted", "VIE")
    assert news.arrival is not None
    assert news.arrival.airport == segment.destination


async def test_nobody_knows_a_flight_that_was_never_sold(vendors: Vendors):
    source = vendors.flight_status()
    assert source is not None
    unknown = FlightId(carrier="QQ", number="1", on=datetime.now(UTC).date(), origin="LHR")
    assert await source.status(unknown, "trip-1") is None


async def test_duffels_order_on_a_flight_that_is_moved_and_then_cancelled(sandbox: RunningSandbox, vendors: Vendors):
    notifying = vendors.notifying("duffel")
    assert isinstance(notifying, TellsOfFlights)
    booked = await shopped(vendors, "duffel")
    assert isinstance(await booked.do("book"), Confirmed)
    assert booked.provider_reference is not None
    assert await notifying.news(booked.provider_reference, "trip-1") == []

    order = sandbox.duffel.get(f"/air/orders/{booked.provider_reference}").json()["data"]
    first = order["slices"][0]["segments"][0]
    leaves = datetime.fromisoformat(first["departing_at"])
    flight = FlightId(
        carrier=first["marketing_carrier"]["iata_code"],
        number=first["marketing_carrier_flight_number"],
        on=leaves.date(),
        origin=first["origin"]["iata_code"],
    )
    said_at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    say(sandbox, flight, reschedule_minutes=40, push=True, said_at=said_at.isoformat())
    say(sandbox, flight, cancelled=True, push=True, said_at=(said_at + timedelta(minutes=1)).isoformat())
    moved, *gone = await notifying.news(booked.provider_reference, "trip-1")
    assert (moved.flight, moved.said_at, moved.phase) == (flight, said_at, None)
    assert moved.departure is not None
    assert moved.departure.scheduled == instant(leaves, flight.origin) + timedelta(minutes=40)
    slice_flights = [one["marketing_carrier_flight_number"] for one in order["slices"][0]["segments"]]
    assert [one.flight.number for one in gone] == slice_flights
    assert {(one.phase, one.said_at) for one in gone} == {("cancelled", said_at + timedelta(minutes=1))}
