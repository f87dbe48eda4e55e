"""Orders: created, approved by the payer or by what is in the vault, then authorised or captured, once.

An order is COMPLETED when its payment has been made, whatever then becomes of the payment. Only orders of one purchase
unit are played. A payer who turns away leaves a real order as it is until it dies, hours later; here it dies at once.
"""

from __future__ import annotations

from typing import Final, NoReturn

from sandbox.faults import Fault
from sandbox.vendors.paypal_authorizations import Authorizations
from sandbox.vendors.paypal_captures import Captures
from sandbox.vendors.paypal_documents import Order, order_links
from sandbox.vendors.paypal_records import Records, client_metadata
from sandbox.vendors.paypal_requests import (
    CompletionRequest,
    Experience,
    OrderRequest,
    PaymentSource,
    order_amount_minor,
)
from sandbox.vendors.paypal_wire import PayPalError, new_id

DECLINED_VAULT_ID: Final = "declined"
"""A vaulted payment source whose every payment is declined."""

_UNAPPROVED: Final = ("CREATED", "PAYER_ACTION_REQUIRED")


class Orders:
    """The one place that makes and changes orders."""

    def __init__(self, records: Records, authorizations: Authorizations, captures: Captures) -> None:
        self._records = records
        self._authorizations = authorizations
        self._captures = captures

    def create(self, asked: OrderRequest, fault: Fault | None, key: str | None) -> Order:
        """POST /v2/checkout/orders"""
        if len(asked.purchase_units) > 1:
            if asked.intent == "AUTHORIZE":
                raise PayPalError(422, "UNSUPPORTED_INTENT", field="/intent")
            raise PayPalError(400, "NOT_SUPPORTED", field="/purchase_units/1")
        if asked.payment_source is not None and key is None:
            raise PayPalError(400, "PAYPAL_REQUEST_ID_REQUIRED")
        amount = order_amount_minor(asked.purchase_units[0].amount, "/purchase_units/0/amount")
        order = self._new(asked, amount, key)
        if fault is not None and fault.action == "decline":
            self._decline(order, fault.code or "INSTRUMENT_DECLINED")
        order["challenged"] = fault is not None and fault.action == "three_d_secure"
        if order["vault_id"] and not order["challenged"]:
            order["status"] = "APPROVED"
        elif order["with_source"] or order["challenged"]:
            order["status"] = "PAYER_ACTION_REQUIRED"
        self._records.save("order", order)
        if order["status"] == "APPROVED":
            self._records.tell_order("CHECKOUT.ORDER.APPROVED", order)
        else:
            self._records.effect("payment.action_required", order, amount, {})
        return order

    def approve(self, order_id: str) -> Order:
        """The payer agrees."""
        order = self._waiting(order_id)
        order["status"] = "APPROVED"
        order["challenged"] = False
        self._records.save("order", order)
        self._records.tell_order("CHECKOUT.ORDER.APPROVED", order)
        return order

    def decline(self, order_id: str) -> Order:
        """The payer turns away."""
        order = self._waiting(order_id)
        order["status"] = "VOIDED"
        self._records.save("order", order)
        self._records.effect("payment.declined", order, order["amount"], {"by": "payer"})
        self._records.tell_order("CHECKOUT.ORDER.VOIDED", order)
        return order

    def authorise(self, order_id: str, asked: CompletionRequest, fault: Fault | None, base: str) -> None:
        """POST …/authorize"""
        order = self._records.order(order_id)
        if order["intent"] != "AUTHORIZE":
            raise PayPalError(422, "ACTION_DOES_NOT_MATCH_INTENT")
        if order["status"] == "VOIDED":
            raise PayPalError(422, "ORDER_COMPLETED_OR_VOIDED")
        if order["status"] == "COMPLETED":
            raise PayPalError(422, "ORDER_ALREADY_AUTHORIZED")
        # The contract has no INSTRUMENT_DECLINED here.
        self._ready(order, asked, fault, base, declined="PAYER_CANNOT_PAY")
        order["status"] = "COMPLETED"
        self._authorizations.make(order, fault)

    def capture(self, order_id: str, asked: CompletionRequest, fault: Fault | None, base: str) -> None:
        """POST …/capture"""
        order = self._records.order(order_id)
        if order["intent"] != "CAPTURE" or order["status"] == "VOIDED":
            raise PayPalError(422, "TRANSACTION_REFUSED")
        if order["status"] == "COMPLETED":
            raise PayPalError(422, "ORDER_ALREADY_CAPTURED")
        self._ready(order, asked, fault, base, declined="INSTRUMENT_DECLINED")
        order["status"] = "COMPLETED"
        self._captures.make(order, None, order["amount"], final=True, invoice_id=None, fault=fault)

    # --------------------------------------------------------------------------------------------- what follows

    def _new(self, asked: OrderRequest, amount: int, key: str | None) -> Order:
        unit = asked.purchase_units[0]
        wallet = asked.payment_source.paypal if asked.payment_source else None
        experience = wallet.experience_context if wallet else asked.application_context or Experience()
        now = self._records.now()
        return Order(
            id=new_id(self._records.world),
            intent=asked.intent,
            status="CREATED",
            amount=amount,
            currency=unit.amount.currency_code,
            reference_id=unit.reference_id,
            custom_id=unit.custom_id,
            invoice_id=unit.invoice_id,
            description=unit.description,
            paypal_account=wallet.email_address if wallet else None,
            vault_id=asked.payment_source.vaulted if asked.payment_source else None,
            with_source=asked.payment_source is not None,
            challenged=False,
            return_url=experience.return_url,
            cancel_url=experience.cancel_url,
            metadata=client_metadata(key, unit.custom_id, unit.invoice_id),
            authorizations=[],
            captures=[],
            refunds=[],
            created=now,
            updated=now,
        )

    def _waiting(self, order_id: str) -> Order:
        order = self._records.order(order_id)
        if order["status"] not in _UNAPPROVED:
            raise PayPalError(422, "ORDER_COMPLETED_OR_VOIDED")
        return order

    def _ready(self, order: Order, asked: CompletionRequest, fault: Fault | None, base: str, *, declined: str) -> None:
        """An order that can be paid now; raises what PayPal says of another."""
        if fault is not None and fault.action == "three_d_secure":
            order["status"] = "PAYER_ACTION_REQUIRED"
            order["challenged"] = True
            self._records.save("order", order)
            self._records.effect("payment.action_required", order, order["amount"], {})
        if order["challenged"]:
            links = [link for link in order_links(order, base) if link["rel"] == "payer-action"]
            raise PayPalError(422, "PAYER_ACTION_REQUIRED", links=links)
        self._use(order, asked.payment_source)
        if order["status"] != "APPROVED":
            raise PayPalError(422, "ORDER_NOT_APPROVED")
        if fault is not None and fault.action == "decline":
            self._decline(order, fault.code or declined)
        if order["vault_id"] == DECLINED_VAULT_ID:
            self._decline(order, declined)
        self._records.claim_invoice(order, order["invoice_id"])

    def _use(self, order: Order, source: PaymentSource | None) -> None:
        """A vaulted payer who is named only now."""
        if source is not None and source.vaulted and order["status"] in _UNAPPROVED:
            order["vault_id"] = source.vaulted
            order["status"] = "APPROVED"
            self._records.save("order", order)

    def _decline(self, order: Order, issue: str) -> NoReturn:
        self._records.effect("payment.declined", order, order["amount"], {"issue": issue})
        raise PayPalError(422, issue)
