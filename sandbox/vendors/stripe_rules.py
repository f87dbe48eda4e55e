"""What Stripe checks of a payment before it runs, and what it says of a declined one."""

from __future__ import annotations

from typing import Final

from sandbox.vendors.stripe_documents import Intent, decline_message, error_code
from sandbox.vendors.stripe_wire import Parameters, invalid
from sandbox.world import JsonObject

AMOUNT_MAX_MINOR: Final = 99_999_999
AMOUNT_MIN_MINOR: Final = {"eur": 50, "usd": 50, "gbp": 30}
"""Minimum charge amounts; other currencies are let through from 1."""


def check_amount(amount: int, currency: str) -> None:
    """A currency that looks like one, and an amount Stripe would charge."""
    if len(currency) != 3 or not currency.isalpha():
        raise invalid(f"Invalid currency: {currency}", param="currency")
    if amount < 1:
        raise invalid("Invalid positive integer", param="amount", code="parameter_invalid_integer")
    if amount < AMOUNT_MIN_MINOR.get(currency, 1):
        raise invalid("Amount must convert to at least 50 cents.", param="amount", code="amount_too_small")
    if amount > AMOUNT_MAX_MINOR:
        raise invalid(f"Amount must be no more than {AMOUNT_MAX_MINOR}", param="amount", code="amount_too_large")


def check_return_url(intent: Intent, return_url: str | None, parameters: Parameters) -> None:
    """With automatic payment methods some might redirect, so Stripe wants to know where the customer returns to."""
    excused = intent["allow_redirects"] in (None, "never") or parameters.flag("use_stripe_sdk")
    if not excused and not return_url and parameters.text("off_session") is None:
        raise invalid(
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of "
            "these payment methods might redirect your customer off of your page, you must provide a `return_url`. "
            "If you don't want to accept redirect-based payment methods, set "
            "`automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to "
            "`never` when creating Setup Intents and Payment Intents.",
        )


def decline_error(decline_code: str) -> JsonObject:
    """`last_payment_error` of a declined card."""
    code = error_code(decline_code)
    error: JsonObject = {"code": code, "message": decline_message(decline_code), "type": "card_error"}
    if code in ("card_declined", "authentication_required"):
        error["decline_code"] = decline_code
    return error
