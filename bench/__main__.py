"""`python -m bench`: measures the saga against its floor, what payment costs, and the reconciliation; ends with one line of JSON."""

import argparse
import json
import os
import sys
from asyncio import Runner
from collections.abc import Sequence
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.command import saying
from bench.figures import as_json
from bench.house import running_house
from bench.load import BenchFailed
from bench.reconciliation.__main__ import measure as measure_reconciliation
from bench.reconciliation.__main__ import tell as tell_of_reconciliation
from bench.report import show
from bench.rounds import FULL, QUICK, Bench, Measured, Sizes
from bench.telling import telling
from sandbox.supervisor import StackError

_WIDTH = 120


class Progressing:
    """A bar on a terminal; in any case a line for each run that is done."""

    def __init__(self, console: Console, sizes: Sizes) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._searches = self._progress.add_task("searches", total=sizes.searches())
        self._runs = self._progress.add_task("runs", total=sizes.runs())
        self._say = saying(console)

    def __enter__(self) -> "Progressing":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        self._say(text)

    def prepared(self) -> None:
        self._progress.advance(self._searches)

    def done(self, text: str) -> None:
        self._progress.advance(self._runs)
        self.say(text)


async def measure(sizes: Sizes, console: Console, *, sandboxed: bool) -> Measured:
    """Starts everything, measures, stops everything."""
    with Progressing(console, sizes) as progress:
        progress.say("starting the stack and the floor's worker")
        async with running_house(progress.say, sandboxed=sandboxed) as house, telling(house) as told:
            return await Bench(house, told, sizes, progress).measure()


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything was measured, targets met or not; 1 when a booking went wrong or the stack did not start."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test; its figures mean little")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the last line into this file")
    parser.add_argument("--sandboxed", action="store_true", help="workflow code of both sides in Temporal's sandbox")
    chosen = parser.parse_args(arguments)
    # Wide enough for the tables also where no terminal says how wide it is.
    console = Console(width=max(_WIDTH, Console().width))
    figures: dict[str, object] | None = None
    try:
        with Runner(loop_factory=uvloop.new_event_loop) as runner:
            measured = runner.run(measure(QUICK if chosen.quick else FULL, console, sandboxed=chosen.sandboxed))
            show(console, measured)
            console.print("\nNow the reconciliation, on a stack of its own.", highlight=False)
            reconciled = runner.run(measure_reconciliation(chosen.quick, saying(console)))
            figures = {**as_json(measured), "reconciliation": tell_of_reconciliation(console, reconciled)}
    except* (BenchFailed, StackError) as failures:
        console.print(f"The benchmark failed: {_first(failures)}", style="red", highlight=False)
    if figures is None:
        return 1
    line = json.dumps(figures)
    if chosen.json is not None:
        chosen.json.write_text(f"{line}\n")
    print(line)
    return 0


def _first(failures: ExceptionGroup[BenchFailed | StackError]) -> Exception:
    """Bookings run side by side and fail together; one says enough."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of Temporal's core do not always survive the interpreter's own way out.
    os._exit(code)
