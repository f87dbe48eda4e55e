"""Disputes: a customer's bank takes a charge back for the time being. Made by the control route, listed as Stripe lists them
(`dispute` of the published contract, which also defines the fields)."""

from __future__ import annotations

from typing import Final, TypedDict, cast

from sandbox.vendors.stripe_payments import VENDOR, Payments
from sandbox.vendors.stripe_wire import StripeError, missing
from sandbox.world import JsonObject, World

_ANSWER_WITHIN_S: Final = 7 * 24 * 3600
_EVIDENCE: Final = (
    *("access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure"),
    *("cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name"),
    *("customer_purchase_ip", "customer_signature", "duplicate_charge_documentation", "duplicate_charge_explanation"),
    *("duplicate_charge_id", "product_description", "receipt", "refund_policy", "refund_policy_disclosure"),
    *("refund_refusal_explanation", "service_date", "service_documentation", "shipping_address", "shipping_carrier"),
    *("shipping_date", "shipping_documentation", "shipping_tracking_number", "uncategorized_file"),
    "uncategorized_text",
)


class Dispute(TypedDict):
    """A dispute's state; it stays open, since nobody here decides it."""

    id: str
    charge: str
    payment_intent: str
    amount: int
    currency: str
    created: int


class Disputes:
    """Every dispute of a world."""

    def __init__(self, world: World, payments: Payments) -> None:
        self._world = world
        self._payments = payments

    def open(self, intent_id: str) -> Dispute:
        """The bank disputes all that was taken. Raises StripeError for a payment of which nothing was."""
        intent = self._payments.intent(intent_id)
        if intent["charge"] is None or intent["status"] != "succeeded":
            raise StripeError(400, "invalid_request_error", f"Nothing was taken by {intent_id}.")
        dispute = Dispute(
            id=self._world.new_id("dp_"),
            charge=intent["charge"],
            payment_intent=intent["id"],
            amount=intent["received"],
            currency=intent["currency"],
            created=int(self._world.now().timestamp()),
        )
        self._world.put(VENDOR, "dispute", dispute["id"], cast(JsonObject, cast(object, dispute)))
        self._payments.webhooks.emit("charge.dispute.created", dispute_document(dispute))
        return dispute

    def dispute(self, dispute_id: str) -> Dispute:
        found = self._world.get(VENDOR, "dispute", dispute_id)
        if found is None:
            raise missing("dispute", dispute_id, "dispute")
        return cast(Dispute, cast(object, found))


def dispute_document(dispute: Dispute) -> JsonObject:
    """The `dispute` object."""
    due_by = dispute["created"] + _ANSWER_WITHIN_S
    return {
        "id": dispute["id"],
        "object": "dispute",
        "amount": dispute["amount"],
        "balance_transactions": [],
        "charge": dispute["charge"],
        "created": dispute["created"],
        "currency": dispute["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": due_by,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": dispute["payment_intent"],
        "reason": "fraudulent",
        "status": "needs_response",
    }
