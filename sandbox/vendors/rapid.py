"""Expedia Rapid v3, simulated: geography and content, shopping, price check, and bookings that can be held."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeAlias, cast
from urllib.parse import parse_qs

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.faults import FAULT_SCOPE_KEY, Fault
from sandbox.vendors.rapid_bookings import Bookings
from sandbox.vendors.rapid_documents import Itinerary, total_minor
from sandbox.vendors.rapid_geography import contents, properties_in, region, regions
from sandbox.vendors.rapid_protocol import (
    VENDOR,
    RapidError,
    Tokens,
    check_request,
    fault_response,
    invalid,
    json_response,
    link_invalid,
)
from sandbox.vendors.rapid_shopping import Shopping
from sandbox.world import JsonObject, World

__all__ = ["PREFIX", "VENDOR", "books", "control_routes", "fault_response", "routes"]

PREFIX: Final = "/rapid"

Query: TypeAlias = dict[str, list[str]]


class Call:
    """One authenticated request."""

    __slots__ = ("body", "fault", "path", "query", "test")

    def __init__(self, request: Request, body: bytes, test: str) -> None:
        self.query: Query = parse_qs(request.scope["query_string"].decode(), keep_blank_values=True)
        self.path = cast("dict[str, str]", request.path_params)
        self.body = body
        self.fault = cast("Fault | None", request.scope.get(FAULT_SCOPE_KEY))
        self.test = test

    def one(self, name: str) -> str | None:
        """A query parameter that comes once."""
        return self.query.get(name, [None])[0]

    @property
    def token(self) -> str:
        token = self.one("token")
        if not token:
            raise link_invalid()
        return token


Operation: TypeAlias = Callable[[Call], "tuple[int, object]"]
"""What an endpoint does: the answer's status, and its body (None where there is none)."""


class _Api:
    """The endpoints."""

    def __init__(self, world: World) -> None:
        tokens = Tokens(world)
        self.seed = world.seed
        self.shopping = Shopping(world, tokens)
        self.bookings = Bookings(world, tokens, self.shopping)

    def content(self, call: Call) -> tuple[int, object]:
        return 200, contents(self.seed, call.query)

    def regions(self, call: Call) -> tuple[int, object]:
        return 200, regions(call.query)

    def region(self, call: Call) -> tuple[int, object]:
        return 200, region(call.path["region"], call.query)

    def geography(self, call: Call) -> tuple[int, object]:
        return 200, properties_in(self.seed, call.body)

    def availability(self, call: Call) -> tuple[int, object]:
        sold_out = call.fault is not None and call.fault.action == "sold_out"
        found = self.shopping.availability(call.query)
        return 200, [] if sold_out else found

    def price_check(self, call: Call) -> tuple[int, object]:
        return 200, self.shopping.price_check(call.token, call.fault, call.test)

    def book(self, call: Call) -> tuple[int, object]:
        return 201, self.bookings.book(call.token, call.body, call.fault, call.test)

    def find(self, call: Call) -> tuple[int, object]:
        reference, email = call.one("affiliate_reference_id"), call.one("email")
        for name, value in (("affiliate_reference_id", reference), ("email", email)):
            if not value:
                raise invalid(f"{name}.required", f"{name} is required.", (name, "querystring", ""))
        return 200, self.bookings.by_reference(reference or "", email or "")

    def retrieve(self, call: Call) -> tuple[int, object]:
        return 200, self.bookings.by_id(call.path["itinerary"], call.one("token"), call.one("email"))

    def resume(self, call: Call) -> tuple[int, object]:
        return self.bookings.resume(call.token, call.fault), None

    def drop(self, call: Call) -> tuple[int, object]:
        return self.bookings.drop(call.token, call.fault), None

    def cancel_room(self, call: Call) -> tuple[int, object]:
        return self.bookings.cancel_room(call.token, call.fault), None


def routes(world: World) -> list[Route]:
    """The endpoints below `/rapid`, and the timers that a restart lost."""
    api = _Api(world)
    api.bookings.resume_timers()

    def endpoint(method: str, path: str, operation: Operation) -> Route:
        # The contract demands the customer's address where a booking is touched, and only recommends it elsewhere.
        customer_ip = path.startswith("/v3/itineraries")

        async def answer(request: Request) -> Response:
            try:
                test = check_request(world, request, customer_ip=customer_ip)
                status, document = operation(Call(request, await request.body(), test))
            except RapidError as error:
                return json_response(error.body, error.status)
            return Response(status_code=status) if document is None else json_response(orjson.dumps(document), status)

        return Route(path, answer, methods=[method])

    return [
        endpoint("GET", "/v3/properties/content", api.content),
        endpoint("POST", "/v3/properties/geography", api.geography),
        endpoint("GET", "/v3/regions", api.regions),
        endpoint("GET", "/v3/regions/{region}", api.region),
        endpoint("GET", "/v3/properties/availability", api.availability),
        endpoint("GET", "/v3/properties/{property}/rooms/{room}/rates/{rate}", api.price_check),
        endpoint("POST", "/v3/itineraries", api.book),
        endpoint("GET", "/v3/itineraries", api.find),
        endpoint("GET", "/v3/itineraries/{itinerary}", api.retrieve),
        endpoint("PUT", "/v3/itineraries/{itinerary}", api.resume),
        endpoint("DELETE", "/v3/itineraries/{itinerary}", api.drop),
        endpoint("DELETE", "/v3/itineraries/{itinerary}/rooms/{room}", api.cancel_room),
    ]


class _ChangedSettings(BaseModel):
    """What of `rapid_protocol.Settings` to change; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    hold_s: float | None = Field(default=None, gt=0)
    link_s: float | None = Field(default=None, gt=0)
    retrieval_lag_s: float | None = Field(default=None, ge=0)
    partial_retrieval_s: float | None = Field(default=None, ge=0)
    shared_secret: str | None = Field(default=None, min_length=1)


def control_routes(world: World) -> list[Route]:
    """What the application mounts at `/_sandbox/expedia_rapid`."""

    async def change_settings(request: Request) -> Response:
        try:
            asked = _ChangedSettings.model_validate_json(await request.body())
        except ValidationError as error:
            return Response(error.json(include_url=False), 422, media_type="application/json")
        changed = (world.get(VENDOR, "settings", "only") or {}) | asked.model_dump(exclude_none=True)
        world.put(VENDOR, "settings", "only", changed)
        return json_response(orjson.dumps(changed))

    return [Route("/settings", change_settings, methods=["PUT"])]


_STATUSES: Final = {"held": "held", "confirmed": "confirmed", "cancelled": "cancelled", "expired": "expired"}


def books(world: World) -> dict[str, list[JsonObject]]:
    """What Rapid's own books say of every booking that ever took effect: its part of `/_sandbox/books`."""
    reservations: list[JsonObject] = []
    for document in world.all(VENDOR, "itinerary"):
        itinerary = cast(Itinerary, cast(object, document))
        status = _STATUSES.get(itinerary["state"])
        if status is None:
            continue
        held_until = itinerary["held_until"]
        reservations.append(
            {
                "vendor": VENDOR,
                "kind": "hotel",
                "object_id": itinerary["id"],
                "metadata": {"reference": itinerary["reference"]},
                "status": status,
                "price_minor": total_minor(itinerary),
                "currency": itinerary["currency"],
                "refunded_minor": sum(room["refund_minor"] for room in itinerary["rooms"]),
                "created_at": itinerary["created_at"],
                "held_until": datetime.fromtimestamp(held_until, UTC).isoformat() if held_until else None,
            }
        )
    return {"reservations": reservations}
