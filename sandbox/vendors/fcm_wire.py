"""How FCM v1 speaks: Google's errors, with FCM's own code in the details."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, cast

from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults import Fault
from sandbox.vendors.calls import Reception, Refusal, json_response
from sandbox.world import JsonObject, World

VENDOR: Final = "fcm"
PREFIX: Final = "/fcm"
PROJECT: Final = "travelhub-sandbox"

_FCM_ERROR: Final = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"
_KNOWN: Final = {
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT", "The request was invalid."),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", "The credentials of APNs or of web push are invalid."),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", "SenderId mismatch"),
    "UNREGISTERED": (404, "NOT_FOUND", "Requested entity was not found."),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", "Quota exceeded."),
    "INTERNAL": (500, "INTERNAL", "Internal error encountered."),
    "UNAVAILABLE": (503, "UNAVAILABLE", "The service is currently unavailable."),
}
_REFUSALS: Final = ("INVALID_ARGUMENT", "THIRD_PARTY_AUTH_ERROR", "SENDER_ID_MISMATCH", "UNREGISTERED")


@dataclass(slots=True)
class FcmError(Refusal):
    """One of FCM's own errors."""

    code: str
    detail: str | None = None
    place: str | None = None
    """What of the request is wrong."""
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def response(self) -> Response:
        status, word, message = _KNOWN[self.code]
        details: list[JsonObject] = [{"@type": _FCM_ERROR, "errorCode": self.code}]
        if self.place is not None:
            violation = {"field": self.place, "description": self.detail or message}
            details.append({"@type": _BAD_REQUEST, "fieldViolations": [violation]})
        return _answer(self.status or status, word, self.detail or message, details, self.headers)


@dataclass(slots=True)
class GoogleError(Refusal):
    """An error of Google's front door, which knows nothing of FCM."""

    status: int
    word: str
    message: str

    def response(self) -> Response:
        return _answer(self.status, self.word, self.message, [], {})


def _answer(status: int, word: str, message: str, details: list[JsonObject], headers: dict[str, str]) -> Response:
    error: JsonObject = {"code": status, "message": message, "status": word}
    if details:
        error["details"] = details
    return json_response({"error": error}, status, headers)


def fault_response(fault: Fault) -> Response:
    """`refuse` (its `code` is one of FCM's), `server_error` and `rate_limited` in FCM's words."""
    if fault.action == "rate_limited":
        return FcmError("QUOTA_EXCEEDED", headers={"Retry-After": str(fault.retry_after_s)}).response()
    if fault.action == "server_error":
        return FcmError("INTERNAL" if fault.status == 500 else "UNAVAILABLE", status=fault.status).response()
    return FcmError(fault.code if fault.code in _REFUSALS else "INVALID_ARGUMENT").response()


def _check_token(world: World, request: Request) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    known = world.get(VENDOR, "access_token", token)
    if scheme != "Bearer" or known is None or world.now() >= datetime.fromisoformat(cast(str, known["expires_at"])):
        message = "Request had invalid authentication credentials. Expected OAuth 2 access token."
        raise GoogleError(401, "UNAUTHENTICATED", message)


def _refuse(status: int, detail: str) -> GoogleError:
    return GoogleError(status, "INVALID_ARGUMENT" if status == 400 else "UNIMPLEMENTED", detail)


AT_THE_DOOR: Final = Reception(lambda _world, _request: None, _refuse)
"""The token endpoint's: anybody may come."""
INSIDE: Final = Reception(_check_token, _refuse)
