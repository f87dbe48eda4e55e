"""The outermost layer of every request: its correlation id, its line in the access log, and the net under everything else.

Pure ASGI, so that streaming and cancellation pass through untouched. Bodies and query values are never logged.
"""

import re
from time import perf_counter
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars
from structlog.stdlib import get_logger
from ulid import ULID

from api.problems import problem
from api.scope import client_of, remember_correlation_id, route_of

_log = get_logger("travelhub.access")
_SANE: Final = re.compile(r"[A-Za-z0-9-]{8,64}")
_ADVICE: Final = "Tell us the correlation id; trying again with the same Idempotency-Key is safe."
_CLIENT_GONE: Final = 499
"""Logged, never sent: the client went away before it got an answer."""


class RequestContext:
    """The client's correlation id if it looks sane, else a new one; echoed in the answer. An exception that nobody expected
    is logged with its traceback and answered without a word of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation_id = _correlation_id(scope)
        remember_correlation_id(scope, correlation_id)
        bound = bind_contextvars(correlation_id=correlation_id)
        started = perf_counter()
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                headers["X-Correlation-Id"] = correlation_id
                headers.setdefault("Cache-Control", "no-store")
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        except ClientDisconnect:
            status = status or _CLIENT_GONE
        except Exception:  # noqa: BLE001  # the net under everything: logged, and answered without a word of it
            _log.exception("unhandled_exception")
            if status == 0:
                await problem(correlation_id, "internal_error", _ADVICE)(scope, receive, send_marked)
        finally:
            _log.info(
                "request",
                method=scope["method"],
                route=route_of(scope),
                status=status,
                duration_ms=round((perf_counter() - started) * 1000, 2),
                client_id=client_of(scope),
            )
            reset_contextvars(**bound)


def _correlation_id(scope: Scope) -> str:
    sent = Headers(scope=scope).get("x-correlation-id", "")
    return sent if _SANE.fullmatch(sent) else str(ULID())
