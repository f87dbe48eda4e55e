"""Itineraries: what a traveller has ahead, segment by segment, once a booking is confirmed; kept true until they are home."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from schema.flights import FlightStatus
from schema.model import Message

SegmentState = Literal["confirmed", "cancelled", "replaced"]
"""`cancelled`: given up by the traveller, or by its airline with nothing in its place. `replaced`: another flight was booked."""
ItineraryState = Literal["active", "cancelled", "completed"]

ITINERARY_PREFIX = "itn_"
STREAM = "itinerary"
"""Of its events in the outbox; their version is the itinerary's revision."""


def itinerary_id_for(booking_id: str) -> str:
    """Of the booking that began it; one that rebooks a part of it joins it.

    Must merge: every repeat of recording that booking's confirmation. Must not merge: two bookings of one client.
    """
    return f"{ITINERARY_PREFIX}{booking_id}"


def booking_of_itinerary(itinerary_id: str) -> str:
    """The inverse, for workflow ids and logs: the booking that began it."""
    return itinerary_id.removeprefix(ITINERARY_PREFIX)


class FlightDetails(Message):
    kind: Literal["flight"] = "flight"
    carrier: str
    number: str
    origin: str
    destination: str
    cabin: str
    item_leg: int
    """Which of the item's flights, from 0."""


class HotelDetails(Message):
    kind: Literal["hotel"] = "hotel"
    name: str
    city: str
    room_type: str


class CarDetails(Message):
    kind: Literal["car"] = "car"
    vendor_name: str
    car_name: str
    pickup_place: str
    dropoff_place: str


Details = Annotated[FlightDetails | HotelDetails | CarDetails, Field(discriminator="kind")]


class Segment(Message):
    """One flight, stay or rental. Times are instants; with their zones they say what the clock on the wall shows."""

    segment_no: int
    """Never used again in its itinerary."""
    booking_id: str
    item_no: int
    state: SegmentState
    details: Details
    starts_at: datetime
    """As booked, or as the airline has changed its schedule since; delays of the day are in `flight`."""
    ends_at: datetime
    start_zone: str
    end_zone: str
    supplier: str
    record_locator: str | None
    flight_key: str | None = None
    flight: FlightStatus | None = None
    """What is known of it today; None for what is no flight, and until somebody has looked."""
    flight_revision: int = 0
    """Up to which revision of its flight the itinerary was told."""


class Itinerary(Message):
    itinerary_id: str
    booking_id: str
    client_id: str
    state: ItineraryState
    revision: int
    title: str
    starts_at: datetime
    ends_at: datetime
    """Of what is still ahead; of a cancelled one, as it last was."""
    segments: list[Segment]
    created_at: datetime
    updated_at: datetime


class ItineraryEvent(Message):
    """What happened to it, one for each revision."""

    revision: int
    type: str
    data: dict[str, Any]
    created_at: datetime
