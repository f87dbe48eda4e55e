"""Itineraries as clients are shown them: by the clock of each place, each flight as it stands now."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field

from schema.flights import FlightPoint, FlightStatus, Phase
from schema.itineraries import Details, Itinerary, ItineraryState, Segment, SegmentState
from schema.model import Message
from schema.zones import UTC_NAME, zone, zone_name_of

LocalTime = Annotated[str, Field(examples=["2027-02-01T09:00:00+00:00"])]


class Moment(Message):
    """An instant at a place."""

    local: LocalTime
    """ISO 8601, by the clock on the wall there, with its offset."""
    zone: str
    """IANA name."""

    @classmethod
    def of(cls, instant: datetime, zone_name: str) -> "Moment":
        return cls(local=instant.astimezone(zone(zone_name)).isoformat(), zone=zone_name)


class FlightPointView(Message):
    """A departure or an arrival; null is what nobody has said."""

    airport: str
    terminal: str | None
    gate: str | None
    scheduled: Moment | None
    estimated: Moment | None
    actual: Moment | None

    @classmethod
    def of(cls, point: FlightPoint) -> "FlightPointView":
        zone_name = zone_name_of(point.airport) or UTC_NAME

        def moment(instant: datetime | None) -> Moment | None:
            return None if instant is None else Moment.of(instant, zone_name)

        return cls(
            airport=point.airport,
            terminal=point.terminal,
            gate=point.gate,
            scheduled=moment(point.scheduled),
            estimated=moment(point.estimated),
            actual=moment(point.actual),
        )


class FlightView(Message):
    """How a flight stands."""

    phase: Phase
    delay_minutes: int
    """Of departure, or of arrival once it has left, against the schedule; never negative."""
    departure: FlightPointView
    arrival: FlightPointView
    diverted_to: str | None
    as_of: datetime
    """When the newest of it was said, by the source's clock."""

    @classmethod
    def of(cls, status: FlightStatus) -> "FlightView":
        return cls(
            phase=status.phase,
            delay_minutes=status.delay_minutes,
            departure=FlightPointView.of(status.departure),
            arrival=FlightPointView.of(status.arrival),
            diverted_to=status.diverted_to,
            as_of=status.said_at,
        )


class SegmentView(Message):
    """One flight, stay or rental."""

    segment_no: int
    booking_id: str
    state: SegmentState
    details: Details
    starts: Moment
    """As booked, or as the airline has changed its schedule since; delays of the day are in `flight`."""
    ends: Moment
    supplier: str
    record_locator: str | None
    """The code to show at the desk."""
    flight: FlightView | None
    """How it stands now; null for what is no flight, and until somebody has looked."""

    @classmethod
    def of(cls, segment: Segment) -> "SegmentView":
        return cls(
            segment_no=segment.segment_no,
            booking_id=segment.booking_id,
            state=segment.state,
            details=segment.details,
            starts=Moment.of(segment.starts_at, segment.start_zone),
            ends=Moment.of(segment.ends_at, segment.end_zone),
            supplier=segment.supplier,
            record_locator=segment.record_locator,
            flight=None if segment.flight is None else FlightView.of(segment.flight),
        )


class ItinerarySummary(Message):
    """An itinerary as a list shows it."""

    itinerary_id: str
    booking_id: str
    """The booking that began it; those that rebook a part of it are named at their segments."""
    state: ItineraryState
    revision: int
    """Grows by one with every change that a traveller is told of."""
    title: str
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, itinerary: Itinerary) -> "ItinerarySummary":
        return cls.model_validate(itinerary.model_dump(include=set(ItinerarySummary.model_fields)))


class ItineraryView(ItinerarySummary):
    segments: list[SegmentView]
    """In the order in which they begin."""
    trip_page: str | None
    """For the traveller: whoever has this link sees the trip. Null where this installation has no trip pages."""


class ItineraryPage(Message):
    itineraries: list[ItinerarySummary]
    next_cursor: str | None


def view_of(itinerary: Itinerary, trip_page: str | None) -> ItineraryView:
    summary = ItinerarySummary.of(itinerary)
    segments = [SegmentView.of(segment) for segment in itinerary.segments]
    return ItineraryView(**dict(summary), segments=segments, trip_page=trip_page)


def with_newest(itinerary: Itinerary, statuses: Mapping[str, FlightStatus]) -> Itinerary:
    """Each flight that is still ahead as it stands in our books now, which may be newer than what the itinerary was told."""
    return itinerary.model_copy(update={"segments": [_newest(segment, statuses) for segment in itinerary.segments]})


def _newest(segment: Segment, statuses: Mapping[str, FlightStatus]) -> Segment:
    status = statuses.get(segment.flight_key or "")
    if status is None or segment.state != "confirmed":
        return segment
    return segment.model_copy(update={"flight": status})
