"""PayPal's orders, authorisations, captures and refunds in our words. Source: vendor-specs/paypal, the schemas of these names.

An order COMPLETED says only that the payer's part is done: what was reserved and taken is told by its authorisations and captures.
"""

from datetime import UTC, datetime, timedelta
from typing import Literal

import structlog

from gateways.fields import Fields
from gateways.paypal_wire import VENDOR, NotPayable, money_of, to_paypal
from gateways.ports import PaymentRequest, ProviderPayment, ProviderRefund
from schema.money import Money, total
from schema.outcomes import ActionRequired, Confirmed, Outcome, PaymentOutcome, Rejected, Unknown

HONOUR_PERIOD = timedelta(days=3)
"""For this long PayPal vouches for the money; later it is only tried, until `expiration_time` (29 days)."""
VAULTED = "vault:"
"""Before the id of a payer who has agreed in advance; `WALLET` is a payer who has yet to approve."""
WALLET = "paypal"
MAX_TEXT = 127
TAKEN = frozenset({"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"})
FAILED_CAPTURES = frozenset({"DECLINED", "FAILED"})
ENDED = frozenset({"VOIDED", "DENIED"})
"""Authorisations that reserve nothing (any more)."""

_logger = structlog.stdlib.get_logger("gateways.paypal")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_Status = Literal["created", "action_required", "approved", "processing", "authorised", "captured", "voided", "failed"]
_BY_ORDER: dict[str, _Status] = {
    "CREATED": "action_required",
    "PAYER_ACTION_REQUIRED": "action_required",
    "SAVED": "created",
    "APPROVED": "approved",
    "VOIDED": "voided",
}
_BY_AUTHORISATION: dict[str, _Status] = {"CREATED": "authorised", "VOIDED": "voided", "DENIED": "failed"}
_REFUND_STATUSES: dict[str, Literal["pending", "succeeded", "failed"]] = {
    "PENDING": "pending",
    "COMPLETED": "succeeded",
    "FAILED": "failed",
    "CANCELLED": "failed",
}


class Order:
    """An order with all that has come of it. Raises VendorContractBroken where the document is not one."""

    def __init__(self, document: Fields) -> None:
        self.document = document
        self.reference = document.text("id")
        self.status = document.text("status")
        units = document.objects_or_none("purchase_units") or []
        self._payments = units[0].object_or_none("payments") if units else None
        self.authorisations = self._listed("authorizations")
        """Oldest first: the first is the original, later ones re-authorise it."""
        self.captures = self._listed("captures")
        self.refunds = self._listed("refunds")

    @property
    def amount(self) -> Money:
        """What was ordered."""
        return money_of(self.document.objects("purchase_units")[0])

    @property
    def reserving(self) -> Fields | None:
        """The newest authorisation that reserves something, else the newest of all."""
        live = [one for one in self.authorisations if one.text("status") not in ENDED]
        return next(reversed(live or self.authorisations), None)

    @property
    def taking(self) -> Fields | None:
        """The capture that took the money or still may: of several only the failed ones were without effect."""
        return next((one for one in reversed(self.captures) if one.text("status") not in FAILED_CAPTURES), None)

    @property
    def approval_url(self) -> str | None:
        """Where the payer approves it."""
        links = self.document.objects_or_none("links") or []
        return next((one.text("href") for one in links if one.text_or_none("rel") in ("payer-action", "approve")), None)

    def _listed(self, name: str) -> list[Fields]:
        found = (self._payments.objects_or_none(name) if self._payments else None) or []
        return sorted(found, key=lambda one: one.moment_or_none("create_time") or _LONG_AGO)


def order_request(request: PaymentRequest, return_url: str) -> dict[str, object]:
    """The body of a new order; raises NotPayable for an amount or a payment method that PayPal cannot take."""
    unit: dict[str, object] = {
        "amount": to_paypal(request.amount),
        "custom_id": request.payment_id,
        # PayPal refuses a second payment under one invoice number: the guard where its memory of the request id has ended.
        "invoice_id": request.payment_id,
        "description": (request.description or request.payment_id)[:MAX_TEXT],
    }
    wallet = _wallet(request.payment_method or "", return_url)
    return {"intent": "AUTHORIZE", "purchase_units": [unit], "payment_source": {"paypal": wallet}}


def _wallet(method: str, return_url: str) -> dict[str, object]:
    if method.startswith(VAULTED):
        return {"vault_id": method.removeprefix(VAULTED)}
    if method != WALLET:
        raise NotPayable("card_declined", "This payment method cannot be used with PayPal.")
    context = {
        "return_url": return_url,
        "cancel_url": return_url,
        "shipping_preference": "NO_SHIPPING",
        "user_action": "PAY_NOW",
        # An e-check would leave the capture pending for days, while suppliers' holds run out.
        "payment_method_preference": "IMMEDIATE_PAYMENT_REQUIRED",
    }
    return {"experience_context": context}


def mark_of(idempotency_key: str) -> str:
    """A refund's `custom_id`: its key, in the characters that PayPal allows there."""
    return idempotency_key.replace(":", ".")


