"""E1, E3: the API, or the worker that sweeps, dies between any two steps of a webhook's way: stored, handed over, signalled, marked.
Somebody else goes on with it, and it has its effect once."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select
from temporalio.api.enums.v1 import EventType

from activities.sweeping import Sweeping, SweepInput
from api.app import create_app
from schema.references import payment_id_for
from schema.states import BookingState, PaymentState
from schema.tables import dead_letters, inbox
from store import payments
from tests.saga.driver import Ended
from tests.saga.harness import FAST, House, Trip
from tests.saga.mortal import Died, Mortal, MortalClient, MortalDatabase
from tests.saga.replaying import replay
from tests.saga.table import Case
from tests.saga.test_webhook_orders import METHODS, signed, webhook_body
from tests.saga.waiting import eventually
from workers.audit import check, gather

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

STEPS = 8
"""Of the API: a transaction that stores, the question who waits, the signal, the mark; each has a before and an after."""
NEWS = {"stripe": "payment_intent.amount_capturable_updated", "paypal": "CHECKOUT.ORDER.APPROVED"}
PATIENT = FAST.model_copy(update={"payment_poll_s": 100, "payment_action_timeout_s": 100})
"""Nobody looks by himself: without its webhook the trip would wait until the test has failed."""
SWEEPS_AT_MOST = 60


@dataclass
class Waiting:
    """A trip whose customer has just paid, and the webhook that says so."""

    provider: str
    trip: Trip
    event_id: str
    body: bytes


def answered(provider: str) -> str:
    return "pm_card_authenticationRequired" if provider == "stripe" else METHODS[provider]


async def waiting(house: House, provider: str) -> Waiting:
    trip = await house.prepare(
        kinds=("car",), payment_provider=provider, payment_method=answered(provider), policy=PATIENT
    )
    await house.start(trip)

    async def asked() -> str | None:
        async with house.database.read() as connection:
            payment = await payments.get(connection, payment_id_for(trip.booking_id, 0))
        return payment.provider_reference if payment and payment.state == PaymentState.ACTION_REQUIRED else None

    reference = await eventually(asked, 60)
    await eventually(lambda: _waits_for_the_customer(house, trip))
    path = f"paypal/orders/{reference}/approve"
    if provider == "stripe":
        path = f"stripe/payment_intents/{reference}/authenticate"
    assert (await house.sandbox.post(f"/_sandbox/{path}")).is_success
    event_id = f"evt_{uuid4().hex}"
    return Waiting(provider, trip, event_id, webhook_body(provider, event_id, NEWS[provider], trip.booking_id))


async def _waits_for_the_customer(house: House, trip: Trip) -> bool:
    return "customer" in ((await house.stored(trip.booking_id)).waiting_for or "")


async def told_by(house: House, news: Waiting, mortal: Mortal) -> bool:
    """The webhook arrives at an API that will die. Whether it has been answered."""
    app = create_app(house.settings, house.vendors)
    async with app.router.lifespan_context(app):
        services = app.state.services
        app.state.services = replace(
            services,
            database=MortalDatabase(services.database, mortal),
            temporal=MortalClient(services.temporal, mortal),
        )
        try:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as http:
                headers = signed(house, news.provider, news.body)
                answer = await http.post(f"/v1/webhooks/{news.provider}", content=news.body, headers=headers)
        except (Died, BaseExceptionGroup):
            return False
        finally:
            app.state.services = services
        return answer.status_code == 200


def sweeping(house: House, mortal: Mortal | None = None) -> Sweeping:
    database: Any = house.database if mortal is None else MortalDatabase(house.database, mortal)
    client: Any = house.client if mortal is None else MortalClient(house.client, mortal)
    return Sweeping(database, house.valkey, house.vendors, client, house.settings)


async def is_stored(house: House, news: Waiting) -> bool:
    async with house.database.read() as connection:
        return await connection.scalar(select(inbox.c.event_id).where(inbox.c.event_id == news.event_id)) is not None


async def had_its_effect_once(house: House, news: Waiting) -> None:
    trip = news.trip
    assert trip.handle is not None
    async with asyncio.timeout(90):
        result = await trip.handle.result()
    assert result.state == BookingState.CONFIRMED
    async with house.database.read() as connection:
        row = (await connection.execute(select(inbox).where(inbox.c.event_id == news.event_id))).one()
        buried = await connection.scalar(
            select(func.count()).select_from(dead_letters).where(dead_letters.c.event_id == news.event_id)
        )
    assert (row.handled_at is not None, row.failures, buried) == (True, 0, 0)
    types = [entry["type"] for entry in await house.ledger(trip.booking_id)]
    assert (types.count("payment.authorised"), types.count("payment.captured"), types.count("car.booked")) == (1, 1, 1)
    report = check(await gather(house.settings, [trip.booking_id], policy=PATIENT, histories=1))
    assert [violation.text for violation in report.violations] == []
    await replay(Ended(Case("held"), trip, result.state, result.reason, [trip.handle], False))


async def signals_to(trip: Trip) -> int:
    assert trip.handle is not None
    history = await trip.handle.fetch_history()
    return sum(event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED for event in history.events)


@pytest.mark.parametrize("provider", METHODS)
async def test_the_api_dies_between_any_two_steps(provider: str, house: House) -> None:
    async with house.worker():
        told = await asyncio.gather(*(waiting(house, provider) for _ in range(STEPS + 1)))
        for step, news in enumerate(told, 1):
            mortal = Mortal(step)
            is_answered = await told_by(house, news, mortal)
            assert (mortal.died_at is None) == (step > STEPS), "each step was met, and there are no more of them"
            assert await is_stored(house, news) == (step > 1)
            if not is_answered and step == 1:
                # What was not answered the provider sends again; what was, it does not.
                assert await told_by(house, news, Mortal(0))
        await sweeping(house).sweep_admissions(SweepInput(older_than_s=0))
        await asyncio.gather(*(had_its_effect_once(house, news) for news in told))


async def test_the_worker_that_sweeps_dies_between_any_two_steps(house: House) -> None:
    """One message meets the death of one sweep after the other, each a step later than the one before."""
    async with house.worker():
        news = await waiting(house, "stripe")
        assert not await told_by(house, news, Mortal(2)), "stored, and the API is gone"
        deaths: list[str] = []
        for step in range(1, SWEEPS_AT_MOST):
            mortal = Mortal(step)
            try:
                await sweeping(house, mortal).sweep_admissions(SweepInput(older_than_s=0))
            except Died:
                deaths.append(mortal.died_at or "")
            else:
                break
        assert {"before a signal", "after a signal"} <= set(deaths), "the sweep never met the message"
        await had_its_effect_once(house, news)
    assert await signals_to(news.trip) > 1, "dying after the signal, before the mark, it signals again"
