"""What operators see of a watched flight."""

from datetime import datetime

from api.desk_links import workflow_url
from schema.flights import FlightStatus, monitor_id_for
from schema.model import Message
from schema.settings import Settings
from store.flights import StoredFlight


class FlightView(Message):
    """One flight on one day, as it is known here."""

    flight_key: str
    status: FlightStatus
    told_revision: int
    """Up to which revision all were told who are on it."""
    itineraries: int
    """With somebody on it."""
    departs_at: datetime
    arrives_at: datetime
    """As expected now."""
    polled_at: datetime | None
    """When a source last answered; null: none has, or none can be asked."""
    next_poll_at: datetime | None
    """The latest at which its monitor looks again; null: it is not watched any more, or not yet."""
    ended_at: datetime | None
    workflow_url: str
    """Its monitor in Temporal's Web UI."""

    @classmethod
    def of(cls, stored: StoredFlight, settings: Settings) -> "FlightView":
        key = stored.flight.key
        return cls(
            flight_key=key,
            status=stored.status,
            told_revision=stored.told_revision,
            itineraries=stored.itineraries,
            departs_at=stored.departs_at,
            arrives_at=stored.arrives_at,
            polled_at=stored.polled_at,
            next_poll_at=stored.next_poll_at,
            ended_at=stored.ended_at,
            workflow_url=workflow_url(settings, monitor_id_for(key)),
        )
