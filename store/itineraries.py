"""Itineraries: begun in the transaction that confirms a booking, kept true in the transactions that change it or tell of its flights.

Every change raises the revision by one, and is an event of the stream `itinerary` with that revision as its version.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import RowMapping, and_, bindparam, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.flights import Change, FlightStatus
from schema.itineraries import STREAM, Itinerary, ItineraryState, Segment, itinerary_id_for
from schema.model import Message
from schema.states import ItemState
from schema.tables import booking_items, bookings, itineraries, itinerary_segments
from store.cursors import read_cursor, write_cursor
from store.events import NewEvent, append
from store.records import StoredItem, stored_item
from store.segments import DETAILS, NewSegment, segments_of

_OF_ID = itineraries.c.id == bindparam("of_itinerary")
_READ = select(itineraries).where(_OF_ID, itineraries.c.deleted_at.is_(None))
_LOCK = select(itineraries).where(_OF_ID).with_for_update()
_READ_SEGMENTS = (
    select(itinerary_segments)
    .where(itinerary_segments.c.itinerary_id == bindparam("of_itinerary"))
    .order_by(itinerary_segments.c.starts_at, itinerary_segments.c.segment_no)
)
_READ_CONFIRMED = (
    select(booking_items)
    .where(booking_items.c.booking_id == bindparam("of_booking"), booking_items.c.state == ItemState.CONFIRMED.value)
    .order_by(booking_items.c.item_no)
)
_READ_BOOKING = select(bookings.c.client_id, bookings.c.itinerary_id).where(bookings.c.id == bindparam("of_booking"))
_ADD = upsert(itineraries).on_conflict_do_nothing().returning(itineraries.c.id)
_ADD_SEGMENTS = insert(itinerary_segments)
_RAISE = (
    update(itineraries)
    .where(_OF_ID)
    .values(revision=itineraries.c.revision + 1, updated_at=func.now())
    .returning(itineraries)
)
_ON_FLIGHT: Final = and_(
    itinerary_segments.c.flight_key == bindparam("of_flight"), itinerary_segments.c.state == "confirmed"
)


class ItineraryPage(Message):
    itineraries: list[Itinerary]
    next_cursor: str | None


async def booked(connection: AsyncConnection, booking_id: str) -> None:
    """A booking is confirmed: its itinerary begins, or the one that it rebooks a part of goes on with it."""
    booking = (await connection.execute(_READ_BOOKING, {"of_booking": booking_id})).one()
    rows = await connection.execute(_READ_CONFIRMED, {"of_booking": booking_id})
    items = [stored_item(row) for row in rows.mappings()]
    if not items:
        return
    if booking.itinerary_id is None:
        await _begin(connection, booking_id, booking.client_id, items)
    else:
        await _join(connection, booking.itinerary_id, booking_id, items)


async def _begin(connection: AsyncConnection, booking_id: str, client_id: str, items: list[StoredItem]) -> None:
    segments = segments_of(items)
    itinerary_id = itinerary_id_for(booking_id)
    values = {
        "id": itinerary_id,
        "booking_id": booking_id,
        "client_id": client_id,
        "state": "active",
        "revision": 0,
        "title": _title(items),
        "starts_at": min(segment.starts_at for segment in segments),
        "ends_at": max(segment.ends_at for segment in segments),
    }
    if await connection.scalar(_ADD, values) is None:
        return  # confirmed before, and partly given up since
    await connection.execute(
        _ADD_SEGMENTS, [_columns(itinerary_id, booking_id, no, s) for no, s in enumerate(segments, 1)]
    )
    data: dict[str, object] = {"itinerary_id": itinerary_id, "booking_id": booking_id}
    await append(connection, _event(client_id, booking_id, 0, "itinerary.created", "active", data))


async def _join(connection: AsyncConnection, itinerary_id: str, booking_id: str, items: list[StoredItem]) -> None:
    # Locked first, so that numbers are given by one transaction at a time.
    await connection.execute(_LOCK, {"of_itinerary": itinerary_id})
    numbers = select(itinerary_segments.c.segment_no, itinerary_segments.c.booking_id).where(
        itinerary_segments.c.itinerary_id == itinerary_id
    )
    taken = (await connection.execute(numbers)).all()
    if any(row.booking_id == booking_id for row in taken):
        return
    first = 1 + max((row.segment_no for row in taken), default=0)
    segments = segments_of(items)
    await connection.execute(
        _ADD_SEGMENTS, [_columns(itinerary_id, booking_id, no, s) for no, s in enumerate(segments, first)]
    )
    data: dict[str, object] = {
        "added_segment_nos": list(range(first, first + len(segments))),
        "rebooking_id": booking_id,
    }
    await raised(connection, itinerary_id, "itinerary.changed", data)


async def follow(connection: AsyncConnection, booking_id: str) -> None:
    """A confirmed booking has changed: what is no longer confirmed of it is no longer ahead of the traveller."""
    booking = (await connection.execute(_READ_BOOKING, {"of_booking": booking_id})).one()
    itinerary_id = booking.itinerary_id or itinerary_id_for(booking_id)
    if (await connection.execute(_LOCK, {"of_itinerary": itinerary_id})).one_or_none() is None:
        return  # it was never confirmed
    still = select(booking_items.c.item_no).where(
        booking_items.c.booking_id == booking_id, booking_items.c.state == ItemState.CONFIRMED.value
    )
    given_up = (
        update(itinerary_segments)
        .where(
            itinerary_segments.c.itinerary_id == itinerary_id,
            itinerary_segments.c.booking_id == booking_id,
            itinerary_segments.c.state == "confirmed",
            itinerary_segments.c.item_no.not_in(still),
        )
        .values(state="cancelled")
        .returning(itinerary_segments.c.segment_no)
    )
    cancelled = sorted(await connection.scalars(given_up))
    if cancelled:
        data: dict[str, object] = {"cancelled_segment_nos": cancelled, "booking_id": booking_id}
        await raised(connection, itinerary_id, "itinerary.changed", data)


async def tell_of_flight(
    connection: AsyncConnection, itinerary_id: str, status: FlightStatus, changes: list[Change]
) -> int | None:
    """What has become of a flight, written into the trip of somebody on it. The itinerary's new revision; None if it was told of this
    revision of the flight before, or nobody of it is on the flight any more. Needs a transaction."""
    if (await connection.execute(_LOCK, {"of_itinerary": itinerary_id})).one_or_none() is None:
        return None
    values: dict[str, object] = {"flight": status.model_dump(mode="json"), "flight_revision": status.revision}
    if "schedule_changed" in changes and status.departure.scheduled and status.arrival.scheduled:
        values |= {"starts_at": status.departure.scheduled, "ends_at": status.arrival.scheduled}
    told = (
        update(itinerary_segments)
        .where(
            _ON_FLIGHT,
            itinerary_segments.c.itinerary_id == itinerary_id,
            itinerary_segments.c.flight_revision < status.revision,
        )
        .values(values)
        .returning(itinerary_segments.c.segment_no, itinerary_segments.c.booking_id)
    )
    segment = (await connection.execute(told, {"of_flight": status.flight_key})).first()
    if segment is None:
        return None
    data: dict[str, object] = {
        "segment_no": segment.segment_no,
        "booking_id": segment.booking_id,
        "flight_key": status.flight_key,
        "flight_revision": status.revision,
        "changes": changes,
        "delay_minutes": status.delay_minutes,
        "phase": status.phase,
    }
    return await raised(connection, itinerary_id, "itinerary.flight_changed", data)


async def on_flight(connection: AsyncConnection, flight_key: str, after: str, limit: int) -> list[str]:
    """Itineraries with somebody on the flight, by id, those after `after`."""
    query = (
        select(itinerary_segments.c.itinerary_id)
        .where(_ON_FLIGHT, itinerary_segments.c.itinerary_id > after)
        .distinct()
        .order_by(itinerary_segments.c.itinerary_id)
        .limit(limit)
    )
    return list(await connection.scalars(query, {"of_flight": flight_key}))


async def replaced(
    connection: AsyncConnection, itinerary_id: str, booking_id: str, item_no: int, flown_legs: int = 0
) -> list[int]:
    """The item's flights, except the first `flown_legs`, are not flown: others were booked in their place. Returns which segments they
    were. Needs a transaction, and that the caller raises the revision."""
    statement = (
        update(itinerary_segments)
        .where(
            itinerary_segments.c.itinerary_id == itinerary_id,
            itinerary_segments.c.booking_id == booking_id,
            itinerary_segments.c.item_no == item_no,
            itinerary_segments.c.state == "confirmed",
            itinerary_segments.c.item_leg >= flown_legs,
        )
        .values(state="replaced")
        .returning(itinerary_segments.c.segment_no)
    )
    return sorted(await connection.scalars(statement))


async def raised(connection: AsyncConnection, itinerary_id: str, event_type: str, data: dict[str, object]) -> int:
    """Raises the revision, with the event that tells why; times and state follow from the segments. Needs a transaction."""
    row = (await connection.execute(_RAISE, {"of_itinerary": itinerary_id})).one()
    ahead = (
        await connection.execute(
            select(
                func.min(itinerary_segments.c.starts_at).label("starts_at"),
                func.max(itinerary_segments.c.ends_at).label("ends_at"),
            ).where(itinerary_segments.c.itinerary_id == itinerary_id, itinerary_segments.c.state == "confirmed")
        )
    ).one()
    state: ItineraryState = "cancelled" if ahead.starts_at is None else "active"
    values = {"state": state} | (
        {} if ahead.starts_at is None else {"starts_at": ahead.starts_at, "ends_at": ahead.ends_at}
    )
    await connection.execute(update(itineraries).where(itineraries.c.id == itinerary_id).values(values))
    told = {"itinerary_id": itinerary_id, **data}
    await append(connection, _event(row.client_id, row.booking_id, row.revision, event_type, state, told))
    return row.revision


async def get(
    connection: AsyncConnection, itinerary_id: str, client_id: str | None = None, *, lock: bool = False
) -> Itinerary | None:
    """With its segments, in the order in which they begin; None if there is none, or it is not this client's."""
    query = _READ.with_for_update() if lock else _READ
    if client_id is not None:
        query = query.where(itineraries.c.client_id == client_id)
    row = (await connection.execute(query, {"of_itinerary": itinerary_id})).mappings().one_or_none()
    if row is None:
        return None
    segments = await connection.execute(_READ_SEGMENTS, {"of_itinerary": itinerary_id})
    return _itinerary(row, [_segment(segment) for segment in segments.mappings()])


