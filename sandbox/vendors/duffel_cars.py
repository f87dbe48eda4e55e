"""Duffel Cars: search, quote, book, get, cancel. No list call, as in the contract: a lost booking stays lost.

Nothing in the contract says that a quote books only once, so here it books as often as it is asked to: a client that
repeats a booking rents two cars. As with flights, rates follow from seed and query; the search alone is kept.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final, Literal, TypedDict, cast

from starlette.responses import Response
from starlette.routing import Route

from sandbox.content import CURRENCY
from sandbox.vendors.duffel_car_rates import (
    Rate,
    SearchRecord,
    change_price,
    find_rate,
    find_search,
    find_search_problem,
    rate_document,
    rates_of,
    sell_out,
    terms_document,
)
from sandbox.vendors.duffel_http import (
    PREFIX,
    VENDOR,
    Call,
    DuffelError,
    Endpoint,
    Fields,
    decimal_text,
    fault_response,
    invalid_field,
    invalid_state,
    not_found,
    ok,
    timestamp,
)
from sandbox.world import JsonObject, World

__all__ = ["PREFIX", "VENDOR", "books", "fault_response", "routes"]

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_REFERENCE_DIGITS: Final = "0123456789"


class QuoteRecord(TypedDict):
    id: str
    rate_id: str
    total_minor: int


class BookingRecord(TypedDict):
    id: str
    quote_id: str
    rate_id: str
    reference: str
    status: Literal["confirmed", "cancelled"]
    confirmed_at: str
    cancelled_at: str | None
    driver: JsonObject
    metadata: JsonObject
    total_minor: int
    refunded_minor: int


def routes(world: World) -> list[Route]:
    """The car calls of the contract, below `PREFIX`."""
    prices = ("sold_out", "price_changed")
    return [
        Route("/cars/search", Endpoint(world, search), methods=["POST"]),
        Route("/cars/quotes", Endpoint(world, create_quote, *prices), methods=["POST"]),
        Route("/cars/bookings", Endpoint(world, create_booking, *prices), methods=["POST"]),
        Route("/cars/bookings/{id}", Endpoint(world, get_booking), methods=["GET"]),
        Route("/cars/bookings/{id}/actions/cancel", Endpoint(world, cancel_booking), methods=["POST"]),
    ]


def search(call: Call) -> Response:
    """POST /cars/search"""
    world = call.world
    data = call.data
    problem = find_search_problem(data, world.now())
    if problem is not None:
        raise problem
    search_id = world.new_id("cas_")
    record: SearchRecord = {"id": search_id, "created_at": timestamp(world.now()), "query": data}
    world.put(VENDOR, "car_search", search_id, cast(JsonObject, record))
    rates = [rate_document(rate) for rate in rates_of(world, record) if not rate.sold_out]
    return ok({**data, "id": search_id, "live_mode": False, "created_at": record["created_at"], "rates": rates})


def create_quote(call: Call) -> Response:
    """POST /cars/quotes: the price as of now, and the conditions."""
    world = call.world
    rate = find_rate(world, Fields(call.data).only("rate_id").text("rate_id"))
    if rate is None:
        raise DuffelError(422, "validation_error", "linked_record_not_found", "The rate is unknown.", "/rate_id")
    if call.faulty("sold_out"):
        sell_out(world, rate)
        raise _rate_gone()
    _require_alive(world, rate)
    if call.fault is not None and call.faulty("price_changed"):
        rate = change_price(world, rate, call.fault.percent)
    quote: QuoteRecord = {"id": world.new_id("caq_"), "rate_id": rate.rate_id, "total_minor": rate.total_minor}
    world.put(VENDOR, "car_quote", quote["id"], cast(JsonObject, quote))
    identity: JsonObject = {"id": quote["id"], "live_mode": False, "rate_id": rate.rate_id, "search_id": rate.search_id}
    return ok({**terms_document(rate), **identity})


def create_booking(call: Call) -> Response:
    """POST /cars/bookings"""
    world, fields = call.world, Fields(call.data)
    fields.only(
        "quote_id",
        "driver",
        "inbound_flight_number",
        "supplier_loyalty_programme_account_number",
        "payment",
        "metadata",
        "users",
    )
    quote = cast("QuoteRecord | None", world.get(VENDOR, "car_quote", fields.text("quote_id")))
    rate = find_rate(world, quote["rate_id"]) if quote else None
    if quote is None or rate is None:
        raise DuffelError(422, "validation_error", "linked_record_not_found", "The quote is unknown.", "/quote_id")
    driver = _driver(fields.child("driver"))
    metadata = fields.metadata()
    if call.faulty("sold_out"):
        sell_out(world, rate)
        raise _rate_gone()
    _require_alive(world, rate)
    if call.fault is not None and call.faulty("price_changed"):
        rate = change_price(world, rate, call.fault.percent)
    if rate.total_minor != quote["total_minor"]:
        raise invalid_state("price_changed", "The price has changed. Ask for a new quote.")
    booking = _make_booking(world, quote, driver, metadata)
    return ok(_booking_document(world, booking))


def get_booking(call: Call) -> Response:
    """GET /cars/bookings/{id}"""
    return ok(_booking_document(call.world, _find_booking(call)))


def cancel_booking(call: Call) -> Response:
    """POST /cars/bookings/{id}/actions/cancel: at once, without a quote."""
    world, booking = call.world, _find_booking(call)
    if booking["status"] == "cancelled":
        raise invalid_state("already_cancelled", "The booking has been cancelled.")
    rate = find_rate(world, booking["rate_id"])
    booking["status"] = "cancelled"
    booking["cancelled_at"] = timestamp(world.now())
    booking["refunded_minor"] = booking["total_minor"] if rate and rate.free_to_cancel else 0
    world.put(VENDOR, "car_booking", booking["id"], cast(JsonObject, booking))
    _record_effect(world, "car.cancelled", booking, booking["refunded_minor"])
    return ok(_booking_document(world, booking))


def books(world: World) -> JsonObject:
    """Every booking. What is refunded is what is no longer owed, also where it would be paid at the desk."""
    reservations: list[JsonObject] = []
    for document in world.all(VENDOR, "car_booking"):
        booking = cast(BookingRecord, document)
        reservations.append(
            {
                "vendor": VENDOR,
                "kind": "car",
                "object_id": booking["id"],
                "metadata": booking["metadata"],
                "status": booking["status"],
                "price_minor": booking["total_minor"],
                "currency": CURRENCY,
                "refunded_minor": booking["refunded_minor"],
                "created_at": booking["confirmed_at"],
                "held_until": None,
            }
        )
    return {"reservations": reservations, "payments": []}


def _make_booking(world: World, quote: QuoteRecord, driver: JsonObject, metadata: JsonObject) -> BookingRecord:
    booking_id = world.new_id("cab_")
    dice = world.random(VENDOR, "car_reference", booking_id)
    booking: BookingRecord = {
        "id": booking_id,
        "quote_id": quote["id"],
        "rate_id": quote["rate_id"],
        "reference": "".join(dice.choices(_REFERENCE_DIGITS, k=9)),
        "status": "confirmed",
        "confirmed_at": timestamp(world.now()),
        "cancelled_at": None,
        "driver": driver,
        "metadata": metadata,
        "total_minor": quote["total_minor"],
        "refunded_minor": 0,
    }
    world.put(VENDOR, "car_booking", booking_id, cast(JsonObject, booking))
    _record_effect(world, "car.booked", booking, booking["total_minor"])
    return booking


def _record_effect(world: World, effect: str, booking: BookingRecord, amount_minor: int) -> None:
    world.effect(
        VENDOR,
        effect,
        object_id=booking["id"],
        metadata=booking["metadata"],
        amount_minor=amount_minor,
        currency=CURRENCY,
        details={"reference": booking["reference"], "quote_id": booking["quote_id"]},
    )


def _rate_gone() -> DuffelError:
    return invalid_state("rate_unavailable", "The car is no longer available at this rate.")


def _require_alive(world: World, rate: Rate) -> None:
    if rate.sold_out:
        raise _rate_gone()
    record = find_search(world, rate.search_id)
    created_at = datetime.fromisoformat(record["created_at"]) if record else world.now()
    if (world.now() - created_at).total_seconds() >= world.settings.offer_ttl_s:
        raise invalid_state("rate_expired", "The rate has expired. Search again.")


def _find_booking(call: Call) -> BookingRecord:
    found = call.world.get(VENDOR, "car_booking", call.params["id"])
    if found is None:
        raise not_found("booking")
    return cast(BookingRecord, cast(object, found))


def _driver(fields: Fields) -> JsonObject:
    fields.only("given_name", "family_name", "email", "phone_number", "date_of_birth", "user_id")
    born_on = fields.text("date_of_birth")
    try:
        date.fromisoformat(born_on)
    except ValueError as error:
        raise invalid_field(f"{fields.pointer}/date_of_birth", "Not a date.") from error
    return {
        "given_name": fields.text("given_name"),
        "family_name": fields.text("family_name"),
        "email": fields.text("email", _EMAIL),
        "phone_number": fields.text("phone_number"),
        "date_of_birth": born_on,
        "user_id": fields.optional_text("user_id"),
    }


def _booking_document(world: World, booking: BookingRecord) -> JsonObject:
    rate = find_rate(world, booking["rate_id"])
    if rate is None:
        raise LookupError(f"booking {booking['id']} has lost its search")
    amount = decimal_text(booking["total_minor"])
    return {
        **terms_document(rate),
        "id": booking["id"],
        "live_mode": False,
        "reference": booking["reference"],
        "status": booking["status"],
        "confirmed_at": booking["confirmed_at"],
        "cancelled_at": booking["cancelled_at"],
        "quote_id": booking["quote_id"],
        "driver": booking["driver"],
        "base_amount": amount,
        "total_amount": amount,
        "metadata": booking["metadata"],
        "users": [],
    }
