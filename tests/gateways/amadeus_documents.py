"""Amadeus's documents, a gateway that is told them, and the token that comes before each."""

from __future__ import annotations

from typing import Any

import httpx

from gateways.amadeus import AmadeusFlights
from gateways.ports import SupplierState
from tests.gateways.support import PRICE, Answer, Vendor

HOST = "https://test.api.amadeus.com"
TOKEN_PATH = "/v1/security/oauth2/token"
TOKEN_ASKED = f"POST {TOKEN_PATH}"
ORDERS = "/v1/booking/flight-orders"
PRICING = "/v1/shopping/flight-offers/pricing"
ORDER_ID = "eJzTd9f3s4gKC%2FMEAAt8Ans%3D"
"""As the contract's own example has it: encoded already."""


def gateway(vendor: Vendor) -> AmadeusFlights:
    return AmadeusFlights(vendor.http("amadeus", HOST), "id", "secret", offer_ttl_s=1800)


def behind_token(*answers: Answer) -> Vendor:
    """A vendor that is asked for a token first."""
    return Vendor(token(), *answers)


def token(value: str = "first", expires_in: int = 1799) -> httpx.Response:
    document = {"type": "amadeusOAuth2Token", "access_token": value, "token_type": "Bearer", "expires_in": expires_in}
    return httpx.Response(200, json=document)


def amadeus(data: object, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json={"data": data})


def amadeus_error(status: int, code: int | None = None, title: str = "told by Amadeus") -> httpx.Response:
    return httpx.Response(status, json={"errors": [{"status": status, "code": code, "title": title}]})


def segment(number: int, origin: str, destination: str, day: int, **changes: object) -> dict[str, Any]:
    return {
        "id": str(number),
        "carrierCode": "BA",
        "number": str(300 + number),
        "departure": {"iataCode": origin, "at": f"2027-01-0{day}T09:00:00"},
        "arrival": {"iataCode": destination, "at": f"2027-01-0{day}T11:15:00"},
        "numberOfStops": 0,
        "blacklistedInEU": False,
        **changes,
    }


def pricing_of(traveller: int, bags: object = None, cabin: str = "ECONOMY") -> dict[str, Any]:
    fares = [
        {"segmentId": segment_id, "cabin": cabin, "class": "Y", **({"includedCheckedBags": bags} if bags else {})}
        for segment_id in ("1", "2")
    ]
    return {
        "travelerId": str(traveller),
        "fareOption": "STANDARD",
        "travelerType": "ADULT",
        "fareDetailsBySegment": fares,
    }


def offer(total: str = PRICE.decimal(), currency: str = "EUR", count: int = 1, **changes: object) -> dict[str, Any]:
    """There and back, for `count` travellers."""
    return {
        "type": "flight-offer",
        "id": "1",
        "source": "GDS",
        "lastTicketingDate": "2026-12-24",
        "itineraries": [{"segments": [segment(1, "LHR", "CDG", 1)]}, {"segments": [segment(2, "CDG", "LHR", 4)]}],
        "price": {"currency": currency, "total": total, "base": "100.00", "grandTotal": total},
        "pricingOptions": {"fareType": ["PUBLISHED"]},
        "travelerPricings": [pricing_of(number) for number in range(1, count + 1)],
        **changes,
    }


def priced(*offers: dict[str, Any], **beside: object) -> httpx.Response:
    """What the price check answers."""
    return amadeus({"type": "flight-offers-pricing", "flightOffers": list(offers), **beside})


def order(**changes: object) -> dict[str, Any]:
    return {
        "type": "flight-order",
        "id": ORDER_ID,
        "associatedRecords": [{"reference": "ABC123", "originSystemCode": "GDS", "flightOfferId": "1"}],
        "flightOffers": [offer()],
        **changes,
    }


def order_in(*statuses: str) -> dict[str, Any]:
    """An order whose segments are in these states."""
    segments = [
        segment(number, "LHR", "CDG", number, bookingStatus=status) for number, status in enumerate(statuses, start=1)
    ]
    return order(flightOffers=[offer(itineraries=[{"segments": segments}])])


TICKETED = order(tickets=[{"documentType": "ETICKET", "documentNumber": "125-1", "documentStatus": "ISSUED"}])
FOUND_STATE: SupplierState = {"flight_offer": offer(), "traveller_ids": ["1"], "priced": False}
PRICED_STATE: SupplierState = {**FOUND_STATE, "priced": True}
ORDERED_STATE: SupplierState = {"order_id": ORDER_ID}
