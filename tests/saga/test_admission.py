"""E1: what the API stored and could not hand over, because it died or Temporal was away, is started by the sweep, once."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from activities.sweeping import Sweeping, SweepInput
from schema.offers import FoundOffer
from schema.references import new_id, payment_id_for
from schema.states import BookingState
from store import deliveries, endpoints, inbox, offers, payments
from store.endpoints import NewEndpoint
from store.inbox import InboxMessage
from tests.saga.harness import House

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


def sweeping(house: House) -> Sweeping:
    return Sweeping(house.database, house.valkey, house.vendors, house.client, house.settings)


async def test_a_stored_booking_without_a_workflow_is_started_once(house: House) -> None:
    trip = await house.prepare()
    sweep = sweeping(house)
    await sweep.sweep_admissions(SweepInput(older_than_s=60))
    assert (await house.stored(trip.booking_id)).workflow_started_at is None, "the young ones are the API's"
    assert (await sweep.sweep_admissions(SweepInput(older_than_s=0))).started >= 1
    assert (await sweep.sweep_admissions(SweepInput(older_than_s=0))).started == 0
    handle = await house.start(trip)  # what a client's repeat does: the same workflow, not a second one
    async with house.worker(graceful_shutdown_timeout=timedelta(seconds=1)):
        assert (await handle.result()).state == BookingState.CONFIRMED
    types = [effect["type"] for effect in await house.ledger(trip.booking_id)]
    assert types.count("payment.captured") == 1


async def test_offers_nobody_can_book_any_more_are_forgotten(house: House) -> None:
    trip = await house.prepare(kinds=("hotel",))
    old, young = [trip.booking.items[0].offer.model_copy(update={"expires_at": moment}) for moment in _moments()]
    async with house.database.transaction() as connection:
        found = [FoundOffer(offer=offer, supplier_state={}) for offer in (old, young)]
        named = [offer.offer_id for offer in await offers.save(connection, house.client_id, found)]
    await sweeping(house).sweep_admissions(SweepInput(older_than_s=0))
    async with house.database.read() as connection:
        kept = await offers.load(connection, house.client_id, named)
    assert set(kept) == {named[1]}, "one that has just expired is kept, to say so to whoever books it"


def _moments() -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    return now - timedelta(days=2), now - timedelta(minutes=1)


async def test_a_webhook_nobody_handled_is_handed_over(house: House) -> None:
    trip = await house.prepare(kinds=("hotel",))
    payment_id = payment_id_for(trip.booking_id, 0)
    message = InboxMessage(
        vendor="stripe",
        event_id="evt_nobody_handled",
        type="payment_intent.succeeded",
        booking_id=trip.booking_id,
        payment_id=payment_id,
    )
    async with house.database.transaction() as connection:
        await payments.ensure(connection, payment_id, trip.booking_id, 0, "stripe", "EUR")
        assert await inbox.receive(connection, message)
        assert await inbox.receive(connection, message), "not handled yet: a second delivery must not be swallowed"
    await sweeping(house).sweep_admissions(SweepInput(older_than_s=0))
    async with house.database.transaction() as connection:
        assert not await inbox.receive(connection, message)


async def test_deliveries_that_were_over_long_ago_are_forgotten_in_batches(house: House) -> None:
    kept_s = house.settings.relay.deliveries_kept_s
    endpoint = await _endpoint(house)
    ages_s = {"long ago": kept_s + 60, "lately": kept_s - 60}
    plan = [("delivered", "long ago", 2500), ("given_up", "long ago", 3), ("pending", "long ago", 2)]
    plan += [("delivered", "lately", 5), ("given_up", "lately", 7)]
    for state, when, count in plan:
        await _delivered(house, endpoint, state, ages_s[when], count)
    async with house.database.transaction() as connection:
        before = datetime.now(UTC) - timedelta(seconds=kept_s)
        assert await deliveries.prune(connection, before, 10) == 10, "no transaction takes more than its batch"
    swept = await sweeping(house).sweep_admissions(SweepInput())
    assert swept.deliveries_forgotten == 2493
    async with house.database.read() as connection:
        left = Counter(one.state for one in await deliveries.recent(connection, endpoint, 3000))
    assert left == {"pending": 2, "delivered": 5, "given_up": 7}
    async with house.database.transaction() as connection:
        assert await endpoints.remove(connection, house.client_id, endpoint)


async def _endpoint(house: House) -> str:
    new = NewEndpoint(
        endpoint_id=new_id("we"),
        client_id=house.client_id,
        url="http://127.0.0.1:9/",
        # No event has this type: nothing is ever sent there.
        event_types=["nothing.at_all"],
        description=None,
        made_for="key-of-this-test",
    )
    async with house.database.transaction() as connection:
        assert await endpoints.add(connection, new, 10)
    return new.endpoint_id


async def _delivered(house: House, endpoint_id: str, state: str, age_s: float, count: int) -> None:
    """Deliveries whose last attempt was so long ago, or is due since then."""
    statement = text("""
        INSERT INTO webhook_deliveries (id, endpoint_id, subject, type, occurred_at, data, state, next_attempt_at)
        SELECT 'msg_' || gen_random_uuid(), :endpoint, 'subject', 'nothing.at_all', moment, '{}', :state, moment
        FROM generate_series(1, :count), (SELECT now() - make_interval(secs => :age_s) AS moment) AS at
    """)
    values = {"endpoint": endpoint_id, "state": state, "age_s": age_s, "count": count}
    async with house.database.transaction() as connection:
        await connection.execute(statement, values)
