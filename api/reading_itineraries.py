"""Reading one itinerary with its flights as they stand now, for everybody who shows one."""

from sqlalchemy.ext.asyncio import AsyncConnection

from api.itinerary_views import with_newest
from schema.itineraries import Itinerary
from store import flights, itineraries


async def read_itinerary(
    connection: AsyncConnection, itinerary_id: str, client_id: str | None = None
) -> Itinerary | None:
    """None if there is none, or it is not this client's."""
    itinerary = await itineraries.get(connection, itinerary_id, client_id)
    if itinerary is None:
        return None
    keys = [segment.flight_key for segment in itinerary.segments if segment.flight_key is not None]
    return with_newest(itinerary, await flights.statuses(connection, keys) if keys else {})
