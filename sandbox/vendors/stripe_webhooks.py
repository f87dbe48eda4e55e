"""Events: kept, listable at /v1/events, and posted, signed, to the one webhook endpoint the control route configures.

Delivery is Stripe's in what matters to a receiver: at least once, in no promised order, tried again a few times.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from hashlib import sha256
from typing import Final, Literal, TypedDict, cast
from urllib.parse import urlsplit

import orjson

from sandbox.vendors.stripe_wire import API_VERSION
from sandbox.world import JsonObject, World

logger = logging.getLogger("travelhub.sandbox.stripe")

_RETRY_DELAYS_S: Final = (0.5, 2.0, 5.0)
"""Stripe's test mode tries three times within hours; here it must fit into a test."""
_ATTEMPT_TIMEOUT_S: Final = 10.0


class Endpoint(TypedDict):
    """Where events go: an url, the signing secret, and how they are delivered."""

    url: str
    secret: str
    mode: Literal["normal", "doubled", "silent"]


class Event(TypedDict):
    """An event as kept: rendered, since it must show its object as it was then."""

    id: str
    type: str
    created: int
    body: str


class Webhooks:
    """The outgoing side of Stripe's events."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def endpoint(self) -> Endpoint | None:
        return cast("Endpoint | None", self._world.get("stripe", "webhook_endpoint", "only"))

    @endpoint.setter
    def endpoint(self, endpoint: Endpoint) -> None:
        self._world.put("stripe", "webhook_endpoint", "only", cast(JsonObject, cast(object, endpoint)))

    def emit(self, event_type: str, document: JsonObject, idempotency_key: str | None = None) -> None:
        """Keep an event about `document` as it is now, and send it."""
        endpoint = self.endpoint
        copies = {"normal": 1, "doubled": 2, "silent": 0}[endpoint["mode"]] if endpoint else 0
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
                "pending_webhooks": 1 if copies else 0,
                "request": {"id": None, "idempotency_key": idempotency_key},
                "type": event_type,
            }
        )
        event = Event(id=event_id, type=event_type, created=created, body=body.decode())
        self._world.put("stripe", "event", event_id, cast(JsonObject, cast(object, event)))
        for _ in range(copies):
            self._world.later(0, lambda: self._deliver(event_id, body))

    async def _deliver(self, event_id: str, body: bytes) -> None:
        for delay_s in (*_RETRY_DELAYS_S, None):
            # Looked up each time: a receiver that restarts on another port gets the next attempt.
            endpoint = self.endpoint
            if endpoint is None or endpoint["mode"] == "silent":
                return
            try:
                async with asyncio.timeout(_ATTEMPT_TIMEOUT_S):
                    status = await _post(endpoint["url"], body, self._signature(endpoint, body))
            except (OSError, TimeoutError, ValueError, IndexError) as error:
                logger.info("webhook %s did not get through: %r", event_id, error)
            else:
                if 200 <= status < 300:
                    return
                logger.info("webhook %s was answered %d", event_id, status)
            if delay_s is not None:
                await asyncio.sleep(delay_s)

    def _signature(self, endpoint: Endpoint, body: bytes) -> str:
        """`Stripe-Signature`: HMAC-SHA256 with the secret as given, over the time in seconds, a dot, and the body."""
        timestamp = int(self._world.now().timestamp())
        signed = hmac.new(endpoint["secret"].encode(), f"{timestamp}.".encode() + body, sha256).hexdigest()
        return f"t={timestamp},v1={signed}"


async def _post(url: str, body: bytes, signature: str) -> int:
    """POST and the status of the answer. Written out, because a client library would cost more than all the rest
    of a payment, and these deliveries share their processor with what is being measured."""
    target = urlsplit(url)
    secure = target.scheme == "https"
    reader, writer = await asyncio.open_connection(
        target.hostname, target.port or (443 if secure else 80), ssl=secure or None
    )
    try:
        path = target.path or "/"
        query = f"?{target.query}" if target.query else ""
        head = (
            f"POST {path}{query} HTTP/1.1\r\nHost: {target.netloc}\r\nContent-Type: application/json; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n"
            f"Accept: */*\r\nStripe-Signature: {signature}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + body)
        status_line = await reader.readline()
        return int(status_line.split()[1]) if status_line else 0
    finally:
        writer.close()
