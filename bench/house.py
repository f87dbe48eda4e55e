"""What is measured: the embedded stack in a directory of its own, the floor's worker beside it, and clients to both."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import psutil
from temporalio.client import Client

from bench.floor import FLOOR_QUEUE
from sandbox.stack import Stack, running_stack
from sandbox.stack_parts import own_command, own_environment
from sandbox.stack_temporal import TemporalProbe
from sandbox.supervisor import Part, Say, Supervisor
from store.database import Database
from workers.temporal import temporal_connection

PRODUCT: Final = ("temporal", "worker", "api", "postgres", "valkey")
"""The processes that a booking costs in production."""
FLOOR: Final = ("temporal", "floor worker")
ASIDE: Final = ("sandbox", "client")
"""The simulated vendors and the bench itself: they take processor time here that is somebody else's in production."""

_CONNECTIONS: Final = 200
_KEEPALIVE_S: Final = 3


@dataclass(frozen=True, slots=True)
class House:
    """Doors to everything that is measured, or asked afterwards."""

    stack: Stack
    temporal: Client
    database: Database
    api: httpx.AsyncClient
    sandbox: httpx.AsyncClient
    processes: dict[str, psutil.Process]

    def cpu_s(self) -> dict[str, float]:
        """Processor time each part has used so far, with the processes it started."""
        return {name: _cpu_s(process) for name, process in self.processes.items()}

    def resident_mb(self, name: str) -> float:
        return self.processes[name].memory_info().rss / 1e6


@asynccontextmanager
async def running_house(say: Say, *, sandboxed: bool = False, with_floor: bool = True) -> AsyncIterator[House]:
    """Everything as in production but for its place: separate processes, logs as JSON, workflow code checked by tests and CI
    and therefore run without Temporal's sandbox. `sandboxed` runs it inside, for both sides."""
    environment = {
        "TRAVELHUB_LOG_FORMAT": "json",
        "TRAVELHUB_WORKER_SANDBOXED": str(sandboxed).lower(),
    }
    with TemporaryDirectory(prefix="travelhub-bench-") as name:
        async with running_stack(Path(name), environment=environment, say=say) as stack:
            floor = Supervisor(say)
            try:
                if with_floor:
                    await floor.start(_floor_part(stack))
                async with _opened(stack, floor) as house:
                    yield house
            finally:
                await floor.stop()


@asynccontextmanager
async def _opened(stack: Stack, floor: Supervisor) -> AsyncIterator[House]:
    settings, state = stack.settings(), stack.state
    temporal = await temporal_connection(settings)
    database = Database(str(settings.database_url), 4)
    # Below the server's own limit: a connection that it closes just then would look like a lost booking.
    limits = httpx.Limits(
        max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS, keepalive_expiry=_KEEPALIVE_S
    )
    token = {"Authorization": f"Bearer {state.tokens.client}"}
    try:
        async with (
            httpx.AsyncClient(base_url=state.api_url, headers=token, limits=limits, timeout=60, trust_env=False) as api,
            httpx.AsyncClient(base_url=state.sandbox_url, timeout=60, trust_env=False) as sandbox,
        ):
            yield House(stack, temporal, database, api, sandbox, _processes(stack, floor))
    finally:
        await database.aclose()


def _floor_part(stack: Stack) -> Part:
    probe = TemporalProbe(stack.state.temporal_address)
    command = own_command()
    return Part(
        name="floor worker",
        command=[*command[: command.index("cli")], "bench.floor_worker"],
        environment=own_environment(stack.state),
        log=stack.state.logs / "floor-worker.log",
        ready=lambda pid: probe.polls(pid, FLOOR_QUEUE),
        stop_timeout_s=20,
    )


def _processes(stack: Stack, floor: Supervisor) -> dict[str, psutil.Process]:
    pids = {name: stack.pid(name) for name in (*PRODUCT, "sandbox")}
    for name, part in floor.parts.items():
        pids[name] = None if part.process is None else part.process.pid
    dead: Sequence[str] = [name for name, pid in pids.items() if pid is None]
    assert not dead, f"just started, and away already: {dead}"
    return {**{name: psutil.Process(pid) for name, pid in pids.items()}, "client": psutil.Process()}


def _cpu_s(process: psutil.Process) -> float:
    """User and system time; of those it has seen end, and, but for ourselves, of those that live."""
    times = process.cpu_times()
    if process == psutil.Process():
        return times.user + times.system  # our children are the parts, which are counted on their own
    used_s = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        try:
            of_child = child.cpu_times()
        except psutil.NoSuchProcess:  # ended since; its parent counts it from now on
            continue
        used_s += of_child.user + of_child.system
    return used_s
