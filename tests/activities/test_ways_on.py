"""What is searched for in place of a ticket, whole or partly flown: by hand-made tickets."""

from datetime import date, datetime, time

import pytest

from activities.ways_on import OldFlight
from schema.itineraries import FlightDetails
from schema.money import Money
from schema.offers import FlightOffer, FlightSegment, SearchRequest
from store.records import StoredItem
from tests.activities.test_assessing import flight

MADRID_AND_BACK = ("LHR", "MAD", "LIS", "MAD", "LHR")


def old(
    places: tuple[str, ...], disrupted: int, flown: int, days: tuple[int, ...], *, one_way: bool = False
) -> OldFlight:
    """A ticket through these places, a leg on each of these days of February."""
    segments = [
        FlightSegment(
            carrier="ZZ",
            number=str(leg + 1),
            origin=places[leg],
            destination=places[leg + 1],
            departs_at=datetime.combine(date(2027, 2, day), time(8 + leg)),
            arrives_at=datetime.combine(date(2027, 2, day), time(9 + leg)),
        )
        for leg, day in enumerate(days)
    ]
    offer = FlightOffer.model_construct(
        segments=segments, seats=1, cabin="business", price=Money(amount_minor=100, currency="EUR")
    )
    request = SearchRequest(
        origin="LHR",
        destination="LIS",
        departure_date=date(2027, 2, days[0]),
        return_date=None if one_way else date(2027, 2, days[-1]),
        kinds=["flight"],
        cabin="business",
    )
    item = StoredItem.model_construct(offer=offer, search_request=request)
    segment = flight(disrupted + 1, places[disrupted], places[disrupted + 1], 9, 12, leg=disrupted)
    assert isinstance(segment.details, FlightDetails)
    return OldFlight("B", segment, item, flown)


def searched(ticket: OldFlight) -> list[tuple[str, str, str, str | None]]:
    trips = ticket.trips("EUR")
    assert {(trip.cabin, *trip.kinds) for trip in trips} == {("business", "flight")}
    return [
        (trip.origin, trip.destination, str(trip.departure_date), trip.return_date and str(trip.return_date))
        for trip in trips
    ]


def test_a_whole_ticket_is_searched_there_and_back():
    ticket = old(("LHR", "LIS", "LHR"), 1, 0, (1, 5))
    assert searched(ticket) == [
        ("LHR", "LIS", "2027-02-01", "2027-02-05"),
        ("LHR", "LIS", "2027-02-01", "2027-02-06"),
    ]


def test_the_way_back_of_a_flown_ticket_is_searched_one_way():
    ticket = old(("LHR", "LIS", "LHR"), 1, 1, (1, 5))
    assert searched(ticket) == [("LIS", "LHR", "2027-02-05", None), ("LIS", "LHR", "2027-02-06", None)]
    assert [segment.number for segment in ticket.replaced] == ["2"]


def test_the_rest_of_a_way_back_begins_where_its_traveller_is():
    ticket = old(MADRID_AND_BACK, 3, 3, (1, 1, 5, 5))
    assert searched(ticket)[0] == ("MAD", "LHR", "2027-02-05", None)


def test_a_ticket_one_way_is_searched_one_way():
    ticket = old(("LHR", "MAD", "LIS"), 0, 0, (1, 2), one_way=True)
    assert searched(ticket) == [("LHR", "LIS", "2027-02-01", None), ("LHR", "LIS", "2027-02-02", None)]
    assert ticket.other_way(ticket.offer) == [], "the night in Madrid is no stay"


@pytest.mark.parametrize(("flown", "replaceable"), [(0, True), (1, False), (2, True), (3, True)])
def test_who_is_stranded_on_the_way_there_keeps_the_ticket_that_takes_them_home(flown: int, replaceable: bool):
    ticket = old(MADRID_AND_BACK, flown, flown, (1, 1, 5, 5))
    assert ticket.replaceable == replaceable
