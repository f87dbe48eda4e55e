"""What the relay does for live feeds: numbers without gaps, each client's own, and kept for a while in Valkey."""

from sqlalchemy import insert

from sandbox.stack import Stack
from schema.references import new_id
from schema.states import BookingState
from schema.tables import events
from store.clients import ensure_client
from store.database import Database
from store.feed_window import KEPT_S
from store.outbox import held_outbox
from tests.relay.conftest import Client, Relaying
from tests.relay.consumer import Consumer
from tests.saga.waiting import eventually


async def test_each_client_has_numbers_of_its_own(client: Client, relay: Relaying) -> None:
    other_id = await ensure_client(client.database, name=new_id("client"), scopes=[], token=new_id("token"))
    other = Client(other_id, client.database, client.redis, client.valkey_url)
    mine, theirs = await client.lives(), await other.lives()
    second = await client.lives()
    async with relay(batch=3):
        await eventually(client.all_published)
        await eventually(other.all_published)
    for one, bookings in ((client, [mine, second]), (other, [theirs])):
        told = await one.feed()
        assert [message.sequence for message in told] == list(range(1, len(bookings) * 4 + 1))
        assert [message.data["booking_id"] for message in told] == [booking for booking in bookings for _ in range(4)]
        assert told == await one.kept()
        assert await one.feed_head() == len(told)


async def test_a_message_says_what_a_webhook_says_and_leaves_valkey_in_time(client: Client, relay: Relaying) -> None:
    booking_id = await client.lives()
    async with relay():
        await eventually(client.all_published)
    last = (await client.feed())[-1]
    assert last.type == "booking.confirmed"
    assert last.data["booking_id"] == booking_id
    assert (last.data["version"], last.data["state"]) == (3, "CONFIRMED")
    ttl_s = await client.redis.ttl(f"feed:message:{client.client_id}:4")
    assert KEPT_S - 60 < ttl_s <= KEPT_S


async def test_while_valkey_is_away_the_books_have_the_feed(client: Client, relay: Relaying, servers: Stack) -> None:
    async with relay():
        await servers.stop("valkey")
        try:
            await client.lives()

            async def all_numbered() -> bool:
                return len(await client.feed()) == 4

            await eventually(all_numbered)
        finally:
            await servers.start("valkey")
        await eventually(client.all_published)
    assert [message.sequence for message in await client.feed()] == [1, 2, 3, 4]


async def test_an_event_keeps_the_number_it_was_given(client: Client, postgres_url: str) -> None:
    """Also for one who has read it before that."""
    await client.lives()
    lock_database = Database(postgres_url, pool_size=1)
    try:
        async with held_outbox(lock_database, 5) as outbox:
            assert outbox is not None
            ours = [event for event in await outbox.unpublished(1000) if event.client_id == client.client_id]
            first = await outbox.number(ours[:2])
            again = await outbox.number(ours)
    finally:
        await lock_database.aclose()
    assert [event.feed_sequence for event in first] == [1, 2]
    assert [event.feed_sequence for event in again] == [1, 2, 3, 4]


async def test_notices_are_for_the_feed_only(client: Client, consumer: Consumer, relay: Relaying) -> None:
    await client.listens(consumer.url(), "*")
    booking_id = await client.books()
    notice = {
        "client_id": client.client_id,
        "booking_id": booking_id,
        "stream": "notice:booking_confirmed",
        "version": 1,
        "type": "notice.booking_confirmed",
        "state": "PENDING",
        "data": {},
    }
    async with client.database.transaction() as connection:
        await connection.execute(insert(events).values(**notice))
    await client.moves(booking_id, 1, BookingState.AWAITING_PAYMENT)
    async with relay():
        await eventually(client.told_all)
    assert [message.type for message in await client.feed()] == [
        "booking.pending",
        "notice.booking_confirmed",
        "booking.awaiting_payment",
    ]
    assert sorted(message.version for message in consumer.got) == [0, 1]
