"""Waiting for something to become true, with a deadline; the one place that polls."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")


async def eventually(look: Callable[[], Awaitable[Found]], timeout_s: float = 30, every_s: float = 0.05) -> Found:
    """The first answer that is not empty or false; TimeoutError when there is none in time."""
    async with asyncio.timeout(timeout_s):
        while not (found := await look()):  # noqa: ASYNC110  # what is waited for is in another process
            await asyncio.sleep(every_s)
        return found
