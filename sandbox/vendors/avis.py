"""Avis Budget: which call is answered where, and which faults each can show. Tokens, desks and availability are here."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.content import Airport, airports
from sandbox.vendors.avis_rates import (
    BRANDS,
    address_document,
    checked_rental,
    offer_document,
    places_document,
    rates_of,
)
from sandbox.vendors.avis_requests import Brand
from sandbox.vendors.avis_reservations import books, cancel, create, quote, resume, view
from sandbox.vendors.avis_wire import (
    PREFIX,
    RECEPTION,
    VENDOR,
    AvisError,
    TokenError,
    fault_response,
    issue_token,
    malformed,
    sold_out,
    success,
)
from sandbox.vendors.calls import Call, Handler, endpoint, json_response
from sandbox.world import JsonObject, World

__all__ = ["PREFIX", "VENDOR", "books", "fault_response", "routes"]

_LOCATIONS_MAX: Final = 20


def routes(world: World) -> list[Route]:
    """The calls of the derived contract, below `PREFIX`."""
    resume(world)

    async def token(request: Request) -> Response:
        headers = request.headers
        try:
            return json_response(issue_token(world, headers.get("client_id"), headers.get("client_secret")))
        except TokenError as error:
            return error.response()

    def call(method: str, path: str, handler: Handler, *faults: str) -> Route:
        return Route(path, endpoint(world, RECEPTION, handler, *faults), methods=[method])

    return [
        Route("/oauth/token/v2", token, methods=["GET"]),
        call("GET", "/cars/locations/v2/keyword", locations),
        call("GET", "/cars/catalog/v2/vehicles", vehicles, "sold_out"),
        call("POST", "/cars/catalog/v2/vehicles/rates", quote, "sold_out", "price_changed"),
        call("POST", "/cars/reservation/v2", create, "sold_out", "price_changed", "decline", "accept_later"),
        call("GET", "/cars/reservation/v2", view),
        call("PUT", "/cars/reservation/v2", cancel),
    ]


def locations(call: Call) -> Response:
    """GET /cars/locations/v2/keyword: desks at airports whose code is the keyword, or whose names begin with it."""
    wanted, keyword = call.required("brand"), call.required("keyword").casefold()
    brands = BRANDS if wanted == "ALL" else (_brand(wanted),)
    by_code = airports().get(keyword.upper())
    found = [by_code] if by_code else [airport for airport in airports().values() if _is_called(airport, keyword)]
    if not found:
        details = "Avis failed to fulfill the request. Proximity search details are not available for the given input."
        raise AvisError(404, "609", "Location details are not found for the given search criteria.", details)
    desks: list[JsonObject] = [
        {
            "brand": brand,
            "code": airport.code,
            "name": airport.name,
            "airport_location": True,
            "address": address_document(airport),
        }
        for airport in found[:_LOCATIONS_MAX]
        for brand in brands
    ]
    parts = success("The locations were retrieved successfully.", call.argument("transaction_id"))
    return json_response({**parts, "locations": desks})


def vehicles(call: Call) -> Response:
    """GET /cars/catalog/v2/vehicles: what the brand has at the desk, one entry per class."""
    brand = _brand(call.required("brand"))
    if len(call.required("country_code")) != 2:
        raise AvisError(400, "13213", "Country Code is invalid", "Please enter a valid Country Code.")
    rental = checked_rental(
        call.world,
        call.required("pickup_location"),
        call.required("dropoff_location"),
        _moment(call, "pickup_date"),
        _moment(call, "dropoff_date"),
    )
    filters = set(filter(None, (call.argument("vehicle_sipp_codes") or "").split(",")))
    left = [rate for rate in rates_of(call.world, brand, rental, _age(call)) if not rate.sold_out]
    if not left or call.fault_of("sold_out"):
        raise sold_out()
    fitting = [rate for rate in left if not filters or rate.model.sipp in filters]
    if not fitting:
        reason = "No vehicles are available for the given filtering criteria"
        raise AvisError(404, "500708", reason, f"Sorry! {reason}.")
    parts = success("The vehicle availability was successfully retrieved.", call.argument("transaction_id"))
    return json_response(
        {
            **parts,
            "product": {"brand": brand},
            "vehicles": [offer_document(rate) for rate in fitting],
            "reservation": places_document(rental),
        }
    )


def _is_called(airport: Airport, keyword: str) -> bool:
    return airport.city_name.casefold().startswith(keyword) or airport.name.casefold().startswith(keyword)


def _brand(name: str) -> Brand:
    if name not in BRANDS:
        raise malformed(f"- Invalid element <{name}>.")
    return name


def _moment(call: Call, name: str) -> datetime:
    try:
        return datetime.fromisoformat(call.required(name))
    except ValueError as error:
        raise malformed(f"- Invalid element <{name}>.") from error


def _age(call: Call) -> float | None:
    age = call.argument("age")
    if age is None:
        return None
    if not age.isdecimal():
        raise malformed("- Invalid element <age>.")
    return float(age)
