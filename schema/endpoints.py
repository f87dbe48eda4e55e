"""Words of clients' webhook endpoints: which events can be wished for, why an endpoint is disabled, what became of a delivery."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from schema.model import Message
from schema.states import BookingState

ENDPOINT_DISABLED: Final = "webhook_endpoint.disabled"
"""Told to the client's other endpoints, and by the endpoint itself when it is read."""
ITINERARY_EVENTS: Final = (
    *("itinerary.created", "itinerary.changed", "itinerary.flight_changed", "itinerary.disrupted"),
    *("itinerary.alternatives_offered", "itinerary.rebooked", "itinerary.rebooking_failed"),
)
EVENT_TYPES: Final = (
    *(f"booking.{state.value.lower()}" for state in BookingState),
    *ITINERARY_EVENTS,
    ENDPOINT_DISABLED,
)
"""What endpoints can be told. Notices (`notice.*`) are for travellers, and go to the live feed only."""
EVENT_PATTERNS: Final = ("*", "booking.*", "itinerary.*", "webhook_endpoint.*", *EVENT_TYPES)

DisabledReason = Literal["gone", "failing", "by_client"]
"""`gone`: it answered 410. `failing`: for too long not one delivery has succeeded. `by_client`: as its owner asked."""
DeliveryState = Literal["pending", "delivered", "given_up"]


def _known(pattern: str) -> str:
    if pattern not in EVENT_PATTERNS:
        raise ValueError("no such type of event")
    return pattern


EventPattern = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(EVENT_PATTERNS)})]
"""A type of event, all of a kind (`booking.*`), or all (`*`)."""


class Attempt(Message):
    """One try to deliver. What the endpoint answered beyond its status is not kept."""

    at: datetime
    status: int | None = None
    error: str | None = None
    """Why there is no status: a code."""
    duration_ms: int
