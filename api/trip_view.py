"""A trip as its page shows it: in words, by the clock of each place. Only what the itinerary has: nobody's name, nobody's address."""

from datetime import datetime
from typing import Literal

from api.trip_words import say
from gateways.airports import place_of
from schema.errors import InvalidRequest
from schema.flights import FlightPoint, FlightStatus
from schema.formatting import At, length
from schema.itineraries import CarDetails, FlightDetails, Itinerary, Segment
from schema.model import Message
from schema.notifications import Language

Tone = Literal["good", "warn", "bad", "off"]
_ENGLISH_TITLE = "Trip to "


class PointShown(Message):
    """A departure or an arrival, a start or an end."""

    label: str
    at: At
    scheduled: At | None = None
    """Where that is another time."""
    place: str
    details: list[str] = []
    """Terminal and gate."""


class PartShown(Message):
    """One flight, stay or rental."""

    segment_no: int
    kind: Literal["flight", "hotel", "car"]
    label: str
    name: str
    status: str
    tone: Tone
    start: PointShown
    end: PointShown
    facts: list[tuple[str, str]]
    """Name and value: reference, room."""


def title_of(itinerary: Itinerary, language: Language) -> str:
    if itinerary.title.startswith(_ENGLISH_TITLE):
        return say(language, "trip_to", place=named(itinerary.title.removeprefix(_ENGLISH_TITLE), code=False))
    return itinerary.title


def part_of(segment: Segment, language: Language) -> PartShown:
    status, tone = _status(segment, language)
    start, end = _ends(segment, language)
    facts = [(say(language, "reference"), segment.record_locator)] if segment.record_locator else []
    if segment.details.kind == "hotel":
        facts.append((say(language, "room"), segment.details.room_type))
    return PartShown(
        segment_no=segment.segment_no,
        kind=segment.details.kind,
        label=say(language, segment.details.kind),
        name=name_of(segment),
        status=status,
        tone=tone,
        start=start,
        end=end,
        facts=facts,
    )


def name_of(segment: Segment) -> str:
    details = segment.details
    if isinstance(details, FlightDetails):
        return f"{details.carrier}{details.number}"
    return f"{details.car_name}, {details.vendor_name}" if isinstance(details, CarDetails) else details.name


def named(airport: str, *, code: bool = True) -> str:
    """City and code; the code alone of one that we have never heard of."""
    try:
        city = place_of(airport).city
    except InvalidRequest:
        return airport
    if not city:
        return airport
    return f"{city} ({airport})" if code else city


def _status(segment: Segment, language: Language) -> tuple[str, Tone]:
    if segment.state != "confirmed":
        return say(language, segment.state), "off"
    if segment.flight is None:
        return say(language, "confirmed"), "good"
    return _of_flight(segment.flight, language)


def _of_flight(status: FlightStatus, language: Language) -> tuple[str, Tone]:
    if status.phase == "cancelled":
        return say(language, "cancelled"), "bad"
    if status.phase == "diverted":
        if status.diverted_to is None:
            return say(language, "diverted_somewhere"), "bad"
        return say(language, "diverted", place=named(status.diverted_to)), "bad"
    late = say(language, "delayed", length=length(status.delay_minutes, language)) if status.delay_minutes else None
    if status.phase in ("departed", "arrived"):
        shown = say(language, status.phase)
        return (shown if late is None else f"{shown} · {late}"), ("good" if late is None else "warn")
    return (say(language, "on_time"), "good") if late is None else (late, "warn")


def _ends(segment: Segment, language: Language) -> tuple[PointShown, PointShown]:
    details = segment.details
    starts = At(moment=segment.starts_at, zone=segment.start_zone)
    ends = At(moment=segment.ends_at, zone=segment.end_zone)
    if isinstance(details, FlightDetails):
        departure = None if segment.flight is None else segment.flight.departure
        arrival = None if segment.flight is None else segment.flight.arrival
        return (
            _flown(say(language, "departs"), starts, details.origin, departure, language),
            _flown(say(language, "arrives"), ends, details.destination, arrival, language),
        )
    if isinstance(details, CarDetails):
        return (
            PointShown(label=say(language, "pick_up"), at=starts, place=details.pickup_place),
            PointShown(label=say(language, "drop_off"), at=ends, place=details.dropoff_place),
        )
    return (
        PointShown(label=say(language, "check_in"), at=starts, place=details.city),
        PointShown(label=say(language, "check_out"), at=ends, place=""),
    )


def _flown(label: str, planned: At, airport: str, point: FlightPoint | None, language: Language) -> PointShown:
    if point is None:
        return PointShown(label=label, at=planned, place=named(airport))
    expected = _at(point.expected(), planned)
    scheduled = _at(point.scheduled, planned)
    details = [
        say(language, key, name=name) for key, name in (("terminal", point.terminal), ("gate", point.gate)) if name
    ]
    return PointShown(
        label=label,
        at=expected,
        scheduled=scheduled if scheduled.moment != expected.moment else None,
        place=named(airport),
        details=details,
    )


def _at(moment: datetime | None, planned: At) -> At:
    return planned if moment is None else At(moment=moment, zone=planned.zone)
