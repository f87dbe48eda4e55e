"""The live feed in Valkey: each message for five minutes, and the line on which API processes hear of it. All of it may be lost;
the books have every message."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, cast

from pydantic import ValidationError
from redis.asyncio.client import PubSub
from structlog.stdlib import get_logger

from schema.feed import FeedMessage
from store.feed import ToldTo
from store.valkey import Valkey, cancellation_kept

_log = get_logger(__name__)
KEPT_S: Final = 300
_CHANNEL: Final = "feed:told"
"""Client id, a space, and the message as JSON. One channel for all: a process knows by the id whether it has anybody to tell."""
_ASK_AFTER_S: Final = 1.0
"""Of silence: a connection whose other end has vanished says nothing either."""
# Kept before it is told, so that whoever hears of a message finds those before it.
_TELL: Final = """
for number = 1, #KEYS do
  redis.call('SET', KEYS[number], ARGV[2 * number + 1], 'EX', ARGV[2])
end
for number = 1, #KEYS do
  redis.call('PUBLISH', ARGV[1], ARGV[2 * number + 2] .. ' ' .. ARGV[2 * number + 1])
end
return #KEYS
"""


def _key(client_id: str, sequence: int) -> str:
    return f"feed:message:{client_id}:{sequence}"


class FeedWindow:
    """What was told lately."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self._script = valkey.client.register_script(_TELL)

    async def tell(self, told: Sequence[ToldTo]) -> bool:
        """Keeps the messages and tells them to every API process. False when Valkey is away: some may have been told, all can be
        told again."""
        keys = [_key(client_id, message.sequence) for client_id, message in told]
        values = [part for client_id, message in told for part in (message.model_dump_json(), client_id)]
        arguments = [_CHANNEL, KEPT_S, *values]
        done = await self._valkey.attempt("feed_tell", lambda _: self._script(keys=keys, args=arguments))
        return done is not None

    async def page(self, client_id: str, after: int, up_to: int) -> list[FeedMessage]:
        """The messages that follow number `after`, in order and without a gap, as far as they are all still here."""
        keys = [_key(client_id, sequence) for sequence in range(after + 1, up_to + 1)]
        kept = await self._valkey.attempt("feed_page", lambda redis: redis.mget(keys)) if keys else None
        found: list[FeedMessage] = []
        for document in kept or ():
            message = _read(document)
            if message is None:
                break
            found.append(message)
        return found

    async def listen(self) -> AsyncGenerator[ToldTo | None]:
        """What is told from now on; None: the line is up, and what was told before has not been heard. Raises RedisError or OSError
        when the line is lost."""
        async with self._valkey.client.pubsub() as line:
            with cancellation_kept():
                await line.subscribe(_CHANNEL)
            async with aclosing(_heard(line)) as heard:
                async for kind, data in heard:
                    if kind == "subscribe":
                        yield None
                    elif kind == "message":
                        client_id, _, document = data.partition(b" ")
                        message = _read(document)
                        if message is not None:
                            yield ToldTo(client_id.decode(), message)


async def _heard(line: PubSub) -> AsyncGenerator[tuple[object, bytes]]:
    asked = False
    while True:
        message = cast(dict[str, object] | None, await line.get_message(timeout=_ASK_AFTER_S))
        if message is not None:
            asked = False
            yield message["type"], cast(bytes, message["data"])
        elif asked:
            raise ConnectionError("Valkey does not answer on the line of the live feed")
        else:
            with cancellation_kept():
                await line.ping()
            asked = True


def _read(document: object) -> FeedMessage | None:
    if not isinstance(document, bytes):
        return None
    try:
        return FeedMessage.model_validate_json(document)
    except ValidationError as error:
        _log.warning("feed_message_unreadable", error=type(error).__name__)
        return None
