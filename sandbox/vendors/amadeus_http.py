"""How Amadeus Self-Service speaks: tokens, errors, media type. Codes and titles are those of the contract's tables and of
Amadeus's page of common errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, cast
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults import Fault
from sandbox.vendors.calls import Call, Reception, Refusal, json_response
from sandbox.world import JsonObject, World

VENDOR: Final = "amadeus"
PREFIX: Final = "/amadeus"
MEDIA_TYPE: Final = "application/vnd.amadeus+json"

_TITLES: Final = {
    141: "SYSTEM ERROR HAS OCCURRED",
    425: "INVALID DATE",
    477: "INVALID FORMAT",
    572: "INVALID OPTION",
    1304: "CREDIT CARD NOT ACCEPTED",
    1797: "NOT FOUND",
    2781: "INVALID LENGTH",
    2668: "PARAMETER COMBINATION INVALID/RESTRICTED",
    4926: "INVALID DATA RECEIVED",
    10661: "MAXIMUM NUMBER OF OCCURRENCES EXCEEDED",
    32171: "MANDATORY DATA MISSING",
    34651: "SEGMENT SELL FAILURE",
    36870: "BOOKING FAILED",
    37200: "PRICE DISCREPANCY",
    38189: "Internal error",
    38190: "Invalid access token",
    38191: "Invalid HTTP header",
    38192: "Access token expired",
    38194: "Too many requests",
    38195: "Quota limit exceeded",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How this vendor behaves; the control route changes it."""

    token_s: float = 1799
    issue_s: float = 86_400
    """The consolidator issues the ticket of a confirmed order after so long; from then on it cannot be deleted."""
    hold_s: float | None = None
    """A reservation that is to be cancelled lives so long; None: as its ticketing agreement says."""

    @classmethod
    def of(cls, world: World) -> Settings:
        return cls(**cast("dict[str, float]", world.get(VENDOR, "settings", "only") or {}))


@dataclass(slots=True)
class AmadeusError(Refusal):
    """Raised by a handler, answered in Amadeus's envelope."""

    status: int
    code: int
    detail: str
    source: JsonObject | None = None
    """`{"pointer": ...}` for a field of the body, `{"parameter": ...}` for one of the query."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def response(self) -> Response:
        title = _TITLES.get(self.code, _TITLES[36870])
        issue: JsonObject = {"status": self.status, "code": self.code, "title": title, "detail": self.detail}
        if self.source is not None:
            issue["source"] = self.source
        return Response(orjson.dumps({"errors": [issue]}), self.status, self.headers, media_type=MEDIA_TYPE)


def refused(code: int, detail: str, *, pointer: str | None = None, parameter: str | None = None) -> AmadeusError:
    """400 with the field or parameter at fault."""
    source: JsonObject | None = None
    if pointer is not None or parameter is not None:
        source = {"pointer": pointer} if parameter is None else {"parameter": parameter}
    return AmadeusError(400, code, detail, source)


def not_found(detail: str) -> AmadeusError:
    """404 for an order nobody knows any more."""
    return AmadeusError(404, 1797, detail)


def ok(document: JsonObject, status: int = 200) -> Response:
    """An answer as Amadeus sends it."""
    return Response(orjson.dumps(document), status, media_type=MEDIA_TYPE)


def fault_response(fault: Fault) -> Response:
    """`refuse`, `server_error` and `rate_limited` in Amadeus's words. Rate limits: code 38195 is the quota of the month, which
    no waiting helps, so it names no time."""
    code = int(fault.code) if fault.code and fault.code.isdecimal() else None
    if fault.action == "rate_limited":
        if code == 38195:
            return AmadeusError(429, 38195, "The quota limit is exceeded.").response()
        headers = {"Retry-After": str(fault.retry_after_s)}
        return AmadeusError(429, code or 38194, "The network rate limit is exceeded.", headers=headers).response()
    if fault.action == "server_error":
        default = 38189 if fault.status == 500 else 141
        return AmadeusError(fault.status, code or default, "An error occurred on our side.").response()
    return AmadeusError(400, code or 4926, "The request was refused.").response()


# -------------------------------------------------------------------------------------------------------- requests


def arguments(call: Call, *allowed: str) -> Mapping[str, str]:
    """The query, each parameter once; refuses those outside the contract."""
    for name in call.query:
        if name not in allowed:
            raise refused(477, "The parameter is unknown.", parameter=name)
    return {name: values[0] for name, values in call.query.items()}


def body_of(call: Call) -> Fields:
    """The body, which must be a JSON object."""
    try:
        document = cast(object, orjson.loads(call.body))
    except orjson.JSONDecodeError as error:
        raise refused(477, "The body is not JSON.") from error
    if not isinstance(document, dict):
        raise refused(477, "The body is not an object.")
    return Fields(cast(JsonObject, document))


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of a request, read field by field; what is missing or malformed is named in the error."""

    document: JsonObject
    pointer: str = ""

    def text(self, name: str, pattern: str = ".+") -> str:
        """A text that must be there and must match in full."""
        value = self.optional_text(name, pattern)
        if value is None:
            raise self.missing(name)
        return value

    def optional_text(self, name: str, pattern: str = ".+") -> str | None:
        """A text or nothing."""
        value = self.document.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise refused(477, f"{name} is not valid.", pointer=f"{self.pointer}/{name}")
        return value

    def flag(self, name: str) -> bool:
        """A boolean; false where it is not there."""
        return self.document.get(name) is True

    def child(self, name: str) -> Fields:
        """An object that must be there."""
        if not isinstance(self.document.get(name), dict):
            raise self.missing(name)
        return self.optional_child(name)

    def optional_child(self, name: str) -> Fields:
        """An object, empty where it is not there."""
        value = self.document.get(name)
        return Fields(cast(JsonObject, value) if isinstance(value, dict) else {}, f"{self.pointer}/{name}")

    def children(self, name: str) -> list[Fields]:
        """A list of objects that must be there and must not be empty."""
        children = self.optional_children(name)
        if not children:
            raise self.missing(name)
        return children

    def optional_children(self, name: str) -> list[Fields]:
        """A list of objects, empty where it is not there."""
        value = self.document.get(name)
        found: list[Fields] = []
        for number, item in enumerate(cast("list[object]", value) if isinstance(value, list) else []):
            pointer = f"{self.pointer}/{name}[{number}]"
            if not isinstance(item, dict):
                raise refused(477, "Must be an object.", pointer=pointer)
            found.append(Fields(cast(JsonObject, item), pointer))
        return found

    def missing(self, name: str) -> AmadeusError:
        """The error for a field that is not there."""
        return refused(32171, f"{name} is missing.", pointer=f"{self.pointer}/{name}")


