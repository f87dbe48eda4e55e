"""To clients' endpoints: signed, in order for each booking, again after a failure, and no endpoint waits for another."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, update
from standardwebhooks.webhooks import WebhookVerificationError

from gateways.callbacks import CallbackSender
from schema.tables import webhook_endpoints
from store import deliveries, endpoints
from store.database import Database
from store.deliveries import StoredDelivery
from store.endpoints import StoredEndpoint
from store.outbox import held_outbox
from tests.relay.conftest import QUICK, Client, Relaying
from tests.relay.consumer import Consumer, Message, consuming
from tests.saga.waiting import eventually
from workers.relay.delivering import Deliverer


async def _deliveries(client: Client, endpoint: StoredEndpoint) -> list[StoredDelivery]:
    """Oldest first."""
    async with client.database.read() as connection:
        return (await deliveries.recent(connection, endpoint.endpoint_id, 100))[::-1]


async def test_a_delivery_is_signed_as_standard_webhooks_say(
    client: Client, consumer: Consumer, relay: Relaying
) -> None:
    endpoint = await client.listens(consumer.url(), "booking.confirmed")
    booking_id = await client.lives()
    async with relay():
        await eventually(client.told_all)
    (message,) = consumer.got
    told = message.verified_by(endpoint.secret.get_secret_value())
    assert told["type"] == "booking.confirmed"
    assert told["data"] == {"booking_id": booking_id, "version": 3, "state": "CONFIRMED"}
    assert [(one.delivery_id, one.attempts[0].status) for one in await _deliveries(client, endpoint)] == [
        (message.id, 200)
    ]


async def test_after_a_rotation_both_secrets_verify_until_the_old_one_runs_out(
    client: Client, consumer: Consumer, relay: Relaying
) -> None:
    endpoint = await client.listens(consumer.url())
    async with client.database.transaction() as connection:
        await endpoints.rotate_secret(connection, endpoint.endpoint_id, "another-key")
    old, new = endpoint.secret, (await client.endpoint(endpoint.endpoint_id)).secret
    assert old != new
    booking_id = await client.books()
    async with relay():
        await eventually(client.told_all)
        for secret in (old, new):
            assert consumer.got[0].verified_by(secret.get_secret_value())["data"]["booking_id"] == booking_id
        async with client.database.transaction() as connection:
            run_out = {"previous_secret_until": func.now() - timedelta(seconds=1)}
            await connection.execute(
                update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint.endpoint_id).values(run_out)
            )
        await client.books()
        await eventually(client.told_all)
    consumer.got[-1].verified_by(new.get_secret_value())
    with pytest.raises(WebhookVerificationError):
        consumer.got[-1].verified_by(old.get_secret_value())


async def test_a_failed_one_comes_again_before_those_after_it(
    client: Client, consumer: Consumer, relay: Relaying
) -> None:
    """A redirect is a failure too: nobody follows it."""
    troubles = iter(["500 Oops", "302 Found\r\nLocation: /elsewhere", "hang"])

    def answer(message: Message) -> str:
        return next(troubles, "204 No Content") if message.version == 1 else "200 OK"

    consumer.answer = answer
    endpoint = await client.listens(consumer.url())
    await client.lives()
    async with relay(timeout_s=0.2):
        await eventually(client.told_all)
    assert consumer.versions() == [0, 1, 1, 1, 1, 2, 3]
    assert {message.path for message in consumer.got} == {"/events"}
    assert len({message.id for message in consumer.got if message.version == 1}) == 1
    attempts = (await _deliveries(client, endpoint))[1].attempts
    assert [attempt.status for attempt in attempts] == [500, 302, None, 204]
    assert attempts[2].error == "timeout"
    assert (await client.endpoint(endpoint.endpoint_id)).failing_since is None


async def test_endpoints_do_not_wait_for_each_other(client: Client, consumer: Consumer, relay: Relaying) -> None:
    """One that hangs takes no more than its own share, also where bookings are many."""
    async with consuming() as hanging:
        hanging.answer = lambda _: "hang"
        await client.listens(hanging.url())
        await client.listens(consumer.url())
        made = [await client.books()]

        async def all_told() -> bool:
            return len(consumer.got) == len(made) and len(hanging.got) == min(len(made), 2)

        async with relay(endpoint_concurrency=2, concurrency=4):
            await eventually(all_told)
            made += [await client.books() for _ in range(5)]
            await eventually(all_told, 4)


async def test_410_disables_at_once_and_the_others_are_told(
    client: Client, consumer: Consumer, relay: Relaying
) -> None:
    async with consuming() as leaving:
        leaving.answer = lambda _: "410 Gone"
        gone = await client.listens(leaving.url())
        await client.listens(consumer.url(), "webhook_endpoint.*")
        await client.lives()

        async def is_told() -> bool:
            return len(consumer.got) == 1

        async with relay():
            await eventually(is_told)
            await client.lives()
            await eventually(client.all_published)
    assert leaving.versions() == [0]
    assert [one.state for one in await _deliveries(client, gone)] == ["given_up"] * 4, "nothing new after it"
    told = (await client.endpoint(gone.endpoint_id)).disabled_reason, consumer.got[0].body.decode()
    assert told[0] == "gone"
    assert gone.endpoint_id in told[1]
    assert '"type":"webhook_endpoint.disabled"' in told[1]


async def test_patience_ends_and_what_was_given_up_can_be_replayed(
    client: Client, consumer: Consumer, relay: Relaying
) -> None:
    consumer.answer = lambda _: "503 Service Unavailable"
    endpoint = await client.listens(consumer.url())
    await client.lives()

    async def is_disabled() -> bool:
        return (await client.endpoint(endpoint.endpoint_id)).disabled_reason == "failing"

    async with relay(give_up_after_s=0.3):
        await eventually(is_disabled)
        assert set(consumer.versions()) == {0}
        assert [one.state for one in await _deliveries(client, endpoint)] == ["given_up"] * 4
        consumer.answer = lambda _: "200 OK"
        async with client.database.transaction() as connection:
            await endpoints.enable(connection, endpoint.endpoint_id)
            first, *_ = [one.delivery_id for one in await _deliveries(client, endpoint)]
            assert await deliveries.again(connection, endpoint.endpoint_id, "msg_unknown") == "unknown"
            assert not isinstance(await deliveries.again(connection, endpoint.endpoint_id, first), str)
            assert await deliveries.again(connection, endpoint.endpoint_id, first) == "pending"

        async def has_arrived() -> bool:
            return (await _deliveries(client, endpoint))[0].state == "delivered"

        await eventually(has_arrived)
    assert consumer.got[-1].id == first


async def test_one_that_always_fails_is_given_up_and_lets_the_next_one_pass(
    client: Client, consumer: Consumer, relay: Relaying
) -> None:
    """Others succeed meanwhile, so the endpoint is not to blame."""
    consumer.answer = lambda message: "500 Oops" if message.version == 1 else "200 OK"
    endpoint = await client.listens(consumer.url())
    await client.lives()

    async def is_through() -> bool:
        await client.books()
        return [one.state for one in (await _deliveries(client, endpoint))[3:4]] == ["delivered"]

    async with relay(give_up_after_s=0.5):
        await eventually(is_through)
    states = [one.state for one in (await _deliveries(client, endpoint))[:4]]
    assert states == ["delivered", "given_up", "delivered", "delivered"]
    assert (await client.endpoint(endpoint.endpoint_id)).disabled_at is None


async def test_where_private_targets_are_not_allowed_nothing_is_sent(
    client: Client, consumer: Consumer, relay: Relaying
) -> None:
    endpoint = await client.listens(consumer.url())
    await client.books()

    async def has_tried() -> bool:
        return bool((await _deliveries(client, endpoint))[0].attempts) if await client.all_published() else False

    async with relay(allow_private_targets=False):
        await eventually(has_tried)
    assert (await _deliveries(client, endpoint))[0].attempts[0].error == "forbidden_address"
    assert consumer.got == []


async def test_nothing_is_sent_once_the_turn_may_be_over(client: Client, consumer: Consumer, postgres_url: str) -> None:
    await client.listens(consumer.url())
    await client.books()
    lock_database = Database(postgres_url, pool_size=1)
    async with held_outbox(lock_database, 5) as outbox:
        assert outbox is not None
        await outbox.mark_published([event.id for event in await outbox.unpublished(1000)])
    await lock_database.aclose()
    deliverer = Deliverer(QUICK, client.database, CallbackSender(timeout_s=1, concurrency=1, allow_private=True))
    assert await deliverer._due() == []
    deliverer.go_on_until(asyncio.get_running_loop().time() + 5)
    assert [due.url for due in await deliverer._due()] == [consumer.url()]
