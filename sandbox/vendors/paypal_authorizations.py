"""Authorisations: money reserved for 29 days and honoured for three; captured, voided, renewed once, expired.

A re-authorisation is a second id for the same money. It is captured by its own id, voided by its parent's, and ends with it.
Not in the contract, and chosen here: more than was reserved is never taken (elsewhere up to 115 % may be), and a renewal
is refused before the honour period is over.
"""

from __future__ import annotations

from typing import Final, cast

from sandbox.faults import Fault
from sandbox.vendors.paypal_captures import Captures
from sandbox.vendors.paypal_documents import Authorization, Capture, Order, Pending
from sandbox.vendors.paypal_records import Records
from sandbox.vendors.paypal_requests import CaptureRequest, ReauthoriseRequest
from sandbox.vendors.paypal_wire import VENDOR, PayPalError, minor, new_id
from sandbox.world import JsonObject

DAY_S: Final = 24 * 3600
HONOURED_S: Final = 3 * DAY_S
VALID_S: Final = 29 * DAY_S

_OPEN: Final = ("CREATED", "PARTIALLY_CAPTURED")


class Authorizations:
    """The one place that makes and changes authorisations."""

    def __init__(self, records: Records, captures: Captures) -> None:
        self._records = records
        self._captures = captures

    def make(self, order: Order, fault: Fault | None) -> Authorization:
        """Reserve the amount of an approved order; after a review, and perhaps not, if the plan says so."""
        now = self._records.now()
        later = fault is not None and fault.action == "accept_later"
        authorization = self._new(order, order["amount"], now + VALID_S)
        self._attach(order, authorization)
        if fault is not None and later:
            authorization["pending"] = Pending(due=now + fault.delay_s, fail=fault.fail)
            self._records.save("authorization", authorization)
            self._finish_later(authorization, authorization["pending"])
        else:
            self._open(authorization)
        if fault is not None and fault.action == "aged":
            self.age(authorization["id"], fault.age_s)
        return authorization

    def capture(self, authorization_id: str, asked: CaptureRequest, fault: Fault | None) -> Capture:
        """POST …/capture: all or a part; `final_capture` releases what is left."""
        authorization = self._records.authorization(authorization_id)
        state = self._records.state_of(authorization)
        order = self._records.order(state["order"])
        if state["status"] not in _OPEN:
            raise PayPalError(422, _refusal(state))
        left = authorization["amount"] - state["claimed"]
        amount = left
        if asked.amount is not None:
            amount = minor(asked.amount.value, asked.amount.currency_code, api="payments", field="/amount")
            if asked.amount.currency_code != state["currency"]:
                raise PayPalError(422, "AUTH_CAPTURE_CURRENCY_MISMATCH", field="/amount/currency_code")
        if amount > left:
            raise PayPalError(422, "MAX_CAPTURE_AMOUNT_EXCEEDED", field="/amount/value")
        if fault is not None and fault.action == "decline":
            issue = fault.code or "PAYER_CANNOT_PAY"
            self._records.effect("payment.declined", order, amount, {"authorization": authorization_id, "issue": issue})
            raise PayPalError(422, issue)
        self._records.claim_invoice(order, asked.invoice_id, again=not order["captures"])
        state["claimed"] += amount
        whole = asked.final_capture or state["claimed"] == authorization["amount"]
        state["status"] = "CAPTURED" if whole else "PARTIALLY_CAPTURED"
        self._records.save("authorization", state)
        return self._captures.make(
            order, authorization, amount, final=asked.final_capture, invoice_id=asked.invoice_id, fault=fault
        )

    def void(self, authorization_id: str) -> None:
        """POST …/void: by state, without a key."""
        authorization = self._records.authorization(authorization_id)
        if authorization["parent"]:
            raise PayPalError(422, "CANNOT_BE_VOIDED")
        if authorization["status"] == "CAPTURED":
            raise PayPalError(422, "PREVIOUSLY_CAPTURED")
        if authorization["status"] in ("VOIDED", "DENIED"):
            raise PayPalError(422, "PREVIOUSLY_VOIDED")
        self._release(authorization, {})

    def reauthorise(self, authorization_id: str, asked: ReauthoriseRequest, fault: Fault | None) -> Authorization:
        """POST …/reauthorize: once, from the fourth day on."""
        authorization = self._records.authorization(authorization_id)
        order = self._records.order(authorization["order"])
        if authorization["parent"] or len(order["authorizations"]) > 1:
            raise PayPalError(422, "REAUTHORIZATION_NOT_SUPPORTED")
        if authorization["status"] not in _OPEN:
            captured = authorization["status"] == "CAPTURED"
            raise PayPalError(422, "AUTHORIZATION_ALREADY_CAPTURED" if captured else "AUTHORIZATION_VOIDED")
        if self._records.now() < authorization["created"] + HONOURED_S:
            raise PayPalError(422, "REAUTHORIZATION_NOT_SUPPORTED")
        amount = authorization["amount"]
        if asked.amount is not None:
            amount = minor(asked.amount.value, asked.amount.currency_code, api="payments", field="/amount")
            if asked.amount.currency_code != authorization["currency"]:
                raise PayPalError(422, "AUTH_CURRENCY_MISMATCH", field="/amount/currency_code")
        if amount > authorization["amount"]:
            raise PayPalError(422, "TRANSACTION_REFUSED", field="/amount/value")
        if fault is not None:
            raise PayPalError(422, fault.code or "PAYER_CANNOT_PAY")
        renewed = self._new(order, amount, authorization["expires"])
        renewed["parent"] = authorization["id"]
        renewed["status"] = "CREATED"
        renewed["opened"] = True
        self._attach(order, renewed)
        self._records.save("authorization", renewed)
        details: JsonObject = {"authorization": renewed["id"], "parent": authorization["id"]}
        self._records.effect("payment.reauthorised", order, amount, details)
        self._records.tell_authorization("PAYMENT.AUTHORIZATION.CREATED", renewed)
        return renewed

    def age(self, authorization_id: str, by_s: float) -> Authorization:
        """As if it had been made so many seconds earlier."""
        authorization = self._records.authorization(authorization_id)
        authorization["created"] -= by_s
        authorization["expires"] -= by_s
        self._records.save("authorization", authorization)
        if authorization["status"] in _OPEN and not authorization["parent"]:
            if authorization["expires"] <= self._records.now():
                self._expire(authorization)
            else:
                self._expire_later(authorization)
        return authorization

    def resume(self) -> None:
        """Ask again for the timers that a restart of the process lost."""
        for document in self._records.world.all(VENDOR, "authorization"):
            authorization = cast(Authorization, cast(object, document))
            if authorization["pending"]:
                self._finish_later(authorization, authorization["pending"])
            elif authorization["status"] in _OPEN and not authorization["parent"]:
                self._expire_later(authorization)

    # --------------------------------------------------------------------------------------------- what follows

    def _new(self, order: Order, amount: int, expires: float) -> Authorization:
        now = self._records.now()
        return Authorization(
            id=new_id(self._records.world),
            order=order["id"],
            parent=None,
            amount=amount,
            currency=order["currency"],
            status="PENDING",
            opened=False,
            expired=False,
            claimed=0,
            custom_id=order["custom_id"],
            invoice_id=order["invoice_id"],
            expires=expires,
            created=now,
            updated=now,
            recorded=now,
            pending=None,
        )

    def _attach(self, order: Order, authorization: Authorization) -> None:
        order["authorizations"].append(authorization["id"])
        self._records.save("order", order)

    def _open(self, authorization: Authorization) -> None:
        authorization["status"] = "CREATED"
        authorization["opened"] = True
        self._records.save("authorization", authorization)
        order = self._records.order(authorization["order"])
        details: JsonObject = {"authorization": authorization["id"]}
        self._records.effect("payment.authorised", order, authorization["amount"], details)
        self._records.tell_authorization("PAYMENT.AUTHORIZATION.CREATED", authorization)
        self._expire_later(authorization)

    def _finish_later(self, authorization: Authorization, pending: Pending) -> None:
        async def finish() -> None:
            if authorization["pending"] is not pending:
                return
            authorization["pending"] = None
            if not pending["fail"]:
                self._open(authorization)
                return
            # PayPal documents no event for this.
            authorization["status"] = "DENIED"
            self._records.save("authorization", authorization)
            order = self._records.order(authorization["order"])
            details: JsonObject = {"authorization": authorization["id"]}
            self._records.effect("payment.declined", order, authorization["amount"], details)

        self._records.world.later(max(0.0, pending["due"] - self._records.now()), finish)

    def _expire_later(self, authorization: Authorization) -> None:
        due = authorization["expires"]

        async def expire() -> None:
            # Unless it has been made older since: then there is another timer.
            if authorization["status"] in _OPEN and authorization["expires"] == due:
                self._expire(authorization)

        self._records.world.later(max(0.0, due - self._records.now()), expire)

    def _expire(self, authorization: Authorization) -> None:
        authorization["expired"] = True
        self._release(authorization, {"expired": True})

    def _release(self, authorization: Authorization, details: JsonObject) -> None:
        """Let go of what is not taken. PayPal tells of an expiry with the same event."""
        held = authorization["amount"] - authorization["claimed"] if authorization["status"] in _OPEN else 0
        authorization["status"] = "VOIDED"
        authorization["pending"] = None
        self._records.save("authorization", authorization)
        order = self._records.order(authorization["order"])
        if not order["captures"]:
            order["status"] = "VOIDED"
            self._records.save("order", order)
        if held:
            told: JsonObject = {"authorization": authorization["id"], **details}
            self._records.effect("payment.voided", order, held, told)
        self._records.tell_authorization("PAYMENT.AUTHORIZATION.VOIDED", authorization)


def _refusal(state: Authorization) -> str:
    """Why an authorisation cannot be captured."""
    if state["status"] == "VOIDED":
        return "AUTHORIZATION_EXPIRED" if state["expired"] else "AUTHORIZATION_VOIDED"
    if state["status"] == "CAPTURED":
        return "AUTHORIZATION_ALREADY_CAPTURED"
    return "AUTHORIZATION_DENIED" if state["status"] == "DENIED" else "TRANSACTION_REFUSED"
