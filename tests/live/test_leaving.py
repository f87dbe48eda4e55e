"""A process that is asked to stop gives notice first, serves on, and only then closes."""

import asyncio
import signal

import httpx
import pytest

from clients.travelhub_live import LiveFeed
from sandbox.stack import Stack
from tests.api.process import api_process, free_port, lives
from tests.api.waiting import until
from tests.live.conftest import Listening
from tests.live.hearing import hear, packets, raw

_NOTICE_S = 3


@pytest.mark.slow
async def test_going_away_comes_before_the_close(servers: Stack, listener: Listening, relay: None) -> None:
    who, port = await listener(), free_port()
    url = f"http://127.0.0.1:{port}"
    loop = asyncio.get_running_loop()
    async with (
        api_process(servers, port, LIVE__DRAIN_NOTICE_S=str(_NOTICE_S)) as process,
        httpx.AsyncClient(base_url=url) as http,
    ):
        await lives(http, process)
        async with raw(url, {"token": who.token, "last": 0}) as line, asyncio.timeout(30):
            heard = packets(line)
            while (await anext(heard))[0] != "message":
                pass
            process.send_signal(signal.SIGTERM)
            event, body = await anext(heard)
            while event == "head":
                event, body = await anext(heard)
            told_at = loop.time()
            assert event == "going_away"
            assert 0 <= body["reconnect_in_s"] <= _NOTICE_S
            assert (await http.get("/health/live")).status_code == 200
            assert (await http.get("/health/ready")).json()["checks"] == {"process": "draining"}
            # Who stays is told what happens, to the end of the notice.
            await who.happens(1)
            rest = [(event, body) async for event, body in heard]
            assert [body["sequence"] for event, body in rest if event == "message"] == [2]
            assert loop.time() - told_at > _NOTICE_S - 1
            assert await process.wait() in (0, -signal.SIGTERM)


@pytest.mark.slow
async def test_it_does_not_wait_once_all_have_left(servers: Stack, listener: Listening, relay: None) -> None:
    who, port = await listener(), free_port()
    url = f"http://127.0.0.1:{port}"
    async with (
        api_process(servers, port, LIVE__DRAIN_NOTICE_S="60") as process,
        httpx.AsyncClient(base_url=url) as http,
    ):
        await lives(http, process)
        async with raw(url, {"token": who.token}) as line, asyncio.timeout(30):
            heard = packets(line)
            assert (await anext(heard))[0] == "welcome"
            process.send_signal(signal.SIGTERM)
            while (await anext(heard))[0] != "going_away":
                pass
        async with asyncio.timeout(20):
            assert await process.wait() in (0, -signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_the_client_goes_when_it_is_asked_to(servers: Stack, listener: Listening, relay: None) -> None:
    who, port = await listener(), free_port()
    url = f"http://127.0.0.1:{port}"
    async with LiveFeed(url, who.token, 0, ladder_s=[0.2] * 1000) as feed:
        async with api_process(servers, port, LIVE__DRAIN_NOTICE_S="20") as process:
            assert await hear(feed, 1, within_s=150) == [1]
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                assert await process.wait() in (0, -signal.SIGTERM)
            await until(lambda: feed.state == "connecting")
        await who.happens(1)
        async with api_process(servers, port):
            assert await hear(feed, 2, within_s=150) == [2]
