"""How LiteAPI speaks: the key, errors by number, money as JSON numbers. Codes and texts are those of the contract's examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults import Fault
from sandbox.vendors.calls import Reception, Refusal, json_response, number
from sandbox.world import JsonObject, World

VENDOR: Final = "liteapi"
PREFIX: Final = "/liteapi"


@dataclass(slots=True)
class LiteError(Refusal):
    """Raised by a handler, answered as `{"error": {code, description, message}}`."""

    status: int
    code: int
    message: str
    description: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def response(self) -> Response:
        error: JsonObject = {"code": self.code, "message": self.message}
        if self.description is not None:
            error["description"] = self.description
        return json_response({"error": error}, self.status, self.headers)


def wrong_input(description: str) -> LiteError:
    """400 with 4002."""
    return LiteError(400, 4002, "required request field is missing or wrong input", description)


def bad_request(description: str) -> LiteError:
    """400 with 4000."""
    return LiteError(400, 4000, "bad request", description)


def outdated_offer() -> LiteError:
    """408 with 4040, which is how a prebook says that an offer is gone."""
    message = "this offer is marked as not valid, please refetch rates for this hotel"
    return LiteError(408, 4040, message, "outdated offerId")


def nothing(status: int) -> Response:
    """204 or 304. The contract has bodies for both, which HTTP does not."""
    return Response(status_code=status)


def money(amount_minor: int, currency: str) -> JsonObject:
    """An amount. All currencies sold here have two decimals."""
    return {"amount": number(amount_minor), "currency": currency}


def fault_response(fault: Fault) -> Response:
    """`refuse`, `server_error` and `rate_limited` in LiteAPI's words; `code` overrides the number."""
    code = int(fault.code) if fault.code is not None and fault.code.isdecimal() else None
    if fault.action == "rate_limited":
        headers = {"Retry-After": str(fault.retry_after_s)}
        return LiteError(429, code or 429, "too many requests", headers=headers).response()
    if fault.action == "server_error":
        return LiteError(fault.status, code or 5000, "unable to process request").response()
    return LiteError(400, code or 2013, "booking failed", "request refused by the provider").response()


def _check_key(_world: World, request: Request) -> None:
    key = request.headers.get("x-api-key")
    if not key or "wrong" in key:
        raise LiteError(401, 401, "Unauthorized")


def _refuse(status: int, why: str) -> LiteError:
    return wrong_input(why) if status == 400 else LiteError(status, status, why)


RECEPTION: Final = Reception(_check_key, _refuse)
