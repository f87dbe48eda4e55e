"""Duffel's calls about orders: create, list, get, pay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Final, cast

from starlette.responses import Response

from sandbox.content import CURRENCY
from sandbox.vendors.duffel_http import (
    VENDOR,
    Call,
    DuffelError,
    Fields,
    accepted,
    invalid_field,
    invalid_state,
    not_found,
    offer_gone,
    ok,
    page,
)
from sandbox.vendors.duffel_offers import Offer, change_price, find_offer, require_alive, sell_out
from sandbox.vendors.duffel_orders import (
    OrderDraft,
    OrderRecord,
    PaymentRecord,
    accept,
    as_of_now,
    find_order,
    is_booked,
    keep,
    make_order,
    order_document,
    pay,
    payment_document,
    total_minor,
)
from sandbox.world import JsonObject, World

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE: Final = re.compile(r"\+[1-9]\d{1,14}")
_PASSENGER_FIELDS: Final = (
    "id",
    "title",
    "given_name",
    "family_name",
    "gender",
    "born_on",
    "email",
    "phone_number",
    "infant_passenger_id",
    "loyalty_programme_accounts",
    "identity_documents",
    "user_id",
)


def create_order(call: Call) -> Response:
    """POST /air/orders: buys or holds one offer. One order per offer request, whatever became of it."""
    world, fields = call.world, Fields(call.data)
    fields.only("type", "selected_offers", "passengers", "payments", "services", "users", "metadata")
    order_type = fields.choice("type", ("instant", "hold"))
    offer = _selected_offer(world, fields)
    passengers = _passengers(fields, offer)
    metadata = fields.metadata()
    if is_booked(world, offer.offer_id):
        message = "An order was already created from this offer request."
        raise invalid_state("offer_request_already_booked", message)
    if call.faulty("sold_out"):
        sell_out(world, offer)
        raise offer_gone()
    require_alive(world, offer)
    if call.fault is not None and call.faulty("price_changed"):
        change_price(world, offer, call.fault.percent)
        raise _price_changed()
    if order_type == "hold":
        _check_hold(fields, offer)
    else:
        _check_payments(fields, offer)
    if call.fault is not None and call.faulty("decline"):
        raise invalid_state(call.fault.code or "insufficient_balance", "The payment could not be taken.")
    draft: OrderDraft = {
        "type": "hold" if order_type == "hold" else "instant",
        "offer_id": offer.offer_id,
        "passengers": passengers,
        "metadata": metadata,
        "base_minor": offer.base_minor,
        "tax_minor": offer.tax_minor,
    }
    if call.fault is not None and call.faulty("accept_later"):
        accept(world, call.fault.delay_s, fails=call.fault.fail, draft=draft)
        return accepted()
    return ok(order_document(world, make_order(world, draft)), 201)


def get_order(call: Call) -> Response:
    """GET /air/orders/{id}"""
    order = find_order(call.world, call.params["id"])
    if order is None:
        raise not_found("order")
    return ok(order_document(call.world, order))


def list_orders(call: Call) -> Response:
    """GET /air/orders: newest first. There is no filter on metadata, as in reality."""
    orders = _filtered(call)
    sort = call.argument("sort")
    if sort is not None:
        if sort.lstrip("-") != "payment_required_by":
            raise DuffelError(400, "invalid_request_error", "invalid_sort", "Unknown sort.")
        held = (order for order in orders if order["status"] == "held")
        orders = iter(sorted(held, key=lambda order: order["held_until"] or "", reverse=sort.startswith("-")))
    return page(
        call,
        cast("Iterator[JsonObject]", orders),
        lambda document: cast(str, document["id"]),
        lambda document: order_document(call.world, cast(OrderRecord, document)),
    )


def create_payment(call: Call) -> Response:
    """POST /air/payments: pays a held order in full."""
    world, fields = call.world, Fields(call.data).only("order_id", "payment")
    order = find_order(world, fields.text("order_id"))
    if order is None:
        raise DuffelError(422, "validation_error", "linked_record_not_found", "The order is unknown.", "/order_id")
    payment = fields.child("payment").only("type", "amount", "currency", "three_d_secure_session_id")
    payment_type = payment.choice("type", ("balance", "arc_bsp_cash", "card"))
    amount_minor = payment.amount_minor("amount")
    _require_payable(order)
    if call.fault is not None and call.faulty("price_changed"):
        factor = 1 + call.fault.percent / 100
        order["base_minor"] = round(order["base_minor"] * factor)
        order["tax_minor"] = round(order["tax_minor"] * factor)
        keep(world, order)
    if amount_minor != total_minor(order):
        raise _price_changed()
    if payment.optional_text("currency") not in (None, CURRENCY):
        raise invalid_field("/payment/currency", f"The order is in {CURRENCY}.")
    if call.fault is not None and call.faulty("decline"):
        raise invalid_state(call.fault.code or "insufficient_balance", "The payment could not be taken.")
    if call.fault is not None and call.faulty("accept_later"):
        accept(world, call.fault.delay_s, fails=call.fault.fail, order_id=order["id"], payment_type=payment_type)
        return accepted()
    return ok(payment_document(pay(world, order, payment_type)), 201)


def list_payments(call: Call) -> Response:
    """GET /air/payments?order_id"""
    order_id = call.argument("order_id")
    if not order_id:
        raise DuffelError(422, "validation_error", "validation_required", "order_id is missing.", "/order_id")
    newest = cast("Iterator[PaymentRecord]", call.world.newest(VENDOR, "payment"))
    of_order = (payment for payment in newest if payment["order_id"] == order_id)
    return page(
        call,
        cast("Iterator[JsonObject]", of_order),
        lambda document: cast(str, document["id"]),
        lambda document: payment_document(cast(PaymentRecord, document)),
    )


# ---------------------------------------------------------------------------------------------------------- checks


def _price_changed() -> DuffelError:
    return invalid_state("price_changed", "The price has changed. Fetch it again before you pay.")


def _selected_offer(world: World, fields: Fields) -> Offer:
    selected = fields.document.get("selected_offers")
    chosen = cast("list[object]", selected) if isinstance(selected, list) else []
    if len(chosen) != 1 or not isinstance(chosen[0], str):
        raise invalid_field("/selected_offers", "Select exactly one offer.", "validation_required")
    offer = find_offer(world, chosen[0])
    if offer is None:
        message = "The selected offer is unknown."
        raise DuffelError(422, "validation_error", "linked_record_not_found", message, "/selected_offers/0")
    return offer


def _check_hold(fields: Fields, offer: Offer) -> None:
    if not offer.holdable:
        message = "This offer requires instant payment and cannot be held."
        raise DuffelError(422, "invalid_request_error", "invalid_order_create_type", message)
    for name in ("payments", "services"):
        if name in fields.document:
            raise invalid_field(f"/{name}", f"A hold carries no {name}.", "validation_invalid")


def _check_payments(fields: Fields, offer: Offer) -> None:
    paid_minor = 0
    for payment in fields.children("payments"):
        payment.only("type", "amount", "currency", "three_d_secure_session_id")
        payment.choice("type", ("balance", "arc_bsp_cash", "card"))
        if payment.text("currency") != CURRENCY:
            raise invalid_field(f"{payment.pointer}/currency", f"The offer is in {CURRENCY}.")
        paid_minor += payment.amount_minor("amount")
    if fields.document.get("services"):
        raise invalid_field("/services", "The offer has no services.", "validation_invalid")
    if paid_minor == offer.total_minor:
        return
    if paid_minor == offer.listed_minor:
        raise _price_changed()
    message = "The payments do not add up to the offer's total."
    raise invalid_state("payment_amount_does_not_match_order_amount", message)


def _passengers(fields: Fields, offer: Offer) -> list[JsonObject]:
    kinds = {passenger["id"]: passenger["type"] for passenger in offer.request["passengers"]}
    given = fields.children("passengers")
    passengers = [_passenger(each, kinds) for each in given]
    if sorted(cast(str, passenger["id"]) for passenger in passengers) != sorted(kinds):
        message = "The passengers must be exactly those of the offer."
        raise invalid_field("/passengers", message, "validation_invalid")
    on_laps = sorted(cast(str, each["infant_passenger_id"]) for each in passengers if each["infant_passenger_id"])
    if on_laps != sorted(key for key, kind in kinds.items() if kind == "infant_without_seat"):
        message = "Each infant must travel on the lap of one adult (infant_passenger_id)."
        raise invalid_field("/passengers", message, "validation_invalid")
    return passengers


def _passenger(fields: Fields, kinds: dict[str, str]) -> JsonObject:
    fields.only(*_PASSENGER_FIELDS)
    passenger_id = fields.text("id")
    if passenger_id not in kinds:
        message = "The offer has no such passenger."
        raise invalid_field(f"{fields.pointer}/id", message, "linked_record_not_found")
    born_on = fields.text("born_on", _DATE)
    try:
        date.fromisoformat(born_on)
    except ValueError as error:
        raise invalid_field(f"{fields.pointer}/born_on", "Not a date.") from error
    return {
        "id": passenger_id,
        "type": kinds[passenger_id],
        "title": fields.choice("title", ("mr", "ms", "mrs", "miss", "dr")),
        "given_name": fields.text("given_name"),
        "family_name": fields.text("family_name"),
        "gender": fields.choice("gender", ("m", "f")),
        "born_on": born_on,
        "email": fields.text("email", _EMAIL),
        "phone_number": fields.text("phone_number", _PHONE),
        "infant_passenger_id": fields.optional_text("infant_passenger_id"),
        "loyalty_programme_accounts": fields.document.get("loyalty_programme_accounts") or [],
    }


def _require_payable(order: OrderRecord) -> None:
    if order["type"] == "instant":
        raise invalid_state("order_type_not_eligible_for_payment", "Only an order on hold can be paid.")
    if order["status"] == "cancelled":
        raise invalid_state("already_cancelled", "The order has been cancelled.")
    if order["status"] == "expired":
        raise invalid_state("past_payment_required_by_date", "The hold has expired.")
    if order["status"] == "confirmed":
        raise invalid_state("already_paid", "The order has been paid.")


def _filtered(call: Call) -> Iterator[OrderRecord]:
    """Newest first, by the filters given."""
    names = [value.casefold() for key, value in call.query if key in ("passenger_name[]", "passenger_name")]
    reference, offer_id = call.argument("booking_reference"), call.argument("offer_id")
    awaiting = call.argument("awaiting_payment")
    for document in call.world.newest(VENDOR, "order"):
        order = cast(OrderRecord, document)
        if reference is not None and order["booking_reference"] != reference:
            continue
        if offer_id is not None and order["offer_id"] != offer_id:
            continue
        if names and not _has_name(order, names):
            continue
        # An expired hold is rewritten under its old id, which does not disturb the iteration.
        order = as_of_now(call.world, order)
        if awaiting is None or (order["status"] == "held") == (awaiting == "true"):
            yield order


def _has_name(order: OrderRecord, names: list[str]) -> bool:
    people = [f"{each['given_name']} {each['family_name']}".casefold() for each in order["passengers"]]
    return any(name in person for name in names for person in people)
