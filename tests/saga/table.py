"""The table of cases: every place where a saga touches a vendor, times every fault that can happen there. Enumerated by loops,
never by hand, so that a new place or a new fault cannot be forgotten for some."""

from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any

STRIPE = "stripe"
DUFFEL = "duffel"
CARS = "duffel_cars"
RAPID = "expedia_rapid"
AMADEUS = "amadeus"
LITEAPI = "liteapi"
AVIS = "avis"
PAYPAL = "paypal"
CANNOT_BE_ASKED = {CARS: "car", AVIS: "car", AMADEUS: "flight"}
"""Suppliers without a look-up by our reference, and what they sell: an operator finds out."""

Route = dict[str, Any]
"""Which calls at a vendor a fault is for."""


@dataclass(frozen=True)
class Place:
    """A call of the saga: its gateway method, and its route at the vendor."""

    name: str
    vendor: str
    method: str
    route: Route
    scenario: str
    """What kind of booking comes here; see SCENARIOS."""
    creates: bool = False
    """Whether it makes an effect that did not exist."""


def route(vendor: str, method: str, path: str) -> Route:
    return {"vendor": vendor, "method": method, "path": path}


CAPTURE_ROUTE = route(STRIPE, "POST", "/capture$")
CAR_ROUTE = route(DUFFEL, "POST", "/cars/bookings$")
RELEASE_HOTEL = route(RAPID, "DELETE", "/itineraries/")
CANCEL_FLIGHT = route(DUFFEL, "POST", "/air/order_cancellations")
CANCEL_CAR = route(DUFFEL, "POST", "/cars/bookings/.*/actions/cancel$")
VOID = route(STRIPE, "POST", "/payment_intents/.*/cancel$")
REFUND = route(STRIPE, "POST", "/refunds$")

FORWARD = [
    Place("authorise", STRIPE, "authorise", route(STRIPE, "POST", "/payment_intents$"), "held", creates=True),
    Place("hold_flight", DUFFEL, "hold", route(DUFFEL, "POST", "/air/orders$"), "held", creates=True),
    Place("hold_hotel", RAPID, "hold", route(RAPID, "POST", "/itineraries"), "held", creates=True),
    Place("book_car", CARS, "book", CAR_ROUTE, "held", creates=True),
    Place("confirm_flight", DUFFEL, "confirm", route(DUFFEL, "POST", "/air/payments$"), "held"),
    Place("confirm_hotel", RAPID, "confirm", route(RAPID, "PUT", "/itineraries/"), "held"),
    Place("book_flight", DUFFEL, "book", route(DUFFEL, "POST", "/air/orders$"), "instant", creates=True),
    Place("book_hotel", RAPID, "book", route(RAPID, "POST", "/itineraries"), "instant", creates=True),
    Place("capture", STRIPE, "capture", CAPTURE_ROUTE, "held"),
    Place("look_at_authorisation", STRIPE, "get", route(STRIPE, "GET", "/payment_intents/pi_"), "three_d_secure"),
]
READS = [
    Place("price_flight", DUFFEL, "price", route(DUFFEL, "GET", "/air/offers/"), "held"),
    Place("price_hotel", RAPID, "price", route(RAPID, "GET", "/properties/.*/rooms/"), "held"),
    Place("price_car", CARS, "price", route(DUFFEL, "POST", "/cars/quotes$"), "held"),
    Place("find_out_flight", DUFFEL, "find", route(DUFFEL, "GET", "/air/orders"), "flight_answer_lost"),
    Place("find_out_hotel", RAPID, "find", route(RAPID, "GET", "/itineraries"), "hotel_answer_lost"),
    Place("find_out_payment", STRIPE, "find", route(STRIPE, "GET", "/payment_intents"), "payment_answer_lost"),
]
UNDO = [
    Place("release_hotel", RAPID, "cancel", RELEASE_HOTEL, "car_refused"),
    Place("release_flight", DUFFEL, "cancel", CANCEL_FLIGHT, "car_refused"),
    Place("void", STRIPE, "void", VOID, "car_refused"),
    Place("cancel_car", CARS, "cancel", CANCEL_CAR, "capture_refused"),
    Place("cancel_hotel", RAPID, "cancel", RELEASE_HOTEL, "capture_refused"),
    Place("cancel_flight", DUFFEL, "cancel", CANCEL_FLIGHT, "capture_refused"),
]
CANCELLATION = [
    Place("quote", DUFFEL, "cancellation_fee", CANCEL_FLIGHT, "cancelled"),
    Place("traveller_cancels_hotel", RAPID, "cancel", RELEASE_HOTEL, "cancelled"),
    Place("traveller_cancels_car", CARS, "cancel", CANCEL_CAR, "cancelled"),
    Place("refund", STRIPE, "refund", REFUND, "cancelled", creates=True),
    Place("look_at_refund", STRIPE, "get_refund", route(STRIPE, "GET", "/refunds/"), "refund_pending"),
]

