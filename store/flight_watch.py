"""Who watches which flight: what its monitor goes by, what the monitors' sweep finds, and the flights of a supplier's order."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import Select, and_, exists, func, literal, or_, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.flights import FlightId, FlightStatus, WatchedFlight
from schema.itineraries import FlightDetails
from schema.model import Message
from schema.tables import booking_items, flights, itinerary_segments
from store.flights import ON_IT, PlannedFlight
from store.records import stored_item
from store.segments import segments_of

_segments = itinerary_segments
_SOMEBODY_ON_IT = exists().where(ON_IT)
_LIVE = flights.c.ended_at.is_(None)
_OVER: Sequence[str] = ("arrived", "cancelled")
Fault = Literal["unwatched", "late", "released"]
"""`unwatched`: somebody is on the flight, nobody watches it. `late`: its monitor has not polled in time, or has not told in time what
it knows. `released`: nobody is on it any more."""


class FaultyWatch(Message):
    flight_key: str
    fault: Fault


async def watched(connection: AsyncConnection, flight_key: str) -> WatchedFlight | None:
    """How the flight stands; None if nobody has ever watched it."""
    query = select(flights, _SOMEBODY_ON_IT.label("wanted")).where(flights.c.flight_key == flight_key)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return WatchedFlight(
        revision=row.revision,
        told_revision=row.told_revision,
        phase=FlightStatus.model_validate(row.status).phase,
        departs_at=row.departs_at,
        arrives_at=row.arrives_at,
        wanted=row.wanted,
    )


async def looked(connection: AsyncConnection, flight_key: str, next_at: datetime, *, asked: bool) -> None:
    """Its monitor is alive, and looks again at that time; `asked`: a source has answered."""
    values = {"next_poll_at": next_at, "ended_at": None} | ({"polled_at": func.now()} if asked else {})
    await connection.execute(update(flights).where(flights.c.flight_key == flight_key).values(values))


async def alive(connection: AsyncConnection, flight_key: str) -> None:
    """Its monitor has found that it is not over, whatever was noted a moment ago."""
    noted = (flights.c.flight_key == flight_key, ~_LIVE)
    await connection.execute(update(flights).where(*noted).values(ended_at=None))


async def end(connection: AsyncConnection, flight_key: str) -> bool:
    """Nobody watches it any more. False if there is news to tell first."""
    ended = (
        update(flights)
        .where(flights.c.flight_key == flight_key, or_(flights.c.revision == flights.c.told_revision, ~_SOMEBODY_ON_IT))
        .values(ended_at=func.now(), next_poll_at=None)
    )
    return (await connection.execute(ended)).rowcount == 1


async def faulty(connection: AsyncConnection, before: datetime, after: str, limit: int) -> list[FaultyWatch]:
    """Flights after this one, in the order of their keys, whose watch is not as it should be; `before`: what was due then is late."""
    now = func.now()
    unwatched = (
        _faulty(select(_segments.c.flight_key).distinct(), "unwatched")
        .outerjoin_from(_segments, flights, flights.c.flight_key == _segments.c.flight_key)
        .where(_segments.c.state == "confirmed", _segments.c.flight_key > after, _segments.c.ends_at > now)
        .where(
            or_(
                flights.c.flight_key.is_(None),
                and_(flights.c.ended_at.is_not(None), flights.c.status["phase"].astext.not_in(_OVER)),
            )
        )
    )
    due = func.coalesce(flights.c.next_poll_at, flights.c.created_at) < before
    untold = and_(flights.c.revision > flights.c.told_revision, flights.c.updated_at < before)
    late = _faulty(select(flights.c.flight_key), "late").where(
        flights.c.flight_key > after, _SOMEBODY_ON_IT, or_(and_(_LIVE, due), untold)
    )
    released = _faulty(select(flights.c.flight_key), "released").where(
        flights.c.flight_key > after, _LIVE, flights.c.created_at < before, ~_SOMEBODY_ON_IT
    )
    found = union_all(unwatched, late, released).subquery()
    rows = await connection.execute(select(found).order_by(found.c.flight_key).limit(limit))
    return [FaultyWatch(flight_key=row.flight_key, fault=row.fault) for row in rows]


async def booked(connection: AsyncConnection, flight_key: str) -> PlannedFlight | None:
    """The flight as the first of those have it who are on it."""
    query = (
        select(_segments.c.starts_at, _segments.c.ends_at, _segments.c.details)
        .where(_segments.c.flight_key == flight_key, _segments.c.state == "confirmed")
        .order_by(_segments.c.itinerary_id)
        .limit(1)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return PlannedFlight(
        flight=FlightId.of_key(flight_key),
        destination=row.details["destination"],
        departs_at=row.starts_at,
        arrives_at=row.ends_at,
    )


async def of_order(connection: AsyncConnection, supplier: str, order_id: str) -> list[PlannedFlight]:
    """The flights of a supplier's order, as they were booked; none for an order that is not in our books."""
    query = select(booking_items).where(
        booking_items.c.provider_code == supplier, booking_items.c.provider_booking_ref == order_id
    )
    rows = (await connection.execute(query)).mappings()
    return [
        PlannedFlight(
            flight=FlightId.of_key(segment.flight_key),
            destination=segment.details.destination,
            departs_at=segment.starts_at,
            arrives_at=segment.ends_at,
        )
        for segment in segments_of([stored_item(row) for row in rows])
        if segment.flight_key is not None and isinstance(segment.details, FlightDetails)
    ]


def _faulty(keys: Select[tuple[str]], fault: Fault) -> Select[tuple[str, str]]:
    return keys.add_columns(literal(fault).label("fault"))
