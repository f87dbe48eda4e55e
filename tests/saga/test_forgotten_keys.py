"""E8: an idempotency key that is older than its provider keeps it. The worker that had sent the call was away for longer than that."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.payments import Payments
from activities.releasing import Releasing
from schema.outcomes import Confirmed, Unknown
from schema.payments import PaymentStep, UndoPayment
from schema.references import payment_id_for, step_key
from store import attempts
from tests.saga.harness import House, Trip
from tests.saga.test_paypal import AUTHORISE as AUTHORISE_ORDER
from tests.saga.test_paypal import KEPT

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

STRIPE_SENDS = {"vendor": "stripe", "method": "POST", "path": "/payment_intents$"}


@pytest_asyncio.fixture(loop_scope="session")
async def forgetful(house: House) -> AsyncGenerator[House]:
    """Providers that forget a key as soon as they have answered it."""
    await house.sandbox.put("/_sandbox/stripe/settings", json={"keys_s": 0})
    await house.sandbox.put("/_sandbox/paypal/settings", json={"order_keys_s": 0})
    yield house
    await house.sandbox.put("/_sandbox/stripe/settings", json={})
    await house.sandbox.put("/_sandbox/paypal/settings", json={})


def step_of(trip: Trip) -> PaymentStep:
    return PaymentStep(
        booking_id=trip.booking_id,
        payment_id=payment_id_for(trip.booking_id, 0),
        generation=0,
        amount=trip.plan.consent.total,
        correlation_id=trip.correlation_id,
        retry_initial_s=0.05,
    )


async def run(activity: Any, argument: object) -> Any:
    return await ActivityEnvironment().run(activity, argument)


async def grows_old(house: House, trip: Trip, hours: int) -> None:
    statement = (
        "UPDATE attempts SET created_at = created_at - make_interval(hours => :hours) WHERE booking_id = :booking"
    )
    async with house.database.transaction() as connection:
        await connection.execute(text(statement), {"hours": hours, "booking": trip.booking_id})


async def reserved_times(house: House, trip: Trip) -> int:
    return sum(payment["authorisation_open"] for payment in (await house.books(trip.booking_id))["payments"])


async def asked_and_not_heard(house: House, rule: dict[str, Any], **options: Any) -> Trip:
    trip = await house.prepare(kinds=("flight",), **options)
    await house.fault(contains=trip.correlation_id, **rule, action="drop_after")
    result = await run(Payments(house.database, house.vendors).authorise, step_of(trip))
    assert isinstance(result.outcome, Unknown)
    assert await reserved_times(house, trip) == 1
    return trip


async def test_the_sandbox_really_forgets(forgetful: House):
    """Otherwise the tests below would prove nothing: a key that is young is simply sent again, and would reserve twice."""
    trip = await asked_and_not_heard(forgetful, STRIPE_SENDS)
    await run(Payments(forgetful.database, forgetful.vendors).authorise, step_of(trip))
    assert await reserved_times(forgetful, trip) == 2


async def test_a_provider_that_can_be_asked_is_asked(forgetful: House):
    house = forgetful
    trip = await asked_and_not_heard(house, STRIPE_SENDS)
    await grows_old(house, trip, 24)
    result = await run(Payments(house.database, house.vendors).authorise, step_of(trip))
    assert isinstance(result.outcome, Confirmed)
    assert await reserved_times(house, trip) == 1


async def test_what_never_arrived_is_sent_after_all(forgetful: House):
    house = forgetful
    trip = await house.prepare(kinds=("flight",))
    await house.fault(contains=trip.correlation_id, **STRIPE_SENDS, action="drop_before")
    authorise = Payments(house.database, house.vendors).authorise
    assert isinstance((await run(authorise, step_of(trip))).outcome, Unknown)
    await grows_old(house, trip, 24)
    assert isinstance((await run(authorise, step_of(trip))).outcome, Confirmed)
    assert await reserved_times(house, trip) == 1


async def test_a_provider_that_cannot_be_asked_is_a_persons_case(forgetful: House):
    """PayPal shows an order to whoever knows its id, and knows its key for six hours: after that nothing is sent, nor undone."""
    house = forgetful
    trip = await asked_and_not_heard(house, AUTHORISE_ORDER, **KEPT)
    await grows_old(house, trip, 6)
    paying = Payments(house.database, house.vendors)
    assert isinstance((await run(paying.authorise, step_of(trip))).outcome, Unknown)
    undo = UndoPayment(**step_of(trip).model_dump(exclude={"step_generation"}))
    for activity, argument in (
        (paying.find_out_authorisation, step_of(trip)),
        (Releasing(house.database, house.vendors).undo_payment, undo),
    ):
        with pytest.raises(ApplicationError) as caught:
            await run(activity, argument)
        assert (caught.value.type, caught.value.non_retryable) == ("cannot_find_out", True)
    assert await reserved_times(house, trip) == 1
    async with house.database.read() as connection:
        attempt = await attempts.by_key(connection, step_key(trip.booking_id, "authorise", 0))
    assert attempt is not None
    assert attempt.status == "unknown", "nobody has guessed"
