"""What has happened to a trip, in words, newest first."""

from typing import Final, cast

from api.trip_view import name_of
from api.trip_words import knows, say
from schema.formatting import At, length
from schema.itineraries import Itinerary, ItineraryEvent, Segment
from schema.model import Message
from schema.notifications import Language

_PREFIX: Final = "itinerary."


class EntryShown(Message):
    """One revision."""

    revision: int
    at: At
    lines: list[str]


def timeline_of(itinerary: Itinerary, events: list[ItineraryEvent], language: Language) -> list[EntryShown]:
    """Newest first; times by the clock of the place where the trip begins."""
    zone = itinerary.segments[0].start_zone if itinerary.segments else "UTC"
    by_no = {segment.segment_no: segment for segment in itinerary.segments}
    entries = [
        EntryShown(
            revision=event.revision,
            at=At(moment=event.created_at, zone=zone),
            lines=_lines(event, by_no, language),
        )
        for event in events
    ]
    return sorted(entries, key=lambda entry: -entry.revision)


def _lines(event: ItineraryEvent, by_no: dict[int, Segment], language: Language) -> list[str]:
    kind = event.type.removeprefix(_PREFIX)
    if kind == "flight_changed":
        return _of_flight(event, by_no, language)
    lines = [
        say(language, key, what=", ".join(name_of(by_no[no]) for no in numbers))
        for key, field in (("e_added", "added_segment_nos"), ("e_given_up", "cancelled_segment_nos"))
        if (numbers := [no for no in _numbers(event, field) if no in by_no])
    ]
    # What a later release tells of is not hidden by this one.
    return lines or [say(language, f"e_{kind}" if knows(f"e_{kind}") else "e_changed")]


def _of_flight(event: ItineraryEvent, by_no: dict[int, Segment], language: Language) -> list[str]:
    segment = by_no.get(cast("int", event.data.get("segment_no")))
    flight = say(language, "flight") if segment is None else name_of(segment)
    late = length(cast("int", event.data.get("delay_minutes") or 0), language)
    changes = cast("list[str]", event.data.get("changes") or [])
    lines = [say(language, f"e_{change}", flight=flight, length=late) for change in changes if knows(f"e_{change}")]
    return lines or [say(language, "e_changed")]


def _numbers(event: ItineraryEvent, field: str) -> list[int]:
    return cast("list[int]", event.data.get(field) or [])
