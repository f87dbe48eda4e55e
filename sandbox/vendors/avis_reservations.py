"""Avis Budget reservations: quoted, made, viewed, cancelled. Nothing is idempotent: who asks twice rents two cars.

A car "on request" is reserved when its desk has said yes, some time after the answer; until then it has no effect.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal, TypedDict, cast

from starlette.responses import Response

from sandbox.content import CURRENCY
from sandbox.vendors.avis_rates import (
    PAY_LATER,
    Rate,
    change_price,
    check_rate_code,
    checked_rental,
    find_rate,
    places_document,
    priced_document,
    rate_gone,
    sell_out,
    vehicle_document,
)
from sandbox.vendors.avis_requests import CancelRequest, PaymentPreference, RateRequest, ReservationRequest
from sandbox.vendors.avis_wire import VENDOR, AvisError, sold_out, success
from sandbox.vendors.calls import Call, json_response, number
from sandbox.world import JsonObject, World

_DESK_ANSWERS_AFTER_S: Final = 2.0
_ON_REQUEST: Final = {"pending": "Pending", "confirmed": "Confirmed", "denied": "Denied"}


class QuoteRecord(TypedDict):
    total_minor: int
    rate_code: str
    age: float | None
    issued: float


class ReservationRecord(TypedDict):
    number: str
    brand: str
    last_name: str
    state: Literal["pending", "confirmed", "denied", "cancelled", "withdrawn"]
    """Withdrawn: cancelled before the desk had said yes."""
    answer_due: float | None
    denied_then: bool
    metadata: JsonObject
    rate_code: str
    total_minor: int
    refunded_minor: int
    created_at: str
    document: JsonObject
    """`reservation` as a view shows it, without the desk's word."""


def quote(call: Call) -> Response:
    """POST /cars/catalog/v2/vehicles/rates: the price as of now, kept under an id."""
    world, asked = call.world, call.parsed(RateRequest)
    rate_code = asked.rate_totals.rate.rate_code
    age = asked.customer.contact.age if asked.customer.contact else None
    rate = _priced_now(call, asked, age)
    if repriced := call.fault_of("price_changed"):
        rate = change_price(world, rate, repriced.percent)
    quote_id = world.new_id("abgq-")
    issued = world.now().timestamp()
    kept = QuoteRecord(total_minor=rate.total_minor(rate_code), rate_code=rate_code, age=age, issued=issued)
    world.put(VENDOR, "quote", quote_id, cast(JsonObject, kept))
    return json_response(
        {
            **success("The vehicle rate was successfully retrieved.", asked.transaction.transaction_id),
            "product": asked.product.model_dump(exclude_none=True),
            "reservation": {
                **places_document(rate.rental, rate_code),
                "rate_totals": priced_document(rate, rate_code, quote_id),
            },
        }
    )


def create(call: Call) -> Response:
    """POST /cars/reservation/v2"""
    world, asked = call.world, call.parsed(ReservationRequest)
    kept = _find_quote(world, asked)
    rate = _priced_now(call, asked, kept["age"] if kept else asked.customer.contact.age)
    if repriced := call.fault_of("price_changed"):
        rate = change_price(world, rate, repriced.percent)
    rate_code = asked.rate_totals.rate.rate_code
    if kept is not None and kept["total_minor"] != rate.total_minor(rate_code):
        raise rate_gone()
    if declined := call.fault_of("decline"):
        details = "The number either doesn't match the card type or is the wrong length."
        raise AvisError(400, declined.code or "14220", "Payment details are invalid.", details)
    _check_payment(asked, rate.total_minor(rate_code))
    record = _new_record(world, asked, rate)
    later = call.fault_of("accept_later")
    if rate.on_request or later:
        record["answer_due"] = world.now().timestamp() + (later.delay_s if later else _DESK_ANSWERS_AFTER_S)
        record["denied_then"] = later is not None and later.fail
        _save(world, record)
        _answer_later(world, record)
    else:
        _confirm(world, record)
    details = "The reservation was  successfully created."
    return json_response(_shown(record, details, asked.transaction.transaction_id, created=True), 201)


def view(call: Call) -> Response:
    """GET /cars/reservation/v2"""
    brand, number_asked = call.required("brand"), call.required("confirmation_number")
    record = _find(call.world, brand, number_asked, call.required("last_name"))
    details = "The reservation was successfully retrieved."
    return json_response(_shown(record, details, call.argument("transaction_id")))


