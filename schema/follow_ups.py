"""Which recorded events something follows from: a workflow to start, somebody to tell. It is done after the event is durable, by
`workers/follow_ups.py`, and done again until it has worked."""

from typing import Final

_OF_BOOKINGS: Final = frozenset(
    {
        "booking.confirmed",
        "booking.partially_confirmed",
        "booking.failed",
        "booking.cancelled",
        "booking.price_changed",
    }
)
_OF_ITINERARIES: Final = frozenset(
    {
        "itinerary.created",
        "itinerary.changed",
        "itinerary.flight_changed",
        "itinerary.disrupted",
        "itinerary.alternatives_offered",
        "itinerary.rebooked",
        "itinerary.rebooking_failed",
    }
)
CUSTOMER_PREFIX: Final = "customer:"
"""Of `waiting_for` where only the payer can go on."""


def is_followed_up(event_type: str, data: dict[str, object]) -> bool:
    """Whether anything follows from the event."""
    if event_type == "booking.awaiting_payment":
        return str(data.get("waiting_for", "")).startswith(CUSTOMER_PREFIX)
    return event_type in _OF_BOOKINGS or event_type in _OF_ITINERARIES
