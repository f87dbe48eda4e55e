"""The embedded stack: everything TravelHub needs, on one machine, each part a process of its own.

`running_stack` is for programs (tests, demos, benches); `travelhub up` is the same for people.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from sandbox.servers import server_parts
from sandbox.stack_accounts import account_for
from sandbox.stack_lock import StackLock
from sandbox.stack_parts import api_part, own_command, own_environment, sandbox_part, worker_parts
from sandbox.stack_ports import choose_ports
from sandbox.stack_process import describe_exit, spawn
from sandbox.stack_state import PartRecord, StackState, VendorKeys, choose_socket_directory, find_data_directory
from sandbox.stack_temporal import Synchronous, TemporalProbe
from sandbox.supervisor import Say, StackError, Supervised, Supervisor, end_of, side_by_side
from schema.settings import Settings

MAX_WORKERS: Final = 8
"""Each keeps a pool of database connections; more would not fit into PostgreSQL's hundred."""

_CLIENT_SCOPES: Final = [
    *("bookings:read", "bookings:write", "searches:write", "payments:read"),
    *("webhooks:read", "webhooks:write"),
    *("itineraries:read", "itineraries:write", "me:read", "me:write"),
]
_OPERATOR_SCOPES: Final = ["ops:read", "ops:write"]
_LEFTOVER_TIMEOUT_S: Final = 10
_LOG_LIMIT_BYTES: Final = 10_000_000

logger = logging.getLogger("travelhub.stack")


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What to start, and where."""

    workers: int = 1
    api: bool = True
    vendors: bool = True
    migrate: bool = True
    """Apply migrations, register with Temporal what we need there, mint the demo tokens."""
    seed: int = 1
    ports: Mapping[str, int] = field(default_factory=dict[str, int])
    """By the names of `Ports`; those not named are chosen."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """More `TRAVELHUB_*` variables for all of our processes."""
    temporal_synchronous: Synchronous = "full"


class Stack:
    """A stack and its supervisor. Everything here happens on the loop, and thread, that started it."""

    def __init__(self, data: Path, options: StackOptions, say: Say) -> None:
        self._data = data
        self._options = options
        self._say = say
        self._lock = StackLock(data)
        self._supervisor = Supervisor(say, self._record)
        self._state: StackState | None = None

    @property
    def state(self) -> StackState:
        """Where everything is; there is none before `start`."""
        if self._state is None:
            raise StackError("the stack has not been started")
        return self._state

    def environment(self) -> dict[str, str]:
        """All `TRAVELHUB_*` variables of a process that is to work against this stack."""
        return self.state.environment()

    def settings(self) -> Settings:
        """What such a process would load."""
        return self.state.settings()

    def pid(self, name: str) -> int | None:
        """Of the part's present process; None while it has none."""
        process = self._supervisor[name].process
        return None if process is None or process.exited.done() else process.pid

    def starts(self, name: str) -> int:
        """How often the part was started so far."""
        return self._supervisor[name].starts

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Sends a signal to the part's process; the supervisor brings it back if it dies of it."""
        self._supervisor[name].kill(number)

    async def wait_restarted(self, name: str, timeout_s: float = 30, after_starts: int | None = None) -> None:
        """Until a later process than the one killed is ready. For a part that dies by itself give `after_starts`: what
        `starts` was before."""
        await self._supervisor[name].wait_restarted(timeout_s, after_starts)

    async def stop(self, name: str) -> None:
        """Stops one part, in good order, and leaves it stopped."""
        await self._supervisor.stop_part(name)

    async def start(self, name: str) -> None:
        """Starts a stopped part and waits until it is ready."""
        await self._supervisor[name].start()

    async def start_all(self) -> None:
        """In order of need, what does not need one another side by side. After a failure `stop_all` is due all the same."""
        self._prepare()
        options, state = self._options, self.state
        probe = TemporalProbe(state.temporal_address)
        servers = server_parts(state, probe, options.temporal_synchronous, self._say)
        vendors = [sandbox_part(state, options.seed, with_webhooks=options.api)] if options.vendors else []
        await self._supervisor.start(*servers, *vendors)
        if options.migrate:
            await side_by_side(self._migrate(), self._bootstrap())
        own = [*worker_parts(state, probe, options.workers), *([api_part(state)] if options.api else [])]
        tokens = [mint_tokens(state)] if options.migrate else []
        await side_by_side(self._supervisor.start(*own), *tokens)
        state.ready = True
        self._record()

    async def stop_all(self) -> None:
        """Everything, last started first; then another stack may use the data."""
        if self._state is not None:
            self._state.ready = False
            await self._supervisor.stop()
            self._state.supervisor_pid = None
            self._record()
        self._lock.release()

    def hurry(self) -> None:
        """Makes `stop_all` kill instead of ask."""
        self._supervisor.hurry()

    def _prepare(self) -> None:
        """Takes the data directory and decides where everything will be."""
        options = self._options
        if not 0 <= options.workers <= MAX_WORKERS:
            raise StackError(f"there can be 0 to {MAX_WORKERS} workers, not {options.workers}")
        # PostgreSQL's own user must be able to pass through; what is secret in here has a mode of its own.
        self._data.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._lock.acquire()
        before = StackState.load(self._data) if StackState.path(self._data).exists() else None
        if before is not None:
            _end_leftovers(before, self._say)
        account = account_for(self._data / "postgres")
        self._state = StackState(
            data=self._data,
            socket_directory=choose_socket_directory(self._data, account.uid if account else os.geteuid()),
            ports=choose_ports(options.ports, before.ports if before else None),
            overrides=dict(options.environment),
            supervisor_pid=os.getpid(),
            started_at=datetime.now(UTC),
        )
        if before is not None:
            self._state.secrets, self._state.tokens = before.secrets, before.tokens
        keys = before.vendor_keys if before else None
        self._state.vendor_keys = keys if keys and keys.seed == options.seed else VendorKeys.of(options.seed)
        self._state.settings()  # a wrong variable in the shell is told now, once, and not by every process
        self._state.logs.mkdir(exist_ok=True)
        _turn_over_logs(self._state.logs)
        self._state.save()

    async def _bootstrap(self) -> None:
        from workers.bootstrap import BootstrapError, bootstrap  # noqa: PLC0415

        try:
            await bootstrap(self.settings())
        except BootstrapError as error:
            raise StackError(str(error)) from None

    async def _migrate(self) -> None:
        """As a process, like in production, with a log like the others."""
        log = self.state.logs / "migrate.log"
        process = spawn(own_command("migrate"), environment=own_environment(self.state), log=log)
        try:
            while not (await asyncio.wait({process.exited}, timeout=2))[0]:
                self._say(f"applying migrations ({process.age_s:.0f} s)")
        finally:
            process.kill()
        if returncode := process.exited.result():
            raise StackError(f"migrations failed: travelhub migrate {describe_exit(returncode)}\n{end_of(log)}")

    def _record(self) -> None:
        if self._state is None:
            return
        self._state.parts = {name: _record_of(part) for name, part in self._supervisor.parts.items()}
        # The disk may be full, the directory gone; neither is a reason to stop supervising.
        try:
            self._state.save()
        except OSError as error:
            logger.warning("cannot save %s: %s", StackState.path(self._data), error)