ORDER = route(PAYPAL, "POST", "/v2/checkout/orders$")
AUTHORISE_ORDER = route(PAYPAL, "POST", "/authorize$")
PAYPAL_REFUND = route(PAYPAL, "POST", "/v2/payments/captures/.*/refund$")
BOOK_AVIS = route(AVIS, "POST", "/cars/reservation/v2$")
BY_PAYPAL = [
    Place("order", PAYPAL, "authorise", ORDER, "paypal", creates=True),
    Place("authorise_order", PAYPAL, "authorise", AUTHORISE_ORDER, "paypal", creates=True),
    Place("capture_order", PAYPAL, "capture", route(PAYPAL, "POST", "/authorizations/.*/capture$"), "paypal"),
    Place("look_at_order", PAYPAL, "get", route(PAYPAL, "GET", "/v2/checkout/orders/"), "paypal_approved"),
    Place("void_order", PAYPAL, "void", route(PAYPAL, "POST", "/authorizations/.*/void$"), "paypal_flight_refused"),
    Place("refund_order", PAYPAL, "refund", PAYPAL_REFUND, "paypal_cancelled", creates=True),
    Place("look_at_order_refund", PAYPAL, "get_refund", route(PAYPAL, "GET", "/refunds/"), "paypal_refund_pending"),
]
REAUTHORISE = route(PAYPAL, "POST", "/reauthorize$")
LOOK_AT_REFUND = route(STRIPE, "GET", "/refunds/")
LOOK_AT_PAYPAL_REFUND = route(PAYPAL, "GET", "/refunds/")
AFTERWARDS = [
    Place("reauthorise", PAYPAL, "reauthorise", REAUTHORISE, "paypal_renewed"),
    Place("refund_that_fails", STRIPE, "refund", REFUND, "refund_fails", creates=True),
    Place("look_at_failing_refund", STRIPE, "get_refund", LOOK_AT_REFUND, "refund_fails"),
    Place("paypal_refund_that_fails", PAYPAL, "refund", PAYPAL_REFUND, "paypal_refund_fails", creates=True),
    Place("look_at_failing_paypal_refund", PAYPAL, "get_refund", LOOK_AT_PAYPAL_REFUND, "paypal_refund_fails"),
    Place("cancel_part", RAPID, "cancel", RELEASE_HOTEL, "partly_cancelled"),
    Place("refund_part", STRIPE, "refund", REFUND, "partly_cancelled", creates=True),
]
"""Money that must be reserved anew, refunds that end at the desk, trips that are given up in part."""
ENDLESS_REFUNDS = ("refund_stuck", "paypal_refund_stuck")
BY_OTHERS = [
    Place("book_amadeus", AMADEUS, "book", route(AMADEUS, "POST", "/booking/flight-orders$"), "others", creates=True),
    Place("book_liteapi", LITEAPI, "book", route(LITEAPI, "POST", "/rates/book$"), "others", creates=True),
    Place("book_avis", AVIS, "book", BOOK_AVIS, "others", creates=True),
    Place("find_out_liteapi", LITEAPI, "find", route(LITEAPI, "GET", "/bookings"), "liteapi_answer_lost"),
    Place("cancel_amadeus", AMADEUS, "cancel", route(AMADEUS, "DELETE", "/flight-orders/"), "others_not_paid"),
    Place("cancel_liteapi", LITEAPI, "cancel", route(LITEAPI, "PUT", "/bookings/"), "others_not_paid"),
    Place("cancel_avis", AVIS, "cancel", route(AVIS, "PUT", "/cars/reservation/v2$"), "others_not_paid"),
]

