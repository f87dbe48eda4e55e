"""One way to call a vendor over HTTP: pooled, bounded in time and size, and exact about WHEN a call failed.

    never connected, no time left, 429   VendorUnavailable    nothing happened at the vendor, for certain
    anything after the request left      LostAnswer           it may have happened; an OutcomeUnclear, which creates turn into Unknown
    an answer that cannot be read        VendorContractBroken too large, not JSON, fields missing; creates turn it into Unknown

Nothing is retried here, not even a keep-alive connection that turns out closed: the vendor may have read the request
before it closed, and Temporal is the only one that retries.
"""

import asyncio
import logging
import math
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Literal, TypeVar
from urllib.parse import quote

import httpx
import orjson
import structlog

from gateways.fields import Fields
from gateways.ports import ReservationRequest, SupplierState
from schema.errors import OutcomeUnclear, VendorContractBroken, VendorUnavailable
from schema.outcomes import Outcome, Unknown

MAX_ANSWER_BYTES = 5 * 1024 * 1024
"""Decoded. A search answer of a supplier is around 1 MiB."""
CONNECT_TIMEOUT_S = 5.0
KEEPALIVE_S = 3.0
"""Shorter than the 5 s after which common servers close an idle connection: a race there would be a lost answer."""
MAX_CONNECTIONS = 100
MAX_RETRY_AFTER_S = 3600.0
TOO_MANY_REQUESTS = 429
FIRST_SERVER_ERROR = 500
USER_AGENT = "TravelHub/0.1"

_logger = structlog.stdlib.get_logger("gateways.http")
# Both would log whole URLs, and those carry tokens and e-mail addresses.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

Result = TypeVar("Result")
Trace = Callable[[str, Mapping[str, object]], Awaitable[None]]


class LostAnswer(OutcomeUnclear):
    """The request left and no answer came back: the vendor may or may not have done what it was asked."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of a port; its HTTP calls share a deadline (`ends_at`, the event loop's clock) and a correlation id."""

    operation: str
    correlation_id: str
    ends_at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and decoded body of one HTTP answer."""

    vendor: str
    status: int
    headers: httpx.Headers
    body: bytes

    def json(self) -> object:
        """Raises VendorContractBroken if the body is not JSON, such as a load balancer's HTML or half a document."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise VendorContractBroken(f"{self.vendor}: the answer with status {self.status} is not JSON") from None

    def fields(self, what: str) -> Fields:
        """The body as a JSON object; raises VendorContractBroken if it is not one."""
        return Fields.of(self.vendor, what, self.json())

    def no_server_error(self) -> "Answer":
        """For reads: raises VendorUnavailable on a 5xx, because a read that failed changed nothing and may be repeated."""
        if self.status >= FIRST_SERVER_ERROR:
            raise VendorUnavailable(
                self.vendor, f"status {self.status}", retry_after_s=retry_after_s(self.headers, datetime.now(UTC))
            )
        return self


def retry_after_s(headers: httpx.Headers, now: datetime) -> float | None:
    """Seconds to wait, from Retry-After (seconds or an HTTP date) or Duffel's ratelimit-reset (an HTTP date); None if neither."""
    value = headers.get("retry-after") or headers.get("ratelimit-reset")
    if not value:
        return None
    try:
        wait_s = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        wait_s = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S) if math.isfinite(wait_s) else None


@cache
def _tls() -> ssl.SSLContext:
    """Shared: reading the certificates takes some 50 ms."""
    return httpx.create_ssl_context()


