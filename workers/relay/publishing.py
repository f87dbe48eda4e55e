"""The relay: one process at a time publishes what the outbox holds; the others stand by.

    read, through the lock's connection    proves that the lock is held
    number                                 one statement, through the lock's connection: their places in the clients' live feeds
    tell                                   to the live feed: kept for five minutes, and told to the API processes
    add to the stream                      each event once, those of a booking in order, whoever adds them (`store/event_stream.py`)
    mark, and make the deliveries          one statement, through the lock's connection again

Killed between any two of these, the next relay reads the same events with the numbers they have, tells them once more, adds those
that are missing, and marks them. Nothing is marked that was not told.
"""

import asyncio
from typing import Final

from structlog.stdlib import get_logger

from schema.settings import RelaySettings
from store.database import AWAY, Database
from store.event_stream import EventStream
from store.feed import messages_of
from store.feed_window import FeedWindow
from store.outbox import Outbox, held_outbox
from workers.relay.delivering import Deliverer

_log = get_logger(__name__)
_STAND_BY_S: Final = 1.0


class Relay:
    """`lock_database` is its own and has one connection."""

    def __init__(
        self,
        policy: RelaySettings,
        lock_database: Database,
        feed: FeedWindow,
        stream: EventStream,
        deliverer: Deliverer,
    ) -> None:
        self._policy = policy
        self._lock_database = lock_database
        self._feed = feed
        self._stream = stream
        self._deliverer = deliverer

    async def run(self) -> None:
        """Until it is cancelled. Whatever ends its turn, the lock is let go of, and it stands by again."""
        while True:
            try:
                async with held_outbox(self._lock_database, self._policy.max_silence_s) as outbox:
                    if outbox is not None:
                        await self._serve(outbox)
            except (*AWAY, TimeoutError) as error:
                _log.warning("relay_interrupted", error=type(error).__name__)
            except Exception:  # noqa: BLE001  # nobody would notice a relay that has ended but by its silence
                _log.exception("relay_failed")
            await asyncio.sleep(_STAND_BY_S)

    async def _serve(self, outbox: Outbox) -> None:
        _log.info("relay_active")
        loop = asyncio.get_running_loop()
        delivering = asyncio.create_task(self._deliverer.run())
        try:
            while not delivering.done():
                begun_s = loop.time()
                async with asyncio.timeout(self._policy.max_silence_s):
                    published = await self._publish(outbox)
                self._deliverer.go_on_until(begun_s + self._policy.max_silence_s)
                if published < self._policy.batch:
                    await asyncio.sleep(self._policy.poll_s)
            await delivering
        finally:
            delivering.cancel()
            await asyncio.wait([delivering])

    async def _publish(self, outbox: Outbox) -> int:
        events = await outbox.unpublished(self._policy.batch)
        if not events:
            return 0
        events = await outbox.number(events)
        # While Valkey is away the events stay where they are; live feeds read them from the books.
        if not await self._feed.tell(messages_of(events)) or not await self._stream.add(events):
            return 0
        if await outbox.mark_published([event.id for event in events]):
            self._deliverer.wake()
        return len(events)
