"""Webhooks in both directions while bookings flow: the provider's to us, on or off, and ours to a client's endpoint; and how long
events take to the stream and to the endpoint.

The time of an event is when its transaction began, so that the rest of the transaction counts as lag.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, cast

import orjson
from redis.asyncio import Redis
from sqlalchemy import select

from bench.house import House
from bench.load import BenchFailed, Run, SideName
from schema.bookings import booking_of_workflow
from schema.references import new_id
from schema.tables import events
from store.event_stream import STREAM

SILENT: Final[SideName] = "saga, no webhooks"
ENDPOINT: Final[SideName] = "saga, endpoint"

_PATIENCE_S: Final = 30
_LOOK_EVERY_S: Final = 0.05
_NOT_FOR_ENDPOINTS: Final = "notice"


@dataclass
class Lags:
    """From an event's transaction, in ms."""

    stream_ms: list[float] = field(default_factory=list[float])
    delivered_ms: list[float] = field(default_factory=list[float])


@dataclass(frozen=True, slots=True)
class _Event:
    id: int
    booking_id: str
    version: int
    type: str
    created_at: datetime

    @property
    def name(self) -> str:
        """What an endpoint can know it by."""
        return f"{self.type} {self.version} of {self.booking_id}"


@dataclass
class Receiver:
    """A client's endpoint: answers at once, and keeps when it got what."""

    port: int = 0
    got: list[tuple[float, bytes]] = field(default_factory=list[tuple[float, bytes]])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                body = await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
                self.got.append((time.time(), body))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                await writer.drain()
        writer.close()

    def first_by_name(self) -> dict[str, float]:
        """When each event came for the first time, in that order."""
        came: dict[str, float] = {}
        for at, body in self.got:
            told = cast("dict[str, object]", orjson.loads(body))
            data = cast("dict[str, object]", told["data"])
            came.setdefault(f"{told['type']} {data['version']} of {data['booking_id']}", at)
        return came


class Telling:
    """Sets the scene of each run, and looks at what was told in it."""

    def __init__(self, house: House, redis: Redis, receiver: Receiver) -> None:
        self._house = house
        self._redis = redis
        self._receiver = receiver
        self._seen_until = "-"
        self.lags = Lags()

    @asynccontextmanager
    async def scene(self, side: SideName) -> AsyncGenerator[None]:
        """As the side wants it for as long as the block lasts; otherwise the provider sends webhooks, and no client listens."""
        if side == SILENT:
            await self._provider_sends("silent")
            yield
            await self._provider_sends("normal")
        elif side == ENDPOINT:
            headers = {"Idempotency-Key": new_id("bench")}
            wanted = {"url": f"http://127.0.0.1:{self._receiver.port}/events"}
            made = await self._house.api.post("/v1/webhook-endpoints", json=wanted, headers=headers)
            endpoint_id = made.raise_for_status().json()["endpoint_id"]
            yield
            (await self._house.api.delete(f"/v1/webhook-endpoints/{endpoint_id}")).raise_for_status()
        else:
            yield

    async def look(self, run: Run) -> None:
        """Raises BenchFailed unless each event of the run is in the stream once and, with an endpoint, was delivered in its order."""
        told = await self._events(run)
        added = await self._until({str(one.id) for one in told}, self._in_stream)
        self.lags.stream_ms += [_lag_ms(one, added[str(one.id)]) for one in told]
        if run.side != ENDPOINT:
            return
        for_endpoints = [one for one in told if not one.type.startswith(_NOT_FOR_ENDPOINTS)]
        came = await self._until({one.name for one in for_endpoints}, self._delivered)
        self.lags.delivered_ms += [_lag_ms(one, came[one.name]) for one in for_endpoints]
        in_order = sorted(for_endpoints, key=lambda one: (one.booking_id, one.id))
        if in_order != sorted(for_endpoints, key=lambda one: (one.booking_id, came[one.name])):
            raise BenchFailed("an endpoint was told of a booking's events in another order than they happened in")
        self._receiver.got.clear()

    async def _provider_sends(self, mode: str) -> None:
        state = self._house.stack.state
        target = {
            "url": f"{state.api_url}/v1/webhooks/stripe",
            "secret": state.secrets.stripe_webhook_secret,
            "mode": mode,
        }
        (await self._house.sandbox.put("/_sandbox/stripe/webhook", json=target)).raise_for_status()

    async def _events(self, run: Run) -> list[_Event]:
        booking_ids = [booking_of_workflow(one.workflow_id) for one in run.ended]
        columns = (events.c.id, events.c.booking_id, events.c.version, events.c.type, events.c.created_at)
        async with self._house.database.read() as connection:
            rows = await connection.execute(select(*columns).where(events.c.booking_id.in_(booking_ids)))
            return [_Event(**row) for row in rows.mappings()]

    async def _until(self, wanted: set[str], told: Callable[[], Awaitable[dict[str, float]]]) -> dict[str, float]:
        """When each was told, once all were."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            at_s = await told()
            missing = wanted - at_s.keys()
            if not missing:
                return at_s
            if time.monotonic() > until:
                raise BenchFailed(f"{len(missing)} events were never told, such as: {missing.pop()}")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _in_stream(self) -> dict[str, float]:
        """By the event's id. Valkey's own clock makes an entry's id."""
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await self._redis.xrange(STREAM, min=self._seen_until))
        at_s: dict[str, float] = {}
        for entry_id, fields in entries:
            event_id = fields[b"id"].decode()
            if event_id in at_s:
                raise BenchFailed(f"event {event_id} is in the stream twice")
            at_s[event_id] = int(entry_id.split(b"-")[0]) / 1000
        return at_s

    async def _delivered(self) -> dict[str, float]:
        return self._receiver.first_by_name()


def _lag_ms(event: _Event, at_s: float) -> float:
    return 1000 * (at_s - event.created_at.timestamp())


@asynccontextmanager
async def telling(house: House) -> AsyncGenerator[Telling]:
    """With an endpoint that listens in this process."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    async with Redis.from_url(house.stack.state.valkey_url) as redis:
        yield Telling(house, redis, receiver)
    server.close()
