"""What Duffel's airline-initiated changes say of an order's flights, by the flights as they were booked."""

from __future__ import annotations

from datetime import UTC, date, datetime

import httpx
import pytest

from gateways.flight_ports import TellsOfFlights
from schema.flights import FlightId, FlightNews, FlightPoint
from tests.contracts import spec
from tests.gateways.documents import duffel, duffel_error
from tests.gateways.support import CORRELATION_ID, LOST, Vendor, ending
from tests.gateways.test_duffel_notices import AFTER, BEFORE, FEEDER, journey, notices, segment

BOOKED = FlightId(carrier="LH", number="400", on=date(2027, 3, 1), origin="FRA")
FED = FlightId(carrier="LH", number="12", on=date(2027, 3, 1), origin="FRA")
FIRST, SECOND = "2027-02-01T09:00:00Z", "2027-02-02T09:00:00Z"
NEXT_DAY = segment("400", "2027-03-02T10:05:00", "2027-03-02T20:00:00")
OTHER = segment("402", "2027-03-01T12:00:00")


def listed(*changes: tuple[str, list[dict], list[dict]]) -> httpx.Response:
    return duffel(
        [{"id": "aic_1", "created_at": at, "removed": removed, "added": added} for at, removed, added in changes]
    )


async def told(*changes: tuple[str, list[dict], list[dict]]) -> list[FlightNews]:
    return await notices(Vendor(listed(*changes))).news("ord_1", CORRELATION_ID)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def flown(departs: str, arrives: str, said_at: str = FIRST, **changes: object) -> FlightNews:
    return FlightNews.model_validate(
        {
            "flight": BOOKED,
            "source": "duffel",
            "said_at": said_at,
            "departure": FlightPoint(airport="FRA", scheduled=utc(departs)),
            "arrival": FlightPoint(airport="JFK", scheduled=utc(arrives)),
            **changes,
        }
    )


def cancelled(flight: FlightId = BOOKED, said_at: str = FIRST, *, ambiguous: bool = False) -> FlightNews:
    at = datetime.fromisoformat(said_at)
    return FlightNews(flight=flight, source="duffel", said_at=at, phase="cancelled", ambiguous=ambiguous)


MOVED = flown("2027-03-01T10:30", "2027-03-02T01:00")
DAY_LATER = flown("2027-03-02T09:05", "2027-03-03T01:00")


async def test_it_is_the_port():
    assert isinstance(notices(), TellsOfFlights)


async def test_moved_times_are_instants_and_said_when_the_change_was_made():
    vendor = Vendor(listed((FIRST, journey(FEEDER, BEFORE), journey(FEEDER, AFTER))))
    assert await notices(vendor).news("ord_1", CORRELATION_ID) == [MOVED]
    assert vendor.asked() == ["GET /air/airline_initiated_changes"]
    assert vendor.requests[0].url.params["order_id"] == "ord_1"


async def test_a_terminal_that_moved():
    (news,) = await told((FIRST, journey(BEFORE), journey(BEFORE | {"origin_terminal": "2"})))
    assert news.departure == FlightPoint(airport="FRA", scheduled=utc("2027-03-01T09:05"), terminal="2")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([(FIRST, journey(BEFORE), [])], [cancelled()]),
        (
            [(FIRST, journey(FEEDER, BEFORE), [])],
            [cancelled(FED, ambiguous=True), cancelled(ambiguous=True)],
        ),
        ([(FIRST, journey(FEEDER, BEFORE), journey(AFTER))], [cancelled(FED), MOVED]),
        ([(FIRST, journey(BEFORE), journey(BEFORE))], []),
        ([(FIRST, journey(BEFORE), journey(OTHER))], []),
        ([(FIRST, [], journey(OTHER))], []),
        ([(FIRST, journey(BEFORE), journey(NEXT_DAY))], [DAY_LATER]),
        (
            [(SECOND, journey(NEXT_DAY), []), (FIRST, journey(BEFORE), journey(NEXT_DAY))],
            [DAY_LATER, cancelled(said_at=SECOND)],
        ),
        (
            [(FIRST, journey(BEFORE), []), (SECOND, [], journey(AFTER))],
            [cancelled(), flown("2027-03-01T10:30", "2027-03-02T01:00", SECOND, phase="scheduled")],
        ),
        (
            [(SECOND, journey(BEFORE), journey(AFTER)), (FIRST, journey(AFTER), [])],
            [cancelled(), flown("2027-03-01T10:30", "2027-03-02T01:00", SECOND, phase="scheduled")],
        ),
        (
            [(FIRST, [*journey(BEFORE), *journey(NEXT_DAY)], journey(NEXT_DAY))],
            [cancelled()],
        ),
        ([], []),
    ],
    ids=[
        *(
            "taken away",
            "both taken away",
            "one of two taken away",
            "unchanged",
            "replaced by another flight",
            "added",
            "to the next day",
        ),
        *("moved, then taken away", "taken away, then flown after all", "the cancellation told late"),
        *("one of two days", "none"),
    ],
)
async def test_what_each_change_says(changes: list, expected: list[FlightNews]):
    assert await told(*changes) == expected


async def test_an_airport_that_nobody_knows_has_no_times():
    (news,) = await told((FIRST, journey(BEFORE), journey(AFTER | {"destination": {"iata_code": "QQZ"}})))
    assert news.arrival == FlightPoint(airport="QQZ")


async def test_an_order_that_nobody_knows_has_no_news():
    assert await notices(Vendor(duffel_error(404, "not_found"))).news("ord_none", CORRELATION_ID) == []


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (duffel_error(503, "service_unavailable"), "VendorUnavailable"),
        (duffel_error(400, "bad_request"), "VendorContractBroken"),
        (duffel([{"id": "aic_1", "removed": journey(BEFORE), "added": []}]), "VendorContractBroken"),
        (LOST, "LostAnswer"),
    ],
)
async def test_what_cannot_be_read_now_is_never_taken_for_nothing(answer, raised: str):
    assert await ending(notices(Vendor(answer)).news("ord_1", CORRELATION_ID)) == raised


@pytest.mark.contract
async def test_the_request_is_as_the_contract_wants_it():
    judge = spec.require(spec.DUFFEL)
    vendor = Vendor(listed())
    await notices(vendor).news("ord_1", CORRELATION_ID)
    judge.check_request(vendor.requests[0], vendor.requests[0].url.path)
