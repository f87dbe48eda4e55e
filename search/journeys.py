"""A flight offer's journeys, there and perhaps back, on the clocks of the airports."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from schema.offers import FlightOffer, FlightSegment
from schema.zones import zone_of


@dataclass(frozen=True, slots=True)
class Journeys:
    there: list[FlightSegment]
    back: list[FlightSegment]
    """Empty for a journey one way."""

    @property
    def duration(self) -> timedelta:
        """Both journeys from take-off to landing, changes included, the stay between them left out."""
        ways = (way for way in (self.there, self.back) if way)
        return sum((arrival(way[-1]) - departure(way[0]) for way in ways), timedelta())

    @property
    def direct(self) -> bool:
        return len(self.there) == 1 and len(self.back) <= 1


def journeys(offer: FlightOffer, destinations: Collection[str], *, one_way: bool = False) -> Journeys:
    """Parted at the first of the destinations; where none of them is reached, at the longest stay on the ground. `one_way`: as it was
    asked for, for then a change on the way may be the longest stay."""
    segments = offer.segments
    if one_way:
        return Journeys(segments, [])
    arrived = (number for number, segment in enumerate(segments) if segment.destination in destinations)
    stays = [later.departs_at - earlier.arrives_at for earlier, later in pairwise(segments)]
    longest = max(range(len(stays)), key=lambda number: stays[number], default=0)
    last_there = next(arrived, longest)
    return Journeys(segments[: last_there + 1], segments[last_there + 1 :])


def departure(segment: FlightSegment) -> datetime:
    return _moment(segment.departs_at, segment.origin)


def arrival(segment: FlightSegment) -> datetime:
    return _moment(segment.arrives_at, segment.destination)


def _moment(local: datetime, airport: str) -> datetime:
    return local.replace(tzinfo=zone_of(airport) or UTC)
