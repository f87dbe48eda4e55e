"""The application behind a real HTTP server, on the loop of the tests."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ctrl-C belongs to pytest."""
        yield


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[int]:
    """The port of 127.0.0.1 it listens on, as production would: httptools, no logging of uvicorn's."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, http="httptools", log_config=None, access_log=False, timeout_graceful_shutdown=5)
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        started = asyncio.get_running_loop().time()
        while not server.started:
            assert not serving.done(), serving.result()
            assert asyncio.get_running_loop().time() < started + 20
            await asyncio.sleep(0)
        yield listener.getsockname()[1]
        server.should_exit = True
        await serving
