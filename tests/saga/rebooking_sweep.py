"""The sweep of RELIABILITY over a disruption: every call to a vendor from the search for another flight to the refund of the old one,
with every fault. In one trip each of its calls meets another fault, so that a few trips are the whole table."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from temporalio import activity
from temporalio.client import WorkflowExecution, WorkflowUpdateFailedError
from temporalio.service import RPCError

from schema.disruptions import Alternative, Disruption
from schema.itineraries import Itinerary
from schema.model import Message
from schema.states import BookingState
from store import disruptions
from tests.saga.disrupted import airline_says, choose, confirmed, flights_of, in_state, settled, workflow_of
from tests.saga.driver import answer_cases
from tests.saga.harness import House, Trip
from tests.saga.table import (
    AMADEUS,
    CANCEL_FLIGHT,
    CAPTURE_ROUTE,
    CUTS,
    DUFFEL,
    HTTP_FAULTS,
    NEEDS_AN_EFFECT,
    REFUND,
    STRIPE,
    Place,
    route,
)
from tests.saga.vendors import CutVendors

LONGEST_S = 150
_POLL_S = 0.3
Whose = Literal["find", "new", "old"]
"""The search for another flight, the saga of its booking, or the end of the old one's."""

FINDING = [
    Place("search_at_duffel", DUFFEL, "search", route(DUFFEL, "POST", "/air/offer_requests"), "find"),
    Place("search_at_amadeus", AMADEUS, "search", route(AMADEUS, "POST", "/v2/shopping/flight-offers$"), "find"),
    Place("fee_of_old", DUFFEL, "cancellation_fee", CANCEL_FLIGHT, "find"),
]
REBOOKING = [
    Place("price_new", DUFFEL, "price", route(DUFFEL, "GET", "/air/offers/"), "new"),
    Place("authorise_new", STRIPE, "authorise", route(STRIPE, "POST", "/payment_intents$"), "new", creates=True),
    Place("order_new", DUFFEL, "hold|book", route(DUFFEL, "POST", "/air/orders$"), "new", creates=True),
    Place("capture_new", STRIPE, "capture", CAPTURE_ROUTE, "new", creates=True),
    Place("cancel_old", DUFFEL, "cancel", CANCEL_FLIGHT, "old", creates=True),
    Place("refund_old", STRIPE, "refund", REFUND, "old", creates=True),
]
"""What stands where a booking's kind does elsewhere is whose call it is. A flight is held or booked, as its airline has it."""


@dataclass(frozen=True)
class Case:
    """One trip, and the fault that each of these calls meets."""

    name: str
    faults: tuple[tuple[Place, str], ...]

    @property
    def id(self) -> str:
        return self.name


def faults_of(place: Place) -> list[str]:
    return [
        fault
        for fault in (*HTTP_FAULTS, *CUTS)
        if (place.creates or fault not in NEEDS_AN_EFFECT)
        and not (fault in CUTS and place.method in ("search", "price"))
    ]


def all_cases() -> list[Case]:
    return [
        Case(f"{name}-{turn}", tuple(_met(places, turn)))
        for name, places in (("finding", FINDING), ("rebooking", REBOOKING))
        for turn in range(max(len(faults_of(place)) for place in places))
    ]


def _met(places: list[Place], turn: int) -> list[tuple[Place, str]]:
    met: list[tuple[Place, str]] = []
    for shift, place in enumerate(places):
        faults = faults_of(place)
        if turn < len(faults):
            met.append((place, faults[(turn + shift) % len(faults)]))
    return met


