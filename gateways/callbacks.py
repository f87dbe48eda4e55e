"""Sends events to clients' endpoints, signed as Standard Webhooks (https://www.standardwebhooks.com).

httpcore instead of httpx, because it lets us make the connections: each goes to an address that has just been checked, while TLS
and the Host header go by the name. Redirects are answers like any other.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

import httpcore
import httpx
from pydantic import SecretStr
from standardwebhooks import Webhook

from gateways.callback_targets import ForbiddenTarget, check_addresses, resolve
from gateways.http import retry_after_s

_USER_AGENT: Final = "TravelHub-Webhooks/1.0"
_KEEPALIVE_S: Final = 15.0
_CONNECT_S: Final = 3.0
"""For each but the last of a name's addresses."""
_MAX_IDLE: Final = 100
_MAX_READ_BYTES: Final = 64 * 1024
"""Of an answer's body, which nobody looks at: read so that the connection can be used again. A longer one costs its connection."""
_MAX_READ_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Callback:
    """One message to one endpoint. The id stays the same on every attempt, so that the receiver can tell a repeat."""

    message_id: str
    url: str
    body: bytes
    secrets: tuple[SecretStr, ...]
    """Each signs: a receiver that knows one of them is content."""


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """What came of it: the status, or a code that says why there is none."""

    status: int | None
    error: str | None
    retry_after_s: float | None
    duration_s: float


class _CheckedConnections(httpcore.AsyncNetworkBackend):
    """Looks the name up, checks what it stands for, and connects to just that."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._network = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError("the host cannot be found") from error
        if not self._allow_private:
            check_addresses(addresses)
        *others, last = addresses
        for address in others:
            try:
                return await self._network.connect_tcp(address, port, _CONNECT_S, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(last, port, timeout, local_address, socket_options)


class CallbackSender:
    """The pool of connections to all endpoints. `timeout_s` bounds a whole attempt."""

    def __init__(self, *, timeout_s: float, concurrency: int, allow_private: bool) -> None:
        self._timeout_s = timeout_s
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=concurrency + _MAX_IDLE,
            max_keepalive_connections=_MAX_IDLE,
            keepalive_expiry=_KEEPALIVE_S,
            network_backend=_CheckedConnections(allow_private=allow_private),
        )

    async def send(self, callback: Callback) -> CallbackAnswer:
        """One attempt; whatever keeps it from an answer is told as an error, never raised."""
        started_s = time.perf_counter()
        status, error, wait_s = None, None, None
        try:
            async with asyncio.timeout(self._timeout_s):
                status, wait_s = await self._post(callback)
        except TimeoutError:
            error = "timeout"
        except ForbiddenTarget:
            error = "forbidden_address"
        except (httpcore.ConnectError, httpcore.UnsupportedProtocol):
            error = "not_connected"
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError):
            error = "connection_lost"
        return CallbackAnswer(status, error, wait_s, time.perf_counter() - started_s)

    async def _post(self, callback: Callback) -> tuple[int, float | None]:
        async with self._pool.stream("POST", callback.url, headers=_headers(callback), content=callback.body) as answer:
            # The status is the answer, whatever becomes of the body.
            with contextlib.suppress(TimeoutError, httpcore.NetworkError, httpcore.ProtocolError):
                async with asyncio.timeout(_MAX_READ_S):
                    await _read_on(answer)
            return answer.status, retry_after_s(httpx.Headers(answer.headers), datetime.now(UTC))

    async def aclose(self) -> None:
        await self._pool.aclose()


async def _read_on(answer: httpcore.Response) -> None:
    size_bytes = 0
    async for chunk in answer.aiter_stream():
        size_bytes += len(chunk)
        if size_bytes > _MAX_READ_BYTES:
            return


def _headers(callback: Callback) -> list[tuple[str, str]]:
    now = datetime.now(UTC)
    text = callback.body.decode()
    signatures = [
        Webhook(secret.get_secret_value()).sign(callback.message_id, now, text) for secret in callback.secrets
    ]
    return [
        ("Content-Type", "application/json"),
        ("User-Agent", _USER_AGENT),
        ("webhook-id", callback.message_id),
        ("webhook-timestamp", str(int(now.timestamp()))),
        ("webhook-signature", " ".join(signatures)),
    ]
