"""Amadeus's flight offers in our words. Source: vendor-specs/amadeus/FlightOffersSearch_v2.json and FlightOffersPrice_v1.json."""

from datetime import datetime

from gateways.amadeus_wire import VENDOR
from gateways.fields import Fields
from gateways.found import version_of
from gateways.ports import SupplierState
from schema.money import Money
from schema.offers import FlightOffer, FlightSegment, FoundOffer, SearchRequest, Version

MAX_OFFERS = 50
TRAVELLER_DEMANDS = (
    "documentRequired",
    "documentIssuanceCityRequired",
    "residenceRequired",
    "spanishResidentDiscountRequired",
    "airFranceDiscountRequired",
)
BOOKING_DEMANDS = ("invoiceAddressRequired", "mailingAddressRequired", "postalCodeRequired")


def search_body(request: SearchRequest) -> dict[str, object]:
    """GetFlightOffersQuery: one originDestination there, and for a return a second one, sold as one offer. The whole trip in one
    cabin, so that an offer's cabin is a fact of it."""
    legs = request.journeys
    ids = [str(number) for number in range(1, len(legs) + 1)]
    cabin = {"cabin": request.cabin.upper(), "coverage": "ALL_SEGMENTS", "originDestinationIds": ids}
    return {
        "currencyCode": request.currency,
        "originDestinations": [
            {
                "id": leg_id,
                "originLocationCode": origin,
                "destinationLocationCode": destination,
                "departureDateTimeRange": {"date": day.isoformat()},
            }
            for leg_id, (origin, destination, day) in zip(ids, legs, strict=True)
        ],
        "travelers": [{"id": str(number), "travelerType": "ADULT"} for number in range(1, request.travellers + 1)],
        "sources": ["GDS"],
        "searchCriteria": {"maxFlightOffers": MAX_OFFERS, "flightFilters": {"cabinRestrictions": [cabin]}},
    }


def offer_of(document: Fields, request: SearchRequest, expires_at: datetime) -> FoundOffer | None:
    """An offer as a gateway brings it; None for one that only a payment card could book, for we pay by account."""
    if document.flag("paymentCardRequired"):
        return None
    price = price_of(document)
    if price.currency != request.currency:
        raise document.broken("price in the currency that was asked for")
    pricings = document.objects("travelerPricings")
    if len(pricings) != request.travellers:
        raise document.broken("price for each traveller")
    segments = _segments(document)
    options = document.object_or_none("pricingOptions")
    return FoundOffer(
        offer=FlightOffer(
            offer_id="",
            supplier=VENDOR,
            price=price,
            expires_at=expires_at,
            refundable=options is not None and options.flag("refundableFare"),
            holdable=False,
            seats=request.travellers,
            cabin=_cabins(document)[0] or request.cabin,
            segments=segments,
            checked_bags=_checked_bags(pricings),
        ),
        supplier_state=state_of(document, priced=False),
        version=version_of_flight(document),
    )


def state_of(document: Fields, *, priced: bool) -> SupplierState:
    """The whole offer, because pricing and orders want it back as it came; `priced`: the vendor has confirmed its price."""
    ids = [pricing.text("travelerId") for pricing in document.objects("travelerPricings")]
    return {"flight_offer": dict(document.values), "traveller_ids": ids, "priced": priced}


def price_of(document: Fields) -> Money:
    """What all travellers pay together, fees included."""
    return document.object("price").money("grandTotal", "currency")


def version_of_flight(document: Fields) -> Version:
    """Flights, times and cabins. An offer has no date of its own change."""
    return version_of(None, [segment.model_dump() for segment in _segments(document)], _cabins(document))


def asks_for_more(requirements: Fields | None) -> bool:
    """Whether an order needs what we never ask a traveller for, such as a passport (schema `BookingRequirements`)."""
    if requirements is None:
        return False
    travellers = requirements.objects_or_none("travelerRequirements") or []
    return any(requirements.flag(name) for name in BOOKING_DEMANDS) or any(
        traveller.flag(name) for traveller in travellers for name in TRAVELLER_DEMANDS
    )


def _raw_segments(document: Fields) -> list[Fields]:
    segments = [segment for leg in document.objects("itineraries") for segment in leg.objects("segments")]
    if not segments:
        raise document.broken("segments")
    return segments


def _segments(document: Fields) -> list[FlightSegment]:
    return [
        FlightSegment(
            carrier=segment.text("carrierCode"),
            number=segment.text("number"),
            origin=segment.object("departure").text("iataCode"),
            destination=segment.object("arrival").text("iataCode"),
            departs_at=segment.object("departure").local_time("at"),
            arrives_at=segment.object("arrival").local_time("at"),
        )
        for segment in _raw_segments(document)
    ]


def _cabins(document: Fields) -> list[str | None]:
    """The first traveller's cabin on each segment; all of them have asked for the same."""
    pricings = document.objects("travelerPricings")
    if not pricings:
        raise document.broken("travelerPricings")
    cabins = {
        fare.text("segmentId"): fare.text_or_none("cabin") for fare in pricings[0].objects("fareDetailsBySegment")
    }
    found = [cabins.get(segment.text_or_none("id") or "") for segment in _raw_segments(document)]
    return [cabin.lower() if cabin else None for cabin in found]


def _checked_bags(pricings: list[Fields]) -> int | None:
    """What every traveller may check in on every segment; None where one is left open. An allowance by weight is one bag."""
    counts: list[int] = []
    for fare in (fare for pricing in pricings for fare in pricing.objects("fareDetailsBySegment")):
        bags = fare.object_or_none("includedCheckedBags")
        count = bags.whole_or_none("quantity") if bags else None
        weight = bags.whole_or_none("weight") if bags else None
        if count is None and weight is None:
            return None
        counts.append(count if count is not None else int(bool(weight)))
    return min(counts, default=None)