def cancel(call: Call) -> Response:
    """PUT /cars/reservation/v2: at once, and without a word on what it costs."""
    world, asked = call.world, call.parsed(CancelRequest)
    number_asked = asked.reservation.confirmation.number
    record = _find(world, asked.product.brand, number_asked, asked.customer.contact.last_name)
    had_effect = record["state"] == "confirmed"
    record["state"] = "cancelled" if had_effect else "withdrawn"
    if had_effect:
        record["refunded_minor"] = record["total_minor"] if record["rate_code"] == PAY_LATER else 0
        _effect(world, "car.cancelled", record, record["refunded_minor"])
    _save(world, record)
    details = "The reservation was successfully cancelled."
    parts = success(details, asked.transaction.transaction_id)
    return json_response({**parts, "product": {"brand": record["brand"]}})


def resume(world: World) -> None:
    """Ask the desks again that had not answered when the process ended."""
    for document in world.all(VENDOR, "reservation"):
        record = cast(ReservationRecord, cast(object, document))
        if record["state"] == "pending":
            _answer_later(world, record)


def books(world: World) -> JsonObject:
    """Every reservation that ever took effect. What is refunded is what is no longer owed."""
    reservations: list[JsonObject] = []
    for document in world.all(VENDOR, "reservation"):
        record = cast(ReservationRecord, cast(object, document))
        if record["state"] in ("confirmed", "cancelled"):
            reservations.append(
                {
                    "vendor": VENDOR,
                    "kind": "car",
                    "object_id": record["number"],
                    "metadata": record["metadata"],
                    "status": record["state"],
                    "price_minor": record["total_minor"],
                    "currency": CURRENCY,
                    "refunded_minor": record["refunded_minor"],
                    "created_at": record["created_at"],
                    "held_until": None,
                }
            )
    return {"reservations": reservations, "payments": []}


def _priced_now(call: Call, asked: RateRequest | ReservationRequest, age: float | None) -> Rate:
    """The rate asked for, alive."""
    world, wanted = call.world, asked.reservation
    check_rate_code(asked.rate_totals.rate.rate_code)
    rental = checked_rental(
        world, wanted.pickup_location, wanted.dropoff_location, wanted.pickup_date, wanted.dropoff_date
    )
    rate = find_rate(world, asked.product.brand, rental, age, wanted.vehicle_sipp_code)
    if call.fault_of("sold_out"):
        sell_out(world, rate)
        raise sold_out()
    if rate.sold_out:
        raise sold_out()
    return rate


def _find_quote(world: World, asked: ReservationRequest) -> QuoteRecord | None:
    """The quote that the booking names; raises 14528 for one that is unknown, of another rate code, or too old."""
    qualifiers = asked.rate_totals.rate
    if qualifiers.quote_id is None:
        return None
    kept = cast("QuoteRecord | None", world.get(VENDOR, "quote", qualifiers.quote_id))
    if kept is None or kept["rate_code"] != qualifiers.rate_code:
        raise rate_gone()
    if world.now().timestamp() - kept["issued"] >= world.settings.offer_ttl_s:
        raise rate_gone()
    return kept


def _check_payment(asked: ReservationRequest, total_minor: int) -> None:
    """A voucher must be whole and worth what the rental costs; cards are not taken here."""
    payment = asked.payment_preference
    if payment.type in ("CustomerPaymentCard", "CentralBillingAccount"):
        details = "Valid Credit Card Details must be required"
        raise AvisError(400, "300102", "Credit Card details are mandatory.", details)
    if payment.type != "Voucher":
        return
    whole = payment.id and payment.fixed_value == "FixedValue" and payment.electronic_indicator
    if not whole or payment.amount is None or payment.currency is None:
        raise AvisError(
            400,
            "300111",
            "Prepay information details are required for the Prepay type.",
            "Prepay Information must be required.",
        )
    if payment.currency != CURRENCY or payment.amount != Decimal(total_minor) / 100:
        details = f"The voucher must be worth {number(total_minor)} {CURRENCY}."
        raise AvisError(400, "14220", "Payment details are invalid.", details)


def _payment_document(payment: PaymentPreference) -> JsonObject:
    document: JsonObject = payment.model_dump(exclude_none=True)
    if payment.amount is not None:
        document["amount"] = float(payment.amount)
    return document


