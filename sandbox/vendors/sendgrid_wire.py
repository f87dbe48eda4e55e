"""How SendGrid speaks: who may call, and its errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults import Fault
from sandbox.vendors.calls import Reception, Refusal, json_response
from sandbox.world import JsonObject, World

VENDOR: Final = "sendgrid"
PREFIX: Final = "/sendgrid"

_REFUSALS: Final = {
    "401": "The provided authorization grant is invalid, expired, or revoked",
    "403": "The from address does not match a verified Sender Identity.",
    "413": "The request entity is too large.",
}


@dataclass(slots=True)
class SendGridError(Refusal):
    """An error in SendGrid's envelope."""

    status: int
    message: str
    field: str | None = None

    def response(self) -> Response:
        error: JsonObject = {"message": self.message, "field": self.field}
        return json_response({"errors": [error]}, self.status)


def fault_response(fault: Fault) -> Response:
    """`refuse` (its `code` is a status: 400, 401, 403 or 413), `server_error` and `rate_limited` in SendGrid's words."""
    if fault.action == "rate_limited":
        answer = SendGridError(429, "too many requests").response()
        answer.headers.update({"Retry-After": str(fault.retry_after_s), "X-RateLimit-Remaining": "0"})
        return answer
    if fault.action == "server_error":
        return SendGridError(fault.status, "Internal Server Error").response()
    code = fault.code if fault.code in _REFUSALS else "400"
    return SendGridError(int(code), _REFUSALS.get(code, "The request was refused.")).response()


def _check_key(_world: World, request: Request) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not key or "wrong" in key:
        raise SendGridError(401, _REFUSALS["401"])


INSIDE: Final = Reception(_check_key, SendGridError)