class VendorHttp:
    """The connection pool of one vendor: apart from the others', so that a slow vendor cannot use up their connections."""

    def __init__(
        self,
        vendor: str,
        base_url: str,
        *,
        booking_timeout_s: float,
        read_timeout_s: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`base_url` may have a path; `transport` replaces the network in tests."""
        self.vendor = vendor
        self.base_url = base_url.rstrip("/")
        self._booking_timeout_s = booking_timeout_s
        self._read_timeout_s = read_timeout_s
        self._client = httpx.AsyncClient(
            transport=transport,
            verify=_tls(),
            # The one deadline of a call is set around it as a whole; read and write have none of their own.
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S, pool=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(
                max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS, keepalive_expiry=KEEPALIVE_S
            ),
            # With a proxy from the environment one could not tell "never connected" from "lost behind the proxy".
            trust_env=False,
            follow_redirects=False,
            headers={"User-Agent": USER_AGENT},
        )

    def searching(self, operation: str, correlation_id: str) -> Call:
        """A search or a price check: short, because a traveller waits for it."""
        return self._call(operation, correlation_id, self._read_timeout_s)

    def booking(self, operation: str, correlation_id: str) -> Call:
        """Everything that moves money or inventory, or asks about it."""
        return self._call(operation, correlation_id, self._booking_timeout_s)

    async def send(
        self, call: Call, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None
    ) -> Answer:
        """One request. `url` is a path below the base, or a full address. Raises as the module's docstring says."""
        if asyncio.get_running_loop().time() >= call.ends_at:
            raise VendorUnavailable(self.vendor, f"{call.operation}: no time left, nothing was sent")
        started_s = time.perf_counter()
        ended = "failed"
        try:
            answer = await self._send(call, method, url, headers, content)
            ended = str(answer.status)
        except (VendorUnavailable, LostAnswer, VendorContractBroken) as error:
            ended = error.code
            raise
        finally:
            self._log(call, ended, started_s)
        if answer.status == TOO_MANY_REQUESTS:
            raise VendorUnavailable(
                self.vendor, "too many requests", retry_after_s=retry_after_s(answer.headers, datetime.now(UTC))
            )
        return answer

    async def aclose(self) -> None:
        """Close the pool; calls under way fail."""
        await self._client.aclose()

    def _call(self, operation: str, correlation_id: str, timeout_s: float) -> Call:
        return Call(operation, correlation_id, asyncio.get_running_loop().time() + timeout_s)

    async def _send(
        self, call: Call, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> Answer:
        left = False

        async def trace(event: str, _info: Mapping[str, object]) -> None:
            nonlocal left
            left = left or event.endswith("send_request_headers.started")

        try:
            request = self._client.build_request(
                method,
                url if url.startswith(("http://", "https://")) else self.base_url + url,
                headers={**headers, "X-Correlation-Id": header_text(call.correlation_id)},
                content=content,
                extensions={"trace": trace},
            )
        except httpx.InvalidURL as error:
            raise VendorContractBroken(f"{self.vendor}: {call.operation}: a link that is no address") from error
        try:
            async with asyncio.timeout_at(call.ends_at):
                return await self._exchange(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise VendorUnavailable(self.vendor, f"{call.operation}: not connected ({type(error).__name__})") from error
        except TimeoutError as error:
            if not left:
                raise VendorUnavailable(self.vendor, f"{call.operation}: not connected in time") from error
            raise LostAnswer(f"{self.vendor}: {call.operation}: no answer in time") from error
        except httpx.DecodingError as error:
            raise VendorContractBroken(f"{self.vendor}: {call.operation}: the answer cannot be decoded") from error
        except httpx.TransportError as error:
            raise LostAnswer(f"{self.vendor}: {call.operation}: connection lost ({type(error).__name__})") from error

    async def _exchange(self, request: httpx.Request) -> Answer:
        response = await self._client.send(request, stream=True)
        try:
            chunks: list[bytes] = []
            size_bytes = 0
            async for chunk in response.aiter_bytes():
                size_bytes += len(chunk)
                if size_bytes > MAX_ANSWER_BYTES:
                    raise VendorContractBroken(f"{self.vendor}: the answer is larger than {MAX_ANSWER_BYTES} bytes")
                chunks.append(chunk)
        finally:
            await response.aclose()
        return Answer(self.vendor, response.status_code, response.headers, b"".join(chunks))

    def _log(self, call: Call, ended: str, started_s: float) -> None:
        # Never bodies, addresses or headers: they carry tokens and personal data.
        level: Literal["debug", "info"] = "debug" if ended.startswith("2") else "info"
        getattr(_logger, level)(
            "vendor_call",
            vendor=self.vendor,
            operation=call.operation,
            ended=ended,
            duration_ms=round((time.perf_counter() - started_s) * 1000, 1),
            correlation_id=call.correlation_id,
        )


def path_segment(value: str) -> str:
    """An id as one segment of a path; ids can come from an operator's keyboard."""
    return quote(value, safe="")


def header_text(value: str) -> str:
    """The value as a header can carry it: printable ASCII, anything else as a question mark."""
    if value.isascii() and value.isprintable():
        return value
    return "".join(character if " " <= character <= "~" else "?" for character in value)


async def outcome_of(
    request: ReservationRequest, attempt: Awaitable[tuple[Outcome, SupplierState]]
) -> tuple[Outcome, SupplierState]:
    """A create's outcome: a lost or unreadable answer is Unknown, and the supplier state stays what it was."""
    try:
        return await attempt
    except (OutcomeUnclear, VendorContractBroken) as error:
        return Unknown(reason=error.message), request.supplier_state


async def before_effect(vendor: str, attempt: Awaitable[Result]) -> Result:
    """A read that a create makes first: whatever goes wrong with it, nothing was done yet; raises VendorUnavailable then."""
    try:
        return await attempt
    except (OutcomeUnclear, VendorContractBroken) as error:
        raise VendorUnavailable(vendor, error.message) from error
