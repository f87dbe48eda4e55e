"""Runs one case of the table to its end, playing the customer and the operator where the saga asks for them."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError

from api.admission import cancellation_plan
from schema.bookings import Accepted, Resolution
from schema.payments import (
    CANCELLATION_WORKFLOW,
    CancellationResult,
    ExecuteCancellation,
    FeeQuote,
    cancellation_workflow_id_for,
)
from schema.states import CONFIRMED_STATES, BookingState, PaymentState
from store import bookings, cases, payments, quotes
from tests.saga.harness import House, Trip
from tests.saga.table import (
    AUTHORISE_ORDER,
    CANNOT_BE_ASKED,
    CAPTURE_ROUTE,
    CAR_ROUTE,
    CUTS,
    HTTP_FAULTS,
    PAYPAL_REFUND,
    REFUND,
    TRIPS,
    Case,
)
from tests.saga.vendors import CutVendors

LONGEST_S = 150
_POLL_S = 0.4
_AUTHORISE = {"vendor": "stripe", "method": "POST", "path": "/payment_intents$"}
SCENARIOS: dict[str, list[dict[str, Any]]] = {
    "held": [],
    "instant": [],
    "cancelled": [],
    "three_d_secure": [{**_AUTHORISE, "action": "three_d_secure"}],
    "car_refused": [{**CAR_ROUTE, "action": "refuse"}],
    "capture_refused": [{**CAPTURE_ROUTE, "action": "refuse", "times": None}],
    "refund_pending": [{**REFUND, "action": "refund_pending", "delay_s": 1}],
    "flight_answer_lost": [{"vendor": "duffel", "method": "POST", "path": "/air/orders$", "action": "drop_after"}],
    "hotel_answer_lost": [
        {"vendor": "expedia_rapid", "method": "POST", "path": "/itineraries", "action": "drop_after"}
    ],
    "paypal": [],
    "paypal_approved": [],
    "paypal_flight_refused": [{"vendor": "duffel", "method": "POST", "path": "/air/orders$", "action": "refuse"}],
    "paypal_cancelled": [],
    "paypal_refund_pending": [{**PAYPAL_REFUND, "action": "accept_later", "delay_s": 1}],
    "paypal_renewed": [{**AUTHORISE_ORDER, "action": "aged", "age_s": 3 * 86_400}],
    "paypal_refund_fails": [{**PAYPAL_REFUND, "action": "refund_fails", "delay_s": 1}],
    "paypal_refund_stuck": [{**PAYPAL_REFUND, "action": "accept_later", "delay_s": 12}],
    "refund_fails": [{**REFUND, "action": "refund_fails", "delay_s": 1}],
    "refund_stuck": [{**REFUND, "action": "refund_pending", "delay_s": 12}],
    "partly_cancelled": [],
    "others": [],
    "liteapi_answer_lost": [{"vendor": "liteapi", "method": "POST", "path": "/rates/book$", "action": "drop_after"}],
    "others_not_paid": [{**CAPTURE_ROUTE, "action": "refuse", "times": None}],
    "payment_answer_lost": [{**_AUTHORISE, "action": "server_error", "status": 500}],
}
"""The faults that make a booking of the kind in question; the faults of a case come on top."""


AT_THE_DESK = ("refund_fails", "refund_stuck", "paypal_refund_fails", "paypal_refund_stuck")
"""A person must see to the refund: it fails, or takes longer than a saga waits."""
CANCELLED_LATER = (
    *("cancelled", "refund_pending", "paypal_cancelled", "paypal_refund_pending", "partly_cancelled"),
    *AT_THE_DESK,
)
"""The traveller cancels what was confirmed."""
GIVEN_UP = {"partly_cancelled": "hotel"}
"""The kind of item that is cancelled, where the rest stays."""


@dataclass
class Ended:
    """How a case ended, for the checks."""

    case: Case
    trip: Trip
    state: BookingState
    reason: str | None
    handles: list[WorkflowHandle[Any, Any]]
    asked_operator: bool
    notes: list[str] = field(default_factory=list)


async def run_case(house: House, vendors: CutVendors, case: Case) -> Ended:
    """From the stored booking to a final or confirmed one, whatever is in between. Raises TimeoutError when it hangs."""
    trip = await house.prepare(**TRIPS.get(case.scenario, {}))
    for place, fault in case.faults:
        if fault in CUTS:
            vendors.plan(trip.correlation_id, place.vendor, place.method, CUTS[fault])  # type: ignore[arg-type]
        else:
            await house.fault(contains=trip.correlation_id, **place.route, **HTTP_FAULTS[fault])
    for rule in SCENARIOS[case.scenario]:
        await house.fault(contains=trip.correlation_id, **rule)
    handle = await house.start(trip)
    people = People(house, trip)
    async with asyncio.timeout(LONGEST_S):
        await people.until_done(handle)
    handles: list[WorkflowHandle[Any, Any]] = [handle]
    stored = await house.stored(trip.booking_id)
    if case.scenario in CANCELLED_LATER and stored.state == BookingState.CONFIRMED:
        async with asyncio.timeout(LONGEST_S):
            handles.append(await people.cancel_for_the_fee(GIVEN_UP.get(case.scenario)))
        stored = await house.stored(trip.booking_id)
    return Ended(case, trip, stored.state, stored.reason, handles, people.asked)


class People:
    """The traveller and the operator."""

    def __init__(self, house: House, trip: Trip) -> None:
        self._house = house
        self._trip = trip
        self.asked = False

    async def until_done(self, handle: WorkflowHandle[Any, Any]) -> None:
        done = asyncio.ensure_future(handle.result())
        try:
            while not done.done():
                await asyncio.wait([done], timeout=_POLL_S)
                async with self._house.database.read() as connection:
                    now = await bookings.progress(connection, self._trip.booking_id)
                assert now is not None
                if now.state == BookingState.AWAITING_PAYMENT and now.waiting_for:
                    await self._customer()
                if now.state == BookingState.NEEDS_OPERATOR or now.state in CONFIRMED_STATES:
                    await self._operator()  # a case can also stand beside a settled booking
            done.result()
        finally:
            done.cancel()

    async def cancel_for_the_fee(
        self, kind: str | None = None, quote_ttl_s: float | None = None
    ) -> WorkflowHandle[Any, CancellationResult]:
        """Asks for the fee until the suppliers answer, accepts it, and sees it through. `kind`: only this item of the trip."""
        house = self._house
        stored = await house.stored(self._trip.booking_id)
        async with house.database.read() as connection:
            payment = (await payments.of_booking(connection, stored.booking_id))[-1]
        item_nos = None if kind is None else [item.item_no for item in stored.items if item.offer.kind == kind]
        plan = cancellation_plan(stored, payment, house.vendors, house.settings, item_nos)
        workflow_id = cancellation_workflow_id_for(stored.booking_id, stored.version, item_nos)
        async with house.database.transaction() as connection:
            await quotes.claim(connection, stored.booking_id, stored.version, workflow_id)
        handle: WorkflowHandle[Any, CancellationResult] = await house.client.start_workflow(
            CANCELLATION_WORKFLOW,
            plan.model_copy(update={"policy": self._trip.plan.policy, "quote_ttl_s": quote_ttl_s or plan.quote_ttl_s}),
            id=workflow_id,
            task_queue="bookings",
            result_type=CancellationResult,
        )
        while True:
            try:
                quote = await handle.execute_update("quote", result_type=FeeQuote)
                break
            except WorkflowUpdateFailedError:
                continue  # a supplier did not answer in time: the traveller asks again
        await handle.execute_update("execute", ExecuteCancellation(fee=quote.fee), result_type=Accepted)
        await self.until_done(handle)
        return handle

    async def _customer(self) -> None:
        async with self._house.database.read() as connection:
            waiting = [
                payment
                for payment in await payments.of_booking(connection, self._trip.booking_id)
                if payment.state == PaymentState.ACTION_REQUIRED
            ]
        for payment in waiting:
            if payment.provider == "paypal":
                await self._house.sandbox.post(f"/_sandbox/paypal/orders/{payment.provider_reference}/approve")
                continue
            path = f"/_sandbox/stripe/payment_intents/{payment.provider_reference}/authenticate"
            await self._house.sandbox.post(path, json={"succeed": True})

    async def _operator(self) -> None:
        self.asked |= await answer_cases(self._house, self._trip.booking_id)


async def answer_cases(house: House, booking_id: str) -> bool:
    """The operator: looks into the supplier's own books, as a person on the phone would, and says what is there. Whether there was
    anything to answer."""
    async with house.database.read() as connection:
        opened = [case for case in await cases.of_booking(connection, booking_id) if not case.resolved_at]
    for case in opened:
        books = await house.books(booking_id)
        unaskable = [effect for effect in case.effects if effect.vendor in CANNOT_BE_ASKED]
        action, reference = "retry", None
        if unaskable:
            kind = CANNOT_BE_ASKED[unaskable[0].vendor]
            there = [
                entry for entry in books["reservations"] if entry["kind"] == kind and entry["status"] == "confirmed"
            ]
            action, reference = ("confirmed_at_vendor", there[0]["object_id"]) if there else ("settled_by_hand", None)
        resolution = Resolution.model_validate(
            {
                "case_id": case.case_id,
                "action": action,
                "reference": unaskable[0].reference if unaskable else None,
                "provider_reference": reference,
                "operator": "test",
                "note": "looked it up at the supplier",
            }
        )
        # Resolved, or its time over, a moment ago: the next look shows.
        with contextlib.suppress(WorkflowUpdateFailedError, RPCError):
            await house.client.get_workflow_handle(case.workflow_id).execute_update(
                "resolve", resolution, result_type=Accepted
            )
    return bool(opened)
