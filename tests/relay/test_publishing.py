"""Out of the outbox: each event once in the stream, a booking's in order, whatever commits late and whatever is away."""

import orjson

from sandbox.stack import Stack
from schema.bookings import StateChange
from schema.states import BookingState
from store import bookings
from store.event_stream import STREAM
from tests.relay.conftest import Client, Relaying
from tests.saga.waiting import eventually


async def test_events_are_in_the_stream_once_and_in_order(client: Client, relay: Relaying) -> None:
    booking_id = await client.lives()
    async with relay():
        await eventually(client.all_published)
    assert await client.in_stream() == [(booking_id, version) for version in range(4)]
    (fields,) = [fields for _, fields in await client.redis.xrevrange(STREAM, count=1)]
    assert fields[b"type"] == b"booking.confirmed"
    assert orjson.loads(fields[b"data"])["state"] == "CONFIRMED"


async def test_what_commits_late_is_not_overlooked(client: Client, relay: Relaying) -> None:
    """Its event has a lower id than those that were published meanwhile."""
    late, early = await client.books(), await client.books()
    change = StateChange(booking_id=late, version=1, state=BookingState.AWAITING_PAYMENT)
    async with relay():
        async with client.database.transaction() as connection:
            await bookings.record(connection, change)
            await client.moves(early, 1, BookingState.AWAITING_PAYMENT)

            async def early_is_out() -> bool:
                return (early, 1) in await client.in_stream()

            await eventually(early_is_out)
        await eventually(client.all_published)
    assert (await client.in_stream())[-1] == (late, 1)


async def test_small_batches_lose_nothing(client: Client, relay: Relaying) -> None:
    made = [await client.lives() for _ in range(3)]
    async with relay(batch=1):
        await eventually(client.all_published)
    stream = await client.in_stream()
    assert sorted(stream) == sorted((booking_id, version) for booking_id in made for version in range(4))
    assert [version for booking_id, version in stream if booking_id == made[1]] == [0, 1, 2, 3]


async def test_publishing_waits_for_valkey_and_goes_on(client: Client, relay: Relaying, servers: Stack) -> None:
    async with relay():
        await servers.stop("valkey")
        try:
            booking_id = await client.lives()
            assert not await client.all_published()
        finally:
            await servers.start("valkey")
        await eventually(client.all_published)
    assert await client.in_stream() == [(booking_id, version) for version in range(4)]


async def test_one_of_two_relays_is_active_and_the_other_takes_over(client: Client, relay: Relaying) -> None:
    """Both believe they may; the second gets its turn when the first one ends."""
    async with relay():
        await client.lives()
        await eventually(client.all_published)
        async with relay():
            await client.lives()
            await eventually(client.all_published)
    async with relay():
        await client.lives()
        await eventually(client.all_published)
    stream = await client.in_stream()
    assert len(stream) == len(set(stream)) == 12
