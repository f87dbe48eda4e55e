"""What the airline's changes of an order say of its flights. Source: vendor-specs/duffel, AirlineInitiatedChange.

A change tells slices as they were (`removed`) and as they are now (`added`). Read from the oldest on, a flight is followed through
all of them back to how it was booked.

    same number, other times or terminals   the schedule has changed
    gone, and nothing takes its way         cancelled; of a journey of several flights nobody says which: `ambiguous`
    gone, and another flight takes its way  no news: this order was moved to another flight, which says nothing of the flight itself
"""

from collections import Counter
from datetime import UTC, datetime

import structlog

from gateways.duffel_flights import segment_of
from gateways.duffel_wire import VENDOR
from gateways.fields import Fields
from schema.flights import FlightId, FlightNews, FlightPoint
from schema.offers import FlightSegment
from schema.zones import zone_of

_logger = structlog.stdlib.get_logger("gateways.duffel")


class _Leg:
    """A segment of a change, and the way of the slice that it is a part of."""

    def __init__(self, document: Fields, way: tuple[str, str]) -> None:
        self.segment = segment_of(document)
        self.terminals = document.text_or_none("origin_terminal"), document.text_or_none("destination_terminal")
        self.way = way
        self.flight = _id_of(self.segment)

    def same_as(self, other: "_Leg") -> bool:
        return (self.segment, self.terminals) == (other.segment, other.terminals)

    def same_flight(self, other: "_Leg") -> bool:
        one, two = self.segment, other.segment
        return (one.carrier, one.number, one.origin) == (two.carrier, two.number, two.origin)


def news_of(changes: list[Fields]) -> list[FlightNews]:
    """Oldest first. Raises VendorContractBroken."""
    told: list[FlightNews] = []
    booked: dict[str, FlightId] = {}
    cancelled: set[str] = set()
    for change in sorted(changes, key=_said_at):
        removed, added = _legs(change, "removed"), _legs(change, "added")
        pairs = [(leg, _taken(leg, added)) for leg in _without_unchanged(removed, added)]
        ways = {leg.way for leg in added}
        lost = Counter(leg.way for leg, now in pairs if now is None)
        for leg, now in pairs:
            flight = booked.get(leg.flight.key, leg.flight)
            if now is not None:
                booked[now.flight.key] = flight
                told.append(_flown(flight, now, change, again=flight.key in cancelled))
                cancelled.discard(flight.key)
            elif leg.way in ways:
                _logger.warning("flight_replaced", vendor=VENDOR, flight=flight.key, change=change.text_or_none("id"))
            else:
                cancelled.add(flight.key)
                told.append(_cancelled(flight, change, ambiguous=lost[leg.way] > 1))
        for leg in added:
            flight = booked.get(leg.flight.key, leg.flight)
            if flight.key in cancelled:
                cancelled.remove(flight.key)
                told.append(_flown(flight, leg, change, again=True))
    return told


def _said_at(change: Fields) -> datetime:
    return change.moment("created_at")


def _without_unchanged(removed: list[_Leg], added: list[_Leg]) -> list[_Leg]:
    """What was removed and not added again just as it was; that is taken out of `added`."""
    left: list[_Leg] = []
    for leg in removed:
        again = next((one for one in added if one.same_as(leg)), None)
        if again is None:
            left.append(leg)
        else:
            added.remove(again)
    return left


def _taken(leg: _Leg, added: list[_Leg]) -> _Leg | None:
    """What became of it, taken out of `added`; of several flights with its number the one that is closest in time."""
    same = [one for one in added if one.same_flight(leg)]
    now = min(same, key=lambda one: abs(one.segment.departs_at - leg.segment.departs_at), default=None)
    if now is not None:
        added.remove(now)
    return now


def _legs(change: Fields, name: str) -> list[_Leg]:
    legs: list[_Leg] = []
    for part in change.objects(name):
        segments = part.objects("segments")
        if segments:
            way = segment_of(segments[0]).origin, segment_of(segments[-1]).destination
            legs += [_Leg(segment, way) for segment in segments]
    return legs


def _id_of(segment: FlightSegment) -> FlightId:
    return FlightId(carrier=segment.carrier, number=segment.number, on=segment.departs_at.date(), origin=segment.origin)


def _cancelled(flight: FlightId, change: Fields, *, ambiguous: bool) -> FlightNews:
    """`ambiguous`: a slice of several flights is taken away as a whole, whichever of them does not fly."""
    return FlightNews(flight=flight, source=VENDOR, said_at=_said_at(change), phase="cancelled", ambiguous=ambiguous)


def _flown(flight: FlightId, now: _Leg, change: Fields, *, again: bool) -> FlightNews:
    """Its schedule now. `again`: it was cancelled by an older change, and is flown after all."""
    departs, arrives = now.terminals
    segment = now.segment
    return FlightNews(
        flight=flight,
        source=VENDOR,
        said_at=_said_at(change),
        phase="scheduled" if again else None,
        departure=_point(segment.origin, segment.departs_at, departs),
        arrival=_point(segment.destination, segment.arrives_at, arrives),
    )


def _point(airport: str, local: datetime, terminal: str | None) -> FlightPoint:
    zone = zone_of(airport)
    scheduled = None if zone is None else local.replace(tzinfo=zone).astimezone(UTC)
    return FlightPoint(airport=airport, scheduled=scheduled, terminal=terminal)
