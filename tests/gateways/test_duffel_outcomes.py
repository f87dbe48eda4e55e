"""Duffel flights and cars: status x operation -> outcome."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from gateways import duffel as duffel_module
from schema.errors import OutcomeUnclear, VendorContractBroken, VendorUnavailable
from schema.money import Money
from schema.outcomes import Confirmed, Rejected, Unknown
from tests.gateways.documents import (
    CAR_STATE,
    FLIGHT_STATE,
    HELD_STATE,
    PAID,
    cancellation,
    car_booking,
    car_rate,
    duffel,
    duffel_error,
    flight_offer,
    order,
)
from tests.gateways.support import (
    LOST,
    NOT_CONNECTED,
    NOW,
    PRICE,
    Vendor,
    cars,
    ending,
    flights,
    look_up,
    reservation,
    reservation_request,
    search_request,
    travellers,
)

HTML = httpx.Response(502, text="<html>Bad Gateway</html>")
CREATES = [
    (duffel(order(), 201), "confirmed"),
    (duffel(order(), 200), "confirmed"),
    (duffel({"message": "later"}, 202), "unknown"),
    (duffel({}, 201), "unknown"),
    (httpx.Response(201, text="<html>"), "unknown"),
    (httpx.Response(201, content=b'{"data": {"id"'), "unknown"),
    (httpx.Response(302), "unknown"),
    (duffel_error(401, "invalid_token"), "CredentialsRefused"),
    (duffel_error(400, "anything"), "vendor_rejected"),
    (httpx.Response(408), "unknown"),
    (duffel_error(422, "offer_no_longer_available"), "sold_out"),
    (duffel_error(422, "offer_expired"), "offer_expired"),
    (duffel_error(422, "price_changed"), "price_changed"),
    (duffel_error(422, "payment_amount_does_not_match_order_amount"), "price_changed"),
    (duffel_error(422, "offer_request_already_booked"), "unknown"),
    (duffel_error(422, "something_new"), "vendor_rejected"),
    (duffel_error(429, "rate_limit_exceeded"), "RateLimited"),
    (duffel_error(500, "internal_server_error"), "unknown"),
    (duffel_error(502, "order_not_created"), "VendorUnavailable"),
    (duffel_error(502, "airline_unknown"), "unknown"),
    (HTML, "unknown"),
    (duffel_error(503, "service_unavailable"), "VendorUnavailable"),
    (httpx.Response(503, text="<html>"), "unknown"),
    (duffel_error(504, "gateway_timeout"), "unknown"),
    (LOST, "unknown"),
    (NOT_CONNECTED, "VendorUnavailable"),
]


@pytest.mark.parametrize("operation", ["hold", "book"])
@pytest.mark.parametrize(("answer", "expected"), CREATES)
async def test_creating_an_order(operation, answer, expected):
    supplier = flights(Vendor(answer))
    assert await ending(getattr(supplier, operation)(reservation_request(FLIGHT_STATE))) == expected


async def test_a_hold_tells_what_is_needed_later():
    outcome, state = await flights(Vendor(duffel(order(), 201))).hold(reservation_request(FLIGHT_STATE))
    assert outcome == Confirmed(
        provider_reference="ord_1", price=PRICE, expires_at=NOW + timedelta(hours=1), record_locator="ABC123"
    )
    assert state == HELD_STATE


async def test_the_state_survives_a_lost_answer():
    outcome, state = await flights(Vendor(LOST)).hold(reservation_request(FLIGHT_STATE))
    assert isinstance(outcome, Unknown)
    assert state == FLIGHT_STATE


PAYMENTS = [
    # order as it is, answer to the payment, order afterwards, expected
    (order(), duffel({"id": "pay_1"}, 201), None, "confirmed"),
    (order(), duffel({}, 202), None, "unknown"),
    (order(), duffel_error(500, "internal_server_error"), None, "unknown"),
    (order(), duffel_error(503, "service_unavailable"), None, "VendorUnavailable"),
    (order(), duffel_error(504, "gateway_timeout"), None, "unknown"),
    (order(), LOST, None, "unknown"),
    (order(), NOT_CONNECTED, None, "VendorUnavailable"),
    (order(), duffel({}, 201), None, "unknown"),
    (order(), duffel_error(422, "already_paid"), order(payment_status=PAID), "confirmed"),
    (order(), duffel_error(422, "past_due"), order(cancelled_at=NOW.isoformat()), "hold_expired"),
    (order(), duffel_error(422, "price_changed"), order(total_amount="150.00"), "price_changed"),
    (order(), duffel_error(422, "order_type_not_eligible_for_payment"), order(), "vendor_rejected"),
    (order(payment_status=PAID), None, None, "confirmed"),
    (order(cancelled_at=NOW.isoformat()), None, None, "hold_expired"),
    (order(total_amount="150.00"), None, None, "price_changed"),
]


@pytest.mark.parametrize(("before", "payment", "after", "expected"), PAYMENTS)
async def test_confirming_a_held_order(before, payment, after, expected):
    answers = [duffel(before), *([payment] if payment else []), *([duffel(after)] if after else [])]
    vendor = Vendor(*answers)
    assert await ending(flights(vendor).confirm(reservation_request(HELD_STATE))) == expected
    assert vendor.answers == []


@pytest.mark.parametrize("answer", [LOST, duffel_error(500, "x"), HTML, duffel({}), NOT_CONNECTED])
async def test_what_fails_before_the_payment_had_no_effect(answer):
    vendor = Vendor(answer)
    assert await ending(flights(vendor).confirm(reservation_request(HELD_STATE))) == "VendorUnavailable"
    assert vendor.asked() == ["GET /air/orders/ord_1"]


async def test_the_price_that_moved_is_told():
    outcome, _ = await flights(Vendor(duffel(order(total_amount="150.00")))).confirm(reservation_request(HELD_STATE))
    assert isinstance(outcome, Rejected)
    assert outcome.price == Money(amount_minor=15000, currency="EUR")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "held"),
        ({"payment_status": PAID}, "confirmed"),
        ({"payment_status": {"awaiting_payment": False, "paid_at": None}}, "confirmed"),
        (
            {"payment_status": {"awaiting_payment": False, "paid_at": None, "payment_required_by": NOW.isoformat()}},
            "cancelled",
        ),
        ({"cancelled_at": NOW.isoformat()}, "cancelled"),
    ],
)
async def test_what_an_order_is(changes, status):
    found = await flights(Vendor(duffel(order(**changes)))).find(look_up(HELD_STATE, "ord_1"))
    assert found is not None
    assert found.status == status


async def test_an_order_that_is_not_there_is_not_found():
    assert await flights(Vendor(duffel_error(404, "not_found"))).find(look_up(HELD_STATE, "ord_1")) is None


async def test_found_by_our_reference_on_a_later_page():
    others = [order(id=f"ord_{number}", metadata={"reference": "other"}) for number in (2, 3)]
    vendor = Vendor(
        duffel(others, meta={"limit": 200, "after": "next"}),
        duffel([order(metadata=None), order()], meta={"limit": 200, "after": None}),
    )
    found = await flights(vendor).find(look_up(FLIGHT_STATE))
    assert found is not None
    assert found.provider_reference == "ord_1"
    assert vendor.requests[0].url.params["passenger_name[]"] == travellers()[0].family_name
    assert vendor.requests[1].url.params["after"] == "next"


async def test_older_orders_end_the_search():
    old = order(metadata=None, created_at=(NOW - timedelta(days=1)).isoformat())
    vendor = Vendor(duffel([old], meta={"limit": 200, "after": "next"}))
    assert await flights(vendor).find(look_up(FLIGHT_STATE)) is None


async def test_one_old_order_among_new_ones_does_not_end_it():
    old = order(metadata=None, created_at=(NOW - timedelta(days=1)).isoformat())
    vendor = Vendor(
        duffel([old, order(metadata=None)], meta={"limit": 200, "after": "next"}),
        duffel([order()], meta={"limit": 200, "after": None}),
    )
    assert await flights(vendor).find(look_up(FLIGHT_STATE)) is not None


async def test_too_many_orders_prove_nothing(monkeypatch):
    monkeypatch.setattr(duffel_module, "MAX_PAGES", 2)
    page = duffel([order(metadata=None)], meta={"limit": 200, "after": "next"})
    with pytest.raises(OutcomeUnclear):
        await flights(Vendor(page, page)).find(look_up(FLIGHT_STATE))


READ_ERRORS = [
    (LOST, OutcomeUnclear),
    (NOT_CONNECTED, VendorUnavailable),
    (duffel_error(429, "rate_limit_exceeded"), VendorUnavailable),
    (duffel_error(500, "internal_server_error"), VendorUnavailable),
    (HTML, VendorUnavailable),
    (httpx.Response(200, text="<html>"), VendorContractBroken),
    (httpx.Response(200, json={}), VendorContractBroken),
    (duffel_error(400, "x"), VendorContractBroken),
]


@pytest.mark.parametrize(("answer", "error"), READ_ERRORS)
@pytest.mark.parametrize("operation", ["find", "cancellation_fee", "cancel", "price", "search"])
async def test_reads_and_undos_raise_what_may_be_tried_again(operation, answer, error):
    supplier = flights(Vendor(answer))
    attempt = {
        "find": lambda: supplier.find(look_up(HELD_STATE, "ord_1")),
        "cancellation_fee": lambda: supplier.cancellation_fee(reservation(HELD_STATE), "trip-1"),
        "cancel": lambda: supplier.cancel(reservation(HELD_STATE), "trip-1"),
        "price": lambda: supplier.price(FLIGHT_STATE, "trip-1"),
        "search": lambda: supplier.search(search_request(), "trip-1"),
    }[operation]
    with pytest.raises(error):
        await attempt()


CANCELS = [
    # order, answers after it, fee in minor units or error
    (order(payment_status=PAID), [duffel(cancellation(), 201), duffel(cancellation())], 2340),
    (order(), [duffel(cancellation(refund_amount="0.00"), 201), duffel(cancellation())], 0),
    (order(payment_status=PAID), [duffel(cancellation(), 201), duffel(cancellation(refund_amount=None))], 12340),
    (order(payment_status=PAID), [duffel(cancellation(), 201), duffel(cancellation(refund_currency="USD"))], 12340),
    (order(payment_status=PAID), [duffel(cancellation(), 201), duffel(cancellation(refund_amount="200.00"))], 0),
    (order(payment_status=PAID), [duffel(cancellation(), 201), duffel({}, 202)], OutcomeUnclear),
    (order(payment_status=PAID), [duffel(cancellation(), 201), LOST], OutcomeUnclear),
    (order(payment_status=PAID), [duffel(cancellation(), 201), duffel_error(500, "x")], OutcomeUnclear),
    (order(payment_status=PAID), [duffel_error(422, "not_cancellable")], VendorContractBroken),
    (order(payment_status=PAID, cancelled_at=NOW.isoformat(), cancellation=cancellation()), [], 2340),
    (
        order(payment_status=PAID, cancelled_at=NOW.isoformat()),
        [duffel([cancellation(confirmed_at=NOW.isoformat())])],
        2340,
    ),
    (order(payment_status=PAID, cancelled_at=NOW.isoformat()), [duffel([cancellation()])], 12340),
    (order(cancelled_at=NOW.isoformat()), [], 0),
]


@pytest.mark.parametrize(("before", "answers", "expected"), CANCELS)
async def test_cancelling(before, answers, expected):
    attempt = flights(Vendor(duffel(before), *answers)).cancel(reservation(HELD_STATE), "trip-1")
    if isinstance(expected, int):
        assert (await attempt).fee == Money(amount_minor=expected, currency="EUR")
    else:
        with pytest.raises(expected):
            await attempt


async def test_a_fee_is_quoted_without_cancelling():
    vendor = Vendor(duffel(order(payment_status=PAID)), duffel(cancellation(), 201))
    fee = await flights(vendor).cancellation_fee(reservation(HELD_STATE), "trip-1")
    assert fee.fee.amount_minor == 2340
    assert vendor.asked() == ["GET /air/orders/ord_1", "POST /air/order_cancellations"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("offer_no_longer_available", "sold_out"),
        ("offer_expired", "offer_expired"),
        ("offer_request_already_booked", "offer_request_already_booked"),
        ("new", "new"),
    ],
)
async def test_a_dead_offer_has_no_price(code, reason):
    check = await flights(Vendor(duffel_error(422, code))).price(FLIGHT_STATE, "trip-1")
    assert (check.price, check.reason) == (None, reason)


async def test_offers_are_sorted_and_unusable_ones_left_out():
    offers = [
        flight_offer(id="off_b", total_amount="200.00"),
        {"id": "off_broken"},
        flight_offer(id="off_usd", total_amount="1.00", total_currency="USD"),
        flight_offer(id="off_a", new_field={"any": 1}, payment_requirements={"requires_instant_payment": True}),
        flight_offer(id="off_fraction", total_amount="1.001"),
    ]
    found = await flights(Vendor(duffel({"offers": offers}, 201))).search(search_request(), "trip-1")
    assert [item.supplier_state["offer_id"] for item in found] == ["off_a", "off_b", "off_usd"]
    assert [item.offer.holdable for item in found] == [False, True, True]


async def test_a_search_without_one_usable_offer_is_broken():
    with pytest.raises(VendorContractBroken):
        await flights(Vendor(duffel({"offers": [{"id": "off_1"}]}, 201))).search(search_request(), "trip-1")


# -------------------------------------------------------------------------------------------------------------- cars

CAR_CREATES = [
    (duffel(car_booking()), "confirmed"),
    (duffel(car_booking(), 201), "confirmed"),
    (duffel({}, 202), "unknown"),
    (duffel({}), "unknown"),
    (duffel_error(422, "offer_no_longer_available"), "sold_out"),
    (duffel_error(422, "price_changed"), "price_changed"),
    (duffel_error(422, "new"), "vendor_rejected"),
    (duffel_error(422, "new", "invalid_state_error"), "sold_out"),
    (duffel_error(429, "rate_limit_exceeded"), "RateLimited"),
    (duffel_error(500, "internal_server_error"), "unknown"),
    (duffel_error(503, "service_unavailable"), "unknown"),
    (duffel_error(504, "x"), "unknown"),
    (HTML, "unknown"),
    (LOST, "unknown"),
    (NOT_CONNECTED, "VendorUnavailable"),
]


@pytest.mark.parametrize(("answer", "expected"), CAR_CREATES)
async def test_booking_a_car(answer, expected):
    assert await ending(cars(Vendor(answer)).book(reservation_request(CAR_STATE))) == expected


@pytest.mark.parametrize(
    ("quote", "expected"),
    [
        (duffel({**car_rate(), "id": "quo_1"}), "confirmed"),
        (duffel({**car_rate(total_amount="150.00"), "id": "quo_1"}), "price_changed"),
        (duffel_error(422, "rate_gone"), "sold_out"),
        (duffel_error(500, "x"), "VendorUnavailable"),
        (LOST, "VendorUnavailable"),
    ],
)
async def test_a_car_that_was_never_quoted_is_quoted_first(quote, expected):
    state = {"rate_id": "rat_1", "payment_type": "prepaid"}
    vendor = Vendor(quote, duffel(car_booking()))
    assert await ending(cars(vendor).book(reservation_request(state))) == expected
    assert len(vendor.requests) == (2 if expected == "confirmed" else 1)


async def test_cars_can_neither_be_held_nor_found_by_reference():
    supplier = cars(Vendor())
    with pytest.raises(NotImplementedError):
        await supplier.hold(reservation_request(CAR_STATE))
    with pytest.raises(NotImplementedError):
        await supplier.confirm(reservation_request(CAR_STATE))
    with pytest.raises(NotImplementedError):
        await supplier.find(look_up(CAR_STATE))


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (duffel(car_booking()), "confirmed"),
        (duffel(car_booking(status="cancelled")), "cancelled"),
        (duffel(car_booking(status="new_status")), "pending"),
        (duffel_error(404, "not_found"), None),
    ],
)
async def test_a_car_is_found_by_its_id(answer, status):
    found = await cars(Vendor(answer)).find(look_up(CAR_STATE, "cab_1"))
    assert (found.status if found else None) == status


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([duffel(car_booking(status="cancelled"))], 0),
        ([duffel_error(422, "already_cancelled"), duffel(car_booking(status="cancelled"))], 0),
        ([duffel_error(422, "too_late"), duffel(car_booking())], VendorContractBroken),
        ([duffel_error(500, "x")], OutcomeUnclear),
        ([duffel({}, 202)], OutcomeUnclear),
        ([LOST], OutcomeUnclear),
        ([NOT_CONNECTED], VendorUnavailable),
    ],
)
async def test_cancelling_a_car(answers, expected):
    attempt = cars(Vendor(*answers)).cancel(reservation({}, reference="cab_1"), "trip-1")
    if isinstance(expected, int):
        assert (await attempt).fee.amount_minor == expected
    else:
        with pytest.raises(expected):
            await attempt


async def test_cars_that_are_paid_at_the_counter_are_left_out() -> None:
    """Their price would be taken twice: with the trip, and at the counter."""
    rates = [car_rate(), car_rate(id="rat_2", payment_type="postpaid"), car_rate(id="rat_3", payment_type="guarantee")]
    found = await cars(Vendor(duffel({"rates": rates}))).search(search_request(), "trip-1")
    assert [item.supplier_state["rate_id"] for item in found] == ["rat_1"]


async def test_cars_that_are_too_small_are_left_out():
    rates = [car_rate(), car_rate(id="rat_2", car={"name": "Smart", "category": "mini", "max_passengers": 2})]
    found = await cars(Vendor(duffel({"rates": rates}))).search(search_request(travellers=3), "trip-1")
    assert [item.supplier_state["rate_id"] for item in found] == ["rat_1"]
    assert found[0].offer.seats == 3