def _new_number(world: World, country: str) -> str:
    """Eight digits, a country and a digit; not even a reset brings one back."""
    while True:
        dice = world.random(VENDOR, "confirmation", world.new_id("abgr-"))
        drawn = f"{dice.randrange(10_000_000, 100_000_000)}{country}{dice.randrange(1, 10)}"
        if world.get(VENDOR, "reservation", drawn) is None:
            return drawn


def _new_record(world: World, asked: ReservationRequest, rate: Rate) -> ReservationRecord:
    confirmation = _new_number(world, rate.rental.pickup.country)
    qualifiers, wanted = asked.rate_totals.rate, asked.reservation
    remark = wanted.remark or ""
    metadata: JsonObject = {"reference": remark or asked.transaction.transaction_id or ""}
    if asked.payment_preference.id is not None:
        metadata["voucher"] = asked.payment_preference.id
    document: JsonObject = {
        **places_document(rate.rental, qualifiers.rate_code),
        "confirmation": {
            "number": confirmation,
            "pickup_date": wanted.pickup_date.isoformat(),
            "dropoff_date": wanted.dropoff_date.isoformat(),
        },
        "rate_totals": priced_document(rate, qualifiers.rate_code, qualifiers.quote_id),
        "vehicle": vehicle_document(rate),
        "insurance": [],
        "extras": [],
        "customer": asked.customer.model_dump(mode="json", exclude_none=True),
        "payment_preference": _payment_document(asked.payment_preference),
        "remark": remark,
    }
    return ReservationRecord(
        number=confirmation,
        brand=asked.product.brand,
        last_name=asked.customer.contact.last_name,
        state="pending",
        answer_due=None,
        denied_then=False,
        metadata=metadata,
        rate_code=qualifiers.rate_code,
        total_minor=rate.total_minor(qualifiers.rate_code),
        refunded_minor=0,
        created_at=world.now().isoformat(),
        document=document,
    )


def _answer_later(world: World, record: ReservationRecord) -> None:
    async def answer() -> None:
        if record["state"] != "pending":
            return
        if record["denied_then"]:
            record["state"] = "denied"
            _save(world, record)
        else:
            _confirm(world, record)

    world.later(max(0.0, (record["answer_due"] or 0) - world.now().timestamp()), answer)


def _confirm(world: World, record: ReservationRecord) -> None:
    record["state"] = "confirmed"
    _save(world, record)
    _effect(world, "car.booked", record, record["total_minor"])


def _save(world: World, record: ReservationRecord) -> None:
    world.put(VENDOR, "reservation", record["number"], cast(JsonObject, record))


def _effect(world: World, effect: str, record: ReservationRecord, amount_minor: int) -> None:
    world.effect(
        VENDOR,
        effect,
        object_id=record["number"],
        metadata=record["metadata"],
        amount_minor=amount_minor,
        currency=CURRENCY,
        details={"brand": record["brand"]},
    )


def _find(world: World, brand: str, confirmation: str, last_name: str) -> ReservationRecord:
    """The reservation of this number and name; raises 150004 where they do not belong together, 14036 if it is gone."""
    record = cast("ReservationRecord | None", world.get(VENDOR, "reservation", confirmation))
    if record is None or record["brand"] != brand or record["last_name"].casefold() != last_name.casefold():
        reason = "last_name and confirmation_number combination is invalid."
        raise AvisError(400, "150004", reason, "Last name entered does not match with the confirmation number")
    if record["state"] in ("cancelled", "withdrawn"):
        details = "Reservation is already cancelled for the given confirmation_number."
        raise AvisError(404, "14036", "Reservation already cancelled", details)
    return record


def _shown(record: ReservationRecord, details: str, transaction_id: str | None, *, created: bool = False) -> JsonObject:
    document = record["document"]
    if record["answer_due"] is not None:
        vehicle = cast(JsonObject, document["vehicle"])
        status = {"vehicle_status": "OnRequest", "vehicle_onrequest_status": _ON_REQUEST[record["state"]]}
        category = {**cast(JsonObject, vehicle["category"]), **status}
        document = {**document, "vehicle": {**vehicle, "category": category}}
    parts = success(details, transaction_id, created=created)
    return {**parts, "product": {"brand": record["brand"]}, "reservation": document}
