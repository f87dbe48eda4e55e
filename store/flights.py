"""Flights: what is known of each, what travellers must be told of it, and up to where they were."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.flight_merging import (
    Said,
    as_booked,
    changes_between,
    merge,
    news_to_newcomer,
    status_of,
    told_together,
)
from schema.flights import Change, FlightId, FlightNews, FlightPolicy, FlightStatus
from schema.model import Message
from schema.tables import flight_revisions, flights, itinerary_segments

_RECORD: TypeAdapter[dict[str, Said]] = TypeAdapter(dict[str, Said])
_CHANGES: TypeAdapter[list[Change]] = TypeAdapter(list[Change])
ON_IT = (itinerary_segments.c.flight_key == flights.c.flight_key) & (itinerary_segments.c.state == "confirmed")
"""Who is on a flight: its confirmed segments."""


class PlannedFlight(Message):
    """A flight as somebody has booked it."""

    flight: FlightId
    destination: str
    departs_at: datetime
    arrives_at: datetime
    """Instants."""


class StoredFlight(Message):
    flight: FlightId
    status: FlightStatus
    departs_at: datetime
    arrives_at: datetime
    """As expected now."""
    told_revision: int
    polled_at: datetime | None
    next_poll_at: datetime | None
    ended_at: datetime | None
    itineraries: int
    """That are on it."""


class Telling(Message):
    """One revision of a flight, as those are told who know of it up to some other."""

    status: FlightStatus
    changes: list[Change]


async def watch(connection: AsyncConnection, planned: PlannedFlight) -> None:
    """Somebody is on it; again is harmless. Needs a transaction."""
    flight, key = planned.flight, planned.flight.key
    record = as_booked(flight, planned.destination, planned.departs_at, planned.arrives_at)
    status = status_of(key, 0, record)
    new = insert(flights).values(
        flight_key=key,
        carrier=flight.carrier,
        number=flight.number,
        on_date=flight.on,
        origin=flight.origin,
        departs_at=planned.departs_at,
        arrives_at=planned.arrives_at,
        status=status.model_dump(mode="json"),
        said=_RECORD.dump_python(record, mode="json"),
    )
    await connection.execute(new.on_conflict_do_update(index_elements=["flight_key"], set_={"ended_at": None}))
    await connection.execute(_revision(status, []).on_conflict_do_nothing())


async def take_news(connection: AsyncConnection, news: FlightNews, policy: FlightPolicy) -> FlightStatus | None:
    """Adds what a source has said: the newest of each part stays, stale and doubled news change nothing (C-4c). Where travellers must
    know of it, the flight gets its next revision. Returns how the flight stands then; None for one that nobody has ever watched.
    Needs a transaction."""
    key = news.flight.key
    row = (await connection.execute(select(flights).where(flights.c.flight_key == key).with_for_update())).one_or_none()
    if row is None:
        return None
    record = _RECORD.validate_python(row.said)
    before = status_of(key, row.revision, record)
    merged = merge(record, news)
    if merged == record:
        return before
    now = status_of(key, row.revision, merged)
    changes = changes_between(await _as_of(connection, key, row.revision), before, now, policy)
    if changes:
        now = now.model_copy(update={"revision": row.revision + 1})
        await connection.execute(_revision(now, changes))
    await connection.execute(
        update(flights)
        .where(flights.c.flight_key == key)
        .values(
            revision=now.revision,
            status=now.model_dump(mode="json"),
            said=_RECORD.dump_python(merged, mode="json"),
            departs_at=now.departure.expected(),
            arrives_at=now.arrival.expected(),
            updated_at=func.now(),
        )
    )
    # Who said the same again, and when, is no reason to write the rows of everybody on the flight.
    seen = now.model_copy(update={"said_at": before.said_at, "source": before.source})
    if now.revision == row.told_revision and seen != before:
        await _show(connection, now)
    return now


async def get(connection: AsyncConnection, flight_key: str) -> StoredFlight | None:
    on_it = select(func.count(itinerary_segments.c.itinerary_id.distinct())).where(ON_IT).scalar_subquery()
    row = (
        await connection.execute(select(flights, on_it.label("itineraries")).where(flights.c.flight_key == flight_key))
    ).one_or_none()
    if row is None:
        return None
    return StoredFlight(
        flight=FlightId.of_key(flight_key),
        status=FlightStatus.model_validate(row.status),
        departs_at=row.departs_at,
        arrives_at=row.arrives_at,
        told_revision=row.told_revision,
        polled_at=row.polled_at,
        next_poll_at=row.next_poll_at,
        ended_at=row.ended_at,
        itineraries=row.itineraries,
    )


async def statuses(connection: AsyncConnection, flight_keys: Sequence[str]) -> dict[str, FlightStatus]:
    """How each of these stands now, by key; without those that nobody has ever watched."""
    rows = await connection.execute(
        select(flights.c.flight_key, flights.c.status).where(flights.c.flight_key.in_(flight_keys))
    )
    return {row.flight_key: FlightStatus.model_validate(row.status) for row in rows if row.status is not None}


async def telling(connection: AsyncConnection, flight_key: str, revision: int, policy: FlightPolicy) -> Telling:
    """What to tell of this revision those who were told up to `told_revision`. Raises NoResultFound for a flight that nobody watches,
    which is a bug."""
    stored = (
        await connection.execute(
            select(flights.c.told_revision, flights.c.revision, flights.c.status).where(
                flights.c.flight_key == flight_key
            )
        )
    ).one()
    told = min(stored.told_revision, revision - 1)
    between = await connection.execute(
        select(flight_revisions.c.changes)
        .where(flight_revisions.c.flight_key == flight_key)
        .where(flight_revisions.c.revision > told, flight_revisions.c.revision <= revision)
        .order_by(flight_revisions.c.revision)
    )
    status = await _as_of(connection, flight_key, revision)
    changes = told_together(
        await _as_of(connection, flight_key, told),
        status,
        [_CHANGES.validate_python(row.changes) for row in between],
        policy,
    )
    if stored.revision == revision:  # small movements since then are shown, too
        status = FlightStatus.model_validate(stored.status)
    return Telling(status=status, changes=changes)


async def telling_newcomers(connection: AsyncConnection, flight_key: str, policy: FlightPolicy) -> Telling:
    """What those must be told who have just joined: what all others know. A revision that others do not know yet reaches newcomers
    with them, as the change that it is. Raises NoResultFound for a flight that nobody watches, which is a bug."""
    stored = (
        await connection.execute(
            select(flights.c.told_revision, flights.c.revision, flights.c.status).where(
                flights.c.flight_key == flight_key
            )
        )
    ).one()
    if stored.told_revision == stored.revision:
        now = FlightStatus.model_validate(stored.status)
    else:
        now = await _as_of(connection, flight_key, stored.told_revision)
    return Telling(status=now, changes=news_to_newcomer(now, policy))


async def show_silently(connection: AsyncConnection, itinerary_ids: Sequence[str], status: FlightStatus) -> None:
    """Where there is nothing to tell, the itinerary still shows how its flight stands."""
    await connection.execute(
        update(itinerary_segments)
        .where(itinerary_segments.c.itinerary_id.in_(itinerary_ids))
        .where(itinerary_segments.c.flight_key == status.flight_key, itinerary_segments.c.state == "confirmed")
        .where(itinerary_segments.c.flight_revision <= status.revision)
        .values(flight=status.model_dump(mode="json"), flight_revision=status.revision)
    )


async def told(connection: AsyncConnection, flight_key: str, revision: int) -> None:
    """All who are on it know of this revision. Needs a transaction."""
    row = (
        await connection.execute(
            update(flights)
            .where(flights.c.flight_key == flight_key)
            .values(told_revision=func.greatest(flights.c.told_revision, revision), updated_at=func.now())
            .returning(flights.c.revision, flights.c.told_revision, flights.c.status)
        )
    ).one()
    if row.revision == row.told_revision:
        await _show(connection, FlightStatus.model_validate(row.status))


async def _show(connection: AsyncConnection, status: FlightStatus) -> None:
    """Movements that nobody need be told of: they are on the itinerary for whoever looks, without a new revision of it."""
    await connection.execute(
        update(itinerary_segments)
        .where(itinerary_segments.c.flight_key == status.flight_key, itinerary_segments.c.state == "confirmed")
        .where(itinerary_segments.c.flight_revision == status.revision)
        .values(flight=status.model_dump(mode="json"))
    )


async def _as_of(connection: AsyncConnection, flight_key: str, revision: int) -> FlightStatus:
    query = select(flight_revisions.c.status).where(
        flight_revisions.c.flight_key == flight_key, flight_revisions.c.revision == revision
    )
    return FlightStatus.model_validate((await connection.execute(query)).scalar_one())


def _revision(status: FlightStatus, changes: list[Change]) -> Insert:
    return insert(flight_revisions).values(
        flight_key=status.flight_key,
        revision=status.revision,
        status=status.model_dump(mode="json"),
        changes=list(changes),
    )
