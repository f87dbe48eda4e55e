"""Tells the world what was recorded: events go from the outbox to the live feed, to the stream in Valkey, and to clients'
webhook endpoints.

Every worker process has a relay; one of them is active. `travelhub relay` is one alone.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateways.callbacks import CallbackSender
from schema.settings import Settings
from store.database import Database
from store.event_stream import EventStream
from store.feed_window import FeedWindow
from store.valkey import Valkey
from workers.relay.delivering import Deliverer
from workers.relay.publishing import Relay


@asynccontextmanager
async def relaying(settings: Settings, database: Database, valkey: Valkey) -> AsyncIterator[None]:
    """A relay runs beside the block, and is cancelled at its end: what it was delivering then is delivered again."""
    policy = settings.relay
    lock_database = Database(str(settings.database_url), pool_size=1)
    sender = CallbackSender(
        timeout_s=policy.timeout_s, concurrency=policy.concurrency, allow_private=policy.allow_private_targets
    )
    deliverer = Deliverer(policy, database, sender)
    stream = EventStream(valkey, policy.stream_length)
    relay = Relay(policy, lock_database, FeedWindow(valkey), stream, deliverer)
    running = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await sender.aclose()
        await lock_database.aclose()


async def run_relay(settings: Settings) -> None:
    """A process of its own; ends when it is cancelled."""
    database = Database(str(settings.database_url), settings.database_pool_size)
    valkey = Valkey(str(settings.valkey_url))
    try:
        async with relaying(settings, database, valkey):
            await asyncio.Event().wait()
    finally:
        await valkey.aclose()
        await database.aclose()