_PAYPAL_TRIP: dict[str, Any] = {"kinds": ("flight",), "payment_provider": PAYPAL, "payment_method": "vault:8kk8451t"}
_OTHERS_TRIP: dict[str, Any] = {"suppliers": (AMADEUS, LITEAPI, AVIS), "hold": False}
TRIPS: dict[str, dict[str, Any]] = {
    "instant": {"hold": False},
    "paypal": _PAYPAL_TRIP,
    "paypal_approved": {**_PAYPAL_TRIP, "payment_method": "paypal"},
    "paypal_flight_refused": _PAYPAL_TRIP,
    "paypal_cancelled": _PAYPAL_TRIP,
    "paypal_refund_pending": _PAYPAL_TRIP,
    "paypal_refund_fails": _PAYPAL_TRIP,
    "paypal_refund_stuck": _PAYPAL_TRIP,
    "paypal_renewed": _PAYPAL_TRIP,
    "others": _OTHERS_TRIP,
    "liteapi_answer_lost": _OTHERS_TRIP,
    "others_not_paid": _OTHERS_TRIP,
}
"""What is booked and how it is paid, where a scenario wants something special; see House.prepare."""

HTTP_FAULTS: dict[str, dict[str, Any]] = {
    "A1_request_lost": {"action": "drop_before"},
    "A2_answer_lost": {"action": "drop_after"},
    "A2_error_after_effect": {"action": "server_error_after", "status": 500},
    "A6_effect_after_its_undo": {"action": "drop_then_effect", "delay_s": 3},
    "A7_refused": {"action": "refuse"},
    "A8_server_error": {"action": "server_error", "status": 503},
    "A8_internal_error": {"action": "server_error", "status": 500},
    "A8_rate_limited": {"action": "rate_limited", "retry_after_s": 1},
    "A9_slower_than_the_client_waits": {"action": "delay", "delay_s": 6},
}
CUTS = {"A0_killed_before": "killed_before", "A3_killed_after": "killed_after", "A5_zombie": "zombie"}
NEEDS_AN_EFFECT = frozenset({"A2_answer_lost", "A2_error_after_effect", "A5_zombie", "A6_effect_after_its_undo"})
"""Of a read they are the same as its request lost."""
PAIR_FAULTS = ("A1_request_lost", "A2_answer_lost", "A8_server_error", "A3_killed_after")


@dataclass(frozen=True)
class Case:
    """One booking: what kind, and which faults meet it where."""

    scenario: str
    faults: tuple[tuple[Place, str], ...] = ()
    policy: dict[str, float] = field(default_factory=dict, hash=False)

    @property
    def id(self) -> str:
        return "+".join([f"{place.name}-{fault}" for place, fault in self.faults]) or self.scenario


def all_cases() -> list[Case]:
    """Every place with every fault alone, and every pair of faults inside one compensation."""
    places = [*FORWARD, *READS, *UNDO, *CANCELLATION, *BY_PAYPAL, *AFTERWARDS, *BY_OTHERS]
    cases = [Case(scenario) for scenario in sorted({*ENDLESS_REFUNDS, *(place.scenario for place in places)})]
    for place, fault in product(places, [*HTTP_FAULTS, *CUTS]):
        if fault in CUTS and place.name.startswith("price_"):
            continue  # a local activity dies with its workflow task; the tests that kill real workers cover it
        cases.append(Case(place.scenario, ((place, fault),)))
    for scenario in ("car_refused", "capture_refused"):
        here = [place for place in UNDO if place.scenario == scenario] + (
            [UNDO[2]] if scenario == "capture_refused" else []
        )
        for first, second in combinations(here, 2):
            for one, other in product(PAIR_FAULTS, PAIR_FAULTS):
                cases.append(Case(scenario, ((first, one), (second, other))))
    return cases
