"""What a client hears: with the client of the repository, and packet by packet."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from clients.travelhub_live import LiveFeed


async def hear(feed: LiveFeed, up_to: int, within_s: float = 30) -> list[int]:
    """The numbers it hands on, until it has handed on this one."""
    heard: list[int] = []
    async with asyncio.timeout(within_s):
        async for message in feed:
            heard.append(message["sequence"])
            if heard[-1] >= up_to:
                break
    return heard


@asynccontextmanager
async def raw(url: str, hello: object = None, **options: Any) -> AsyncIterator[ClientConnection]:
    """A WebSocket that has said hello, and has read nothing since it was opened."""
    address = url.replace("http", "ws", 1) + "/v1/live/?EIO=4&transport=websocket"
    async with connect(address, compression=None, proxy=None, **options) as line:
        assert (await line.recv()).startswith("0")
        if hello is not None:
            await line.send("40" + json.dumps(hello))
        yield line


async def packets(line: ClientConnection) -> AsyncGenerator[tuple[str, Any]]:
    """Events and their bodies; `refused` and `welcome` are what the server answers to a hello."""
    with suppress(ConnectionClosed):  # however it was closed
        async for data in line:
            kind, body = str(data)[:2], str(data)[2:]
            if kind == "42":
                event, content = json.loads(body)
                yield event, content
            elif kind in ("40", "44"):
                yield ("welcome" if kind == "40" else "refused"), json.loads(body)
            elif data == "2":
                await line.send("3")
