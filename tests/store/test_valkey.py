"""The door to Valkey: whoever is cancelled meanwhile, ends."""

import asyncio
import random

import pytest

from store.valkey import Valkey

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]
_SEED = 20261128


async def test_a_task_that_is_cancelled_during_a_command_ends(valkey_url: str) -> None:
    rng = random.Random(_SEED)  # noqa: S311  # chooses moments, guards no secret
    valkey = Valkey(valkey_url)

    async def work() -> None:
        while True:
            await valkey.set("test-of-cancellation", b"x", 60)
            await asyncio.sleep(0)  # while Valkey is away nothing is awaited

    for _ in range(200):
        working = [asyncio.create_task(work()) for _ in range(10)]
        await asyncio.sleep(rng.uniform(0, 0.005))  # the moment is the test's input, not a synchronisation
        for task in working:
            task.cancel()
        _, left = await asyncio.wait(working, timeout=5)
        for task in left:
            task.cancel()
        assert not left, f"{len(left)} have gone on"
    await valkey.aclose()
