"""The JavaScript client, under node, against the real server."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.live.conftest import Api, Listener, Listening
from tests.live.proxy import proxying

_SCRIPT = Path(__file__).with_name("listen.mjs")
_NODE = shutil.which("node")


def _options() -> list[str] | None:
    """What makes node know WebSocket; None: nothing does."""
    for options in ([], ["--experimental-websocket"]):
        command = [_NODE or "node", *options, "-e", "process.exit(typeof WebSocket === 'function' ? 0 : 1)"]
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            return options
    return None


_OPTIONS = _options() if _NODE else None
pytestmark = pytest.mark.skipif(
    _OPTIONS is None, reason="needs node with WebSocket: version 22, or 20.10 behind its flag"
)


@asynccontextmanager
async def _listening(url: str, token: str, last: int | None, up_to: int) -> AsyncIterator[asyncio.StreamReader]:
    assert _NODE is not None
    assert _OPTIONS is not None
    said = ["" if last is None else str(last), str(up_to)]
    process = await asyncio.create_subprocess_exec(
        *(_NODE, *_OPTIONS, str(_SCRIPT), url, token, *said),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # node warns of the flag
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            yield process.stdout
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _line(lines: asyncio.StreamReader) -> str:
    return (await lines.readline()).decode().strip()


def _numbers(lines: list[str]) -> list[int]:
    return [int(line) for line in lines if line.isdecimal()]


async def test_it_gets_what_it_missed_and_goes_on(api: Api, listener: Listening, relay: None) -> None:
    who = await listener()
    await who.happens(299)
    async with _listening(api.url, who.token, 3, 310) as lines:
        told = [await _line(lines)]
        while told[-1] != "300":
            told.append(await _line(lines))
        await who.happens(10)
        told += (await lines.read()).decode().split()
    assert _numbers(told) == list(range(4, 311))
    assert [line for line in told if not line.isdecimal()] == ["connecting", "live", "stopped"]


async def test_it_survives_cuts(api: Api, listener: Listening, relay: None) -> None:
    who = await listener()
    port = urlsplit(api.url).port
    assert port is not None
    async with proxying(port) as proxy, _listening(proxy.url, who.token, 0, 101) as lines:
        reading = asyncio.create_task(lines.read())
        for _ in range(10):
            await who.happens(10)
            await asyncio.sleep(0.2)  # the pace of the news
            proxy.cut(1)
        told = (await reading).decode().split()
    assert _numbers(told) == list(range(1, 102))
    assert proxy.opened > 2


async def test_it_polls_where_it_cannot_connect(api: Api, listener: Listening, relay: None) -> None:
    api.app.state.services.live.leaving = True
    who = await listener()
    async with _listening(api.url, who.token, 0, 4) as lines:
        told = [await _line(lines)]
        while told[-1] != "1":
            told.append(await _line(lines))
        await who.happens(3)
        told += (await lines.read()).decode().split()
    assert _numbers(told) == [1, 2, 3, 4]
    assert "polling" in told


async def test_it_says_why_it_is_refused(api: Api, listener: Listening) -> None:
    who: Listener = await listener(("bookings:read",))
    async with _listening(api.url, who.token, None, 1) as lines:
        assert (await lines.read()).decode().split("\n")[-2] == "refused missing_scope"
