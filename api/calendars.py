"""Itineraries as iCalendar (RFC 5545): one event for each segment, which a calendar that has it already takes as an update.

`SEQUENCE` is the itinerary's revision, and `DTSTAMP` when that was made: the same itinerary is the same file.
"""

from datetime import datetime, timedelta
from typing import Final

from icalendar import Calendar, Event

from schema.flights import FlightStatus
from schema.itineraries import CarDetails, FlightDetails, Itinerary, Segment
from schema.zones import zone

_PRODUCT: Final = "-//TravelHub//Itinerary//EN"
_MARGIN: Final = timedelta(days=400)
"""Rules of time zones are written for the trip and at least a change of clocks around it."""


def calendar_of(itinerary: Itinerary, trip_page: str | None) -> bytes:
    calendar = Calendar()
    calendar.add("prodid", _PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("x-wr-calname", itinerary.title)
    for segment in itinerary.segments:
        calendar.add_component(_event(itinerary, segment, trip_page))
    if itinerary.segments:
        first = min(segment.starts_at for segment in itinerary.segments) - _MARGIN
        last = max(segment.ends_at for segment in itinerary.segments) + _MARGIN
        calendar.add_missing_timezones(first_date=first.date(), last_date=last.date())
    return calendar.to_ical()


def _event(itinerary: Itinerary, segment: Segment, trip_page: str | None) -> Event:
    event = Event()
    # Must merge: every revision of this segment. Must not merge: the flight that takes its place, which has its own number.
    event.add("uid", f"{itinerary.itinerary_id}-{segment.segment_no}@travelhub")
    event.add("sequence", itinerary.revision)
    event.add("dtstamp", itinerary.updated_at)
    event.add("last-modified", itinerary.updated_at)
    starts_at, ends_at = _expected(segment)
    event.add("dtstart", starts_at.astimezone(zone(segment.start_zone)))
    event.add("dtend", ends_at.astimezone(zone(segment.end_zone)))
    event.add("summary", _summary(segment))
    event.add("location", _location(segment))
    event.add("description", _description(segment))
    event.add("status", "CANCELLED" if _is_off(segment) else "CONFIRMED")
    event.add("transp", "OPAQUE" if segment.details.kind == "flight" and not _is_off(segment) else "TRANSPARENT")
    if trip_page is not None:
        event.add("url", trip_page)
    return event


def _expected(segment: Segment) -> tuple[datetime, datetime]:
    """As far as is known now. An end that nobody has moved moves with the start, so that it never comes before it."""
    starts_at, ends_at = segment.starts_at, segment.ends_at
    if segment.flight is not None:
        starts_at = segment.flight.departure.expected() or starts_at
        ends_at = segment.flight.arrival.expected() or ends_at
    if ends_at <= starts_at:
        ends_at = starts_at + max(segment.ends_at - segment.starts_at, timedelta(minutes=1))
    return starts_at, ends_at


def _is_off(segment: Segment) -> bool:
    return segment.state != "confirmed" or (segment.flight is not None and segment.flight.phase == "cancelled")


def _summary(segment: Segment) -> str:
    details = segment.details
    if isinstance(details, FlightDetails):
        named = f"Flight {details.carrier}{details.number} {details.origin}-{details.destination}"
        return f"{named} ({_news(segment.flight)})" if segment.flight and _news(segment.flight) else named
    if isinstance(details, CarDetails):
        return f"Car: {details.car_name}, {details.vendor_name}"
    return f"Hotel: {details.name}"


def _news(status: FlightStatus) -> str:
    if status.phase == "cancelled":
        return "cancelled"
    if status.phase == "diverted":
        return f"diverted to {status.diverted_to}" if status.diverted_to else "diverted"
    return f"{status.delay_minutes} min late" if status.delay_minutes else ""


def _location(segment: Segment) -> str:
    details = segment.details
    if isinstance(details, FlightDetails):
        point = segment.flight.departure if segment.flight else None
        parts = [details.origin]
        if point is not None and point.terminal:
            parts.append(f"terminal {point.terminal}")
        if point is not None and point.gate:
            parts.append(f"gate {point.gate}")
        return ", ".join(parts)
    return details.pickup_place if isinstance(details, CarDetails) else f"{details.name}, {details.city}"


def _description(segment: Segment) -> str:
    details = segment.details
    lines = [f"Reference: {segment.record_locator}"] if segment.record_locator else []
    if isinstance(details, CarDetails):
        lines.append(f"Return: {details.dropoff_place}")
    elif not isinstance(details, FlightDetails):
        lines.append(f"Room: {details.room_type}")
    elif segment.flight is not None and segment.flight.departure.scheduled is not None and segment.flight.delay_minutes:
        scheduled = segment.flight.departure.scheduled.astimezone(zone(segment.start_zone))
        lines.append(f"Scheduled departure: {scheduled:%H:%M}")
    return "\n".join(lines)
