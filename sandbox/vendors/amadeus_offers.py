"""Amadeus's flight offers as JSON, and what such JSON means when a client sends it back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sandbox.content import AIRCRAFT, Flight, Itinerary, airports
from sandbox.vendors.amadeus_fares import (
    BRANDS,
    CABINS,
    PER_EURO,
    SHARES,
    Fare,
    Leg,
    Price,
    find_way,
    local_time,
    price_for,
)
from sandbox.vendors.amadeus_http import VENDOR, Fields, refused
from sandbox.world import JsonObject, World

_TICKETING_DAYS: Final = 2
_CLASSES: Final = {"PREMIUM_ECONOMY": "W", "BUSINESS": "J", "FIRST": "F"}
_CURRENCY_NAMES: Final = {"EUR": "EURO", "USD": "US DOLLAR", "GBP": "POUND STERLING"}
_ECONOMY_CLASSES: Final = {"LIGHT": "V", "STANDARD": "M", "FLEX": "Y"}


@dataclass(frozen=True, slots=True)
class Traveler:
    """A traveller as an offer knows him."""

    traveler_id: str
    traveler_type: str
    adult_id: str | None = None
    """On whose lap an infant sits."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A fare for these travellers in one answer; ids count within the answer only."""

    offer_id: str
    fare: Fare
    travelers: tuple[Traveler, ...]
    currency: str
    segment_ids: tuple[str, ...]

    def prices(self, world: World) -> list[Price]:
        """What each traveller pays as of now."""
        return [price_for(world, self.fare, each.traveler_type, self.currency) for each in self.travelers]

    def total_minor(self, world: World) -> int:
        """What all pay as of now."""
        return sum(price.total_minor for price in self.prices(world))

    def seated(self) -> int:
        """Travellers that need a seat."""
        return sum(each.traveler_type != "HELD_INFANT" for each in self.travelers)


def decimal_text(amount_minor: int) -> str:
    """Cents as Amadeus writes money: `12.34`."""
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"


def number_segments(fares: Sequence[Fare]) -> dict[str, str]:
    """A segment's id within one answer: the same flight has the same id in all its offers."""
    names = dict.fromkeys(flight_name(flight) for fare in fares for flight in fare.flights)
    return {name: str(number) for number, name in enumerate(names, start=1)}


def flight_name(flight: Flight) -> str:
    """Carrier, number and departure."""
    return f"{flight.carrier.code}{flight.number} {flight.departs:%Y-%m-%dT%H:%M}"


def offer_document(world: World, offer: Offer, *, priced: bool) -> JsonObject:
    """The offer as the search shows it; or, once priced, with its taxes and its currency of payment."""
    fare, prices = offer.fare, offer.prices(world)
    base_minor, total_minor = sum(price.base_minor for price in prices), sum(price.total_minor for price in prices)
    last_day = min(world.now().date() + timedelta(days=_TICKETING_DAYS), fare.flights[0].departs.date())
    fees = ("SUPPLIER", "TICKETING", "FORM_OF_PAYMENT") if priced else ("SUPPLIER", "TICKETING")
    price: JsonObject = {
        "currency": offer.currency,
        "total": decimal_text(total_minor),
        "base": decimal_text(base_minor),
        "fees": [{"amount": "0.00", "type": fee} for fee in fees],
        "grandTotal": decimal_text(total_minor),
    }
    if priced:
        price["billingCurrency"] = offer.currency
    segment_ids = iter(offer.segment_ids)
    return {
        "type": "flight-offer",
        "id": offer.offer_id,
        "source": "GDS",
        "instantTicketingRequired": False,
        "nonHomogeneous": False,
        "oneWay": False,
        "lastTicketingDate": last_day.isoformat(),
        "numberOfBookableSeats": bookable_seats(world, fare),
        "itineraries": [_itinerary(way, [next(segment_ids) for _ in way.flights], fare.cabin) for way in fare.ways],
        "price": price,
        "pricingOptions": {
            "fareType": ["PUBLISHED"],
            "includedCheckedBagsOnly": fare.brand.checked_bags > 0,
            "refundableFare": fare.brand.refund_penalty is not None,
            "noPenaltyFare": fare.brand.refund_penalty == 0,
        },
        "validatingAirlineCodes": [fare.flights[0].carrier.code],
        "travelerPricings": [
            _traveler_pricing(offer, traveler, paid, priced=priced)
            for traveler, paid in zip(offer.travelers, prices, strict=True)
        ],
    }


def bookable_seats(world: World, fare: Fare) -> int:
    """How many seats can be sold at once, 4 to 9."""
    return world.random(VENDOR, "seats", fare.key).randint(4, 9)


def _itinerary(way: Itinerary, segment_ids: list[str], cabin: str) -> JsonObject:
    pairs = zip(way.flights, segment_ids, strict=True)
    return {
        "duration": duration_text(way.duration),
        "segments": [_segment(flight, segment_id, cabin) for flight, segment_id in pairs],
    }


