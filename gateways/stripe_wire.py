"""Stripe on the wire: our pooled client under Stripe's library, amounts in Stripe's units, and what its errors mean.

Sources: vendor-specs/README.md section 6, vendor-specs/stripe (schema api_errors), docs.stripe.com/currencies (special cases).
"""

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import stripe

from gateways.fields import Fields
from gateways.http import FIRST_SERVER_ERROR, Call, LostAnswer, VendorHttp
from schema.errors import CredentialsRefused, InvariantBroken, RateLimited, VendorContractBroken, VendorUnavailable
from schema.money import Money, exponent_of
from schema.outcomes import Rejected

VENDOR = "stripe"
CONFLICT = 409
REQUEST_TIMEOUT = 408

# It would send timings and the platform's name along with each call.
stripe.enable_telemetry = False
# At debug level it would log the bodies of requests and answers.
logging.getLogger("stripe").setLevel(logging.WARNING)

_call: ContextVar[Call] = ContextVar("stripe_call")


class PooledTransport(stripe.HTTPClient):
    """Lets Stripe's library send through our client: its deadline, pool and errors are ours, and it retries nothing."""

    name = "httpx"

    def __init__(self, http: VendorHttp) -> None:
        super().__init__()
        self._http = http

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        content = post_data.encode() if post_data is not None else None
        answer = await self._http.send(_call.get(), method.upper(), url, headers=headers, content=content)
        return answer.body, answer.status, answer.headers

    async def close_async(self) -> None:
        await self._http.aclose()


