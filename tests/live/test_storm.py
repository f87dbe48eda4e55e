"""The feed test: connections are cut, API processes killed and restarted, Valkey emptied, and every client has every message once,
in order."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable

import httpx
import pytest

from clients.travelhub_live import LiveFeed
from sandbox.stack import Stack
from tests.api.process import free_port, lives, start_api
from tests.live.conftest import Listener, Listening
from tests.live.hearing import hear
from tests.live.proxy import Proxy, proxying

_LISTENERS, _CONNECTIONS_EACH = 10, 5
_MESSAGES = 150
_AFTER_TROUBLE = 20
_QUICK_LADDER_S = [0.1, 0.2, 0.4, 0.8, *[1.6] * 6]
"""A tenth of the real one."""


class Processes:
    """API processes by their ports."""

    def __init__(self, stack: Stack, ports: list[int]) -> None:
        self._stack = stack
        self.ports = ports
        self._running: dict[int, asyncio.subprocess.Process] = {}

    async def start(self, port: int) -> None:
        self._running[port] = await start_api(self._stack, port, log=asyncio.subprocess.DEVNULL, LIVE__LOOK_EVERY_S="1")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            await lives(http, self._running[port], within_s=180)

    async def kill(self, port: int) -> None:
        process = self._running.pop(port, None)
        if process is not None:
            process.kill()
            await process.wait()


async def _make_news(listeners: list[Listener], trouble_over: asyncio.Event) -> None:
    """A few at a time while there is trouble, and at its end all that are left; the first of each listener was its booking."""
    left = {listener.client_id: _MESSAGES - 1 for listener in listeners}
    while not trouble_over.is_set():
        for listener in listeners:
            number = min(random.randint(1, 5), left[listener.client_id] - _AFTER_TROUBLE)  # noqa: S311  # guards nothing
            if number > 0:
                await listener.happens(number)
                left[listener.client_id] -= number
        await asyncio.sleep(0.5)  # the pace of the news
    for listener in listeners:
        await listener.happens(left[listener.client_id])


async def _make_trouble(
    proxy: Proxy, processes: Processes, servers: Stack, empty_valkey: Callable[[], Awaitable[None]]
) -> None:
    first, second = processes.ports
    cutting = asyncio.create_task(_cut(proxy))
    try:
        await asyncio.sleep(2)  # of trouble by cuts alone
        await processes.kill(first)
        await empty_valkey()
        await asyncio.sleep(2)  # on the other process
        await servers.stop("valkey")
        await asyncio.sleep(1)  # of news without Valkey
        await servers.start("valkey")
        await processes.kill(second)
        await processes.start(first)  # the other one is gone for good
        await asyncio.sleep(2)  # of cuts among those who catch up
    finally:
        cutting.cancel()


async def _cut(proxy: Proxy) -> None:
    for _ in itertools.count():
        await asyncio.sleep(random.uniform(0.1, 0.6))  # noqa: S311  # at random, as networks do
        proxy.cut(0.15)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_every_client_has_every_message_once_and_in_order(
    servers: Stack, listener: Listening, relay: None, empty_valkey: Callable[[], Awaitable[None]]
) -> None:
    processes = Processes(servers, [free_port(), free_port()])
    listeners = [await listener() for _ in range(_LISTENERS)]
    heard: list[list[int]] = []
    reconnects = 0

    async def listen(url: str, who: Listener) -> None:
        async with LiveFeed(url, who.token, 0, ladder_s=_QUICK_LADDER_S, poll_every_s=0.5) as feed:
            heard.append(await hear(feed, _MESSAGES, within_s=500))

    try:
        await asyncio.gather(*(processes.start(port) for port in processes.ports))
        async with proxying(*processes.ports) as proxy, asyncio.TaskGroup() as group:
            for who in listeners * _CONNECTIONS_EACH:
                group.create_task(listen(proxy.url, who))
            trouble_over = asyncio.Event()
            group.create_task(_make_news(listeners, trouble_over))
            await _make_trouble(proxy, processes, servers, empty_valkey)
            reconnects = proxy.opened
            trouble_over.set()
    finally:
        await asyncio.gather(*(processes.kill(port) for port in processes.ports))
    assert len(heard) == _LISTENERS * _CONNECTIONS_EACH
    assert all(numbers == list(range(1, _MESSAGES + 1)) for numbers in heard)
    assert reconnects > 2 * len(heard), "the trouble was none"