def _record_of(supervised: Supervised) -> PartRecord:
    process = supervised.process
    pid = created_at = None
    if process is not None and not process.exited.done():
        with contextlib.suppress(psutil.NoSuchProcess):
            pid, created_at = process.pid, psutil.Process(process.pid).create_time()
    return PartRecord(
        pid=pid, created_at=created_at, ready=supervised.ready, starts=supervised.starts, log=supervised.part.log
    )


def _end_leftovers(before: StackState, say: Say) -> None:
    """Ends what a killed supervisor left running, on systems that cannot tie children to their parent. PostgreSQL
    looks after itself."""
    for name, part in before.parts.items():
        if part.pid is None or name == "postgres":
            continue
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process = psutil.Process(part.pid)
            if process.create_time() != part.created_at:
                continue  # the pid is someone else's now
            say(f"{name} of an earlier run (pid {part.pid}) is still there; stopping it")
            process.terminate()
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(_LEFTOVER_TIMEOUT_S)
                continue
            process.kill()


def _turn_over_logs(logs: Path) -> None:
    """Keeps one older log of each part; between starts they only grow."""
    for log in logs.glob("*.log"):
        if log.stat().st_size > _LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))


async def mint_tokens(state: StackState) -> None:
    """Makes the demo client and the operator known to the API, with the tokens kept in the state. Again is harmless."""
    from store.clients import ensure_client  # noqa: PLC0415
    from store.database import Database  # noqa: PLC0415

    database = Database(state.database_url, pool_size=1)
    try:
        await ensure_client(database, name="demo", scopes=_CLIENT_SCOPES, token=state.tokens.client)
        await ensure_client(database, name="operator", scopes=_OPERATOR_SCOPES, token=state.tokens.operator)
    finally:
        await database.aclose()


@asynccontextmanager
async def running_stack(
    data: Path | None = None,
    *,
    workers: int = 1,
    api: bool = True,
    vendors: bool = True,
    migrate: bool = True,
    seed: int = 1,
    environment: Mapping[str, str] | None = None,
    ports: Mapping[str, int] | None = None,
    temporal_synchronous: Synchronous = "full",
    say: Say = logger.info,
) -> AsyncIterator[Stack]:
    """A stack that is ready; it is stopped at the end of the block, its data stay."""
    options = StackOptions(
        workers=workers,
        api=api,
        vendors=vendors,
        migrate=migrate,
        seed=seed,
        environment=environment or {},
        ports=ports or {},
        temporal_synchronous=temporal_synchronous,
    )
    stack = Stack(find_data_directory(data), options, say)
    try:
        await stack.start_all()
        yield stack
    finally:
        await stack.stop_all()