async def page(connection: AsyncConnection, client_id: str, limit: int, cursor: str | None) -> ItineraryPage:
    """The client's itineraries without their segments, the one that begins last first. Raises Malformed for a cursor that is none."""
    query = select(itineraries).where(itineraries.c.client_id == client_id, itineraries.c.deleted_at.is_(None))
    if cursor is not None:
        query = query.where(tuple_(itineraries.c.starts_at, itineraries.c.id) < read_cursor(cursor))
    query = query.order_by(itineraries.c.starts_at.desc(), itineraries.c.id.desc()).limit(limit + 1)
    rows = (await connection.execute(query)).mappings().all()
    found = [_itinerary(row, []) for row in rows[:limit]]
    more = len(rows) > limit
    last: datetime | None = rows[limit - 1]["starts_at"] if more else None
    return ItineraryPage(
        itineraries=found, next_cursor=None if last is None else write_cursor(last, found[-1].itinerary_id)
    )


def _title(items: list[StoredItem]) -> str:
    """The city, where a hotel names it; else where the first flights lead; else what it is."""
    for item in items:
        if item.offer.kind == "hotel":
            return f"Trip to {item.offer.city}"
    for item in items:
        if item.search_request is not None and item.offer.kind == "flight":
            return f"Trip to {item.search_request.destination}"
    return items[0].offer.summary()


def _columns(itinerary_id: str, booking_id: str, segment_no: int, segment: NewSegment) -> dict[str, object]:
    return {
        "itinerary_id": itinerary_id,
        "booking_id": booking_id,
        "segment_no": segment_no,
        "state": "confirmed",
        "kind": segment.details.kind,
        **segment.model_dump(exclude={"details"}),
        "details": segment.details.model_dump(mode="json"),
    }


def _event(  # its columns
    client_id: str, booking_id: str, revision: int, event_type: str, state: ItineraryState, data: dict[str, object]
) -> NewEvent:
    return NewEvent(
        client_id=client_id,
        booking_id=booking_id,
        stream=STREAM,
        version=revision,
        type=event_type,
        state=state,
        data=data,
    )


def _segment(row: RowMapping) -> Segment:
    return Segment.model_validate({**row, "details": DETAILS.validate_python(row["details"])})


def _itinerary(row: RowMapping, segments: list[Segment]) -> Itinerary:
    return Itinerary.model_validate({**row, "itinerary_id": row["id"], "segments": segments})
