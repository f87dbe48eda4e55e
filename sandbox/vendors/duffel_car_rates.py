"""The rates of Duffel Cars: made of seed and query whenever asked for, and what became of each since."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, TypedDict, cast

from sandbox.content import CAR_SUPPLIERS, CARS, CURRENCY, CarModel, nearest_airport
from sandbox.vendors.duffel_http import VENDOR, DuffelError, Fields, decimal_text, invalid_field
from sandbox.world import JsonObject, World

_TIME: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_YOUNG_DRIVER_AGE: Final = 25
_MINIMUM_AGE: Final = 18
_PAYMENT_TYPES: Final = ("prepaid", "guarantee", "postpaid")
_ONE_WAY_FEE_MINOR: Final = 12_000


class SearchRecord(TypedDict):
    id: str
    created_at: str
    query: JsonObject
    """As it was asked."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A car of a supplier for the whole rental."""

    rate_id: str
    search_id: str
    query: JsonObject
    model: CarModel
    supplier: str
    payment_type: str
    free_to_cancel: bool
    total_minor: int
    listed_minor: int
    """The total when it was first offered."""
    sold_out: bool


def find_search_problem(data: JsonObject, now: datetime) -> DuffelError | None:
    """What is wrong with a search, if anything."""
    try:
        _check_search(Fields(data), now)
    except DuffelError as error:
        return error
    return None


def _check_search(fields: Fields, now: datetime) -> None:
    fields.only(
        "pickup_date", "pickup_time", "dropoff_date", "dropoff_time", "pickup_location", "dropoff_location", "driver"
    )
    pickup, dropoff = _moment(fields, "pickup"), _moment(fields, "dropoff")
    if pickup.date() < now.date() - timedelta(days=1):
        raise invalid_field("/pickup_date", "Must not be in the past.", "validation_invalid")
    if dropoff <= pickup:
        raise invalid_field("/dropoff_date", "Must be after pick-up.", "validation_invalid")
    for end in ("pickup_location", "dropoff_location"):
        place = fields.child(end).child("geographic_coordinates")
        for axis, most in (("latitude", 90), ("longitude", 180)):
            value = place.document.get(axis)
            if not isinstance(value, int | float) or not -most <= value <= most:
                raise invalid_field(f"{place.pointer}/{axis}", "Not a coordinate.")
    driver = fields.child("driver")
    driver.text("residence_country_code", _COUNTRY)
    age = driver.document.get("age")
    if not isinstance(age, int) or age < _MINIMUM_AGE:
        raise invalid_field("/driver/age", f"The driver must be {_MINIMUM_AGE} at least.", "validation_invalid")


def _moment(fields: Fields, end: str) -> datetime:
    day, time = fields.text(f"{end}_date"), fields.text(f"{end}_time", _TIME)
    try:
        on = date.fromisoformat(day)
    except ValueError as error:
        raise invalid_field(f"/{end}_date", "Not a date.") from error
    # Local to the desk, whose zone nobody states; UTC stands in, for only differences and dates are used.
    return datetime(on.year, on.month, on.day, int(time[:2]), int(time[3:]), tzinfo=UTC)


def find_search(world: World, search_id: str) -> SearchRecord | None:
    """The search as kept."""
    return cast("SearchRecord | None", world.get(VENDOR, "car_search", search_id))


def find_rate(world: World, rate_id: str) -> Rate | None:
    """The rate as of now; None if there never was one of this id."""
    record = find_search(world, f"cas_{rate_id[4:26]}")
    number = rate_id[26:]
    if record is None or not number.isdecimal() or int(number) >= len(CARS):
        return None
    rate = _make_rate(world, record, int(number))
    return rate if rate.rate_id == rate_id else None


def rates_of(world: World, record: SearchRecord) -> list[Rate]:
    """All rates of a search, also those sold out since."""
    return [_make_rate(world, record, number) for number in range(len(CARS))]


def sell_out(world: World, rate: Rate) -> None:
    """From now on nobody can book it."""
    _keep_fate(world, rate.rate_id, {"sold_out": True})


def change_price(world: World, rate: Rate, percent: float) -> Rate:
    """The rate at its new price, which lasts."""
    _keep_fate(world, rate.rate_id, {"price_factor": rate.total_minor / rate.listed_minor * (1 + percent / 100)})
    return find_rate(world, rate.rate_id) or rate


