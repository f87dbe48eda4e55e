"""What is known of a week, read from PostgreSQL, from the vendors' books and by the audit, and put in order for the checker."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, cast

from sqlalchemy import select

from schema.notifications import NotificationKind, notification_id_for
from schema.tables import bookings, disruptions, events, flights, inbox, itinerary_segments, notifications
from store.flights import ON_IT
from tests.saga.harness import FAST, House
from tests.week.checker import Announced, Lost, Paid, Taken, Week
from workers.audit import AuditReport, Evidence, check, gather

if TYPE_CHECKING:
    from tests.week.driver import Person, Run

_HISTORIES = 40
"""Of workflows, that the audit reads; to read those of hundreds of trips would take longer than the week."""
_OVER = ("sent", "delivered", "failed", "unknown", "skipped", "dead")
_KNOWN_TO_BE_TOLD = ("sent", "delivered")
_MOVING = ("PENDING", "RESERVING", "AWAITING_PAYMENT", "COMPENSATING", "REFUND_PENDING", "CANCELLING")
_OF_TRIP: dict[str, NotificationKind] = {
    "itinerary.alternatives_offered": "alternatives_offered",
    "itinerary.rebooked": "rebooked",
    "itinerary.rebooking_failed": "rebooking_failed",
}
_NOT_TOLD = ("flight_departed", "flight_arrived")


async def announced_to(house: House, person: "Person") -> list[Announced]:
    """What is recorded of their trip that they are to hear of, by each channel that they want."""
    query = select(events).where(events.c.client_id == person.client_id).order_by(events.c.id)
    async with house.database.read() as connection:
        rows = (await connection.execute(query)).mappings().all()
    found: list[Announced] = []
    for row in rows:
        subject, kind, flight_key = str(row["data"].get("itinerary_id")), _OF_TRIP.get(row["type"]), None
        if row["type"] == "itinerary.disrupted" and row["data"]["kind"] not in _NOT_TOLD:
            kind = row["data"]["kind"]
            flight_key = row["data"]["disruption_id"].removeprefix(f"{subject}-").rpartition("-")[0]
        elif row["type"] == "booking.confirmed" and row["booking_id"] == person.trip.booking_id:
            subject, kind = person.trip.booking_id, "booking_confirmed"
        if kind is None:
            continue
        for channel in person.addresses:
            recipient = (person.device_id or "") if channel == "push" else ""
            notification_id = notification_id_for(subject, kind, row["version"], channel, recipient)
            found.append(Announced(notification_id, person.name, flight_key, kind, channel, row["created_at"]))
    return found


async def settled(house: House, person: "Person", announced: Sequence[Announced]) -> bool:
    """Nothing that they are to hear of is under way, nor a search for other flights."""
    told = select(notifications.c.id).where(
        notifications.c.client_id == person.client_id, notifications.c.state.in_(_OVER)
    )
    open_ones = select(disruptions.c.id).where(
        disruptions.c.client_id == person.client_id, disruptions.c.state.in_(("open", "rebooking"))
    )
    async with house.database.read() as connection:
        over = set(await connection.scalars(told))
        searching = (await connection.scalars(open_ones.limit(1))).first()
    return searching is None and {one.notification_id for one in announced} <= over


async def quiet(house: House) -> bool:
    """Nothing is on its way in the whole system, as far as our books know."""
    untold = flights.c.told_revision < flights.c.revision
    under_way = (
        select(events.c.id).where(events.c.follow_up_at.is_not(None)),
        select(notifications.c.id).where(notifications.c.state.not_in(_OVER)),
        select(disruptions.c.id).where(disruptions.c.state.in_(("open", "rebooking"))),
        select(bookings.c.id).where(bookings.c.state.in_(_MOVING)),
        select(inbox.c.event_id).where(inbox.c.handled_at.is_(None)),
        select(flights.c.flight_key).where(untold, select(itinerary_segments.c.flight_key).where(ON_IT).exists()),
    )
    async with house.database.read() as connection:
        return not any([(await connection.execute(query.limit(1))).first() for query in under_way])


async def judged(run: "Run") -> tuple[Week, AuditReport]:
    """All that the checker needs, and what the product's own audit says."""
    house, people = run.house, run.everybody()
    announced = [one for person in people for one in await announced_to(house, person)]
    evidence = await gather(house.settings, policy=FAST, histories=_HISTORIES)
    week = Week(
        said=run.said,
        announced=announced,
        taken=await _taken(house),
        addresses={person.name: person.addresses for person in people},
        paid=await _paid(house, people, evidence),
        lost=await _lost(house),
        superseded=await _superseded(house),
        killed_at=run.killed_at,
    )
    return week, check(evidence)


async def _taken(house: House) -> list[Taken]:
    notices = (await house.sandbox.get("/_sandbox/books", timeout=60)).json()["notices"]
    return [
        Taken(
            vendor=line["vendor"],
            object_id=line["object_id"],
            notification_id=line["metadata"].get("notification_id"),
            to=line["to"][0],
            at=datetime.fromisoformat(line["created_at"]),
        )
        for line in notices
    ]


async def _lost(house: House) -> dict[str, Lost]:
    query = select(notifications.c.id, notifications.c.state, notifications.c.attempts)
    async with house.database.read() as connection:
        rows = (await connection.execute(query)).all()
    found: dict[str, Lost] = {}
    for row in rows:
        began_at = [datetime.fromisoformat(one["at"]) for one in row.attempts if one.get("ended") in (None, "unknown")]
        if began_at:
            found[row.id] = Lost(began_at, told=row.state in _KNOWN_TO_BE_TOLD)
    return found


async def _superseded(house: House) -> set[str]:
    """Only what was tried, without effect for certain: nothing is to be skipped that has not waited."""
    query = select(notifications.c.id, notifications.c.attempts).where(
        notifications.c.state == "skipped", notifications.c.reason == "superseded"
    )
    async with house.database.read() as connection:
        rows = (await connection.execute(query)).all()
    return {row.id for row in rows if row.attempts and all(one.get("ended") == "unavailable" for one in row.attempts)}


async def _paid(house: House, people: Collection["Person"], evidence: Evidence) -> list[Paid]:
    """By the vendors' books alone; ours only say which bookings are whose."""
    mine: defaultdict[str, list[str]] = defaultdict(list)
    async with house.database.read() as connection:
        for row in await connection.execute(select(bookings.c.client_id, bookings.c.id)):
            mine[row.client_id].append(row.id)
    found: list[Paid] = []
    for person in people:
        dossiers = [evidence.by_booking[booking_id] for booking_id in mine[person.client_id]]
        live = [line for dossier in dossiers for _, line in dossier.reservations if line.live and line.kind == "flight"]
        found.append(
            Paid(
                traveller=person.name,
                kept_minor=sum(line.kept_minor for dossier in dossiers for line in dossier.vendor_payments),
                price_minor=sum(cast("int", line.price_minor) for line in live),
                live=len(live),
            )
        )
    return found
