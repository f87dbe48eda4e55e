"""The API as a process of its own, on a port of its own."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

import httpx

from sandbox.stack import Stack

_PROGRAM = "from api.serve import serve; from schema.settings import Settings; serve(Settings.load())"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def start_api(
    stack: Stack, port: int, *, log: int | IO[bytes] = asyncio.subprocess.PIPE, **environment: str
) -> asyncio.subprocess.Process:
    """Logs go to its standard error, as JSON; into a pipe that nobody reads only so many fit.
    `environment`: more settings, by their names without the prefix."""
    named = {f"TRAVELHUB_{name}": value for name, value in environment.items()}
    own = {"TRAVELHUB_API_PORT": str(port), "TRAVELHUB_LOG_FORMAT": "json", "TRAVELHUB_LIVE__DRAIN_NOTICE_S": "0"}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PROGRAM),
        env={**os.environ, **stack.environment(), **own, **named},
        stderr=log,
    )


@asynccontextmanager
async def api_process(stack: Stack, port: int, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Killed at the end of the block, unless it has ended."""
    process = await start_api(stack, port, **environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def lives(http: httpx.AsyncClient, process: asyncio.subprocess.Process, within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while True:
            assert process.returncode is None, "it has ended by itself"
            try:
                assert (await http.get("/health/live")).status_code == 200
                return
            except httpx.TransportError:
                await asyncio.sleep(0.05)  # it has not bound its port yet, and cannot tell us when it has
