"""Keeps processes running: starts them, waits until each answers, restarts what dies, stops all in reverse order.

A part that dies is started again after 0.2 s, doubling to 10 s while it keeps dying. Parts that exit because another
one is away are treated no differently: they come back until their dependency has.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.stack_process import Account, Process, describe_exit, spawn

FIRST_BACKOFF_S: Final = 0.2
LONGEST_BACKOFF_S: Final = 10.0
FORGIVEN_AFTER_S: Final = 30.0
"""A part that lived this long is no longer taken for one that keeps dying."""
DEATHS_WHILE_STARTING: Final = 3
"""So often may a part die before it was ever ready; then it is its own fault, not its dependency's."""

_PROGRESS_EVERY_S: Final = 2.0
_CHECK_EVERY_S: Final = 0.05
_CHECK_TIMEOUT_S: Final = 5.0
_LOG_TAIL_LINES: Final = 15

logger = logging.getLogger("travelhub.stack")

Say = Callable[[str], None]


class StackError(Exception):
    """Something a user can understand and act upon; the message says what."""


async def _nothing() -> None:
    """The default hook."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the stack, and what to know about it."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    ready: Callable[[int], Awaitable[bool]]
    """Given the pid, whether it does its work now. An exception means not yet."""
    before_start: Callable[[], Awaitable[None]] = _nothing
    after_ready: Callable[[], Awaitable[None]] = _nothing
    """Runs whenever it became ready, also after a restart."""
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    """What it gets when the supervisor itself is killed."""
    ready_timeout_s: float = 60
    stop_timeout_s: float = 10


class Supervised:
    """A part under supervision."""

    def __init__(self, part: Part, say: Say, on_change: Callable[[], None]) -> None:
        self.part = part
        self.process: Process | None = None
        self.ready = False
        self.starts = 0
        self.deaths = 0
        """Since the last `start`."""
        self.problem = "it has not been started"
        self._say = say
        self._on_change = on_change
        self._changed = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._expected_starts = 1
        self._killed_on_purpose = False

    @property
    def wanted(self) -> bool:
        """Whether it is meant to run."""
        return self._keeper is not None

    async def start(self) -> None:
        """Starts it and returns when it is ready; raises StackError, with the end of its log, when it will not be."""
        if self._keeper is None:
            self.deaths = 0
            self._expected_starts = self.starts + 1
            self._keeper = asyncio.create_task(self._keep_running(), name=f"keep-{self.part.name}")
        try:
            async with asyncio.timeout(self.part.ready_timeout_s):
                await self._until(lambda: self.ready or self.deaths >= DEATHS_WHILE_STARTING)
        except TimeoutError:
            self.problem += f" after {self.part.ready_timeout_s:.0f} s"
        if not self.ready:
            fault = f"{self.part.name} does not get ready: {self.problem}"
            await self.stop(asyncio.Event())
            raise StackError(f"{fault}\n{end_of(self.part.log)}")

    async def stop(self, hurried: asyncio.Event) -> None:
        """Stops it and keeps it stopped."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait({keeper})
        process, self.process = self.process, None
        if process is not None and not process.exited.done():
            await self._end(process, hurried)
        self._note(ready=False)

    async def _end(self, process: Process, hurried: asyncio.Event) -> None:
        ending = asyncio.ensure_future(
            process.terminate(self.part.stop_signal, self.part.stop_timeout_s, hurried),
        )
        since = time.monotonic()
        while not (await asyncio.wait({ending}, timeout=_PROGRESS_EVERY_S))[0]:
            self._say(f"stopping {self.part.name} ({time.monotonic() - since:.0f} s)")
        if not ending.result():
            self._say(f"{self.part.name} (pid {process.pid}) did not stop when asked and was killed")

    def kill(self, number: int) -> None:
        """Sends any signal to it, for trying out what happens then. A death of it does not count against the part."""
        if self.process is None or self.process.exited.done():
            raise StackError(f"{self.part.name} is not running")
        self._expected_starts = self.starts + 1
        self._killed_on_purpose = True
        self.process.send(number)

    async def wait_restarted(self, timeout_s: float, after_starts: int | None = None) -> None:
        """Returns when a process later than the one last killed (or than the `after_starts`-th) is ready."""
        expected = self._expected_starts if after_starts is None else after_starts + 1
        try:
            async with asyncio.timeout(timeout_s):
                await self._until(lambda: self.ready and self.starts >= expected)
        except TimeoutError:
            raise StackError(f"{self.part.name} was not back after {timeout_s:.0f} s: {self.problem}") from None

    async def _keep_running(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                await self.part.before_start()
                process = self._spawn()
            except Exception as error:  # noqa: BLE001  # whatever it is: it is said, and tried again
                self.starts += 1
                lived_s, ending = 0.0, f"cannot be started ({error})"
            else:
                self.starts += 1
                self.process = process
                ending = await self._watch(process)
                lived_s = process.age_s
            if lived_s >= FORGIVEN_AFTER_S or self._killed_on_purpose:
                backoff_s = FIRST_BACKOFF_S
            self._killed_on_purpose = False
            self.deaths += 1
            self.problem = f"it {ending}"
            self._note(ready=False)
            self._say(f"{self.part.name} {ending} after {lived_s:.1f} s; again in {backoff_s:.1f} s; {self.part.log}")
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)

    def _spawn(self) -> Process:
        part = self.part
        return spawn(
            part.command,
            environment=part.environment,
            log=part.log,
            account=part.account,
            death_signal=part.death_signal,
        )

    async def _watch(self, process: Process) -> str:
        """Until it ends; says how it did."""
        self.problem = "it does not answer yet"
        self._note(ready=False)
        checking = asyncio.create_task(self._become_ready(process), name=f"check-{self.part.name}")
        try:
            return describe_exit(await asyncio.shield(process.exited))
        finally:
            checking.cancel()
            await asyncio.wait({checking})

    async def _become_ready(self, process: Process) -> None:
        """Asks until it answers; a check that fails in whatever way means that it is not ready yet."""
        while True:
            try:
                async with asyncio.timeout(_CHECK_TIMEOUT_S):
                    if await self.part.ready(process.pid):
                        await self.part.after_ready()
                        break
            except Exception as error:  # noqa: BLE001  # whatever it is: not yet
                self.problem = f"{type(error).__name__}: {error}"
                logger.debug("%s is not ready: %s", self.part.name, self.problem)
            await asyncio.sleep(_CHECK_EVERY_S)
        if not process.exited.done():
            self._note(ready=True)

    def _note(self, *, ready: bool) -> None:
        self.ready = ready
        self._on_change()
        self._changed.set()
        self._changed = asyncio.Event()

    async def _until(self, condition: Callable[[], bool]) -> None:
        since = time.monotonic()
        while not condition():
            try:
                async with asyncio.timeout(_PROGRESS_EVERY_S):
                    await self._changed.wait()
            except TimeoutError:
                self._say(f"waiting for {self.part.name} ({time.monotonic() - since:.0f} s; {self.problem})")


