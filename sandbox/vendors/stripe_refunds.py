"""Refunds: never more than was captured and not yet refunded; pending ones end well or badly, later."""

from __future__ import annotations

from typing import Final, cast

from sandbox.faults import Fault
from sandbox.vendors.stripe_documents import Charge, Intent, Refund, charge_document, refund_document
from sandbox.vendors.stripe_payments import VENDOR, Payments
from sandbox.vendors.stripe_wire import Parameters, StripeError, invalid, missing
from sandbox.world import JsonObject, World

_SLOW: Final = frozenset({"refund_pending", "refund_fails", "accept_later"})


class Refunds:
    """Every refund of a world, and the one place that changes them."""

    def __init__(self, world: World, payments: Payments) -> None:
        self._world = world
        self._payments = payments

    def refund(self, refund_id: str) -> Refund:
        found = self._world.get(VENDOR, "refund", refund_id)
        if found is None:
            raise missing("refund", refund_id, "refund")
        return cast(Refund, cast(object, found))

    def create(self, parameters: Parameters, fault: Fault | None, key: str | None) -> Refund:
        """POST /refunds."""
        intent = self._intent_of(parameters)
        if intent["charge"] is None or intent["status"] != "succeeded":
            raise StripeError(
                400,
                "invalid_request_error",
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
                code="payment_intent_unexpected_state",
            )
        charge = self._payments.charge(intent["charge"])
        amount = _refundable(charge, parameters.integer("amount"))
        slow = fault is not None and fault.action in _SLOW
        delay_s = fault.delay_s if fault else 0.0
        refund = Refund(
            id=self._world.new_id("re_"),
            payment_intent=intent["id"],
            charge=charge["id"],
            amount=amount,
            currency=intent["currency"],
            created=int(self._world.now().timestamp()),
            metadata=parameters.metadata(),
            reason=parameters.text("reason"),
            status="pending" if slow else "succeeded",
            due=self._world.now().timestamp() + delay_s,
            fail=fault is not None and (fault.action == "refund_fails" or fault.fail),
        )
        intent["refunds"].append(refund["id"])
        self._world.put(VENDOR, "payment_intent", intent["id"], cast(JsonObject, cast(object, intent)))
        # Money on its way back is no longer refundable: a pending refund counts like one that succeeded.
        self._add_refunded(charge, amount)
        self._save(refund)
        self._effect("payment.refund_pending" if slow else "payment.refunded", refund, intent)
        emit = self._payments.webhooks.emit
        emit("refund.created", refund_document(refund), key)
        emit("charge.refunded", charge_document(charge, intent), key)
        if slow:
            self._finish_later(refund, intent)
        return refund

    def of_intent(self, intent: Intent) -> list[Refund]:
        """A payment's refunds, oldest first."""
        return [self.refund(refund_id) for refund_id in intent["refunds"]]

    def resume(self) -> None:
        """Ask again for the timers that a restart of the process lost."""
        for document in self._world.all(VENDOR, "refund"):
            refund = cast(Refund, cast(object, document))
            if refund["status"] == "pending":
                self._finish_later(refund, self._payments.intent(refund["payment_intent"]))

    def _finish_later(self, refund: Refund, intent: Intent) -> None:
        async def finish() -> None:
            emit = self._payments.webhooks.emit
            refund["status"] = "failed" if refund["fail"] else "succeeded"
            self._save(refund)
            emit("refund.updated", refund_document(refund))
            if refund["fail"]:
                charge = self._payments.charge(refund["charge"])
                self._add_refunded(charge, -refund["amount"])
                self._effect("payment.refund_failed", refund, intent)
                emit("refund.failed", refund_document(refund))
            else:
                self._effect("payment.refunded", refund, intent)

        self._world.later(max(0.0, refund["due"] - self._world.now().timestamp()), finish)

    def _intent_of(self, parameters: Parameters) -> Intent:
        intent_id = parameters.text("payment_intent")
        charge_id = parameters.text("charge")
        if intent_id is not None:
            return self._payments.intent(intent_id, "payment_intent")
        if charge_id is not None:
            charge = self._payments.charge(charge_id)
            return self._payments.intent(charge["payment_intent"], "payment_intent")
        raise invalid(
            "One of the following params should be provided for this request: payment_intent or charge.",
            code="parameter_missing",
        )

    def _add_refunded(self, charge: Charge, amount: int) -> None:
        charge["refunded"] += amount
        self._world.put(VENDOR, "charge", charge["id"], cast(JsonObject, cast(object, charge)))

    def _save(self, refund: Refund) -> None:
        self._world.put(VENDOR, "refund", refund["id"], cast(JsonObject, cast(object, refund)))

    def _effect(self, effect: str, refund: Refund, intent: Intent) -> None:
        self._world.effect(
            VENDOR,
            effect,
            object_id=intent["id"],
            metadata=cast(JsonObject, intent["metadata"] | refund["metadata"]),
            amount_minor=refund["amount"],
            currency=refund["currency"].upper(),
            details={"refund": refund["id"], "charge": refund["charge"]},
        )


def _refundable(charge: Charge, wanted: int | None) -> int:
    """The amount to refund; Stripe gives the already refunded charge a code, the too large amount only a message."""
    left = charge["captured"] - charge["refunded"]
    if left == 0:
        raise invalid(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded", executed=True
        )
    amount = left if wanted is None else wanted
    if amount < 1:
        raise invalid("Invalid positive integer", param="amount", code="parameter_invalid_integer")
    if amount > left:
        whole = "unrefunded amount on charge" if charge["refunded"] else "charge amount"
        raise invalid(
            f"Refund amount ({amount / 100:.2f}) is greater than {whole} ({left / 100:.2f})",
            param="amount",
            executed=True,
        )
    return amount
