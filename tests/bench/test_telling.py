"""The bench of webhooks and lags hears what an endpoint hears, and accepts no event that is late for good, doubled or out of order."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import replace

import psutil
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from bench import telling as module
from bench.house import House
from bench.load import BenchFailed, Ended, Run
from bench.telling import ENDPOINT, Receiver, Telling
from store.event_stream import STREAM
from tests.saga.harness import House as RealHouse
from tests.saga.harness import running_house
from workers.relay import relaying

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]
BODY = b'{"type":"booking.confirmed","timestamp":"2026-01-01T00:00:00Z","data":{"booking_id":"%b","version":%d}}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[RealHouse]:
    async with (
        running_house(tmp_path_factory.mktemp("telling")) as house,
        house.worker(),
        relaying(house.settings, house.database, house.valkey),
    ):
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def told(real: RealHouse) -> AsyncGenerator[Telling]:
    house = House(real.stack, real.client, real.database, real.sandbox, real.sandbox, {"worker": psutil.Process()})
    async with Redis.from_url(real.stack.state.valkey_url) as redis:
        yield Telling(house, redis, Receiver())


async def booked(real: RealHouse) -> Run:
    trip = await real.prepare(kinds=("hotel",))
    result = await (await real.start(trip)).result()
    return Run("saga", 20, [Ended(f"booking-{trip.booking_id}", 0, 0, result)], 1, {})


async def test_every_event_is_timed_from_its_transaction_to_the_stream(real: RealHouse, told: Telling) -> None:
    began = time.time()
    await told.look(await booked(real))
    assert len(told.lags.stream_ms) >= 4
    assert all(0 <= lag_ms < 1000 * (time.time() - began) for lag_ms in told.lags.stream_ms)
    assert told.lags.delivered_ms == []


async def test_what_is_told_twice_or_never_is_no_measurement(
    real: RealHouse, told: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await booked(real)
    await told.look(run)
    monkeypatch.setattr(module, "_PATIENCE_S", 0.2)
    with pytest.raises(BenchFailed, match="never told"):
        await told.look(replace(run, side=ENDPOINT))
    async with Redis.from_url(real.stack.state.valkey_url) as redis:
        ((_, fields),) = await redis.xrange(STREAM, count=1)
        await redis.xadd(STREAM, fields)
    with pytest.raises(BenchFailed, match="twice"):
        await told.look(run)


async def test_the_receiver_keeps_the_first_time_of_each_event() -> None:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    began = time.time()
    for version in (1, 2, 1):
        body = BODY % (b"A", version)
        writer.write(b"POST /events HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
    writer.close()
    server.close()
    came = receiver.first_by_name()
    assert list(came) == ["booking.confirmed 1 of A", "booking.confirmed 2 of A"]
    assert began <= came["booking.confirmed 1 of A"] <= came["booking.confirmed 2 of A"] <= time.time()
    assert len(receiver.got) == 3
