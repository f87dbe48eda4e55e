"""Webhooks: kept once, and only those wake a workflow that one waits for."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from schema.bookings import workflow_id_for
from schema.dead_letters import Failure
from schema.money import Money
from schema.outcomes import Confirmed
from schema.payments import refund_key, refund_workflow_id_for
from schema.references import booking_id_for, new_id, payment_id_for
from store import bookings, dead_letters, inbox, payments
from store.clients import ensure_client
from store.database import Database
from store.dead_letters import LetterFilter
from store.inbox import InboxMessage
from tests.store.made import new_booking

pytestmark = pytest.mark.asyncio(loop_scope="session")
EUR_9 = Money(amount_minor=900, currency="EUR")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(postgres_url: str) -> AsyncGenerator[Database]:
    opened = Database(postgres_url, pool_size=4)
    yield opened
    await opened.aclose()


def news(booking_id: str | None = None, payment_id: str | None = None) -> InboxMessage:
    return InboxMessage(vendor="stripe", event_id=new_id("evt"), type="x", booking_id=booking_id, payment_id=payment_id)


async def test_a_message_is_new_until_it_is_handled(database: Database) -> None:
    message = news(payment_id="pay_1")
    async with database.transaction() as connection:
        assert await inbox.receive(connection, message)
        assert await inbox.receive(connection, message), "its first receiver may have died"
        await inbox.handled(connection, message)
        assert not await inbox.receive(connection, message)


async def test_a_message_that_concerns_nothing_is_handled_when_it_is_received(database: Database) -> None:
    async with database.transaction() as connection:
        assert not await inbox.receive(connection, news())


async def test_the_third_failure_buries_a_message_once(database: Database) -> None:
    message, failure = news(payment_id="pay_1"), Failure(cause="handing_over_failed", detail="ValueError")
    async with database.transaction() as connection:
        await inbox.receive(connection, message)
        assert [await inbox.failed(connection, message, failure) for _ in range(4)] == [False, False, True, False]
        assert not await inbox.receive(connection, message)
        page = await dead_letters.listed(connection, LetterFilter(cause="handing_over_failed"), 200, None)
    (letter,) = [letter for letter in page.letters if letter.event_id == message.event_id]
    assert (letter.failures, letter.detail, letter.payment_id) == (3, "ValueError", "pay_1")
    assert InboxMessage.of(letter) == message


async def test_only_those_who_wait_are_woken(database: Database) -> None:
    client_id = await ensure_client(database, name=new_id("client"), scopes=[], token=new_id("token"))
    new = new_booking(client_id, booking_id_for(client_id, "key-of-this-test"))
    payment_id, found = payment_id_for(new.booking_id, 0), Confirmed(provider_reference=new_id("pi"))
    meant = [news(payment_id=payment_id), news(booking_id=new.booking_id)]
    async with database.transaction() as connection:

        async def woken() -> list[str] | None:
            of_payment, of_booking = [await inbox.who_waits(connection, message) for message in meant]
            assert of_payment == of_booking
            return None if of_payment is None else [waiting.workflow_id for waiting in of_payment]

        await bookings.create(connection, new)
        assert await woken() is None, "the payment is not in the books yet"
        await payments.ensure(connection, payment_id, new.booking_id, 0, "stripe", "EUR")
        assert await woken() == []
        await payments.action_required(connection, payment_id, found.provider_reference)
        assert await woken() == [workflow_id_for(new.booking_id)]
        await payments.authorised(connection, payment_id, EUR_9, found)
        await payments.captured(connection, payment_id, EUR_9)
        assert await woken() == []
        key = refund_key(payment_id, "cancellation-3", 0)
        await payments.refund_began(connection, key, payment_id, EUR_9)
        await payments.refund_accepted(connection, key, payment_id, "re_1")
        assert await woken() == [refund_workflow_id_for(payment_id, "cancellation-3")]
        await payments.refund_succeeded(connection, key, payment_id, "re_1")
        assert await woken() == []
