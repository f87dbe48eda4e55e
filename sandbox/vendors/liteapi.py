"""LiteAPI: which call is answered where, and which faults each can show. Hotel data and the search for rates are here."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from sandbox.vendors.calls import Call, Handler, endpoint, json_response
from sandbox.vendors.liteapi_bookings import book, books, cancel, find, find_all, get, prebook, resume
from sandbox.vendors.liteapi_content import (
    cities,
    details,
    find_hotel,
    hotel_id,
    hotels_around,
    hotels_in_city,
    hotels_of_code,
    hotels_of_place,
    iata_codes,
    list_entry,
    places,
    summary,
)
from sandbox.vendors.liteapi_rates import PER_EURO, Stay, is_full, offers, room_type_document
from sandbox.vendors.liteapi_requests import RatesRequest
from sandbox.vendors.liteapi_wire import (
    PREFIX,
    RECEPTION,
    VENDOR,
    bad_request,
    fault_response,
    nothing,
    wrong_input,
)
from sandbox.vendors.rapid_content import Hotel
from sandbox.world import JsonObject, World

__all__ = ["PREFIX", "VENDOR", "books", "fault_response", "routes"]

_LISTED_MAX: Final = 200
_RADIUS_MIN_M: Final = 1000


def routes(world: World) -> list[Route]:
    """The calls of the contract that the sandbox plays, below `PREFIX`. Search and booking share a host here."""
    resume(world)

    def call(method: str, path: str, handler: Handler, *faults: str) -> Route:
        return Route(f"/v3.0{path}", endpoint(world, RECEPTION, handler, *faults), methods=[method])

    return [
        call("GET", "/data/hotels", data_hotels),
        call("GET", "/data/hotel", data_hotel),
        call("GET", "/data/places", lambda each: json_response({"data": places(each.required("textQuery"))})),
        call("GET", "/data/cities", lambda each: json_response({"data": cities(each.required("countryCode"))})),
        call("GET", "/data/iataCodes", lambda _each: json_response({"data": iata_codes()})),
        call("POST", "/hotels/rates", search, "sold_out"),
        call("POST", "/rates/prebook", prebook, "sold_out", "price_changed"),
        call("POST", "/rates/book", book, "sold_out", "price_changed", "decline", "accept_later"),
        call("GET", "/bookings", find),
        call("GET", "/bookings/", find_all),
        call("GET", "/bookings/{id}", get),
        call("PUT", "/bookings/{id}", cancel),
    ]


def data_hotels(call: Call) -> Response:
    """GET /data/hotels by ids, by country and city, around a point, or of a place."""
    seed, ids = call.world.seed, call.argument("hotelIds")
    country, city, place = call.argument("countryCode"), call.argument("cityName"), call.argument("placeId")
    if ids is not None:
        found = _of_ids(seed, ids.split(","))
    elif country and city:
        found = hotels_in_city(seed, country, city)
    elif call.argument("latitude") is not None:
        radius_m = max(_RADIUS_MIN_M, _number(call, "radius"))
        found = hotels_around(seed, _number(call, "latitude"), _number(call, "longitude"), radius_m)
    elif place:
        found = hotels_of_place(seed, place)
    else:
        raise bad_request("countryCode is required")
    found = _called(found, call.argument("hotelName"))
    offset, limit = call.argument("offset") or "0", call.argument("limit") or str(_LISTED_MAX)
    if not offset.isdecimal() or not limit.isdecimal():
        raise bad_request("offset and limit must be numbers")
    shown = found[int(offset) : int(offset) + int(limit)]
    return json_response(
        {
            "data": [list_entry(each) for each in shown],
            "hotelIds": [hotel_id(each) for each in shown],
            "total": len(found),
        }
    )


def data_hotel(call: Call) -> Response:
    """GET /data/hotel"""
    found = find_hotel(call.world.seed, call.argument("hotelId") or "")
    if found is None:
        raise wrong_input("hotelId is missing or invalid")
    return json_response({"data": details(call.world.seed, found)})


def search(call: Call) -> Response:
    """POST /hotels/rates: hotels with their cheapest rate first; 204 where there is nothing."""
    world, asked = call.world, call.parsed(RatesRequest)
    today = world.now().date()
    if asked.currency not in PER_EURO:
        raise bad_request("currency is not supported")
    if not today <= asked.checkin < asked.checkout:
        raise bad_request("checkin must not be in the past, and before checkout")
    stay = Stay(asked.checkin, asked.checkout, tuple(asked.occupancies), asked.currency)
    found = _called(_wanted(world.seed, asked), asked.hotel_name)[asked.offset : asked.offset + asked.limit]
    boards = set(asked.board_type.split(",")) if asked.board_type else None
    listed: list[tuple[int, Hotel, list[JsonObject]]] = []
    for hotel in found:
        if is_full(world, hotel, asked.checkin):
            continue
        fitting = [
            offer
            for offer in offers(world, hotel, stay)
            if (offer.plan.refundable or not asked.refundable_rates_only)
            and (boards is None or offer.plan.board[0] in boards)
        ][: asked.max_rates_per_hotel]
        if fitting:
            rooms = [room_type_document(world, offer) for offer in fitting]
            listed.append((fitting[0].total_minor, hotel, rooms))
    if not listed or call.fault_of("sold_out"):
        return nothing(204)
    listed.sort(key=lambda entry: entry[0])
    answer: JsonObject = {
        "data": [{"hotelId": hotel_id(hotel), "roomTypes": rooms} for _, hotel, rooms in listed],
        "guestLevel": 0,
        "sandbox": True,
    }
    if asked.hotel_ids is None or asked.include_hotel_data:
        answer["hotels"] = [summary(hotel) for _, hotel, _ in listed]
    return json_response(answer)


def _wanted(seed: int, asked: RatesRequest) -> list[Hotel]:
    """The hotels that a search means; raises 4000 where it names no place."""
    if asked.hotel_ids is not None:
        return _of_ids(seed, asked.hotel_ids)
    if asked.iata_code:
        return hotels_of_code(seed, asked.iata_code)
    if asked.country_code and asked.city_name:
        return hotels_in_city(seed, asked.country_code, asked.city_name)
    if asked.latitude is not None and asked.longitude is not None:
        return hotels_around(seed, asked.latitude, asked.longitude, asked.radius or _RADIUS_MIN_M)
    if asked.place_id:
        return hotels_of_place(seed, asked.place_id)
    raise bad_request("hotel ids not found")


def _of_ids(seed: int, ids: list[str]) -> list[Hotel]:
    found = [hotel for wanted in ids if (hotel := find_hotel(seed, wanted))]
    if not found:
        raise bad_request("hotel ids not found")
    return found


def _called(found: list[Hotel], name: str | None) -> list[Hotel]:
    return [each for each in found if name is None or name.casefold() in each.name.casefold()]


def _number(call: Call, name: str) -> float:
    try:
        return float(call.required(name))
    except ValueError as error:
        raise bad_request(f"{name} is not a number") from error
