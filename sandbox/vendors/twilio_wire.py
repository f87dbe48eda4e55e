"""How Twilio speaks: Basic credentials, errors with numbers, dates of RFC 2822."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults import Fault
from sandbox.vendors.calls import Reception, Refusal, json_response
from sandbox.world import World

VENDOR: Final = "twilio"
PREFIX: Final = "/twilio"

MESSAGES: Final = {
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "Internal Server Error"),
    21211: (400, "Invalid 'To' Phone Number"),
    21212: (400, "Invalid 'From' Phone Number"),
    21602: (400, "Message body is required"),
    21603: (400, "A 'From' phone number is required"),
    21604: (400, "A 'To' phone number is required"),
    21606: (400, "The 'From' phone number provided is not a valid message-capable Twilio phone number"),
    21609: (400, "The 'StatusCallback' URL is not a valid URL"),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21614: (400, "'To' number is not a valid mobile number"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
}
"""Twilio's numbers, each with its status and message."""


@dataclass(slots=True)
class TwilioError(Refusal):
    """An error as Twilio sends it; `status` where it is not the one that goes with the code."""

    code: int
    status: int | None = None
    message: str | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def response(self) -> Response:
        status, message = MESSAGES.get(self.code, (400, "The request was refused"))
        return json_response(
            {
                "code": self.code,
                "message": self.message or message,
                "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
                "status": self.status or status,
            },
            self.status or status,
            self.headers,
        )


def fault_response(fault: Fault) -> Response:
    """`refuse` (its `code` is one of Twilio's numbers), `server_error` and `rate_limited` in Twilio's words."""
    code = int(fault.code) if fault.code and fault.code.isdecimal() else None
    if fault.action == "rate_limited":
        return TwilioError(code or 20429, 429, headers={"Retry-After": str(fault.retry_after_s)}).response()
    if fault.action == "server_error":
        return TwilioError(code or 20500, fault.status).response()
    return TwilioError(code or 21211).response()


def token_of(request: Request) -> str | None:
    """The auth token of an account, which the path names; None for credentials that are none."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme != "Basic":
        return None
    try:
        account, _, token = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    known = account == request.path_params["account"] and token and "wrong" not in token
    return token if known else None


def _check_credentials(world: World, request: Request) -> None:
    token = token_of(request)
    if token is None:
        raise TwilioError(20003)
    # It signs what the account is told later.
    account = str(request.path_params["account"])
    if (world.get(VENDOR, "account", account) or {}).get("token") != token:
        world.put(VENDOR, "account", account, {"token": token})


def _refuse(status: int, detail: str) -> TwilioError:
    return TwilioError(20500, status, detail)


INSIDE: Final = Reception(_check_credentials, _refuse)
