"""How Duffel speaks: envelope, errors, headers, paging. Shared by flights and cars, which are one host in reality.

Error types and the codes marked F or D in the contract are Duffel's. Where the contract knows no code for a situation,
one is made up in the same manner: clients must not depend on more than type and status there.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Final, TypeAlias, cast
from urllib.parse import parse_qsl

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.faults import FAULT_SCOPE_KEY, Fault
from sandbox.world import JsonObject, World

VENDOR: Final = "duffel"
PREFIX: Final = "/duffel"

_DOCUMENTATION: Final = "https://duffel.com/docs/api/overview/errors"
_AMOUNT: Final = re.compile(r"\d{1,9}(\.\d{1,2})?")
_request_numbers = itertools.count(1)


@dataclass(slots=True)
class DuffelError(Exception):
    """Raised by a handler, answered in Duffel's envelope. `pointer` makes it name the field at fault."""

    status: int
    type: str
    code: str
    message: str
    pointer: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def response(self) -> Response:
        """The error as Duffel sends it."""
        request_id = _new_request_id()
        error: JsonObject = {
            "type": self.type,
            "code": self.code,
            "title": self.code.replace("_", " ").capitalize(),
            "message": self.message,
            "documentation_url": _DOCUMENTATION,
        }
        if self.pointer is not None:
            error["source"] = {"pointer": self.pointer, "field": self.pointer.rsplit("/", 1)[-1]}
        body = orjson.dumps({"errors": [error], "meta": {"status": self.status, "request_id": request_id}})
        return Response(
            body,
            self.status,
            media_type="application/json",
            headers={"x-request-id": request_id, **self.headers},
        )


def not_found(what: str) -> DuffelError:
    """404 for an id in the path that nobody knows."""
    return DuffelError(404, "invalid_request_error", "not_found", f"The {what} you are looking for does not exist.")


def invalid_state(code: str, message: str) -> DuffelError:
    """422: the request is well formed, but what it speaks of is not in the state for it."""
    return DuffelError(422, "invalid_state_error", code, message)


def invalid_field(pointer: str, message: str, code: str = "validation_format") -> DuffelError:
    """422 with the field at fault."""
    return DuffelError(422, "validation_error", code, message, pointer)


def offer_gone() -> DuffelError:
    """What is sold out by now."""
    return invalid_state("offer_no_longer_available", "The offer you selected is no longer available.")


def ok(data: object, status: int = 200) -> Response:
    """`data` in the envelope of a single answer."""
    return _json({"data": data}, status)


def accepted() -> Response:
    """202: taken, not finished, not to be repeated."""
    return ok({"message": "The request was accepted. The outcome will follow."}, 202)


def _json(body: JsonObject, status: int) -> Response:
    return Response(
        orjson.dumps(body), status, media_type="application/json", headers={"x-request-id": _new_request_id()}
    )


def _new_request_id() -> str:
    return f"FsandboxF{next(_request_numbers):08d}"


def fault_response(fault: Fault) -> Response:
    """`refuse`, `server_error` and `rate_limited` in Duffel's words."""
    if fault.action == "rate_limited":
        reset = datetime.now(UTC) + timedelta(seconds=fault.retry_after_s)
        headers = {
            "Retry-After": str(fault.retry_after_s),
            "ratelimit-limit": "120",
            "ratelimit-remaining": "0",
            # An HTTP date, not seconds (Duffel's Ruby client parses it so).
            "ratelimit-reset": format_datetime(reset, usegmt=True),
        }
        code = fault.code or "rate_limit_exceeded"
        return DuffelError(429, "rate_limit_error", code, "Too many requests.", headers=headers).response()
    if fault.action == "server_error":
        # Never order_not_created by itself: that code promises that nothing happened.
        code = {500: "internal_server_error", 502: "bad_gateway", 503: "service_unavailable", 504: "gateway_timeout"}
        message = "Something went wrong on our side, or the airline's."
        return DuffelError(fault.status, "api_error", fault.code or code[fault.status], message).response()
    return DuffelError(422, "airline_error", fault.code or "request_refused", "The airline refused.").response()


