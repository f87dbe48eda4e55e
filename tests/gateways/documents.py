"""The smallest documents that the vendors' contracts and our gateways get along with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from gateways.ports import SupplierState
from tests.gateways.support import BOOKING_ID, DEPARTURE, NOW, PAYMENT_ID, PRICE, REFERENCE

# ------------------------------------------------------------------------------------------------------------ Duffel

FLIGHT_STATE: SupplierState = {"offer_id": "off_1", "passenger_ids": ["pas_1"]}
HELD_STATE: SupplierState = {**FLIGHT_STATE, "order_id": "ord_1"}
CAR_STATE: SupplierState = {"rate_id": "rat_1", "payment_type": "prepaid", "quote_id": "quo_1"}


def duffel(data: object, status: int = 200, **beside: object) -> httpx.Response:
    return httpx.Response(status, json={"data": data, **beside})


def duffel_error(status: int, code: str, kind: str = "api_error") -> httpx.Response:
    error = {"type": kind, "code": code, "title": code, "message": code, "documentation_url": ""}
    return httpx.Response(status, json={"errors": [error], "meta": {"status": status, "request_id": "req_1"}})


def order(**changes: object) -> dict[str, Any]:
    """An order that is held and waits for payment."""
    return {
        "id": "ord_1",
        "created_at": NOW.isoformat(),
        "booking_reference": "ABC123",
        "total_amount": PRICE.decimal(),
        "total_currency": PRICE.currency,
        "metadata": {"reference": REFERENCE},
        "payment_status": {
            "awaiting_payment": True,
            "payment_required_by": (NOW + timedelta(hours=1)).isoformat(),
            "paid_at": None,
        },
        **changes,
    }


PAID = {"awaiting_payment": False, "payment_required_by": None, "paid_at": NOW.isoformat()}


def cancellation(**changes: object) -> dict[str, Any]:
    return {
        "id": "ore_1",
        "order_id": "ord_1",
        "refund_amount": "100.00",
        "refund_currency": PRICE.currency,
        "refund_to": "balance",
        "confirmed_at": None,
        **changes,
    }


def flight_offer(**changes: object) -> dict[str, Any]:
    segment = {
        "marketing_carrier": {"name": "Duffel Airways", "iata_code": "ZZ"},
        "marketing_carrier_flight_number": "0042",
        "origin": {"iata_code": "LHR"},
        "destination": {"iata_code": "CDG"},
        "departing_at": "2027-01-01T09:00:00",
        "arriving_at": "2027-01-01T11:00:00",
        "passengers": [{"cabin_class": "economy"}],
    }
    return {
        "id": "off_1",
        "total_amount": PRICE.decimal(),
        "total_currency": PRICE.currency,
        "expires_at": (NOW + timedelta(minutes=30)).isoformat(),
        "conditions": {"refund_before_departure": {"allowed": True}},
        "payment_requirements": {"requires_instant_payment": False},
        "passengers": [{"id": "pas_1"}],
        "slices": [{"segments": [segment]}],
        **changes,
    }


def car_rate(**changes: object) -> dict[str, Any]:
    return {
        "id": "rat_1",
        "total_amount": PRICE.decimal(),
        "total_currency": PRICE.currency,
        "payment_type": "prepaid",
        "supplier": {"name": "Hertz"},
        "car": {"name": "Fiat 500", "category": "mini", "max_passengers": 4},
        "pickup_location": {"name": "Desk"},
        "dropoff_location": {"name": "Desk"},
        **changes,
    }


def car_booking(**changes: object) -> dict[str, Any]:
    return {
        "id": "cab_1",
        "reference": "REF1",
        "status": "confirmed",
        "total_amount": PRICE.decimal(),
        "total_currency": PRICE.currency,
        **changes,
    }


# ------------------------------------------------------------------------------------------------------------- Rapid

ITINERARY = "/v3/itineraries/99"
HOTEL_STATE: SupplierState = {"price_check": "/v3/properties/1/rooms/2/rates/3?token=P", "occupancy": "1"}
CHECKED_STATE: SupplierState = {**HOTEL_STATE, "book": "/v3/itineraries?token=B"}
HELD_HOTEL_STATE: SupplierState = {
    **CHECKED_STATE,
    "itinerary_id": "99",
    "retrieve": f"{ITINERARY}?token=R",
    "resume": f"{ITINERARY}?token=S",
    "cancel": f"{ITINERARY}?token=C",
    "currency": "EUR",
}


def link(href: str, method: str = "GET") -> dict[str, str]:
    return {"method": method, "href": href}


def amount(value: str, currency: str = "EUR") -> dict[str, Any]:
    return {"billable_currency": {"value": value, "currency": currency}}


def priced(value: str = "123.40", nightly: list[str] | None = None) -> dict[str, Any]:
    nights = [[{"type": "base_rate", "value": night, "currency": "EUR"}] for night in nightly or ["61.70", "61.70"]]
    return {"nightly": nights, "totals": {"inclusive": amount(value)}}


def rapid_error(status: int, kind: str, *nested: str) -> httpx.Response:
    errors = [{"type": item, "message": item} for item in nested]
    return httpx.Response(status, json={"type": kind, "message": kind, **({"errors": errors} if errors else {})})


def room(status: str = "booked", **rate: object) -> dict[str, Any]:
    return {
        "id": "7",
        "status": status,
        "checkin": DEPARTURE.isoformat(),
        "confirmation_id": {"expedia": "E1", "property": "P1"},
        "rate": {"refundable": True, "pricing": priced(), **rate},
        "links": {"cancel": link(f"{ITINERARY}/rooms/7?token=X", "DELETE")},
    }


def itinerary(*rooms: dict[str, Any], held: bool = False, **changes: object) -> dict[str, Any]:
    links = {"resume": link(f"{ITINERARY}?token=S", "PUT"), "cancel": link(f"{ITINERARY}?token=C", "DELETE")}
    return {
        "itinerary_id": "99",
        "affiliate_reference_id": REFERENCE,
        "creation_date_time": NOW.isoformat(),
        "links": links if held else {},
        "rooms": list(rooms) or [room("pending" if held else "booked")],
        **changes,
    }


def price_check(status: str = "available", value: str = "123.40") -> dict[str, Any]:
    expires = (NOW + timedelta(minutes=20)).isoformat()
    return {
        "status": status,
        "occupancy_pricing": {"1": priced(value)},
        "links": {"book": {**link("/v3/itineraries?token=B", "POST"), "expires": expires}},
    }


def created_itinerary(*, hold: bool) -> dict[str, Any]:
    links = {"retrieve": link(f"{ITINERARY}?token=R")}
    if hold:
        links |= {"resume": link(f"{ITINERARY}?token=S", "PUT"), "cancel": link(f"{ITINERARY}?token=C", "DELETE")}
    return {"itinerary_id": "99", "links": links}


def availability(**rate: object) -> list[dict[str, Any]]:
    one = {
        "id": "3",
        "refundable": True,
        "holdable": True,
        "merchant_of_record": "expedia",
        "bed_groups": {"1": {"links": {"price_check": link("/v3/properties/1/rooms/2/rates/3?token=P")}}},
        "occupancy_pricing": {"1": priced()},
        **rate,
    }
    return [{"property_id": "1", "status": "available", "rooms": [{"room_name": "Double", "rates": [one]}]}]


def content() -> dict[str, Any]:
    return {
        "1": {
            "property_id": "1",
            "name": "Grand",
            "address": {"city": "Paris"},
            "ratings": {"property": {"rating": "4.5"}},
        }
    }


# ------------------------------------------------------------------------------------------------------------ Stripe


def intent(status: str = "requires_capture", **changes: object) -> dict[str, Any]:
    charge = {
        "id": "ch_1",
        "object": "charge",
        "amount_refunded": 0,
        "currency": "eur",
        "payment_method_details": {"card": {"capture_before": int((NOW + timedelta(days=5)).timestamp())}},
    }
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "status": status,
        "amount": PRICE.amount_minor,
        "amount_capturable": PRICE.amount_minor if status == "requires_capture" else 0,
        "amount_received": PRICE.amount_minor if status == "succeeded" else 0,
        "currency": "eur",
        "created": int(NOW.timestamp()),
        "client_secret": "pi_1_secret_x",
        "latest_charge": charge if status in ("requires_capture", "succeeded") else None,
        "metadata": {"payment_id": PAYMENT_ID, "booking_id": BOOKING_ID},
        **changes,
    }


def refund(status: str = "succeeded", **changes: object) -> dict[str, Any]:
    return {
        "id": "re_1",
        "object": "refund",
        "status": status,
        "amount": PRICE.amount_minor,
        "currency": "eur",
        "metadata": {"key": f"{BOOKING_ID}:refund:0"},
        **changes,
    }


def stripe_list(*items: dict[str, Any], has_more: bool = False) -> dict[str, Any]:
    return {"object": "list", "url": "/v1/list", "has_more": has_more, "data": list(items)}


def stripe_error(status: int, kind: str, code: str | None = None, **more: object) -> httpx.Response:
    return httpx.Response(status, json={"error": {"type": kind, "code": code, "message": "told by Stripe", **more}})


def ok(document: object, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=document)
