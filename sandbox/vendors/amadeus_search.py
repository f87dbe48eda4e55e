"""Amadeus's search for flight offers: by query, or by a body that can ask for more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, cast
from urllib.parse import urlencode

from starlette.responses import Response

from sandbox.content import CURRENCY, Airport, airport_of, find_place
from sandbox.vendors.amadeus_fares import CABINS, PER_EURO, SHARES, Fare, Leg, is_sold_out, journeys
from sandbox.vendors.amadeus_http import AmadeusError, Fields, arguments, body_of, ok, refused
from sandbox.vendors.amadeus_offers import (
    Offer,
    Traveler,
    bookable_seats,
    dictionaries_of,
    flight_name,
    number_segments,
    offer_document,
)
from sandbox.vendors.calls import Call
from sandbox.world import JsonObject, World

_PARAMETERS: Final = (
    "originLocationCode",
    "destinationLocationCode",
    "departureDate",
    "returnDate",
    "adults",
    "children",
    "infants",
    "travelClass",
    "includedAirlineCodes",
    "excludedAirlineCodes",
    "nonStop",
    "currencyCode",
    "maxPrice",
    "max",
)
_HOST: Final = "https://test.api.amadeus.com"
_MOST_SEATS: Final = 9


@dataclass(frozen=True, slots=True)
class Where:
    """How an error names what was asked: a parameter of the query, or a place in the body."""

    parameter: str | None = None
    pointer: str | None = None

    def refused(self, code: int, detail: str) -> AmadeusError:
        return refused(code, detail, pointer=self.pointer, parameter=self.parameter)


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for."""

    legs: tuple[Leg, ...]
    travelers: tuple[Traveler, ...]
    cabin: str
    currency: str
    most: int
    most_connections: int
    most_minor: int | None
    """For each traveller."""
    included: frozenset[str]
    """Airlines; empty is all."""
    excluded: frozenset[str]
    with_bags: bool = False
    refundable: bool = False
    without_penalty: bool = False


def get_offers(call: Call) -> Response:
    """GET /v2/shopping/flight-offers"""
    query = arguments(call, *_PARAMETERS)
    included, excluded = _codes(query, "includedAirlineCodes"), _codes(query, "excludedAirlineCodes")
    if included and excluded:
        raise refused(2668, "Give airlines to include or to exclude.", parameter="excludedAirlineCodes")
    most_price = _number(query, "maxPrice", 1)
    asked = Query(
        legs=_legs_of(call.world, query),
        travelers=_travelers(query),
        cabin=_checked_cabin(query.get("travelClass", "ECONOMY"), Where(parameter="travelClass")),
        currency=_checked_currency(query.get("currencyCode", CURRENCY), Where(parameter="currencyCode")),
        most=_number(query, "max", 1) or 250,
        most_connections=0 if query.get("nonStop") == "true" else 2,
        most_minor=None if most_price is None else most_price * 100,
        included=included,
        excluded=excluded,
    )
    offers = _found(call.world, asked)
    document = _document(call.world, asked, offers)
    document["meta"] = {
        "count": len(offers),
        "links": {"self": f"{_HOST}/v2/shopping/flight-offers?{urlencode(dict(query))}"},
    }
    return ok(document)


