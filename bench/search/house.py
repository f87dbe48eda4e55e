"""What is measured: the embedded stack in a directory of its own, the empty route beside it, and doors to both."""

import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import psutil

from bench.search import empty
from bench.search.load import Load, Loaded, load_from_aside
from gateways.ports import Vendors
from gateways.registry import build_vendors
from sandbox.stack import Stack, running_stack
from sandbox.supervisor import Part, Say, Supervisor
from schema.logging import configure_logging

SEARCHES: Final = "/v1/searches"
_ENVIRONMENT: Final = {
    "TRAVELHUB_LOG_FORMAT": "json",
    # As in production every call to Amadeus asks for its quota; here that is never used up.
    "TRAVELHUB_OUTBOUND__QUOTA_PER_MINUTE": '{"amadeus": 100000}',
}
_COUNTED: Final = ("api", "postgres", "valkey", "sandbox")


@dataclass(frozen=True, slots=True)
class House:
    """Doors to everything that is measured."""

    stack: Stack
    api: httpx.AsyncClient
    vendors: Vendors
    """The gateways, as the API has them but for what bounds its calls."""

    def cpu_s(self) -> dict[str, float]:
        """Processor time that each part has used so far, with the processes it started."""
        return {name: _cpu_s(self.stack.pid(name)) for name in _COUNTED}

    async def load_searches(self, bodies: list[str], connections: int, duration_s: float) -> Loaded:
        state = self.stack.state
        headers = {"authorization": f"Bearer {state.tokens.client}"}
        order = Load(
            port=state.ports.api,
            path=SEARCHES,
            headers=headers,
            bodies=bodies,
            connections=connections,
            duration_s=duration_s,
        )
        return await load_from_aside(order)


@dataclass(frozen=True, slots=True)
class EmptyRoute:
    """The floor of a cached search, running."""

    port: int

    async def load(self, body: str, connections: int, duration_s: float) -> Loaded:
        """With requests like those to the API, of which it reads nothing."""
        headers = {"authorization": "Bearer nobody"}
        order = Load(
            port=self.port,
            path=empty.PATH,
            headers=headers,
            bodies=[body],
            connections=connections,
            duration_s=duration_s,
        )
        return await load_from_aside(order)


@asynccontextmanager
async def running_house(say: Say) -> AsyncIterator[House]:
    """Everything a search needs, in separate processes as in production; no worker, because nothing is booked."""
    with TemporaryDirectory(prefix="travelhub-bench-") as name:
        async with running_stack(Path(name), workers=0, environment=_ENVIRONMENT, say=say) as stack:
            state = stack.state
            token = {"Authorization": f"Bearer {state.tokens.client}"}
            settings = stack.settings()
            configure_logging(settings.model_copy(update={"log_level": "error"}))
            vendors = build_vendors(settings)
            try:
                async with httpx.AsyncClient(base_url=state.api_url, headers=token, timeout=60, trust_env=False) as api:
                    yield House(stack, api, vendors)
            finally:
                await vendors.aclose()


@asynccontextmanager
async def running_empty_route(house: House, payload: bytes, say: Say) -> AsyncIterator[EmptyRoute]:
    """A process that answers with this payload."""
    port = _free_port()
    file = house.stack.state.data / "payload.json"
    file.write_bytes(payload)
    supervisor = Supervisor(say)
    try:
        await supervisor.start(_part(port, file, house.stack.state.logs / "empty.log"))
        yield EmptyRoute(port)
    finally:
        await supervisor.stop()


def _part(port: int, payload: Path, log: Path) -> Part:
    async def answers(_: int) -> bool:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.post(f"http://127.0.0.1:{port}{empty.PATH}")).is_success

    return Part(
        name="empty route",
        command=[sys.executable, "-P", "-m", "bench.search.empty"],
        environment={**os.environ, empty.PORT: str(port), empty.PAYLOAD: str(payload)},
        log=log,
        ready=answers,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _cpu_s(pid: int | None) -> float:
    """User and system time, with that of its children, those that have ended included."""
    assert pid is not None, "just started, and away already"
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    own = family[0].cpu_times()
    return own.children_user + own.children_system + sum(sum(each.cpu_times()[:2]) for each in family)