class Supervisor:
    """The parts of a stack, in the order they were started."""

    def __init__(self, say: Say, on_change: Callable[[], None] = lambda: None) -> None:
        self._say = say
        self._on_change = on_change
        self._parts: dict[str, Supervised] = {}
        self._hurried = asyncio.Event()

    @property
    def parts(self) -> Mapping[str, Supervised]:
        """By name, in the order they were started."""
        return self._parts

    async def start(self, *parts: Part) -> None:
        """Starts these side by side; returns when all are ready. Their order here counts for stopping."""
        for part in parts:
            self._parts[part.name] = Supervised(part, self._say, self._on_change)
        await side_by_side(*(self._parts[part.name].start() for part in parts))

    async def stop(self) -> None:
        """Stops every part, the one started last first."""
        for supervised in reversed(self._parts.values()):
            await supervised.stop(self._hurried)

    async def stop_part(self, name: str) -> None:
        """Stops one part and leaves it stopped."""
        await self[name].stop(self._hurried)

    def hurry(self) -> None:
        """Whoever is asked to stop from now on, or is being waited for, is killed at once."""
        self._hurried.set()

    def __getitem__(self, name: str) -> Supervised:
        if name not in self._parts:
            raise StackError(f"there is no {name!r} in this stack; there are: {', '.join(self._parts)}")
        return self._parts[name]


async def side_by_side(*work: Coroutine[object, object, None]) -> None:
    """Runs these at once; the first StackError ends the others and is the one that is told."""
    try:
        async with asyncio.TaskGroup() as group:
            for piece in work:
                group.create_task(piece)
    except ExceptionGroup as failures:
        # Not `except*`: what is raised inside one is wrapped into a group again by the older releases of Python 3.11.
        told, others = failures.split(StackError)
        if told is None or others is not None:
            raise
        raise _first(told) from None


def _first(failures: ExceptionGroup[StackError]) -> StackError:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


def end_of(log: Path) -> str:
    """The last lines of a log, for the message that a start failed."""
    with contextlib.suppress(OSError):
        lines = log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join([f"{log} ends with:", *(f"  {line}" for line in lines)])
    return f"{log} cannot be read"
