"""What the simulated Rapid remembers of a booking, and how it shows it (`Itinerary` of the published contract)."""

from __future__ import annotations

from typing import Literal, TypedDict

from sandbox.vendors.rapid_protocol import Tokens, link, money
from sandbox.world import JsonObject

State = Literal["accepting", "held", "confirmed", "cancelled", "expired", "failed"]
"""`accepting`: answered 201, not made yet; it becomes held or confirmed, or `failed`, which never took effect."""


class Room(TypedDict):
    """One room of an itinerary. Amounts in minor units of the itinerary's currency."""

    id: str
    confirmation: str
    bed_group: str
    rate: str
    checkin: str
    checkout: str
    nights: int
    adults: int
    child_ages: list[int]
    given_name: str
    family_name: str
    special_request: str | None
    smoking: bool
    cancelled: bool
    cancelling: bool
    """A cancellation was answered 202 and is not done yet."""
    refundable: bool
    cancel_penalties: list[JsonObject]
    pricing: JsonObject
    total_minor: int
    refund_minor: int


class Itinerary(TypedDict):
    """A booking's state. Times in seconds since 1970."""

    id: str
    reference: str | None
    email: str
    phone: JsonObject
    property_id: str
    billing_contact: JsonObject | None
    affiliate_metadata: str | None
    hold: bool
    state: State
    resuming: bool
    """A resume was answered 202 and is not done yet."""
    rooms: list[Room]
    currency: str
    created: float
    created_at: str
    held_until: float | None
    pending_until: float | None
    pending_fails: bool


def total_minor(itinerary: Itinerary) -> int:
    return sum(room["total_minor"] for room in itinerary["rooms"])


def creation_document(itinerary: Itinerary, tokens: Tokens) -> JsonObject:
    """`ItineraryCreation`: the id and the links that apply."""
    path = f"/itineraries/{itinerary['id']}"
    links: JsonObject = {"retrieve": link("GET", path, tokens.seal("retrieve", itinerary["id"]))}
    if itinerary["hold"]:
        links["resume"] = link("PUT", path, tokens.seal("resume", itinerary["id"]))
        links["cancel"] = link("DELETE", path, tokens.seal("drop", itinerary["id"]))
    return {"itinerary_id": itinerary["id"], "links": links}


def itinerary_document(itinerary: Itinerary, tokens: Tokens) -> JsonObject:
    """`Itinerary`, with a link for each thing that can be done now."""
    path = f"/itineraries/{itinerary['id']}"
    links: JsonObject = {}
    if itinerary["state"] == "held" and not itinerary["resuming"]:
        links["resume"] = link("PUT", path, tokens.seal("resume", itinerary["id"]))
        links["cancel"] = link("DELETE", path, tokens.seal("drop", itinerary["id"]))
    document: JsonObject = {
        "itinerary_id": itinerary["id"],
        "property_id": itinerary["property_id"],
        "links": links,
        "email": itinerary["email"],
        "phone": itinerary["phone"],
        "rooms": [_room_document(itinerary, room, tokens) for room in itinerary["rooms"]],
        "creation_date_time": itinerary["created_at"],
        "travel_purpose": "unspecified",
    }
    for name in ("billing_contact", "affiliate_metadata"):
        if itinerary[name] is not None:
            document[name] = itinerary[name]
    if itinerary["reference"] is not None:
        document["affiliate_reference_id"] = itinerary["reference"]
    return document


def partial_document(itinerary: Itinerary) -> JsonObject:
    """What retrieval shows of an itinerary that has not quite arrived."""
    return {"itinerary_id": itinerary["id"], "creation_date_time": itinerary["created_at"]}


def _room_document(itinerary: Itinerary, room: Room, tokens: Tokens) -> JsonObject:
    gone = room["cancelled"] or itinerary["state"] in ("cancelled", "expired", "failed")
    booked = itinerary["state"] == "confirmed" and not gone
    rate: JsonObject = {
        "id": room["rate"],
        "merchant_of_record": "expedia",
        "refundable": room["refundable"],
        "cancel_penalties": room["cancel_penalties"],
        "pricing": room["pricing"],
    }
    if room["cancelled"]:
        # The contract's examples show what goes back to the customer as a negative amount.
        refund = money(-room["refund_minor"], itinerary["currency"])
        rate["cancel_refund"] = {"amount": refund["value"], "currency": refund["currency"]}
    document: JsonObject = {
        "id": room["id"],
        "bed_group_id": room["bed_group"],
        "checkin": room["checkin"],
        "checkout": room["checkout"],
        "number_of_adults": room["adults"],
        "child_ages": room["child_ages"],
        "given_name": room["given_name"],
        "family_name": room["family_name"],
        "status": "canceled" if gone else "booked" if booked else "pending",
        "smoking": room["smoking"],
        "rate": rate,
    }
    if room["special_request"] is not None:
        document["special_request"] = room["special_request"]
    if itinerary["state"] not in ("accepting", "held", "failed"):
        document["confirmation_id"] = {"expedia": room["confirmation"], "property": f"P{room['confirmation']}"}
    if booked and not room["cancelling"]:
        path = f"/itineraries/{itinerary['id']}/rooms/{room['id']}"
        document["links"] = {"cancel": link("DELETE", path, tokens.seal("cancel", itinerary["id"], room["id"]))}
    return document
