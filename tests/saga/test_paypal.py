"""Trips paid through PayPal: by a kept account, by a payer who approves, and as the second method after Stripe."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from schema.states import BookingState, PaymentState
from store import payments
from store.payments import StoredPayment
from tests.saga.harness import House, Trip
from tests.saga.waiting import eventually
from workers.audit import check, gather

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

KEPT = {"payment_provider": "paypal", "payment_method": "vault:8kk8451t"}
ON_PAYPALS_PAGE = {"payment_provider": "paypal", "payment_method": "paypal"}
CREATE = {"vendor": "paypal", "method": "POST", "path": "/v2/checkout/orders$"}
AUTHORISE = {"vendor": "paypal", "method": "POST", "path": "/v2/checkout/orders/.*/authorize$"}
DAY_S = 86_400
CAPTURE = {"vendor": "paypal", "method": "POST", "path": "/v2/payments/authorizations/.*/capture$"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def at_work(house: House) -> AsyncGenerator[House]:
    async with house.worker():
        yield house


async def violations(house: House, trip: Trip) -> list[str]:
    report = check(await gather(house.settings, [trip.booking_id], policy=trip.plan.policy, histories=1))
    return [violation.text for violation in report.violations]


async def stored_payments(house: House, trip: Trip) -> list[StoredPayment]:
    async with house.database.read() as connection:
        return await payments.of_booking(connection, trip.booking_id)


async def waits_for_approval(house: House, trip: Trip) -> str:
    """The order's id, once the payer is waited for."""

    async def waiting() -> list[str]:
        found = await stored_payments(house, trip)
        return [
            payment.provider_reference
            for payment in found
            if payment.state == PaymentState.ACTION_REQUIRED and payment.provider_reference is not None
        ]

    return (await eventually(waiting))[0]


@pytest.mark.parametrize(
    "fault",
    [
        None,
        {**CREATE, "action": "drop_after"},
        {**AUTHORISE, "action": "drop_after"},
        {**AUTHORISE, "action": "server_error_after", "status": 500},
        {**CAPTURE, "action": "drop_after"},
        {**CAPTURE, "action": "accept_later", "delay_s": 2},
    ],
    ids=["happy", "order_lost", "authorisation_lost", "authorisation_500", "capture_lost", "capture_later"],
)
async def test_a_trip_by_a_kept_account(at_work: House, fault: dict[str, Any] | None):
    house = at_work
    trip = await house.prepare(kinds=("flight",), **KEPT)
    if fault is not None:
        await house.fault(**fault, contains=trip.correlation_id)
    result = await (await house.start(trip)).result()
    assert result.state == BookingState.CONFIRMED
    (money,) = (await house.books(trip.booking_id))["payments"]
    assert (money["vendor"], money["captured_minor"]) == ("paypal", trip.plan.consent.total.amount_minor)
    assert await violations(house, trip) == []


async def test_the_payer_approves_and_the_trip_goes_on(at_work: House):
    house = at_work
    trip = await house.prepare(kinds=("flight",), **ON_PAYPALS_PAGE)
    handle = await house.start(trip)
    order = await waits_for_approval(house, trip)

    async def says_so() -> bool:
        return (await house.stored(trip.booking_id)).waiting_for == "customer: agree to the payment with paypal"

    await eventually(says_so)
    found = await house.vendors.payments("paypal").get(order, trip.correlation_id)
    assert found.approval_url is not None
    assert (await house.sandbox.post(f"/_sandbox/paypal/orders/{order}/approve")).is_success
    assert (await handle.result()).state == BookingState.CONFIRMED
    assert await violations(house, trip) == []


async def test_a_payer_who_never_comes_is_charged_nothing(at_work: House):
    house = at_work
    policy = house.settings.saga.model_copy(update={"payment_action_timeout_s": 1.5})
    trip = await house.prepare(kinds=("flight",), policy=policy, **ON_PAYPALS_PAGE)
    result = await (await house.start(trip)).result()
    assert (result.state, (await house.stored(trip.booking_id)).reason) == (
        BookingState.FAILED,
        "payment_not_completed",
    )
    assert [payment.state for payment in await stored_payments(house, trip)] == [PaymentState.VOIDED]
    assert await violations(house, trip) == []


