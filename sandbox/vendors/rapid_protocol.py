"""How Expedia Rapid speaks: the signature, the headers every call must carry, links whose tokens hold the state, and
errors. Shapes and the error types in examples are those of the published contract (Rapid v3)."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b, sha512
from typing import Final, cast

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults import Fault
from sandbox.world import JsonObject, World

VENDOR: Final = "expedia_rapid"

SHARED_SECRET: Final = "sandbox-rapid-secret"  # noqa: S105 - the simulated vendor's well-known test secret
"""The secret that signatures are made with, unless the settings say otherwise; any API key goes with it."""

_SIGNATURE_AGE_MAX_S: Final = 300
_AUTHORIZATION: Final = re.compile(
    r"^EAN\s+apikey=(?P<apikey>[^,\s]+),\s*signature=(?P<signature>[0-9a-fA-F]{128}),\s*timestamp=(?P<timestamp>\d{1,12})$"
)
_MAC_BYTES: Final = 9
_STUBBED_ERRORS: Final = {
    "service_unavailable": (503, "service_unavailable", "This service is currently unavailable."),
    "internal_server_error": (500, "unknown_internal_error", "An internal server error has occurred."),
    "unknown_internal_error": (500, "unknown_internal_error", "An internal server error has occurred."),
}
"""Keywords of the `Test` header that every call knows, and what they are answered."""


class RapidError(Exception):
    """An answer that is an `Error` of the contract."""

    def __init__(
        self,
        status: int,
        error_type: str,
        message: str,
        *,
        fields: list[JsonObject] | None = None,
        errors: list[JsonObject] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        body: JsonObject = {"type": error_type, "message": message}
        if fields:
            body["fields"] = fields
        if errors:
            body["errors"] = errors
        self.body = orjson.dumps(body)


def invalid(error_type: str, message: str, field: tuple[str, str, str] | None = None) -> RapidError:
    """400 invalid_input with one nested error; `field` is (name, where, value)."""
    error: JsonObject = {"type": error_type, "message": message}
    if field:
        error["fields"] = [{"name": field[0], "type": field[1], "value": field[2]}]
    return RapidError(
        400,
        "invalid_input",
        "An invalid request was sent in, please check the nested errors for details.",
        errors=[error],
    )


def link_invalid() -> RapidError:
    """A token that is not ours, was changed, is for something else, or is too old."""
    return invalid("link.invalid", "Link is invalid.")


def itinerary_not_found() -> RapidError:
    return RapidError(404, "resource_not_found", "Itinerary was not found with provided request.")


def json_response(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer as the vendor sends it."""
    return Response(body, status, headers, media_type="application/json")


@dataclass(frozen=True, slots=True)
class Settings:
    """How this vendor behaves; the control route changes it."""

    hold_s: float
    """A held booking that nobody resumes is rolled back after so long."""
    link_s: float
    """Price check and book links expire after so long."""
    retrieval_lag_s: float = 0
    """A new itinerary is invisible to retrieval for so long ("please wait a few minutes", says the contract)."""
    partial_retrieval_s: float = 0
    """... and then shows only its id and creation time for so long."""
    shared_secret: str = SHARED_SECRET

    @classmethod
    def of(cls, world: World) -> Settings:
        defaults: JsonObject = {"hold_s": world.settings.hold_s, "link_s": world.settings.offer_ttl_s}
        changed = world.get(VENDOR, "settings", "only") or {}
        return cls(**cast("dict[str, float]", defaults | changed))  # pyright: ignore[reportArgumentType]


def check_request(world: World, request: Request, *, customer_ip: bool) -> str:
    """Signature and required headers; the `Test` header's keyword. `customer_ip`: the contract demands Customer-Ip."""
    headers = request.headers
    _check_signature(world, headers.get("authorization", ""))
    if "application/json" not in headers.get("accept", ""):
        raise _header_missing("Accept", headers.get("accept"))
    if "gzip" not in headers.get("accept-encoding", ""):
        raise _header_missing("Accept-Encoding", headers.get("accept-encoding"))
    if not headers.get("user-agent"):
        raise _header_missing("User-Agent", None)
    if customer_ip and not headers.get("customer-ip"):
        raise _header_missing("Customer-Ip", None)
    test = headers.get("test", "standard")
    stub = _STUBBED_ERRORS.get(test)
    if stub:
        raise RapidError(*stub)
    return test


