"""Events: kept, listable at /v1/events, and posted, signed, to the one webhook endpoint the control route configures."""

from __future__ import annotations

from typing import TypedDict, cast

import orjson

from sandbox.vendors.stripe_wire import API_VERSION
from sandbox.vendors.webhook_sender import Sender
from sandbox.world import JsonObject, World


class Event(TypedDict):
    """An event as kept: rendered, since it must show its object as it was then."""

    id: str
    type: str
    created: int
    body: str


class Webhooks:
    """Makes Stripe's events."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.sender = Sender(world, "stripe", "Stripe-Signature", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")

    def emit(self, event_type: str, document: JsonObject, idempotency_key: str | None = None) -> None:
        """Keep an event about `document` as it is now, and send it."""
        event_id = self._world.new_id("evt_")
        created = int(self._world.now().timestamp())
        body = orjson.dumps(
            {
                "id": event_id,
                "object": "event",
                "api_version": API_VERSION,
                "created": created,
                "data": {"object": document},
                "livemode": False,
                "pending_webhooks": 1 if self.sender.copies else 0,
                "request": {"id": None, "idempotency_key": idempotency_key},
                "type": event_type,
            }
        )
        event = Event(id=event_id, type=event_type, created=created, body=body.decode())
        self._world.put("stripe", "event", event_id, cast(JsonObject, cast(object, event)))
        self.sender.send(event_id, body)
