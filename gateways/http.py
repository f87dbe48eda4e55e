"""One way to call a vendor over HTTP: pooled, bounded in time, size and number, and exact about WHEN a call failed.

    circuit open, quota used up, 429     CircuitOpen, RateLimited: VendorUnavailables that say when to come back
    never connected, no time left        VendorUnavailable    nothing happened at the vendor, for certain
    anything after the request left      LostAnswer           it may have happened; an OutcomeUnclear, which creates turn into Unknown
    an answer that cannot be read        VendorContractBroken too large, not JSON, fields missing; creates turn it into Unknown

Only searches are sent again from here (S-1), as far as the vendor's own rule and the budget of retries go. What belongs to a
saga is never: there Temporal is the only one that retries. Not even a keep-alive connection that turns out closed: the vendor
may have read the request before it closed.
"""

import asyncio
import logging
import math
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
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
from gateways.traffic import Ended, Priority, Traffic, Unbounded
from schema.errors import OutcomeUnclear, RateLimited, VendorContractBroken, VendorUnavailable
from schema.outcomes import Outcome, Unknown

MAX_ANSWER_BYTES = 5 * 1024 * 1024
"""Decoded. A search answer of a supplier is around 1 MiB."""
CONNECT_TIMEOUT_S = 5.0
TELLING_TIMEOUT_S = 20.0
"""Of a message to a traveller, its wait for the quota included; shorter than the step that sends it."""
KEEPALIVE_S = 3.0
"""Shorter than the 5 s after which common servers close an idle connection: a race there would be a lost answer."""
MAX_CONNECTIONS = 100
MAX_RETRY_AFTER_S = 3600.0
TOO_MANY_REQUESTS = 429
FIRST_SERVER_ERROR = 500
USER_AGENT = "TravelHub/0.1"
MAX_ATTEMPTS = 5
FIRST_PAUSE_S = 0.1
PAUSE_JITTER = 0.25
LATE_S = 1.0
"""A call that is cancelled with less than this left had all the time it was given: whoever waits for it may have the same deadline
and be the first to give up, and a vendor that hangs must not look healthy for that."""

_logger = structlog.stdlib.get_logger("gateways.http")
# Both would log whole URLs, and those carry tokens and e-mail addresses.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

_CALLER_RETRIES: ContextVar[bool] = ContextVar("_CALLER_RETRIES", default=False)
Result = TypeVar("Result")
MayRepeat = Callable[["Answer"], bool]
"""Whether the vendor itself lets an answer of this kind be asked for again; part of what a gateway declares."""
Trace = Callable[[str, Mapping[str, object]], Awaitable[None]]


@contextmanager
def retried_by_caller() -> Iterator[None]:
    """For a search inside a saga: there, Temporal is the only one that retries."""
    token = _CALLER_RETRIES.set(True)
    try:
        yield
    finally:
        _CALLER_RETRIES.reset(token)


