"""Disruptions as kept. Each step is written with the itinerary's event that tells of it, in one transaction."""

from datetime import UTC, datetime

from pydantic import TypeAdapter
from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.disruptions import (
    OPEN_STATES,
    Alternative,
    Disruption,
    DisruptionInput,
    DisruptionKind,
    DisruptionState,
    Impact,
)
from schema.tables import disruptions, flights
from store import itineraries

ALTERNATIVES: TypeAdapter[list[Alternative]] = TypeAdapter(list[Alternative])
_OPEN = disruptions.c.state.in_(sorted(OPEN_STATES))


async def get(
    connection: AsyncConnection, disruption_id: str, client_id: str | None = None, *, lock: bool = False
) -> Disruption | None:
    """None if there is none, or it is not this client's."""
    query = select(disruptions).where(disruptions.c.id == disruption_id)
    if client_id is not None:
        query = query.where(disruptions.c.client_id == client_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    return None if row is None else _disruption(row)


async def of_itinerary(connection: AsyncConnection, itinerary_id: str) -> list[Disruption]:
    """Newest first."""
    query = select(disruptions).where(disruptions.c.itinerary_id == itinerary_id)
    rows = await connection.execute(query.order_by(disruptions.c.opened_at.desc(), disruptions.c.id))
    return [_disruption(row) for row in rows.mappings()]


async def open_of(connection: AsyncConnection, itinerary_id: str, segment_no: int) -> Disruption | None:
    """The one that is open for the segment, if any; locked. Needs a transaction."""
    query = select(disruptions).where(
        disruptions.c.itinerary_id == itinerary_id, disruptions.c.segment_no == segment_no, _OPEN
    )
    row = (await connection.execute(query.with_for_update())).mappings().one_or_none()
    return None if row is None else _disruption(row)


async def rebooking_of(connection: AsyncConnection, itinerary_id: str) -> str | None:
    """The disruption of this itinerary for which another flight is being booked now."""
    query = select(disruptions.c.id).where(
        disruptions.c.itinerary_id == itinerary_id, disruptions.c.state == "rebooking"
    )
    return await connection.scalar(query.limit(1))


async def of_rebooking(connection: AsyncConnection, booking_id: str) -> str | None:
    """The disruption for which this booking was made."""
    return await connection.scalar(select(disruptions.c.id).where(disruptions.c.rebooking_id == booking_id))


async def add(
    connection: AsyncConnection, told: DisruptionInput, kind: DisruptionKind, impact: Impact, state: DisruptionState
) -> None:
    """With the event that tells the traveller. Needs a transaction that holds the itinerary's lock."""
    over = state not in OPEN_STATES
    values = {
        "id": told.disruption_id,
        **told.model_dump(include={"itinerary_id", "client_id", "segment_no", "flight_key", "flight_revision"}),
        "kind": kind,
        "state": state,
        "impact": impact.model_dump(mode="json"),
        "closed_at": datetime.now(UTC) if over else None,
    }
    await connection.execute(insert(disruptions), values)
    if state != "superseded":
        data: dict[str, object] = {
            "disruption_id": told.disruption_id,
            "segment_no": told.segment_no,
            "flight_key": told.flight_key,
            "kind": kind,
            "changes": told.changes,
            "delay_minutes": told.delay_minutes,
        }
        await itineraries.raised(connection, told.itinerary_id, "itinerary.disrupted", data)


async def offer(
    connection: AsyncConnection, disruption: Disruption, alternatives: list[Alternative], deadline: datetime
) -> None:
    """The traveller may choose. Needs a transaction."""
    rows = ALTERNATIVES.dump_python(alternatives, mode="json")
    await _change(connection, disruption, state="offered", alternatives=rows, deadline_at=deadline, chosen=None)
    data: dict[str, object] = {
        "disruption_id": disruption.disruption_id,
        "alternatives": len(alternatives),
        "deadline": deadline,
    }
    await itineraries.raised(connection, disruption.itinerary_id, "itinerary.alternatives_offered", data)


async def choose(connection: AsyncConnection, disruption: Disruption, number: int, booking_id: str) -> None:
    await _change(connection, disruption, state="rebooking", chosen=number, rebooking_id=booking_id)


async def rebooked(connection: AsyncConnection, disruption: Disruption, booking_id: str, item_no: int) -> None:
    """The old flights are replaced. Needs a transaction."""
    await _change(connection, disruption, state="rebooked", closed_at=datetime.now(UTC))
    flown_legs = disruption.impact.flown_legs
    gone = await itineraries.replaced(connection, disruption.itinerary_id, booking_id, item_no, flown_legs)
    data: dict[str, object] = {
        "disruption_id": disruption.disruption_id,
        "rebooking_id": disruption.rebooking_id,
        "replaced_segment_nos": gone,
    }
    await itineraries.raised(connection, disruption.itinerary_id, "itinerary.rebooked", data)


async def not_rebooked(
    connection: AsyncConnection, disruption: Disruption, left: list[Alternative], reason: str | None
) -> DisruptionState:
    """The chosen alternative could not be had; the others still may. Needs a transaction."""
    state: DisruptionState = "offered" if left else "failed"
    closed_at = None if left else datetime.now(UTC)
    rows = ALTERNATIVES.dump_python(left, mode="json")
    await _change(connection, disruption, state=state, alternatives=rows, reason=reason, closed_at=closed_at)
    data: dict[str, object] = {
        "disruption_id": disruption.disruption_id,
        "rebooking_id": disruption.rebooking_id,
        "reason": reason,
        "alternatives": len(left),
    }
    await itineraries.raised(connection, disruption.itinerary_id, "itinerary.rebooking_failed", data)
    return state


async def close(
    connection: AsyncConnection, disruption: Disruption, state: DisruptionState, reason: str | None = None
) -> None:
    await _change(connection, disruption, state=state, reason=reason, closed_at=datetime.now(UTC))


async def _change(connection: AsyncConnection, disruption: Disruption, **values: object) -> None:
    await connection.execute(update(disruptions).where(disruptions.c.id == disruption.disruption_id).values(values))


def _disruption(row: RowMapping) -> Disruption:
    return Disruption.model_validate({**row, "disruption_id": row["id"]})


async def not_flying(connection: AsyncConnection, flight_keys: list[str]) -> frozenset[str]:
    """Those of the flights that are known to be cancelled."""
    cancelled = flights.c.status["phase"].astext == "cancelled"
    return frozenset(
        await connection.scalars(
            select(flights.c.flight_key).where(
                flights.c.flight_key.in_(flight_keys), flights.c.status.is_not(None), cancelled
            )
        )
    )
