"""Invariant 15: whatever order the webhooks of one payment come in, early, late, doubled or not at all, its trip ends the same."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import permutations
from typing import Any
from uuid import uuid4
from zlib import crc32

import httpx
import pytest
from sqlalchemy import select

from activities.sweeping import Sweeping, SweepInput
from api.app import create_app
from schema.money import Money
from schema.references import payment_id_for
from schema.states import BookingState, PaymentState
from schema.tables import dead_letters, events, inbox, ledger_entries, payments, refunds
from store import payments as payments_store
from tests.saga.driver import SCENARIOS, People
from tests.saga.harness import FAST, House, Trip
from tests.saga.waiting import eventually
from workers.audit import check, gather

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

AT_ONCE = 20
PATIENT = FAST.model_copy(
    update={"step_timeout_s": 30, "heartbeat_timeout_s": 15, "undo_budget_s": 60, "refund_timeout_s": 60}
)
"""No call is lost here, so none of it is waited for; with less, a starved processor brings an operator into some lives."""
EVENTS = {
    "stripe": (
        *("payment_intent.amount_capturable_updated", "payment_intent.succeeded"),
        *("charge.refunded", "refund.updated"),
    ),
    "paypal": (
        *("CHECKOUT.ORDER.APPROVED", "PAYMENT.AUTHORIZATION.CREATED"),
        *("PAYMENT.CAPTURE.COMPLETED", "PAYMENT.CAPTURE.REFUNDED"),
    ),
}
METHODS = {"stripe": "pm_card_visa", "paypal": "paypal"}
_A_WHILE = {"delay_s": 4}
FAULTS = {
    "stripe": [*SCENARIOS["three_d_secure"], *({**rule, **_A_WHILE} for rule in SCENARIOS["refund_pending"])],
    "paypal": [{**rule, **_A_WHILE} for rule in SCENARIOS["paypal_refund_pending"]],
}
"""The customer is asked, and the refund takes a while: somebody waits for news twice."""


Order = tuple[str | None, ...]


@dataclass
class Life:
    """One trip, from its order to its refund, and the webhooks it gets on its way: the first before there is a payment, the second
    while the customer is asked, the third once it is confirmed, the fourth while the refund is pending, the rest when all is over. One
    of them comes twice; at None nothing comes."""

    house: House
    http: httpx.AsyncClient
    provider: str
    order: Order
    doubled: int
    sent: list[str] = field(default_factory=list)
    trip: Trip | None = None

    async def live(self) -> None:
        house = self.house
        trip = await house.prepare(
            kinds=("car",), payment_provider=self.provider, payment_method=METHODS[self.provider], policy=PATIENT
        )
        self.trip, people = trip, People(house, trip)
        for rule in FAULTS[self.provider]:
            await house.fault(contains=trip.correlation_id, **rule)
        await self._tell(0)
        handle = await house.start(trip)
        await eventually(self._customer_is_asked, 90)
        await self._tell(1)
        await people.until_done(handle)
        await self._tell(2)
        cancelling = asyncio.create_task(people.cancel_for_the_fee())
        # On a slow machine the refund may be over before anybody has seen it pending.
        await eventually(lambda: self._is_pending_or_over(cancelling), 90)
        await self._tell(3)
        await cancelling
        for number in range(4, len(self.order)):
            await self._tell(number)

    async def _tell(self, number: int) -> None:
        """Returns when the API is done with it, also after its answer."""
        event_type = self.order[number] if number < len(self.order) else None
        if event_type is None:
            return
        assert self.trip is not None
        event_id = f"evt_{uuid4().hex}"
        body = webhook_body(self.provider, event_id, event_type, self.trip.booking_id)
        for _ in range(1 + (number == self.doubled)):
            headers = signed(self.house, self.provider, body)
            answer = await self.http.post(f"/v1/webhooks/{self.provider}", content=body, headers=headers)
            assert answer.status_code == 200, answer.text
        self.sent.append(event_id)

    async def _customer_is_asked(self) -> bool:
        assert self.trip is not None
        async with self.house.database.read() as connection:
            payment = await payments_store.get(connection, payment_id_for(self.trip.booking_id, 0))
        return payment is not None and payment.state == PaymentState.ACTION_REQUIRED

    async def _is_pending_or_over(self, cancelling: asyncio.Task[Any]) -> bool:
        return cancelling.done() or await self._refund_is_pending()

    async def _refund_is_pending(self) -> bool:
        assert self.trip is not None
        query = select(refunds.c.key).where(
            refunds.c.payment_id == payment_id_for(self.trip.booking_id, 0), refunds.c.status == "pending"
        )
        async with self.house.database.read() as connection:
            return await connection.scalar(query) is not None

    async def end(self) -> dict[str, Any]:
        """Everything that must not depend on the order, without the ids that are its own."""
        assert self.trip is not None
        booking_id = self.trip.booking_id
        payment_id = payment_id_for(booking_id, 0)
        async with self.house.database.read() as connection:
            paid = (await connection.execute(select(payments).where(payments.c.booking_id == booking_id))).one()
            given_back = await connection.execute(select(refunds).where(refunds.c.payment_id == payment_id))
            ledger = await connection.execute(select(ledger_entries).where(ledger_entries.c.booking_id == booking_id))
            told = select(events).where(events.c.booking_id == booking_id).order_by(events.c.stream, events.c.version)
            return {
                "state": (await self.house.stored(booking_id)).state,
                "payment": (paid.state, paid.authorised_minor, paid.captured_minor, paid.refunded_minor),
                "refunds": [(row.status, row.amount_minor) for row in given_back],
                "ledger": sorted(
                    (row.effect_key.removeprefix(payment_id), row.account, row.amount_minor) for row in ledger
                ),
                "events": [(row.type, row.state) for row in await connection.execute(told)],
            }


def webhook_body(provider: str, event_id: str, event_type: str, booking_id: str) -> bytes:
    payment_id = payment_id_for(booking_id, 0)
    if provider == "paypal":
        resource = {"id": "2GG279541U471931P", "custom_id": payment_id}
        document: dict[str, object] = {"id": event_id, "event_type": event_type, "resource": resource}
    else:
        about = {"id": "pi_1", "object": "x", "metadata": {"payment_id": payment_id, "booking_id": booking_id}}
        document = {"id": event_id, "object": "event", "type": event_type, "data": {"object": about}}
    return json.dumps(document, separators=(",", ":")).encode()


def signed(house: House, provider: str, body: bytes) -> dict[str, str]:
    """As the provider's sandbox signs what it sends."""
    if provider == "stripe":
        secret, now = house.settings.stripe_webhook_secret.get_secret_value(), int(time.time())
        signature = hmac.new(secret.encode(), f"{now}.".encode() + body, sha256).hexdigest()
        return {"Stripe-Signature": f"t={now},v1={signature}"}
    number, sent_at = str(uuid4()), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = f"{number}|{sent_at}|{house.settings.paypal_webhook_id}|{crc32(body)}"
    return {
        "PAYPAL-TRANSMISSION-ID": number,
        "PAYPAL-TRANSMISSION-TIME": sent_at,
        "PAYPAL-TRANSMISSION-SIG": hmac.new(b"paypal|1", text.encode(), sha256).hexdigest(),
        "PAYPAL-CERT-URL": "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-5a29e601",
        "PAYPAL-AUTH-ALGO": "SHA256withRSA",
    }


