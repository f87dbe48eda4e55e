"""The door to Valkey: only what may be lost. Every failure is a miss, never an error of the caller's."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from time import monotonic
from typing import NamedTuple, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError
from structlog.stdlib import get_logger

_log = get_logger(__name__)
_TIMEOUT_S = 0.25
_LEFT_ALONE_S = 2
"""After a failure: a timeout on every key of every request would be worse than the misses."""
ANSWER_TTL_S = 24 * 3600
_COMPARE_AND_SET = """
local kept = redis.call('GET', KEYS[1]) or ''
local same = kept == ARGV[1]
if same then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
local now = redis.call('TIME')
return {same and 1 or 0, same and '' or kept, now[1] + now[2] / 1000000 .. ''}
"""


class Compared(NamedTuple):
    """How a compare-and-set went. `kept`: what is there, if it was not what was expected; empty if nothing is."""

    done: bool
    kept: bytes
    now_s: float
    """Valkey's clock, which all who use it have in common; seconds since 1970."""


Result = TypeVar("Result")


@contextmanager
def cancellation_kept() -> Generator[None]:
    """Around commands: a cancellation that comes meanwhile is raised, by the end of the block at the latest.

    On Python 3.11 `asyncio.wait_for`, in which redis-py sends, may return normally in place of it (CPython issue 86296); a task that
    is cancelled once and waited for would then go on for ever."""
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()

    def is_lost() -> bool:
        return task is not None and task.cancelling() > before

    try:
        yield
    except Exception as error:
        if is_lost():
            raise asyncio.CancelledError from error
        raise
    if is_lost():
        raise asyncio.CancelledError


class Valkey:
    """A pool of connections to a Redis-protocol server."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        self._compare_and_set = self._redis.register_script(_COMPARE_AND_SET)
        self._away_until = 0.0

    @property
    def away(self) -> bool:
        """Whether it has failed in the last two seconds and is left alone."""
        return monotonic() < self._away_until

    @property
    def client(self) -> Redis:
        """For subscriptions, which see to failures themselves."""
        return self._redis

    async def attempt(self, operation: str, command: Callable[[Redis], Awaitable[Result]]) -> Result | None:
        """What the command gives; None when Valkey is away, or was a moment ago."""
        if self.away:
            return None
        try:
            with cancellation_kept():
                return await command(self._redis)
        except (RedisError, OSError) as error:
            self._away_until = monotonic() + _LEFT_ALONE_S
            _log.warning("valkey_away", operation=operation, error=type(error).__name__)
            return None

    async def get(self, key: str) -> bytes | None:
        value = await self.attempt("get", lambda redis: redis.get(key))
        return value if isinstance(value, bytes) else None

    async def set(self, key: str, value: bytes, ttl_s: int) -> None:
        await self.attempt("set", lambda redis: redis.set(key, value, ex=ttl_s))

    async def compare_and_set(self, key: str, expected: bytes, value: bytes, ttl_s: int) -> Compared | None:
        """Puts the value in place of the expected one (empty: of none), or says what is there instead; None if Valkey is away."""
        answer = await self.attempt(
            "compare_and_set", lambda _: self._compare_and_set(keys=[key], args=[expected, value, ttl_s])
        )
        if answer is None:
            return None
        done, kept, now_s = answer
        return Compared(bool(done), bytes(kept), float(now_s))

    async def ping(self) -> None:
        """Raises RedisError or OSError when Valkey is away: for readiness only."""
        with cancellation_kept():
            await self._redis.ping()

    async def aclose(self) -> None:
        await self._redis.aclose()


def answer_key(client_id: str, idempotency_key: str) -> str:
    """Where an idempotent answer is kept; the length prefix keeps clients apart."""
    return f"answer:{len(client_id)}:{client_id}:{idempotency_key}"
