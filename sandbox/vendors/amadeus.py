"""Amadeus Self-Service, simulated: which call is answered where, and which faults each can show."""

from __future__ import annotations

from typing import cast

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.vendors.amadeus_booking import cancel_order, create_order, get_order
from sandbox.vendors.amadeus_flight_status import get_flight_status
from sandbox.vendors.amadeus_http import AT_THE_DOOR, INSIDE, PREFIX, READING, VENDOR, create_token, fault_response
from sandbox.vendors.amadeus_orders import OrderRecord, reservation, resume
from sandbox.vendors.amadeus_places import find_locations
from sandbox.vendors.amadeus_pricing import price_offers
from sandbox.vendors.amadeus_search import get_offers, search_offers
from sandbox.vendors.calls import Handler, Reception, endpoint, json_response
from sandbox.vendors.control import answering_422
from sandbox.world import JsonObject, World

__all__ = ["PREFIX", "VENDOR", "books", "control_routes", "fault_response", "routes"]


def routes(world: World) -> list[Route]:
    """The calls of the contract that the sandbox plays, below `PREFIX`."""
    resume(world)

    def route(method: str, path: str, reception: Reception, handler: Handler, *faults: str) -> Route:
        return Route(path, endpoint(world, reception, handler, *faults), methods=[method])

    return [
        route("POST", "/v1/security/oauth2/token", AT_THE_DOOR, create_token),
        route("GET", "/v2/shopping/flight-offers", INSIDE, get_offers),
        route("POST", "/v2/shopping/flight-offers", READING, search_offers),
        route("POST", "/v1/shopping/flight-offers/pricing", READING, price_offers, "sold_out", "price_changed"),
        route("POST", "/v1/booking/flight-orders", INSIDE, create_order, "sold_out", "price_changed", "decline"),
        route("GET", "/v1/booking/flight-orders/{id}", INSIDE, get_order),
        route("DELETE", "/v1/booking/flight-orders/{id}", INSIDE, cancel_order),
        route("GET", "/v1/reference-data/locations", INSIDE, find_locations),
        route("GET", "/v2/schedule/flights", INSIDE, get_flight_status),
    ]


class _ChangedSettings(BaseModel):
    """What of `amadeus_http.Settings` to change; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    token_s: float | None = Field(default=None, gt=0)
    issue_s: float | None = Field(default=None, ge=0)
    hold_s: float | None = Field(default=None, gt=0)


def control_routes(world: World) -> list[Route]:
    """What the application mounts at `/_sandbox/amadeus`."""

    async def change_settings(request: Request) -> Response:
        asked = _ChangedSettings.model_validate_json(await request.body())
        changed = (world.get(VENDOR, "settings", "only") or {}) | asked.model_dump(exclude_none=True)
        world.put(VENDOR, "settings", "only", changed)
        return json_response(changed)

    return [Route("/settings", answering_422(change_settings), methods=["PUT"])]


def books(world: World) -> JsonObject:
    """Every order, as of now."""
    orders = (cast(OrderRecord, document) for document in world.all(VENDOR, "order"))
    return {"reservations": [reservation(world, order) for order in orders], "payments": []}
