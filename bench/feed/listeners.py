"""Connected clients: bare WebSockets that answer pings, check the numbers, and note how old each message is when it comes."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.feed.planting import Planted
from bench.load import BenchFailed

_AT_ONCE: Final = 50
_PATIENCE_S: Final = 120


class Listener:
    """One connection, from its client's first message on."""

    def __init__(self, line: ClientConnection) -> None:
        self._line = line
        self.last = 0
        self.latencies_ms: list[float] = []

    async def listen(self) -> None:
        """Until the connection ends. Raises BenchFailed for a message that is not the next one."""
        with suppress(ConnectionClosed):
            async for data in self._line:
                packet = str(data)
                if packet == "2":
                    await self._line.send("3")
                elif packet.startswith('42["message",'):
                    self._note(packet)
                elif packet.startswith("44"):
                    raise BenchFailed(f"a listener was refused: {packet}")

    def _note(self, packet: str) -> None:
        message = orjson.loads(packet[2:])[1]
        self.latencies_ms.append(1000 * (time.time() - float(message["data"]["committed_at_s"])))
        if message["sequence"] != self.last + 1:
            raise BenchFailed(f"message {message['sequence']} came after {self.last}")
        self.last += 1


class Listeners:
    """All of them."""

    def __init__(self) -> None:
        self.all: list[Listener] = []
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, listener: Listener) -> None:
        self.all.append(listener)
        self._tasks.append(asyncio.create_task(listener.listen()))

    async def have_heard(self, sequence: int) -> None:
        """Waits until each has had this message. Raises BenchFailed when one has ended or it takes too long."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while any(listener.last < sequence for listener in self.all):
                    for task in self._tasks:
                        if task.done():
                            task.result()
                            raise BenchFailed("a listener was disconnected")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise BenchFailed(f"not every listener has had message {sequence} in {_PATIENCE_S} s") from None

    def take_latencies_ms(self) -> list[float]:
        """Since it was asked last."""
        taken = [latency for listener in self.all for latency in listener.latencies_ms]
        for listener in self.all:
            listener.latencies_ms.clear()
        return taken

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def listening(api_url: str, whose: Sequence[Planted], connections: int) -> AsyncIterator[Listeners]:
    """So many connections, dealt out to the API clients."""
    url = api_url.replace("http", "ws", 1) + "/v1/live/?EIO=4&transport=websocket"
    listeners = Listeners()
    lines: list[ClientConnection] = []
    gate = asyncio.Semaphore(_AT_ONCE)

    async def open_one(number: int) -> None:
        async with gate:
            line = await connect(url, compression=None, ping_interval=None, proxy=None, open_timeout=60)
            lines.append(line)
            hello = {"token": whose[number % len(whose)].token, "last": 0}
            await line.send("40" + orjson.dumps(hello).decode())
            listeners.add(Listener(line))

    try:
        await asyncio.gather(*(open_one(number) for number in range(connections)))
        yield listeners
    finally:
        await listeners.aclose()
        for line in lines:
            line.transport.abort()
