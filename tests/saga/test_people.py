"""What the traveller, the customer of a bank and the operator can say to a running saga, and what comes of it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from schema.bookings import Accepted, AcceptPrice, BookingResult, BookingStatus, CancelRequest, Resolution
from schema.money import Money
from schema.states import BookingState, ItemState
from store import cases
from store.cases import StoredCase
from tests.saga.harness import House, Trip
from tests.saga.table import CAPTURE_ROUTE, CAR_ROUTE
from tests.saga.waiting import eventually
from workers.audit import check, gather

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

_PRICE = {"vendor": "duffel", "method": "GET", "path": "/air/offers/"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def at_work(house: House) -> AsyncGenerator[House]:
    async with house.worker():
        yield house


async def until(house: House, trip: Trip, state: BookingState, *, waiting: str = "") -> None:
    """Until the booking is recorded in the state, and waits for whom is named."""

    async def reached() -> bool:
        stored = await house.stored(trip.booking_id)
        return stored.state == state and waiting in (stored.waiting_for or "")

    await eventually(reached)


async def audit_of(house: House, trip: Trip) -> list[str]:
    report = check(await gather(house.settings, [trip.booking_id], policy=trip.plan.policy, histories=1))
    return [violation.text for violation in report.violations]


async def open_case(house: House, trip: Trip, reason: str = "") -> StoredCase:
    """The booking's open case, once there is one with this in its reason."""

    async def find() -> list[StoredCase]:
        async with house.database.read() as connection:
            found = await cases.of_booking(connection, trip.booking_id)
        return [case for case in found if not case.resolved_at and reason in case.reason]

    return (await eventually(find, 60))[0]


def resolution(case: StoredCase, action: str, **more: Any) -> Resolution:
    return Resolution.model_validate(
        {"case_id": case.case_id, "action": action, "operator": "op", "note": "seen", **more}
    )


async def refused(handle: WorkflowHandle[Any, BookingResult], update: str, argument: object) -> str:
    """The type of the error an update is refused with."""
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(update, argument, result_type=Accepted)
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    return cause.type or ""


async def test_a_price_above_consent_waits_and_is_captured_once_accepted(at_work: House) -> None:
    trip = await at_work.prepare()
    await at_work.fault(contains=trip.correlation_id, **_PRICE, action="price_changed", percent=10)
    handle = await at_work.start(trip)
    await until(at_work, trip, BookingState.PRICE_CHANGED)
    status = await handle.query("state", result_type=BookingStatus)
    assert trip.plan.consent.limit < status.total
    too_low = Money(amount_minor=status.total.amount_minor - 1, currency="EUR")
    assert await refused(handle, "accept_price", AcceptPrice(total=too_low)) == "price_moved_again"
    assert (await at_work.ledger(trip.booking_id)) == [], "no money moves before consent"
    await handle.execute_update("accept_price", AcceptPrice(total=status.total), result_type=Accepted)
    result = await handle.result()
    assert (result.state, result.captured) == (BookingState.CONFIRMED, status.total)
    assert await audit_of(at_work, trip) == []


async def test_a_rise_within_the_tolerance_needs_no_question(at_work: House) -> None:
    trip = await at_work.prepare(tolerance_percent=5)
    await at_work.fault(contains=trip.correlation_id, **_PRICE, action="price_changed", percent=5)
    result = await (await at_work.start(trip)).result()
    assert result.state == BookingState.CONFIRMED
    assert result.captured is not None
    assert trip.plan.consent.total < result.captured <= trip.plan.consent.limit


async def test_a_fall_is_passed_on(at_work: House) -> None:
    trip = await at_work.prepare()
    await at_work.fault(contains=trip.correlation_id, **_PRICE, action="price_changed", percent=-10)
    result = await (await at_work.start(trip)).result()
    assert result.captured is not None
    assert result.captured < trip.plan.consent.total
    assert await audit_of(at_work, trip) == []


async def test_nobody_accepts_the_price_in_time(at_work: House) -> None:
    policy = at_work.settings.saga.model_copy(update={"consent_timeout_s": 1.5})
    trip = await at_work.prepare(policy=policy)
    await at_work.fault(contains=trip.correlation_id, **_PRICE, action="price_changed", percent=10)
    handle = await at_work.start(trip)
    result = await handle.result()
    assert result.state == BookingState.FAILED
    assert (await at_work.stored(trip.booking_id)).reason == "consent_timeout"
    assert await at_work.ledger(trip.booking_id) == []


async def test_the_traveller_cancels_while_a_price_waits(at_work: House) -> None:
    trip = await at_work.prepare()
    await at_work.fault(contains=trip.correlation_id, **_PRICE, action="price_changed", percent=10)
    handle = await at_work.start(trip)
    await until(at_work, trip, BookingState.PRICE_CHANGED)
    await handle.execute_update("cancel", CancelRequest(requested_by="traveller"), result_type=Accepted)
    assert (await handle.result()).state == BookingState.CANCELLED


async def test_a_cancel_after_the_money_is_taken_is_refused(at_work: House) -> None:
    trip = await at_work.prepare()
    await at_work.fault(contains=trip.correlation_id, **CAPTURE_ROUTE, action="delay", delay_s=2)
    handle = await at_work.start(trip)
    await eventually(lambda: _at_capture(handle))
    assert await refused(handle, "cancel", CancelRequest(requested_by="traveller")) == "not_cancellable"
    assert (await handle.result()).state == BookingState.CONFIRMED
    assert await audit_of(at_work, trip) == []


async def _at_capture(handle: WorkflowHandle[Any, BookingResult]) -> bool:
    description = await handle.describe()
    return any(pending.activity_type.name == "capture" for pending in description.raw_description.pending_activities)


