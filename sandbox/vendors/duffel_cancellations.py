"""Duffel's cancellations: a quote first, then its confirmation."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, TypedDict, cast

from starlette.responses import Response

from sandbox.content import CURRENCY
from sandbox.operations import is_cancelled
from sandbox.vendors.duffel_http import (
    VENDOR,
    Call,
    DuffelError,
    Fields,
    decimal_text,
    invalid_state,
    not_found,
    ok,
    page,
    timestamp,
)
from sandbox.vendors.duffel_offers import find_offer
from sandbox.vendors.duffel_orders import OrderRecord, find_order, keep, record_effect, total_minor
from sandbox.world import JsonObject, World

_QUOTE_TTL_S: Final = 1800


class CancellationRecord(TypedDict):
    """Kept as it is sent."""

    id: str
    order_id: str
    live_mode: Literal[False]
    created_at: str
    confirmed_at: str | None
    expires_at: str
    refund_amount: str
    refund_currency: str
    refund_to: Literal["balance", "awaiting_payment"]
    airline_credits: list[JsonObject]


def create_cancellation(call: Call) -> Response:
    """POST /air/order_cancellations: what a cancellation would bring back. Nothing is cancelled yet."""
    world = call.world
    order = find_order(world, Fields(call.data).only("order_id").text("order_id"))
    if order is None:
        raise DuffelError(422, "validation_error", "linked_record_not_found", "The order is unknown.", "/order_id")
    _require_cancellable(order)
    now = world.now()
    quote: CancellationRecord = {
        "id": world.new_id("ore_"),
        "order_id": order["id"],
        "live_mode": False,
        "created_at": timestamp(now),
        "confirmed_at": None,
        "expires_at": timestamp(now + timedelta(seconds=_QUOTE_TTL_S)),
        "refund_amount": decimal_text(_refund_minor(world, order)),
        "refund_currency": CURRENCY,
        "refund_to": "awaiting_payment" if order["status"] == "held" else "balance",
        "airline_credits": [],
    }
    world.put(VENDOR, "cancellation", quote["id"], cast(JsonObject, quote))
    order["cancellation_id"] = quote["id"]
    keep(world, order)
    return ok(quote, 201)


def get_cancellation(call: Call) -> Response:
    """GET /air/order_cancellations/{id}"""
    return ok(_find(call.world, call.params["id"]))


def list_cancellations(call: Call) -> Response:
    """GET /air/order_cancellations: newest first, of one order if asked."""
    order_id = call.argument("order_id")
    newest = call.world.newest(VENDOR, "cancellation")
    chosen = (document for document in newest if order_id is None or document["order_id"] == order_id)
    return page(call, chosen, lambda document: cast(str, document["id"]), lambda document: document)


def confirm_cancellation(call: Call) -> Response:
    """POST /air/order_cancellations/{id}/actions/confirm: cancels, at the quoted refund."""
    world = call.world
    quote = _find(world, call.params["id"])
    order = find_order(world, quote["order_id"])
    if order is None:
        raise not_found("order")
    _require_cancellable(order)
    if order["cancellation_id"] != quote["id"]:
        message = "Only the newest cancellation of an order can be confirmed."
        raise invalid_state("order_cancellation_stale", message)
    if world.now() >= datetime.fromisoformat(quote["expires_at"]) or _is_outdated(quote, order):
        raise invalid_state("order_cancellation_expired", "The quote has expired. Ask for a new one.")
    now = timestamp(world.now())
    refund_minor = _refund_minor(world, order)
    quote["confirmed_at"] = now
    order["status"] = "cancelled"
    order["ended_at"] = now
    order["refunded_minor"] = refund_minor
    world.put(VENDOR, "cancellation", quote["id"], cast(JsonObject, quote))
    keep(world, order)
    record_effect(world, "flight.cancelled", order, refund_minor)
    return ok(quote)


def _find(world: World, cancellation_id: str) -> CancellationRecord:
    found = world.get(VENDOR, "cancellation", cancellation_id)
    if found is None:
        raise not_found("order cancellation")
    return cast(CancellationRecord, cast(object, found))


def _require_cancellable(order: OrderRecord) -> None:
    if order["status"] in ("cancelled", "expired"):
        raise invalid_state("already_cancelled", "The order has been cancelled.")


def _is_outdated(quote: CancellationRecord, order: OrderRecord) -> bool:
    """A quote for a held order says nothing about the order once it is paid."""
    return quote["refund_to"] == "awaiting_payment" and order["status"] == "confirmed"


def _refund_minor(world: World, order: OrderRecord) -> int:
    """The total less the penalty; nothing where the fare gives nothing, or nothing was paid; all where the airline does not fly."""
    if order["status"] == "held":
        return 0
    offer = find_offer(world, order["offer_id"])
    if offer and any(is_cancelled(world, flight) for flight in offer.flights):
        return total_minor(order)
    penalty_minor = offer.refund_penalty_minor if offer else None
    if penalty_minor is None:
        return 0
    return max(0, total_minor(order) - penalty_minor)
