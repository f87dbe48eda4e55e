"""What a change of a flight means for one traveller's trip: arithmetic over the itinerary, without I/O."""

from datetime import datetime, timedelta
from typing import Final

from schema.connections import minimum_connection_minutes
from schema.disruptions import DisruptionKind, DisruptionPolicy, Impact
from schema.flights import Change, FlightStatus
from schema.itineraries import FlightDetails, HotelDetails, Itinerary, Segment
from schema.model import Message
from schema.zones import zone

_ONE_DAY: Final = timedelta(hours=24)
_GRAVEST_FIRST: Final[tuple[tuple[Change, DisruptionKind], ...]] = (
    ("cancelled", "flight_cancelled"),
    ("diverted", "flight_diverted"),
    ("schedule_changed", "schedule_changed"),
    ("delayed", "flight_delayed"),
    ("reinstated", "flight_reinstated"),
    ("on_time_again", "flight_on_time_again"),
    ("terminal_changed", "terminal_changed"),
    ("gate_changed", "gate_changed"),
    ("arrived", "flight_arrived"),
    ("departed", "flight_departed"),
)
PASSING: Final = frozenset[DisruptionKind](("gate_changed", "terminal_changed", "flight_departed", "flight_arrived"))
"""They leave what was offered for an earlier change as it is."""
_UNDER_WAY: Final = ("departed", "arrived", "diverted")


class Assessment(Message):
    kind: DisruptionKind
    impact: Impact

    @property
    def wants_alternatives(self) -> bool:
        return self.impact.rebook_segment_no is not None


def assess(
    itinerary: Itinerary,
    segment: Segment,
    changes: list[Change],
    delay_minutes: int,
    policy: DisruptionPolicy,
    now: datetime,
) -> Assessment:
    """Raises ValueError for no changes at all."""
    kind: DisruptionKind | None = next((kind for change, kind in _GRAVEST_FIRST if change in changes), None)
    if kind is None:
        raise ValueError("nothing has changed")
    arrives = _expected_arrival(segment, delay_minutes)
    cancelled = kind == "flight_cancelled"
    following = None if cancelled else _connection(itinerary, segment)
    impact = Impact(changes=changes, delay_minutes=delay_minutes)
    if not cancelled:
        impact = impact.model_copy(update=_late_arrivals(itinerary, segment, arrives, policy))
    if following is not None:
        left = _minutes(_expected_departure(following) - arrives)
        needed = minimum_connection_minutes(_details(segment).destination, policy.minimum_connection_minutes)
        booked = _minutes(following.starts_at - segment.ends_at)
        if left < min(needed, booked):
            impact = impact.model_copy(update={"missed_segment_no": following.segment_no, "connection_minutes": left})
            return Assessment(
                kind="missed_connection",
                impact=_with_way_on(itinerary, segment, following, impact, arrives, policy, now),
            )
    long_delay = kind == "flight_delayed" and delay_minutes >= policy.alternatives_from_minutes
    if cancelled or kind == "schedule_changed" or long_delay:
        impact = _with_way_on(itinerary, segment, segment, impact, None if cancelled else arrives, policy, now)
    return Assessment(kind=kind, impact=impact)


def _with_way_on(  # what it follows from
    itinerary: Itinerary,
    changed: Segment,
    rebook: Segment,
    impact: Impact,
    arrives: datetime | None,
    policy: DisruptionPolicy,
    now: datetime,
) -> Impact:
    """Which flight another could take the place of. `arrives`: of the changed flight, None where it does not fly."""
    same_item = (changed.booking_id, changed.item_no) == (rebook.booking_id, rebook.item_no)
    changed_has_left = has_left(changed, now)
    # All that is left to fly of a ticket is exchanged together, and what is flown is never touched.
    rebook = changed if same_item and not changed_has_left else rebook
    item = [
        one
        for one in itinerary.segments
        if (one.booking_id, one.item_no) == (rebook.booking_id, rebook.item_no) and one.state == "confirmed"
    ]
    flown = [_details(one).item_leg for one in item if has_left(one, now)]
    ahead = [_details(one).item_leg for one in item if not has_left(one, now)]
    in_order = not flown or max(flown) < min(ahead, default=0)
    if has_left(rebook, now) or not in_order:
        return impact
    leave_after = now + timedelta(minutes=policy.to_the_gate_minutes)
    if (not same_item or changed_has_left) and arrives is not None:
        needed = minimum_connection_minutes(_details(changed).destination, policy.minimum_connection_minutes)
        leave_after = max(leave_after, arrives + timedelta(minutes=needed))
    missed = impact.missed_segment_no is not None
    return impact.model_copy(
        update={
            "rebook_segment_no": rebook.segment_no,
            "flown_legs": max(flown) + 1 if flown else 0,
            "leave_after": leave_after,
            "arrive_before": None if missed else arrives,
        }
    )


def _late_arrivals(
    itinerary: Itinerary, segment: Segment, arrives: datetime, policy: DisruptionPolicy
) -> dict[str, list[int]]:
    """Hotels that should be told of a late arrival, and cars that would wait."""
    late_hotels: list[int] = []
    late_cars: list[int] = []
    if arrives <= segment.ends_at:
        return {}
    for other in itinerary.segments:
        if other.state != "confirmed" or abs(other.starts_at - segment.ends_at) > _ONE_DAY or other is segment:
            continue
        if isinstance(other.details, HotelDetails):
            local, check_in = (
                arrives.astimezone(zone(other.start_zone)),
                other.starts_at.astimezone(zone(other.start_zone)),
            )
            if local.date() > check_in.date() or local.hour >= policy.hotel_late_after_h:
                late_hotels.append(other.segment_no)
        elif other.details.kind == "car" and segment.ends_at <= other.starts_at < arrives:
            late_cars.append(other.segment_no)
    return {"late_hotel_segment_nos": late_hotels, "late_car_segment_nos": late_cars}


def _connection(itinerary: Itinerary, segment: Segment) -> Segment | None:
    """The next flight from where this one leads, if it leaves within a day."""
    destination = _details(segment).destination
    later = (
        other
        for other in itinerary.segments
        if other.state == "confirmed"
        and isinstance(other.details, FlightDetails)
        and other.details.origin == destination
        and timedelta() <= other.starts_at - segment.ends_at <= _ONE_DAY
    )
    return min(later, key=lambda other: other.starts_at, default=None)


def _expected_arrival(segment: Segment, delay_minutes: int) -> datetime:
    flight = segment.flight
    said = None if flight is None else flight.arrival.actual or flight.arrival.estimated
    return said or segment.ends_at + timedelta(minutes=delay_minutes)


def _expected_departure(segment: Segment) -> datetime:
    return (None if segment.flight is None else segment.flight.departure.expected()) or segment.starts_at


def has_left(segment: Segment, now: datetime) -> bool:
    """Whether it is flown, or under way: a flight that its airline has cancelled never is."""
    flight: FlightStatus | None = segment.flight
    if flight is not None and flight.phase in _UNDER_WAY:
        return True
    cancelled = flight is not None and flight.phase == "cancelled"
    return not cancelled and _expected_departure(segment) <= now


def _details(segment: Segment) -> FlightDetails:
    assert isinstance(segment.details, FlightDetails), "only flights are disrupted"
    return segment.details


def _minutes(duration: timedelta) -> int:
    return int(duration.total_seconds() // 60)
