"""A load balancer that cuts connections: TCP, to whichever of its targets answers."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """Listens on `url`; new connections go to one of `ports`."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self._open: set[asyncio.StreamWriter] = set()
        self.opened = 0
        self.url = ""

    def cut(self, share: float) -> int:
        """Resets about this share of the connections, whatever is under way on them."""
        chosen = [writer for writer in self._open if random.random() < share]  # noqa: S311  # guards nothing
        for writer in chosen:
            writer.transport.abort()
        return len(chosen)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self.opened += 1
        try:
            await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # asyncio's streams complain of a cancelled task
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for port in random.sample(self.ports, len(self.ports)):
            with contextlib.suppress(OSError):
                target_reader, target = await asyncio.open_connection("127.0.0.1", port)
                break
        else:
            return
        try:
            ways = [asyncio.create_task(_pump(reader, target)), asyncio.create_task(_pump(target_reader, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            target.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def proxying(*ports: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(list(ports))
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut(1)
