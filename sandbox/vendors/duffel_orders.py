"""Duffel's orders as the sandbox keeps them: made, held, paid, expired; and how each looks as JSON."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, TypedDict, cast

from sandbox.content import CURRENCY
from sandbox.vendors.duffel_airline_changes import changes_of, slices_now
from sandbox.vendors.duffel_documents import carrier_document
from sandbox.vendors.duffel_http import VENDOR, decimal_text, timestamp
from sandbox.vendors.duffel_offer_documents import conditions_document, slice_documents
from sandbox.vendors.duffel_offers import find_offer, request_id_of
from sandbox.vendors.duffel_webhooks import emit
from sandbox.world import JsonObject, World

_REFERENCE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ23456789"


class OrderDraft(TypedDict):
    """A checked request for an order."""

    type: Literal["instant", "hold"]
    offer_id: str
    passengers: list[JsonObject]
    metadata: JsonObject
    base_minor: int
    tax_minor: int


class OrderRecord(OrderDraft):
    id: str
    created_at: str
    booking_reference: str
    status: Literal["held", "confirmed", "cancelled", "expired"]
    held_until: str | None
    paid_at: str | None
    ended_at: str | None
    """When it was cancelled or the hold expired."""
    cancellation_id: str | None
    """The newest cancellation, quoted or confirmed."""
    refunded_minor: int


class PaymentRecord(TypedDict):
    id: str
    order_id: str
    type: str
    amount_minor: int
    created_at: str


class PendingRecord(TypedDict):
    """What was answered with 202 and is done later: an order of a draft, or the payment of an order."""

    id: str
    due_at: str
    fails: bool
    done: bool
    draft: OrderDraft | None
    order_id: str | None
    payment_type: str


def total_minor(order: OrderDraft) -> int:
    """What the order costs, in cents."""
    return order["base_minor"] + order["tax_minor"]


def is_booked(world: World, offer_id: str) -> bool:
    """Whether the offer's request has its one order, made or under way."""
    booked = world.get(VENDOR, "booked_request", request_id_of(offer_id))
    return booked is not None and booked["taken"] is True


def claim(world: World, offer_id: str, *, taken: bool) -> None:
    """Mark the offer's request as having its order; or free again, when what was under way failed."""
    world.put(VENDOR, "booked_request", request_id_of(offer_id), {"taken": taken})


def make_order(world: World, draft: OrderDraft) -> OrderRecord:
    """Book or hold, with all that follows: the mark on the request, the ledger, the event, the end of the hold."""
    order_id = world.new_id("ord_")
    now = world.now()
    hold = draft["type"] == "hold"
    held_until = now + timedelta(seconds=world.settings.hold_s)
    dice = world.random(VENDOR, "booking_reference", order_id)
    order: OrderRecord = {
        **draft,
        "id": order_id,
        "created_at": timestamp(now),
        "booking_reference": "".join(dice.choices(_REFERENCE_LETTERS, k=6)),
        "status": "held" if hold else "confirmed",
        "held_until": timestamp(held_until) if hold else None,
        "paid_at": None if hold else timestamp(now),
        "ended_at": None,
        "cancellation_id": None,
        "refunded_minor": 0,
    }
    claim(world, draft["offer_id"], taken=True)
    keep(world, order)
    record_effect(world, "flight.held" if hold else "flight.ticketed", order, total_minor(order))
    emit(world, "order.created", {"id": order_id}, order_id)
    if hold:
        expire_later(world, order)
    return order


def keep(world: World, order: OrderRecord) -> None:
    """Write the order."""
    world.put(VENDOR, "order", order["id"], cast(JsonObject, order))


def record_effect(world: World, effect: str, order: OrderRecord, amount_minor: int) -> None:
    """Tell the ledger; the amount is the price, or for a cancellation the refund."""
    world.effect(
        VENDOR,
        effect,
        object_id=order["id"],
        metadata=order["metadata"],
        amount_minor=amount_minor,
        currency=CURRENCY,
        details={"booking_reference": order["booking_reference"], "offer_id": order["offer_id"]},
    )


def find_order(world: World, order_id: str) -> OrderRecord | None:
    """The order as of now: a hold that is over is expired by being looked at."""
    order = cast("OrderRecord | None", world.get(VENDOR, "order", order_id))
    return None if order is None else as_of_now(world, order)


def as_of_now(world: World, order: OrderRecord) -> OrderRecord:
    """Expire the hold if its time is over."""
    held_until = order["held_until"]
    if order["status"] == "held" and held_until and world.now() >= datetime.fromisoformat(held_until):
        order["status"] = "expired"
        order["ended_at"] = held_until
        keep(world, order)
        record_effect(world, "flight.hold_expired", order, total_minor(order))
    return order


def expire_later(world: World, order: OrderRecord) -> None:
    """Expire the hold in time also when nobody looks."""
    if order["held_until"] is None:
        return

    async def expire() -> None:
        as_of_now(world, order)

    remaining = datetime.fromisoformat(order["held_until"]) - world.now()
    # A timer may fire a little early by the clock on the wall.
    world.later(max(0.0, remaining.total_seconds()) + 0.005, expire)


def pay(world: World, order: OrderRecord, payment_type: str) -> PaymentRecord:
    """Pay a held order in full, which tickets it."""
    now = timestamp(world.now())
    payment: PaymentRecord = {
        "id": world.new_id("pay_"),
        "order_id": order["id"],
        "type": payment_type,
        "amount_minor": total_minor(order),
        "created_at": now,
    }
    order["status"] = "confirmed"
    order["paid_at"] = now
    keep(world, order)
    world.put(VENDOR, "payment", payment["id"], cast(JsonObject, payment))
    record_effect(world, "flight.ticketed", order, total_minor(order))
    return payment


