"""One connection and how far it has been told: every message once and in order, from its client's last number to what is live.

There is no seam between back-fill and live: a connection sends number n + 1 after number n, out of its queue if it is there, else
out of the backlog. So the queue is bounded: what it has no room for is read again later.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import orjson
from structlog.stdlib import get_logger

from schema.feed import FeedMessage
from store.database import AWAY

_log = get_logger(__name__)
_QUEUE: Final = 256
"""Messages that wait for a connection that is behind, at most."""
_TRY_AGAIN_S: Final = 1.0

SendPacket = Callable[[str], Awaitable[None]]
"""Sends one packet; waits while too much is on its way, and raises ConnectionError once the client is gone."""
Backlog = Callable[[str, int, int], Awaitable[list[FeedMessage]]]
"""Of a client: some of what follows a number, at most up to another one."""


def packet(event: str, body: bytes) -> str:
    """A Socket.IO event as it is sent; `body` is JSON. Made once for all connections that get it."""
    return f'2["{event}",{body.decode()}]'


def packet_of(message: FeedMessage) -> str:
    return packet("message", message.model_dump_json().encode())


class Connection:
    """Of the client `room`; `token_hash` is its right to be here. It takes offers from the moment it is made."""

    def __init__(self, room: str, token_hash: bytes, send: SendPacket, end: Callable[[], None]) -> None:
        self.room = room
        self.token_hash = token_hash
        self.end = end
        self._send = send
        self._sent = 0
        self._head = 0
        self._head_asked = False
        self._queue: deque[tuple[int, str]] = deque()
        self._queued = 0
        self._wake = asyncio.Event()

    def offer(self, sequence: int, packed: str) -> None:
        """A message that was just told; it is sent when its turn comes."""
        self._head = max(self._head, sequence)
        if sequence > self._queued and len(self._queue) < _QUEUE:
            self._queue.append((sequence, packed))
            self._queued = sequence
        self._wake.set()

    def check(self, head: int, *, say: bool = True) -> None:
        """The client's messages have come as far as `head`. `say`: the client is told so once it has had them all."""
        self._head_asked = self._head_asked or say
        if head > self._head or say:
            self._head = max(self._head, head)
            self._wake.set()

    async def say(self, event: str, body: dict[str, object]) -> None:
        """Something that is not a message and has no number."""
        await self._send(packet(event, orjson.dumps(body)))

    async def run(self, sent: int, backlog: Backlog) -> None:
        """Sends what follows number `sent`, until it is cancelled or the client is gone."""
        self._sent = sent
        try:
            await self.say("ready", {"sequence": self._sent})
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._catch_up(backlog)
                if self._head_asked:
                    self._head_asked = False
                    await self.say("head", {"sequence": self._sent})
        except ConnectionError:
            self.end()

    async def _catch_up(self, backlog: Backlog) -> None:
        while self._sent < self._head:
            ready = self._from_queue()
            if not ready:
                try:
                    found = await backlog(self.room, self._sent, self._head)
                except AWAY as error:
                    _log.warning("live_backlog_away", error=type(error).__name__)
                    found = []
                ready = [(message.sequence, packet_of(message)) for message in found]
            if not ready:
                await asyncio.sleep(_TRY_AGAIN_S)
            for sequence, packed in ready:
                await self._send(packed)
                self._sent = sequence

    def _from_queue(self) -> list[tuple[int, str]]:
        """The messages that are next, and the end of those that were sent otherwise."""
        ready: list[tuple[int, str]] = []
        last = self._sent
        while self._queue and self._queue[0][0] <= last + 1:
            sequence, packed = self._queue.popleft()
            if sequence > last:
                ready.append((sequence, packed))
                last = sequence
        return ready