async def test_an_optional_item_that_is_gone_is_left_out_and_not_charged(at_work: House) -> None:
    trip = await at_work.prepare(optional=("car",))
    await at_work.fault(contains=trip.correlation_id, **CAR_ROUTE, action="refuse")
    result = await (await at_work.start(trip)).result()
    stored = await at_work.stored(trip.booking_id)
    car = next(item for item in stored.items if item.kind == "car")
    assert (result.state, car.state) == (BookingState.PARTIALLY_CONFIRMED, ItemState.LEFT_OUT)
    assert result.captured is not None
    assert result.captured.amount_minor == trip.plan.consent.total.amount_minor - car.offer_price.amount_minor
    assert await audit_of(at_work, trip) == []


async def test_an_operator_who_finds_the_booking_saves_the_trip(at_work: House) -> None:
    trip = await at_work.prepare()
    await at_work.fault(contains=trip.correlation_id, **CAR_ROUTE, action="drop_after")
    handle = await at_work.start(trip)
    case = await open_case(at_work, trip)
    stored = await at_work.stored(trip.booking_id)
    assert stored.state == BookingState.NEEDS_OPERATOR
    assert [effect.vendor for effect in case.effects] == ["duffel_cars"]
    wrong = case.model_copy(update={"case_id": "case_of_somebody_else"})
    assert await refused(handle, "resolve", resolution(wrong, "retry")) == "case_not_open"
    car = next(entry for entry in (await at_work.books(trip.booking_id))["reservations"] if entry["kind"] == "car")
    found = resolution(case, "confirmed_at_vendor", provider_reference=car["object_id"])
    await handle.execute_update("resolve", found, result_type=Accepted)
    assert (await handle.result()).state == BookingState.CONFIRMED
    assert await audit_of(at_work, trip) == []


async def test_nobody_answers_the_case_and_everything_is_undone_but_the_doubt(at_work: House) -> None:
    """The holds' deadline ends the operator's time; what is in doubt stays a case, and nothing else stays at all."""
    policy = at_work.settings.saga.model_copy(update={"hold_margin_s": 1785, "assumed_hold_s": 1795})
    trip = await at_work.prepare(policy=policy)
    await at_work.fault(contains=trip.correlation_id, **CAR_ROUTE, action="drop_after")
    handle = await at_work.start(trip)
    case = await open_case(at_work, trip, "could not undo")
    books = await at_work.books(trip.booking_id)
    assert [entry["kind"] for entry in books["reservations"] if entry["status"] in ("held", "confirmed")] == ["car"]
    assert not any(payment["authorisation_open"] for payment in books["payments"])
    car = next(entry for entry in books["reservations"] if entry["kind"] == "car")
    found = resolution(case, "confirmed_at_vendor", provider_reference=car["object_id"])
    await handle.execute_update("resolve", found, result_type=Accepted)
    assert (await handle.result()).state == BookingState.FAILED
    assert await audit_of(at_work, trip) == []


async def test_a_hold_that_ends_too_soon_is_never_paid_for(at_work: House) -> None:
    policy = at_work.settings.saga.model_copy(update={"hold_margin_s": 4000})
    trip = await at_work.prepare(policy=policy)
    result = await (await at_work.start(trip)).result()
    assert result.state == BookingState.FAILED
    assert (await at_work.stored(trip.booking_id)).reason == "hold_expired"
    assert "payment.captured" not in str(await at_work.ledger(trip.booking_id))
    assert await audit_of(at_work, trip) == []


async def test_after_a_long_authentication_the_price_is_checked_again(at_work: House) -> None:
    """What waited longer than prices stay fresh is verified before inventory moves; a rise then needs consent and a new
    authorisation, and the first one is let go."""
    policy = at_work.settings.saga.model_copy(update={"freshness_s": 0.5, "payment_poll_s": 0.5})
    trip = await at_work.prepare(policy=policy)
    pay = {"vendor": "stripe", "method": "POST", "path": "/payment_intents$"}
    await at_work.fault(contains=trip.correlation_id, **pay, action="three_d_secure")
    await at_work.fault(contains=trip.correlation_id, **_PRICE, action="price_changed", percent=10, nth=2)
    handle = await at_work.start(trip)
    await until(at_work, trip, BookingState.AWAITING_PAYMENT, waiting="customer")
    await asyncio.sleep(0.6)  # the price must really be older than `freshness_s`; nothing is waited for
    payment = (await at_work.books(trip.booking_id))["payments"][0]
    await at_work.sandbox.post(
        f"/_sandbox/stripe/payment_intents/{payment['object_id']}/authenticate", json={"succeed": True}
    )
    await until(at_work, trip, BookingState.PRICE_CHANGED)
    status = await handle.query("state", result_type=BookingStatus)
    await handle.execute_update("accept_price", AcceptPrice(total=status.total), result_type=Accepted)
    result = await handle.result()
    assert (result.state, result.captured) == (BookingState.CONFIRMED, status.total)
    captured = [entry["captured_minor"] for entry in (await at_work.books(trip.booking_id))["payments"]]
    assert sorted(captured) == [0, status.total.amount_minor]
    assert await audit_of(at_work, trip) == []


async def test_a_customer_who_fails_the_authentication_is_not_charged(at_work: House) -> None:
    trip = await at_work.prepare(payment_method="pm_card_authenticationRequired")
    handle = await at_work.start(trip)
    await until(at_work, trip, BookingState.AWAITING_PAYMENT, waiting="customer")
    payment = (await at_work.books(trip.booking_id))["payments"][0]
    await at_work.sandbox.post(
        f"/_sandbox/stripe/payment_intents/{payment['object_id']}/authenticate", json={"succeed": False}
    )
    assert (await handle.result()).state == BookingState.FAILED
    assert await audit_of(at_work, trip) == []
