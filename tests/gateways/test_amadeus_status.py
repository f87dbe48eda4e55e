"""How a flight stands by Amadeus: times as instants, the leg that is asked for, and the phase that the contract has no word for."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from gateways.amadeus_status import AmadeusStatus
from schema.flights import FlightId, FlightNews, FlightPoint
from tests.gateways.amadeus_documents import HOST, TOKEN_ASKED, amadeus, amadeus_error, behind_token
from tests.gateways.support import LOST, NOT_CONNECTED, Vendor, ending

FLIGHT = FlightId(carrier="TP", number="487", on=date(2027, 8, 1), origin="NCE")
THROUGH = FlightId(carrier="SQ", number="26", on=date(2027, 8, 1), origin="SIN")
ASKED = "GET /v2/schedule/flights"


def gateway(vendor: Vendor) -> AmadeusStatus:
    return AmadeusStatus(vendor.http("amadeus", HOST), "id", "secret")


def times(**values: str) -> dict[str, Any]:
    return {"timings": [{"qualifier": qualifier, "value": value} for qualifier, value in values.items()]}


def leg(origin: str, destination: str) -> dict[str, str]:
    return {"boardPointIataCode": origin, "offPointIataCode": destination}


def dated(
    departure: dict[str, Any] | None = None, arrival: dict[str, Any] | None = None, **changes: object
) -> dict[str, Any]:
    """The contract's own example, on another day."""
    return {
        "type": "DatedFlight",
        "scheduledDepartureDate": "2027-08-01",
        "flightDesignator": {"carrierCode": "TP", "flightNumber": 487},
        "flightPoints": [
            {"iataCode": "NCE", "departure": departure or times(STD="2027-08-01T18:10+02:00")},
            {"iataCode": "LIS", "arrival": arrival or times(STA="2027-08-01T19:45+01:00")},
        ],
        "segments": [
            leg("NCE", "LIS") | {"partnership": {"operatingFlight": {"carrierCode": "A3", "flightNumber": 1748}}}
        ],
        "legs": [leg("NCE", "LIS")],
        **changes,
    }


def point(airport: str, *, departs: str | None = None, arrives: str | None = None) -> dict[str, Any]:
    return {
        "iataCode": airport,
        **({"arrival": times(STA=arrives)} if arrives else {}),
        **({"departure": times(STD=departs)} if departs else {}),
    }


def through(**changes: object) -> dict[str, Any]:
    """Singapore to New York with a stop in Frankfurt, which it leaves after midnight."""
    return dated(
        flightPoints=[
            point("SIN", departs="2027-08-01T14:00+08:00"),
            point("FRA", arrives="2027-08-01T21:00+02:00", departs="2027-08-02T00:30+02:00"),
            point("JFK", arrives="2027-08-02T03:00-04:00"),
        ],
        segments=[leg("SIN", "JFK"), leg("SIN", "FRA"), leg("FRA", "JFK")],
        legs=[leg("SIN", "FRA"), leg("FRA", "JFK")],
        **changes,
    )


async def told(*found: dict[str, Any], flight: FlightId = FLIGHT) -> FlightNews:
    news = await gateway(behind_token(amadeus(list(found)))).status(flight, "trip-1")
    assert news is not None
    return news


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


async def test_what_the_contracts_example_says():
    before = datetime.now(UTC)
    vendor = behind_token(amadeus([dated()]))
    news = await gateway(vendor).status(FLIGHT, "trip-1")
    assert news == FlightNews(
        flight=FLIGHT,
        source="amadeus",
        said_at=news.said_at,
        phase="scheduled",
        departure=FlightPoint(airport="NCE", scheduled=utc(2027, 8, 1, 16, 10)),
        arrival=FlightPoint(airport="LIS", scheduled=utc(2027, 8, 1, 18, 45)),
    )
    assert before <= news.said_at <= datetime.now(UTC)
    assert vendor.asked() == [TOKEN_ASKED, ASKED]
    assert dict(vendor.requests[1].url.params) == {
        "carrierCode": "TP",
        "flightNumber": "487",
        "scheduledDepartureDate": "2027-08-01",
    }


async def test_the_news_are_as_old_as_the_question():
    """What changed at the airline while the answer was on its way is not in it, and must not be overwritten by it."""
    answered: list[datetime] = []

    def answer(_: httpx.Request) -> httpx.Response:
        answered.append(datetime.now(UTC))
        return amadeus([dated()])

    news = await gateway(behind_token(answer)).status(FLIGHT, "trip-1")
    assert news is not None
    assert news.said_at <= answered[0]


async def test_gates_terminals_and_every_time():
    departure = times(STD="2027-08-01T18:10+02:00", ETD="2027-08-01T19:00+02:00", ATD="2027-08-01T19:05+02:00")
    arrival = times(STA="2027-08-01T19:45+01:00", ETA="2027-08-01T20:30+01:00")
    news = await told(
        dated(
            departure | {"terminal": {"code": 2}, "gate": {"mainGate": "B12"}},
            arrival | {"terminal": {"code": "1"}, "gate": {}},
        )
    )
    assert news.departure == FlightPoint(
        airport="NCE",
        scheduled=utc(2027, 8, 1, 16, 10),
        estimated=utc(2027, 8, 1, 17),
        actual=utc(2027, 8, 1, 17, 5),
        terminal="2",
        gate="B12",
    )
    assert news.arrival == FlightPoint(
        airport="LIS", scheduled=utc(2027, 8, 1, 18, 45), estimated=utc(2027, 8, 1, 19, 30), terminal="1"
    )


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2027-08-01T18:10:00", utc(2027, 8, 1, 16, 10)),
        ("2027-08-01T18:10:00Z", utc(2027, 8, 1, 18, 10)),
        ("06:00:00", None),
        ("soon", None),
    ],
)
async def test_a_time_without_an_offset_is_by_the_airports_clock(value, instant):
    news = await told(dated(times(STD=value)))
    assert news.departure is not None
    assert news.departure.scheduled == instant


