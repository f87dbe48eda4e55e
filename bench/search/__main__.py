"""`python -m bench.search`: measures searches against their floors; ends with one line of JSON."""

import argparse
import json
import time
from asyncio import Runner
from collections.abc import Sequence

import uvloop
from rich.console import Console

from bench.load import BenchFailed
from bench.search.figures import as_json
from bench.search.house import running_house
from bench.search.load import LoadBroken
from bench.search.report import show
from bench.search.rounds import FULL, QUICK, Bench, Measured, Sizes
from sandbox.supervisor import StackError

_WIDTH = 120


async def measure(sizes: Sizes, console: Console) -> Measured:
    """Starts everything, measures, stops everything."""
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - began:5.0f} s  {text}", highlight=False)

    say("starting the stack")
    async with running_house(say) as house:
        return await Bench(house, sizes, say).measure()


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything was measured, targets met or not; 1 when a search went wrong or the stack did not start."""
    parser = argparse.ArgumentParser(prog="python -m bench.search", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test of half a minute; its figures mean little")
    chosen = parser.parse_args(arguments)
    # Wide enough for the tables also where no terminal says how wide it is.
    console = Console(width=max(_WIDTH, Console().width))
    try:
        with Runner(loop_factory=uvloop.new_event_loop) as runner:
            measured = runner.run(measure(QUICK if chosen.quick else FULL, console))
    except (BenchFailed, LoadBroken, StackError) as failure:
        console.print(f"The benchmark failed: {failure}", style="red", highlight=False)
        return 1
    show(console, measured)
    print(json.dumps(as_json(measured)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
