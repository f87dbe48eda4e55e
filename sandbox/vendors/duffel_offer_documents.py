"""Duffel's JSON of offer requests and offers, and of what an order takes over from its offer."""

from __future__ import annotations

from sandbox.content import CURRENCY, Airport, Flight, find_place
from sandbox.vendors.duffel_documents import carrier_document, duration_text, place_document
from sandbox.vendors.duffel_http import decimal_text
from sandbox.vendors.duffel_offers import Offer, PassengerRecord, RequestRecord, SliceRecord, living_offers
from sandbox.world import JsonObject, World


def request_document(world: World, record: RequestRecord, *, with_offers: bool) -> JsonObject:
    """An offer request, with its living offers if wanted."""
    document: JsonObject = {
        "id": record["id"],
        "live_mode": False,
        "created_at": record["created_at"],
        "cabin_class": record["cabin_class"],
        "slices": [_requested_slice(each) for each in record["slices"]],
        "passengers": [offer_passenger(passenger) for passenger in record["passengers"]],
    }
    if with_offers:
        document["offers"] = [offer_document(offer) for offer in living_offers(world, record)]
    return document


def _requested_slice(record: SliceRecord) -> JsonObject:
    document: JsonObject = {"departure_date": record["departure_date"]}
    for end, code in (("origin", record["origin"]), ("destination", record["destination"])):
        place = find_place(code)
        if place is not None:
            document[end] = place_document(place)
            document[f"{end}_type"] = "airport" if isinstance(place, Airport) else "city"
    return document


def offer_passenger(passenger: PassengerRecord) -> JsonObject:
    """A traveller as an offer knows him: by age, not by name."""
    return {**passenger, "given_name": None, "family_name": None, "loyalty_programme_accounts": []}


def condition(penalty_share: float | None, total_minor: int) -> JsonObject:
    """A thing that is allowed at a penalty, or not allowed."""
    if penalty_share is None:
        return {"allowed": False, "penalty_amount": None, "penalty_currency": None}
    penalty = decimal_text(round(total_minor * penalty_share))
    return {"allowed": True, "penalty_amount": penalty, "penalty_currency": CURRENCY}


def conditions_document(offer: Offer) -> JsonObject:
    """What the whole journey allows. Penalties stay as first offered, also when the price changes."""
    return {
        "refund_before_departure": condition(offer.fare.refund_penalty, offer.listed_minor),
        "change_before_departure": condition(offer.fare.change_penalty, offer.listed_minor),
    }


def slice_documents(offer: Offer) -> list[JsonObject]:
    """The journey, as offers and orders both show it."""
    stem = offer.offer_id[4:]
    cabin = offer.request["cabin_class"]
    seats: list[JsonObject] = [
        {
            "passenger_id": passenger["id"],
            "cabin_class": cabin,
            "cabin_class_marketing_name": cabin.replace("_", " ").title(),
            "fare_basis_code": f"{cabin[0].upper()}{offer.fare.name[:3].upper()}{offer.owner.code}",
            "baggages": [
                {"type": "carry_on", "quantity": 1},
                {"type": "checked", "quantity": offer.fare.checked_bags},
            ],
            "cabin": None,
        }
        for passenger in offer.request["passengers"]
    ]
    changeable = condition(offer.fare.change_penalty, offer.listed_minor)
    return [
        {
            "id": f"sli_{stem}{number}",
            "origin": way.origin,
            "origin_type": "airport",
            "destination": way.destination,
            "destination_type": "airport",
            "duration": duration_text(way.itinerary.duration),
            "fare_brand_name": offer.fare.name,
            "segments": [
                {**segment, "id": f"seg_{stem}{number}{place}", "passengers": seats}
                for place, segment in enumerate(way.segments)
            ],
            "conditions": {
                "change_before_departure": changeable,
                "advance_seat_selection": None,
                "priority_boarding": None,
                "priority_check_in": None,
            },
            "ngs_shelf": {"Light": 1, "Standard": 2, "Flex": 3}[offer.fare.name],
            "comparison_key": "-".join(_flight_name(flight) for flight in way.itinerary.flights),
        }
        for number, way in enumerate(offer.ways)
    ]


def _flight_name(flight: Flight) -> str:
    return f"{flight.carrier.code}{flight.number}"


def price_document(offer: Offer) -> JsonObject:
    """Base, tax and total."""
    return {
        "base_amount": decimal_text(offer.base_minor),
        "base_currency": CURRENCY,
        "tax_amount": decimal_text(offer.tax_minor),
        "tax_currency": CURRENCY,
        "total_amount": decimal_text(offer.total_minor),
        "total_currency": CURRENCY,
    }


def offer_document(offer: Offer) -> JsonObject:
    """An offer as Duffel sends it."""
    request = offer.request
    hold_until = request["hold_until"] if offer.holdable else None
    kilometres = sum(flight.distance_km for way in offer.ways for flight in way.itinerary.flights)
    return {
        "id": offer.offer_id,
        "live_mode": False,
        "created_at": request["created_at"],
        "updated_at": request["created_at"],
        "expires_at": request["expires_at"],
        "owner": carrier_document(offer.owner),
        **price_document(offer),
        "total_emissions_kg": str(round(kilometres * 0.09 * len(request["passengers"]))),
        "conditions": conditions_document(offer),
        "passenger_identity_documents_required": False,
        "supported_passenger_identity_document_types": ["passport"],
        "supported_loyalty_programmes": [offer.owner.code],
        "passengers": [offer_passenger(passenger) for passenger in request["passengers"]],
        "payment_requirements": {
            "requires_instant_payment": not offer.holdable,
            "payment_required_by": hold_until,
            "price_guarantee_expires_at": hold_until,
        },
        "private_fares": [],
        "partial": False,
        "slices": slice_documents(offer),
    }
