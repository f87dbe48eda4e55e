"""The table of cases of a reconciliation: every call that a run, a repair, or the undo that it begins makes to a vendor, times every
fault that can meet it there. Enumerated by loops, never by hand."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from schema.reconciliation import FindingKind
from schema.states import BookingState
from tests.reconciliation import abandoning, planting
from tests.saga.harness import House
from tests.saga.table import (
    CANCEL_CAR,
    CANCEL_FLIGHT,
    CARS,
    CUTS,
    DUFFEL,
    HTTP_FAULTS,
    LITEAPI,
    NEEDS_AN_EFFECT,
    PAYPAL,
    PAYPAL_REFUND,
    RAPID,
    REFUND,
    RELEASE_HOTEL,
    STRIPE,
    VOID,
    Place,
    Route,
    route,
)

GET_INTENT = route(STRIPE, "GET", "/payment_intents/pi_")
LIST_INTENTS = route(STRIPE, "GET", "/payment_intents$")
LIST_REFUNDS = route(STRIPE, "GET", "/refunds$")
LIST_DISPUTES = route(STRIPE, "GET", "/disputes$")
GET_ORDER = route(DUFFEL, "GET", "/air/orders/")
LIST_ORDERS = route(DUFFEL, "GET", "/air/orders$")
FIND_HOTEL = route(RAPID, "GET", "/itineraries")
GET_PAYPAL_ORDER = route(PAYPAL, "GET", "/v2/checkout/orders/")
LIST_EVENTS = route(PAYPAL, "GET", "/webhooks-events$")
LIST_STAYS = route(LITEAPI, "GET", "/bookings/$")
VOID_PAYPAL = route(PAYPAL, "POST", "/authorizations/.*/void$")


@dataclass(frozen=True)
class Wrong:
    """What is wrong, what a run finds of it, and what must have come of it in the end."""

    plant: Callable[[House], Awaitable[str]]
    found: FindingKind
    outcome: Literal["repaired", "case"] = "repaired"
    ends_as: BookingState | None = None
    effects: tuple[str, ...] = ()
    """At its vendors, beyond what was planted: each happens once, however the way there was disturbed."""


_UNDONE = ("payment.voided", "flight.cancelled", "hotel.cancelled", "car.cancelled")
_FAILED, _CONFIRMED, _CANCELLED = BookingState.FAILED, BookingState.CONFIRMED, BookingState.CANCELLED
_GIVEN_BACK = ("payment.refunded",)
WRONGS = {
    "nobodys_reserved": Wrong(planting.unknown_reserved, "open_authorisation", effects=("payment.voided",)),
    "nobodys_paid": Wrong(planting.unknown_paid, "paid_without_booking", "case"),
    "in_doubt": Wrong(planting.failed_in_doubt, "open_authorisation", ends_as=_FAILED),
    "reserved": Wrong(planting.failed_and_reserved, "open_authorisation", effects=("payment.voided",)),
    "paid": Wrong(planting.failed_and_paid, "paid_without_booking", effects=_GIVEN_BACK),
    "held": Wrong(planting.failed_and_held, "reservation_without_owner", effects=("flight.cancelled",)),
    "booked": Wrong(planting.failed_and_booked, "reservation_without_owner", "case"),
    "refunded": Wrong(planting.refunded_by_hand, "refund_by_hand", "case", _CONFIRMED),
    "refunded_at_paypal": Wrong(planting.refunded_by_hand_at_paypal, "refund_by_hand", "case", _CONFIRMED),
    "disputed": Wrong(planting.disputed, "disputed", "case", _CONFIRMED),
    "missing": Wrong(planting.hotel_cancelled_by_hand, "reservation_missing", "case", _CONFIRMED),
    "left": Wrong(abandoning.left_unpaid, "workflow_gone", ends_as=_FAILED, effects=_UNDONE),
    "left_to_paypal": Wrong(abandoning.left_unpaid_by_paypal, "workflow_gone", ends_as=_FAILED, effects=_UNDONE[:2]),
    "left_refunding": Wrong(abandoning.left_refunding, "workflow_gone", ends_as=_CANCELLED, effects=_GIVEN_BACK),
    "left_refunding_by_paypal": Wrong(
        abandoning.left_refunding_by_paypal, "workflow_gone", ends_as=_CANCELLED, effects=_GIVEN_BACK
    ),
}
"""The trips called left have lost their workflow: it was terminated, and its history is deleted."""


@dataclass(frozen=True)
class Call:
    """One call to a vendor, and whose it is: the repair's own, or that of the undo, which is told by the trip's correlation id."""

    place: Place
    of: Literal["repair", "undo"]


def _look(name: str, vendor: str, method: str, where: Route, wrong: str) -> Call:
    return Call(Place(name, vendor, method, where, wrong), "repair")


def _effect(name: str, vendor: str, method: str, where: Route, wrong: str, of: Literal["repair", "undo"]) -> Call:
    return Call(Place(name, vendor, method, where, wrong, creates=True), of)


CALLS = [
    _look("look_at_nobodys", STRIPE, "get", GET_INTENT, "nobodys_reserved"),
    _effect("void_nobodys", STRIPE, "void", VOID, "nobodys_reserved", "repair"),
    _look("find_payment", STRIPE, "find", LIST_INTENTS, "in_doubt"),
    _look("ask_for_disputes", STRIPE, "list_disputes", LIST_DISPUTES, "paid"),
    _effect("give_back", STRIPE, "refund", REFUND, "paid", "undo"),
    _look("see_the_refund", STRIPE, "list_refunds", LIST_REFUNDS, "paid"),
    _look("find_order", DUFFEL, "find", GET_ORDER, "booked"),
    _look("fee_of_order", DUFFEL, "cancellation_fee", CANCEL_FLIGHT, "booked"),
    _effect("release_order", DUFFEL, "cancel", CANCEL_FLIGHT, "held", "undo"),
    _look("refunds_by_hand_at_paypal", PAYPAL, "list_refunds", GET_PAYPAL_ORDER, "refunded_at_paypal"),
    _look("find_hotel", RAPID, "find", FIND_HOTEL, "missing"),
    _look("look_at_left_payment", STRIPE, "get", GET_INTENT, "left"),
    _effect("cancel_left_car", CARS, "cancel", CANCEL_CAR, "left", "undo"),
    _effect("cancel_left_hotel", RAPID, "cancel", RELEASE_HOTEL, "left", "undo"),
    _effect("cancel_left_flight", DUFFEL, "cancel", CANCEL_FLIGHT, "left", "undo"),
    _effect("void_left", STRIPE, "void", VOID, "left", "undo"),
    _look("look_at_paypal_order", PAYPAL, "get", GET_PAYPAL_ORDER, "left_to_paypal"),
    _effect("void_left_at_paypal", PAYPAL, "void", VOID_PAYPAL, "left_to_paypal", "undo"),
    _effect("give_left_back_by_paypal", PAYPAL, "refund", PAYPAL_REFUND, "left_refunding_by_paypal", "undo"),
]

LISTS = [
    Place("list_payments", STRIPE, "list_payments", LIST_INTENTS, "stripe:payments"),
    Place("list_refunds", STRIPE, "list_refunds", LIST_REFUNDS, "stripe:refunds"),
    Place("list_disputes", STRIPE, "list_disputes", LIST_DISPUTES, "stripe:disputes"),
    Place("list_events", PAYPAL, "list_refunds", LIST_EVENTS, "paypal:refunds"),
    Place("list_orders", DUFFEL, "list_reservations", LIST_ORDERS, "duffel:reservations"),
    Place("ask_paypal", PAYPAL, "get", GET_PAYPAL_ORDER, "lookups"),
    Place("list_stays", LITEAPI, "list_reservations", LIST_STAYS, "liteapi:reservations"),
    Place("ask_rapid", RAPID, "find", FIND_HOTEL, "lookups"),
]
"""What a run reads by itself; its stream stands where a booking's kind does elsewhere."""


