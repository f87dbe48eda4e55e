"""How Avis Budget speaks: tokens, the status envelope, business codes. Codes and texts are those of the vendor's examples."""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults import Fault
from sandbox.vendors.calls import Reception, Refusal, json_response
from sandbox.world import JsonObject, World

VENDOR: Final = "avis"
PREFIX: Final = "/avis"

TOKEN_LIFE_S: Final = 7140
"""As in the vendor's example."""

_CLIENT_ID_LENGTHS: Final = range(8, 51)
_MESSAGES: Final = {400: "Bad Request", 401: "unauthorized", 404: "Not Found", 429: "Too Many Requests"}
_request_numbers = itertools.count(1)


@dataclass(slots=True)
class AvisError(Refusal):
    """Raised by a handler, answered in the status envelope."""

    status: int
    code: str
    reason: str
    details: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def response(self) -> Response:
        message = _MESSAGES.get(self.status, "Service exception")
        error: JsonObject = {
            "code": self.code,
            "message": message,
            "reason": self.reason,
            "details": self.details,
        }
        status: JsonObject = {"request_time": _request_time(), "request_errors": 1, "errors": [error]}
        return json_response({"status": status, "transaction": transaction(None)}, self.status, self.headers)


@dataclass(slots=True)
class TokenError(Refusal):
    """What the gateway in front of the API says of credentials: flat, and not in the envelope."""

    status: int
    error: str
    description: str

    def response(self) -> Response:
        return json_response({"error": self.error, "error_description": self.description}, self.status)


def malformed(details: str) -> AvisError:
    """400: the request is not one of the contract."""
    return AvisError(400, "400", "invalid_request", details)


def sold_out() -> AvisError:
    """404 with 223: nothing left for these dates."""
    details = "The pick-up location entered is Sold Out for the dates you have entered"
    return AvisError(404, "223", "Invalid pickup_location.", details)


def success(details: str, transaction_id: str | None, *, created: bool = False) -> JsonObject:
    """The parts that every good answer begins with."""
    code, message = ("201", "Created") if created else ("200", "Success")
    status: JsonObject = {
        "request_time": _request_time(),
        "success": [{"code": code, "message": message, "details": details}],
    }
    return {"status": status, "transaction": transaction(transaction_id)}


def transaction(transaction_id: str | None) -> JsonObject:
    """The client's id of the request, if it gave one, and the vendor's own."""
    own: JsonObject = {"system_id": f"abg-sandbox-{next(_request_numbers):08d}"}
    return own if transaction_id is None else {"transaction_id": transaction_id, **own}


def _request_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fault_response(fault: Fault) -> Response:
    """`refuse`, `server_error` and `rate_limited` in Avis's words."""
    if fault.action == "rate_limited":
        # The vendor promises no header; Retry-After is what the plan asked for.
        headers = {"Retry-After": str(fault.retry_after_s)}
        return AvisError(429, fault.code or "429", "throttled", "Rate limit exceeded", headers).response()
    if fault.action == "server_error":
        details = "Socket timeout from IMS Connect"
        return AvisError(fault.status, fault.code or "40018", "Service exception", details).response()
    return AvisError(400, fault.code or "1005", "e-Com rejected the request due to data issue.", "Refused.").response()


# ------------------------------------------------------------------------------------------------------ tokens


def issue_token(world: World, client_id: str | None, client_secret: str | None) -> JsonObject:
    """A bearer token for credentials: any that are not empty, unless the secret says that it is wrong."""
    if not client_id or not client_secret:
        raise TokenError(400, "invalid_request", "client_id and client_secret are required headers")
    if len(client_id) not in _CLIENT_ID_LENGTHS or "wrong" in client_secret:
        raise TokenError(401, "invalid_client", "Invalid Client Credentials")
    expires = int(world.now().timestamp()) + TOKEN_LIFE_S
    return {
        "access_token": f"{expires}.{_seal(world, client_id, expires)}",
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFE_S,
    }


def _seal(world: World, client_id: str, expires: int) -> str:
    # A seal and not a document: a reset of the sandbox is no reason for clients to lose their tokens.
    return blake2b(f"{client_id}|{expires}".encode(), key=f"avis|{world.seed}".encode(), digest_size=16).hexdigest()


def _check_token(world: World, request: Request) -> None:
    client_id = request.headers.get("client_id")
    if client_id is None or len(client_id) not in _CLIENT_ID_LENGTHS:
        raise malformed("Missing required header 'client_id'")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    expires, _, seal = token.partition(".")
    alive = expires.isdecimal() and int(expires) > world.now().timestamp()
    if scheme != "Bearer" or not alive or not hmac.compare_digest(seal, _seal(world, client_id, int(expires))):
        raise TokenError(401, "invalid_grant", "token not found, expired or invalid")


def _refuse(status: int, why: str) -> AvisError:
    return malformed(why) if status == 400 else AvisError(status, str(status), why, why)


RECEPTION: Final = Reception(_check_token, _refuse)
