"""The door to Valkey: only what may be lost. Every failure is a miss, never an error of the caller's."""

from redis.asyncio import Redis
from redis.exceptions import RedisError
from structlog.stdlib import get_logger

_log = get_logger(__name__)
_TIMEOUT_S = 0.25
ANSWER_TTL_S = 24 * 3600


class Valkey:
    """A pool of connections to a Redis-protocol server."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)

    async def get(self, key: str) -> bytes | None:
        try:
            value = await self._redis.get(key)
        except (RedisError, OSError) as error:
            _log.warning("valkey_away", operation="get", error=type(error).__name__)
            return None
        return value if isinstance(value, bytes) else None

    async def set(self, key: str, value: bytes, ttl_s: int) -> None:
        try:
            await self._redis.set(key, value, ex=ttl_s)
        except (RedisError, OSError) as error:
            _log.warning("valkey_away", operation="set", error=type(error).__name__)

    async def ping(self) -> None:
        """Raises RedisError or OSError when Valkey is away: for readiness only."""
        await self._redis.ping()

    async def aclose(self) -> None:
        await self._redis.aclose()


def answer_key(client_id: str, idempotency_key: str) -> str:
    """Where an idempotent answer is kept; the length prefix keeps clients apart."""
    return f"answer:{len(client_id)}:{client_id}:{idempotency_key}"
