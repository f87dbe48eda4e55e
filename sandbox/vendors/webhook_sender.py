"""Sends a vendor's signed events to the one endpoint that its control route configures.

Delivery is the vendors' own in what matters to a receiver: at least once, in no promised order, tried again a few times.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, Literal, TypeAlias, TypedDict, cast
from urllib.parse import urlsplit

from sandbox.world import JsonObject, World

logger = logging.getLogger("travelhub.sandbox.webhooks")

_RETRY_DELAYS_S: Final = (0.5, 2.0, 5.0)
"""In reality hours and days (Stripe's test mode: three times within hours, Duffel: 72 h); here it must fit into a test."""
_ATTEMPT_TIMEOUT_S: Final = 10.0


_REORDERED_WITHIN_S: Final = 0.5

Mode: TypeAlias = Literal["normal", "doubled", "silent", "reordered"]


class Endpoint(TypedDict):
    """Where events go: an url, the signing secret, and how they are delivered."""

    url: str
    secret: str
    mode: Mode


class Sender:
    """The outgoing side of one vendor's events."""

    content_type = "application/json; charset=utf-8"

    def __init__(self, world: World, vendor: str, signature_header: str, user_agent: str) -> None:
        self._world = world
        self._vendor = vendor
        self._signature_header = signature_header
        self._user_agent = user_agent

    @property
    def endpoint(self) -> Endpoint | None:
        return cast("Endpoint | None", self._world.get(self._vendor, "webhook_endpoint", "only"))

    @endpoint.setter
    def endpoint(self, endpoint: Endpoint) -> None:
        self._world.put(self._vendor, "webhook_endpoint", "only", cast(JsonObject, cast(object, endpoint)))

    @property
    def copies(self) -> int:
        """How often an event of this moment is sent."""
        endpoint = self.endpoint
        return {"normal": 1, "doubled": 2, "silent": 0, "reordered": 1}[endpoint["mode"]] if endpoint else 0

    def send(self, event_id: str, body: bytes) -> None:
        """Sends the event as often as its receiver is to get it, without waiting for any of it."""
        endpoint = self.endpoint
        delay_s = 0.0
        if endpoint and endpoint["mode"] == "reordered":
            delay_s = self._world.random(self._vendor, "reordered", event_id).uniform(0, _REORDERED_WITHIN_S)
        for _ in range(self.copies):
            self._world.later(delay_s, lambda: self._deliver(event_id, body))

    async def _deliver(self, event_id: str, body: bytes) -> None:
        for delay_s in (*_RETRY_DELAYS_S, None):
            # Looked up each time: a receiver that restarts on another port gets the next attempt.
            endpoint = self.endpoint
            if endpoint is None or endpoint["mode"] == "silent":
                return
            try:
                async with asyncio.timeout(_ATTEMPT_TIMEOUT_S):
                    common = {"User-Agent": self._user_agent, "Content-Type": self.content_type}
                    headers = {**common, **self.signed(endpoint, body)}
                    status = await _post(endpoint["url"], body, headers)
            except (OSError, TimeoutError, ValueError, IndexError) as error:
                logger.info("webhook %s did not get through: %r", event_id, error)
            else:
                if 200 <= status < 300:
                    return
                logger.info("webhook %s was answered %d", event_id, status)
            if delay_s is not None:
                await asyncio.sleep(delay_s)

    def signed(self, endpoint: Endpoint, body: bytes) -> dict[str, str]:
        """The headers that prove who sent this: HMAC-SHA256 with the secret as given, over the time in seconds, a dot, and
        the body. Stripe and Duffel agree in this; another vendor overrides it."""
        timestamp = int(self._world.now().timestamp())
        signed = hmac.new(endpoint["secret"].encode(), f"{timestamp}.".encode() + body, sha256).hexdigest()
        return {self._signature_header: f"t={timestamp},v1={signed}"}


async def _post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
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
        lines = "\r\n".join(f"{name}: {value}" for name, value in headers.items())
        head = (
            f"POST {path}{query} HTTP/1.1\r\nHost: {target.netloc}\r\n"
            f"Content-Length: {len(body)}\r\nAccept: */*\r\nConnection: close\r\n{lines}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        status_line = await reader.readline()
        return int(status_line.split()[1]) if status_line else 0
    finally:
        writer.close()
