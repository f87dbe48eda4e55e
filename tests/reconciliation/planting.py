"""What can be wrong between vendors and us, planted by acting at the vendors directly, or by taking a workflow away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import text
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from gateways.ports import LookUp, ReservationRequest
from schema.bookings import workflow_id_for
from schema.outcomes import Confirmed
from schema.payments import cancellation_workflow_id_for
from schema.references import booking_id_for, item_reference, new_id, payment_id_for
from schema.states import BookingState, PaymentState
from store import bookings, payments
from tests.saga.driver import People
from tests.saga.harness import House, Trip, traveller
from tests.saga.table import CAPTURE_ROUTE, RELEASE_HOTEL, TRIPS
from tests.saga.waiting import eventually

STRIPE_KEY = "sk_test_travelhub"
AUTHORISE = {"vendor": "stripe", "method": "POST", "path": "/payment_intents$"}
GET_INTENT = {"vendor": "stripe", "method": "GET", "path": "/payment_intents/pi_"}


async def at_stripe(house: House, path: str, form: dict[str, object]) -> dict[str, Any]:
    """A person at Stripe's dashboard."""
    data = {name: str(value) for name, value in form.items()}
    answer = await house.sandbox.post(f"/stripe/v1{path}", data=data, headers={"Authorization": f"Bearer {STRIPE_KEY}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def at_paypal(house: House, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """A person at PayPal's own pages."""
    settings = house.settings
    assert settings.paypal_client_id is not None
    assert settings.paypal_client_secret is not None
    known_as = (settings.paypal_client_id, settings.paypal_client_secret.get_secret_value())
    form = {"grant_type": "client_credentials"}
    token = (await house.sandbox.post("/paypal/v1/oauth2/token", data=form, auth=known_as)).json()["access_token"]
    answer = await house.sandbox.request(
        method, f"/paypal{path}", json=body, headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.is_success, answer.text
    return answer.json()


async def intent(house: House, booking_id: str, payment_id: str, *, capture: bool) -> str:
    """A payment under our ids that none of our workflows has made."""
    form = {
        "amount": 12_300,
        "currency": "eur",
        "confirm": "true",
        "capture_method": "manual",
        "payment_method": "pm_card_visa",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        "metadata[booking_id]": booking_id,
        "metadata[payment_id]": payment_id,
    }
    made = await at_stripe(house, "/payment_intents", form)
    if capture:
        await at_stripe(house, f"/payment_intents/{made['id']}/capture", {})
    return made["id"]


async def ended(house: House, **options: Any) -> Trip:
    """A trip that has come to its end by itself."""
    trip = await house.prepare(**options)
    await (await house.start(trip)).result()
    return trip


async def failed(house: House, **options: Any) -> Trip:
    """One that never reserved anything."""
    trip = await ended(house, kinds=("flight",), payment_method="pm_card_chargeDeclined", **options)
    assert (await house.stored(trip.booking_id)).state == BookingState.FAILED
    return trip


async def captured_intent(house: House, trip: Trip) -> dict[str, Any]:
    found = (await house.books(trip.booking_id))["payments"]
    return next(payment for payment in found if payment["captured_minor"])


async def unknown_reserved(house: House) -> str:
    booking_id = booking_id_for("nobody", new_id("reserved"))
    await intent(house, booking_id, payment_id_for(booking_id, 0), capture=False)
    return booking_id


async def unknown_paid(house: House) -> str:
    booking_id = booking_id_for("nobody", new_id("paid"))
    await intent(house, booking_id, payment_id_for(booking_id, 0), capture=True)
    return booking_id


async def failed_in_doubt(house: House) -> str:
    """Whether the card was reached nobody ever said, and nothing was found: our books still have it in doubt."""
    once = house.settings.saga.model_copy(update={"max_payments": 1})
    trip = await house.prepare(kinds=("flight",), policy=once)
    await house.fault(contains=trip.correlation_id, **AUTHORISE, action="drop_before", times=None)
    await (await house.start(trip)).result()
    return trip.booking_id


async def failed_and_reserved(house: House) -> str:
    trip = await failed(house)
    await intent(house, trip.booking_id, payment_id_for(trip.booking_id, 1), capture=False)
    return trip.booking_id


async def failed_and_paid(house: House) -> str:
    trip = await failed(house)
    await intent(house, trip.booking_id, payment_id_for(trip.booking_id, 1), capture=True)
    return trip.booking_id


async def failed_and_held(house: House) -> str:
    trip = await failed(house)
    await house.vendors.supplier("duffel").hold(by_hand(trip))
    return trip.booking_id


async def failed_and_booked(house: House) -> str:
    """To cancel it costs something, which people decide on."""
    trip = await failed(house)
    outcome, _ = await house.vendors.supplier("duffel").book(by_hand(trip))
    assert isinstance(outcome, Confirmed)
    return trip.booking_id


def by_hand(trip: Trip) -> ReservationRequest:
    """The trip's flight under our reference, from nobody of ours."""
    item = trip.booking.items[0]
    assert item.supplier == "duffel"
    return ReservationRequest(
        reference=item_reference(trip.booking_id, 1, 0),
        price=item.price,
        supplier_state=item.supplier_state,
        travellers=[traveller()],
        correlation_id="by-hand",
    )


async def refunded_by_hand(house: House) -> str:
    trip = await ended(house, kinds=("flight",))
    paid = await captured_intent(house, trip)
    await at_stripe(house, "/refunds", {"payment_intent": paid["object_id"], "amount": 500})
    return trip.booking_id


async def refunded_by_hand_at_paypal(house: House) -> str:
    trip = await ended(house, **TRIPS["paypal"])
    paid = await captured_intent(house, trip)
    order = await at_paypal(house, "GET", f"/v2/checkout/orders/{paid['object_id']}")
    capture_id = order["purchase_units"][0]["payments"]["captures"][0]["id"]
    amount = {"amount": {"currency_code": "EUR", "value": "5.00"}}
    await at_paypal(house, "POST", f"/v2/payments/captures/{capture_id}/refund", amount)
    return trip.booking_id


async def disputed(house: House) -> str:
    trip = await ended(house, kinds=("flight",))
    paid = await captured_intent(house, trip)
    answer = await house.sandbox.post(f"/_sandbox/stripe/payment_intents/{paid['object_id']}/dispute")
    assert answer.status_code == 200, answer.text
    return trip.booking_id


async def order_cancelled_by_hand(house: House) -> str:
    """The airline takes the flight off; our books still rely on it. Its list shows that."""
    trip = await ended(house)
    await cancel_at_supplier(house, trip, "duffel")
    return trip.booking_id


async def hotel_cancelled_by_hand(house: House) -> str:
    """The same, at a supplier that shows no list."""
    trip = await ended(house, kinds=("hotel",))
    await cancel_at_supplier(house, trip, "expedia_rapid")
    return trip.booking_id


async def cancel_at_supplier(house: House, trip: Trip, code: str) -> None:
    item = next(item for item in (await house.stored(trip.booking_id)).items if item.supplier == code)
    supplier = house.vendors.supplier(code)
    look_up = LookUp(
        reference=item.client_reference,
        provider_reference=item.provider_booking_ref,
        supplier_state=item.supplier_state,
        travellers=[traveller()],
        since=trip.booking.created_at,
        correlation_id="by-hand",
    )
    found = await supplier.find(look_up)
    assert found is not None
    await supplier.cancel(found, "by-hand")


async def price_changed(house: House) -> str:
    trip = await ended(house)
    await run_sql(
        house,
        "UPDATE booking_items SET price_minor = price_minor - 7 WHERE booking_id = :booking AND item_no = 1",
        trip,
    )
    return trip.booking_id


async def ledger_lost(house: House) -> str:
    """As after a restore that lost some rows: the table itself refuses to lose any."""
    trip = await ended(house)
    await run_sql(house, "DELETE FROM ledger_entries WHERE booking_id = :booking AND effect_key LIKE '%captured'", trip)
    return trip.booking_id


async def run_sql(house: House, statement: str, trip: Trip) -> None:
    async with house.database.transaction() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        changed = await connection.execute(text(statement), {"booking": trip.booking_id})
        assert changed.rowcount


async def still_at_work(house: House) -> str:
    """Nothing is wrong with it: its customer takes a while."""
    policy = house.settings.saga.model_copy(update={"payment_action_timeout_s": 120})
    trip = await house.prepare(payment_method="pm_card_authenticationRequired", policy=policy)
    await house.start(trip)
    await until_state(house, trip, BookingState.AWAITING_PAYMENT, "customer")
    return trip.booking_id


# ---------------------------------------------------------------------- workflows that are taken away


async def left_without_a_trace(house: House) -> str:
    """Started once, and Temporal knows nothing of it any more."""
    trip = await house.prepare()
    async with house.database.read() as connection:
        await bookings.mark_started(connection, trip.booking_id)
    return trip.booking_id


async def left_while_authorising(house: House) -> str:
    """Nobody knows whether the card was reached."""
    trip = await house.prepare()
    await house.fault(contains=trip.correlation_id, **AUTHORISE, action="drop_before", times=50)
    await house.start(trip)

    async def in_doubt() -> bool:
        async with house.database.read() as connection:
            found = await payments.of_booking(connection, trip.booking_id)
        return any(payment.state == PaymentState.IN_DOUBT for payment in found)

    await eventually(in_doubt)
    await take_away(house, workflow_id_for(trip.booking_id))
    return trip.booking_id


async def left_waiting_for_the_customer(house: House) -> str:
    trip = await house.prepare(payment_method="pm_card_authenticationRequired")
    await house.start(trip)
    await until_state(house, trip, BookingState.AWAITING_PAYMENT, "customer")
    await take_away(house, workflow_id_for(trip.booking_id))
    return trip.booking_id


async def left_while_holding(house: House) -> str:
    trip = await house.prepare()
    await house.fault(
        contains=trip.correlation_id,
        vendor="expedia_rapid",
        method="POST",
        path="/itineraries",
        action="delay",
        delay_s=2,
    )
    await house.start(trip)
    await _until_effect(house, trip, "flight.held")
    await take_away(house, workflow_id_for(trip.booking_id))
    return trip.booking_id


async def left_before_the_capture(house: House) -> str:
    trip = await house.prepare()
    await house.fault(contains=trip.correlation_id, **CAPTURE_ROUTE, action="server_error", status=503)
    await house.start(trip)
    await _until_effect(house, trip, "hotel.booked")
    await take_away(house, workflow_id_for(trip.booking_id))
    return trip.booking_id


async def left_after_the_capture(house: House) -> str:
    """The money is taken, and nobody has heard of it."""
    trip = await house.prepare()
    await house.fault(contains=trip.correlation_id, **CAPTURE_ROUTE, action="drop_after")
    await house.fault(contains=trip.correlation_id, **GET_INTENT, action="server_error", status=503, times=50)
    await house.start(trip)
    await _until_effect(house, trip, "payment.captured")
    await take_away(house, workflow_id_for(trip.booking_id))
    return trip.booking_id


async def left_while_cancelling(house: House) -> str:
    trip = await ended(house)
    version = (await house.stored(trip.booking_id)).version
    await house.fault(contains=trip.correlation_id, **RELEASE_HOTEL, action="server_error", status=503, times=50)
    people = People(house, trip)

    async def cancel() -> None:
        await people.cancel_for_the_fee()

    cancelling = asyncio.create_task(cancel())
    await _until_effect(house, trip, "car.cancelled")
    await take_away(house, cancellation_workflow_id_for(trip.booking_id, version))
    cancelling.cancel()
    return trip.booking_id


async def take_away(house: House, workflow_id: str) -> None:
    """Terminated, and its history deleted, which Temporal does in its own time."""
    await house.client.get_workflow_handle(workflow_id).terminate("planted")
    request = DeleteWorkflowExecutionRequest(
        namespace=house.client.namespace, workflow_execution=WorkflowExecution(workflow_id=workflow_id)
    )
    await house.client.workflow_service.delete_workflow_execution(request)


async def until_state(house: House, trip: Trip, state: BookingState, waiting: str) -> None:
    async def reached() -> bool:
        stored = await house.stored(trip.booking_id)
        return stored.state == state and waiting in (stored.waiting_for or "")

    await eventually(reached, 90)


async def _until_effect(house: House, trip: Trip, effect: str) -> None:
    async def reached() -> bool:
        return any(entry["type"] == effect for entry in await house.ledger(trip.booking_id))

    await eventually(reached)


PLANTS: dict[str, Callable[[House], Awaitable[str]]] = {
    plant.__name__: plant
    for plant in (
        unknown_reserved,
        unknown_paid,
        failed_in_doubt,
        failed_and_reserved,
        failed_and_paid,
        failed_and_held,
        refunded_by_hand,
        refunded_by_hand_at_paypal,
        disputed,
        order_cancelled_by_hand,
        hotel_cancelled_by_hand,
        price_changed,
        ledger_lost,
        still_at_work,
        left_without_a_trace,
        left_while_authorising,
        left_waiting_for_the_customer,
        left_while_holding,
        left_before_the_capture,
        left_after_the_capture,
        left_while_cancelling,
    )
}
