"""What the simulated Stripe remembers of a payment, and how it shows it (`payment_intent`, `charge`, `refund` of the
published contract, which also defines the fields). Amounts are in minor units, times in seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypedDict

from sandbox.world import JsonObject

IntentStatus = Literal[
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "canceled",
    "succeeded",
]


@dataclass(frozen=True, slots=True)
class Card:
    """A test payment method and what becomes of a payment with it (docs.stripe.com/testing)."""

    brand: str
    last4: str
    decline: str | None = None
    """Decline code, or None where the bank agrees."""
    challenge: bool = False
    """The bank wants 3-D Secure."""


TEST_CARDS: Final = {
    "pm_card_visa": Card("visa", "4242"),
    "pm_card_mastercard": Card("mastercard", "4444"),
    "pm_card_amex": Card("amex", "8431"),
    "pm_card_chargeDeclined": Card("visa", "0002", decline="generic_decline"),
    "pm_card_visa_chargeDeclined": Card("visa", "0002", decline="generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": Card("visa", "9995", decline="insufficient_funds"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": Card("visa", "9995", decline="insufficient_funds"),
    "pm_card_chargeDeclinedLostCard": Card("visa", "9987", decline="lost_card"),
    "pm_card_visa_chargeDeclinedLostCard": Card("visa", "9987", decline="lost_card"),
    "pm_card_chargeDeclinedStolenCard": Card("visa", "9979", decline="stolen_card"),
    "pm_card_visa_chargeDeclinedStolenCard": Card("visa", "9979", decline="stolen_card"),
    "pm_card_chargeDeclinedExpiredCard": Card("visa", "0069", decline="expired_card"),
    "pm_card_chargeDeclinedProcessingError": Card("visa", "0119", decline="processing_error"),
    "pm_card_chargeDeclinedIncorrectCvc": Card("visa", "0127", decline="incorrect_cvc"),
    "pm_card_authenticationRequired": Card("visa", "3184", challenge=True),
    "pm_card_threeDSecure2Required": Card("visa", "3220", challenge=True),
    "pm_card_threeDSecureRequired": Card("visa", "3063", challenge=True),
}


class Pending(TypedDict):
    """What Stripe has accepted and will finish later."""

    step: Literal["authorise", "capture"]
    amount: int
    due: float
    fail: bool


class Intent(TypedDict):
    """A PaymentIntent's state."""

    id: str
    secret: str
    amount: int
    currency: str
    status: IntentStatus
    capture_method: str
    confirmation_method: str
    created: int
    metadata: dict[str, str]
    description: str | None
    customer: str | None
    receipt_email: str | None
    return_url: str | None
    statement_descriptor_suffix: str | None
    allow_redirects: str | None
    """`automatic_payment_methods[allow_redirects]`; None where the client listed payment_method_types."""
    payment_method_types: list[str]
    payment_method: str | None
    test_card: str | None
    authorised: int
    capturable: int
    received: int
    charge: str | None
    capture_before: int | None
    canceled_at: int | None
    cancellation_reason: str | None
    last_payment_error: JsonObject | None
    refunds: list[str]
    pending: Pending | None


class Charge(TypedDict):
    """One attempt to charge a card."""

    id: str
    payment_intent: str
    amount: int
    captured: int
    refunded: int
    paid: bool
    decline_code: str | None
    created: int
    payment_method: str
    test_card: str
    authenticated: bool


class Refund(TypedDict):
    """A refund's state; `due` and `fail` say how a pending one ends."""

    id: str
    payment_intent: str
    charge: str
    amount: int
    currency: str
    created: int
    metadata: dict[str, str]
    reason: str | None
    status: Literal["pending", "succeeded", "failed"]
    due: float
    fail: bool


def intent_document(intent: Intent, latest_charge: JsonObject | None = None) -> JsonObject:
    """The `payment_intent` object; with `latest_charge` given, expanded."""
    automatic = intent["allow_redirects"]
    return {
        "id": intent["id"],
        "object": "payment_intent",
        "amount": intent["amount"],
        "amount_capturable": intent["capturable"],
        "amount_details": {"tip": {}},
        "amount_received": intent["received"],
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": {"allow_redirects": automatic, "enabled": True} if automatic else None,
        "canceled_at": intent["canceled_at"],
        "cancellation_reason": intent["cancellation_reason"],
        "capture_method": intent["capture_method"],
        "client_secret": f"{intent['id']}_secret_{intent['secret']}",
        "confirmation_method": intent["confirmation_method"],
        "created": intent["created"],
        "currency": intent["currency"],
        "customer": intent["customer"],
        "customer_account": None,
        "description": intent["description"],
        "excluded_payment_method_types": None,
        "last_payment_error": intent["last_payment_error"],
        "latest_charge": latest_charge or intent["charge"],
        "livemode": False,
        "metadata": intent["metadata"],
        "next_action": _next_action(intent),
        "on_behalf_of": None,
        "payment_method": intent["payment_method"],
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "payment_method_types": intent["payment_method_types"],
        "processing": None,
        "receipt_email": intent["receipt_email"],
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": intent["status"],
        "transfer_data": None,
        "transfer_group": None,
    }


