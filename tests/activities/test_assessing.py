"""What a change of a flight means for the rest of a trip: by hand-made itineraries."""

from datetime import UTC, datetime, timedelta

import pytest

from activities.assessing import assess
from schema.disruptions import DisruptionPolicy
from schema.flights import FlightPoint, FlightStatus
from schema.itineraries import CarDetails, FlightDetails, HotelDetails, Itinerary, Segment

DAY = datetime(2027, 2, 1, tzinfo=UTC)
EARLIER = DAY - timedelta(days=10)
POLICY = DisruptionPolicy()


def at(hours: float) -> datetime:
    return DAY + timedelta(hours=hours)


def flight(
    no: int, origin: str, destination: str, leaves: float, arrives: float, item_no: int = 1, leg: int = 0
) -> Segment:
    return Segment(
        segment_no=no,
        booking_id="B",
        item_no=item_no,
        state="confirmed",
        details=FlightDetails(
            carrier="ZZ", number=str(no), origin=origin, destination=destination, cabin="economy", item_leg=leg
        ),
        starts_at=at(leaves),
        ends_at=at(arrives),
        start_zone="UTC",
        end_zone="UTC",
        supplier="duffel",
        record_locator=None,
        flight_key=f"ZZ{no}-2027-02-01-{origin}",
    )


def late(segment: Segment, minutes: int, phase: str = "scheduled") -> Segment:
    by = timedelta(minutes=minutes)
    status = FlightStatus(
        flight_key=segment.flight_key,
        phase=phase,
        departure=FlightPoint(airport="LHR", scheduled=segment.starts_at, estimated=segment.starts_at + by),
        arrival=FlightPoint(airport="LIS", scheduled=segment.ends_at, estimated=segment.ends_at + by),
        delay_minutes=minutes,
        said_at=EARLIER,
        source="amadeus",
    )
    return segment.model_copy(update={"flight": status})


def other(no: int, kind: str, starts: float) -> Segment:
    details = (
        HotelDetails(name="Casa", city="Lisbon", room_type="double")
        if kind == "hotel"
        else CarDetails(vendor_name="Avis", car_name="Fiat", pickup_place="LIS", dropoff_place="LIS")
    )
    given = flight(no, "LIS", "LIS", starts, starts + 24, item_no=no).model_dump(exclude={"details", "flight_key"})
    return Segment(**given, details=details)


def trip(*segments: Segment) -> Itinerary:
    return Itinerary(
        itinerary_id="itn_B",
        booking_id="B",
        client_id="c",
        state="active",
        revision=0,
        title="Trip",
        starts_at=at(0),
        ends_at=at(200),
        segments=list(segments),
        created_at=EARLIER,
        updated_at=EARLIER,
    )


def assessed(changed: Segment, *others: Segment, changes: list[str], minutes: int = 0, now: datetime = EARLIER):
    return assess(trip(changed, *others), changed, changes, minutes, POLICY, now)


@pytest.mark.parametrize(
    ("minutes", "offered"),
    [(29, False), (30, True), (180, True)],
)
def test_a_delay_is_worth_alternatives_from_its_threshold_on(minutes, offered):
    found = assessed(late(flight(1, "LHR", "LIS", 9, 12), minutes), changes=["delayed"], minutes=minutes)
    assert (found.kind, found.wants_alternatives) == ("flight_delayed", offered)
    if offered:
        assert found.impact.arrive_before == at(12) + timedelta(minutes=minutes), "later ones would not help"


@pytest.mark.parametrize("change", ["gate_changed", "terminal_changed", "departed", "arrived", "on_time_again"])
def test_what_needs_no_choice_offers_none(change):
    assert not assessed(flight(1, "LHR", "LIS", 9, 12), changes=[change]).wants_alternatives


def test_the_gravest_change_names_it():
    found = assessed(flight(1, "LHR", "LIS", 9, 12), changes=["gate_changed", "delayed", "cancelled"])
    assert found.kind == "flight_cancelled"
    assert found.impact.arrive_before is None, "anything is better than no flight"