# ---------------------------------------------------------------------------------------------------------- tokens


@dataclass(slots=True)
class TokenError(Refusal):
    """What the token endpoint says of credentials: a shape of its own."""

    status: int
    error: str
    description: str

    def response(self) -> Response:
        document: JsonObject = {
            "error": self.error,
            "error_description": self.description,
            "code": 38187,
            "title": "Invalid parameters",
        }
        return json_response(document, self.status)


def create_token(call: Call) -> Response:
    """POST /v1/security/oauth2/token"""
    form = dict(parse_qsl(call.body.decode("latin-1")))
    client_id, secret = form.get("client_id"), form.get("client_secret")
    if form.get("grant_type") != "client_credentials":
        raise TokenError(401, "unsupported_grant_type", "Only client_credentials is supported")
    if not client_id or not secret or "wrong" in secret:
        raise TokenError(401, "invalid_client", "Client credentials are invalid")
    world = call.world
    token = world.new_id("amadeus-token:").removeprefix("amadeus-token:")
    life_s = Settings.of(world).token_s
    world.put(VENDOR, "token", token, {"expires_at": (world.now() + timedelta(seconds=life_s)).isoformat()})
    return json_response(
        {
            "type": "amadeusOAuth2Token",
            "username": "sandbox@example.org",
            "application_name": "TravelHub",
            "client_id": client_id,
            "token_type": "Bearer",
            "access_token": token,
            "expires_in": int(life_s),
            "state": "approved",
            "scope": "",
        }
    )


def _check_token(world: World, request: Request) -> None:
    authorization = request.headers.get("authorization")
    if authorization is None or not authorization.startswith("Bearer "):
        raise AmadeusError(401, 38191, "Missing or invalid format for mandatory Authorization header")
    token = world.get(VENDOR, "token", authorization.removeprefix("Bearer "))
    if token is None:
        raise AmadeusError(401, 38190, "The access token provided in the Authorization header is invalid")
    if world.now() >= datetime.fromisoformat(cast(str, token["expires_at"])):
        raise AmadeusError(401, 38192, "The access token is expired")


def _check_read(world: World, request: Request) -> None:
    _check_token(world, request)
    if request.headers.get("x-http-method-override") != "GET":
        raise refused(32171, "X-HTTP-Method-Override: GET is missing.")


def _refuse(status: int, detail: str) -> AmadeusError:
    return AmadeusError(status, 141, detail)


AT_THE_DOOR: Final = Reception(lambda _world, _request: None, _refuse)
"""The token endpoint's: anybody may come."""
INSIDE: Final = Reception(_check_token, _refuse)
READING: Final = Reception(_check_read, _refuse)
"""Of what is sent as a POST because its question is long."""
