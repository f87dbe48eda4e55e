"""What Avis Budget rents out and for how much: made of seed and question, with what became of each rate since."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, cast

from sandbox.content import CARS, CURRENCY, Airport, CarModel, airports
from sandbox.vendors.avis_requests import Brand
from sandbox.vendors.avis_wire import VENDOR, AvisError
from sandbox.vendors.calls import number
from sandbox.world import JsonObject, World

BRANDS: Final[tuple[Brand, ...]] = ("Avis", "Budget", "Payless")
PAY_LATER: Final = "LL"
PAY_NOW: Final = "PN"
"""The two rate codes: paid at the desk and free to cancel, or cheaper and never given back."""

_LEVELS: Final[dict[Brand, float]] = {"Avis": 1.08, "Budget": 0.97, "Payless": 0.9}
_PAYLESS_CLASSES: Final = 4
_CLASS_CODES: Final = "ABCDEFGH"
_ON_REQUEST: Final = ("Avis", "LDAR")
"""A car that is only promised once the desk has been asked."""
_PAY_NOW_FACTOR: Final = 0.92
_TAX: Final = 0.2
_YOUNG_DRIVER_AGE: Final = 25
_YOUNG_DRIVER_FACTOR: Final = 1.25
_ONE_WAY_FEE_MINOR: Final = 9_000
_DAYS_MAX: Final = 330


@dataclass(frozen=True, slots=True)
class Rental:
    """Where and when, checked. Times are local to the desk and have no zone."""

    pickup: Airport
    dropoff: Airport
    starts: datetime
    ends: datetime

    @property
    def days(self) -> int:
        return math.ceil((self.ends - self.starts) / timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Rate:
    """A class of a brand for a rental, with its price now."""

    brand: Brand
    model: CarModel
    class_code: str
    rental: Rental
    vehicle_minor: int
    """Paid at the desk, without taxes."""
    sold_out: bool

    @property
    def on_request(self) -> bool:
        return (self.brand, self.model.sipp) == _ON_REQUEST

    def total_minor(self, rate_code: str) -> int:
        """What is to be paid under a rate code, taxes included."""
        return self.net_minor(rate_code) + self.taxes_minor(rate_code)

    def net_minor(self, rate_code: str) -> int:
        return round(self.vehicle_minor * (_PAY_NOW_FACTOR if rate_code == PAY_NOW else 1))

    def taxes_minor(self, rate_code: str) -> int:
        return round(self.net_minor(rate_code) * _TAX)


def checked_rental(world: World, pickup: str, dropoff: str, starts: datetime, ends: datetime) -> Rental:
    """The rental asked for; raises the vendor's error for one that cannot be."""
    desks = airports()
    if pickup not in desks:
        raise AvisError(400, "203", "Invalid pickup_location.", "Invalid Pick up location")
    if dropoff not in desks:
        raise AvisError(400, "205", "Invalid dropoff_location.", "Invalid Drop off location")
    starts, ends = starts.replace(tzinfo=None), ends.replace(tzinfo=None)
    # The desk's zone is not asked for: a day of grace covers them all.
    if starts < world.now().replace(tzinfo=None) - timedelta(days=1):
        details = "You selected a date/time prior to the current time"
        raise AvisError(400, "231", "Invalid pickup_date.", details)
    if ends <= starts:
        details = "Return Date cannot be prior or same to the Pick-Up Date"
        raise AvisError(400, "232", "dropoff_date is prior to pickup_date.", details)
    if ends - starts > timedelta(days=_DAYS_MAX):
        details = "Sorry, 330 days is the maximum number of days that can be reserved."
        raise AvisError(400, "221", "Maximum number of days limit exceeded.", details)
    return Rental(desks[pickup], desks[dropoff], starts, ends)


def rates_of(world: World, brand: Brand, rental: Rental, age: float | None) -> list[Rate]:
    """Every class of the brand, also those sold out since."""
    classes = len(CARS) if brand != "Payless" else _PAYLESS_CLASSES
    return [_make_rate(world, brand, rental, age, position) for position in range(classes)]


def find_rate(world: World, brand: Brand, rental: Rental, age: float | None, sipp: str) -> Rate:
    """The rate of one class; raises 14022 where the brand has none of it."""
    for rate in rates_of(world, brand, rental, age):
        if rate.model.sipp == sipp:
            return rate
    raise AvisError(400, "14022", "Invalid vehicle_class_code", "Requested Car Group is invalid.")


def check_rate_code(rate_code: str) -> None:
    """Raises 14528 for a code that nobody gave out."""
    if rate_code not in (PAY_LATER, PAY_NOW):
        raise rate_gone()


def rate_gone() -> AvisError:
    """400 with 14528: the rate is not to be had any more."""
    return AvisError(400, "14528", "Invalid rate_code.", "Rate Code entered is invalid.")


def sell_out(world: World, rate: Rate) -> None:
    """From now on nobody can have it for these dates."""
    _keep_fate(world, rate, {"sold_out": True})


def change_price(world: World, rate: Rate, percent: float) -> Rate:
    """The rate at its new price, which lasts."""
    fate = world.get(VENDOR, "rate_fate", _fate_key(rate)) or {}
    factor = 1 + percent / 100
    _keep_fate(world, rate, {"price_factor": cast(float, fate.get("price_factor", 1.0)) * factor})
    return replace(rate, vehicle_minor=round(rate.vehicle_minor * factor))