def search_offers(call: Call) -> Response:
    """POST /v2/shopping/flight-offers"""
    body = body_of(call)
    criteria = body.optional_child("searchCriteria")
    filters = criteria.optional_child("flightFilters")
    carriers = filters.optional_child("carrierRestrictions").document
    options = criteria.optional_child("pricingOptions")
    cabins = filters.optional_children("cabinRestrictions")
    most_price = criteria.document.get("maxPrice")
    connections = filters.optional_child("connectionRestriction").document.get("maxNumberOfConnections")
    most = criteria.document.get("maxFlightOffers")
    if body.document.get("sources") != ["GDS"]:
        raise refused(477, "The only source is GDS.", pointer="/sources")
    asked = Query(
        legs=tuple(_leg_in(call.world, each) for each in body.children("originDestinations")),
        travelers=_checked_travelers(tuple(_traveler_in(each) for each in body.children("travelers")), "/travelers"),
        cabin=_checked_cabin(cabins[0].text("cabin"), Where(pointer=cabins[0].pointer)) if cabins else "ECONOMY",
        currency=_checked_currency(body.optional_text("currencyCode") or CURRENCY, Where(pointer="/currencyCode")),
        most=most if isinstance(most, int) and most > 0 else 250,
        most_connections=connections if isinstance(connections, int) else 2,
        most_minor=most_price * 100 if isinstance(most_price, int) else None,
        included=_listed(carriers, "includedCarrierCodes"),
        excluded=_listed(carriers, "excludedCarrierCodes"),
        with_bags=options.flag("includedCheckedBagsOnly"),
        refundable=options.flag("refundableFare"),
        without_penalty=options.flag("noPenaltyFare"),
    )
    offers = _found(call.world, asked)
    document = _document(call.world, asked, offers)
    document["meta"] = {"count": len(offers)}
    return ok(document)


def _found(world: World, query: Query) -> list[Offer]:
    """The cheapest first, as many as are wanted."""
    fares = [
        Fare(ways, brand, query.cabin)
        for ways, brands in journeys(world, query.legs)
        for brand in brands
        if (brand.checked_bags or not query.with_bags)
        and (brand.refund_penalty is not None or not query.refundable)
        and (brand.refund_penalty == 0 or not query.without_penalty)
    ]
    wanted = [fare for fare in fares if _is_wanted(world, query, fare)]
    names = number_segments(wanted)
    offers = [
        Offer("", fare, query.travelers, query.currency, tuple(names[flight_name(each)] for each in fare.flights))
        for fare in wanted
    ]
    priced = sorted(((offer.total_minor(world), offer) for offer in offers), key=lambda pair: pair[0])
    cheap = [
        offer for _, offer in priced if query.most_minor is None or _dearest_minor(world, offer) <= query.most_minor
    ]
    return [
        Offer(str(number), offer.fare, offer.travelers, offer.currency, offer.segment_ids)
        for number, offer in enumerate(cheap[: query.most], start=1)
    ]


def _is_wanted(world: World, query: Query, fare: Fare) -> bool:
    carriers = {flight.carrier.code for flight in fare.flights}
    seats = sum(each.traveler_type != "HELD_INFANT" for each in query.travelers)
    return (
        all(len(way.flights) <= query.most_connections + 1 for way in fare.ways)
        and (not query.included or carriers <= query.included)
        and not carriers & query.excluded
        and not fare.departed(world.now())
        and seats <= bookable_seats(world, fare)
        and not is_sold_out(world, fare)
    )


def _dearest_minor(world: World, offer: Offer) -> int:
    return max(price.total_minor for price in offer.prices(world))


def _document(world: World, query: Query, offers: list[Offer]) -> JsonObject:
    return {
        "data": [offer_document(world, offer, priced=False) for offer in offers],
        "dictionaries": dictionaries_of([offer.fare for offer in offers], query.currency),
    }


# ------------------------------------------------------------------------------------------------------- the query


def _legs_of(world: World, query: Mapping[str, str]) -> tuple[Leg, ...]:
    origin, destination = _airport(query, "originLocationCode"), _airport(query, "destinationLocationCode")
    if origin == destination:
        raise refused(4926, "Origin and destination are the same.", parameter="destinationLocationCode")
    there = _future(world, query.get("departureDate"), Where(parameter="departureDate"))
    if "returnDate" not in query:
        return (Leg(origin, destination, there),)
    back = _future(world, query["returnDate"], Where(parameter="returnDate"))
    if back < there:
        raise refused(425, "The return is before the departure.", parameter="returnDate")
    return Leg(origin, destination, there), Leg(destination, origin, back)


def _airport(query: Mapping[str, str], name: str) -> Airport:
    return _checked_airport(query.get(name), Where(parameter=name))


