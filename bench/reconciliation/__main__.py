"""`python -m bench.reconciliation`: measures runs of the reconciliation over many payments; ends with one line of JSON."""

from collections.abc import Sequence

from rich.console import Console

from bench.command import Say, run_bench
from bench.house import running_house
from bench.reconciliation.figures import as_json
from bench.reconciliation.report import show
from bench.reconciliation.rounds import FULL, QUICK, Bench, Measured
from workers.bootstrap import REGULAR_WORK


async def measure(quick: bool, say: Say) -> Measured:
    """Starts everything, measures, stops everything."""
    async with running_house(say, with_floor=False) as house:
        for work in REGULAR_WORK:
            # So that the worker does nothing but what is measured.
            await house.temporal.get_schedule_handle(work.schedule_id).pause()
        return await Bench(house, QUICK if quick else FULL, say).measure()


def tell(console: Console, measured: Measured) -> dict[str, object]:
    show(console, measured)
    return as_json(measured)


def main(arguments: Sequence[str] | None = None) -> int:
    return run_bench("python -m bench.reconciliation", __doc__, arguments, measure, tell)


if __name__ == "__main__":
    raise SystemExit(main())
