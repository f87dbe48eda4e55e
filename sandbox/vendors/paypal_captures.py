"""Captures: money taken of an authorisation, or at once by an order whose intent is that."""

from __future__ import annotations

from typing import cast

from sandbox.faults import Fault
from sandbox.vendors.paypal_documents import Authorization, Capture, Order, Pending
from sandbox.vendors.paypal_records import Records
from sandbox.vendors.paypal_wire import VENDOR, new_id
from sandbox.world import JsonObject


class Captures:
    """The one place that makes and changes captures."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def make(
        self,
        order: Order,
        authorization: Authorization | None,
        amount: int,
        *,
        final: bool,
        invoice_id: str | None,
        fault: Fault | None,
    ) -> Capture:
        """Take the amount, which the caller has found to be there; later, and perhaps not, if the plan says so."""
        now = self._records.now()
        later = fault is not None and fault.action == "accept_later"
        capture = Capture(
            id=new_id(self._records.world),
            order=order["id"],
            authorization=authorization["id"] if authorization else None,
            parent=self._records.state_of(authorization)["id"] if authorization else None,
            amount=amount,
            currency=order["currency"],
            status="PENDING",
            final=final,
            custom_id=order["custom_id"],
            invoice_id=invoice_id or order["invoice_id"],
            returned=0,
            created=now,
            updated=now,
            recorded=now,
            pending=Pending(due=now + fault.delay_s, fail=fault.fail) if fault and later else None,
        )
        order["captures"].append(capture["id"])
        self._records.save("order", order)
        self._records.save("capture", capture)
        if capture["pending"]:
            self._records.tell_capture("PAYMENT.CAPTURE.PENDING", capture)
            self._finish_later(capture, capture["pending"])
        else:
            self._complete(capture)
        return capture

    def resume(self) -> None:
        """Ask again for the timers that a restart of the process lost."""
        for document in self._records.world.all(VENDOR, "capture"):
            capture = cast(Capture, cast(object, document))
            if capture["pending"]:
                self._finish_later(capture, capture["pending"])

    def _finish_later(self, capture: Capture, pending: Pending) -> None:
        async def finish() -> None:
            capture["pending"] = None
            if pending["fail"]:
                self._fail(capture)
            else:
                self._complete(capture)

        self._records.world.later(max(0.0, pending["due"] - self._records.now()), finish)

    def _complete(self, capture: Capture) -> None:
        order = self._records.order(capture["order"])
        details: JsonObject = {"capture": capture["id"]}
        if capture["parent"] is None:
            self._records.effect("payment.authorised", order, capture["amount"], details)
            released = 0
        else:
            state = self._records.authorization(capture["parent"])
            details["authorization"] = capture["authorization"]
            released = state["amount"] - state["claimed"] if state["status"] == "CAPTURED" else 0
        capture["status"] = "COMPLETED"
        self._records.save("capture", capture)
        self._records.effect("payment.captured", order, capture["amount"], {**details, "released_minor": released})
        self._records.tell_capture("PAYMENT.CAPTURE.COMPLETED", capture)

    def _fail(self, capture: Capture) -> None:
        """What was accepted did not work out; an authorisation that could not be captured is gone."""
        order = self._records.order(capture["order"])
        details: JsonObject = {"capture": capture["id"]}
        capture["status"] = "DECLINED"
        self._records.save("capture", capture)
        if capture["parent"]:
            state = self._records.authorization(capture["parent"])
            state["claimed"] -= capture["amount"]
            # What was not claimed may have been let go of since.
            held = capture["amount"] if state["status"] == "VOIDED" else state["amount"] - state["claimed"]
            state["status"] = "VOIDED"
            self._records.save("authorization", state)
            self._records.effect("payment.voided", order, held, {**details, "capture_failed": True})
        self._records.effect("payment.declined", order, capture["amount"], details)
        self._records.tell_capture("PAYMENT.CAPTURE.DENIED", capture)
