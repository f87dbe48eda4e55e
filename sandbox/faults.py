"""The fault plan: rules that make a vendor fail in chosen ways, and the gate in front of all vendors that applies them.

The gate is outermost, so that it can close a connection without an answer and can run a handler whose answer nobody
gets. What it cannot do for every vendor alike (a sold-out offer, a declined card) it hands to the vendor's handler
as `request.scope["sandbox.fault"]`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, Self, TypeAlias, cast
from urllib.parse import unquote_plus

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.corruption import Answer, Corruption, send_corrupted
from sandbox.world import JsonObject, World

FAULT_SCOPE_KEY: Final = "sandbox.fault"

Action: TypeAlias = Literal[
    "refuse",
    "server_error",
    "server_error_after",
    "rate_limited",
    "delay",
    "drop_before",
    "drop_after",
    "drop_then_effect",
    "accept_later",
    "sold_out",
    "price_changed",
    "decline",
    "three_d_secure",
    "refund_pending",
    "refund_fails",
    "aged",
    "corrupt",
]
Vendor: TypeAlias = Literal[
    "amadeus", "avis", "duffel", "expedia_rapid", "fcm", "liteapi", "paypal", "sendgrid", "stripe", "twilio"
]
_PAYMENT_ACTIONS: Final = frozenset({"three_d_secure", "refund_pending", "refund_fails", "aged"})
_SUPPLIER_ACTIONS: Final = frozenset({"sold_out", "price_changed"})
_PAYMENT_PROVIDERS: Final = ("paypal", "stripe")
_MESSENGERS: Final = ("fcm", "sendgrid", "twilio")
_VENDOR_ACTIONS: Final = _PAYMENT_ACTIONS | _SUPPLIER_ACTIONS | {"accept_later", "decline"}


class Fault(BaseModel):
    """A rule of the plan: which calls it is for (all given conditions must hold), and what happens to them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vendor: Vendor | None = None
    method: str | None = Field(default=None, pattern=r"^[A-Za-z]+$")
    path: str | None = None
    """Regular expression, searched in the path below the vendor's prefix."""
    contains: str | None = Field(default=None, min_length=1)
    """Text searched in the query, the headers and the body, as sent and URL-decoded."""
    nth: int = Field(default=1, ge=1)
    """The first matching call that fires."""
    times: int | None = Field(default=1, ge=1)
    """How many calls fire from then on; None is every one."""
    action: Action
    delay_s: float = Field(default=0, ge=0, le=86_400)
    status: Literal[500, 502, 503, 504] = 503
    code: str | None = None
    retry_after_s: int = Field(default=1, ge=0, le=86_400)
    percent: float = Field(default=8, gt=-100, le=1000)
    """How much dearer (or, below zero, cheaper) `price_changed` makes it."""
    age_s: float = Field(default=0, ge=0, le=29 * 86_400)
    """How long ago `aged` dates an authorisation of PayPal's."""
    fail: bool = False
    corruption: Corruption | None = None
    """What `corrupt` makes of the answer."""

    @field_validator("path")
    @classmethod
    def _path_is_a_regular_expression(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.action == "delay" and self.delay_s == 0:
            raise ValueError("delay needs delay_s above 0")
        if self.action == "aged" and (self.vendor != "paypal" or self.age_s == 0):
            raise ValueError("aged needs age_s above 0, and only PayPal's authorisations have an age that matters")
        if (self.action == "corrupt") != (self.corruption is not None):
            raise ValueError("corrupt needs a corruption, and nothing else has one")
        if self.action in _PAYMENT_ACTIONS and self.vendor not in (None, *_PAYMENT_PROVIDERS):
            raise ValueError(f"{self.vendor} takes no payments, {self.action} cannot happen there")
        if self.action in _SUPPLIER_ACTIONS and self.vendor in (*_PAYMENT_PROVIDERS, *_MESSENGERS):
            raise ValueError(f"{self.vendor} sells no travel, {self.action} cannot happen there")
        return self


FaultResponse: TypeAlias = Callable[[Fault], Response]
"""A vendor's rendering of `refuse`, `server_error` and `rate_limited`."""


RememberFault: TypeAlias = Callable[[World, Scope, bytes, Response], None]
"""Of a vendor with idempotency keys: told of a planned failure's answer, which may be what the key is answered from now on."""

ClaimKey: TypeAlias = Callable[[World, Scope, bytes, float], Callable[[], None]]
"""Of such a vendor: the request's key is in use for so many seconds at most; the result is called when the request goes on."""


@dataclass(slots=True)
class Rule:
    """A fault with its id and how often it matched and fired."""

    rule_id: str
    fault: Fault
    matched: int = 0
    fired: int = 0
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        self.pattern = re.compile(self.fault.path or "")

    def take(self, vendor: str, method: str, path: str, text: str, *, may_fire: bool) -> bool:
        """Count the call if it matches; true if this rule fires on it."""
        fault = self.fault
        if fault.vendor is not None and fault.vendor != vendor:
            return False
        if fault.method is not None and fault.method.upper() != method:
            return False
        if not self.pattern.search(path) or (fault.contains is not None and fault.contains not in text):
            return False
        self.matched += 1
        due = self.matched >= fault.nth and (fault.times is None or self.fired < fault.times)
        if not (due and may_fire):
            return False
        self.fired += 1
        return True

    def as_json(self) -> JsonObject:
        """The rule as the control API shows it."""
        return {"id": self.rule_id, **self.fault.model_dump(), "matched": self.matched, "fired": self.fired}


class FaultPlan:
    """The rules in the order they were given. One call fires one rule at most: the first that is due. The others
    count the call as matched and keep their turn for the next one."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self._added = 0

    def add(self, fault: Fault) -> Rule:
        """Put a rule at the end of the plan."""
        self._added += 1
        rule = Rule(f"fault_{self._added}", fault)
        self.rules[rule.rule_id] = rule
        return rule

    def remove(self, rule_id: str) -> bool:
        """Drop a rule; false if there is none of this id."""
        return self.rules.pop(rule_id, None) is not None

    def clear(self) -> None:
        """Drop all rules. Their ids are not given again."""
        self.rules.clear()

    def take(self, vendor: str, method: str, path: str, text: str) -> Fault | None:
        """The fault for this call, if any; counts it."""
        fires: Fault | None = None
        for rule in self.rules.values():
            if rule.take(vendor, method, path, text, may_fire=fires is None):
                fires = rule.fault
        return fires


class ConnectionDropped(Exception):
    """The gate was told to drop a connection of a server whose connections it cannot reach (not uvicorn)."""


@dataclass(frozen=True, slots=True)
class GateVendor:
    """What the gate must know of a vendor."""

    vendor: str
    prefix: str
    fault_response: FaultResponse
    remember_fault: RememberFault | None = None
    claim_key: ClaimKey | None = None


class FaultGate:
    """Pure ASGI middleware: applies the plan, and writes the world to disk before an answer leaves."""

    def __init__(self, app: ASGIApp, world: World, plan: FaultPlan, vendors: list[GateVendor]) -> None:
        self._app = app
        self._world = world
        self._plan = plan
        self._vendors = sorted(vendors, key=lambda vendor: -len(vendor.prefix))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        vendor = self._vendor_of(scope["path"]) if self._plan.rules else None
        if vendor is None:
            await self._app(scope, receive, self._flushing(send))
            return
        body = await _read_body(receive)
        path = scope["path"][len(vendor.prefix) :]
        fault = self._plan.take(vendor.vendor, scope["method"], path, _searchable(scope, body))
        await self._apply(fault, vendor, scope, _Replay(body, receive), send)

    def _vendor_of(self, path: str) -> GateVendor | None:
        for vendor in self._vendors:
            if path.startswith(vendor.prefix + "/"):
                return vendor
        return None

    async def _apply(self, fault: Fault | None, vendor: GateVendor, scope: Scope, receive: _Replay, send: Send) -> None:
        action = fault.action if fault else None
        if fault is None or action in _VENDOR_ACTIONS:
            scope[FAULT_SCOPE_KEY] = fault
            await self._app(scope, receive, self._flushing(send))
        elif action in ("refuse", "server_error", "rate_limited"):
            answer = vendor.fault_response(fault)
            if vendor.remember_fault:
                vendor.remember_fault(self._world, scope, receive.body, answer)
                self._world.flush()
            await answer(scope, receive, send)
        elif action == "server_error_after":
            await self._run_unheard(scope, receive)
            answer = vendor.fault_response(fault.model_copy(update={"action": "server_error"}))
            await answer(scope, receive, send)
        elif action == "delay":
            release = self._claim(vendor, scope, receive.body, fault.delay_s)
            await asyncio.sleep(fault.delay_s)
            release()
            await self._app(scope, receive, self._flushing(send))
        elif fault.corruption is not None:
            await self._corrupt(fault.corruption, scope, receive, send)
        elif action == "drop_before":
            await _drop(receive, send)
        elif action == "drop_after":
            await self._run_unheard(scope, receive)
            await _drop(receive, send)
        else:
            # drop_then_effect: the timer is set before the connection goes, so that a test cannot overtake it.
            release = self._claim(vendor, scope, receive.body, fault.delay_s)

            async def take_effect() -> None:
                release()
                await self._run_unheard(scope, _Replay(receive.body, None))

            self._world.later(fault.delay_s, take_effect)
            await _drop(receive, send)

    def _claim(self, vendor: GateVendor, scope: Scope, body: bytes, duration_s: float) -> Callable[[], None]:
        """While a request waits, its idempotency key is in use."""
        return vendor.claim_key(self._world, scope, body, duration_s) if vendor.claim_key else lambda: None

    async def _run_unheard(self, scope: Scope, receive: _Replay) -> None:
        """The handler with its effects, its answer swallowed."""

        async def swallow(_message: Message) -> None:
            return

        await self._app(scope, receive, swallow)
        self._world.flush()

    async def _corrupt(self, corruption: Corruption, scope: Scope, receive: _Replay, send: Send) -> None:
        """The handler with its effects, its answer spoiled on the way."""
        answer = Answer()
        await self._app(scope, receive, answer.take)
        self._world.flush()
        await send_corrupted(answer, corruption, send)
        if corruption == "half_body":
            await _drop(receive, send)

    def _flushing(self, send: Send) -> Send:
        async def flush_then_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._world.flush()
            await send(message)

        return flush_then_send


class _Replay:
    """A `receive` that gives a body read before once more, then what the server says (in the end: disconnected)."""

    def __init__(self, body: bytes, receive: Receive | None) -> None:
        self.body = body
        self._receive = receive
        self._given = False

    async def __call__(self) -> Message:
        if not self._given:
            self._given = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        return await self._receive() if self._receive else {"type": "http.disconnect"}


async def _read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(cast(bytes, message.get("body", b"")))
        if not message.get("more_body", False):
            return b"".join(parts)


def _searchable(scope: Scope, body: bytes) -> str:
    """Query, headers and body as one text, followed by their URL-decoded form where that differs."""
    headers = cast("list[tuple[bytes, bytes]]", scope["headers"])
    lines = [cast(bytes, scope["query_string"]), *(name + b": " + value for name, value in headers), body]
    text = b"\n".join(lines).decode("utf-8", "replace")
    return f"{text}\n{unquote_plus(text)}" if "%" in text or "+" in text else text


async def _drop(receive: _Replay, send: Send) -> None:
    """Close the connection, after what is on its way out. uvicorn's `send` is a method of the object that has the transport."""
    transport = cast("object | None", getattr(getattr(send, "__self__", None), "transport", None))
    if transport is None:
        raise ConnectionDropped
    cast(asyncio.Transport, transport).close()
    # Wait until the server knows: it would complain of a handler that ended without an answer.
    while (await receive())["type"] != "http.disconnect":
        pass
