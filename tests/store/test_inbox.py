"""Webhooks: kept once, and only those wake a workflow that one waits for."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from schema.bookings import workflow_id_for
from schema.money import Money
from schema.outcomes import Confirmed
from schema.payments import refund_key, refund_workflow_id_for
from schema.references import booking_id_for, new_id, payment_id_for
from store import bookings, inbox, payments
from store.clients import ensure_client
from store.database import Database
from store.inbox import InboxMessage
from tests.store.made import new_booking

pytestmark = pytest.mark.asyncio(loop_scope="session")
EUR_9 = Money(amount_minor=900, currency="EUR")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(postgres_url: str) -> AsyncGenerator[Database]:
    opened = Database(postgres_url, pool_size=4)
    yield opened
    await opened.aclose()


async def test_a_message_is_new_until_it_is_handled(database: Database) -> None:
    message = InboxMessage(vendor="stripe", event_id=new_id("evt"), type="x", booking_id=None, payment_id=None)
    async with database.transaction() as connection:
        assert await inbox.receive(connection, message)
        assert await inbox.receive(connection, message), "its first receiver may have died"
        await inbox.handled(connection, message.vendor, message.event_id)
        assert not await inbox.receive(connection, message)


async def test_only_those_who_wait_are_woken(database: Database) -> None:
    client_id = await ensure_client(database, name=new_id("client"), scopes=[], token=new_id("token"))
    new = new_booking(client_id, booking_id_for(client_id, "key-of-this-test"))
    payment_id, found = payment_id_for(new.booking_id, 0), Confirmed(provider_reference=new_id("pi"))
    async with database.transaction() as connection:
        await bookings.create(connection, new)
        await payments.ensure(connection, payment_id, new.booking_id, 0, "stripe", "EUR")
        assert await inbox.who_waits(connection, payment_id) == []
        await payments.action_required(connection, payment_id, found.provider_reference)
        assert await inbox.who_waits(connection, payment_id) == [workflow_id_for(new.booking_id)]
        await payments.authorised(connection, payment_id, EUR_9, found)
        await payments.captured(connection, payment_id, EUR_9)
        assert await inbox.who_waits(connection, payment_id) == []
        key = refund_key(payment_id, "cancellation-3", 0)
        await payments.refund_began(connection, key, payment_id, EUR_9)
        await payments.refund_accepted(connection, key, payment_id, "re_1")
        assert await inbox.who_waits(connection, payment_id) == [refund_workflow_id_for(payment_id, "cancellation-3")]
        await payments.refund_succeeded(connection, key, payment_id, "re_1")
        assert await inbox.who_waits(connection, payment_id) == []
