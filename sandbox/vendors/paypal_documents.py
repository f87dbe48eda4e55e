"""What the simulated PayPal remembers of a payment, and how it shows it (`order`, `authorization`, `capture`, `refund`
of the published contracts, which also define the words). Amounts are in minor units, times in seconds since 1970."""

from __future__ import annotations

from typing import Literal, TypedDict

from sandbox.vendors.paypal_wire import moment, money
from sandbox.world import JsonObject


class Pending(TypedDict):
    """What PayPal has accepted and will finish later."""

    due: float
    fail: bool


class Order(TypedDict):
    """An order of one purchase unit."""

    id: str
    intent: Literal["AUTHORIZE", "CAPTURE"]
    status: Literal["CREATED", "APPROVED", "VOIDED", "COMPLETED", "PAYER_ACTION_REQUIRED"]
    amount: int
    currency: str
    reference_id: str
    custom_id: str | None
    invoice_id: str | None
    description: str | None
    paypal_account: str | None
    """The e-mail address of the payer, if the client knew it."""
    vault_id: str | None
    with_source: bool
    """The client named PayPal as the way to pay when it created the order, which changes what the approval link is called."""
    challenged: bool
    """A vaulted payer is wanted back all the same."""
    return_url: str | None
    cancel_url: str | None
    metadata: dict[str, str]
    authorizations: list[str]
    captures: list[str]
    refunds: list[str]
    created: float
    updated: float


class Authorization(TypedDict):
    """Money reserved. A re-authorisation is one too, whose `parent` has the state of both."""

    id: str
    order: str
    parent: str | None
    amount: int
    currency: str
    status: Literal["CREATED", "CAPTURED", "DENIED", "PARTIALLY_CAPTURED", "VOIDED", "PENDING"]
    opened: bool
    """The money has been reserved, whatever became of that."""
    expired: bool
    claimed: int
    """Of captures that are done or pending."""
    custom_id: str | None
    invoice_id: str | None
    expires: float
    created: float
    updated: float
    recorded: float
    """As `created`, and not moved when a test makes the authorisation older."""
    pending: Pending | None


class Capture(TypedDict):
    """Money taken, or on its way."""

    id: str
    order: str
    authorization: str | None
    parent: str | None
    """The authorisation that has the state, where `authorization` is a re-authorisation."""
    amount: int
    currency: str
    status: Literal["COMPLETED", "DECLINED", "PARTIALLY_REFUNDED", "PENDING", "REFUNDED"]
    final: bool
    custom_id: str | None
    invoice_id: str | None
    returned: int
    """Refunded, or on its way back."""
    created: float
    updated: float
    recorded: float
    pending: Pending | None


class Refund(TypedDict):
    """Money given back, or on its way."""

    id: str
    order: str
    capture: str
    amount: int
    currency: str
    status: Literal["FAILED", "PENDING", "COMPLETED"]
    key: str | None
    """The PayPal-Request-Id it was asked under."""
    custom_id: str | None
    invoice_id: str | None
    note_to_payer: str | None
    created: float
    updated: float
    recorded: float
    pending: Pending | None


def order_links(order: Order, base: str) -> list[JsonObject]:
    """Where to go from here; `base` is our address without the path."""
    itself = f"{base}/v2/checkout/orders/{order['id']}"
    links = [_link(itself, "self", "GET")]
    if order["status"] in ("CREATED", "PAYER_ACTION_REQUIRED"):
        named = order["with_source"] or order["challenged"]
        rel = "payer-action" if named else "approve"
        links.append(_link(f"{base}/checkoutnow?token={order['id']}", rel, "GET"))
    if order["status"] in ("CREATED", "APPROVED"):
        action = order["intent"].lower()
        links.append(_link(f"{itself}/{action}", action, "POST"))
    return links


def order_document(order: Order, base: str, payments: JsonObject) -> JsonObject:
    """All of an order, with the payments of its purchase unit."""
    unit: JsonObject = {
        "reference_id": order["reference_id"],
        "amount": money(order["amount"], order["currency"]),
        **_given(order, "custom_id", "invoice_id", "description"),
    }
    if payments:
        unit["payments"] = payments
    document: JsonObject = {
        "id": order["id"],
        "intent": order["intent"],
        "status": order["status"],
        "purchase_units": [unit],
        **_times(order),
        "links": order_links(order, base),
    }
    if order["with_source"]:
        account = order["paypal_account"]
        document["payment_source"] = {"paypal": {"email_address": account} if account else {}}
    return document


