"""LiteAPI's answers, as small as its contract allows, and a gateway that talks to a scripted LiteAPI."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from gateways.liteapi import LiteApiHotels
from gateways.liteapi_wire import LiteApiWire
from gateways.ports import SupplierState
from tests.gateways.support import DEPARTURE, NOW, PRICE, REFERENCE, Vendor

SEARCH_HOST = "https://api.liteapi.travel/v3.0"
BOOKING_HOST = "https://book.liteapi.travel/v3.0"
RATES = "POST /v3.0/hotels/rates"
PREBOOK = "POST /v3.0/rates/prebook"
BOOK = "POST /v3.0/rates/book"
BOOKINGS = "GET /v3.0/bookings"
BOOKING = "GET /v3.0/bookings/hSq2gVDrf"
CANCEL = "PUT /v3.0/bookings/hSq2gVDrf"
BOOKING_ID = "hSq2gVDrf"
NIGHTS = {"checkin": DEPARTURE.isoformat(), "checkout": (DEPARTURE + timedelta(days=3)).isoformat()}

FOUND_STATE: SupplierState = {"offer_id": "GE5E", "currency": "EUR", "room": "King Room", "refundable": True}
PREBOOKED_STATE: SupplierState = {**FOUND_STATE, "prebook_id": "zzWkJcdgk"}


def gateway(vendor: Vendor) -> LiteApiHotels:
    wire = LiteApiWire(vendor.http("liteapi", SEARCH_HOST), vendor.http("liteapi", BOOKING_HOST), "sand_key")
    return LiteApiHotels(wire, offer_ttl_s=1800, read_timeout_s=5)


def data(document: object, status: int = 200, **beside: object) -> httpx.Response:
    return httpx.Response(status, json={"data": document, **beside})


def liteapi_error(status: int, code: int, description: str = "") -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "description": description, "message": "told"}})


def policies(*infos: dict[str, Any], tag: str = "RFN") -> dict[str, Any]:
    return {"cancelPolicyInfos": list(infos), "hotelRemarks": [], "refundableTag": tag}


def penalty(deadline: str, amount: float, **changes: object) -> dict[str, Any]:
    told = {"cancelTime": deadline, "amount": amount, "currency": "EUR", "type": "amount", "timezone": "GMT"}
    return {**told, **changes}


def rate(name: str = "King Room", amount: float = 123.4, currency: str = "EUR", **changes: object) -> dict[str, Any]:
    return {
        "rateId": "I42F",
        "occupancyNumber": 1,
        "name": name,
        "maxOccupancy": 2,
        "adultCount": 1,
        "boardType": "RO",
        "boardName": "Room Only",
        "retailRate": {
            "total": [{"amount": amount, "currency": currency}],
            "taxesAndFees": [{"included": False, "description": "City tax", "amount": 9.0, "currency": currency}],
        },
        "commission": [{"amount": 12.3, "currency": currency}],
        "cancellationPolicies": policies(),
        "paymentTypes": ["NUITEE_PAY"],
        **changes,
    }


def room_type(*rates: dict[str, Any], **changes: object) -> dict[str, Any]:
    return {"roomTypeId": "GQ2T", "offerId": "GE5E", "rates": list(rates) or [rate()], **changes}


def rates(*room_types: dict[str, Any], hotel: dict[str, Any] | None = None) -> httpx.Response:
    told = {"id": "lp1897", "name": "Grand", "city_name": "Paris", "stars": 4.5} if hotel is None else hotel
    found = [{"hotelId": "lp1897", "roomTypes": list(room_types) or [room_type()]}]
    return data(found, hotels=[told] if told else [], sandbox=True)


def prebook(**changes: object) -> httpx.Response:
    return data(
        {
            "prebookId": "zzWkJcdgk",
            "offerId": "GE5E",
            "hotelId": "lp1897",
            **NIGHTS,
            "currency": "EUR",
            "roomTypes": [{"rates": [rate("King Room - Room only")]}],
            "price": 123.4,
            "priceDifferencePercent": 0,
            "cancellationChanged": False,
            "boardChanged": False,
            **changes,
        }
    )


def booking(status: str = "CONFIRMED", **changes: object) -> dict[str, Any]:
    return {
        "bookingId": BOOKING_ID,
        "clientReference": REFERENCE,
        "status": status,
        "hotelConfirmationCode": "H1",
        **NIGHTS,
        "createdAt": NOW.isoformat(),
        "cancellationPolicies": policies(),
        "price": 123.4,
        "currency": PRICE.currency,
        **changes,
    }


def cancellation(status: str = "CANCELLED", **changes: object) -> dict[str, Any]:
    return {"bookingId": BOOKING_ID, "status": status, "currency": "EUR", **changes}


def not_found() -> httpx.Response:
    return httpx.Response(204)
