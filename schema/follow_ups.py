"""Which recorded events something follows from: a workflow to start, somebody to tell. It is done after the event is durable, by
`workers/follow_ups.py`, and done again until it has worked."""

from typing import Final

from schema.endpoints import ITINERARY_EVENTS

_OF_BOOKINGS: Final = frozenset(
    {
        "booking.confirmed",
        "booking.partially_confirmed",
        "booking.failed",
        "booking.cancelled",
        "booking.price_changed",
    }
)
CUSTOMER_PREFIX: Final = "customer:"
"""Of `waiting_for` where only the payer can go on."""


def is_followed_up(event_type: str, data: dict[str, object]) -> bool:
    """Whether anything follows from the event."""
    if event_type == "booking.awaiting_payment":
        return str(data.get("waiting_for", "")).startswith(CUSTOMER_PREFIX)
    return event_type in _OF_BOOKINGS or event_type in ITINERARY_EVENTS