@asynccontextmanager
async def _api(house: House) -> AsyncGenerator[httpx.AsyncClient]:
    app = create_app(house.settings, house.vendors)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as http,
    ):
        yield http


def _orders(provider: str) -> list[Order]:
    """None at all, every order of all four, and every order of one, two or three of them, where the rest comes when all is over."""
    names = EVENTS[provider]
    late: list[Order] = []
    for in_time in (order for count in (1, 2, 3) for order in permutations(names, count)):
        nothing = (None,) * (len(names) - len(in_time))
        late.append((*in_time, *nothing, *(name for name in names if name not in in_time)))
    return [(), *permutations(names), *late]


def _doubled(order: Order, number: int) -> int:
    """Which of them comes twice: each in turn."""
    sent = [place for place, name in enumerate(order) if name is not None]
    return sent[number % len(sent)] if sent else 0


def differing(lives: list[Life], ends: list[dict[str, Any]]) -> list[tuple[Order, dict[str, Any]]]:
    """Orders of webhooks that have made a difference, against no webhook at all, which comes first; and what is different."""
    without = ends[0]
    return [
        (life.order, {part: (without[part], end[part]) for part in end if end[part] != without[part]})
        for life, end in zip(lives, ends, strict=True)
        if end != without
    ]


@pytest.mark.parametrize("provider", EVENTS)
async def test_every_order_of_a_payments_webhooks_ends_the_same(provider: str, house: House) -> None:
    places = asyncio.Semaphore(AT_ONCE)
    async with _api(house) as http, house.worker(sandboxed=False):
        lives = [
            Life(house, http, provider, order, _doubled(order, number))
            for number, order in enumerate(_orders(provider))
        ]

        async def live(life: Life) -> None:
            async with places:
                await life.live()

        await asyncio.gather(*(live(life) for life in lives))
        sweeping = Sweeping(house.database, house.valkey, house.vendors, house.client, house.settings)
        await sweeping.sweep_admissions(SweepInput(older_than_s=0))
    ends = [await life.end() for life in lives]
    without_webhooks = ends[0]
    assert without_webhooks["state"] == BookingState.CANCELLED
    assert [status for status, _ in without_webhooks["refunds"]] == ["succeeded"]
    assert differing(lives, ends) == []
    trips = [life.trip.booking_id for life in lives if life.trip is not None]
    report = check(await gather(house.settings, trips, policy=PATIENT, histories=0))
    assert [violation.text for violation in report.violations] == []
    sent = [event_id for life in lives for event_id in life.sent]
    async with house.database.read() as connection:
        handled = await connection.scalars(select(inbox.c.event_id).where(inbox.c.handled_at.is_not(None)))
        assert set(sent) <= set(handled)
        buried = await connection.scalars(select(dead_letters.c.event_id))
        assert set(sent).isdisjoint(buried)


class Believing(Life):
    """A planted bug: whoever takes its webhooks writes what they say into our books, if they already know the payment."""

    async def _tell(self, number: int) -> None:
        await super()._tell(number)
        assert self.trip is not None
        payment_id = payment_id_for(self.trip.booking_id, 0)
        async with self.house.database.transaction() as connection:
            if "refund.updated" in self.order[number : number + 1] and await payments_store.get(connection, payment_id):
                amount = Money(amount_minor=1, currency="EUR")
                await payments_store.refund_began(connection, f"{payment_id}:as-told:0", payment_id, amount)


async def test_an_order_that_makes_a_difference_is_found(house: House) -> None:
    """Invariant 15 has no checker in the audit: what compares the lives above must itself be able to fail."""
    orders: list[Order] = [(), ("refund.updated",), (None, None, "refund.updated")]
    async with _api(house) as http, house.worker(sandboxed=False):
        lives: list[Life] = [Believing(house, http, "stripe", order, 0) for order in orders]
        await asyncio.gather(*(life.live() for life in lives))
    ends = [await life.end() for life in lives]
    # At first the payment was not known, later it was believed.
    assert [(order, list(what)) for order, what in differing(lives, ends)] == [(orders[2], ["refunds"])]