@dataclass(frozen=True)
class Case:
    """One booking with something wrong, and the faults that the calls of its repair meet: each call another one."""

    wrong: str
    faults: tuple[tuple[Call, str], ...] = ()

    @property
    def id(self) -> str:
        return "+".join(f"{call.place.name}-{fault}" for call, fault in self.faults) or self.wrong


@dataclass(frozen=True)
class RunCase:
    """One run, and the fault that one of its lists meets."""

    place: Place
    fault: str

    @property
    def id(self) -> str:
        return f"{self.place.name}-{self.fault}"


def all_cases() -> list[Case]:
    """Everything that can be wrong, every call of its repair meeting every fault; alone where another has the same calls."""
    cases: list[Case] = []
    for wrong in WRONGS:
        calls = [call for call in CALLS if call.place.scenario == wrong]
        turns = range(max((len(faults_of(call.place)) for call in calls), default=0))
        cases += [Case(wrong, tuple(_met(calls, turn))) for turn in turns] or [Case(wrong)]
    return cases


def _met(calls: list[Call], turn: int) -> Iterator[tuple[Call, str]]:
    for shift, call in enumerate(calls):
        faults = faults_of(call.place)
        if turn < len(faults):
            yield call, faults[(turn + shift) % len(faults)]


def all_runs() -> list[RunCase]:
    return [RunCase(place, fault) for place in LISTS for fault in faults_of(place)]


def faults_of(place: Place) -> list[str]:
    return [fault for fault in (*HTTP_FAULTS, *CUTS) if place.creates or fault not in NEEDS_AN_EFFECT]


def rule_of(place: Place, fault: str) -> dict[str, Any]:
    return {**place.route, **HTTP_FAULTS[fault]}
