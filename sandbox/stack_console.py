"""`travelhub up`, `down` and `status`: the embedded stack for people at a terminal."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO, Final

import psutil
from rich.console import Console
from rich.table import Table

from sandbox.stack import Stack, StackOptions
from sandbox.stack_lock import lock_holder
from sandbox.stack_parts import own_command
from sandbox.stack_state import PartRecord, StackState
from sandbox.supervisor import Say, StackError

_POLL_S: Final = 0.1
_PROGRESS_EVERY_S: Final = 2.0
_DOWN_TIMEOUT_S: Final = 90
_WIDTH_WITHOUT_TERMINAL: Final = 1000
"""No path is folded, and a table takes only what it needs."""


def say_on(console: Console, *, with_time: bool) -> Say:
    """A line at once, whoever reads it."""

    def say(line: str) -> None:
        prefix = f"{datetime.now().astimezone():%H:%M:%S} " if with_time else ""
        console.print(f"{prefix}{line}", markup=False, highlight=False, soft_wrap=True)

    return say


def make_console() -> Console:
    """Lines to a file are not cut to the width of a terminal that is not there."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_WITHOUT_TERMINAL)


async def run_stack(data: Path, options: StackOptions, *, background: bool) -> None:
    """Starts, shows the table, and stays until SIGINT, SIGTERM or SIGHUP; a second signal stops in a hurry."""
    console = make_console()
    say = say_on(console, with_time=background)
    stack = Stack(data, options, say)
    stopping = asyncio.Event()

    def on_signal() -> None:
        if stopping.is_set():
            say("stopping in a hurry")
            stack.hurry()
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    starting = asyncio.create_task(stack.start_all())
    stop_wanted = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({starting, stop_wanted}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            if background:
                say("ready")
            else:
                show(stack.state, console)
                say("Ctrl-C stops it")
            await stop_wanted
        say("stopping")
    finally:
        starting.cancel()
        stop_wanted.cancel()
        await asyncio.wait({starting, stop_wanted})
        await stack.stop_all()
    say("stopped; the data stay in " + str(data))


def start_detached(data: Path, options: StackOptions) -> None:
    """Starts a supervisor in the background and returns when the stack is ready; raises StackError when it will not be."""
    holder = lock_holder(data)
    if holder is not None:
        raise StackError(f"a stack is running in {data} already (pid {holder}); `travelhub down` stops it")
    console = make_console()
    logs = data / "logs"
    data.mkdir(mode=0o711, parents=True, exist_ok=True)
    logs.mkdir(exist_ok=True)
    log = logs / "stack.log"
    with log.open("ab") as output, log.open("r") as shown:
        shown.seek(0, os.SEEK_END)
        child = subprocess.Popen(
            own_command("up", "--background", "--data", str(data), *_as_arguments(options)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            state = _wait_until_ready(data, child, shown, say_on(console, with_time=False))
        except BaseException:
            # It was not meant to be left half started; it takes its parts along.
            child.terminate()
            child.wait()
            raise
    show(state, console)
    say_on(console, with_time=False)(f"it runs in the background (pid {child.pid}); `travelhub down` stops it")


def _wait_until_ready(data: Path, child: subprocess.Popen[bytes], shown: IO[str], say: Say) -> StackState:
    while True:
        time.sleep(_POLL_S)
        for line in shown:
            say(line.rstrip("\n"))
        if child.poll() is not None:
            raise StackError("the stack did not start")
        if StackState.path(data).exists():
            state = StackState.load(data)
            if state.ready and state.supervisor_pid == child.pid:
                return state


def _as_arguments(options: StackOptions) -> list[str]:
    arguments = ["--workers", str(options.workers), "--seed", str(options.seed)]
    arguments += ["--temporal-synchronous", options.temporal_synchronous]
    arguments += ["--api" if options.api else "--no-api", "--vendors" if options.vendors else "--no-vendors"]
    for name, port in options.ports.items():
        arguments += [f"--{name.replace('_', '-')}-port", str(port)]
    return arguments


def stop_detached(data: Path) -> None:
    """Stops the stack that runs there, wherever it was started from, and waits until it has; says so if none runs."""
    say = say_on(make_console(), with_time=False)
    holder = lock_holder(data)
    if holder is None:
        say(f"no stack runs in {data}")
        return
    if holder == 0:
        raise StackError(f"the stack in {data} is only just starting; try again in a moment")
    os.kill(holder, signal.SIGTERM)
    if _wait_until(lambda: not _runs(holder), say, f"waiting for the stack (pid {holder}) to stop"):
        say("stopped")
        return
    # Its children are tied to it: they end with it.
    os.kill(holder, signal.SIGKILL)
    say(f"the stack (pid {holder}) did not stop within {_DOWN_TIMEOUT_S} s and was killed")


def _runs(pid: int) -> bool:
    """A zombie has ended, though nobody may ever collect it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait_until(condition: Callable[[], bool], say: Say, doing: str) -> bool:
    started = reported = time.monotonic()
    while not condition():
        now = time.monotonic()
        if now - started > _DOWN_TIMEOUT_S:
            return False
        if now - reported > _PROGRESS_EVERY_S:
            reported = now
            say(f"{doing} ({now - started:.0f} s)")
        time.sleep(_POLL_S)
    return True


def show_status(data: Path) -> bool:
    """Shows what runs there; False if nothing does."""
    console = make_console()
    if lock_holder(data) is None:
        say_on(console, with_time=False)(f"no stack runs in {data}")
        return False
    show(StackState.load(data), console)
    return True


def show(state: StackState, console: Console) -> None:
    """The one table of parts, where they listen and where they log; below it the demo tokens."""
    table = Table(title=f"TravelHub in {state.data}", title_justify="left")
    for column in ("part", "where", "pid", "state", "log"):
        table.add_column(column, overflow="fold")
    addresses = _addresses(state)
    for name, part in state.parts.items():
        pid = str(part.pid) if part.pid is not None else "-"
        table.add_row(name, addresses.get(name, "task queue bookings"), pid, _condition(part), _short(part.log))
    console.print(table)
    if "api" in state.parts:
        say = say_on(console, with_time=False)
        say(f"demo client token: {state.tokens.client}")
        say(f"operator token:    {state.tokens.operator}")
        say(f"They open this sandbox only, and are kept in {_short(StackState.path(state.data))}.")


def _addresses(state: StackState) -> dict[str, str]:
    return {
        "postgres": f"{state.socket_directory}",
        "valkey": f"127.0.0.1:{state.ports.valkey}",
        "temporal": f"{state.temporal_address}\n{state.temporal_ui_url} (Web UI)",
        "sandbox": f"{state.sandbox_url}/_sandbox/books",
        "api": f"{state.api_url}\n{state.api_url}/openapi.json",
    }


def _condition(part: PartRecord) -> str:
    now = "ready" if part.ready else "away"
    return f"{now}, started {part.starts} times" if part.starts > 1 else now


def _short(path: Path) -> str:
    """Relative where that is shorter to read."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