async def test_without_an_offset_at_an_airport_nobody_knows_there_is_no_instant():
    found = dated(flightPoints=[point("QQZ", departs="2027-08-01T18:10"), point("LIS")])
    news = await told(found, flight=FLIGHT.model_copy(update={"origin": "QQZ"}))
    assert news.departure == FlightPoint(airport="QQZ")


GONE = times(STD="2027-08-01T18:10+02:00", ATD="2027-08-01T18:12+02:00")
LATE = times(STD="2027-08-01T18:10+02:00", ETD="2027-08-01T19:10+02:00")
THERE = times(STA="2027-08-01T19:45+01:00", ATA="2027-08-01T19:41+01:00")
OPORTO = {"iataCode": "OPO", "arrival": times(ETA="2027-08-01T20:00+01:00")}
ELSEWHERE = {"flightPoints": [*dated(GONE)["flightPoints"], OPORTO], "legs": [leg("NCE", "OPO")]}
ONWARDS = {
    "flightPoints": [*dated(GONE, THERE)["flightPoints"], OPORTO],
    "legs": [leg("NCE", "OPO"), leg("OPO", "LIS")],
}


@pytest.mark.parametrize(
    ("found", "phase"),
    [
        (dated(LATE), "scheduled"),
        (dated(GONE), "departed"),
        (dated(GONE, THERE), "arrived"),
        (dated(legs=[]), "cancelled"),
        (dated(legs=None), "scheduled"),
        (dated(LATE, legs=[]), "scheduled"),
        (dated(GONE, legs=[]), "departed"),
        (dated(legs=[], segments=[]), "scheduled"),
        (dated(**ELSEWHERE), "diverted"),
        (dated(**ONWARDS), "arrived"),
    ],
    ids=[
        *("late", "departed", "arrived", "no leg", "legs not told", "late without a leg", "gone without a leg"),
        *("nothing listed", "diverted", "diverted and flown on"),
    ],
)
async def test_the_phase(found, phase):
    assert (await told(found)).phase == phase


async def test_a_diversion_says_where_to_and_keeps_the_place_that_was_sold():
    news = await told(dated(**ELSEWHERE))
    assert news.diverted_to == "OPO"
    assert news.arrival == FlightPoint(airport="LIS", scheduled=utc(2027, 8, 1, 18, 45))


@pytest.mark.parametrize("segments", [through()["segments"][1:], through()["segments"][:1], []])
async def test_a_scheduled_stop_is_no_diversion(segments):
    news = await told(through() | {"segments": segments}, flight=THROUGH)
    assert (news.phase, news.diverted_to) == ("scheduled", None)
    assert news.arrival is not None
    assert news.arrival.airport == ("JFK" if segments == through()["segments"][:1] else "FRA")


async def test_of_several_legs_the_one_from_the_origin():
    later = FlightId(carrier="SQ", number="26", on=date(2027, 8, 2), origin="FRA")
    tomorrow = through() | {
        "scheduledDepartureDate": "2027-08-02",
        "flightPoints": [point("SIN"), point("FRA", departs="2027-08-03T00:30+02:00"), point("JFK")],
    }
    vendor = behind_token(amadeus([tomorrow]), amadeus([through()]))
    news = await gateway(vendor).status(later, "trip-1")
    assert news is not None
    assert news.departure == FlightPoint(airport="FRA", scheduled=utc(2027, 8, 1, 22, 30))
    assert news.arrival == FlightPoint(airport="JFK", scheduled=utc(2027, 8, 2, 7))
    asked = [request.url.params["scheduledDepartureDate"] for request in vendor.requests[1:]]
    assert asked == ["2027-08-02", "2027-08-01"]


async def test_a_flight_that_was_rescheduled_to_the_next_day_is_the_one_that_was_asked_for():
    news = await told(dated(times(STD="2027-08-02T00:40+02:00")))
    assert news.departure is not None
    assert news.departure.scheduled == utc(2027, 8, 1, 22, 40)


async def test_the_letter_of_a_number_is_its_suffix():
    vendor = behind_token(amadeus([dated()]))
    await gateway(vendor).status(FLIGHT.model_copy(update={"number": "487A"}), "trip-1")
    asked = vendor.requests[1].url.params
    assert (asked["flightNumber"], asked["operationalSuffix"]) == ("487", "A")


@pytest.mark.parametrize(
    "answer",
    [
        amadeus([]),
        amadeus([dated(flightPoints=[point("OPO", departs="2027-08-01T09:00+01:00")])]),
        amadeus_error(404, 38196),
    ],
    ids=["no flight", "not from there", "not found"],
)
async def test_a_flight_that_amadeus_does_not_know(answer):
    assert await gateway(behind_token(answer)).status(FLIGHT, "trip-1") is None


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (LOST, "LostAnswer"),
        (NOT_CONNECTED, "VendorUnavailable"),
        (httpx.Response(503), "VendorUnavailable"),
        (amadeus_error(429, 38194), "RateLimited"),
        (amadeus_error(400, 477), "VendorContractBroken"),
        (amadeus_error(401, 38187), "CredentialsRefused"),
        (httpx.Response(200, text="<html>"), "VendorContractBroken"),
        (httpx.Response(200, json={}), "VendorContractBroken"),
        (amadeus([{"flightPoints": None}]), "VendorContractBroken"),
    ],
)
async def test_what_cannot_be_asked_raises(answer, raised):
    assert await ending(gateway(behind_token(answer)).status(FLIGHT, "trip-1")) == raised