def _travelers(query: Mapping[str, str]) -> tuple[Traveler, ...]:
    adults = _number(query, "adults", 1)
    if adults is None:
        raise refused(32171, "adults is missing.", parameter="adults")
    children, infants = _number(query, "children", 0) or 0, _number(query, "infants", 0) or 0
    types = ["ADULT"] * adults + ["CHILD"] * children + ["HELD_INFANT"] * infants
    return _checked_travelers(
        tuple(
            Traveler(str(number), each, str(number - adults - children) if each == "HELD_INFANT" else None)
            for number, each in enumerate(types, start=1)
        ),
        None,
    )


def _number(query: Mapping[str, str], name: str, least: int) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,6}", text) or int(text) < least:
        raise refused(477, f"{name} must be a number from {least}.", parameter=name)
    return int(text)


def _codes(query: Mapping[str, str], name: str) -> frozenset[str]:
    codes = query[name].split(",") if name in query else []
    if not all(re.fullmatch("[0-9A-Z]{2}", code) for code in codes):
        raise refused(477, "Not airline codes.", parameter=name)
    return frozenset(codes)


# -------------------------------------------------------------------------------------------------------- the body


def _leg_in(world: World, fields: Fields) -> Leg:
    fields.text("id")
    ends = [
        _checked_airport(fields.text(name), Where(pointer=f"{fields.pointer}/{name}"))
        for name in ("originLocationCode", "destinationLocationCode")
    ]
    if ends[0] == ends[1]:
        raise refused(4926, "Origin and destination are the same.", pointer=fields.pointer)
    when = fields.child("departureDateTimeRange")
    if set(when.document) != {"date"}:
        raise refused(4926, "The sandbox knows days only, no times and windows.", pointer=when.pointer)
    return Leg(ends[0], ends[1], _future(world, when.text("date"), Where(pointer=f"{when.pointer}/date")))


def _traveler_in(fields: Fields) -> Traveler:
    kind = fields.text("travelerType")
    if kind not in SHARES:
        raise refused(477, "The type of traveler is unknown.", pointer=f"{fields.pointer}/travelerType")
    return Traveler(fields.text("id"), kind, fields.optional_text("associatedAdultId"))


def _listed(document: Mapping[str, object], name: str) -> frozenset[str]:
    value = document.get(name)
    return frozenset(map(str, cast("list[object]", value))) if isinstance(value, list) else frozenset()


# --------------------------------------------------------------------------------------------------------- checked


def _checked_airport(code: str | None, where: Where) -> Airport:
    if code is None:
        raise where.refused(32171, "An IATA code is missing.")
    if not re.fullmatch("[A-Z]{3}", code):
        raise where.refused(477, "Not an IATA code.")
    place = find_place(code)
    if place is None:
        raise where.refused(4926, "No airport or city has this code.")
    return airport_of(place)


def _future(world: World, text: str | None, where: Where) -> date:
    if text is None:
        raise where.refused(32171, "A date is missing.")
    try:
        day = date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else None
    except ValueError:
        day = None
    if day is None:
        raise where.refused(477, "Not a date.")
    # Somewhere it may still be yesterday.
    if day < world.now().date() - timedelta(days=1):
        raise where.refused(425, "Date/Time is in the past")
    return day


def _checked_travelers(travelers: tuple[Traveler, ...], pointer: str | None) -> tuple[Traveler, ...]:
    infants = [each for each in travelers if each.traveler_type == "HELD_INFANT"]
    adults = {each.traveler_id for each in travelers if each.traveler_type in ("ADULT", "SENIOR")}
    if len(travelers) - len(infants) > _MOST_SEATS:
        raise refused(10661, f"At most {_MOST_SEATS} seats.", pointer=pointer)
    if len({each.adult_id for each in infants} & adults) != len(infants):
        raise refused(4926, "Each infant needs an adult's lap of its own.", pointer=pointer)
    return travelers


def _checked_cabin(cabin: str, where: Where) -> str:
    if cabin not in CABINS:
        raise where.refused(477, "The class is unknown.")
    return cabin


def _checked_currency(currency: str, where: Where) -> str:
    if currency not in PER_EURO:
        raise where.refused(4926, "The sandbox does not sell in this currency.")
    return currency
