"""When a call failed decides what it means: never sent, lost, or unreadable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
import structlog

from gateways import http as gateways_http
from gateways.http import LostAnswer, VendorHttp, retry_after_s
from schema.errors import VendorContractBroken, VendorUnavailable

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def talking_to(conversation: Conversation, timeout_s: float = 5) -> AsyncIterator[VendorHttp]:
    """A client of a server that has this conversation on each connection, then closes it."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await conversation(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = VendorHttp("v", f"http://127.0.0.1:{port}", booking_timeout_s=timeout_s, read_timeout_s=timeout_s)
    try:
        yield client
    finally:
        await client.aclose()
        server.close()
        await server.wait_closed()


def client_of(handler: Callable[[httpx.Request], object], timeout_s: float = 5) -> VendorHttp:
    return VendorHttp(
        "v", "http://v", booking_timeout_s=timeout_s, read_timeout_s=timeout_s, transport=httpx.MockTransport(handler)
    )


async def send(client: VendorHttp, correlation_id: str = "trip-1") -> gateways_http.Answer:
    call = client.booking("hold", correlation_id)
    return await client.send(call, "POST", "/orders?token=secret", headers={}, content=b"{}")


async def test_a_refused_connection_had_no_effect():
    async with talking_to(_silence) as client:
        closed = VendorHttp("v", client.base_url, booking_timeout_s=5, read_timeout_s=5)
    with pytest.raises(VendorUnavailable):
        await send(closed)
    await closed.aclose()


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
async def test_never_connected_had_no_effect(error):
    with pytest.raises(VendorUnavailable):
        await send(client_of(_raising(error("no"))))


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError]
)
async def test_lost_after_it_left(error):
    with pytest.raises(LostAnswer):
        await send(client_of(_raising(error("gone"))))


async def test_the_deadline_before_anything_was_sent_had_no_effect():
    async def never_connects(_request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(VendorUnavailable):
        await send(client_of(never_connects, timeout_s=0.05))


async def test_the_deadline_after_the_request_left_is_a_lost_answer():
    async with talking_to(_silence, timeout_s=0.5) as client:
        with pytest.raises(LostAnswer):
            await send(client)


async def test_the_deadline_covers_the_whole_answer():
    """Each byte comes in time, the whole does not."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with talking_to(drip, timeout_s=0.5) as client:
        with pytest.raises(LostAnswer):
            await send(client)


async def test_without_time_left_nothing_is_sent():
    asked: list[httpx.Request] = []
    client = client_of(asked.append)
    call = client.booking("hold", "trip-1")
    late = gateways_http.Call(call.operation, call.correlation_id, asyncio.get_running_loop().time())
    with pytest.raises(VendorUnavailable):
        await client.send(late, "POST", "/orders", headers={})
    assert asked == []


async def test_half_an_answer_is_lost():
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"data":')
        await writer.drain()

    async with talking_to(half) as client:
        with pytest.raises(LostAnswer):
            await send(client)


async def test_a_pooled_connection_that_closes_is_lost_and_not_tried_again():
    """The vendor may have read the request before it closed."""
    requests: list[bytes] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"{}"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        requests.append(await reader.readuntil(b"{}"))

    async with talking_to(once) as client:
        assert (await send(client)).status == 200
        with pytest.raises(LostAnswer):
            await send(client)
    assert len(requests) == 2


async def test_an_answer_that_is_too_large_is_broken(monkeypatch):
    monkeypatch.setattr(gateways_http, "MAX_ANSWER_BYTES", 10)
    with pytest.raises(VendorContractBroken):
        await send(client_of(lambda _request: httpx.Response(200, content=b"x" * 11)))


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b'{"data": ', b"", b"[]"])
async def test_an_answer_that_is_no_object_is_broken(body):
    answer = await send(client_of(lambda _request: httpx.Response(200, content=body)))
    with pytest.raises(VendorContractBroken):
        answer.fields("order")


@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "999999"}, gateways_http.MAX_RETRY_AFTER_S),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
async def test_too_many_requests_had_no_effect(headers, expected_s):
    with pytest.raises(VendorUnavailable) as caught:
        await send(client_of(lambda _request: httpx.Response(429, headers=headers)))
    assert caught.value.retry_after_s == expected_s


@pytest.mark.parametrize("name", ["retry-after", "ratelimit-reset"])
def test_an_http_date_says_when_to_come_back(name):
    now = datetime(2027, 1, 1, tzinfo=UTC)
    headers = httpx.Headers({name: format_datetime(now + timedelta(seconds=30), usegmt=True)})
    assert retry_after_s(headers, now) == 30


async def test_each_call_carries_the_correlation_id_and_is_told_once_without_secrets(monkeypatch):
    # One that has logged before, in another test, may keep the configuration of that test.
    monkeypatch.setattr("gateways.http._logger", structlog.stdlib.get_logger("gateways.http"))
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(503, json={})

    with structlog.testing.capture_logs() as told:
        await send(client_of(answer), correlation_id="trip-1\nDrop: é")
    assert asked[0].headers["x-correlation-id"] == "trip-1?Drop: ?"
    assert len(told) == 1
    assert {"vendor", "operation", "ended", "duration_ms", "correlation_id"} < set(told[0])
    assert "secret" not in str(told)


async def test_redirects_are_not_followed():
    answer = await send(client_of(lambda _request: httpx.Response(302, headers={"location": "https://elsewhere"})))
    assert answer.status == 302


def _raising(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise error

    return handler


async def _silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()
