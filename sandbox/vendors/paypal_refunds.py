"""Refunds: never more than was captured and not yet refunded; pending ones end well or badly, later."""

from __future__ import annotations

from typing import Final, cast

from sandbox.faults import Fault
from sandbox.vendors.paypal_documents import Capture, Pending, Refund
from sandbox.vendors.paypal_records import Records
from sandbox.vendors.paypal_requests import RefundRequest
from sandbox.vendors.paypal_wire import VENDOR, PayPalError, minor, new_id
from sandbox.world import JsonObject

_UNREFUNDABLE: Final = {
    "PENDING": "PENDING_CAPTURE",
    "DECLINED": "REFUND_NOT_ALLOWED",
    "REFUNDED": "CAPTURE_FULLY_REFUNDED",
}


class Refunds:
    """The one place that makes and changes refunds."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def make(self, capture_id: str, asked: RefundRequest, fault: Fault | None, key: str | None) -> Refund:
        """POST /v2/payments/captures/{id}/refund: a part, or what is left."""
        capture = self._records.capture(capture_id)
        amount = _refundable(capture, asked)
        self._claim_invoice(asked.invoice_id)
        now = self._records.now()
        fails = fault is not None and (fault.action == "refund_fails" or fault.fail)
        refund = Refund(
            id=new_id(self._records.world),
            order=capture["order"],
            capture=capture_id,
            amount=amount,
            currency=capture["currency"],
            status="PENDING" if fault else "COMPLETED",
            key=key,
            custom_id=asked.custom_id or capture["custom_id"],
            invoice_id=asked.invoice_id or capture["invoice_id"],
            note_to_payer=asked.note_to_payer,
            created=now,
            updated=now,
            recorded=now,
            pending=Pending(due=now + fault.delay_s, fail=fails) if fault else None,
        )
        order = self._records.order(capture["order"])
        order["refunds"].append(refund["id"])
        self._records.save("order", order)
        # Money on its way back is no longer refundable: a pending refund counts like one that succeeded.
        self._return(capture, amount)
        self._records.save("refund", refund)
        if refund["pending"]:
            self._effect("payment.refund_pending", refund)
            self._records.tell_refund("PAYMENT.REFUND.PENDING", refund)
            self._finish_later(refund, refund["pending"])
        else:
            self._effect("payment.refunded", refund)
            self._records.tell_refund("PAYMENT.CAPTURE.REFUNDED", refund)
        return refund

    def resume(self) -> None:
        """Ask again for the timers that a restart of the process lost."""
        for document in self._records.world.all(VENDOR, "refund"):
            refund = cast(Refund, cast(object, document))
            if refund["pending"]:
                self._finish_later(refund, refund["pending"])

    def _finish_later(self, refund: Refund, pending: Pending) -> None:
        async def finish() -> None:
            refund["pending"] = None
            refund["status"] = "FAILED" if pending["fail"] else "COMPLETED"
            self._records.save("refund", refund)
            if pending["fail"]:
                self._return(self._records.capture(refund["capture"]), -refund["amount"])
                self._effect("payment.refund_failed", refund)
                self._records.tell_refund("PAYMENT.REFUND.FAILED", refund)
            else:
                self._effect("payment.refunded", refund)
                self._records.tell_refund("PAYMENT.CAPTURE.REFUNDED", refund)

        self._records.world.later(max(0.0, pending["due"] - self._records.now()), finish)

    def _return(self, capture: Capture, amount: int) -> None:
        capture["returned"] += amount
        if capture["returned"] == 0:
            capture["status"] = "COMPLETED"
        else:
            capture["status"] = "REFUNDED" if capture["returned"] == capture["amount"] else "PARTIALLY_REFUNDED"
        self._records.save("capture", capture)

    def _claim_invoice(self, invoice_id: str | None) -> None:
        """An invoice id of a refund's own is used for one refund."""
        if invoice_id is None:
            return
        world = self._records.world
        if world.get(VENDOR, "refund_invoice", invoice_id) is not None:
            raise PayPalError(422, "DUPLICATE_INVOICE_ID", field="/invoice_id")
        world.put(VENDOR, "refund_invoice", invoice_id, {})

    def _effect(self, name: str, refund: Refund) -> None:
        details: JsonObject = {"refund": refund["id"], "capture": refund["capture"]}
        order = self._records.order(refund["order"])
        self._records.effect(name, order, refund["amount"], details, refund["key"])


def _refundable(capture: Capture, asked: RefundRequest) -> int:
    """The amount to give back."""
    if capture["status"] in _UNREFUNDABLE:
        raise PayPalError(422, _UNREFUNDABLE[capture["status"]])
    left = capture["amount"] - capture["returned"]
    if asked.amount is None:
        return left
    amount = minor(asked.amount.value, asked.amount.currency_code, api="payments", field="/amount")
    if asked.amount.currency_code != capture["currency"]:
        raise PayPalError(422, "REFUND_CAPTURE_CURRENCY_MISMATCH", field="/amount/currency_code")
    if amount > left:
        raise PayPalError(422, "REFUND_AMOUNT_EXCEEDED", field="/amount/value")
    return amount
