"""Amadeus's pricing: what an offer costs as of now, what its order must say, and what its fare allows."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from sandbox.vendors.amadeus_fares import change_price, is_sold_out, sell_out
from sandbox.vendors.amadeus_http import AmadeusError, Fields, arguments, body_of, ok, refused
from sandbox.vendors.amadeus_offers import (
    Offer,
    bookable_seats,
    decimal_text,
    dictionaries_of,
    fare_basis,
    offer_document,
    offer_sent,
)
from sandbox.vendors.calls import Call
from sandbox.world import JsonObject, World

_INCLUDES: Final = ("credit-card-fees", "bags", "other-services", "detailed-fare-rules")


def price_offers(call: Call) -> Response:
    """POST /v1/shopping/flight-offers/pricing"""
    query = arguments(call, "include", "forceClass")
    wanted = query["include"].split(",") if "include" in query else []
    for each in wanted:
        if each not in _INCLUDES:
            raise refused(477, "Nothing of this name can be included.", parameter="include")
    data = body_of(call).child("data")
    data.text("type")
    offer = one_offer(call.world, data)
    if call.fault_of("sold_out"):
        sell_out(call.world, offer.fare)
    require_seats(call.world, offer)
    fault = call.fault_of("price_changed")
    if fault is not None:
        change_price(call.world, offer.fare, fault.percent)
    document: JsonObject = {
        "data": {
            "type": "flight-offers-pricing",
            "flightOffers": [offer_document(call.world, offer, priced=True)],
            "bookingRequirements": {
                "emailAddressRequired": True,
                "phoneNumberRequired": True,
                "travelerRequirements": [
                    {"travelerId": each.traveler_id, "genderRequired": True, "dateOfBirthRequired": True}
                    for each in offer.travelers
                ],
            },
        },
        "dictionaries": dictionaries_of([offer.fare], offer.currency),
    }
    if "detailed-fare-rules" in wanted:
        document["included"] = {"detailed-fare-rules": _fare_rules(call.world, offer)}
    return ok(document)


def one_offer(world: World, data: Fields) -> Offer:
    """The offer of a request. Amadeus takes up to six at once; here one is sold at a time."""
    sent = data.children("flightOffers")
    if len(sent) > 1:
        raise refused(4926, "The sandbox takes one offer at a time.", pointer="/data/flightOffers")
    return offer_sent(world, sent[0])


def require_seats(world: World, offer: Offer) -> None:
    """Seats for all, or Amadeus's error: the offer is dead."""
    if is_sold_out(world, offer.fare) or offer.seated() > bookable_seats(world, offer.fare):
        raise sell_failure()


def sell_failure() -> AmadeusError:
    """The airline's inventory has no seat left."""
    return refused(34651, "Could not sell segment 1", pointer="/data/flightOffers[0]/itineraries[0]/segments[0]")


def _fare_rules(world: World, offer: Offer) -> JsonObject:
    """What a refund costs, told for each segment."""
    penalty = offer.fare.brand.refund_penalty
    notes: JsonObject = {"category": "REFUND", "circumstances": "BEFORE DEPARTURE", "notApplicable": penalty is None}
    if penalty is not None:
        notes["maxPenaltyAmount"] = decimal_text(offer.total_minor(world) * penalty // 100)
    return {
        segment_id: {
            "fareBasis": fare_basis(offer.fare),
            "name": offer.fare.brand.name,
            "fareNotes": notes,
            "segmentId": segment_id,
        }
        for segment_id in offer.segment_ids
    }