class Refusal(Exception):
    """Stripe's definite no: nothing was done by this call."""

    def __init__(self, status: int | None, code: str | None, decline_code: str | None, param: str | None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.decline_code = decline_code
        self.param = param


@contextmanager
def stripe_call(call: Call, *, reading: bool = False) -> Generator[None, None, None]:
    """Makes `call` the one the transport sends for, and turns the library's errors into ours.

    Raises Refusal for a definite no, VendorUnavailable for 409, 429 and refused credentials, LostAnswer for a 5xx (a 500 is
    replayed under its key for 24 h, so it stays unknown), VendorContractBroken for an unreadable answer, InvariantBroken if a key
    was used for two different requests. A read (`reading`) has no effect: its 5xx is VendorUnavailable, its refusal
    VendorContractBroken, because we only read what Stripe has named to us.
    """
    token = _call.set(call)
    try:
        yield
    except stripe.IdempotencyError as error:
        raise InvariantBroken(f"{VENDOR}: one idempotency key was used for two different requests") from error
    except stripe.StripeError as error:
        translated = _translated(call, error, reading=reading)
        if reading and isinstance(translated, Refusal):
            translated = VendorContractBroken(f"{VENDOR}: {call.operation}: {translated.code or translated.status}")
        raise translated from None
    except UnicodeDecodeError:
        # The library decodes an answer before it looks at it, and lets this one through.
        raise VendorContractBroken(f"{VENDOR}: {call.operation}: the answer is not UTF-8") from None
    finally:
        _call.reset(token)


def _translated(call: Call, error: stripe.StripeError, *, reading: bool) -> Exception:
    """Never keeps the library's own message or body: they can name cards."""
    status = error.http_status
    told = f"{call.operation}: status {status}, {error.code or 'no code'}"
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return CredentialsRefused(VENDOR, told)
    if isinstance(error, stripe.RateLimitError):
        return RateLimited(VENDOR, told)
    if isinstance(error, stripe.CardError | stripe.InvalidRequestError):
        detail = error.error
        return Refusal(
            status=status,
            code=error.code,
            decline_code=detail.decline_code if detail else None,
            param=detail.param if detail else None,
        )
    if status == CONFLICT:
        return VendorUnavailable(VENDOR, f"{told}: the same key is being worked on")
    if status is not None and (status >= FIRST_SERVER_ERROR or status == REQUEST_TIMEOUT):
        return VendorUnavailable(VENDOR, told) if reading else LostAnswer(f"{VENDOR}: {told}")
    if status is not None and 400 <= status < FIRST_SERVER_ERROR:
        return Refusal(status=status, code=error.code, decline_code=None, param=None)
    return VendorContractBroken(f"{VENDOR}: {told}: the answer cannot be read")


def document(answer: stripe.StripeObject, what: str) -> Fields:
    """The JSON an object of the library was made from."""
    response = answer.last_response
    return Fields.of(VENDOR, what, response.data if response is not None else None)


# --- amounts ---

_WHOLE_AT_STRIPE = frozenset({"MGA"})
"""Two decimals by ISO 4217, none at Stripe."""
_CENTS_AT_STRIPE = frozenset({"ISK", "UGX"})
"""No decimals by ISO 4217, two at Stripe, which must be zeros."""
_HUNDRED = 100


class NotChargeable(ValueError):
    """Stripe cannot take exactly this amount."""


def to_stripe(amount: Money) -> int:
    """The amount in Stripe's smallest unit; raises NotChargeable where Stripe cannot take it exactly.

    Stripe wants the last digit of currencies with three decimals to be 0. Rounding would charge something else than agreed.
    """
    if amount.currency in _CENTS_AT_STRIPE:
        return amount.amount_minor * _HUNDRED
    if amount.currency in _WHOLE_AT_STRIPE:
        if amount.amount_minor % _HUNDRED:
            raise NotChargeable(f"Stripe takes whole {amount.currency} only, not {amount}")
        return amount.amount_minor // _HUNDRED
    if exponent_of(amount.currency) == 3 and amount.amount_minor % 10:
        raise NotChargeable(f"Stripe takes {amount.currency} in steps of ten of its smallest unit, not {amount}")
    return amount.amount_minor


def from_stripe(amount: int, currency: str) -> Money:
    """The inverse; raises VendorContractBroken for a currency nobody knows or a fraction there cannot be."""
    code = currency.upper()
    try:
        if code in _CENTS_AT_STRIPE:
            if amount % _HUNDRED:
                raise VendorContractBroken(f"{VENDOR}: a fraction of {code}")
            return Money(amount_minor=amount // _HUNDRED, currency=code)
        return Money(amount_minor=amount * _HUNDRED if code in _WHOLE_AT_STRIPE else amount, currency=code)
    except ValueError as error:
        raise VendorContractBroken(f"{VENDOR}: unknown currency") from error


# --- refusals ---

_CARD_MESSAGES: dict[str, str] = {
    "insufficient_funds": "The card has insufficient funds.",
    "expired_card": "The card has expired.",
    "incorrect_cvc": "The card's security code is wrong.",
    "incorrect_number": "The card's number is wrong.",
    "processing_error": "The card could not be processed; try again or use another card.",
    "authentication_required": "The bank asks for the payment to be authenticated.",
}
"""Only what helps the customer; why a bank suspects a card (lost, stolen, fraud) is never said."""
_OUR_CODES: dict[str, str] = {
    "amount_too_small": "amount_out_of_range",
    "amount_too_large": "amount_out_of_range",
    "charge_already_refunded": "already_refunded",
    "charge_already_captured": "already_captured",
    "charge_expired_for_capture": "payment_not_completed",
}
PAYMENT_REQUIRED = 402


def rejected(refusal: Refusal) -> Rejected:
    """Ours for a definite no; the message is safe for customers."""
    if refusal.status == PAYMENT_REQUIRED or (refusal.param == "payment_method" and refusal.code == "resource_missing"):
        message = _CARD_MESSAGES.get(refusal.decline_code or "") or _CARD_MESSAGES.get(refusal.code or "")
        return Rejected(code="card_declined", message=message or "The card was declined.")
    return Rejected(
        code=_OUR_CODES.get(refusal.code or "", "vendor_rejected"),
        message=f"The payment provider refused: {refusal.code or refusal.status}.",
    )
