"""The feed bench notices what must not be, and its smoke run measures what it says."""

import asyncio
import json

import orjson
import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench.feed.__main__ import main
from bench.feed.listeners import listening
from bench.feed.planting import Planted
from bench.load import BenchFailed

WHO = [Planted("client", "token", "booking")]


def _message(sequence: int) -> str:
    body = {"sequence": sequence, "data": {"committed_at_s": 0.0}}
    return "42" + orjson.dumps(["message", body]).decode()


@pytest.mark.parametrize(
    ("sends", "complaint"),
    [
        ([_message(1), _message(3)], "message 3 came after 1"),
        ([_message(1), _message(1)], "message 1 came after 1"),
        (['44{"message":"no"}'], "refused"),
        ([_message(1)], "disconnected"),
    ],
)
async def test_what_must_not_be_is_noticed(sends: list[str], complaint: str) -> None:
    async def answer(line: ServerConnection) -> None:
        await line.recv()
        for packet in sends:
            await line.send(packet)

    async with serve(answer, "127.0.0.1", 0) as server, asyncio.timeout(10):
        port = server.sockets[0].getsockname()[1]
        async with listening(f"http://127.0.0.1:{port}", WHO, 1) as listeners:
            with pytest.raises(BenchFailed, match=complaint):
                await listeners.have_heard(3)


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_smoke_run_measures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick"]) == 0
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    # 2 rounds at a steady pace and 2 to all at once, on 50 connections.
    assert (line["connections"], line["messages"]) == (50, 200)
    assert 0 < line["steady_p50_ms"] <= line["steady_p99_ms"]
