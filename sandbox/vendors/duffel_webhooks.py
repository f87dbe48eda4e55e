"""Duffel's events, posted and signed. They are not kept: nothing of ours asks for one again."""

from __future__ import annotations

import orjson

from sandbox.vendors.duffel_http import VENDOR, timestamp
from sandbox.vendors.webhook_sender import Sender
from sandbox.world import JsonObject, World


def sender(world: World) -> Sender:
    """Where the events go."""
    return Sender(world, VENDOR, "X-Duffel-Signature", "Duffel/1.0")


def emit(world: World, event_type: str, about: JsonObject, concerned_id: str) -> None:
    """Send an event: `about` is its `data.object`, `concerned_id` the id of the object concerned, which is its idempotency key."""
    outgoing = sender(world)
    if not outgoing.copies:
        return
    event_id = world.new_id("wev_")
    body = orjson.dumps(
        {
            "id": event_id,
            "type": event_type,
            "api_version": "v2",
            "live_mode": False,
            "created_at": timestamp(world.now()),
            "idempotency_key": concerned_id,
            "data": {"object": about},
        }
    )
    outgoing.send(event_id, body)
