"""Duffel's search: offer requests in, offers out, and one offer's price as of now."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final, cast

from starlette.responses import Response

from sandbox.content import Airport, City, airport_of, find_place
from sandbox.vendors.duffel_http import (
    VENDOR,
    Call,
    DuffelError,
    Fields,
    invalid_field,
    not_found,
    offer_gone,
    ok,
    page,
    timestamp,
)
from sandbox.vendors.duffel_offer_documents import offer_document, request_document
from sandbox.vendors.duffel_offers import (
    CABINS,
    Offer,
    PassengerRecord,
    RequestRecord,
    SliceRecord,
    change_price,
    find_offer,
    find_request,
    living_offers,
    require_alive,
    sell_out,
)
from sandbox.world import JsonObject, World

_TIME_RANGE_OPEN: Final = ("00:00", "23:59")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_CODE: Final = re.compile(r"[A-Z]{3}")
_TIME: Final = re.compile(r"\d{2}:\d{2}")


def create_offer_request(call: Call) -> Response:
    """POST /air/offer_requests"""
    world, fields = call.world, Fields(call.data)
    fields.only("slices", "passengers", "cabin_class", "max_connections", "private_fares")
    cabin_class = fields.optional_text("cabin_class") or "economy"
    if cabin_class not in CABINS:
        raise invalid_field("/cabin_class", "Unknown cabin class.", "validation_inclusion")
    most = fields.document.get("max_connections", 1)
    if most not in (0, 1, 2):
        raise invalid_field("/max_connections", "Must be 0, 1 or 2.", "validation_inclusion")
    slices = [_slice_record(world, each) for each in fields.children("slices")]
    request_id = world.new_id("orq_")
    people = fields.children("passengers")
    now = world.now()
    record: RequestRecord = {
        "id": request_id,
        "created_at": timestamp(now),
        "expires_at": timestamp(now + timedelta(seconds=world.settings.offer_ttl_s)),
        "hold_until": timestamp(now + timedelta(seconds=world.settings.hold_s)),
        "cabin_class": cabin_class,
        "max_connections": cast(int, most),
        "slices": slices,
        "passengers": [_passenger_record(f"pas_{request_id[4:]}{i}", each) for i, each in enumerate(people)],
    }
    world.put(VENDOR, "offer_request", request_id, cast(JsonObject, record))
    with_offers = call.argument("return_offers") != "false"
    return ok(request_document(world, record, with_offers=with_offers), 201)


def get_offer_request(call: Call) -> Response:
    """GET /air/offer_requests/{id}"""
    record = find_request(call.world, call.params["id"])
    if record is None:
        raise not_found("offer request")
    return ok(request_document(call.world, record, with_offers=True))


def list_offers(call: Call) -> Response:
    """GET /air/offers: the living offers of a request."""
    record = find_request(call.world, call.argument("offer_request_id") or "")
    if record is None:
        raise not_found("offer request")
    offers = living_offers(call.world, record)
    most = call.argument("max_connections")
    if most is not None and most.isdecimal():
        offers = [offer for offer in offers if all(len(way.segments) <= int(most) + 1 for way in offer.ways)]
    sort = call.argument("sort")
    if sort:
        if sort.lstrip("-") not in ("total_amount", "total_duration"):
            raise DuffelError(400, "invalid_request_error", "invalid_sort", "Unknown sort.")
        key = _price_minor if sort.lstrip("-") == "total_amount" else _flying_time_s
        offers.sort(key=key, reverse=sort.startswith("-"))
    documents = [offer_document(offer) for offer in offers]
    return page(call, documents, lambda document: cast(str, document["id"]), lambda document: document)


def get_offer(call: Call) -> Response:
    """GET /air/offers/{id}: the price as of now."""
    offer = find_offer(call.world, call.params["id"])
    if offer is None:
        raise not_found("offer")
    if call.faulty("sold_out"):
        sell_out(call.world, offer)
        raise offer_gone()
    require_alive(call.world, offer)
    if call.fault is not None and call.faulty("price_changed"):
        offer = change_price(call.world, offer, call.fault.percent)
    document = offer_document(offer)
    document["available_services"] = list[object]() if call.argument("return_available_services") == "true" else None
    return ok(document)


def _slice_record(world: World, fields: Fields) -> SliceRecord:
    fields.only("origin", "destination", "departure_date", "departure_time", "arrival_time")
    places: dict[str, Airport | City] = {}
    for end in ("origin", "destination"):
        place = find_place(fields.text(end, _CODE))
        if place is None:
            message = f"Field '{end}' is not a known IATA code."
            raise invalid_field(f"{fields.pointer}/{end}", message, "validation_inclusion")
        places[end] = place
    if airport_of(places["origin"]) == airport_of(places["destination"]):
        raise invalid_field(
            f"{fields.pointer}/destination", "Origin and destination are the same.", "validation_invalid"
        )
    text = fields.text("departure_date", _DATE)
    try:
        departure_date = date.fromisoformat(text)
    except ValueError as error:
        raise invalid_field(f"{fields.pointer}/departure_date", "Not a date.") from error
    # Somewhere it may still be yesterday.
    if departure_date < world.now().date() - timedelta(days=1):
        raise invalid_field(f"{fields.pointer}/departure_date", "Must not be in the past.", "validation_invalid")
    return {
        "origin": places["origin"].code,
        "destination": places["destination"].code,
        "departure_date": text,
        "departs_within": _time_range(fields, "departure_time"),
        "arrives_within": _time_range(fields, "arrival_time"),
    }


def _time_range(fields: Fields, name: str) -> list[str]:
    if fields.document.get(name) is None:
        return list(_TIME_RANGE_OPEN)
    limits = fields.child(name).only("from", "to")
    return [limits.text("from", _TIME), limits.text("to", _TIME)]


def _passenger_record(passenger_id: str, fields: Fields) -> PassengerRecord:
    fields.only("type", "age", "fare_type", "given_name", "family_name", "loyalty_programme_accounts")
    age = fields.document.get("age")
    fare_type = fields.optional_text("fare_type")
    if (fields.document.get("type") == "adult") + (age is not None or fare_type is not None) != 1:
        raise invalid_field(fields.pointer, "Give either type (adult), or age, or fare_type.", "validation_required")
    if age is not None and (not isinstance(age, int) or age < 0):
        raise invalid_field(f"{fields.pointer}/age", "Not an age.")
    kind = "adult" if age is None or age >= 18 else "child" if age >= 2 else "infant_without_seat"
    return {"id": passenger_id, "type": kind, "age": age, "fare_type": fare_type}


def _price_minor(offer: Offer) -> float:
    return offer.total_minor


def _flying_time_s(offer: Offer) -> float:
    return sum(way.itinerary.duration.total_seconds() for way in offer.ways)