def _check_signature(world: World, authorization: str) -> None:
    match = _AUTHORIZATION.match(authorization)
    now = int(world.now().timestamp())
    if match is not None:
        apikey, timestamp = match["apikey"], match["timestamp"]
        text = f"{apikey}{Settings.of(world).shared_secret}{timestamp}"
        expected = sha512(text.encode()).hexdigest()
        in_time = abs(now - int(timestamp)) <= _SIGNATURE_AGE_MAX_S
        if in_time and hmac.compare_digest(expected, match["signature"].lower()):
            return
    fields: list[JsonObject] = [
        {"name": name, "type": "header", "value": match[name] if match else ""}
        for name in ("apikey", "signature", "timestamp")
    ]
    fields.append({"name": "servertimestamp", "type": "server", "value": str(now)})
    raise RapidError(
        401,
        "request_unauthenticated",
        "Data required to authenticate your request is missing or inaccurate. Ensure that your request follows the "
        "guidelines in our documentation.",
        fields=fields,
    )


def _header_missing(name: str, value: str | None) -> RapidError:
    error_type = name.lower().replace("-", "_")
    what = "invalid" if value else "required"
    return invalid(f"{error_type}.{what}", f"The {name} header is {what}.", (name, "header", value or ""))


class Tokens:
    """Opaque, tamper-proof strings that carry a link's state, as Rapid's do: the path's ids are only decoration."""

    def __init__(self, world: World) -> None:
        self._key = f"rapid-links|{world.seed}".encode()

    def seal(self, purpose: str, *parts: object) -> str:
        """A token for one purpose."""
        payload = orjson.dumps([purpose, *parts])
        return urlsafe_b64encode(self._mac(payload) + payload).decode().rstrip("=")

    def open(self, purpose: str, token: str) -> list[object]:
        """The parts it was sealed with; raises link.invalid."""
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            raise link_invalid() from None
        payload = raw[_MAC_BYTES:]
        if not hmac.compare_digest(raw[:_MAC_BYTES], self._mac(payload)):
            raise link_invalid()
        found, *parts = cast("list[object]", orjson.loads(payload))
        if found != purpose:
            raise link_invalid()
        return parts

    def _mac(self, payload: bytes) -> bytes:
        return blake2b(payload, key=self._key, digest_size=_MAC_BYTES).digest()


def link(method: str, path: str, token: str, expires: str | None = None) -> JsonObject:
    """A `Link`; the path is absolute on the host, to be followed as it is."""
    document: JsonObject = {"method": method, "href": f"/v3{path}?token={token}"}
    if expires:
        document["expires"] = expires
    return document


def money(amount_minor: int, currency: str) -> JsonObject:
    """An `Amount`. All three currencies sold here have two decimals."""
    sign = "-" if amount_minor < 0 else ""
    whole, cents = divmod(abs(amount_minor), 100)
    return {"value": f"{sign}{whole}.{cents:02d}", "currency": currency}


def fault_response(fault: Fault) -> Response:
    """`refuse`, `server_error` and `rate_limited` in Rapid's words."""
    if fault.action == "rate_limited":
        body = orjson.dumps(
            {"type": "too_many_requests", "message": "You have reached your capacity for this type of request."}
        )
        return json_response(body, 429, {"Retry-After": str(fault.retry_after_s)})
    if fault.action == "refuse":
        error_type = fault.code or "property_id.invalid"
        return json_response(invalid(error_type, f"The request was refused: {error_type}.").body, 400)
    unavailable = fault.status == 503
    error = RapidError(*_STUBBED_ERRORS["service_unavailable" if unavailable else "internal_server_error"])
    return json_response(error.body, fault.status)
