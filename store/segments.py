"""From what was booked to the segments of an itinerary: instants and zones from what suppliers write by the clock of each place."""

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from schema.flights import FlightId
from schema.itineraries import CarDetails, Details, FlightDetails, HotelDetails
from schema.model import Message
from schema.offers import CarOffer, FlightOffer, HotelOffer
from schema.zones import UTC_NAME, zone_name_of
from store.records import StoredItem

_CHECK_IN: Final = time(15)
_CHECK_OUT: Final = time(11)
"""Suppliers of hotels name days; most hotels mean these hours."""
DETAILS: Final[TypeAdapter[Details]] = TypeAdapter(Details)


class NewSegment(Message):
    """A segment as it is booked."""

    item_no: int
    item_leg: int = 0
    details: Details
    starts_at: datetime
    ends_at: datetime
    start_zone: str
    end_zone: str
    supplier: str
    record_locator: str | None
    flight_key: str | None = None


def segments_of(items: list[StoredItem]) -> list[NewSegment]:
    """Of these items, in the order in which they begin."""
    place = _where_it_leads(items)
    found = [segment for item in items for segment in _of_item(item, place)]
    return sorted(found, key=lambda segment: (segment.starts_at, segment.ends_at, segment.item_no))


def _of_item(item: StoredItem, place: str) -> Iterator[NewSegment]:
    offer = item.offer
    if isinstance(offer, FlightOffer):
        yield from _flights(item, offer)
    elif isinstance(offer, HotelOffer):
        yield _hotel(item, offer, place)
    else:
        yield _car(item, offer, place)


def _where_it_leads(items: list[StoredItem]) -> str:
    """The zone of the trip's destination, for what says no airport of its own."""
    for item in items:
        if item.search_request is not None:
            return zone_name_of(item.search_request.destination) or UTC_NAME
    for item in items:
        if isinstance(item.offer, FlightOffer):
            there = item.offer.segments[: max(1, len(item.offer.segments) // 2)]
            return zone_name_of(there[-1].destination) or UTC_NAME
    return UTC_NAME


def _flights(item: StoredItem, offer: FlightOffer) -> Iterator[NewSegment]:
    for leg, flight in enumerate(offer.segments):
        start_zone = zone_name_of(flight.origin) or UTC_NAME
        end_zone = zone_name_of(flight.destination) or UTC_NAME
        identity = FlightId(
            carrier=flight.carrier, number=flight.number, on=flight.departs_at.date(), origin=flight.origin
        )
        yield NewSegment(
            item_no=item.item_no,
            item_leg=leg,
            details=FlightDetails(
                carrier=flight.carrier,
                number=flight.number,
                origin=flight.origin,
                destination=flight.destination,
                cabin=offer.cabin,
                item_leg=leg,
            ),
            starts_at=at(flight.departs_at, start_zone),
            ends_at=at(flight.arrives_at, end_zone),
            start_zone=start_zone,
            end_zone=end_zone,
            supplier=item.supplier,
            record_locator=item.record_locator,
            flight_key=identity.key,
        )


def _hotel(item: StoredItem, offer: HotelOffer, place: str) -> NewSegment:
    return NewSegment(
        item_no=item.item_no,
        details=HotelDetails(name=offer.name, city=offer.city, room_type=offer.room_type),
        starts_at=_on(offer.check_in, _CHECK_IN, place),
        ends_at=_on(offer.check_out, _CHECK_OUT, place),
        start_zone=place,
        end_zone=place,
        supplier=item.supplier,
        record_locator=item.record_locator,
    )


def _car(item: StoredItem, offer: CarOffer, place: str) -> NewSegment:
    zone = (zone_name_of(offer.airport) if offer.airport else None) or place
    return NewSegment(
        item_no=item.item_no,
        details=CarDetails(
            vendor_name=offer.vendor_name,
            car_name=offer.car_name,
            pickup_place=offer.pickup_place,
            dropoff_place=offer.dropoff_place,
        ),
        starts_at=at(offer.pickup_at, zone),
        ends_at=at(offer.dropoff_at, zone),
        start_zone=zone,
        end_zone=zone,
        supplier=item.supplier,
        record_locator=item.record_locator,
    )


def at(local: datetime, zone: str) -> datetime:
    """The instant at which the clock of that zone shows this."""
    return local.replace(tzinfo=ZoneInfo(zone))


def _on(day: date, hour: time, zone: str) -> datetime:
    return at(datetime.combine(day, hour), zone)
