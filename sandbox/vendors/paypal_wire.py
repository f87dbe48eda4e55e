"""How PayPal speaks: errors, amounts, ids, times. Names, messages and issues are those of the published contracts
(Orders v2.13, Payments v2.5); the texts of the issues are in `paypal_issues`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Final, Literal, TypeAlias

import orjson
from starlette.responses import Response

from sandbox.vendors.paypal_issues import TEXTS
from sandbox.world import JsonObject, World

VENDOR: Final = "paypal"
PREFIX: Final = "/paypal"

Api: TypeAlias = Literal["orders", "payments"]
"""Which of the two contracts a call is of: they have some issues, and the life of a key, different."""

_ERRORS: Final = {
    400: ("INVALID_REQUEST", "Request is not well-formed, syntactically incorrect, or violates schema."),
    401: (
        "AUTHENTICATION_FAILURE",
        "Authentication failed due to missing authorization header, or invalid authentication credentials.",
    ),
    404: ("RESOURCE_NOT_FOUND", "The specified resource does not exist."),
    409: ("RESOURCE_CONFLICT", "The server has detected a conflict while processing this request."),
    415: ("UNSUPPORTED_MEDIA_TYPE", "The server does not support the request payload's media type."),
    422: (
        "UNPROCESSABLE_ENTITY",
        "The requested action could not be performed, semantically incorrect, or failed business validation.",
    ),
    # Not in the contracts: PayPal's rate limiting guideline.
    429: ("RATE_LIMIT_REACHED", "Too many requests. Blocked due to rate limiting."),
    503: ("SERVICE_UNAVAILABLE", "Service Unavailable."),
}
_SERVER_ERROR: Final = ("INTERNAL_SERVER_ERROR", "An internal server error occurred.")
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ID_LENGTH: Final = 17

_CODES: Final = "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF ILS JPY MXN MYR NOK NZD PHP PLN SEK SGD THB TWD USD"
CURRENCIES: Final = frozenset(_CODES.split())
"""What PayPal takes (developer.paypal.com/api/rest/reference/currency-codes). None of them has three decimal places."""
_WHOLE: Final = frozenset({"HUF", "JPY", "TWD"})
"""Written without decimals. Forints and Taiwan dollars have two by ISO 4217 all the same, and the books count those."""

_debug_numbers = itertools.count(1)


class PayPalError(Exception):
    """An answer that is not a good one. `issue` tells programs what is wrong, `field` is a JSON pointer into the request."""

    def __init__(
        self, status: int, issue: str | None = None, *, field: str | None = None, links: list[JsonObject] | None = None
    ) -> None:
        super().__init__(issue or status)
        self.status = status
        self.issue = issue
        self.field = field
        self.links = links or []

    def response(self, api: Api, headers: Mapping[str, str] | None = None) -> Response:
        """The error as the contract has it."""
        name, message = _ERRORS.get(self.status, _SERVER_ERROR)
        body: JsonObject = {"name": name, "message": message, "debug_id": f"{next(_debug_numbers):013x}"}
        if self.issue is not None:
            detail: JsonObject = {"issue": self.issue}
            if self.field is not None:
                detail |= {"field": self.field, "location": "body"}
            if self.issue in TEXTS:
                detail["description"] = TEXTS[self.issue]
            body["details"] = [detail]
        body["links"] = [
            {"href": f"https://developer.paypal.com/docs/api/{api}/v2/#error-{name}", "rel": "information_link"},
            *self.links,
        ]
        return json_response(body, self.status, headers)


def not_found() -> PayPalError:
    """No object of ours has the id in the path."""
    return PayPalError(404, "INVALID_RESOURCE_ID")


def json_response(body: JsonObject, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with PayPal's content type and its id for support."""
    named = {"Paypal-Debug-Id": f"{next(_debug_numbers):013x}", **(headers or {})}
    return Response(orjson.dumps(body), status, named, media_type="application/json")


def new_id(world: World) -> str:
    """17 capital letters and digits, as PayPal's ids of orders and of transactions are."""
    number = int.from_bytes(blake2b(world.new_id("paypal:").encode(), digest_size=16).digest(), "big")
    letters: list[str] = []
    for _ in range(_ID_LENGTH):
        number, remainder = divmod(number, len(_DIGITS))
        letters.append(_DIGITS[remainder])
    return "".join(letters)


def moment(timestamp: float) -> str:
    """A time (seconds since 1970) in whole seconds, UTC."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def money(amount_minor: int, currency: str) -> JsonObject:
    """An amount as the contracts have it."""
    places = 0 if currency in _WHOLE else 2
    value = Decimal(amount_minor).scaleb(-_exponent(currency))
    return {"currency_code": currency, "value": f"{value:.{places}f}"}


def minor(value: str, currency: str, *, api: Api, field: str) -> int:
    """Minor units (ISO 4217) of a written amount; raises what PayPal says of one that it does not take."""
    if currency not in CURRENCIES:
        raise PayPalError(422, "INVALID_CURRENCY_CODE", field=f"{field}/currency_code")
    amount = Decimal(value)
    if amount <= 0:
        raise PayPalError(422, "CANNOT_BE_ZERO_OR_NEGATIVE", field=f"{field}/value")
    _, point, decimals = value.partition(".")
    if point and currency in _WHOLE:
        issue = "DECIMALS_NOT_SUPPORTED" if api == "payments" else "DECIMAL_PRECISION"
        raise PayPalError(422, issue, field=f"{field}/value")
    if len(decimals) > 2:
        raise PayPalError(422, "DECIMAL_PRECISION", field=f"{field}/value")
    return int(amount.scaleb(_exponent(currency)))


def _exponent(currency: str) -> int:
    return 0 if currency == "JPY" else 2