@pytest.mark.parametrize(
    ("minutes", "missed"),
    # MAD asks for 60 minutes, and 90 were booked.
    [(30, False), (31, True), (200, True)],
)
def test_a_connection_is_missed_when_too_little_time_is_left(minutes, missed):
    first = late(flight(1, "LHR", "MAD", 9, 11), minutes)
    second = flight(2, "MAD", "LIS", 12.5, 13.5, item_no=2)
    found = assessed(first, second, changes=["delayed"], minutes=minutes)
    assert (found.kind == "missed_connection") == missed
    if missed:
        assert found.impact.missed_segment_no == 2
        assert found.impact.connection_minutes == 90 - minutes
        assert found.impact.rebook_segment_no == 2, "the first is flown; it is the second that another replaces"
        assert found.impact.leave_after == at(11) + timedelta(minutes=minutes + 60)


def test_a_connection_that_was_booked_too_short_is_not_missed_by_nothing():
    first = late(flight(1, "LHR", "MAD", 9, 11), 0)
    second = flight(2, "MAD", "LIS", 11.5, 12.5, item_no=2)
    assert assessed(first, second, changes=["gate_changed"]).kind == "gate_changed"


def test_a_connection_that_is_late_too_is_caught():
    first = late(flight(1, "LHR", "MAD", 9, 11), 60)
    second = late(flight(2, "MAD", "LIS", 12.5, 13.5, item_no=2), 60)
    assert assessed(first, second, changes=["delayed"], minutes=60).kind == "flight_delayed"


def test_flights_of_one_ticket_are_replaced_together():
    first = late(flight(1, "LHR", "MAD", 9, 11), 120)
    second = flight(2, "MAD", "LIS", 12.5, 13.5)
    found = assessed(first, second, changes=["delayed"], minutes=120)
    assert (found.kind, found.impact.rebook_segment_no) == ("missed_connection", 1)


def test_of_a_ticket_that_is_partly_flown_the_rest_is_replaced():
    out, back = flight(1, "LHR", "LIS", 9, 12), flight(2, "LIS", "LHR", 100, 103, leg=1)
    found = assessed(back, out, changes=["cancelled"], now=at(50)).impact
    assert (found.rebook_segment_no, found.flown_legs) == (2, 1)
    assert assessed(back, out, changes=["cancelled"]).impact.flown_legs == 0, "nothing is flown yet"


def test_a_way_back_of_two_flights_is_replaced_from_its_first():
    out = flight(1, "LHR", "LIS", 9, 12)
    first, second = flight(2, "LIS", "MAD", 100, 101, leg=1), flight(3, "MAD", "LHR", 103, 105, leg=2)
    found = assessed(second, out, first, changes=["cancelled"], now=at(50)).impact
    assert (found.rebook_segment_no, found.flown_legs) == (3, 1)


def test_who_is_in_the_air_is_rebooked_from_where_they_land():
    out = flight(1, "LHR", "LIS", 9, 12)
    first = late(flight(2, "LIS", "MAD", 100, 101, leg=1), 240, "departed")
    second = flight(3, "MAD", "LHR", 103, 105, leg=2)
    found = assessed(first, out, second, changes=["delayed"], minutes=240, now=at(102))
    assert found.kind == "missed_connection"
    assert (found.impact.rebook_segment_no, found.impact.flown_legs) == (3, 2)
    assert found.impact.leave_after == at(101 + 4 + 1), "an hour to change"


def test_a_ticket_that_is_flown_out_of_order_is_left_alone():
    out, back = flight(1, "LHR", "LIS", 9, 12), late(flight(2, "LIS", "LHR", 100, 103, leg=1), 0, "departed")
    assert not assessed(out, back, changes=["cancelled"], now=at(1)).wants_alternatives


def test_a_flight_that_has_left_is_not_replaced():
    assert not assessed(
        late(flight(1, "LHR", "LIS", 9, 12), 60, "departed"), changes=["delayed"], minutes=60
    ).wants_alternatives


def test_late_arrivals_reach_the_hotel_and_the_car():
    changed = late(flight(1, "LHR", "LIS", 18, 20), 150)
    hotel, car = other(3, "hotel", 15), other(4, "car", 21)
    impact = assessed(changed, hotel, car, changes=["delayed"], minutes=150).impact
    assert (impact.late_hotel_segment_nos, impact.late_car_segment_nos) == ([3], [4])
    punctual = late(flight(1, "LHR", "LIS", 18, 20), 30)
    impact = assessed(punctual, hotel, car, changes=["delayed"], minutes=30).impact
    assert (impact.late_hotel_segment_nos, impact.late_car_segment_nos) == ([], [])
