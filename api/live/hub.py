"""All connections of this process: hears what is told, and looks into the books for what nobody told.

The line from Valkey makes it fast; the look every few seconds makes it certain. A statement finds, for every connection, how
far its client's messages or its trip have come, and whether its token or its link still holds.
"""

import asyncio
import itertools
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Final

from redis.exceptions import RedisError
from structlog.stdlib import get_logger

from api.live.connection import Connection, packet_of
from api.live.trips import AnyConnection, TripConnection, revisions, trip_told_of
from schema.errors import ServiceUnavailable
from schema.feed import FeedMessage
from schema.settings import LiveSettings
from store import feed
from store.database import AWAY, Database
from store.feed_window import FeedWindow
from store.valkey import Valkey

_log = get_logger(__name__)
_PAGE: Final = 200
_READS_AT_ONCE: Final = 3
"""Of the books, by all connections together: whoever has been away long must not keep requests waiting for a database connection."""
_LOOKED_UP_AT_ONCE: Final = 1000
_TRY_AGAIN_S: Final = 1.0
_LOOKS_TO_SAY: Final = 6
"""Every so many looks clients are told how far their messages have come, which costs as much as a message to each of them."""
_LEFT_OF_NOTICE: Final = 0.8
"""Of the time until the drain, over which reconnecting is spread; the rest is for the last ones to do so."""


class Hub:
    """Usable while it is `running`."""

    def __init__(self, policy: LiveSettings, database: Database, valkey: Valkey) -> None:
        self._policy = policy
        self._database = database
        self._window = FeedWindow(valkey)
        self._in_room: defaultdict[str, set[AnyConnection]] = defaultdict(set)
        self._tasks: dict[AnyConnection, asyncio.Task[None]] = {}
        self._somebody = asyncio.Event()
        self._reading = asyncio.Semaphore(_READS_AT_ONCE)
        self.leaving = False

    @property
    def connections(self) -> int:
        return len(self._tasks)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Nothing is opened before the first connection."""
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._look())]
        try:
            yield
        finally:
            tasks += self._tasks.values()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def register(self, connection: AnyConnection) -> None:
        """From now on it hears what is told. Raises ServiceUnavailable where one more of its client, or of its trip, is too many."""
        if self.leaving:
            raise ServiceUnavailable("this process is about to stop; connect again")
        limit = self._policy.max_connections_per_client
        if len(self._in_room.get(connection.room, ())) >= limit:
            raise ServiceUnavailable(f"there are {limit} connections of yours already", code="too_many_connections")
        self._in_room[connection.room].add(connection)

    async def head(self, client_id: str) -> int:
        async with self._database.read() as connection:
            return await feed.head(connection, client_id)

    async def revision(self, itinerary_id: str) -> int | None:
        """How far the trip has come; None if its link is not good, or not good any more."""
        return (await revisions(self._database, [itinerary_id])).get(itinerary_id)

    def start(self, connection: Connection, sent: int, head: int) -> None:
        """It is told what it has missed, from number `sent` up to `head`, and goes on from there."""
        connection.check(head)
        self._begin(connection, connection.run(sent, self._backlog))

    def start_trip(self, connection: TripConnection, revision: int) -> None:
        """It is told of this revision, and of those to come."""
        self._begin(connection, connection.run(revision))

    def _begin(self, connection: AnyConnection, run: Coroutine[None, None, None]) -> None:
        self._tasks[connection] = asyncio.create_task(run)
        self._somebody.set()

    def remove(self, connection: AnyConnection) -> None:
        task = self._tasks.pop(connection, None)
        if task is not None:
            task.cancel()
        others = self._in_room[connection.room]
        others.discard(connection)
        if not others:
            del self._in_room[connection.room]

    async def leave(self, notice_s: float) -> None:
        """Tells everybody to connect again, each at a moment of its own within the notice. Nobody is admitted any more."""
        self.leaving = True
        for connection in list(self._tasks):
            # Spreads reconnects, guards nothing.
            wait_s = random.uniform(0, notice_s * _LEFT_OF_NOTICE)  # noqa: S311
            try:
                await connection.say("going_away", {"reconnect_in_s": round(wait_s, 1)})
            except ConnectionError:
                connection.end()

    async def _backlog(self, client_id: str, after: int, up_to: int) -> list[FeedMessage]:
        found = await self._window.page(client_id, after, min(up_to, after + _PAGE))
        if found:
            return found
        async with self._reading, self._database.read() as connection:
            return await feed.page(connection, client_id, after, _PAGE)

    async def _listen(self) -> None:
        await self._somebody.wait()
        while True:
            try:
                async with aclosing(self._window.listen()) as told:
                    async for news in told:
                        if news is None:
                            await self._look_once()
                        else:
                            self._tell(*news)
            except (RedisError, OSError) as error:
                _log.warning("live_line_interrupted", error=type(error).__name__)
            await asyncio.sleep(_TRY_AGAIN_S)

    def _tell(self, client_id: str, message: FeedMessage) -> None:
        packed: str | None = None
        for connection in self._in_room.get(client_id, ()):
            if isinstance(connection, Connection):
                packed = packed or packet_of(message)
                connection.offer(message.sequence, packed)
        trip = trip_told_of(message)
        if trip is not None:
            for connection in self._in_room.get(trip[0], ()):
                connection.check(trip[1])

    async def _look(self) -> None:
        await self._somebody.wait()
        for looks in itertools.count(1):
            await asyncio.sleep(self._policy.look_every_s)
            await self._look_once(say=looks % _LOOKS_TO_SAY == 0)

    async def _look_once(self, *, say: bool = False) -> None:
        connections = list(self._tasks)
        hashes = list({connection.token_hash for connection in connections if isinstance(connection, Connection)})
        trips = list({connection.room for connection in connections if isinstance(connection, TripConnection)})
        heads: dict[bytes | str, int] = {}
        try:
            for start in range(0, len(hashes), _LOOKED_UP_AT_ONCE):
                async with self._database.read() as connection:
                    heads |= await feed.heads(connection, hashes[start : start + _LOOKED_UP_AT_ONCE])
            for start in range(0, len(trips), _LOOKED_UP_AT_ONCE):
                heads |= await revisions(self._database, trips[start : start + _LOOKED_UP_AT_ONCE])
        except AWAY as error:
            _log.warning("live_look_failed", error=type(error).__name__)
            return
        for connection in connections:
            head = heads.get(connection.token_hash if isinstance(connection, Connection) else connection.room)
            if head is None:
                connection.end()
            else:
                connection.check(head, say=say)
