"""A straggler that begins after its undo (A5, A6): the tombstone stops it before it calls anybody."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.found_offers import FoundOffers
from activities.payments import Payments
from activities.releasing import Releasing
from activities.reservations import Reservations
from activities.undoing import Undoing
from schema.bookings import ItemStep, Undone
from schema.outcomes import Rejected, Unknown
from schema.payments import PaymentStep, UndoPayment
from schema.references import payment_id_for
from tests.saga.harness import House, Trip

pytestmark = pytest.mark.asyncio(loop_scope="session")


def reservations_of(house: House) -> Reservations:
    return Reservations(house.database, house.vendors, FoundOffers(house.database, house.valkey))


async def run(activity: Callable[[Any], Awaitable[Any]], argument: object) -> Any:
    return await ActivityEnvironment().run(activity, argument)


def step_of(trip: Trip, kind: str) -> ItemStep:
    item = next(item for item in trip.plan.items if item.kind == kind)
    return ItemStep(
        booking_id=trip.booking_id,
        item_no=item.item_no,
        generation=0,
        correlation_id=trip.correlation_id,
        retry_initial_s=0.05,
    )


@pytest.mark.parametrize(("kind", "step"), [("flight", "hold"), ("hotel", "hold"), ("flight", "book"), ("car", "book")])
async def test_nothing_is_reserved_after_its_undo(house: House, kind: str, step: str) -> None:
    trip = await house.prepare()
    reservations = reservations_of(house)
    undone = await run(Undoing(house.database, house.vendors).undo_item, step_of(trip, kind))
    assert isinstance(undone.result, Undone), "nobody had called yet"
    late = await run(getattr(reservations, step), step_of(trip, kind))
    assert isinstance(late.outcome, Rejected)
    assert await house.ledger(trip.booking_id) == []


async def test_what_the_supplier_shows_as_pending_is_not_taken_for_absent(house: House) -> None:
    """It may yet be booked: the undo is tried until the supplier has decided, and is an operator's case if it never does."""
    trip = await house.prepare(hold=False)
    booking = {"vendor": "expedia_rapid", "method": "POST", "path": "/itineraries"}
    await house.fault(contains=trip.correlation_id, **booking, action="accept_later", delay_s=60)
    booked = await run(
        reservations_of(house).book,
        step_of(trip, "hotel"),
    )
    assert isinstance(booked.outcome, Unknown)
    with pytest.raises(ApplicationError) as caught:
        await run(Undoing(house.database, house.vendors).undo_item, step_of(trip, "hotel"))
    assert (caught.value.type, caught.value.non_retryable) == ("outcome_unclear", False)


async def test_no_money_is_reserved_after_its_undo(house: House) -> None:
    trip = await house.prepare()
    payments = Payments(house.database, house.vendors)
    common = {
        "booking_id": trip.booking_id,
        "payment_id": payment_id_for(trip.booking_id, 0),
        "generation": 0,
        "correlation_id": trip.correlation_id,
        "retry_initial_s": 0.05,
    }
    assert (
        await run(Releasing(house.database, house.vendors).undo_payment, UndoPayment.model_validate(common))
    ).kind == "voided"
    late = await run(payments.authorise, PaymentStep.model_validate({**common, "amount": trip.plan.consent.total}))
    assert isinstance(late.outcome, Rejected)
    assert await house.ledger(trip.booking_id) == []
