"""Avis Budget's desks, vehicles, rates and reservations in our words. Source: tests/contracts/avis-budget.DERIVED.openapi.yaml."""

from datetime import datetime
from hashlib import sha256
from typing import Literal

import orjson
import structlog

from gateways.avis_wire import VENDOR
from gateways.fields import Fields, required_text
from gateways.found import version_of
from gateways.ports import Reservation, ReservationRequest, SupplierState
from schema.money import Money
from schema.offers import CarOffer, FoundOffer, SearchRequest

BRANDS = ("Avis", "Budget", "Payless")
AVAILABLE = "Available"
ON_REQUEST = "OnRequest"
CLASSES: dict[str, str] = {
    **dict.fromkeys("MN", "mini"),
    **dict.fromkeys("EH", "economy"),
    **dict.fromkeys("CD", "compact"),
    **dict.fromkeys("IJ", "intermediate"),
    **dict.fromkeys("SR", "standard"),
    **dict.fromkeys("FG", "fullsize"),
    **dict.fromkeys("PU", "premium"),
    **dict.fromkeys("LW", "luxury"),
}
"""By the first letter of the ACRISS code, the second of each pair being the "elite" one; O (oversize) and X are special."""
VOUCHER_DIGITS = 8

_logger = structlog.stdlib.get_logger("gateways.avis")


def offer_of(
    vehicle: Fields, request: SearchRequest, *, brand: str, desk_name: str, expires_at: datetime
) -> FoundOffer | None:
    """None for a car that is on request only, which is no confirmed car, and for one that is too small."""
    category = vehicle.object("category")
    if category.text_or_none("vehicle_status") not in (None, AVAILABLE):
        return None
    capacity = vehicle.object_or_none("capacity")
    places = capacity.decimal_or_none("seats") if capacity else None
    if places is not None and places < request.travellers:
        return None
    price, rate_code = _listed(vehicle.object("rate_totals"))
    sipp = category.text("sipp_code")
    pickup_at = datetime.combine(request.departure_date, request.pickup_time)
    dropoff_at = datetime.combine(request.last_day, request.dropoff_time)
    return FoundOffer(
        offer=CarOffer(
            offer_id="",
            supplier=VENDOR,
            price=price,
            expires_at=expires_at,
            refundable=False,  # cancellation terms are prose only, so nothing is promised
            holdable=False,
            seats=request.travellers,
            vendor_name=brand,
            car_name=_name(category) or sipp,
            car_class=CLASSES.get(sipp[0], "special"),
            pickup_place=desk_name,
            dropoff_place=desk_name,
            airport=request.destination,
            pickup_at=pickup_at,
            dropoff_at=dropoff_at,
        ),
        supplier_state={
            "brand": brand,
            "location": request.destination,
            "pickup_date": local_time(pickup_at),
            "dropoff_date": local_time(dropoff_at),
            "sipp_code": sipp,
            "rate_code": rate_code,
            "currency": price.currency,
            "country_code": request.residence_country,
            "driver_age": request.driver_age,
        },
        version=version_of(None, brand, sipp, request.destination, pickup_at, dropoff_at),
    )


def local_time(moment: datetime) -> str:
    """As Avis writes times: of the desk, to the second, without an offset."""
    return moment.isoformat(timespec="seconds")


def _listed(totals: Fields) -> tuple[Money, str]:
    """Price and rate code in a list of vehicles. Where it only tells the prices of paying now and later, ours is the later one's
    rate, which can be cancelled; the quote that follows says what a voucher pays."""
    later = totals.object_or_none("pay_later")
    if totals.object_or_none("totals") is not None or later is None:
        return price_of(totals), totals.object("rate").text("rate_code")
    told = Fields(VENDOR, "rate_totals", {"rate": totals.values.get("rate"), "totals": later.values})
    return price_of(told), later.text_or_none("rate_code") or totals.object("rate").text("rate_code")


def price_of(totals: Fields) -> Money:
    """All that is to be paid, taxes included, by a voucher of ours."""
    amount = totals.object("totals").values.get("reservation_total")
    return Fields(VENDOR, "totals", {"amount": amount, "currency": totals.object("rate").text("currency")}).money(
        "amount", "currency"
    )


def rate_request(state: SupplierState, correlation_id: str) -> dict[str, object]:
    """The body of POST /cars/catalog/v2/vehicles/rates."""
    return {
        "transaction": {"transaction_id": correlation_id},
        "product": {"brand": required_text(state, "brand")},
        "reservation": _wanted(state),
        "rate_totals": {"rate": _rate(state)},
        "customer": {"contact": {"age": state["driver_age"]}},
    }


