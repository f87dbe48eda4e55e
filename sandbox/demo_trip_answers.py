"""What TravelHub's API and the vendors' books answer of a trip that is under way, as far as the demo reads it."""

from __future__ import annotations

from datetime import datetime

from schema.disruptions import DisruptionKind, DisruptionState
from schema.flights import Phase
from schema.itineraries import ItineraryState, SegmentState
from schema.model import Message
from schema.money import Money
from schema.notifications import Channel, NotificationKind, NotificationState
from schema.offers import FlightSegment, Kind


class DetailsSeen(Message):
    """Of a flight; of anything else only the kind."""

    kind: Kind
    carrier: str = ""
    number: str = ""
    origin: str = ""
    destination: str = ""


class StartSeen(Message):
    local: datetime


class FlightSeen(Message):
    phase: Phase
    delay_minutes: int


class SegmentSeen(Message):
    segment_no: int
    booking_id: str
    state: SegmentState
    details: DetailsSeen
    starts: StartSeen
    flight: FlightSeen | None

    @property
    def designator(self) -> str:
        """Carrier and number."""
        return self.details.carrier + self.details.number


class ItinerarySeen(Message):
    """`GET /v1/itineraries/{id}`."""

    itinerary_id: str
    state: ItineraryState
    segments: list[SegmentSeen]
    trip_page: str | None


class AlternativeSeen(Message):
    number: int
    segments: list[FlightSegment]
    price: Money
    refund: Money
    difference: Money


class DisruptionSeen(Message):
    """One line of `GET /v1/itineraries/{id}/disruptions`."""

    disruption_id: str
    segment_no: int
    kind: DisruptionKind
    state: DisruptionState
    alternatives: list[AlternativeSeen]
    chosen: int | None
    rebooking_id: str | None
    opened_at: datetime
    closed_at: datetime | None


class ChoiceSeen(Message):
    """`POST /v1/disruptions/{id}/choice`."""

    state: DisruptionState
    message: str
    booking_id: str | None


class NotificationSeen(Message):
    """One line of `GET /v1/me/notifications`: one channel."""

    notification_id: str
    subject: str
    kind: NotificationKind
    channel: Channel
    state: NotificationState


class VendorNotice(Message):
    """One line of what a vendor's books say that it was given to tell."""

    vendor: str
    kind: str
    object_id: str
    metadata: dict[str, object]
    to: list[str]
    status: str
    created_at: datetime

    @property
    def notification_id(self) -> str:
        """Ours, as the vendor keeps it."""
        return str(self.metadata.get("notification_id", ""))


class TripSeen(Message):
    """All of it, after the end."""

    itinerary: ItinerarySeen
    disruptions: list[DisruptionSeen]
    """Newest first."""
    notifications: list[NotificationSeen]
    """Of this itinerary."""
    notices: list[VendorNotice]
    """That carry the id of one of those."""
