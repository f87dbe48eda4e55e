"""The API as a process: uvicorn with uvloop, logging of ours, and a drain that ends."""

import asyncio
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.live.hub import Hub
from api.live.server import MAX_PACKET_BYTES
from schema.logging import configure_logging
from schema.settings import Settings

_DRAIN_S: Final = 10
"""Requests that are under way may take this long after the process was asked to stop; whoever waits is answered at once."""


class _Server(uvicorn.Server):
    """Asked to stop, it first gives its live connections notice and serves on, until they have left or the notice is over. Then it
    tells the application, so that nobody is kept waiting. Asked again, it does so at once."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, notice_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._notice_s = notice_s
        self._asked: int | None = None
        self._until_s: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Between any two instructions of the loop, so it only leaves word for `on_tick`.
        if self._notice_s > 0 and self._asked is None and self.started:
            self._asked = sig
            return
        self._app.state.draining.set()
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self._asked is not None and not self.should_exit:
            await self._give_notice(self._asked)
        return await super().on_tick(counter)

    async def _give_notice(self, sig: int) -> None:
        live: Hub = self._app.state.services.live
        now_s = asyncio.get_running_loop().time()
        if self._until_s is None:
            self._until_s = now_s + self._notice_s
            await live.leave(self._notice_s)
        if live.connections == 0 or now_s >= self._until_s:
            self.handle_exit(sig, None)


def serve(settings: Settings) -> None:
    """Serves until it is told to stop by SIGTERM or SIGINT."""
    configure_logging(settings)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,  # ours says more
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=_DRAIN_S,
        ws="websockets-sansio",
        ws_max_size=MAX_PACKET_BYTES,
        ws_per_message_deflate=False,  # messages are small, and each connection would keep its own dictionaries
        ws_ping_interval=None,  # Socket.IO pings
    )
    _Server(config, app, settings.live.drain_notice_s).run()
