"""The API as a process: uvicorn with uvloop, logging of ours, and a drain that ends."""

from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from schema.logging import configure_logging
from schema.settings import Settings

_DRAIN_S: Final = 10
"""Requests that are under way may take this long after the process was asked to stop; whoever waits is answered at once."""


class _Server(uvicorn.Server):
    """Tells the application as soon as it is asked to stop, so that nobody is kept waiting."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.state.draining.set()
        super().handle_exit(sig, frame)


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
    )
    _Server(config, app).run()
