"""Amadeus's orders as the sandbox keeps them: reserved or confirmed, deleted, let die; and how each looks as JSON."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final, Literal, TypedDict, cast

from sandbox.operations import is_cancelled
from sandbox.timetable import find_flight
from sandbox.vendors.amadeus_http import VENDOR, Settings
from sandbox.vendors.amadeus_offers import Offer, offer_document
from sandbox.world import JsonObject, World

_LOCATOR_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_OFFICE: Final = "NCE1A0950"


class OrderDraft(TypedDict):
    """A checked request for an order; documents as they were sent."""

    travelers: list[object]
    contacts: list[object]
    remarks: JsonObject
    option: Literal["CONFIRM", "DELAY_TO_QUEUE", "DELAY_TO_CANCEL"]
    dies_at: str | None
    """When a reservation that is to be cancelled is cancelled."""
    reference: str | None
    """The client's own, from the remarks."""


class OrderRecord(OrderDraft):
    id: str
    created_at: str
    record_locator: str
    offer: JsonObject
    total_minor: int
    currency: str
    status: Literal["held", "confirmed", "cancelled", "expired"]
    issued_at: str | None
    """When the consolidator issues the ticket."""
    refunded_minor: int


def make_order(world: World, offer: Offer, draft: OrderDraft) -> OrderRecord:
    """Reserve, with all that follows: the ledger, and the end of a reservation that is to be cancelled."""
    serial = world.new_id("flight-order:")
    confirmed = draft["option"] == "CONFIRM"
    issued_at = world.now() + timedelta(seconds=Settings.of(world).issue_s)
    order: OrderRecord = {
        **draft,
        # Long, opaque and with characters that a path must carry, as in reality.
        "id": urlsafe_b64encode(blake2b(serial.encode(), digest_size=16).digest()).decode(),
        "created_at": world.now().isoformat(),
        "record_locator": "".join(world.random(VENDOR, "locator", serial).choices(_LOCATOR_LETTERS, k=6)),
        "offer": offer_document(world, offer, priced=True),
        "total_minor": offer.total_minor(world),
        "currency": offer.currency,
        "status": "confirmed" if confirmed else "held",
        "issued_at": issued_at.isoformat() if confirmed else None,
        "refunded_minor": 0,
    }
    _keep(world, order)
    _record_effect(world, "flight.ticketed" if confirmed else "flight.held", order, order["total_minor"])
    _die_later(world, order)
    return order


def find_order(world: World, order_id: str) -> OrderRecord | None:
    """The living order as of now."""
    order = cast("OrderRecord | None", world.get(VENDOR, "order", order_id))
    if order is None or _as_of_now(world, order)["status"] in ("cancelled", "expired"):
        return None
    return order


def is_issued(world: World, order: OrderRecord) -> bool:
    """Whether the consolidator has issued the ticket, after which all is off-line."""
    return order["issued_at"] is not None and world.now() >= datetime.fromisoformat(order["issued_at"])


def airline_cancelled(world: World, order: OrderRecord) -> bool:
    """Whether the airline has cancelled one of its flights."""
    itineraries = cast("list[JsonObject]", order["offer"]["itineraries"])
    segments = (segment for way in itineraries for segment in cast("list[JsonObject]", way["segments"]))
    return any(_is_cancelled(world, segment) for segment in segments)


def _is_cancelled(world: World, segment: JsonObject) -> bool:
    carrier, number = cast(str, segment["carrierCode"]), int(cast(str, segment["number"]))
    departs_at = datetime.fromisoformat(cast(str, cast(JsonObject, segment["departure"])["at"]))
    flight = find_flight(world, carrier, number, departs_at.date())
    return flight is not None and is_cancelled(world, flight)


