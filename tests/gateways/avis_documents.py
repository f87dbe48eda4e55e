"""Avis Budget's answers, as small as the derived contract allows, and a gateway that talks to a scripted Avis."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from gateways.avis import AvisCars
from gateways.avis_wire import AvisWire
from gateways.ports import SupplierState
from tests.gateways.support import DEPARTURE, NOW, Answer, Vendor

HOST = "https://stage.abgapiservices.com"
TOKEN = "GET /oauth/token/v2"
LOCATIONS = "GET /cars/locations/v2/keyword"
VEHICLES = "GET /cars/catalog/v2/vehicles"
QUOTE = "POST /cars/catalog/v2/vehicles/rates"
RESERVE = "POST /cars/reservation/v2"
SHOW = "GET /cars/reservation/v2"
CANCEL = "PUT /cars/reservation/v2"
NUMBER = "09449519US3"
CLIENT_ID = "client-id-1"

FOUND_STATE: SupplierState = {
    "brand": "Budget",
    "location": "CDG",
    "pickup_date": f"{DEPARTURE}T11:00:00",
    "dropoff_date": f"{DEPARTURE + timedelta(days=3)}T10:00:00",
    "sipp_code": "ECMR",
    "rate_code": "2G",
    "currency": "EUR",
    "country_code": "GB",
    "driver_age": 35,
}
QUOTED_STATE: SupplierState = {**FOUND_STATE, "rate_code": "2H", "quote_id": "quote-1"}
BOOKED_STATE: SupplierState = {**QUOTED_STATE, "last_name": "Earharta"}


def gateway(vendor: Vendor) -> AvisCars:
    return AvisCars(AvisWire(vendor.http("avis", HOST), CLIENT_ID, "secret"), offer_ttl_s=1800)


def token(value: str = "first", expires_in: int = 7140) -> httpx.Response:
    return httpx.Response(200, json={"access_token": value, "token_type": "Bearer", "expires_in": expires_in})


def behind_token(*answers: Answer) -> Vendor:
    return Vendor(token(), *answers)


def avis(status: int = 200, **document: object) -> httpx.Response:
    success = {"code": str(status), "message": "Success", "details": "done"}
    told = {"status": {"request_time": NOW.isoformat(), "success": [success]}, "transaction": {}}
    return httpx.Response(status, json={**told, **document})


def avis_error(status: int, code: str) -> httpx.Response:
    errors = [{"code": code, "message": "told", "reason": "told", "details": "told"}]
    told = {"request_time": NOW.isoformat(), "request_errors": 1, "errors": errors}
    return httpx.Response(status, json={"status": told, "transaction": {}})


def desk(brand: str = "Budget", code: str = "CDG", *, at_airport: bool = True) -> dict[str, Any]:
    return {
        "brand": brand,
        "code": code,
        "name": f"{brand} at {code}",
        "airport_location": at_airport,
        "address": {"country_code": "FR"},
    }


def desks(*found: dict[str, Any]) -> httpx.Response:
    return avis(locations=list(found) or [desk()])


def rate_totals(amount: float = 123.4, currency: str = "EUR", **rate: object) -> dict[str, Any]:
    return {
        "rate": {"rate_code": "2G", "currency": currency, **rate},
        "totals": {"reservation_total": amount, "vehicle_total": 100.0, "taxes_fees_total": 23.4},
        "pay_now": {"reservation_total": 99.0, "rate_code": "P1"},
        "pay_later": {"reservation_total": 130.0, "rate_code": "P2"},
    }


def vehicle(sipp: str = "ECMR", seats: str = "5", amount: float = 123.4, **category: object) -> dict[str, Any]:
    return {
        "category": {"name": "Ford Fiesta", "sipp_code": sipp, "vehicle_status": "Available", **category},
        "features": {"air_conditioned": True},
        "capacity": {"seats": seats},
        "rate_totals": rate_totals(amount),
    }


def vehicles(*found: dict[str, Any]) -> httpx.Response:
    return avis(product={"brand": "Budget"}, reservation={}, vehicles=list(found) or [vehicle()])


def quote(amount: float = 123.4, currency: str = "EUR", **rate: object) -> httpx.Response:
    totals = rate_totals(amount, currency, **{"rate_code": "2H", "quote_id": "quote-1", **rate})
    return avis(product={"brand": "Budget"}, reservation={"rate_totals": totals})


def reserved(status: int = 200, *, totals: dict[str, Any] | None = None, **category: object) -> httpx.Response:
    shown = {
        "confirmation": {"number": NUMBER},
        "rate_totals": rate_totals() if totals is None else totals,
        "vehicle": {"category": {"sipp_code": "ECMR", **category}, "features": {}, "capacity": {}},
        "insurance": [],
        "extras": [],
    }
    return avis(status, product={"brand": "Budget"}, reservation=shown)
