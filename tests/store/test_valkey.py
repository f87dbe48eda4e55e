"""The door to Valkey: whoever is cancelled meanwhile, ends."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from search.ages import Ages
from search.copies import Copies
from search.listening import listen
from store.feed_window import FeedWindow
from store.valkey import Valkey

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]
_SEED = 20261128


async def _command(valkey: Valkey) -> None:
    while True:
        await valkey.set("test-of-cancellation", b"x", 60)
        await asyncio.sleep(0)  # while Valkey is away nothing is awaited


async def _line_of_the_live_feed(valkey: Valkey) -> None:
    async for _ in FeedWindow(valkey).listen():
        pass


async def _line_of_the_search_room(valkey: Valkey) -> None:
    await listen(valkey, Copies(max_bytes=1), Ages())


@pytest.mark.parametrize("work", [_command, _line_of_the_live_feed, _line_of_the_search_room])
async def test_a_task_that_is_cancelled_meanwhile_ends(
    work: Callable[[Valkey], Awaitable[None]], valkey_url: str
) -> None:
    rng = random.Random(_SEED)  # noqa: S311  # chooses moments, guards no secret
    valkey = Valkey(valkey_url)
    for _ in range(100):
        working = [asyncio.ensure_future(work(valkey)) for _ in range(10)]
        await asyncio.sleep(rng.uniform(0, 0.005))  # the moment is the test's input, not a synchronisation
        for task in working:
            task.cancel()
        _, left = await asyncio.wait(working, timeout=5)
        for task in left:
            task.cancel()
        assert not left, f"{len(left)} have gone on"
    await valkey.aclose()