def delete_order(world: World, order: OrderRecord) -> None:
    """Give the seats back. Nothing is issued yet, or the airline does not fly, so nothing is kept of the price."""
    order["refunded_minor"] = order["total_minor"] if order["status"] == "confirmed" else 0
    order["status"] = "cancelled"
    _keep(world, order)
    _record_effect(world, "flight.cancelled", order, order["refunded_minor"])


def resume(world: World) -> None:
    """Set the timers again after a restart."""
    for document in world.all(VENDOR, "order"):
        _die_later(world, cast(OrderRecord, document))


def _as_of_now(world: World, order: OrderRecord) -> OrderRecord:
    """Cancel the reservation if its time is over."""
    dies_at = order["dies_at"]
    if order["status"] == "held" and dies_at is not None and world.now() >= datetime.fromisoformat(dies_at):
        order["status"] = "expired"
        _keep(world, order)
        _record_effect(world, "flight.hold_expired", order, order["total_minor"])
    return order


def _die_later(world: World, order: OrderRecord) -> None:
    """Cancel the reservation in time also when nobody looks."""
    if order["status"] != "held" or order["dies_at"] is None:
        return

    async def die() -> None:
        _as_of_now(world, order)

    remaining = datetime.fromisoformat(order["dies_at"]) - world.now()
    # A timer may fire a little early by the clock on the wall.
    world.later(max(0.0, remaining.total_seconds()) + 0.005, die)


def _keep(world: World, order: OrderRecord) -> None:
    world.put(VENDOR, "order", order["id"], cast(JsonObject, order))


def _metadata(order: OrderRecord) -> JsonObject:
    return {} if order["reference"] is None else {"reference": order["reference"]}


def _record_effect(world: World, effect: str, order: OrderRecord, amount_minor: int) -> None:
    """Tell the ledger; the amount is the price, or for a cancellation the refund."""
    world.effect(
        VENDOR,
        effect,
        object_id=order["id"],
        metadata=_metadata(order),
        amount_minor=amount_minor,
        currency=order["currency"],
        details={"record_locator": order["record_locator"], "option": order["option"]},
    )


# ------------------------------------------------------------------------------------------------------- documents


def order_document(world: World, order: OrderRecord) -> JsonObject:
    """The order as Amadeus sends it."""
    agreement: JsonObject = {"option": order["option"]}
    if order["dies_at"] is not None:
        agreement["dateTime"] = order["dies_at"][:19]
    document: JsonObject = {
        "type": "flight-order",
        "id": order["id"],
        "queuingOfficeId": _OFFICE,
        "associatedRecords": [
            {
                "reference": order["record_locator"],
                "creationDate": f"{order['created_at'][:19]}.000",
                "originSystemCode": "GDS",
                "flightOfferId": order["offer"]["id"],
            }
        ],
        "flightOffers": [order["offer"]],
        "travelers": order["travelers"],
        "ticketingAgreement": agreement,
    }
    if order["remarks"]:
        document["remarks"] = order["remarks"]
    if order["contacts"]:
        document["contacts"] = order["contacts"]
    if is_issued(world, order):
        document["tickets"] = _tickets(world, order)
    return document


def _tickets(world: World, order: OrderRecord) -> list[JsonObject]:
    dice = world.random(VENDOR, "ticket", order["id"])
    return [
        {
            "documentType": "ETICKET",
            "documentNumber": str(dice.randrange(10**12, 10**13)),
            "documentStatus": "ISSUED",
            "travelerId": cast(JsonObject, traveler)["id"],
        }
        for traveler in order["travelers"]
    ]


def reservation(world: World, order: OrderRecord) -> JsonObject:
    """The order's line in the books."""
    order = _as_of_now(world, order)
    return {
        "vendor": VENDOR,
        "kind": "flight",
        "object_id": order["id"],
        "metadata": _metadata(order),
        "status": order["status"],
        "price_minor": order["total_minor"],
        "currency": order["currency"],
        "refunded_minor": order["refunded_minor"],
        "created_at": order["created_at"],
        "held_until": order["dies_at"],
    }
