"""What a notice tells, read from the books at the moment when it is sent: it shows what is true then."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.notice_content import ChoiceTold, FlightTold, NoticeContent, PartTold
from gateways.airports import place_of
from schema.disruptions import Alternative, Disruption
from schema.errors import InvalidRequest
from schema.flights import FlightPoint
from schema.formatting import At
from schema.itineraries import CarDetails, FlightDetails, HotelDetails, Itinerary, Segment, itinerary_id_for
from schema.links import trip_link
from schema.notifications import Language, NotificationKind
from schema.offers import FlightOffer, FlightSegment, HotelOffer
from schema.zones import UTC_NAME, zone, zone_name_of
from store import bookings, disruptions, itineraries
from store.notifications import StoredRow
from store.records import StoredBooking, StoredItem

_WITH_PARTS: frozenset[NotificationKind] = frozenset(
    {
        "booking_confirmed",
        "booking_partially_confirmed",
        "booking_partially_cancelled",
        "price_changed",
        "payment_action_required",
        "trip_changed",
        "rebooked",
    }
)
"""Kinds that show the trip line by line; the others tell of one flight, or that nothing is left."""
_OF_TRIPS: frozenset[NotificationKind] = frozenset({"trip_changed", "rebooked"})
_GONE = ("cancelled", "left_out", "failed", "replaced")


class LinkMaker:
    """Makes links to trip pages; without a secret there are none."""

    def __init__(self, public_url: str, secret: str | None) -> None:
        self._public_url = public_url
        self._secret = secret

    def link(self, itinerary_id: str | None) -> str | None:
        if self._secret is None or itinerary_id is None:
            return None
        return trip_link(self._public_url, self._secret, itinerary_id)


async def read_content(
    connection: AsyncConnection, row: StoredRow, language: Language, links: LinkMaker
) -> NoticeContent | None:
    """None where the books do not hold (any more) what it would tell."""
    booking = await bookings.get(connection, row.booking_id)
    lead = await bookings.lead_traveller_of(connection, row.booking_id)
    if booking is None or lead is None:
        return None
    itinerary = await itineraries.get(
        connection, row.itinerary_id or booking.itinerary_id or itinerary_id_for(row.booking_id)
    )
    disruption = None
    if row.disruption_id is not None:
        disruption = await disruptions.get(connection, row.disruption_id)
    content = NoticeContent(
        kind=row.kind,
        language=language,
        given_name=lead.given_name,
        reference=row.booking_id,
        destination=_destination(booking),
        parts=_parts(row.kind, booking, itinerary),
        link=None if itinerary is None else links.link(itinerary.itinerary_id),
    ).model_copy(update=_amounts(row.kind, booking))
    if row.disruption_id is None:
        return content
    if disruption is None or itinerary is None:
        return None
    return _with_flight(content, itinerary, disruption)


def _amounts(kind: NotificationKind, booking: StoredBooking) -> dict[str, object]:
    if kind == "price_changed":
        return {"total": booking.consent_total, "new_total": booking.total}
    if kind in ("booking_confirmed", "booking_partially_confirmed", "payment_action_required"):
        return {"total": booking.total}
    if kind in ("booking_cancelled", "booking_partially_cancelled"):
        return {"fee": booking.fee if booking.fee.amount_minor else None}
    return {"reason": booking.reason} if kind == "booking_failed" else {}


def _destination(booking: StoredBooking) -> str | None:
    """The city, where a hotel names it; else where the flights lead, or from where they return."""
    for item in booking.items:
        if isinstance(item.offer, HotelOffer):
            return item.offer.city
    for item in booking.items:
        if isinstance(item.offer, FlightOffer):
            segments = item.offer.segments
            home = segments[0].origin
            turn = (
                max(range(len(segments)), key=lambda no: (_stay_s(segments, no), -no))
                if segments[-1].destination == home
                else -1
            )
            return _city(segments[turn].destination)
    return None


def _stay_s(segments: list[FlightSegment], number: int) -> float:
    """How long one stays after a flight, before the next."""
    if number + 1 == len(segments):
        return 0
    return (
        segments[number + 1].departs_at.replace(tzinfo=None) - segments[number].arrives_at.replace(tzinfo=None)
    ).total_seconds()


def _parts(kind: NotificationKind, booking: StoredBooking, itinerary: Itinerary | None) -> list[PartTold]:
    if kind not in _WITH_PARTS:
        return []
    if itinerary is None:
        return [part for item in booking.items for part in _of_item(item)]
    mine = (
        itinerary.segments
        if kind in _OF_TRIPS
        else [s for s in itinerary.segments if s.booking_id == booking.booking_id]
    )
    return [_of_segment(segment) for segment in mine if segment.state != "replaced"]


def _of_segment(segment: Segment) -> PartTold:
    details, place = segment.details, ""
    if isinstance(details, FlightDetails):
        name = f"{details.carrier}{details.number} {_named(details.origin)} - {_named(details.destination)}"
    elif isinstance(details, HotelDetails):
        name, place = f"{details.name} ({details.room_type})", details.city
    else:
        name, place = f"{details.car_name} ({details.vendor_name})", details.pickup_place
    return PartTold(
        kind=details.kind,
        name=name,
        place=place,
        starts=At(moment=segment.starts_at, zone=segment.start_zone),
        ends=At(moment=segment.ends_at, zone=segment.end_zone),
        reference=segment.record_locator,
        cancelled=segment.state == "cancelled",
    )


def _of_item(item: StoredItem) -> list[PartTold]:
    """Of a trip that is not confirmed: as its offers say."""
    offer, gone = item.offer, item.state.value.lower() in _GONE
    if isinstance(offer, FlightOffer):
        return [
            PartTold(
                kind="flight",
                name=f"{one.carrier}{one.number} {_named(one.origin)} - {_named(one.destination)}",
                place="",
                starts=_on_the_wall(one.departs_at, one.origin),
                ends=_on_the_wall(one.arrives_at, one.destination),
                reference=item.record_locator,
                cancelled=gone,
            )
            for one in offer.segments
        ]
    return []


def _with_flight(content: NoticeContent, itinerary: Itinerary, disruption: Disruption) -> NoticeContent | None:
    by_no = {segment.segment_no: segment for segment in itinerary.segments}
    flight = _flight(by_no.get(disruption.segment_no))
    if flight is None:
        return None
    impact = disruption.impact
    changes: dict[str, object] = {
        "flight": flight,
        "next_flight": _flight(by_no.get(impact.missed_segment_no or -1)),
        "late_hotels": [_name(by_no[no]) for no in impact.late_hotel_segment_nos if no in by_no],
        "late_cars": [_name(by_no[no]) for no in impact.late_car_segment_nos if no in by_no],
    }
    if content.kind == "alternatives_offered":
        changes["choices"] = [_choice(one) for one in disruption.alternatives]
        if disruption.deadline_at is not None:
            changes["choose_until"] = At(moment=disruption.deadline_at, zone=flight.planned_departure.zone)
    if content.kind == "rebooked":
        new = [s for s in itinerary.segments if s.booking_id == disruption.rebooking_id and s.state == "confirmed"]
        changes["new_flight"] = _flight(new[0]) if new else None
        chosen = [one for one in disruption.alternatives if one.number == disruption.chosen]
        changes["total"] = chosen[0].difference if chosen and chosen[0].difference.amount_minor > 0 else None
    told = content.model_copy(update=changes)
    return None if told.kind == "rebooked" and told.new_flight is None else told


def _flight(segment: Segment | None) -> FlightTold | None:
    if segment is None or not isinstance(segment.details, FlightDetails):
        return None
    details, status = segment.details, segment.flight
    leaves = At(moment=segment.starts_at, zone=segment.start_zone)
    arrives = At(moment=segment.ends_at, zone=segment.end_zone)
    return FlightTold(
        number=f"{details.carrier}{details.number}",
        origin=_named(details.origin),
        destination=_named(details.destination),
        planned_departure=leaves,
        planned_arrival=arrives,
        departure=leaves if status is None else _expected(status.departure, leaves),
        arrival=arrives if status is None else _expected(status.arrival, arrives),
        delay_minutes=0 if status is None else status.delay_minutes,
        terminal=None if status is None else status.departure.terminal,
        gate=None if status is None else status.departure.gate,
        diverted_to=None if status is None or status.diverted_to is None else _named(status.diverted_to),
        record_locator=segment.record_locator,
    )


def _expected(point: FlightPoint, planned: At) -> At:
    expected = point.expected()
    return planned if expected is None else At(moment=expected, zone=planned.zone)


def _choice(alternative: Alternative) -> ChoiceTold:
    segments = alternative.offer.segments
    stops = [segments[0].origin, *(segment.destination for segment in segments)]
    return ChoiceTold(
        number=alternative.number,
        flights=f"{' + '.join(f'{s.carrier}{s.number}' for s in segments)} {' - '.join(_named(stop) for stop in stops)}",
        departure=_on_the_wall(segments[0].departs_at, segments[0].origin),
        arrival=_on_the_wall(segments[-1].arrives_at, segments[-1].destination),
        difference=alternative.difference,
        arrives_later_minutes=alternative.arrives_later_minutes,
    )


def _name(segment: Segment) -> str:
    details = segment.details
    if isinstance(details, HotelDetails):
        return details.name
    return details.car_name if isinstance(details, CarDetails) else f"{details.carrier}{details.number}"


def _on_the_wall(clock: datetime, airport: str) -> At:
    """A time as a ticket prints it."""
    name = zone_name_of(airport) or UTC_NAME
    return At(moment=clock.replace(tzinfo=zone(name)), zone=name)


def _named(airport: str) -> str:
    city = _city(airport)
    return airport if city == airport else f"{city} ({airport})"


def _city(airport: str) -> str:
    try:
        return place_of(airport).city or airport
    except InvalidRequest:
        return airport
