"""`python -m bench.feed`: measures the live feed with many connected clients; ends with one line of JSON."""

from collections.abc import Sequence

from rich.console import Console

from bench.command import Say, run_bench
from bench.feed import rounds
from bench.feed.report import as_json, show
from bench.feed.rounds import FULL, QUICK, Measured
from bench.house import running_house


async def measure(quick: bool, say: Say) -> Measured:
    """Starts everything, measures, stops everything."""
    async with running_house(say, with_floor=False) as house:
        return await rounds.measure(house, QUICK if quick else FULL, say)


def tell(console: Console, measured: Measured) -> dict[str, object]:
    show(console, measured)
    return as_json(measured)


def main(arguments: Sequence[str] | None = None) -> int:
    return run_bench("python -m bench.feed", __doc__, arguments, measure, tell)


if __name__ == "__main__":
    raise SystemExit(main())
