"""One WebSocket as the Socket.IO server sees it: with a deadline for saying who one is, and an end for who does not read."""

import asyncio
from typing import Final

from starlette.types import Message, Receive, Send

_GONE: Final[Message] = {"type": "websocket.disconnect", "code": 1001}


class Line:
    """Ends by itself `connect_within_s` after it was opened, unless `heard` is called; as long after `refused`; and when a packet
    could not be sent for `slow_after_s`. The server then sees a client that is gone."""

    def __init__(self, receive: Receive, send: Send, *, connect_within_s: float, slow_after_s: float) -> None:
        self._receive = receive
        self._send = send
        self._connect_within_s = connect_within_s
        self._slow_after_s = slow_after_s
        self._ended = asyncio.Event()
        self._deadline = self._from_now()

    def heard(self) -> None:
        """The client has said who it is; how long the answer takes is not its fault."""
        self._deadline.cancel()

    def refused(self) -> None:
        """It has time to read why, and no right to stay."""
        self._deadline = self._from_now()

    def end(self) -> None:
        """What was sent before still arrives."""
        self._deadline.cancel()
        self._ended.set()

    def _from_now(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._connect_within_s, self._ended.set)

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
