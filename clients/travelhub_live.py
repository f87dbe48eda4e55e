"""A client of TravelHub's live feed: every message of yours once and in order, whatever the network does.

    async with LiveFeed("https://api.example.com", token, last=number_of_the_last_message_you_have_handled) as feed:
        async for message in feed:
            print(message["sequence"], message["type"], message["data"])

Copy this file into your program; it needs `python-socketio` and `aiohttp`. The protocol is in docs/live-feed.md.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final

import aiohttp
import socketio
from socketio.exceptions import ConnectionError as ConnectionFailed

LADDER_S: Final = (1.0, 2.0, 4.0, 8.0, *(16.0,) * 6)
"""Before each try to connect again; after the tenth it polls."""
POLL_EVERY_S: Final = 15.0
POLLS_BEFORE_LIVE: Final = 20
"""Then it tries the live feed once more."""
_JITTER: Final = 0.2
_PAGE: Final = 200
_HELD: Final = 1000
"""Messages that wait to be handed on, at most; the others are asked for again."""
_CONNECT_S: Final = 10
_GOODBYE_S: Final = 1
_FINAL: Final = frozenset({"unauthenticated", "missing_scope", "invalid_request", "unknown_sequence"})
"""Refusals that trying again does not change."""

Message = dict[str, Any]


class FeedRefused(Exception):
    """The feed will not serve us; `code` says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class LiveFeed:
    """Iterate over it once. `last`: the number of the last message that was handed on; without it, what happens from now on is.
    `state`: `connecting`, `live` or `polling`. Iterating raises FeedRefused."""

    def __init__(
        self,
        url: str,
        token: str,
        last: int | None = None,
        *,
        ladder_s: Sequence[float] = LADDER_S,
        poll_every_s: float = POLL_EVERY_S,
    ) -> None:
        self.last = last
        self.state = "connecting"
        self._url = url.rstrip("/")
        self._token = token
        self._ladder_s = ladder_s
        self._poll_every_s = poll_every_s
        self._held: dict[int, Message] = {}
        self._head = last or 0
        self._news = asyncio.Event()
        self._refused: FeedRefused | None = None
        self._opened = AsyncExitStack()
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "LiveFeed":
        session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {self._token}"})
        self._http = await self._opened.enter_async_context(session)
        running = asyncio.create_task(self._run())
        self._opened.push_async_callback(_end, running)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            if self.last is not None and (message := self._held.pop(self.last + 1, None)) is not None:
                self.last += 1
                yield message
            elif self._refused is not None:
                raise self._refused
            elif self.last is not None and self._head > self.last:
                if not await self._fill():
                    await asyncio.sleep(self._ladder_s[0])
            else:
                self._news.clear()
                await self._news.wait()

    def _take(self, message: Message) -> None:
        """What was handed on before is dropped."""
        sequence = int(message["sequence"])
        if (self.last is None or sequence > self.last) and len(self._held) < _HELD:
            self._held[sequence] = message
        self._hear_head({"sequence": sequence})

    def _hear_head(self, body: dict[str, int]) -> None:
        if self.last is None:
            self.last = body["sequence"]
        self._head = max(self._head, body["sequence"])
        self._news.set()

    def _hear_refusal(self, code: object, detail: object) -> None:
        if code in _FINAL:
            self._refused = FeedRefused(str(code), str(detail))
            self._news.set()

    async def _fill(self) -> bool:
        """One page of what follows the last message; whether there was any."""
        assert self._http is not None, "use it as a context manager"
        query = {"after": str(self.last or 0), "limit": str(_PAGE)}
        timeout = aiohttp.ClientTimeout(total=_CONNECT_S)
        try:
            async with self._http.get(f"{self._url}/v1/me/events", params=query, timeout=timeout) as answer:
                page = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        if answer.status != HTTPStatus.OK:
            self._hear_refusal(page.get("code"), page.get("detail"))
            return False
        self._hear_head({"sequence": page["head"]})
        for message in page["events"]:
            self._take(message)
        return bool(page["events"])

    async def _run(self) -> None:
        tries = 0
        while self._refused is None:
            was_live, wait_s = await self._connect()
            self.state = "connecting"
            if was_live:
                tries = 0
            if wait_s is None and tries == len(self._ladder_s):
                await self._poll()
                tries = 0
            elif wait_s is None:
                # Spreads tries, guards nothing.
                await asyncio.sleep(self._ladder_s[tries] * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311
                tries += 1

    async def _poll(self) -> None:
        self.state = "polling"
        for _ in range(POLLS_BEFORE_LIVE):
            if self._refused is None:
                await self._fill()
                await asyncio.sleep(self._poll_every_s)

    async def _connect(self) -> tuple[bool, float | None]:
        """One connection, to its end: whether it was live, and 0 if the server has asked to come again at once."""
        client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        over = asyncio.Event()
        was_live = False
        leaving: list[asyncio.TimerHandle] = []

        def ready(body: dict[str, int]) -> None:
            nonlocal was_live
            was_live = True
            self.state = "live"
            self._hear_head(body)

        def going_away(body: dict[str, float]) -> None:
            # Until then it is served here.
            leaving.append(asyncio.get_running_loop().call_later(body["reconnect_in_s"], over.set))

        def refused(body: Message | str) -> None:
            # A text when it was the network.
            if isinstance(body, dict) and "data" in body:
                self._hear_refusal(body["data"].get("code"), body.get("message"))

        def gone(reason: str) -> None:
            del reason
            over.set()

        client.on("ready", ready)
        client.on("message", self._take)
        client.on("head", self._hear_head)
        client.on("going_away", going_away)
        client.on("connect_error", refused)
        client.on("disconnect", gone)
        hello = {"token": self._token} | ({} if self.last is None else {"last": self._last_held(self.last)})
        try:
            async with asyncio.timeout(_CONNECT_S):
                await client.connect(
                    self._url, auth=hello, transports=["websocket"], socketio_path="/v1/live", wait_timeout=_CONNECT_S
                )
            await over.wait()
        except (ConnectionFailed, TimeoutError):
            pass
        finally:
            for timer in leaving:
                timer.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await client.disconnect()
        return was_live, 0 if leaving else None

    def _last_held(self, last: int) -> int:
        """The last of those that are here and wait only to be handed on."""
        while last + 1 in self._held:
            last += 1
        return last


async def _end(running: asyncio.Task[None]) -> None:
    # More than once: the library below swallows a cancellation now and then.
    while not running.done():
        running.cancel()
        await asyncio.wait([running], timeout=_GOODBYE_S)
