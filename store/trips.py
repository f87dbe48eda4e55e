"""What the trip page reads beyond the itinerary itself."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.itineraries import STREAM, Itinerary, ItineraryEvent
from schema.tables import events

_SHOWN = 50


async def events_of(connection: AsyncConnection, itinerary: Itinerary) -> list[ItineraryEvent]:
    """The last that has happened to it, newest first."""
    query = (
        select(events.c.version.label("revision"), events.c.type, events.c.data, events.c.created_at)
        .where(events.c.booking_id == itinerary.booking_id, events.c.stream == STREAM)
        .order_by(events.c.version.desc())
        .limit(_SHOWN)
    )
    return [ItineraryEvent.model_validate(row) for row in (await connection.execute(query)).mappings()]