class LostAnswer(OutcomeUnclear):
    """The request left and no answer came back: the vendor may or may not have done what it was asked."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of a port; its HTTP calls share a deadline (`ends_at`, the event loop's clock) and a correlation id."""

    operation: str
    correlation_id: str
    ends_at: float
    priority: Priority = "booking"
    repeat: bool = False
    """Whether this client may send it again. Never inside a saga: there, Temporal is the only retrier."""


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

    @property
    def readable(self) -> bool:
        """Whether the body can be a vendor's: a page of HTML is a load balancer's, whatever its status."""
        return self.body.lstrip()[:1] in (b"", b"{", b"[")

    @property
    def ended(self) -> Ended:
        """What it says about the vendor's health."""
        if self.status == TOO_MANY_REQUESTS:
            return "limited"
        return "answered" if self.status < FIRST_SERVER_ERROR and self.readable else "failed"

    @property
    def retry_after_s(self) -> float | None:
        """Seconds; None where the vendor does not say."""
        return retry_after_s(self.headers, datetime.now(UTC))

    def fields(self, what: str) -> Fields:
        """The body as a JSON object; raises VendorContractBroken if it is not one."""
        return Fields.of(self.vendor, what, self.json())

    def no_server_error(self) -> "Answer":
        """For reads: raises VendorUnavailable on a 5xx, because a read that failed changed nothing and may be repeated."""
        if self.status >= FIRST_SERVER_ERROR:
            raise VendorUnavailable(self.vendor, f"status {self.status}", retry_after_s=self.retry_after_s)
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
        traffic: Traffic | None = None,
        may_repeat: "MayRepeat | None" = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`base_url` may have a path; `transport` replaces the network in tests."""
        self.vendor = vendor
        self.traffic: Traffic = traffic or Unbounded()
        self._may_repeat = may_repeat or repeat_when_busy
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
        """A search: short, because a traveller waits for it; repeated here where the vendor allows it."""
        repeat = not _CALLER_RETRIES.get()
        return self._call(operation, correlation_id, self._read_timeout_s, priority="search", repeat=repeat)

    def pricing(self, operation: str, correlation_id: str) -> Call:
        """A price check of a saga: short, ahead of searches, and repeated by Temporal only."""
        return self._call(operation, correlation_id, self._read_timeout_s)

    def booking(self, operation: str, correlation_id: str) -> Call:
        """Everything that moves money or inventory, or asks about it."""
        return self._call(operation, correlation_id, self._booking_timeout_s)

    def telling(self, operation: str, correlation_id: str, *, priority: Priority) -> Call:
        """A message to a traveller, or a question about one: nobody waits for it at a screen."""
        timeout_s = min(TELLING_TIMEOUT_S, self._booking_timeout_s)
        return self._call(operation, correlation_id, timeout_s, priority=priority)

    async def send(
        self, call: Call, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None
    ) -> Answer:
        """One request, sent again as `call.repeat` allows. `url` is a path below the base, or a full address. Raises as the
        module's docstring says."""
        attempt = 1
        while True:
            request = self._request(call, method, url, headers, content)
            await self._admit(call)
            try:
                answer = await self._recorded(call, request)
            except (VendorUnavailable, LostAnswer):
                if not await self._again(call, attempt, retry_after_s=None):
                    raise
            else:
                if not (self._may_repeat(answer) and await self._again(call, attempt, answer.retry_after_s)):
                    return _not_limited(answer)
            attempt += 1

    async def aclose(self) -> None:
        """Close the pool; calls under way fail."""
        await self._client.aclose()

    def _call(
        self,
        operation: str,
        correlation_id: str,
        timeout_s: float,
        *,
        priority: Priority = "booking",
        repeat: bool = False,
    ) -> Call:
        ends_at = asyncio.get_running_loop().time() + timeout_s
        return Call(operation, correlation_id, ends_at, priority=priority, repeat=repeat)

    def _request(
        self, call: Call, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> httpx.Request:
        try:
            return self._client.build_request(
                method,
                url if url.startswith(("http://", "https://")) else self.base_url + url,
                headers={**headers, "X-Correlation-Id": header_text(call.correlation_id)},
                content=content,
            )
        except httpx.InvalidURL as error:
            raise VendorContractBroken(f"{self.vendor}: {call.operation}: a link that is no address") from error

    async def _admit(self, call: Call) -> None:
        left_s = call.ends_at - asyncio.get_running_loop().time()
        if left_s <= 0:
            raise VendorUnavailable(self.vendor, f"{call.operation}: no time left, nothing was sent")
        await self.traffic.admit(self.vendor, call.priority, left_s)

    async def _again(self, call: Call, attempt: int, retry_after_s: float | None) -> bool:
        """Waits, and says whether to send once more. The budget is asked last: what is not sent again takes nothing out of it."""
        pause_s = max(_pause_s(attempt), retry_after_s or 0)
        fits = asyncio.get_running_loop().time() + pause_s < call.ends_at
        if not (call.repeat and attempt < MAX_ATTEMPTS and fits and await self.traffic.may_retry(self.vendor)):
            return False
        await asyncio.sleep(pause_s)
        return True

    async def _recorded(self, call: Call, request: httpx.Request) -> Answer:
        """Sends what was admitted, and tells how it ended whatever happens."""
        started_s = time.perf_counter()
        ended: Ended = "failed"
        told = "failed"
        try:
            answer = await self._send(call, request)
            ended, told = answer.ended, str(answer.status)
        except (VendorUnavailable, LostAnswer, VendorContractBroken) as error:
            told = error.code
            raise
        except asyncio.CancelledError:
            told = "cancelled"
            if asyncio.get_running_loop().time() < call.ends_at - LATE_S:
                ended = "abandoned"
            raise
        finally:
            self._log(call, told, started_s)
            await self.traffic.record(self.vendor, ended)
        return answer

    async def _send(self, call: Call, request: httpx.Request) -> Answer:
        left = False

        async def trace(event: str, _info: Mapping[str, object]) -> None:
            nonlocal left
            left = left or event.endswith("send_request_headers.started")

        request.extensions["trace"] = trace
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


def _pause_s(attempt: int) -> float:
    """100 ms, doubled with each attempt, +-25 % so that those who failed together do not come back together."""
    jitter = random.uniform(1 - PAUSE_JITTER, 1 + PAUSE_JITTER)  # noqa: S311  # spreads load, guards no secret
    return FIRST_PAUSE_S * 2 ** (attempt - 1) * jitter


def _not_limited(answer: Answer) -> Answer:
    """Raises RateLimited on 429, which is no answer to what was asked."""
    if answer.status == TOO_MANY_REQUESTS:
        raise RateLimited(answer.vendor, "too many requests", retry_after_s=answer.retry_after_s)
    return answer


def repeat_when_busy(answer: Answer) -> bool:
    """The least that every vendor allows: 429, and 503 of a service that is away for a moment."""
    return answer.status in (TOO_MANY_REQUESTS, 503)


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