def authorization_links(authorization: Authorization, base: str) -> list[JsonObject]:
    itself = f"{base}/v2/payments/authorizations/{authorization['id']}"
    links = [_link(itself, "self", "GET")]
    if authorization["status"] in ("CREATED", "PARTIALLY_CAPTURED"):
        links += [_link(f"{itself}/{action}", action, "POST") for action in ("capture", "void", "reauthorize")]
    return [*links, _link(f"{base}/v2/checkout/orders/{authorization['order']}", "up", "GET")]


def authorization_document(authorization: Authorization, base: str) -> JsonObject:
    document: JsonObject = {
        "id": authorization["id"],
        "status": authorization["status"],
        "amount": money(authorization["amount"], authorization["currency"]),
        **_given(authorization, "custom_id", "invoice_id"),
        "seller_protection": {"status": "NOT_ELIGIBLE"},
        "expiration_time": moment(authorization["expires"]),
        **_times(authorization),
        "links": authorization_links(authorization, base),
    }
    if authorization["status"] == "PENDING":
        document["status_details"] = {"reason": "PENDING_REVIEW"}
    return document


def capture_links(capture: Capture, base: str) -> list[JsonObject]:
    itself = f"{base}/v2/payments/captures/{capture['id']}"
    parent = capture["authorization"]
    up = f"/v2/payments/authorizations/{parent}" if parent else f"/v2/checkout/orders/{capture['order']}"
    return [_link(itself, "self", "GET"), _link(f"{itself}/refund", "refund", "POST"), _link(base + up, "up", "GET")]


def capture_document(capture: Capture, base: str) -> JsonObject:
    amount = money(capture["amount"], capture["currency"])
    document: JsonObject = {
        "id": capture["id"],
        "status": capture["status"],
        "amount": amount,
        "final_capture": capture["final"],
        **_given(capture, "custom_id", "invoice_id"),
        "seller_protection": {"status": "NOT_ELIGIBLE"},
        **_times(capture),
        "links": capture_links(capture, base),
    }
    if capture["status"] == "PENDING":
        document["status_details"] = {"reason": "PENDING_REVIEW"}
    elif capture["status"] == "DECLINED":
        document["status_details"] = {"reason": "OTHER"}
    else:
        document["seller_receivable_breakdown"] = {"gross_amount": amount, "net_amount": amount}
    return document


def refund_links(refund: Refund, base: str) -> list[JsonObject]:
    return [
        _link(f"{base}/v2/payments/refunds/{refund['id']}", "self", "GET"),
        _link(f"{base}/v2/payments/captures/{refund['capture']}", "up", "GET"),
    ]


def refund_document(refund: Refund, base: str) -> JsonObject:
    amount = money(refund["amount"], refund["currency"])
    document: JsonObject = {
        "id": refund["id"],
        "status": refund["status"],
        "amount": amount,
        **_given(refund, "custom_id", "invoice_id", "note_to_payer"),
        "seller_payable_breakdown": {"gross_amount": amount, "net_amount": amount},
        **_times(refund),
        "links": refund_links(refund, base),
    }
    if refund["status"] != "COMPLETED":
        document["status_details"] = {"reason": "ECHECK"}
    return document


def minimal(document: Order | Authorization | Capture | Refund, links: list[JsonObject]) -> JsonObject:
    """What is answered unless the client prefers the representation."""
    return {"id": document["id"], "status": document["status"], "links": links}


def _link(href: str, rel: str, method: str) -> JsonObject:
    return {"href": href, "rel": rel, "method": method}


def _times(document: Order | Authorization | Capture | Refund) -> JsonObject:
    return {"create_time": moment(document["created"]), "update_time": moment(document["updated"])}


def _given(document: Order | Authorization | Capture | Refund, *names: str) -> JsonObject:
    """What the client gave."""
    return {name: document[name] for name in names if document[name] is not None}
