"""A real relay process, killed with SIGKILL or stalled after each of its steps: nothing is lost, and nothing is out of order."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandbox.stack import Stack
from tests.relay.conftest import Client, Relaying
from tests.relay.consumer import Consumer
from tests.relay.mortal import POINTS
from tests.saga.waiting import eventually

_ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def relay_that_stops(servers: Stack, point: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """One that has just stopped at the point; it is killed at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.relay.mortal", point),
        cwd=_ROOT,
        env=os.environ | servers.environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            while (line := await process.stdout.readline()).decode().strip() != point:
                assert line, "it has ended by itself"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _once_and_in_order(versions: list[int]) -> bool:
    """Each new one is one more than the one before; repeats apart, and no more than one of each."""
    first_seen = list(dict.fromkeys(versions))
    return first_seen == [0, 1, 2, 3] and all(versions.count(version) <= 2 for version in first_seen)


@pytest.mark.parametrize("point", POINTS)
async def test_killed_after_any_step(
    point: str, client: Client, consumer: Consumer, relay: Relaying, servers: Stack
) -> None:
    await client.listens(consumer.url())
    booking_id = await client.lives()
    async with relay_that_stops(servers, point) as process:
        process.kill()
    async with relay():
        await eventually(client.told_all)
    assert await client.in_stream() == [(booking_id, version) for version in range(4)]
    told = await client.feed()
    assert [(message.sequence, message.data["version"]) for message in told] == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert await client.feed_head() == 4
    assert await client.kept() == told, "what may not have been told is told by the next relay"
    assert _once_and_in_order(consumer.versions()), consumer.versions()
    ids = {version: {message.id for message in consumer.got if message.version == version} for version in range(4)}
    assert all(len(of_version) == 1 for of_version in ids.values()), "a repeat has the id of what it repeats"
    assert len(set.union(*ids.values())) == 4


async def test_a_relay_that_stalls_loses_its_turn_and_does_no_harm(
    client: Client, consumer: Consumer, relay: Relaying, servers: Stack
) -> None:
    """It has read events when it stalls. When it wakes up, others have published these and more."""
    await client.listens(consumer.url())
    booking_id = await client.lives()
    async with relay_that_stops(servers, "read") as stalled:
        async with relay():
            await eventually(client.told_all)
            assert stalled.stdin is not None
            stalled.stdin.write(b"go on\n")
            await stalled.stdin.drain()
            another = await client.lives()
            await eventually(client.told_all)
        # Now it is its turn again, so it must have got over what it had read.
        third = await client.lives()
        await eventually(client.told_all)
    expected = [(made, version) for made in (booking_id, another, third) for version in range(4)]
    assert await client.in_stream() == expected
    told = [(message.data["booking_id"], message.data["version"]) for message in await client.feed()]
    assert told == expected
    assert [message.sequence for message in await client.feed()] == list(range(1, 13))
    assert len(consumer.got) == 12