async def test_a_failed_trip_lets_go_of_the_money(at_work: House):
    house = at_work
    trip = await house.prepare(kinds=("flight", "car"), **KEPT)
    await house.fault(
        vendor="duffel", method="POST", path="/cars/bookings$", action="sold_out", contains=trip.correlation_id
    )
    assert (await (await house.start(trip)).result()).state == BookingState.FAILED
    (money,) = (await house.books(trip.booking_id))["payments"]
    assert (money["captured_minor"], money["authorisation_open"]) == (0, False)
    assert await violations(house, trip) == []


@pytest.mark.parametrize(
    "refused",
    [
        {"action": "decline"},
        {"action": "rate_limited", "times": None, "retry_after_s": 0},
    ],
    ids=["declined", "away"],
)
async def test_the_second_method_is_tried_after_the_first_had_no_effect(at_work: House, refused: dict[str, Any]):
    house = at_work
    policy = house.settings.saga.model_copy(update={"retry_attempts": 2, "provider_patience_s": 60})
    trip = await house.prepare(kinds=("flight",), backup=("paypal", "vault:8kk8451t"), policy=policy)
    await house.fault(vendor="stripe", path="/payment_intents", contains=trip.correlation_id, **refused)
    assert (await (await house.start(trip)).result()).state == BookingState.CONFIRMED
    found = await stored_payments(house, trip)
    assert [(payment.provider, payment.state) for payment in found[-1:]] == [("paypal", PaymentState.CAPTURED)]
    assert all(payment.captured.amount_minor == 0 for payment in found[:-1])
    assert await violations(house, trip) == []


async def test_the_second_method_is_not_tried_while_the_first_may_still_have_an_effect(at_work: House):
    """Stripe answers nothing and shows nothing: its call may still be on its way."""
    house = at_work
    policy = house.settings.saga.model_copy(
        update={"provider_pause_s": 0.1, "provider_patience_s": 60, "max_payments": 4}
    )
    trip = await house.prepare(kinds=("flight",), backup=("paypal", "vault:8kk8451t"), policy=policy)
    lost = {"vendor": "stripe", "method": "POST", "path": "/payment_intents$", "action": "drop_before", "times": None}
    await house.fault(**lost, contains=trip.correlation_id)
    assert (await (await house.start(trip)).result()).state == BookingState.FAILED
    assert {payment.provider for payment in await stored_payments(house, trip)} == {"stripe"}
    assert (await house.books(trip.booking_id))["payments"] == []
    assert await violations(house, trip) == []


async def test_what_is_honoured_no_longer_is_reserved_anew(at_work: House):
    """The saga waits beyond the three days for which PayPal vouches, while the hold lives: the money is reserved anew, then taken."""
    house = at_work
    trip = await house.prepare(kinds=("flight",), **KEPT)
    await house.fault(**AUTHORISE, action="aged", age_s=3 * DAY_S, contains=trip.correlation_id)
    assert (await (await house.start(trip)).result()).state == BookingState.CONFIRMED
    effects = [entry["type"] for entry in await house.ledger(trip.booking_id) if entry["type"].startswith("payment.")]
    assert effects == ["payment.authorised", "payment.reauthorised", "payment.captured"]
    assert await violations(house, trip) == []


@pytest.mark.parametrize("renewable", [False, True], ids=["it_is_gone", "it_is_not_renewed"])
async def test_what_has_ended_before_it_was_taken_fails_the_trip(at_work: House, renewable: bool):
    house = at_work
    trip = await house.prepare(kinds=("flight",), **KEPT)
    age_s = 3 * DAY_S if renewable else 29 * DAY_S - 1
    await house.fault(**AUTHORISE, action="aged", age_s=age_s, contains=trip.correlation_id)
    if renewable:
        await house.fault(vendor="paypal", path="/reauthorize$", action="refuse", contains=trip.correlation_id)
    else:
        hold = {"vendor": "duffel", "method": "POST", "path": "/air/orders$", "action": "delay", "delay_s": 2}
        await house.fault(**hold, contains=trip.correlation_id)
    assert (await (await house.start(trip)).result()).state == BookingState.FAILED
    assert (await house.stored(trip.booking_id)).reason == "authorisation_expired"
    (money,) = (await house.books(trip.booking_id))["payments"]
    assert (money["captured_minor"], money["authorisation_open"]) == (0, False)
    assert {line["status"] for line in (await house.books(trip.booking_id))["reservations"]} == {"cancelled"}
    assert await violations(house, trip) == []
