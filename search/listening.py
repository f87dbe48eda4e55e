"""Hears which entries are dropped, by whichever process, and lets the copies made of them go at once."""

import asyncio
from typing import Final, cast

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError
from structlog.stdlib import get_logger

from search.ages import Ages
from search.copies import Copies
from store.search_cache import DROPPED_CHANNEL
from store.valkey import Valkey, cancellation_kept

_log = get_logger(__name__)
_ASK_AFTER_S: Final = 1.0
"""Of silence: a connection whose other end has vanished says nothing either."""
_TRY_AGAIN_S: Final = 1.0


async def listen(valkey: Valkey, copies: Copies, ages: Ages) -> None:
    """Until it is cancelled. The copies are told whenever the line is up or down."""
    while True:
        try:
            async with valkey.client.pubsub() as line:
                with cancellation_kept():
                    await line.subscribe(DROPPED_CHANNEL)
                await _hear(line, copies, ages)
        except (RedisError, OSError) as error:
            _log.warning("search_news_interrupted", error=type(error).__name__)
        finally:
            copies.listening(on=False)
        await asyncio.sleep(_TRY_AGAIN_S)


async def _hear(line: PubSub, copies: Copies, ages: Ages) -> None:
    asked = False
    while True:
        message = cast(dict[str, object] | None, await line.get_message(timeout=_ASK_AFTER_S))
        if message is None:
            if asked:
                raise ConnectionError("Valkey does not answer on the line for news")
            with cancellation_kept():
                await line.ping()
            asked = True
            continue
        asked = False
        if message["type"] == "subscribe":
            copies.listening(on=True)
        elif message["type"] == "message":
            dropped = cast(bytes, message["data"]).decode().split("\n")
            copies.drop(dropped)
            ages.dropped(len(dropped))
