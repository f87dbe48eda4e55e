"""The search bench counts what it says it counts: its load, its floor, and how it judges what it saw."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx
import orjson
import pytest
import uvicorn
from rich.console import Console

from api import serve
from bench.search import empty
from bench.search.fan_out import growth
from bench.search.figures import as_json
from bench.search.live import Pair
from bench.search.load import Load, LoadBroken, Loaded, load
from bench.search.report import show
from bench.search.rounds import Measured, Round
from tests.gateways.conftest import settings_for

Answering = Callable[[bytes], Awaitable[bytes]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


@asynccontextmanager
async def server(answering: Answering) -> AsyncGenerator[int]:
    """Answers each request's body; the port. Its bytes leave in two halves, as large answers arrive."""

    serving: list[asyncio.Task[None]] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                body = await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
                answer = await answering(body)
                writer.write(answer[: len(answer) // 2])
                await writer.drain()
                await asyncio.sleep(0)
                writer.write(answer[len(answer) // 2 :])
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.create_task(converse(reader, writer)))

    listening = await asyncio.start_server(begin, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]
    await asyncio.gather(*serving)


def order(port: int, *bodies: str, connections: int = 2, duration_s: float = 0.1) -> Load:
    return Load(
        port=port,
        path="/x",
        headers={"x-a": "b"},
        bodies=list(bodies),
        connections=connections,
        duration_s=duration_s,
    )


async def test_every_answer_is_counted_once_and_whole() -> None:
    asked: list[bytes] = []

    async def answering(body: bytes) -> bytes:
        asked.append(body)
        return OK % (9000, b"x" * 9000)

    async with server(answering) as port:
        loaded = await load(order(port, "{}", connections=3))
    assert loaded.answers == len(loaded.latencies_ms) == len(asked) > 3
    assert loaded.per_s == pytest.approx(loaded.answers / loaded.elapsed_s)


async def test_no_body_is_sent_by_two_connections() -> None:
    asked: list[bytes] = []

    async def answering(body: bytes) -> bytes:
        asked.append(body)
        return OK % (2, b"{}")

    bodies = [orjson.dumps(number).decode() for number in range(1_000_000, 1_020_000)]
    async with server(answering) as port:
        await load(order(port, *bodies, connections=4))
    assert len(asked) == len({*asked})


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", b""], ids=["refused", "closed"])
async def test_a_run_with_a_bad_answer_measures_nothing(answer: bytes) -> None:
    async def answering(_: bytes) -> bytes:
        if not answer:
            raise ConnectionResetError
        return answer

    async with server(answering) as port:
        with pytest.raises(LoadBroken):
            await load(order(port, "{}"))


async def test_the_empty_route_answers_the_payload_and_reads_nothing() -> None:
    transport = httpx.ASGITransport(empty.create_app(b'{"a": 1}'))
    async with httpx.AsyncClient(transport=transport, base_url="http://empty") as client:
        answer = await client.post(empty.PATH, content=b"not even JSON")
    assert (answer.status_code, answer.content) == (200, b'{"a": 1}')


def test_the_empty_route_is_served_as_the_api_is(monkeypatch, tmp_path) -> None:
    """All that makes uvicorn answer requests faster or slower is the same; what is about stopping and WebSockets is the API's own."""
    seen: list[dict[str, object]] = []

    class Config(uvicorn.Config):
        def __init__(self, app: object, **settings: object) -> None:
            seen.append(
                {
                    name: value
                    for name, value in settings.items()
                    if name not in ("port", "timeout_graceful_shutdown") and not name.startswith("ws")
                }
            )
            super().__init__(app, **settings)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(uvicorn, "Config", Config)
    monkeypatch.setattr(uvicorn.Server, "run", lambda _: None)
    monkeypatch.setattr(serve, "configure_logging", lambda _: None)
    serve.serve(settings_for("http://127.0.0.1:9"))
    payload = tmp_path / "payload"
    payload.write_bytes(b"{}")
    monkeypatch.setenv(empty.PORT, "1")
    monkeypatch.setenv(empty.PAYLOAD, str(payload))
    empty.main()
    assert seen[0] == seen[1]


@pytest.mark.parametrize(("power", "expected"), [(1, 1.0), (2, 2.0)])
def test_growth_tells_a_line_from_a_square(power: int, expected: float) -> None:
    assert growth({number: 3.0 * number**power for number in (2, 4, 6, 12, 24)}) == pytest.approx(expected)


def loaded(answers: int) -> Loaded:
    return Loaded(answers=answers, elapsed_s=1, latencies_ms=[float(each) for each in range(1, answers + 1)])


def measured(cached: int = 70, search_s: float = 0.15) -> Measured:
    alone_s = {"fast": 0.01, "slow": 0.1}
    cpu_s = {"api": 0.03, "sandbox": 0.01}
    return Measured(
        payload_bytes=1000,
        rounds=[Round(loaded(100), loaded(each), loaded(10)) for each in (cached, 1, 100)],
        pairs=[Pair(search_s, alone_s, cpu_s) for _ in range(8)],
        live=loaded(20),
        fan_out_ms={number: float(number) for number in (2, 4, 6, 12, 24)},
    )


def test_the_last_line_has_the_medians_and_what_was_missed() -> None:
    line = as_json(measured())
    assert (line["cached_search_ratio"], line["uncached_overhead_ms"]) == (0.7, pytest.approx(50))
    assert (line["cached_p50_ms"], line["cached_p99_ms"]) == (43.0, 99.0)
    assert line["targets_missed"] == []
    assert as_json(measured(cached=59))["targets_missed"] == ["cached_search_ratio"]
    assert as_json(measured(search_s=0.2))["targets_missed"] == ["uncached_overhead_ms"]


def test_a_person_reads_what_was_missed(capsys) -> None:
    show(Console(width=120), measured(cached=59))
    told = capsys.readouterr().out
    assert "Missed: cached_search_ratio is 0.59; its target is at least 0.6." in told
    assert told.splitlines()[-1] == "1 of 3 targets are missed."
