"""Ids in paths. One that cannot be ours is a 404 with a code of its own."""

from typing import Annotated

from fastapi import Path

from api.endpoint_models import DELIVERY_ID_PATTERN, ENDPOINT_ID_PATTERN
from api.me_models import DEVICE_ID_PATTERN
from api.models import (
    BOOKING_ID_PATTERN,
    CASE_ID_PATTERN,
    DISRUPTION_ID_PATTERN,
    ITINERARY_ID_PATTERN,
    PAYMENT_ID_PATTERN,
)
from schema.flights import FLIGHT_KEY_PATTERN

BookingIdPath = Annotated[str, Path(alias="booking_id", pattern=BOOKING_ID_PATTERN)]
ItineraryIdPath = Annotated[str, Path(alias="itinerary_id", pattern=ITINERARY_ID_PATTERN)]
DisruptionIdPath = Annotated[str, Path(alias="disruption_id", pattern=DISRUPTION_ID_PATTERN)]
PaymentIdPath = Annotated[str, Path(alias="payment_id", pattern=PAYMENT_ID_PATTERN)]
CaseIdPath = Annotated[str, Path(alias="case_id", pattern=CASE_ID_PATTERN)]
EndpointIdPath = Annotated[str, Path(alias="endpoint_id", pattern=ENDPOINT_ID_PATTERN)]
FlightKeyPath = Annotated[str, Path(alias="flight_key", pattern=FLIGHT_KEY_PATTERN)]
DeliveryIdPath = Annotated[str, Path(alias="delivery_id", pattern=DELIVERY_ID_PATTERN)]
DeviceIdPath = Annotated[str, Path(alias="device_id", pattern=DEVICE_ID_PATTERN)]
