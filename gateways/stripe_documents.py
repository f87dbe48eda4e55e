"""Stripe's payment intents and refunds in our words. Source: vendor-specs/stripe, schemas payment_intent, charge, refund."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import structlog

from gateways.fields import Fields
from gateways.ports import ListedDispute, ListedPayment, ListedRefund, ProviderPayment, ProviderRefund
from gateways.stripe_wire import VENDOR, from_stripe
from schema.money import Money
from schema.outcomes import ActionRequired, Confirmed, PaymentOutcome, Rejected, Unknown

AUTHORISATION_LIFE = timedelta(days=7)
"""How long Stripe keeps an uncaptured intent if the charge does not name an end (README section 6)."""

_logger = structlog.stdlib.get_logger("gateways.stripe")
_PaymentStatus = Literal["created", "action_required", "processing", "authorised", "captured", "voided", "failed"]
_PAYMENT_STATUSES: dict[str, _PaymentStatus] = {
    "requires_payment_method": "created",
    "requires_confirmation": "created",
    "requires_action": "action_required",
    "processing": "processing",
    "requires_capture": "authorised",
    "succeeded": "captured",
    "canceled": "voided",
}
_REFUND_STATUSES: dict[str, Literal["pending", "succeeded", "failed"]] = {
    "pending": "pending",
    "requires_action": "pending",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "failed",
}


def money_of(document: Fields, name: str) -> Money:
    """An amount of a Stripe object."""
    return from_stripe(document.whole(name), document.text("currency"))


def authorised_until(intent: Fields) -> datetime:
    """`capture_before` of the charge if it is expanded and says so, else seven days after the intent was made."""
    charge = intent.object_or_none("latest_charge")
    details = charge.object_or_none("payment_method_details") if charge else None
    card = details.object_or_none("card") if details else None
    capture_before_s = card.whole_or_none("capture_before") if card else None
    if capture_before_s is not None:
        return datetime.fromtimestamp(capture_before_s, UTC)
    return datetime.fromtimestamp(intent.whole("created"), UTC) + AUTHORISATION_LIFE


def authorisation_of(intent: Fields) -> PaymentOutcome:
    """The outcome of creating and confirming an intent with manual capture."""
    intent_id = intent.text("id")
    status = intent.text("status")
    if status == "requires_capture":
        return Confirmed(
            provider_reference=intent_id,
            price=money_of(intent, "amount_capturable"),
            expires_at=authorised_until(intent),
        )
    if status == "requires_action":
        return ActionRequired(provider_reference=intent_id)
    if status == "requires_payment_method":
        return Rejected(code="card_declined", message="The card was declined.")
    return Unknown(reason=f"{VENDOR}: the payment is {status}")


def payment_of(intent: Fields) -> ProviderPayment:
    """An intent, with its latest charge expanded, as a payment."""
    told = intent.text("status")
    failure = _failure(intent)
    status = _PAYMENT_STATUSES.get(told, "processing")
    if told not in _PAYMENT_STATUSES:
        _logger.warning("unknown_status", vendor=VENDOR, status=told)
    if told == "requires_payment_method" and failure:
        status = "failed"
    nothing = from_stripe(0, intent.text("currency"))
    authorised = nothing
    if status == "authorised":
        authorised = money_of(intent, "amount_capturable")
    elif status == "captured":
        authorised = money_of(intent, "amount")
    charge = intent.object_or_none("latest_charge")
    return ProviderPayment(
        provider_reference=intent.text("id"),
        status=status,
        authorised=authorised,
        captured=money_of(intent, "amount_received"),
        refunded=money_of(charge, "amount_refunded") if charge else nothing,
        expires_at=authorised_until(intent) if status == "authorised" else None,
        client_secret=intent.text_or_none("client_secret"),
        failure=failure,
    )


def _failure(intent: Fields) -> str | None:
    error = intent.object_or_none("last_payment_error")
    return (error.text_or_none("decline_code") or error.text_or_none("code") or "declined") if error else None


def refund_of(refund: Fields) -> ProviderRefund:
    """A refund; a status we do not know counts as pending."""
    told = refund.text_or_none("status") or ""
    if told not in _REFUND_STATUSES:
        _logger.warning("unknown_status", vendor=VENDOR, status=told)
    return ProviderRefund(
        provider_reference=refund.text("id"),
        status=_REFUND_STATUSES.get(told, "pending"),
        amount=money_of(refund, "amount"),
        failure=refund.text_or_none("failure_reason"),
    )


def kept_of(document: Fields, name: str) -> str | None:
    """An entry of the metadata that we attached to an object."""
    metadata = document.object_or_none("metadata")
    return metadata.text_or_none(name) if metadata else None


def listed_payment(intent: Fields) -> ListedPayment:
    """A line of GET /v1/payment_intents."""
    return ListedPayment(
        booking_id=kept_of(intent, "booking_id"), payment_id=kept_of(intent, "payment_id"), payment=payment_of(intent)
    )


def listed_refund(refund: Fields) -> ListedRefund:
    """A line of GET /v1/refunds."""
    return ListedRefund(
        payment_reference=refund.text_or_none("payment_intent") or "",
        key=kept_of(refund, "key"),
        refund=refund_of(refund),
    )


def listed_dispute(dispute: Fields) -> ListedDispute:
    """A line of GET /v1/disputes."""
    return ListedDispute(
        provider_reference=dispute.text("id"),
        payment_reference=dispute.text_or_none("payment_intent"),
        amount=money_of(dispute, "amount"),
        status=dispute.text("status"),
    )
