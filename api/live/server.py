"""Socket.IO at `/v1/live`, over WebSocket only: a connection stays with its process, so that any number of processes needs no
sticky sessions. What is sent on it is decided in `api/live/connection.py`."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Annotated, Any, Final, Protocol, cast

import socketio
from engineio.exceptions import SocketIsClosedError
from pydantic import Field, ValidationError
from socketio.exceptions import ConnectionRefusedError as Refusing
from starlette.types import Receive, Scope, Send
from structlog.stdlib import get_logger

from api.live.connection import Connection, SendPacket
from api.live.line import Line
from api.live.trips import AnyConnection, TripConnection, trip_opened_by
from api.problems import problem
from api.scope import correlation_id_of, remember_route
from api.services import Services
from schema.errors import (
    REFUSALS,
    Conflict,
    Forbidden,
    InvalidRequest,
    TravelHubError,
    Unauthenticated,
)
from schema.feed import MAX_SEQUENCE
from schema.model import Message
from store.clients import ApiClient, token_hash
from store.database import AWAY

PATH: Final = "/v1/live"
SCOPE: Final = "me:read"
_log = get_logger(__name__)
_LINE: Final = "travelhub.live.line"
_PING_INTERVAL_S: Final = 25
_PING_TIMEOUT_S: Final = 20
MAX_PACKET_BYTES: Final = 16 * 1024
"""Of what clients send, which is little more than a token."""
_UNDER_WAY: Final = 64
"""Packets of one connection that may wait to be written."""
_ROOT: Final = "/"
"""The one Socket.IO namespace there is."""


_Token = Annotated[str, Field(min_length=1, max_length=4096)]


class TripHello(Message):
    """What a trip page sends: the token of its link."""

    trip: _Token


class Hello(Message):
    """What a client sends when it connects. `last`: the number of the last message it has had; without it, it is told only what
    happens from now on."""

    token: _Token
    last: Annotated[int, Field(ge=0, le=MAX_SEQUENCE, strict=True)] | None = None


class _EngineSocket(Protocol):
    queue: "asyncio.Queue[object]"


class _Engine(Protocol):
    """What is used of Engine.IO, which comes without types."""

    sockets: dict[str, _EngineSocket]

    async def send(self, sid: str, data: str) -> None: ...


class LiveServer:
    """An ASGI application to mount at `PATH`."""

    def __init__(self) -> None:
        # They log what strangers send; what matters of it is logged here.
        for name in ("engineio.server", "socketio.server"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._server = socketio.AsyncServer(
            async_mode="asgi",
            transports=["websocket"],
            # A token is needed, and no cookie is one: another site's page can do nothing in its visitor's name.
            cors_allowed_origins="*",
            async_handlers=False,
            monitor_clients=False,
            ping_interval=_PING_INTERVAL_S,
            ping_timeout=_PING_TIMEOUT_S,
            max_http_buffer_size=MAX_PACKET_BYTES,
        )
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._engine = cast(_Engine, self._server.eio)
        self._protocol = socketio.ASGIApp(self._server, socketio_path=_ROOT)
        self._open = 0
        self._connections: dict[str, tuple[Services, AnyConnection]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            remember_route(scope, PATH)
            detail = "connect with a WebSocket, as Socket.IO does with transports: ['websocket']"
            answer = problem(correlation_id_of(scope), "websocket_required", detail, headers={"Upgrade": "websocket"})
            await answer(scope, receive, send)
            return
        services: Services = scope["app"].state.services
        policy = services.settings.live
        if self._open >= policy.max_connections or services.live.leaving:
            await receive()
            await send({"type": "websocket.close", "code": 1013})
            return
        line = Line(receive, send, connect_within_s=policy.connect_within_s, slow_after_s=policy.slow_after_s)
        scope[_LINE] = line
        self._open += 1
        try:
            await self._protocol(scope, line.receive, line.send)
        finally:
            self._open -= 1
            line.end()

    async def _connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        scope: Scope = environ["asgi.scope"]
        services: Services = scope["app"].state.services
        line: Line = scope[_LINE]
        line.heard()
        try:
            connection = await self._welcome(services, sid, line, auth)
        except TravelHubError as error:
            raise _refusing(line, error.problem_code, error.message) from None
        except AWAY:
            raise _refusing(line, "service_unavailable", "the books cannot be reached; connect again") from None
        except Exception:  # noqa: BLE001  # whatever it is, the client is told and the process goes on
            _log.exception("live_connect_failed")
            raise _refusing(line, "internal_error", REFUSALS["internal_error"].title) from None
        self._connections[sid] = (services, connection)
        _log.info("live_connected", room=connection.room, connections=services.live.connections)

    async def _welcome(self, services: Services, sid: str, line: Line, auth: object) -> AnyConnection:
        try:
            hello = TripHello.model_validate(auth) if _of_a_trip(auth) else Hello.model_validate(auth)
        except ValidationError:
            if isinstance(auth, dict) and auth.get("token"):
                raise InvalidRequest("send {token, last}, the last number as an integer", field="last") from None
            raise Unauthenticated("send {token} when you connect, or {trip} with the token of a trip's link") from None
        if isinstance(hello, TripHello):
            return await self._welcome_page(services, sid, line, hello)
        client = await _authenticated(services, hello.token)
        connection = Connection(client.client_id, token_hash(hello.token), self._sender(sid), line.end)
        # Before the head is read, so that what is told in between is not missed.
        with _registered(services, connection):
            head = await services.live.head(client.client_id)
            if hello.last is not None and hello.last > head:
                raise Conflict(f"your last message is number {head}", code="unknown_sequence", field="last")
            services.live.start(connection, head if hello.last is None else hello.last, head)
        return connection

    async def _welcome_page(self, services: Services, sid: str, line: Line, hello: TripHello) -> TripConnection:
        itinerary_id = trip_opened_by(services.settings, hello.trip)
        connection = TripConnection(itinerary_id, self._sender(sid), line.end)
        with _registered(services, connection):
            revision = await services.live.revision(itinerary_id)
            if revision is None:
                raise Unauthenticated("there is no such trip, or its link has expired")
            services.live.start_trip(connection, revision)
        return connection

    def _sender(self, sid: str) -> SendPacket:
        engine_sid = cast(str, self._server.manager.eio_sid_from_sid(sid, _ROOT))

        async def send(packed: str) -> None:
            socket = self._engine.sockets.get(engine_sid)
            if socket is None:
                raise ConnectionError("the client is gone")
            if socket.queue.qsize() >= _UNDER_WAY:
                await socket.queue.join()
            try:
                await self._engine.send(engine_sid, packed)
            except SocketIsClosedError:
                raise ConnectionError("the client is gone") from None

        return send

    async def _disconnect(self, sid: str, reason: str) -> None:
        services, connection = self._connections.pop(sid)
        services.live.remove(connection)
        _log.info("live_disconnected", room=connection.room, reason=reason)


@contextlib.contextmanager
def _registered(services: Services, connection: AnyConnection) -> Iterator[None]:
    """Registered for good only if what is done within it succeeds, so that neither a refusal nor a cancellation leaves it behind."""
    with contextlib.ExitStack() as undo:
        services.live.register(connection)
        undo.callback(services.live.remove, connection)
        yield
        undo.pop_all()


def _of_a_trip(auth: object) -> bool:
    return isinstance(auth, dict) and "trip" in auth


async def _authenticated(services: Services, token: str) -> ApiClient:
    client = await services.tokens.client(token)
    if client is None:
        raise Unauthenticated("the token is not one of ours, or was disabled")
    if SCOPE not in client.scopes:
        raise Forbidden(f"the token lacks the scope {SCOPE}")
    return client


def _refusing(line: Line, code: str, detail: str) -> Refusing:
    """Clients get `{message, data: {code}}` as the reason of `connect_error`."""
    line.refused()
    return Refusing(detail, {"code": code})
