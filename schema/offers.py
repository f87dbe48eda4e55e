"""Offers: what suppliers sell, as a union of flight, hotel and car; and the search that finds them."""

import re
import unicodedata
from datetime import date, datetime, time
from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from schema.model import ClientMessage, Message
from schema.money import CurrencyCode, Money

Kind = Literal["flight", "hotel", "car"]
Iata = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["LHR"])]
Cabin = Literal["economy", "premium_economy", "business", "first"]
LocalTime = Annotated[
    datetime,
    # Without an offset, which the format `date-time` of JSON Schema would ask for.
    WithJsonSchema({"type": "string", "description": "ISO 8601, by the clock of the place"}),
]
MAX_TRAVELLERS = 9


class FlightSegment(Message):
    """One flight number from one airport to the next; times are local to their airports, as a ticket prints them."""

    carrier: str
    number: str
    origin: str
    destination: str
    departs_at: LocalTime
    arrives_at: LocalTime

    def key(self) -> str:
        """This flight on this day: a part of the `item_key` of every offer that contains it."""
        return f"{self.carrier}{self.number} {self.departs_at:%Y-%m-%dT%H:%M}"


class Version(Message):
    """Which state of the supplier's own data an offer shows."""

    last_updated: str | None = None
    """The supplier's own value, as it came; None where it has none."""
    facts: str
    """Fingerprint of what is sold, without its price: times, places, cabin or room, conditions."""


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
    checked_bags: int | None = None
    """For each traveller, included in the price; None where the supplier does not say."""

    def summary(self) -> str:
        first = self.segments[0]
        route = "-".join([first.origin, *(segment.destination for segment in self.segments)])
        return f"Flight {first.carrier}{first.number} {route} {first.departs_at:%Y-%m-%d}"

    def starts_on(self) -> date:
        return self.segments[0].departs_at.date()

    def item_key(self) -> str:
        """The same for every offer of these flights, whatever the fare: what a sold-out answer or a schedule change is about."""
        return "|".join(segment.key() for segment in self.segments)

    def equal_key(self) -> str:
        """The same for offers, of any supplier, that a traveller would take for one another: flights, times and cabin."""
        arrivals = "|".join(f"{segment.destination} {segment.arrives_at:%Y-%m-%dT%H:%M}" for segment in self.segments)
        return f"{self.item_key()} > {arrivals} {self.cabin}"


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

    def item_key(self) -> str:
        """The supplier's property and the nights."""
        return f"{self.property_id} {self.check_in}/{self.check_out}"

    def equal_key(self) -> str:
        """Suppliers number hotels each in its own way: the same name in the same city, the same nights and room type."""
        return f"{plain(self.name)}, {plain(self.city)} {self.check_in}/{self.check_out} {plain(self.room_type)}"


class CarOffer(Bookable):
    kind: Literal["car"] = "car"
    vendor_name: str
    car_name: str
    car_class: str
    """One vocabulary for all suppliers, the words of ACRISS: mini, economy, compact, intermediate, standard, fullsize, premium,
    luxury, special."""
    pickup_place: str
    dropoff_place: str
    airport: str | None = None
    """IATA code of the airport whose desk it is."""
    pickup_at: LocalTime
    dropoff_at: LocalTime

    def summary(self) -> str:
        return f"Car {self.car_name} ({self.vendor_name}) {self.pickup_at:%Y-%m-%d} to {self.dropoff_at:%Y-%m-%d}"

    def starts_on(self) -> date:
        return self.pickup_at.date()

    def item_key(self) -> str:
        """The class of car at its place, for these days."""
        return f"{plain(self.vendor_name)} {self.equal_key()}"

    def equal_key(self) -> str:
        """Nobody rents a number plate: the same class, places and times."""
        places = self.airport or f"{plain(self.pickup_place)}/{plain(self.dropoff_place)}"
        return f"{self.car_class} {places} {self.pickup_at:%Y-%m-%dT%H:%M}/{self.dropoff_at:%Y-%m-%dT%H:%M}"


Offer = Annotated[FlightOffer | HotelOffer | CarOffer, Field(discriminator="kind")]


class FoundOffer(Message):
    """An offer as a gateway brings it: the public part, and what only the supplier understands (tokens, ids, passenger ids)."""

    offer: Offer
    supplier_state: dict[str, object]
    version: Version | None = None


def plain(name: str) -> str:
    """A name without what suppliers write differently: case, accents and punctuation."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return " ".join(re.sub(r"[^\w]+", " ", "".join(c for c in letters if not unicodedata.combining(c))).split())


class SearchRequest(ClientMessage):
    """A trip to look for: there on `departure_date`, back on `return_date`; hotel and car for the days between.

    Without `return_date` it is one way, of flights alone: a stay and a rental have an end.
    """

    origin: Iata
    destination: Iata
    departure_date: date
    return_date: date | None = None
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
        if self.return_date is None:
            if set(self.kinds) != {"flight"}:
                raise PydanticCustomError(
                    "return_date_missing",
                    "hotels and cars need a return_date; one way, say kinds: [flight]",
                    {"field": "return_date"},
                )
        elif self.return_date < self.departure_date:
            raise PydanticCustomError(
                "return_before_departure", "return_date is before departure_date", {"field": "return_date"}
            )
        return self

    @property
    def one_way(self) -> bool:
        return self.return_date is None

    @property
    def journeys(self) -> list[tuple[str, str, date]]:
        """The journeys, each from where to where on which day: there, and back unless it is one way."""
        there = (self.origin, self.destination, self.departure_date)
        return [there] if self.return_date is None else [there, (self.destination, self.origin, self.return_date)]

    @property
    def last_day(self) -> date:
        """On which hotel and car end. Asked only by those who sell them, and so never of a one-way trip."""
        assert self.return_date is not None, "a search of hotels or cars has a return date"
        return self.return_date
