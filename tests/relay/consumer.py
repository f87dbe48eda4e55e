"""A client's webhook endpoint, which answers as it is told."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from standardwebhooks import Webhook


@dataclass(frozen=True)
class Message:
    """One POST."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def version(self) -> int:
        return json.loads(self.body)["data"]["version"]

    def verified_by(self, secret: str) -> dict:
        """The body; raises unless it is signed with the secret."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Consumer:
    port: int
    answer: Callable[[Message], str] = lambda _: "200 OK"
    """Status line, and headers after it; `hang` never answers."""
    got: list[Message] = field(default_factory=list)

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/events"

    def versions(self) -> list[int]:
        return [message.version for message in self.got]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(_header(line) for line in head[1:-2])
                body = await reader.readexactly(int(headers["content-length"]))
                message = Message(head[0].split(" ")[1], headers, body)
                said = self.answer(message)
                self.got.append(message)
                if said == "hang":
                    await asyncio.Event().wait()
                writer.write(f"HTTP/1.1 {said}\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()


def _header(line: str) -> tuple[str, str]:
    name, value = line.split(": ", 1)
    return name.lower(), value


@asynccontextmanager
async def consuming() -> AsyncGenerator[Consumer]:
    consumer = Consumer(0)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await consumer.serve(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    consumer.port = server.sockets[0].getsockname()[1]
    try:
        yield consumer
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving)
