"""From runs to figures: medians of equal runs, how the cost grows, and what is the same whatever else is in the books."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.reconciliation.rounds import Measured
from bench.reconciliation.runs import Ran


@dataclass(frozen=True, slots=True)
class Target:
    """What `key` should come to, at most."""

    key: str
    words: str
    aim: float
    unit: str = ""


TARGETS: Final = (
    Target("growth_mb", "most that the worker's memory grew in any run", 200, " MB"),
    Target("cpu_power", "processor time, as a power of the payments since the watermark", 1.1),
    Target(
        "in_all_ratio",
        "the same payments since the watermark among all of them / among few, at the machine's pace",
        1.25,
    ),
)


def figures_of(measured: Measured) -> dict[str, float]:
    """Each target's by its key."""
    runs = [ran for each in measured.runs.values() for ran in each]
    cpu_s = {since: _median(each, lambda ran: ran.worker_cpu_s) for since, each in measured.runs.items()}
    smallest, middle, largest = sorted(cpu_s)
    # Minutes lie between the two, in which the machine may have become slower or faster.
    of_few = _median(measured.few, _at_pace)
    return {
        "growth_mb": max(ran.growth_mb for ran in [*measured.few, *runs]),
        "cpu_power": math.log(cpu_s[largest] / cpu_s[middle]) / math.log(largest / middle),
        "in_all_ratio": _median(measured.runs[smallest], _at_pace) / of_few,
    }


def typical(runs: Sequence[Ran]) -> dict[str, float]:
    """Medians of equal runs."""
    return {
        "pages": _median(runs, lambda ran: ran.pages),
        "wall_s": _median(runs, lambda ran: ran.wall_s),
        "worker_cpu_s": _median(runs, lambda ran: ran.worker_cpu_s),
        "postgres_cpu_s": _median(runs, lambda ran: ran.cpu_s["postgres"]),
        "growth_mb": max(ran.growth_mb for ran in runs),
    }


def as_json(measured: Measured) -> dict[str, object]:
    """The last line."""
    figures = figures_of(measured)
    largest = measured.runs[max(measured.runs)]
    return {
        **{key: round(value, 3) for key, value in figures.items()},
        "payments": largest[0].in_all,
        "runs": [
            {"in_all": runs[0].in_all, "since": runs[0].since, "runs": len(runs)}
            | {name: round(value, 3) for name, value in typical(runs).items()}
            for runs in [measured.few, *measured.runs.values()]
        ],
        "wrong_planted": measured.planted,
        "wrong_found": measured.found,
        "targets_missed": [target.key for target in TARGETS if figures[target.key] > target.aim],
    }


def _at_pace(ran: Ran) -> float:
    return ran.worker_cpu_s / ran.pace_s


def _median(runs: Sequence[Ran], of: Callable[[Ran], float]) -> float:
    return statistics.median(of(ran) for ran in runs)