class TripVendors(CutVendors):
    """Tells apart whose calls they are, which all carry the trip's correlation id: by the workflow that makes them."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.old: dict[str, str] = {}
        """The booking that is given up, by its correlation id."""

    async def call(self, vendor: str, method: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        return await super().call(vendor, method, real, tuple(self._marked(argument) for argument in arguments))

    def _marked(self, argument: Any) -> Any:
        if isinstance(argument, str) and argument in self.old:
            return mark_of(argument, self._whose(argument))
        correlation_id = getattr(argument, "correlation_id", None)
        if isinstance(argument, Message) and correlation_id in self.old:
            return argument.model_copy(update={"correlation_id": mark_of(correlation_id, self._whose(correlation_id))})
        return argument

    def _whose(self, correlation_id: str) -> Whose:
        workflow_id = activity.info().workflow_id or ""
        if workflow_id.startswith("disruption"):
            return "find"
        return "old" if self.old[correlation_id] in workflow_id else "new"


def mark_of(correlation_id: str, whose: str) -> str:
    return f"{correlation_id}-{whose}"


@dataclass
class Rebooked:
    """How a case ended, for the checks."""

    trip: Trip
    itinerary: Itinerary
    disruption: Disruption
    tried: list[str] = field(default_factory=list)
    """The bookings of alternatives, in the order in which they were chosen."""
    histories: list[WorkflowExecution] = field(default_factory=list)


async def run_case(house: House, vendors: TripVendors, case: Case) -> Rebooked:
    """From a flight's cancellation until the traveller has another, or none is offered. Raises TimeoutError when it hangs."""
    trip, itinerary = await confirmed(house, kinds=("flight",), suppliers=(DUFFEL,))
    vendors.old[trip.correlation_id] = trip.booking_id
    for place, fault in case.faults:
        mark = mark_of(trip.correlation_id, place.scenario)
        if fault in CUTS:
            for method in place.method.split("|"):
                vendors.plan(mark, place.vendor, method, CUTS[fault])  # type: ignore[arg-type]
        else:
            await house.fault(contains=mark, **place.route, **HTTP_FAULTS[fault])
    await airline_says(house, flights_of(itinerary)[0], cancelled=True)
    async with asyncio.timeout(LONGEST_S):
        first = await in_state(house, itinerary, "offered", "informed", "rebooking", "rebooked")
        ended = Rebooked(trip, itinerary, first)
        await _choose_until_over(house, ended)
        if ended.disruption.state == "rebooked":
            await _given_up(house, ended)
    async for found in house.client.list_workflows(f"StartTime > '{trip.booking.created_at.isoformat()}'"):
        if any(each in found.id for each in (trip.booking_id, first.disruption_id, *ended.tried)):
            ended.histories.append(found)
    return ended


async def _choose_until_over(house: House, ended: Rebooked) -> None:
    """As a traveller who wants to fly: the next one, when one cannot be had."""
    while ended.disruption.state not in ("rebooked", "informed", "failed"):
        if ended.disruption.state == "offered":
            # Refused, or not answered in time: the books say whether it was chosen.
            with contextlib.suppress(WorkflowUpdateFailedError, RPCError):
                await choose(house, ended.disruption, _wanted(ended.disruption).number)
        else:
            await asyncio.sleep(_POLL_S)
        await _answer_cases(house, ended)
        async with house.database.read() as connection:
            current = await disruptions.get(connection, ended.disruption.disruption_id)
        assert current is not None
        ended.disruption = current
        if current.rebooking_id is not None and current.rebooking_id not in ended.tried:
            ended.tried.append(current.rebooking_id)


def _wanted(disruption: Disruption) -> Alternative:
    """Of the supplier and the kind that the table is about, while there is one."""
    return min(
        disruption.alternatives, key=lambda one: (one.offer.supplier != DUFFEL, not one.offer.holdable, one.number)
    )


async def _given_up(house: House, ended: Rebooked) -> None:
    over = asyncio.ensure_future(settled(house, ended.trip.booking_id, BookingState.CANCELLED))
    while not over.done():
        await asyncio.wait([over], timeout=_POLL_S)
        await _answer_cases(house, ended)
    over.result()
    await workflow_of(house, ended.disruption).result()


async def _answer_cases(house: House, ended: Rebooked) -> None:
    for booking_id in (ended.trip.booking_id, *ended.tried):
        await answer_cases(house, booking_id)


def fired(case: Case, correlation_id: str, rules: list[dict[str, Any]], vendors: CutVendors) -> set[str]:
    """Names of the case's faults that really met their call."""
    over_http = {(rule["contains"], rule["path"], rule["action"], rule["status"]) for rule in rules if rule["fired"]}
    names: set[str] = set()
    for place, fault in case.faults:
        mark = mark_of(correlation_id, place.scenario)
        how = HTTP_FAULTS.get(fault, {})
        if fault in CUTS:
            met = any((mark, place.vendor, method) in vendors.fired for method in place.method.split("|"))
        else:
            met = (mark, place.route["path"], how["action"], how.get("status", 503)) in over_http
        if met:
            names.add(f"{place.name}-{fault}")
    return names
