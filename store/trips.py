"""What the trip page reads beyond the itinerary itself."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.itineraries import STREAM, Itinerary, ItineraryEvent
from schema.tables import events, itineraries

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


async def revisions(connection: AsyncConnection, itinerary_ids: Sequence[str], ended_after: datetime) -> dict[str, int]:
    """How far trips have come, by their ids; without those that are deleted, or had ended by then."""
    query = select(itineraries.c.id, itineraries.c.revision).where(
        itineraries.c.id.in_(itinerary_ids), itineraries.c.deleted_at.is_(None), itineraries.c.ends_at >= ended_after
    )
    return {row.id: int(row.revision) for row in await connection.execute(query)}
