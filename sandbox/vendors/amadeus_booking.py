"""Amadeus's calls about orders: create, get, delete. There is no list and no search, and nothing keeps a second order away."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal

from starlette.responses import Response

from sandbox.vendors.amadeus_fares import change_price, sell_out
from sandbox.vendors.amadeus_http import AmadeusError, Fields, Settings, arguments, body_of, not_found, ok, refused
from sandbox.vendors.amadeus_offers import Offer, decimal_text, dictionaries_of
from sandbox.vendors.amadeus_orders import (
    OrderDraft,
    OrderRecord,
    airline_cancelled,
    delete_order,
    find_order,
    is_issued,
    make_order,
    order_document,
)
from sandbox.vendors.amadeus_pricing import one_offer, require_seats
from sandbox.vendors.calls import Call
from sandbox.world import World

_EMAIL: Final = r"[^@\s]+@[^@\s]+\.[^@\s]+"
_DELAY: Final = r"[1-9]\d{0,2}D?"
_OPTIONS: Final = ("CONFIRM", "DELAY_TO_QUEUE", "DELAY_TO_CANCEL")


def create_order(call: Call) -> Response:
    """POST /v1/booking/flight-orders: reserves one priced offer, as often as it is asked to."""
    arguments(call)
    world, data = call.world, body_of(call).child("data")
    data.text("type", "flight-order")
    offer = one_offer(world, data)
    draft = _draft(world, data, offer)
    if call.fault_of("sold_out"):
        sell_out(world, offer.fare)
    require_seats(world, offer)
    fault = call.fault_of("price_changed")
    if fault is not None:
        change_price(world, offer.fare, fault.percent)
    _check_price(world, data.children("flightOffers")[0], offer)
    fault = call.fault_of("decline")
    if fault is not None:
        code = int(fault.code) if fault.code and fault.code.isdecimal() else 1304
        raise refused(code, "The payment could not be taken.")
    order = make_order(world, offer, draft)
    dictionaries = {"locations": dictionaries_of([offer.fare], offer.currency)["locations"]}
    return ok({"data": order_document(world, order), "dictionaries": dictionaries}, 201)


def get_order(call: Call) -> Response:
    """GET /v1/booking/flight-orders/{id}"""
    arguments(call)
    return ok({"data": order_document(call.world, _existing(call))})


def cancel_order(call: Call) -> Response:
    """DELETE /v1/booking/flight-orders/{id}: only until the consolidator has issued the ticket; or, of a cancelled flight, ever."""
    arguments(call)
    order = _existing(call)
    if is_issued(call.world, order) and not airline_cancelled(call.world, order):
        raise refused(4926, "The ticket is issued: changes and refunds are made with the consolidator.")
    delete_order(call.world, order)
    return Response(status_code=204)


def _existing(call: Call) -> OrderRecord:
    order = find_order(call.world, call.path["id"])
    if order is None:
        raise not_found("The order is unknown, or cancelled.")
    return order


# ---------------------------------------------------------------------------------------------------------- checks


def _check_price(world: World, sent: Fields, offer: Offer) -> None:
    price = sent.child("price")
    if price.optional_text("billingCurrency") is None:
        raise refused(4926, "The offer is not priced.", pointer=price.pointer)
    if price.text("grandTotal") != decimal_text(offer.total_minor(world)):
        raise _price_discrepancy(price)


def _price_discrepancy(price: Fields) -> AmadeusError:
    return refused(37200, "The price has changed. Price the offer again.", pointer=price.pointer)


def _draft(world: World, data: Fields, offer: Offer) -> OrderDraft:
    travelers, contacts = data.children("travelers"), data.optional_children("contacts")
    expected = sorted(each.traveler_id for each in offer.travelers)
    if sorted(each.text("id") for each in travelers) != expected:
        raise refused(4926, "The travelers must be exactly those of the offer.", pointer="/data/travelers")
    for traveler in travelers:
        _check_traveler(traveler)
    _check_contacts([*contacts, *(each.optional_child("contact") for each in travelers)])
    remarks = data.optional_child("remarks")
    option, dies_at = _agreement(world, data.optional_child("ticketingAgreement"))
    return {
        "travelers": [each.document for each in travelers],
        "contacts": [each.document for each in contacts],
        "remarks": remarks.document,
        "option": option,
        "dies_at": dies_at,
        "reference": _reference(remarks),
    }


def _check_traveler(traveler: Fields) -> None:
    name = traveler.child("name")
    name.text("firstName")
    name.text("lastName")
    if traveler.text("gender") not in ("MALE", "FEMALE", "UNSPECIFIED", "UNDISCLOSED"):
        raise refused(477, "The gender is unknown.", pointer=f"{traveler.pointer}/gender")
    try:
        date.fromisoformat(traveler.text("dateOfBirth", r"\d{4}-\d{2}-\d{2}"))
    except ValueError as error:
        raise refused(477, "Not a date.", pointer=f"{traveler.pointer}/dateOfBirth") from error


def _check_contacts(contacts: list[Fields]) -> None:
    """An e-mail address and a telephone number must be there, with whomever."""
    emails = [contact.optional_text("emailAddress", _EMAIL) for contact in contacts]
    phones = [phone for contact in contacts for phone in contact.optional_children("phones")]
    for phone in phones:
        phone.text("countryCallingCode", "[0-9+]{1,5}")
        phone.text("number", "[0-9]{1,15}")
    if not any(emails) or not phones:
        raise refused(
            32171, "An e-mail address or a telephone number is missing.", pointer="/data/travelers[0]/contact"
        )


def _reference(remarks: Fields) -> str | None:
    """What the client calls the order: the last word of its first remark."""
    general = remarks.optional_children("general")
    for remark in general:
        remark.text("subType")
        remark.text("text")
    words = general[0].text("text").split() if general else []
    return words[-1] if words else None


def _agreement(
    world: World, agreement: Fields
) -> tuple[Literal["CONFIRM", "DELAY_TO_QUEUE", "DELAY_TO_CANCEL"], str | None]:
    """The option, and when the reservation dies. Days end at midnight; the office's clock is UTC."""
    option = agreement.optional_text("option") or "CONFIRM"
    if option not in _OPTIONS:
        raise refused(477, "The option is unknown.", pointer=f"{agreement.pointer}/option")
    if option != "DELAY_TO_CANCEL":
        return option, None
    now, hold_s = world.now(), Settings.of(world).hold_s
    text = agreement.optional_text("dateTime")
    if text is not None:
        dies_at = _moment(text, agreement)
    else:
        days = int(agreement.text("delay", _DELAY).rstrip("D"))
        dies_at = datetime.combine(now.date() + timedelta(days=days), time(), UTC)
    if dies_at <= now:
        raise refused(4926, "The date is in the past.", pointer=agreement.pointer)
    return option, (dies_at if hold_s is None else now + timedelta(seconds=hold_s)).isoformat()


def _moment(text: str, agreement: Fields) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise refused(477, "Not a date.", pointer=f"{agreement.pointer}/dateTime") from error