def _keep_fate(world: World, rate_id: str, change: JsonObject) -> None:
    world.put(VENDOR, "rate_fate", rate_id, {**(world.get(VENDOR, "rate_fate", rate_id) or {}), **change})


def _make_rate(world: World, record: SearchRecord, number: int) -> Rate:
    fields, model = Fields(record["query"]), CARS[number]
    rate_id = f"car_{record['id'][4:]}{number:02d}"
    fate = world.get(VENDOR, "rate_fate", rate_id) or {}
    pickup, dropoff = _moment(fields, "pickup"), _moment(fields, "dropoff")
    latitude, longitude = _coordinates(fields, "pickup_location")
    dice = world.random(VENDOR, "car", model.sipp, round(latitude, 2), round(longitude, 2), pickup.date())
    days = math.ceil((dropoff - pickup) / timedelta(days=1))
    young = cast(int, fields.child("driver").document["age"]) < _YOUNG_DRIVER_AGE
    one_way = _coordinates(fields, "dropoff_location") != (latitude, longitude)
    daily_minor = model.daily_minor * dice.uniform(0.85, 1.3) * (1.25 if young else 1.0)
    listed_minor = round(daily_minor * days * (0.9 if days >= 7 else 1.0)) + (_ONE_WAY_FEE_MINOR if one_way else 0)
    payment_type = _PAYMENT_TYPES[number % 3]
    return Rate(
        rate_id=rate_id,
        search_id=record["id"],
        query=record["query"],
        model=model,
        supplier=dice.choice(CAR_SUPPLIERS),
        payment_type=payment_type,
        # Of the prepaid rates every other one is a saver that gives nothing back.
        free_to_cancel=payment_type != "prepaid" or number % 2 == 0,
        total_minor=round(listed_minor * cast(float, fate.get("price_factor", 1.0))),
        listed_minor=listed_minor,
        sold_out=bool(fate.get("sold_out")),
    )


def _coordinates(fields: Fields, end: str) -> tuple[float, float]:
    place = fields.child(end).child("geographic_coordinates").document
    return cast(float, place["latitude"]), cast(float, place["longitude"])


# ------------------------------------------------------------------------------------------------------ documents


def rate_document(rate: Rate) -> JsonObject:
    """A rate as a search lists it."""
    amount = decimal_text(rate.total_minor)
    return {
        "id": rate.rate_id,
        "base_amount": amount,
        "base_currency": CURRENCY,
        "total_amount": amount,
        "total_currency": CURRENCY,
        "payment_type": rate.payment_type,
        "mileage": {"type": "unlimited"},
        "supplier": {"name": rate.supplier, "logo_url": None},
        "car": _car_document(rate.model),
        "pickup_location": _location_document(rate, "pickup_location"),
        "dropoff_location": _location_document(rate, "dropoff_location"),
    }


def terms_document(rate: Rate) -> JsonObject:
    """What quotes and bookings say beyond the rate. Cancellation terms are prose, as with Duffel."""
    terms = "Free cancellation until pick-up." if rate.free_to_cancel else "Nothing is refunded after booking."
    query = rate.query
    return {
        **rate_document(rate),
        "charges": [],
        "conditions": [{"title": "Cancellation", "text": terms}],
        "privacy_policies": [],
        "pickup_date": query["pickup_date"],
        "pickup_time": query["pickup_time"],
        "dropoff_date": query["dropoff_date"],
        "dropoff_time": query["dropoff_time"],
    }


def _car_document(model: CarModel) -> JsonObject:
    return {
        "name": f"{model.name} or similar",
        "code": model.sipp,
        "category": model.category,
        "type": model.body,
        "transmission": model.transmission,
        "fuel": model.fuel,
        "air_conditioning": True,
        "max_passengers": model.seats,
        "baggage": {"large": model.large_bags, "small": 1},
        "images": [],
    }


def _location_document(rate: Rate, end: str) -> JsonObject:
    latitude, longitude = _coordinates(Fields(rate.query), end)
    airport = nearest_airport(round(latitude, 2), round(longitude, 2))
    return {
        "name": f"{rate.supplier} {airport.name}",
        "geographic_coordinates": {"latitude": airport.latitude, "longitude": airport.longitude},
        "address": {
            "line_one": airport.name,
            "city_name": airport.city_name,
            "postal_code": None,
            "region": None,
            "country_code": airport.country,
        },
        "phone_number": None,
        "access": "in_terminal",
        "additional_information": [],
        "opening_hours": [{"from": "06:00", "to": "23:30"}],
    }