# ------------------------------------------------------------------------------------------------ asked later (202)


def accept(
    world: World,
    delay_s: float,
    *,
    fails: bool,
    draft: OrderDraft | None = None,
    order_id: str | None = None,
    payment_type: str = "balance",
) -> None:
    """Take an order or a payment to be done, or to fail, after the delay."""
    pending: PendingRecord = {
        "id": world.new_id("pen_"),
        "due_at": timestamp(world.now() + timedelta(seconds=delay_s)),
        "fails": fails,
        "done": False,
        "draft": draft,
        "order_id": order_id,
        "payment_type": payment_type,
    }
    if draft is not None:
        claim(world, draft["offer_id"], taken=True)
    world.put(VENDOR, "pending", pending["id"], cast(JsonObject, pending))
    _finish_later(world, pending)


def _finish_later(world: World, pending: PendingRecord) -> None:
    async def finish() -> None:
        pending["done"] = True
        world.put(VENDOR, "pending", pending["id"], cast(JsonObject, pending))
        draft, order_id = pending["draft"], pending["order_id"]
        if draft is not None and pending["fails"]:
            claim(world, draft["offer_id"], taken=False)
            emit(world, "order.creation_failed", {"offer_id": draft["offer_id"]}, pending["id"])
        elif draft is not None:
            make_order(world, draft)
        elif order_id is not None and not pending["fails"]:
            order = find_order(world, order_id)
            if order is not None and order["status"] == "held":
                pay(world, order, pending["payment_type"])

    remaining = datetime.fromisoformat(pending["due_at"]) - world.now()
    world.later(max(0.0, remaining.total_seconds()), finish)


def resume(world: World) -> None:
    """Set the timers again after a restart: of holds, and of what was answered with 202."""
    for document in world.all(VENDOR, "order"):
        order = cast(OrderRecord, document)
        if order["status"] == "held":
            expire_later(world, order)
    for document in world.all(VENDOR, "pending"):
        pending = cast(PendingRecord, document)
        if not pending["done"]:
            _finish_later(world, pending)


# ------------------------------------------------------------------------------------------------------- documents


def order_document(world: World, order: OrderRecord) -> JsonObject:
    """The order as Duffel sends it. The journey is taken from its offer, which is made anew, and from what its airline changed."""
    offer = find_offer(world, order["offer_id"])
    if offer is None:
        raise LookupError(f"order {order['id']} has lost its offer request")
    held = order["status"] == "held"
    cancellation_id = order["cancellation_id"]
    cancellation = world.get(VENDOR, "cancellation", cancellation_id) if cancellation_id else None
    return {
        "id": order["id"],
        "live_mode": False,
        "type": order["type"],
        "created_at": order["created_at"],
        "synced_at": order["ended_at"] or order["paid_at"] or order["created_at"],
        "cancelled_at": order["ended_at"],
        "cancellation": cancellation if order["status"] == "cancelled" else None,
        "booking_reference": order["booking_reference"],
        "content": "managed",
        "owner": carrier_document(offer.owner),
        "offer_id": order["offer_id"],
        "base_amount": decimal_text(order["base_minor"]),
        "base_currency": CURRENCY,
        "tax_amount": decimal_text(order["tax_minor"]),
        "tax_currency": CURRENCY,
        "total_amount": decimal_text(total_minor(order)),
        "total_currency": CURRENCY,
        "conditions": conditions_document(offer),
        "slices": slices_now(world, order["id"], slice_documents(offer)),
        "passengers": order["passengers"],
        "services": [],
        "documents": _tickets(world, order),
        "payment_status": {
            "awaiting_payment": held,
            "payment_required_by": order["held_until"] if held else None,
            "price_guarantee_expires_at": order["held_until"] if held else None,
            "paid_at": order["paid_at"],
        },
        "metadata": order["metadata"],
        "available_actions": ["cancel", "update"] if order["status"] in ("held", "confirmed") else [],
        "airline_initiated_changes": changes_of(world, order["id"]),
    }


def _tickets(world: World, order: OrderRecord) -> list[JsonObject]:
    """One electronic ticket for each passenger, once paid."""
    if order["paid_at"] is None:
        return []
    dice = world.random(VENDOR, "ticket", order["id"])
    return [
        {
            "type": "electronic_ticket",
            "unique_identifier": str(dice.randrange(10**12, 10**13)),
            "passenger_ids": [passenger["id"]],
        }
        for passenger in order["passengers"]
    ]


def payment_document(payment: PaymentRecord) -> JsonObject:
    """The payment as Duffel sends it."""
    return {
        "id": payment["id"],
        "live_mode": False,
        "type": payment["type"],
        "amount": decimal_text(payment["amount_minor"]),
        "currency": CURRENCY,
        "created_at": payment["created_at"],
    }


def reservation(world: World, order: OrderRecord) -> JsonObject:
    """The order's line in the books."""
    order = as_of_now(world, order)
    return {
        "vendor": VENDOR,
        "kind": "flight",
        "object_id": order["id"],
        "metadata": order["metadata"],
        "status": order["status"],
        "price_minor": total_minor(order),
        "currency": CURRENCY,
        "refunded_minor": order["refunded_minor"],
        "created_at": order["created_at"],
        "held_until": order["held_until"],
    }