def _keep_fate(world: World, rate: Rate, change: JsonObject) -> None:
    key = _fate_key(rate)
    world.put(VENDOR, "rate_fate", key, {**(world.get(VENDOR, "rate_fate", key) or {}), **change})


def _fate_key(rate: Rate) -> str:
    rental = rate.rental
    places = f"{rental.pickup.code}/{rental.dropoff.code}"
    return f"{rate.brand}/{rate.model.sipp}/{places}/{rental.starts.isoformat()}/{rental.ends.isoformat()}"


def _make_rate(world: World, brand: Brand, rental: Rental, age: float | None, position: int) -> Rate:
    model = CARS[position]
    dice = world.random(VENDOR, "car", brand, model.sipp, rental.pickup.code, rental.starts.date())
    young = age is not None and age < _YOUNG_DRIVER_AGE
    daily_minor = model.daily_minor * _LEVELS[brand] * dice.uniform(0.7, 1.05)
    listed_minor = daily_minor * rental.days * (_YOUNG_DRIVER_FACTOR if young else 1.0)
    if rental.pickup != rental.dropoff:
        listed_minor += _ONE_WAY_FEE_MINOR
    rate = Rate(brand, model, _CLASS_CODES[position], rental, round(listed_minor), sold_out=False)
    fate = world.get(VENDOR, "rate_fate", _fate_key(rate)) or {}
    factor = cast(float, fate.get("price_factor", 1.0))
    return replace(rate, vehicle_minor=round(listed_minor * factor), sold_out=bool(fate.get("sold_out")))


# ------------------------------------------------------------------------------------------------------ documents


def vehicle_document(rate: Rate) -> JsonObject:
    """What the car is like: `category`, `features` and `capacity`."""
    model = rate.model
    make, _, name = model.name.partition(" ")
    category: JsonObject = {
        "name": f"Group {rate.class_code} - {model.name} or similar",
        "make": make,
        "model": name,
        "sipp_code": model.sipp,
        "vehicle_status": "OnRequest" if rate.on_request else "Available",
        "vehicle_class_code": rate.class_code,
        "vehicle_class_name": model.category.capitalize(),
        "vehicle_transmission": model.transmission.capitalize(),
    }
    return {
        "category": category,
        "features": {"air_conditioned": True},
        "capacity": {
            "doors": "2" if model.body == "two_or_four_door" else "4",
            "seats": str(model.seats),
            "luggage_capacity": {"large_suitcase": str(model.large_bags), "small_suitcase": "1"},
        },
    }


def offer_document(rate: Rate) -> JsonObject:
    """An entry of the availability answer: both ways to pay, each with its rate code."""
    pay = {
        name: {"rate_code": code, **_totals_document(rate, code)}
        for name, code in (("pay_later", PAY_LATER), ("pay_now", PAY_NOW))
    }
    totals: JsonObject = {"rate": {"currency": CURRENCY, "rate_code": PAY_LATER}, **pay}
    return {**vehicle_document(rate), "rate_totals": totals}


def priced_document(rate: Rate, rate_code: str, quote_id: str | None) -> JsonObject:
    """`rate_totals` of a quote or a reservation."""
    priced: JsonObject = {
        "currency": CURRENCY,
        "rate_code": rate_code,
        "days": rate.rental.days,
        "amount": number(rate.net_minor(rate_code)),
    }
    if quote_id is not None:
        priced["quote_id"] = quote_id
    return {"rate": priced, "totals": _totals_document(rate, rate_code)}


def _totals_document(rate: Rate, rate_code: str) -> JsonObject:
    return {
        "vehicle_total": number(rate.net_minor(rate_code)),
        "taxes_fees_total": number(rate.taxes_minor(rate_code)),
        "reservation_total": number(rate.total_minor(rate_code)),
    }


def places_document(rental: Rental, rate_code: str | None = None) -> JsonObject:
    """Both desks and what is to be known; the terms of cancelling belong to a rate code and are prose, as with Avis."""
    disclaimers: list[JsonObject] = [{"type": "Fuel Policy", "description": "FUEL POLICY IS FULL TO FULL"}]
    if rate_code is not None:
        free = rate_code == PAY_LATER
        terms = "Free cancellation until pick-up." if free else "Prepaid: nothing is refunded after booking."
        disclaimers.append({"type": "Cancellation Policy", "description": terms})
    return {
        "pickup_location": _desk_document(rental.pickup),
        "dropoff_location": _desk_document(rental.dropoff),
        "distance": {"unlimited_distance": True, "distance_unit": "Kilometer"},
        "disclaimers": disclaimers,
    }


def _desk_document(airport: Airport) -> JsonObject:
    location: JsonObject = {"code": airport.code, "name": airport.name, "airport_location": True}
    return {"location": location, "address": address_document(airport)}


def address_document(airport: Airport) -> JsonObject:
    """Where a desk is. Coordinates are text, as with Avis."""
    return {
        "address_line_1": airport.name,
        "city": airport.city_name,
        "country_code": airport.country,
        "lat": f"{airport.latitude:.6f}",
        "long": f"{airport.longitude:.6f}",
    }
