"""Messages of the live feed, as they are kept, pushed and paged."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from schema.model import Message

MAX_SEQUENCE = 2**63 - 1


class FeedMessage(Message):
    """One event of a client's live feed."""

    sequence: Annotated[
        int, Field(ge=1, description="The client's own count of messages: 1, 2, 3 and so on, without gaps")
    ]
    type: Annotated[str, Field(examples=["booking.confirmed", "itinerary.flight_changed", "notice.flight_delayed"])]
    timestamp: Annotated[datetime, Field(description="When it happened")]
    data: Annotated[
        dict[str, object],
        Field(description="`booking_id`, `version` and `state`, and what the type says beyond these; no personal data"),
    ]