def _next_action(intent: Intent) -> JsonObject | None:
    if intent["status"] != "requires_action":
        return None
    if intent["return_url"]:
        url = f"https://hooks.stripe.com/3d_secure_2/hosted?payment_intent={intent['id']}"
        return {"redirect_to_url": {"return_url": intent["return_url"], "url": url}, "type": "redirect_to_url"}
    return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}


def charge_document(charge: Charge, intent: Intent) -> JsonObject:
    """The `charge` object. `captured` is true once any of it was; what a partial capture released is not a refund."""
    fully_refunded = charge["captured"] > 0 and charge["refunded"] == charge["captured"]
    return {
        "id": charge["id"],
        "object": "charge",
        "amount": charge["amount"],
        "amount_captured": charge["captured"],
        "amount_refunded": charge["refunded"],
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": _BILLING_DETAILS,
        "calculated_statement_descriptor": "TRAVELHUB",
        "captured": charge["captured"] > 0,
        "created": charge["created"],
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": error_code(charge["decline_code"]) if charge["decline_code"] else None,
        "failure_message": decline_message(charge["decline_code"]) if charge["decline_code"] else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "on_behalf_of": None,
        "outcome": _outcome(charge),
        "paid": charge["paid"],
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "payment_method_details": {"card": _card_details(charge, intent), "type": "card"},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": fully_refunded,
        "review": None,
        "shipping": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "succeeded" if charge["paid"] else "failed",
        "transfer_data": None,
        "transfer_group": None,
    }


_BILLING_DETAILS: Final[JsonObject] = {
    "address": {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None},
    "email": None,
    "name": None,
    "phone": None,
    "tax_id": None,
}


def _outcome(charge: Charge) -> JsonObject:
    if charge["paid"]:
        return {
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "seller_message": "Payment complete.",
            "type": "authorized",
        }
    return {
        "network_status": "declined_by_network",
        "reason": charge["decline_code"],
        "risk_level": "normal",
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "issuer_declined",
    }


def _card_details(charge: Charge, intent: Intent) -> JsonObject:
    card = TEST_CARDS[charge["test_card"]]
    details: JsonObject = {
        "amount_authorized": charge["amount"] if charge["paid"] else None,
        "authorization_code": None,
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "extended_authorization": {"status": "disabled"},
        "fingerprint": f"fp{card.last4}{card.brand}",
        "funding": "credit",
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": card.last4,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card.brand,
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {"maximum_amount_capturable": charge["amount"], "status": "unavailable"},
        "regulated_status": "unregulated",
        "three_d_secure": {"result": "authenticated", "version": "2.2.0"} if charge["authenticated"] else None,
        "wallet": None,
    }
    if intent["capture_before"] is not None:
        details["capture_before"] = intent["capture_before"]
    return details


def refund_document(refund: Refund) -> JsonObject:
    """The `refund` object."""
    document: JsonObject = {
        "id": refund["id"],
        "object": "refund",
        "amount": refund["amount"],
        "balance_transaction": None,
        "charge": refund["charge"],
        "created": refund["created"],
        "currency": refund["currency"],
        "destination_details": {
            "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"},
            "type": "card",
        },
        "metadata": refund["metadata"],
        "payment_intent": refund["payment_intent"],
        "reason": refund["reason"],
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": refund["status"],
        "transfer_reversal": None,
    }
    if refund["status"] == "pending":
        document["pending_reason"] = "processing"
    if refund["status"] == "failed":
        document["failure_reason"] = "expired_or_canceled_card"
    return document


_CODES_OF_THEIR_OWN: Final = frozenset({"expired_card", "incorrect_cvc", "incorrect_number", "processing_error"})
_DECLINE_MESSAGES: Final = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}


def error_code(decline_code: str) -> str:
    """The error's `code` for a decline: a few declines have one of their own, all others are `card_declined`."""
    if decline_code in _CODES_OF_THEIR_OWN or decline_code == "authentication_required":
        return decline_code
    return "card_declined"


def decline_message(decline_code: str) -> str:
    """What Stripe tells the customer."""
    return _DECLINE_MESSAGES.get(decline_code, "Your card was declined.")


def payment_method_document(payment_method: str, test_card: str, created: int) -> JsonObject:
    """The `payment_method` object, as errors quote it."""
    card = TEST_CARDS[test_card]
    return {
        "id": payment_method,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": _BILLING_DETAILS,
        "card": {
            "brand": card.brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": None},
            "country": "US",
            "display_brand": card.brand,
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": f"fp{card.last4}{card.brand}",
            "funding": "credit",
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": created,
        "customer": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }
