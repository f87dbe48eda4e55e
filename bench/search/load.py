"""As many requests as a server answers: kept-alive connections, one request at a time on each, from a process of its own.

Raw sockets, because an HTTP client would take more processor time than the answer that is measured, of the same two cores.
"""

import asyncio
import sys
import time
from asyncio import Runner
from collections.abc import Mapping, Sequence
from typing import Final, cast

import orjson
import uvloop

from schema.model import Message

_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "
_PATIENCE_S: Final = 30
_OK: Final = b"HTTP/1.1 200 "


class LoadBroken(Exception):
    """An answer was not a 200, or a connection was closed: such a run measures nothing."""


class Load(Message):
    """What to send, on how many connections, for how long."""

    port: int
    path: str
    headers: dict[str, str]
    bodies: list[str]
    """Dealt out to the connections; each sends its own in turn, and with fewer bodies than connections any."""
    connections: int
    duration_s: float


class Loaded(Message):
    """What came of it."""

    answers: int
    elapsed_s: float
    latencies_ms: list[float]

    @property
    def per_s(self) -> float:
        return self.answers / self.elapsed_s


async def load(order: Load) -> Loaded:
    """Sends until the time is over. Raises LoadBroken."""
    loop = asyncio.get_running_loop()
    requests = [_request(order, body.encode()) for body in order.bodies]
    until = time.perf_counter() + order.duration_s
    began = time.perf_counter()
    connections: list[_Connection] = []
    for number in range(order.connections):
        mine = requests[number :: order.connections] or requests
        _, protocol = await loop.create_connection(
            lambda mine=mine: _Connection(loop.create_future(), mine, until), "127.0.0.1", order.port
        )
        connections.append(protocol)
    try:
        async with asyncio.timeout(order.duration_s + _PATIENCE_S):
            await asyncio.gather(*(connection.ended for connection in connections))
    except TimeoutError:
        raise LoadBroken(f"an answer did not come within {_PATIENCE_S} s") from None
    latencies_ms = [1000 * latency_s for connection in connections for latency_s in connection.latencies_s]
    return Loaded(answers=len(latencies_ms), elapsed_s=time.perf_counter() - began, latencies_ms=latencies_ms)


def _request(order: Load, body: bytes) -> bytes:
    headers: Mapping[str, str] = {
        "host": "127.0.0.1",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **order.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {order.path} HTTP/1.1\r\n{head}\r\n".encode() + body


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last one is there, whole."""

    def __init__(self, ended: "asyncio.Future[None]", requests: Sequence[bytes], until: float) -> None:
        self.ended = ended
        self.latencies_s: list[float] = []
        self._requests = requests
        self._until = until
        self._transport: asyncio.Transport | None = None
        self._sent_at = 0.0
        self._head = b""
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class, of another family
        self._send()

    def data_received(self, data: bytes) -> None:
        if self._missing == 0:
            self._head += data
            head, end, rest = self._head.partition(_END_OF_HEAD)
            if not end:
                return
            self._head = b""
            if not head.startswith(_OK):
                self._fail(head.partition(b"\r\n")[0].decode("latin-1"))
                return
            self._missing = int(head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0]) - len(rest)
        else:
            self._missing -= len(data)
        if self._missing == 0:
            self._answered()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the connection was closed")

    def _answered(self) -> None:
        now = time.perf_counter()
        self.latencies_s.append(now - self._sent_at)
        if now < self._until:
            self._send()
        else:
            self.ended.set_result(None)
            self._close()

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(self._requests[len(self.latencies_s) % len(self._requests)])

    def _fail(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_exception(LoadBroken(why))
            self._close()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def load_from_aside(order: Load) -> Loaded:
    """The same from a process of its own. Raises LoadBroken."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "bench.search.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complaint = await process.communicate(order.model_dump_json().encode())
    if process.returncode != 0:
        raise LoadBroken(complaint.decode().strip().splitlines()[-1])
    return Loaded.model_validate_json(told)


def main() -> None:
    order = Load.model_validate_json(sys.stdin.buffer.read())
    with Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.buffer.write(orjson.dumps(runner.run(load(order)).model_dump()))


if __name__ == "__main__":
    main()
