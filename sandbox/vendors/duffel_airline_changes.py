"""Schedule changes that an airline makes to an order: kept, listed, and seen in the order's own flights."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypedDict, cast

from starlette.responses import Response

from sandbox.vendors.duffel_http import VENDOR, Call, ok, timestamp
from sandbox.vendors.duffel_webhooks import emit
from sandbox.world import JsonObject, World


class ChangeRecord(TypedDict):
    """As Duffel sends it."""

    id: str
    order_id: str
    created_at: str
    updated_at: str
    action_taken: str | None
    action_taken_at: str | None
    added: list[JsonObject]
    removed: list[JsonObject]
    available_actions: list[str]
    travel_agent_ticket: JsonObject | None


def list_airline_changes(call: Call) -> Response:
    """GET /air/airline_initiated_changes: all of them, or those of one order; none for an order that does not exist."""
    return ok(changes_of(call.world, call.argument("order_id")))


def changes_of(world: World, order_id: str | None) -> list[ChangeRecord]:
    """The changes of an order, or of all, in the order Duffel heard of them."""
    every = cast("list[ChangeRecord]", world.all(VENDOR, "airline_change"))
    return [change for change in every if order_id in (None, change["order_id"])]


def slices_now(world: World, order_id: str, booked: list[JsonObject]) -> list[JsonObject]:
    """The order's journey, with what its airlines have changed since it was booked; a slice that none flies any more is gone."""
    current = {part["id"]: part for part in booked}
    for change in sorted(changes_of(world, order_id), key=lambda change: datetime.fromisoformat(change["created_at"])):
        for part in change["removed"]:
            current.pop(part["id"], None)
        current |= {part["id"]: part for part in change["added"]}
    return [current[part["id"]] for part in booked if part["id"] in current]


def record_change(
    world: World, order_id: str, *, removed: list[JsonObject], added: list[JsonObject], said_at: datetime | None = None
) -> ChangeRecord:
    """Keep and tell that slices are as `added` from now on, or from when the airline said so."""
    at = timestamp(said_at or world.now())
    change: ChangeRecord = {
        "id": world.new_id("aic_"),
        "order_id": order_id,
        "created_at": at,
        "updated_at": at,
        "action_taken": None,
        "action_taken_at": None,
        "added": added,
        "removed": removed,
        "available_actions": ["accept", "cancel"],
        "travel_agent_ticket": None,
    }
    world.put(VENDOR, "airline_change", change["id"], cast(JsonObject, cast(object, change)))
    about: JsonObject = {"id": order_id, "aic_id": change["id"]}
    emit(world, "order.airline_initiated_change_detected", about, change["id"])
    return change


def change_schedule(world: World, order_id: str, slices: list[JsonObject], minutes: int) -> ChangeRecord:
    """The airline moves the flights of the first slice; the others stay. `slices` is the journey until now."""
    moved = _moved(slices[0], timedelta(minutes=minutes))
    return record_change(world, order_id, removed=slices[:1], added=[moved])


def _moved(part: JsonObject, by: timedelta) -> JsonObject:
    segments = cast("list[JsonObject]", part["segments"])
    return {**part, "segments": [{**segment, **_times(segment, by)} for segment in segments]}


def _times(segment: JsonObject, by: timedelta) -> JsonObject:
    times = ("departing_at", "arriving_at")
    return {name: (datetime.fromisoformat(cast(str, segment[name])) + by).isoformat() for name in times}
