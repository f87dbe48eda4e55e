"""What PayPal's own books say of every payment: its part of `/_sandbox/books`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, cast

from sandbox.vendors.paypal_documents import Authorization, Capture, Order
from sandbox.vendors.paypal_records import Records
from sandbox.vendors.paypal_wire import VENDOR
from sandbox.world import JsonObject, World

_TAKEN: Final = ("COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED")


def books(world: World) -> dict[str, list[JsonObject]]:
    """One line for each order, whose id is the payment's."""
    records = Records(world)
    orders = (cast(Order, cast(object, document)) for document in world.all(VENDOR, "order"))
    return {"payments": [_line(records, order) for order in orders]}


def _line(records: Records, order: Order) -> JsonObject:
    captures = [records.capture(capture_id) for capture_id in order["captures"]]
    refunds = [records.refund(refund_id) for refund_id in order["refunds"]]
    reserved = records.authorization(order["authorizations"][0]) if order["authorizations"] else None
    taken = sum(capture["amount"] for capture in captures if capture["status"] in _TAKEN)
    return {
        "vendor": VENDOR,
        "object_id": order["id"],
        "metadata": order["metadata"],
        "status": _status(order, reserved, captures),
        "authorised_minor": _authorised(reserved, taken),
        "captured_minor": taken,
        "refunded_minor": sum(refund["amount"] for refund in refunds if refund["status"] == "COMPLETED"),
        "refund_pending_minor": sum(refund["amount"] for refund in refunds if refund["status"] == "PENDING"),
        "currency": order["currency"],
        "authorisation_open": _open(reserved, captures),
        "created_at": datetime.fromtimestamp(order["created"], UTC).isoformat(),
    }


def _authorised(reserved: Authorization | None, taken: int) -> int:
    """What is taken at once has been reserved at the same moment."""
    if reserved is None:
        return taken
    return reserved["amount"] if reserved["opened"] else 0


def _open(reserved: Authorization | None, captures: list[Capture]) -> bool:
    if reserved is None:
        return False
    under_way = any(capture["status"] == "PENDING" for capture in captures)
    return under_way or reserved["status"] in ("CREATED", "PARTIALLY_CAPTURED")


def _status(order: Order, reserved: Authorization | None, captures: list[Capture]) -> str:
    """That of what came last: an order that is COMPLETED says nothing of its money."""
    if captures:
        return captures[-1]["status"]
    return reserved["status"] if reserved else order["status"]