# ------------------------------------------------------------------------------------------------------ requests


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request."""

    world: World
    params: Mapping[str, str]
    """Parts of the path."""
    query: Sequence[tuple[str, str]]
    data: JsonObject
    """What the body has under `data`; empty for a request without a body."""
    fault: Fault | None

    def argument(self, name: str) -> str | None:
        """The last value of a query parameter."""
        return next((value for key, value in reversed(self.query) if key == name), None)

    def faulty(self, action: str) -> bool:
        """Whether the fault plan wants this of the call."""
        return self.fault is not None and self.fault.action == action


Handler: TypeAlias = Callable[[Call], Response]
"""Handlers do not wait: between reading state and changing it no other request comes in."""


class Endpoint:
    """A handler as an ASGI application: headers, body and errors dealt with, and nothing else in its way.

    `faults` are the vendor-specific actions this call can show. One it cannot is answered 501, so that a test which
    plans the impossible fails loudly.
    """

    def __init__(self, world: World, handler: Handler, *faults: str) -> None:
        self._world = world
        self._handler = handler
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive) if scope["method"] == "POST" else b""
        try:
            response = self._handler(self._call(scope, body))
        except DuffelError as error:
            response = error.response()
        await response(scope, receive, send)

    def _call(self, scope: Scope, body: bytes) -> Call:
        _check_headers(cast("list[tuple[bytes, bytes]]", scope["headers"]))
        fault = cast("Fault | None", scope.get(FAULT_SCOPE_KEY))
        if fault is not None and fault.action not in self._faults:
            raise DuffelError(501, "api_error", "sandbox_fault_not_supported", f"{fault.action} cannot happen here.")
        query = parse_qsl(cast(bytes, scope["query_string"]).decode("latin-1"), keep_blank_values=True)
        params = cast("Mapping[str, str]", scope["path_params"])
        return Call(self._world, params, query, _data_of(body), fault)


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(cast(bytes, message.get("body", b"")))
        if not message.get("more_body", False):
            return b"".join(parts)


def _check_headers(headers: Iterable[tuple[bytes, bytes]]) -> None:
    found = {name: value for name, value in headers if name in (b"authorization", b"duffel-version")}
    token = found.get(b"authorization")
    if token is None:
        raise DuffelError(401, "authentication_error", "missing_authorization_header", "No access token was given.")
    if not token.startswith(b"Bearer duffel_test_"):
        message = "The access token is unknown; a sandbox takes any that starts with duffel_test_."
        raise DuffelError(401, "authentication_error", "access_token_not_found", message)
    version = found.get(b"duffel-version")
    if version is None:
        message = "The Duffel-Version header is missing."
        raise DuffelError(400, "invalid_request_error", "missing_version_header", message)
    if version != b"v2":
        raise DuffelError(400, "invalid_request_error", "unsupported_version", "Only version v2 is supported.")


def _data_of(body: bytes) -> JsonObject:
    if not body:
        return {}
    try:
        document = cast(object, orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise DuffelError(400, "invalid_request_error", "bad_request", "The body is not JSON.") from error
    data = cast(JsonObject, document).get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise invalid_field("/data", "Field 'data' must be an object.", "validation_required")
    return cast(JsonObject, data)


# -------------------------------------------------------------------------------------------------------- fields


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of a request, read field by field; what is missing or malformed is named in the error."""

    document: JsonObject
    pointer: str = ""

    def only(self, *allowed: str) -> Fields:
        """Refuse fields outside the contract, whose requests are closed."""
        for name in self.document:
            if name not in allowed:
                raise invalid_field(f"{self.pointer}/{name}", f"Field '{name}' is unknown.", "validation_unknown_field")
        return self

    def text(self, name: str, pattern: re.Pattern[str] | None = None) -> str:
        """A text that must be there, must not be empty, and must match in full."""
        value = self.optional_text(name, pattern)
        if not value:
            raise self.missing(name)
        return value

    def optional_text(self, name: str, pattern: re.Pattern[str] | None = None) -> str | None:
        """A text or null."""
        value = self.document.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
            raise invalid_field(f"{self.pointer}/{name}", f"Field '{name}' is not valid.")
        return value

    def choice(self, name: str, allowed: Sequence[str]) -> str:
        """One of the allowed words."""
        value = self.text(name)
        if value not in allowed:
            message = f"Field '{name}' must be one of {', '.join(allowed)}."
            raise invalid_field(f"{self.pointer}/{name}", message, "validation_inclusion")
        return value

    def child(self, name: str) -> Fields:
        """An object that must be there."""
        value = self.document.get(name)
        if not isinstance(value, dict):
            raise self.missing(name)
        return Fields(cast(JsonObject, value), f"{self.pointer}/{name}")

    def children(self, name: str) -> list[Fields]:
        """A list of objects that must be there and must not be empty."""
        children = list(self._items(name))
        if not children:
            raise self.missing(name)
        return children

    def missing(self, name: str) -> DuffelError:
        """The error for a field that is not there."""
        return invalid_field(f"{self.pointer}/{name}", f"Field '{name}' can't be blank.", "validation_required")

    def _items(self, name: str) -> Iterator[Fields]:
        value = self.document.get(name)
        for index, item in enumerate(cast("list[object]", value) if isinstance(value, list) else []):
            pointer = f"{self.pointer}/{name}/{index}"
            if not isinstance(item, dict):
                raise invalid_field(pointer, "Must be an object.")
            yield Fields(cast(JsonObject, item), pointer)

    def amount_minor(self, name: str) -> int:
        """A decimal text as cents."""
        return round(Decimal(self.text(name, _AMOUNT)) * 100)

    def metadata(self) -> JsonObject:
        """Up to 50 pairs of text, keys of 40 characters, values of 500."""
        value = self.document.get("metadata")
        if value is None:
            return {}
        pairs = cast(JsonObject, value) if isinstance(value, dict) else None
        if pairs is None or len(pairs) > 50:
            raise invalid_field(f"{self.pointer}/metadata", "Metadata must be an object of at most 50 pairs.")
        for key, text in pairs.items():
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", key) or not isinstance(text, str) or len(text) > 500:
                raise invalid_field(f"{self.pointer}/metadata/{key}", "Not a valid metadata pair.")
        return pairs


# -------------------------------------------------------------------------------------------- words of the answers


def decimal_text(amount_minor: int) -> str:
    """Cents as Duffel writes money: `12.34`."""
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"


def timestamp(moment: datetime) -> str:
    """UTC to the microsecond, as Duffel writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def page(
    call: Call,
    documents: Iterable[JsonObject],
    key: Callable[[JsonObject], str],
    render: Callable[[JsonObject], JsonObject],
) -> Response:
    """A page of a list that is in order already. The cursor names the last document of the page before."""
    limit_text = call.argument("limit") or "50"
    limit = int(limit_text) if limit_text.isdecimal() else 0
    if not 1 <= limit <= 200:
        raise DuffelError(400, "invalid_request_error", "invalid_limit", "limit must be from 1 to 200.")
    after = call.argument("after")
    remaining = iter(documents)
    if after is not None and not any(key(document) == after for document in remaining):
        raise DuffelError(400, "invalid_request_error", "invalid_cursor", "The cursor is unknown.")
    shown = list(itertools.islice(remaining, limit))
    more = next(remaining, None) is not None
    meta: JsonObject = {"limit": limit, "after": key(shown[-1]) if more else None, "before": None}
    return _json({"data": [render(document) for document in shown], "meta": meta}, 200)