def key_of(mark: str | None) -> str | None:
    """The key that a refund's `custom_id` was made from; None for what is no refund of ours, such as one that people have made."""
    return mark.replace(".", ":") if mark and "." in mark else None


def payment_id_of(mark: str) -> str:
    """The payment a `custom_id` of ours speaks of: that of an order is the payment's id, that of a refund begins with it."""
    return mark.partition(".")[0]


def honoured_until(authorisation: Fields) -> datetime | None:
    """Three days after it was made, or its `expiration_time` if that is earlier; None where PayPal tells neither.

    Not the 29 days of `expiration_time`: after the honour period a capture may be refused, so by then it must be taken or
    re-authorised.
    """
    made_at = authorisation.moment_or_none("create_time")
    ends_at = authorisation.moment_or_none("expiration_time")
    known = [moment for moment in (made_at and made_at + HONOUR_PERIOD, ends_at) if moment]
    return min(known, default=None)


def authorisation_of(order: Order) -> PaymentOutcome:
    """What an order proves of the money being reserved."""
    authorisation = order.reserving
    if authorisation is not None:
        return authorised_as(order.reference, authorisation)
    if order.status in ("CREATED", "PAYER_ACTION_REQUIRED"):
        return ActionRequired(provider_reference=order.reference)
    if order.status == "VOIDED":
        return Rejected(code="payment_not_completed", message="The order was cancelled.")
    return Unknown(reason=f"{VENDOR}: the order is {order.status} and shows no authorisation")


def authorised_as(order_reference: str, authorisation: Fields) -> Outcome:
    """The outcome of an authorisation, or of renewing it."""
    status = authorisation.text("status")
    if status == "DENIED":
        return Rejected(code="card_declined", message="PayPal declined the payment.")
    if status == "VOIDED":
        return Rejected(code="payment_not_completed", message="The authorisation has ended.")
    if status not in ("CREATED", "CAPTURED", "PARTIALLY_CAPTURED"):
        return Unknown(reason=f"{VENDOR}: the authorisation is {status}")
    return Confirmed(
        provider_reference=order_reference,
        price=money_of(authorisation),
        expires_at=honoured_until(authorisation),
    )


def captured_as(order_reference: str, capture: Fields, wanted: Money) -> Outcome:
    """The outcome of a capture by its own status; Unknown while it is pending."""
    status = capture.text("status")
    if status == "DECLINED":
        return Rejected(code="card_declined", message="PayPal declined the payment.")
    if status == "FAILED":
        return Rejected(code="vendor_rejected", message="PayPal could not take the payment.")
    if status not in TAKEN:
        return Unknown(reason=f"{VENDOR}: the capture is {status}")
    taken = money_of(capture)
    if taken != wanted:
        return Rejected(code="already_captured", message="Another amount was captured already.", price=taken)
    return Confirmed(provider_reference=order_reference, price=taken)


def payment_of(order: Order) -> ProviderPayment:
    """An order as a payment. Refunds under way count as refunded: nobody may give the same money back twice."""
    amount = order.amount
    status = _status_of(order)
    authorisation = order.reserving
    given_back = [one for one in order.refunds if refund_of(one).status != "failed"]
    taken = [one for one in order.captures if one.text("status") in TAKEN]
    reserved = status in ("authorised", "captured") and authorisation is not None
    return ProviderPayment(
        provider_reference=order.reference,
        status=status,
        authorised=money_of(authorisation) if reserved and authorisation else Money.zero(amount.currency),
        captured=total((money_of(one) for one in taken), amount.currency),
        refunded=total((money_of(one) for one in given_back), amount.currency),
        expires_at=honoured_until(authorisation) if status == "authorised" and authorisation else None,
        approval_url=order.approval_url if status == "action_required" else None,
        failure=_failure(order),
    )


def _status_of(order: Order) -> _Status:
    if order.taking is not None:
        return "captured" if order.taking.text("status") in TAKEN else "processing"
    authorisation = order.reserving
    told = authorisation.text("status") if authorisation else order.status
    status = (_BY_AUTHORISATION if authorisation else _BY_ORDER).get(told)
    if status is None:
        # Under review, completed without showing how, or something new.
        _logger.info("payment_in_between", vendor=VENDOR, status=told)
    return status or "processing"


def _failure(order: Order) -> str | None:
    failed = [one.text("status") for one in order.captures if one.text("status") in FAILED_CAPTURES]
    denied = [one.text("status") for one in order.authorisations if one.text("status") == "DENIED"]
    return next(reversed(denied + failed), None)


def refund_of(refund: Fields) -> ProviderRefund:
    """A refund; a status we do not know counts as pending."""
    told = refund.text("status")
    if told not in _REFUND_STATUSES:
        _logger.warning("unknown_status", vendor=VENDOR, status=told)
    details = refund.object_or_none("status_details")
    return ProviderRefund(
        provider_reference=refund.text("id"),
        status=_REFUND_STATUSES.get(told, "pending"),
        amount=money_of(refund),
        failure=details.text_or_none("reason") if details else None,
    )
