"""From runs to figures: each ratio is taken between neighbours and said as the median of its rounds, with the range they spanned."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.house import ASIDE, FLOOR, PRODUCT
from bench.load import Run, SideName
from bench.rounds import ALONE, BUSY, Measured, Round
from bench.telling import ENDPOINT, SILENT


@dataclass(frozen=True, slots=True)
class Ratio:
    """The product against its floor."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Target:
    """What `key` should come to: at least (throughput) or at most (time)."""

    key: str
    words: str
    aim: float
    at_least: bool

    def met(self, ratio: Ratio) -> bool:
        return ratio.median >= self.aim if self.at_least else ratio.median <= self.aim


TARGETS: Final = (
    Target("throughput_ratio", f"bookings a second with {BUSY} at once, of the floor's", 0.70, at_least=True),
    Target("p50_ratio", "alone: start to close, of the floor's", 1.5, at_least=False),
    Target("accept_ratio", "alone: POST answered, of an update that starts an empty workflow", 2.0, at_least=False),
    Target("cpu_ratio", "processor time a booking, of the floor's", 1.4, at_least=False),
)
WORKER_MB_LIMIT: Final = 250
LAG_MS_LIMIT: Final = 500
"""99 of 100 events are told sooner."""
CHILD_PAYS_BELOW: Final = 0.05
"""A child workflow that costs less throughput than this would be worth its own state."""


def ratios_of(measured: Measured) -> dict[str, Ratio]:
    """All of them by key."""
    alone, busy = measured.rounds[ALONE], measured.rounds[BUSY]
    return {
        "throughput_ratio": _ratio(busy, lambda one: one.runs["saga"].per_s / one.runs["floor"].per_s),
        "p50_ratio": _ratio(alone, lambda one: median(one.open_s["saga"]) / median(one.open_s["floor"])),
        "accept_ratio": _ratio(alone, lambda one: _accept_s(one, "saga") / _accept_s(one, "floor, accept")),
        "cpu_ratio": _ratio(busy, lambda one: one.runs["saga"].cpu_ms(*PRODUCT) / one.runs["floor"].cpu_ms(*FLOOR)),
        "cpu_ratio_with_vendors": _ratio(
            busy, lambda one: one.runs["saga"].cpu_ms(*PRODUCT, "sandbox") / one.runs["floor"].cpu_ms(*FLOOR)
        ),
        "end_to_end_p50_ratio": _ratio(alone, lambda one: _total_s(one, "saga") / _total_s(one, "floor")),
        "webhooks_throughput_ratio": _ratio(busy, lambda one: one.runs["saga"].per_s / one.runs[SILENT].per_s),
        "webhooks_cpu_ratio": _ratio(
            busy, lambda one: one.runs["saga"].cpu_ms(*PRODUCT) / one.runs[SILENT].cpu_ms(*PRODUCT)
        ),
        "endpoint_throughput_ratio": _ratio(busy, lambda one: one.runs[ENDPOINT].per_s / one.runs[SILENT].per_s),
        "endpoint_cpu_ratio": _ratio(
            busy, lambda one: one.runs[ENDPOINT].cpu_ms(*PRODUCT) / one.runs[SILENT].cpu_ms(*PRODUCT)
        ),
        "child_payment_throughput_ratio": _ratio(
            busy, lambda one: one.runs["floor, child"].per_s / one.runs["floor"].per_s
        ),
        "child_payment_cpu_ratio": _ratio(
            busy, lambda one: one.runs["floor, child"].cpu_ms(*FLOOR) / one.runs["floor"].cpu_ms(*FLOOR)
        ),
    }


def per_s(rounds: Sequence[Round], side: SideName) -> float:
    return median([one.runs[side].per_s for one in rounds])


def latency_ms(rounds: Sequence[Round], side: SideName, percent: float) -> float:
    """Over all rounds together: what the client waited until it knew the end."""
    return 1000 * percentile([ended.total_s for one in rounds for ended in one.runs[side].ended], percent)


def accept_ms(rounds: Sequence[Round], side: SideName) -> float:
    return 1000 * median([ended.accepted_s for one in rounds for ended in one.runs[side].ended])


def cpu_ms(rounds: Sequence[Round], side: SideName) -> dict[str, float]:
    """A booking, by process."""
    names = (*PRODUCT, "floor worker", *ASIDE)
    return {name: median([one.runs[side].cpu_ms(name) for one in rounds]) for name in names}


def lags_ms(measured: Measured) -> dict[str, float]:
    """How long events take, with `BUSY` at once."""
    told = {"stream": measured.lags.stream_ms, "endpoint": measured.lags.delivered_ms}
    return {
        f"lag_{where}_p{percent}_ms": percentile(lags, percent) for where, lags in told.items() for percent in (50, 99)
    }


def lags_missed(measured: Measured) -> list[str]:
    """Which of them are too long."""
    return [key for key, value in lags_ms(measured).items() if "p99" in key and value > LAG_MS_LIMIT]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def as_json(measured: Measured) -> dict[str, object]:
    """The last line: medians first, then how far their rounds were apart."""
    ratios = ratios_of(measured)
    alone, busy = measured.rounds[ALONE], measured.rounds[BUSY]
    line: dict[str, object] = {key: round(ratio.median, 3) for key, ratio in ratios.items()}
    line["bookings_per_s"] = round(per_s(busy, "saga"), 2)
    line["floor_bookings_per_s"] = round(per_s(busy, "floor"), 2)
    line["accept_p50_ms"] = round(accept_ms(alone, "saga"), 1)
    for at_once, rounds in measured.rounds.items():
        for percent in (50, 95, 99):
            line[f"p{percent}_ms_at_{at_once}"] = round(latency_ms(rounds, "saga", percent), 1)
    line["cpu_ms_a_booking"] = {name: round(spent, 1) for name, spent in cpu_ms(busy, "saga").items()}
    line["floor_cpu_ms_a_booking"] = {name: round(spent, 1) for name, spent in cpu_ms(busy, "floor").items()}
    line |= {key: round(value, 1) for key, value in lags_ms(measured).items()}
    line["events_told"] = len(measured.lags.stream_ms)
    line["live_bookings"] = measured.memory.live
    line["worker_mb"] = round(measured.memory.worker_mb)
    line["api_mb"] = round(measured.memory.api_mb)
    line["bookings_checked"] = measured.checked
    line["spread"] = {key: [round(ratio.low, 3), round(ratio.high, 3)] for key, ratio in ratios.items()}
    missed = [target.key for target in TARGETS if not target.met(ratios[target.key])]
    line["targets_missed"] = missed + lags_missed(measured)
    return line


def _ratio(rounds: Sequence[Round], of: Callable[[Round], float]) -> Ratio:
    each = [of(one) for one in rounds]
    return Ratio(median(each), min(each), max(each))


def _accept_s(one: Round, side: SideName) -> float:
    return _median_of(one.runs[side], lambda run: [ended.accepted_s for ended in run.ended])


def _total_s(one: Round, side: SideName) -> float:
    return _median_of(one.runs[side], lambda run: [ended.total_s for ended in run.ended])


def _median_of(run: Run, values: Callable[[Run], list[float]]) -> float:
    return median(values(run))
