"""What `python -m bench` and its like share: a console, lines with the time since the start, and how a failure is told."""

import argparse
import json
import time
from asyncio import Runner
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import uvloop
from rich.console import Console

from bench.load import BenchFailed
from bench.search.load import LoadBroken
from sandbox.supervisor import StackError

Measured = TypeVar("Measured")
Say = Callable[[str], None]

_WIDTH: Final = 120


def saying(console: Console) -> Say:
    """Prints lines with the time since now."""
    began = time.monotonic()
    return lambda text: console.print(f"{time.monotonic() - began:5.0f} s  {text}", highlight=False)


def run_bench(
    program: str,
    description: str | None,
    arguments: Sequence[str] | None,
    measure: Callable[[bool, Say], Awaitable[Measured]],
    tell: Callable[[Console, Measured], dict[str, object]],
) -> int:
    """0 when everything was measured, targets met or not; 1 when something went wrong or the stack did not start. `measure` is told
    whether to be quick; `tell` shows what was measured and returns the last line."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--quick", action="store_true", help="a smoke test; its figures mean little")
    chosen = parser.parse_args(arguments)
    # Wide enough for the tables also where no terminal says how wide it is.
    console = Console(width=max(_WIDTH, Console().width))
    say = saying(console)

    async def all_of_it() -> Measured:
        say("starting the stack")
        return await measure(chosen.quick, say)

    try:
        with Runner(loop_factory=uvloop.new_event_loop) as runner:
            measured = runner.run(all_of_it())
    except (BenchFailed, LoadBroken, StackError) as failure:
        console.print(f"The benchmark failed: {failure}", style="red", highlight=False)
        return 1
    print(json.dumps(tell(console, measured)))
    return 0
