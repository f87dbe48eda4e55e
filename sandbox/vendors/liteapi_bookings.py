"""LiteAPI bookings: prebooked, booked, found by reference, cancelled.

A prebook checks the price and holds nothing; one may be booked as often as asked, but a client reference only once, also
after its booking ended.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypedDict, cast

from starlette.responses import Response

from sandbox.faults import Fault
from sandbox.vendors.calls import Call, json_response, number
from sandbox.vendors.liteapi_content import hotel_id, room_name
from sandbox.vendors.liteapi_rates import (
    Offer,
    Offered,
    change_price,
    commission_minor,
    opened,
    penalties,
    policies_document,
    rate_documents,
    sell_out,
)
from sandbox.vendors.liteapi_requests import BookRequest, PrebookRequest
from sandbox.vendors.liteapi_wire import VENDOR, LiteError, nothing, outdated_offer, wrong_input
from sandbox.world import JsonObject, World


class PrebookRecord(TypedDict):
    offer_id: str
    total_minor: int
    issued: float


class PenaltyRecord(TypedDict):
    since: float
    amount_minor: int


class BookingRecord(TypedDict):
    id: str
    reference: str | None
    state: Literal["pending", "confirmed", "failed", "cancelled"]
    confirms_at: float | None
    fails_then: bool
    total_minor: int
    currency: str
    penalties: list[PenaltyRecord]
    fee_minor: int
    created_at: str
    changed_at: str
    document: JsonObject
    """The booking as answered, without what changes."""


def prebook(call: Call) -> Response:
    """POST /rates/prebook: whether the offer is still there, and what it costs now."""
    world, asked = call.world, call.parsed(PrebookRequest)
    if asked.use_payment_sdk:
        raise wrong_input("usePaymentSdk: the sandbox sells on account only")
    offered = opened(world, asked.offer_id)
    offer = offered.offer
    if call.fault_of("sold_out"):
        sell_out(world, offer)
        raise outdated_offer()
    if offer.sold_out or _is_stale(world, offered.issued.timestamp()):
        raise outdated_offer()
    if repriced := call.fault_of("price_changed"):
        offer = change_price(world, offer, repriced.percent)
    prebook_id = world.new_id("pb")
    kept = PrebookRecord(offer_id=asked.offer_id, total_minor=offer.total_minor, issued=world.now().timestamp())
    world.put(VENDOR, "prebook", prebook_id, cast(JsonObject, kept))
    return json_response({"data": _prebook_document(world, prebook_id, asked.offer_id, offered, offer)})


def book(call: Call) -> Response:
    """POST /rates/book"""
    world, asked = call.world, call.parsed(BookRequest)
    if asked.client_reference and world.get(VENDOR, "reference", asked.client_reference):
        raise LiteError(400, 4005, "duplicate booking attempt with existing client reference")
    kept = cast("PrebookRecord | None", world.get(VENDOR, "prebook", asked.prebook_id))
    if kept is None or _is_stale(world, kept["issued"]):
        raise wrong_input("invalid prebookId, rate not found")
    offer = opened(world, kept["offer_id"]).offer
    rooms = len(offer.stay.occupancies)
    if sorted(guest.occupancy_number for guest in asked.guests) != list(range(1, rooms + 1)):
        raise wrong_input(f"guests: one for each of {rooms} room(s)")
    _check_still_sold(call, offer, kept["total_minor"])
    record = _new_record(world, asked, offer)
    if asked.client_reference:
        world.put(VENDOR, "reference", asked.client_reference, {"booking_id": record["id"]})
    if later := call.fault_of("accept_later"):
        record["confirms_at"] = world.now().timestamp() + later.delay_s
        record["fails_then"] = later.fail
        _save(world, record)
        _finish_later(world, record)
    else:
        _confirm(world, record)
    return json_response({"data": _document(record), "guestLevel": 0, "sandbox": True})


def find(call: Call) -> Response:
    """GET /bookings by `clientReference`. Guests have no ids here."""
    kept = call.world.get(VENDOR, "reference", call.argument("clientReference") or "")
    found = _get(call.world, cast(str, kept["booking_id"])) if kept else None
    listed: list[JsonObject] = []
    if found is not None:
        document = _document(found)
        listed.append({**document, "rooms": document.pop("bookedRooms")})
    return json_response({"data": listed})


def find_all(call: Call) -> Response:
    """GET /bookings/, all of them; by `bookingStartDate` and `bookingEndDate` those made on these days and between them."""
    first, last = call.argument("bookingStartDate") or "", call.argument("bookingEndDate") or "9999-12-31"
    records = [cast(BookingRecord, cast(object, document)) for document in call.world.all(VENDOR, "booking")]
    asked = [record for record in records if first <= record["created_at"][:10] <= last]
    made = [record for record in asked if record["state"] in ("confirmed", "cancelled")]
    lines = [_line(number_of, record) for number_of, record in enumerate(made, 1)]
    return json_response({"count": len(lines), "data": lines})


def _line(number_of: int, record: BookingRecord) -> JsonObject:
    document = record["document"]
    return {
        "id": number_of,
        "bookingId": record["id"],
        "client_reference": record["reference"] or "",
        "status": _status(record),
        "checkin": document["checkin"],
        "checkout": document["checkout"],
        "currency": record["currency"],
        "retail_rate": str(number(record["total_minor"])),
        "created_at": record["created_at"],
        "updated_at": record["changed_at"],
    }


def get(call: Call) -> Response:
    """GET /bookings/{id}; 204 where there is none."""
    found = _get(call.world, call.path["id"])
    return json_response({"data": _document(found)}) if found else nothing(204)


def cancel(call: Call) -> Response:
    """PUT /bookings/{id}: at once and under the terms of the booking; 304 where nothing changes."""
    world, record = call.world, _get(call.world, call.path["id"])
    if record is None:
        return nothing(204)
    if record["state"] != "confirmed":
        return nothing(304)
    now = world.now()
    due = [each["amount_minor"] for each in record["penalties"] if each["since"] <= now.timestamp()]
    record["state"] = "cancelled"
    record["fee_minor"] = max(due, default=0)
    record["changed_at"] = now.isoformat()
    _save(world, record)
    refund_minor = record["total_minor"] - record["fee_minor"]
    _effect(world, "hotel.cancelled", record, refund_minor)
    data: JsonObject = {
        "bookingId": record["id"],
        "status": _status(record),
        "cancellation_fee": number(record["fee_minor"]),
        "refund_amount": number(refund_minor),
        "currency": record["currency"],
    }
    return json_response({"data": data, "sandbox": True})


def resume(world: World) -> None:
    """Set the timers again that the end of a process took."""
    for document in world.all(VENDOR, "booking"):
        record = cast(BookingRecord, cast(object, document))
        if record["state"] == "pending":
            _finish_later(world, record)


def books(world: World) -> JsonObject:
    """Every booking that ever took effect."""
    reservations: list[JsonObject] = []
    for document in world.all(VENDOR, "booking"):
        record = cast(BookingRecord, cast(object, document))
        if record["state"] in ("confirmed", "cancelled"):
            refunded_minor = record["total_minor"] - record["fee_minor"] if record["state"] == "cancelled" else 0
            reservations.append(
                {
                    "vendor": VENDOR,
                    "kind": "hotel",
                    "object_id": record["id"],
                    "metadata": {"reference": record["reference"]},
                    "status": record["state"],
                    "price_minor": record["total_minor"],
                    "currency": record["currency"],
                    "refunded_minor": refunded_minor,
                    "created_at": record["created_at"],
                    "held_until": None,
                }
            )
    return {"reservations": reservations, "payments": []}


def _is_stale(world: World, issued: float) -> bool:
    return world.now().timestamp() - issued >= world.settings.offer_ttl_s


def _check_still_sold(call: Call, offer: Offer, agreed_minor: int) -> None:
    world = call.world
    if call.fault_of("sold_out"):
        sell_out(world, offer)
    if offer.sold_out or call.fault_of("sold_out"):
        raise LiteError(400, 2013, "booking failed", "booking not confirmed")
    if declined := call.fault_of("decline"):
        description = "payment failed please check your provided payment information"
        raise LiteError(400, _code(declined, 5000), "unable to process request", description)
    if repriced := call.fault_of("price_changed"):
        offer = change_price(world, offer, repriced.percent)
    if offer.total_minor != agreed_minor:
        raise wrong_input("invalid prebookId, invalid rate")


def _code(fault: Fault, default: int) -> int:
    return int(fault.code) if fault.code is not None and fault.code.isdecimal() else default


def _prebook_document(world: World, prebook_id: str, offer_id: str, offered: Offered, offer: Offer) -> JsonObject:
    change = (offer.total_minor - offered.listed_minor) / offered.listed_minor * 100
    return {
        "prebookId": prebook_id,
        "offerId": offer_id,
        "hotelId": hotel_id(offer.hotel),
        "checkin": offer.stay.checkin,
        "checkout": offer.stay.checkout,
        "currency": offer.stay.currency,
        "termsAndConditions": "",
        "roomTypes": [{"rates": rate_documents(world, offer)}],
        "price": number(offer.total_minor),
        "commission": number(commission_minor(offer.total_minor)),
        "priceType": "commission",
        "priceDifferencePercent": round(change),
        "cancellationChanged": False,
        "boardChanged": False,
        "supplier": "nuitee",
        "supplierId": 2,
        "paymentTypes": ["NUITEE_PAY"],
    }


def _new_record(world: World, asked: BookRequest, offer: Offer) -> BookingRecord:
    now = world.now()
    booking_id = world.new_id("lb")
    terms = penalties(offer, offer.total_minor, now)
    document: JsonObject = {
        "bookingId": booking_id,
        "supplierBookingId": booking_id,
        "supplierBookingName": "nuitee",
        "supplier": "nuitee",
        "supplierId": 2,
        "checkin": offer.stay.checkin.isoformat(),
        "checkout": offer.stay.checkout.isoformat(),
        "hotel": {"hotelId": hotel_id(offer.hotel), "name": offer.hotel.name},
        "bookedRooms": _room_documents(world, asked, offer, now),
        "holder": asked.holder.model_dump(by_alias=True),
        "cancellationPolicies": policies_document(terms, offer.stay.currency, now),
        "price": number(offer.total_minor),
        "commission": number(commission_minor(offer.total_minor)),
        "currency": offer.stay.currency,
        "prebookId": asked.prebook_id,
    }
    if asked.client_reference:
        document["clientReference"] = asked.client_reference
    return BookingRecord(
        id=booking_id,
        reference=asked.client_reference or None,
        state="pending",
        confirms_at=None,
        fails_then=False,
        total_minor=offer.total_minor,
        currency=offer.stay.currency,
        penalties=[PenaltyRecord(since=each.since.timestamp(), amount_minor=each.amount_minor) for each in terms],
        fee_minor=0,
        created_at=now.isoformat(),
        changed_at=now.isoformat(),
        document=document,
    )


def _room_documents(world: World, asked: BookRequest, offer: Offer, now: datetime) -> list[JsonObject]:
    guests = sorted(asked.guests, key=lambda guest: guest.occupancy_number)
    rooms: list[JsonObject] = []
    for guest, occupancy, total_minor in zip(guests, offer.stay.occupancies, offer.totals_minor, strict=True):
        board_code, board_name = offer.plan.board
        rooms.append(
            {
                "roomType": {"name": room_name(world.seed, offer.hotel, offer.room)},
                "boardType": board_code,
                "boardName": board_name,
                "adults": occupancy.adults,
                "children": len(occupancy.children),
                "childrenAges": list(occupancy.children),
                "firstName": guest.first_name,
                "lastName": guest.last_name,
                "occupancy_number": guest.occupancy_number,
                "amount": number(total_minor),
                "currency": offer.stay.currency,
                "cancellationPolicies": policies_document(penalties(offer, total_minor, now), offer.stay.currency, now),
                "guests": [guest.model_dump(by_alias=True, exclude_none=True)],
            }
        )
    return rooms


def _finish_later(world: World, record: BookingRecord) -> None:
    async def finish() -> None:
        if record["state"] != "pending":
            return
        if record["fails_then"]:
            record["state"] = "failed"
            record["changed_at"] = world.now().isoformat()
            _save(world, record)
        else:
            _confirm(world, record)

    world.later(max(0.0, (record["confirms_at"] or 0) - world.now().timestamp()), finish)


def _confirm(world: World, record: BookingRecord) -> None:
    record["state"] = "confirmed"
    record["changed_at"] = world.now().isoformat()
    _save(world, record)
    _effect(world, "hotel.booked", record, record["total_minor"])


def _get(world: World, booking_id: str) -> BookingRecord | None:
    return cast("BookingRecord | None", world.get(VENDOR, "booking", booking_id))


def _save(world: World, record: BookingRecord) -> None:
    world.put(VENDOR, "booking", record["id"], cast(JsonObject, record))


def _effect(world: World, effect: str, record: BookingRecord, amount_minor: int) -> None:
    world.effect(
        VENDOR,
        effect,
        object_id=record["id"],
        metadata={"reference": record["reference"]},
        amount_minor=amount_minor,
        currency=record["currency"],
    )


def _status(record: BookingRecord) -> str:
    """One of the four statuses the contract speaks of; a booking that came to nothing is a cancelled one."""
    if record["state"] == "cancelled" and record["fee_minor"]:
        return "CANCELLED_WITH_CHARGES"
    return {"pending": "PENDING", "confirmed": "CONFIRMED"}.get(record["state"], "CANCELLED")


def _document(record: BookingRecord) -> JsonObject:
    changed: JsonObject = {
        "status": _status(record),
        "createdAt": record["created_at"],
        "updatedAt": record["changed_at"],
    }
    if record["state"] == "cancelled":
        changed["cancelledAt"] = record["changed_at"]
    return {**record["document"], **changed}