def quoted(state: SupplierState, answer: Fields) -> tuple[Money, SupplierState]:
    """What the quote costs, and the state with what the reservation must name so that the price holds."""
    totals = answer.object("reservation").object("rate_totals")
    rate = totals.object("rate")
    price = price_of(totals)
    if price.currency != required_text(state, "currency"):
        raise rate.broken("price in the currency that was offered")
    return price, {**state, "rate_code": rate.text("rate_code"), "quote_id": rate.text("quote_id")}


def reservation_request(request: ReservationRequest, state: SupplierState) -> dict[str, object]:
    """The body of POST /cars/reservation/v2: paid by us with a paperless voucher of the quoted amount.

    Our reference goes where people can read it; Avis does not search by it. Avis writes to nobody: we do.
    """
    driver = request.travellers[0]
    return {
        "transaction": {"transaction_id": request.reference},
        "product": {"brand": required_text(state, "brand")},
        "reservation": {**_wanted(state), "email_notification": False, "remark": request.reference},
        "rate_totals": {"rate": {**_rate(state), "quote_id": required_text(state, "quote_id")}},
        "customer": {
            "contact": {
                "first_name": driver.given_name,
                "last_name": driver.family_name,
                "email": driver.email,
                "telephone": driver.phone_number,
                "date_of_birth": driver.date_of_birth.isoformat(),
            },
            "address": {"country_code": required_text(state, "country_code")},
        },
        "payment_preference": {
            "type": "Voucher",
            "id": _voucher_number(request.reference),
            "fixed_value": "FixedValue",
            "electronic_indicator": True,
            # A JSON number, written out as it is: it never becomes a float.
            "amount": orjson.Fragment(request.price.decimal()),
            "currency": request.price.currency,
        },
    }


def cancel_request(state: SupplierState, number: str, correlation_id: str) -> dict[str, object]:
    """The body of PUT /cars/reservation/v2."""
    return {
        "transaction": {"transaction_id": correlation_id},
        "product": {"brand": required_text(state, "brand")},
        "reservation": {"confirmation": {"number": number}, "email_notification": False},
        "customer": {"contact": {"last_name": required_text(state, "last_name")}},
    }


def reservation_of(document: Fields, state: SupplierState, last_name: str) -> Reservation:
    """A reservation as Avis shows it. Brand and last name are kept, because without them it cannot be asked for or cancelled."""
    shown = document.object("reservation")
    number = shown.object("confirmation").text("number")
    totals = shown.object("rate_totals")
    return Reservation(
        provider_reference=number,
        status=_status(shown),
        price=price_of(totals) if totals.object_or_none("totals") else None,
        record_locator=number,
        supplier_state=kept_of(state, last_name),
    )


def kept_of(state: SupplierState, last_name: str) -> SupplierState:
    """What find and cancel need later."""
    return {
        "brand": required_text(state, "brand"),
        "currency": required_text(state, "currency"),
        "last_name": last_name,
    }


def _status(shown: Fields) -> Literal["confirmed", "pending", "failed"]:
    vehicle = shown.object_or_none("vehicle")
    category = vehicle.object_or_none("category") if vehicle else None
    status = category.text_or_none("vehicle_status") if category else None
    if category is None or status in (None, AVAILABLE):
        return "confirmed"
    if status != ON_REQUEST:
        _logger.warning("unknown_status", vendor=VENDOR, status=status)
        return "pending"
    answered = category.text_or_none("vehicle_onrequest_status")
    return "confirmed" if answered == "Confirmed" else "failed" if answered == "Denied" else "pending"


def _wanted(state: SupplierState) -> dict[str, object]:
    location = required_text(state, "location")
    return {
        "pickup_date": required_text(state, "pickup_date"),
        "pickup_location": location,
        "dropoff_date": required_text(state, "dropoff_date"),
        "dropoff_location": location,
        "vehicle_sipp_code": required_text(state, "sipp_code"),
    }


def _rate(state: SupplierState) -> dict[str, object]:
    return {
        "rate_code": required_text(state, "rate_code"),
        "country_code": required_text(state, "country_code"),
    }


def _name(category: Fields) -> str | None:
    make_and_model = [part for name in ("make", "model") if (part := category.text_or_none(name))]
    return category.text_or_none("name") or " ".join(make_and_model) or category.text_or_none("vehicle_class_name")


def _voucher_number(reference: str) -> str:
    """Digits, because Avis takes 6 to 8 of them: the same for every try of one item, and only as good as unique."""
    digest = int.from_bytes(sha256(reference.encode()).digest()[:8])
    return f"{digest % 10**VOUCHER_DIGITS:0{VOUCHER_DIGITS}d}"
