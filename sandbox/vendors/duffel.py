"""Duffel flights: which call is answered where, which faults each can show, and what the airlines can be made to do."""

from __future__ import annotations

from typing import cast

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendors.control import answering_422, webhook_route
from sandbox.vendors.duffel_airline_changes import change_schedule, list_airline_changes
from sandbox.vendors.duffel_booking import create_order, create_payment, get_order, list_orders, list_payments
from sandbox.vendors.duffel_cancellations import (
    confirm_cancellation,
    create_cancellation,
    get_cancellation,
    list_cancellations,
)
from sandbox.vendors.duffel_http import PREFIX, VENDOR, Endpoint, Handler, fault_response, not_found
from sandbox.vendors.duffel_orders import OrderRecord, find_order, order_document, reservation, resume
from sandbox.vendors.duffel_search import create_offer_request, get_offer, get_offer_request, list_offers
from sandbox.vendors.duffel_webhooks import sender
from sandbox.world import JsonObject, World

__all__ = ["PREFIX", "VENDOR", "books", "control_routes", "fault_response", "routes"]


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
        get("/air/airline_initiated_changes", list_airline_changes),
    ]


class _AirlineChange(BaseModel):
    """The flights of the order's first slice leave and arrive so much later, or earlier."""

    model_config = ConfigDict(extra="forbid")

    order_id: str
    minutes: int


def control_routes(world: World) -> list[Route]:
    """What the application mounts at `/_sandbox/duffel`."""

    async def airline_change(request: Request) -> Response:
        asked = _AirlineChange.model_validate_json(await request.body())
        order = find_order(world, asked.order_id)
        if order is None:
            return not_found("order").response()
        slices = cast("list[JsonObject]", order_document(world, order)["slices"])
        return JSONResponse(change_schedule(world, order["id"], slices, asked.minutes), 201)

    return [
        webhook_route(sender(world)),
        Route("/airline_change", answering_422(airline_change), methods=["POST"]),
    ]


def books(world: World) -> JsonObject:
    """Every order, as of now."""
    orders = (cast(OrderRecord, document) for document in world.all(VENDOR, "order"))
    return {"reservations": [reservation(world, order) for order in orders], "payments": []}
