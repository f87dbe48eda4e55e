"""Every request a gateway sends is one the vendor's contract allows.

The vendor here only gives the answers that make a gateway send its next request; the contract judges what was sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from gateways.ports import PaymentProvider, Supplier
from tests.contracts import rapid_spec, spec, stripe_spec
from tests.gateways.documents import (
    CAR_STATE,
    CHECKED_STATE,
    FLIGHT_STATE,
    HELD_HOTEL_STATE,
    HELD_STATE,
    HOTEL_STATE,
    PAID,
    availability,
    cancellation,
    car_booking,
    car_rate,
    content,
    created_itinerary,
    duffel,
    flight_offer,
    intent,
    itinerary,
    ok,
    order,
    price_check,
    refund,
    stripe_error,
    stripe_list,
)
from tests.gateways.support import (
    NOW,
    PAYMENT_ID,
    Vendor,
    cars,
    flights,
    hotels,
    look_up,
    payment_request,
    payments,
    reservation,
    reservation_request,
    search_request,
)

pytestmark = pytest.mark.contract

Supplied = Callable[[Supplier], Awaitable[object]]
Paid = Callable[[PaymentProvider], Awaitable[object]]
PAID_ORDER = order(payment_status=PAID)
PAGE = {"limit": 200, "after": None}

DUFFEL: dict[str, tuple[Vendor, Supplied, int]] = {
    "search": (
        Vendor(duffel({"offers": [flight_offer()]}, 201)),
        lambda s: s.search(search_request(travellers=9, cabin="premium_economy"), "trip-1"),
        1,
    ),
    "search one way": (
        Vendor(duffel({"offers": [flight_offer()]}, 201)),
        lambda s: s.search(search_request(return_date=None, kinds=["flight"]), "trip-1"),
        1,
    ),
    "check": (Vendor(duffel([], meta=PAGE)), lambda s: s.check("trip-1"), 1),
    "price": (Vendor(duffel(flight_offer())), lambda s: s.price(FLIGHT_STATE, "trip-1"), 1),
    "hold": (Vendor(duffel(order(), 201)), lambda s: s.hold(reservation_request(FLIGHT_STATE)), 1),
    "hold for two": (
        Vendor(duffel(order(), 201)),
        lambda s: s.hold(reservation_request({**FLIGHT_STATE, "passenger_ids": ["pas_1", "pas_2"]}, count=2)),
        1,
    ),
    "book": (Vendor(duffel(PAID_ORDER, 201)), lambda s: s.book(reservation_request(FLIGHT_STATE)), 1),
    "confirm": (
        Vendor(duffel(order()), duffel({"id": "pay_1"}, 201)),
        lambda s: s.confirm(reservation_request(HELD_STATE)),
        2,
    ),
    "find by id": (Vendor(duffel(order())), lambda s: s.find(look_up(HELD_STATE, "ord_1")), 1),
    "find by reference": (
        Vendor(duffel([order(metadata=None)], meta={"limit": 200, "after": "next"}), duffel([order()], meta=PAGE)),
        lambda s: s.find(look_up(FLIGHT_STATE)),
        2,
    ),
    "cancellation fee": (
        Vendor(duffel(PAID_ORDER), duffel(cancellation(), 201)),
        lambda s: s.cancellation_fee(reservation(HELD_STATE), "trip-1"),
        2,
    ),
    "cancel": (
        Vendor(duffel(PAID_ORDER), duffel(cancellation(), 201), duffel(cancellation())),
        lambda s: s.cancel(reservation(HELD_STATE), "trip-1"),
        3,
    ),
    "cancelled before": (
        Vendor(duffel(order(payment_status=PAID, cancelled_at=NOW.isoformat())), duffel([], meta=PAGE)),
        lambda s: s.cancel(reservation(HELD_STATE), "trip-1"),
        2,
    ),
}

CARS: dict[str, tuple[Vendor, Supplied, int]] = {
    "search": (Vendor(duffel({"rates": [car_rate()]})), lambda s: s.search(search_request(), "trip-1"), 1),
    "check": (Vendor(duffel({"rates": []})), lambda s: s.check("trip-1"), 1),
    "price": (Vendor(duffel({**car_rate(), "id": "quo_1"})), lambda s: s.price(CAR_STATE, "trip-1"), 1),
    "book": (Vendor(duffel(car_booking())), lambda s: s.book(reservation_request(CAR_STATE)), 1),
    "book without a quote": (
        Vendor(duffel({**car_rate(), "id": "quo_1"}), duffel(car_booking())),
        lambda s: s.book(reservation_request({"rate_id": "rat_1"})),
        2,
    ),
    "find": (Vendor(duffel(car_booking())), lambda s: s.find(look_up(CAR_STATE, "cab_1")), 1),
    "cancel": (
        Vendor(duffel(car_booking(status="cancelled"))),
        lambda s: s.cancel(reservation({}, reference="cab_1"), "trip-1"),
        1,
    ),
}

RAPID: dict[str, tuple[Vendor, Supplied, int]] = {
    "search": (
        Vendor(ok([{"property_ids": ["1", "2"]}]), ok(availability()), ok(content())),
        lambda s: s.search(search_request(travellers=2), "trip-1"),
        3,
    ),
    "check": (Vendor(ok([])), lambda s: s.check("trip-1"), 1),
    "price": (Vendor(ok(price_check())), lambda s: s.price(HOTEL_STATE, "trip-1"), 1),
    "hold": (Vendor(ok(created_itinerary(hold=True), 201)), lambda s: s.hold(reservation_request(CHECKED_STATE)), 1),
    "book": (
        Vendor(ok(created_itinerary(hold=False), 201), ok(itinerary())),
        lambda s: s.book(reservation_request(CHECKED_STATE)),
        2,
    ),
    "book without a price check": (
        Vendor(ok(price_check()), ok(created_itinerary(hold=False), 201), ok(itinerary())),
        lambda s: s.book(reservation_request(HOTEL_STATE)),
        3,
    ),
    "confirm": (
        Vendor(ok(None, 204), ok(itinerary())),
        lambda s: s.confirm(reservation_request(HELD_HOTEL_STATE)),
        2,
    ),
    "find": (
        Vendor(ok({}, 404), ok([itinerary()])),
        lambda s: s.find(look_up(HELD_HOTEL_STATE, "99")),
        2,
    ),
    "cancellation fee": (
        Vendor(ok(itinerary())),
        lambda s: s.cancellation_fee(reservation(HELD_HOTEL_STATE), "trip-1"),
        1,
    ),
    "drop a hold": (
        Vendor(ok(itinerary(held=True)), ok(None, 204)),
        lambda s: s.cancel(reservation(HELD_HOTEL_STATE, "held", "99"), "trip-1"),
        2,
    ),
    "cancel": (
        Vendor(ok(itinerary()), ok(None, 204)),
        lambda s: s.cancel(reservation(HELD_HOTEL_STATE, "confirmed", "99"), "trip-1"),
        2,
    ),
}

UNEXPECTED = stripe_error(400, "invalid_request_error", "payment_intent_unexpected_state")
STRIPE: dict[str, tuple[Vendor, Paid, int]] = {
    "authorise": (Vendor(ok(intent())), lambda p: p.authorise(payment_request(description="Flight LHR-CDG")), 1),
    "authorise, no text": (Vendor(ok(intent())), lambda p: p.authorise(payment_request()), 1),
    "capture": (Vendor(ok(intent("succeeded"))), lambda p: p.capture(payment_request()), 1),
    "capture refused": (
        Vendor(UNEXPECTED, ok(intent("succeeded"))),
        lambda p: p.capture(payment_request()),
        2,
    ),
    "void": (Vendor(ok(intent("canceled"))), lambda p: p.void(payment_request()), 1),
    "refund": (Vendor(ok(refund())), lambda p: p.refund(payment_request()), 1),
    "get": (Vendor(ok(intent())), lambda p: p.get("pi_1", "trip-1"), 1),
    "get a refund": (Vendor(ok(refund())), lambda p: p.get_refund("re_1", "trip-1"), 1),
    "find": (
        Vendor(ok(stripe_list(intent(metadata={}), has_more=True)), ok(stripe_list(intent()))),
        lambda p: p.find(PAYMENT_ID, NOW, "trip-1"),
        2,
    ),
    "find a refund": (Vendor(ok(stripe_list(refund()))), lambda p: p.find_refund("pi_1", "key", "trip-1"), 1),
}


def cases(table):
    return [pytest.param(*case, id=name) for name, case in table.items()]


@pytest.mark.parametrize(("vendor", "operation", "requests"), cases(DUFFEL))
async def test_duffel_flights(vendor, operation, requests):
    await operation(flights(vendor))
    _judge_duffel(vendor, requests)


@pytest.mark.parametrize(("vendor", "operation", "requests"), cases(CARS))
async def test_duffel_cars(vendor, operation, requests):
    await operation(cars(vendor))
    _judge_duffel(vendor, requests)


@pytest.mark.parametrize(("vendor", "operation", "requests"), cases(RAPID))
async def test_expedia_rapid(vendor, operation, requests):
    judge = rapid_spec.require()
    await operation(hotels(vendor))
    assert len(vendor.requests) == requests
    for request in vendor.requests:
        judge.check_request(request, request.url.path)
        assert request.headers["accept-encoding"] == "gzip"
        # Without it a booking on the production host is real; elsewhere it would ask for canned answers.
        assert ("test" in request.headers) == request.url.path.startswith("/v3/itineraries")
        assert request.headers["authorization"].startswith("EAN apikey=key,signature=")
        assert request.headers["customer-session-id"] == request.headers["x-correlation-id"] == "trip-1"


@pytest.mark.parametrize(("vendor", "operation", "requests"), cases(STRIPE))
async def test_stripe(vendor, operation, requests):
    judge = stripe_spec.require()
    await operation(payments(vendor))
    assert len(vendor.requests) == requests
    for request in vendor.requests:
        form = request.content if request.method == "POST" else request.url.query
        judge.check_request(request.method, request.url.path, form)
        assert (request.method == "POST") == ("idempotency-key" in request.headers)


def _judge_duffel(vendor: Vendor, requests: int) -> None:
    assert len(vendor.requests) == requests
    for request in vendor.requests:
        path = request.url.path
        spec.require(spec.duffel_contract_of(path)).check_request(request, path)
        assert request.headers["authorization"] == "Bearer duffel_test_x"
        assert request.headers["x-correlation-id"] == "trip-1"