def _segment(flight: Flight, segment_id: str, cabin: str) -> JsonObject:
    departure: JsonObject = {"iataCode": flight.origin.code, "terminal": flight.departure_terminal}
    arrival: JsonObject = {"iataCode": flight.destination.code}
    if flight.arrival_terminal is not None:
        arrival["terminal"] = flight.arrival_terminal
    return {
        "departure": {**departure, "at": local_time(flight.departs)},
        "arrival": {**arrival, "at": local_time(flight.arrives)},
        "carrierCode": flight.carrier.code,
        "number": flight.number,
        "aircraft": {"code": flight.aircraft[0]},
        "operating": {"carrierCode": flight.carrier.code},
        "duration": duration_text(flight.duration),
        "id": segment_id,
        "numberOfStops": 0,
        "blacklistedInEU": False,
        "co2Emissions": [{"weight": round(flight.distance_km * 0.09), "weightUnit": "KG", "cabin": cabin}],
    }


def duration_text(duration: timedelta) -> str:
    """ISO 8601 in hours and minutes, as in `PT26H5M`; Amadeus writes no days."""
    hours, minutes = divmod(math.ceil(duration.total_seconds() / 60), 60)
    return "PT" + (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes or not hours else "")


def _traveler_pricing(offer: Offer, traveler: Traveler, paid: Price, *, priced: bool) -> JsonObject:
    price: JsonObject = {
        "currency": offer.currency,
        "total": decimal_text(paid.total_minor),
        "base": decimal_text(paid.base_minor),
    }
    if priced:
        price["taxes"] = [{"amount": decimal_text(paid.tax_minor), "code": "YQ"}]
    document: JsonObject = {
        "travelerId": traveler.traveler_id,
        "fareOption": "STANDARD",
        "travelerType": traveler.traveler_type,
        "price": price,
        "fareDetailsBySegment": [_fare_details(offer.fare, segment_id) for segment_id in offer.segment_ids],
    }
    if traveler.adult_id is not None:
        document["associatedAdultId"] = traveler.adult_id
    return document


def _fare_details(fare: Fare, segment_id: str) -> JsonObject:
    return {
        "segmentId": segment_id,
        "cabin": fare.cabin,
        "fareBasis": fare_basis(fare),
        "brandedFare": fare.brand.name,
        "class": fare_basis(fare)[0],
        "includedCheckedBags": {"quantity": fare.brand.checked_bags},
    }


def fare_basis(fare: Fare) -> str:
    """The fare's code, which begins with its booking class."""
    letter = _CLASSES.get(fare.cabin) or _ECONOMY_CLASSES[fare.brand.name]
    return f"{letter}{fare.brand.name[:3]}{fare.flights[0].carrier.code}"


def dictionaries_of(fares: Iterable[Fare], currency: str) -> JsonObject:
    """What the codes in the offers mean."""
    flights = [flight for fare in fares for flight in fare.flights]
    places = [place for flight in flights for place in (flight.origin, flight.destination)]
    aircraft_names = {code: name.upper() for code, name, _ in AIRCRAFT}
    return {
        "locations": {
            place.code: {"cityCode": place.city.code if place.city else place.code, "countryCode": place.country}
            for place in places
        },
        "aircraft": {flight.aircraft[0]: aircraft_names[flight.aircraft[0]] for flight in flights},
        "currencies": {currency: _CURRENCY_NAMES[currency]},
        "carriers": {flight.carrier.code: flight.carrier.name.upper() for flight in flights},
    }


# --------------------------------------------------------------------------------------------- an offer sent back


def offer_sent(world: World, fields: Fields) -> Offer:
    """What a client's offer is about. Its prices are not believed; flights that nobody sells are refused."""
    pricings = fields.children("travelerPricings")
    travelers = tuple(_traveler(pricing) for pricing in pricings)
    details = pricings[0].children("fareDetailsBySegment")[0]
    cabin, brand = details.text("cabin"), BRANDS.get(details.text("brandedFare"))
    itineraries = fields.children("itineraries")
    ways = [_way(world, itinerary) for itinerary in itineraries]
    currency = fields.child("price").text("currency")
    sold = [way for way in ways if way is not None]
    if len(sold) < len(ways) or brand is None or cabin not in CABINS or currency not in PER_EURO:
        raise refused(4926, "No fare applicable", pointer=fields.pointer)
    segment_ids = tuple(segment.text("id") for itinerary in itineraries for segment in itinerary.children("segments"))
    offer = Offer(fields.text("id"), Fare(tuple(sold), brand, cabin), travelers, currency, segment_ids)
    if offer.fare.departed(world.now()):
        raise refused(4926, "No fare applicable", pointer=fields.pointer)
    return offer


def _traveler(pricing: Fields) -> Traveler:
    traveler_type = pricing.text("travelerType")
    if traveler_type not in SHARES:
        raise refused(477, "The type of traveler is unknown.", pointer=f"{pricing.pointer}/travelerType")
    return Traveler(pricing.text("travelerId"), traveler_type, pricing.optional_text("associatedAdultId"))


def _way(world: World, itinerary: Fields) -> Itinerary | None:
    segments = itinerary.children("segments")
    origin = airports().get(segments[0].child("departure").text("iataCode"))
    destination = airports().get(segments[-1].child("arrival").text("iataCode"))
    flights = [
        (segment.text("carrierCode"), segment.text("number"), segment.child("departure").text("at"))
        for segment in segments
    ]
    try:
        on = date.fromisoformat(flights[0][2][:10])
    except ValueError as error:
        raise refused(477, "Not a date.", pointer=f"{segments[0].pointer}/departure/at") from error
    if origin is None or destination is None:
        return None
    return find_way(world, Leg(origin, destination, on), flights)
