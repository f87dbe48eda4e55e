"""What PayPal remembers, in one place: looked up, kept, told to the ledger and to the webhook."""

from __future__ import annotations

import re
from typing import Final, cast

from sandbox.vendors.paypal_documents import (
    Authorization,
    Capture,
    Order,
    Refund,
    authorization_document,
    capture_document,
    order_document,
    refund_document,
)
from sandbox.vendors.paypal_webhooks import HOST, Webhooks
from sandbox.vendors.paypal_wire import VENDOR, PayPalError, not_found
from sandbox.world import JsonObject, World

_PAYMENT_ID: Final = re.compile(r"pay_([0-7][0-9A-HJKMNP-TV-Z]{25})[0-9a-z]")
"""A payment id of TravelHub's, with its booking's. PayPal keeps no metadata: the client's ids are in `custom_id`, and the
ledger has them out of there."""


def client_metadata(key: str | None, custom_id: str | None, invoice_id: str | None) -> dict[str, str]:
    """What the client attached, as the ledger shows it: its texts, the ids in them, and the PayPal-Request-Id."""
    attached = {"custom_id": custom_id, "invoice_id": invoice_id, "key": key}
    metadata = {name: value for name, value in attached.items() if value is not None}
    found = _PAYMENT_ID.search(f"{custom_id} {invoice_id}")
    return {**metadata, "payment_id": found[0], "booking_id": found[1]} if found else metadata


class Records:
    """Every order, authorisation, capture and refund of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.webhooks = Webhooks(world)

    # ------------------------------------------------------------------------------------------------- look up

    def order(self, order_id: str) -> Order:
        return cast(Order, self._found("order", order_id))

    def authorization(self, authorization_id: str) -> Authorization:
        return cast(Authorization, self._found("authorization", authorization_id))

    def capture(self, capture_id: str) -> Capture:
        return cast(Capture, self._found("capture", capture_id))

    def refund(self, refund_id: str) -> Refund:
        return cast(Refund, self._found("refund", refund_id))

    def state_of(self, authorization: Authorization) -> Authorization:
        """The authorisation that has the state: the parent of a re-authorisation, otherwise itself."""
        return self.authorization(authorization["parent"]) if authorization["parent"] else authorization

    def current(self, authorization_id: str) -> Authorization:
        """An authorisation, a copy, with the state it shares with its parent."""
        authorization = self.authorization(authorization_id)
        state = self.state_of(authorization)
        return {**authorization, "status": state["status"], "expires": state["expires"]}

    def now(self) -> float:
        return self.world.now().timestamp()

    # ---------------------------------------------------------------------------------------------------- keep

    def save(self, kind: str, document: Order | Authorization | Capture | Refund) -> None:
        """Keep a document that is new or was changed just now."""
        document["updated"] = self.now()
        self.world.put(VENDOR, kind, document["id"], cast(JsonObject, cast(object, document)))

    def claim_invoice(self, order: Order, invoice_id: str | None, *, again: bool = True) -> None:
        """Take an invoice id for the order's payments; raises if another order, or unless `again` this one, has it."""
        if invoice_id is None:
            return
        claimed = self.world.get(VENDOR, "invoice", invoice_id)
        if claimed is not None and (claimed["order"] != order["id"] or not again):
            raise PayPalError(422, "DUPLICATE_INVOICE_ID", field="/invoice_id")
        self.world.put(VENDOR, "invoice", invoice_id, {"order": order["id"]})

    # ---------------------------------------------------------------------------------------------------- tell

    def effect(self, name: str, order: Order, amount_minor: int, details: JsonObject, key: str | None = None) -> None:
        """Append to the ledger. All effects of a payment are those of its order."""
        metadata = order["metadata"] if key is None else {**order["metadata"], "key": key}
        self.world.effect(
            VENDOR,
            name,
            object_id=order["id"],
            metadata=cast(JsonObject, metadata),
            amount_minor=amount_minor,
            currency=order["currency"],
            details=details,
        )

    def tell_order(self, event_type: str, order: Order) -> None:
        self.webhooks.emit(event_type, "checkout-order", self.order_shown(order, HOST))

    def tell_authorization(self, event_type: str, authorization: Authorization) -> None:
        self.webhooks.emit(event_type, "authorization", authorization_shown(authorization, HOST))

    def tell_capture(self, event_type: str, capture: Capture) -> None:
        self.webhooks.emit(event_type, "capture", capture_shown(capture, HOST))

    def tell_refund(self, event_type: str, refund: Refund) -> None:
        self.webhooks.emit(event_type, "refund", refund_document(refund, HOST))

    # ---------------------------------------------------------------------------------------------------- show

    def order_shown(self, order: Order, base: str) -> JsonObject:
        """An order with all its payments."""
        shown = {
            "authorizations": [authorization_document(self.current(each), base) for each in order["authorizations"]],
            "captures": [capture_document(self.capture(each), base) for each in order["captures"]],
            "refunds": [refund_document(self.refund(each), base) for each in order["refunds"]],
        }
        return order_document(order, base, {name: listed for name, listed in shown.items() if listed})

    def _found(self, kind: str, object_id: str) -> object:
        found = self.world.get(VENDOR, kind, object_id)
        if found is None:
            raise not_found()
        return found


def capture_shown(capture: Capture, base: str) -> JsonObject:
    """A capture as it is asked for by id."""
    related: JsonObject = {"order_id": capture["order"]}
    if capture["authorization"]:
        related["authorization_id"] = capture["authorization"]
    return {**capture_document(capture, base), "supplementary_data": {"related_ids": related}}


def authorization_shown(authorization: Authorization, base: str) -> JsonObject:
    """An authorisation as it is asked for by id."""
    related: JsonObject = {"order_id": authorization["order"]}
    return {**authorization_document(authorization, base), "supplementary_data": {"related_ids": related}}
