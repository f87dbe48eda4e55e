"""One WebSocket as the Socket.IO server sees it: with a deadline for saying who one is, and an end for who does not read."""

import asyncio
from typing import Final

from starlette.types import Message, Receive, Send

_GONE: Final[Message] = {"type": "websocket.disconnect", "code": 1001}


class Line:
    """Ends by itself `connect_within_s` after it was opened, unless `accepted` is called; and when a packet could not be sent for
    `slow_after_s`. The server then sees a client that is gone."""

    def __init__(self, receive: Receive, send: Send, *, connect_within_s: float, slow_after_s: float) -> None:
        self._receive = receive
        self._send = send
        self._slow_after_s = slow_after_s
        self._ended = asyncio.Event()
        self._deadline = asyncio.get_running_loop().call_later(connect_within_s, self._ended.set)

    def accepted(self) -> None:
        self._deadline.cancel()

    def end(self) -> None:
        """What was sent before still arrives."""
        self._deadline.cancel()
        self._ended.set()

    async def receive(self) -> Message:
        receiving = asyncio.ensure_future(self._receive())
        ending = asyncio.ensure_future(self._ended.wait())
        try:
            done, _ = await asyncio.wait({receiving, ending}, return_when=asyncio.FIRST_COMPLETED)
            return receiving.result() if receiving in done else _GONE
        finally:
            receiving.cancel()
            ending.cancel()

    async def send(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self._slow_after_s):
                await self._send(message)
        except TimeoutError:
            self.end()
            raise
