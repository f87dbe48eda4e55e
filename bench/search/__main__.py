"""`python -m bench.search`: measures searches against their floors; ends with one line of JSON."""

from collections.abc import Sequence

from rich.console import Console

from bench.command import Say, run_bench
from bench.search.figures import as_json
from bench.search.house import running_house
from bench.search.report import show
from bench.search.rounds import FULL, QUICK, Bench, Measured


async def measure(quick: bool, say: Say) -> Measured:
    """Starts everything, measures, stops everything."""
    async with running_house(say) as house:
        return await Bench(house, QUICK if quick else FULL, say).measure()


def tell(console: Console, measured: Measured) -> dict[str, object]:
    show(console, measured)
    return as_json(measured)


def main(arguments: Sequence[str] | None = None) -> int:
    return run_bench("python -m bench.search", __doc__, arguments, measure, tell)


if __name__ == "__main__":
    raise SystemExit(main())
