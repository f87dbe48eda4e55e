"""Offers: what suppliers sell, as a union of flight, hotel and car; and the search that finds them."""

from datetime import date, datetime, time
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schema.model import ClientMessage, Message
from schema.money import CurrencyCode, Money

Kind = Literal["flight", "hotel", "car"]
Iata = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["LHR"])]
Cabin = Literal["economy", "premium_economy", "business", "first"]
MAX_TRAVELLERS = 9


class FlightSegment(Message):
    """One flight number from one airport to the next; times are local to their airports, as a ticket prints them."""

    carrier: str
    number: str
    origin: str
    destination: str
    departs_at: datetime
    arrives_at: datetime


class Bookable(Message):
    """What offers of every kind have in common."""

    offer_id: str
    supplier: str
    price: Money
    expires_at: datetime
    refundable: bool
    holdable: bool
    """The supplier keeps it for a while before it is paid."""
    seats: int
    """How many travellers it is for."""


class FlightOffer(Bookable):
    kind: Literal["flight"] = "flight"
    cabin: str
    segments: list[FlightSegment]

    def summary(self) -> str:
        first = self.segments[0]
        route = "-".join([first.origin, *(segment.destination for segment in self.segments)])
        return f"Flight {first.carrier}{first.number} {route} {first.departs_at:%Y-%m-%d}"

    def starts_on(self) -> date:
        return self.segments[0].departs_at.date()


class HotelOffer(Bookable):
    kind: Literal["hotel"] = "hotel"
    property_id: str
    name: str
    city: str
    stars: float | None
    room_type: str
    check_in: date
    check_out: date

    def summary(self) -> str:
        return f"Hotel {self.name}, {self.city} {self.check_in:%Y-%m-%d} to {self.check_out:%Y-%m-%d}"

    def starts_on(self) -> date:
        return self.check_in


class CarOffer(Bookable):
    kind: Literal["car"] = "car"
    vendor_name: str
    car_name: str
    car_class: str
    pickup_place: str
    dropoff_place: str
    pickup_at: datetime
    dropoff_at: datetime

    def summary(self) -> str:
        return f"Car {self.car_name} ({self.vendor_name}) {self.pickup_at:%Y-%m-%d} to {self.dropoff_at:%Y-%m-%d}"

    def starts_on(self) -> date:
        return self.pickup_at.date()


Offer = Annotated[FlightOffer | HotelOffer | CarOffer, Field(discriminator="kind")]


class FoundOffer(Message):
    """An offer as a gateway brings it: the public part, and what only the supplier understands (tokens, ids, passenger ids)."""

    offer: Offer
    supplier_state: dict[str, object]


class SearchRequest(ClientMessage):
    """A trip to look for: there on `departure_date`, back on `return_date`; hotel and car for the days between."""

    origin: Iata
    destination: Iata
    departure_date: date
    return_date: date
    travellers: Annotated[int, Field(strict=True, ge=1, le=MAX_TRAVELLERS)] = 1
    kinds: Annotated[list[Kind], Field(min_length=1, max_length=3)] = ["flight", "hotel", "car"]
    cabin: Cabin = "economy"
    currency: CurrencyCode = "EUR"
    driver_age: Annotated[int, Field(strict=True, ge=18, le=99)] = 35
    residence_country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "GB"
    pickup_time: time = time(11, 0)
    dropoff_time: time = time(10, 0)

    @model_validator(mode="after")
    def _places_and_dates_make_sense(self) -> Self:
        if self.origin == self.destination:
            raise PydanticCustomError("invalid_request", "destination is the same as origin", {"field": "destination"})
        if self.return_date < self.departure_date:
            raise PydanticCustomError(
                "return_before_departure", "return_date is before departure_date", {"field": "return_date"}
            )
        return self
