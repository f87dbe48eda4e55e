"""Waits for what other tasks do, a turn of the loop at a time."""

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110  # what it looks at tells nobody
            await asyncio.sleep(0.005)
