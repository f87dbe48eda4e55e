"""Duffel flights: which call is answered where, and which faults each can show."""

from __future__ import annotations

from typing import cast

from starlette.routing import Route

from sandbox.vendors.duffel_booking import create_order, create_payment, get_order, list_orders, list_payments
from sandbox.vendors.duffel_cancellations import (
    confirm_cancellation,
    create_cancellation,
    get_cancellation,
    list_cancellations,
)
from sandbox.vendors.duffel_http import PREFIX, VENDOR, Endpoint, Handler, fault_response
from sandbox.vendors.duffel_orders import OrderRecord, reservation, resume
from sandbox.vendors.duffel_search import create_offer_request, get_offer, get_offer_request, list_offers
from sandbox.world import JsonObject, World

__all__ = ["PREFIX", "VENDOR", "books", "fault_response", "routes"]


def routes(world: World) -> list[Route]:
    """The flight calls of the contract that the sandbox plays, below `PREFIX`."""
    resume(world)

    def post(path: str, handler: Handler, *faults: str) -> Route:
        return Route(path, Endpoint(world, handler, *faults), methods=["POST"])

    def get(path: str, handler: Handler, *faults: str) -> Route:
        return Route(path, Endpoint(world, handler, *faults), methods=["GET"])

    return [
        post("/air/offer_requests", create_offer_request),
        # Duffel's JavaScript client sends the slash.
        post("/air/offer_requests/", create_offer_request),
        get("/air/offer_requests/{id}", get_offer_request),
        get("/air/offers", list_offers),
        get("/air/offers/{id}", get_offer, "sold_out", "price_changed"),
        post("/air/orders", create_order, "sold_out", "price_changed", "accept_later", "decline"),
        get("/air/orders", list_orders),
        get("/air/orders/{id}", get_order),
        post("/air/payments", create_payment, "price_changed", "accept_later", "decline"),
        get("/air/payments", list_payments),
        post("/air/order_cancellations", create_cancellation),
        get("/air/order_cancellations", list_cancellations),
        get("/air/order_cancellations/{id}", get_cancellation),
        post("/air/order_cancellations/{id}/actions/confirm", confirm_cancellation),
    ]


def books(world: World) -> JsonObject:
    """Every order, as of now."""
    orders = (cast(OrderRecord, document) for document in world.all(VENDOR, "order"))
    return {"reservations": [reservation(world, order) for order in orders], "payments": []}
