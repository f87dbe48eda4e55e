"""From runs to figures: medians, how far the rounds were apart, and whether the targets are met."""

from collections.abc import Callable, Sequence
from typing import Final

from bench.figures import Ratio, Target, median, percentile
from bench.search.fan_out import growth
from bench.search.rounds import BUSY, Measured, Round

TARGETS: Final = (
    Target(
        "cached_search_ratio", f"cached searches a second with {BUSY} at once, of the empty route's", 0.6, at_least=True
    ),
    Target("uncached_overhead_ms", "live search of 6 suppliers, beyond the slowest of them alone", 60, at_least=False),
    Target("fan_out_growth", "power of the number of suppliers that the cost grows with", 1.5, at_least=False),
)
_PARTS: Final = 4
"""The pairs are told in so many parts, to show how steady they are."""


def ratios_of(measured: Measured) -> dict[str, Ratio]:
    """All of them by key."""
    rounds = measured.rounds
    overheads_ms = [1000 * one.overhead_s for one in measured.pairs]
    parts = [median(overheads_ms[part::_PARTS]) for part in range(_PARTS)]
    growing = growth(measured.fan_out_ms)
    return {
        "cached_search_ratio": _ratio(rounds, lambda one: one.cached.per_s / one.empty.per_s),
        "assembled_search_ratio": _ratio(rounds, lambda one: one.assembled.per_s / one.empty.per_s),
        "uncached_overhead_ms": Ratio(median(overheads_ms), min(parts), max(parts)),
        "fan_out_growth": Ratio(growing, growing, growing),
    }


def alone_ms(measured: Measured) -> dict[str, float]:
    """What each supplier takes when nobody else is asked."""
    return {
        supplier: 1000 * median([one.alone_s[supplier] for one in measured.pairs])
        for supplier in measured.pairs[0].alone_s
    }


def slowest_ms(measured: Measured) -> float:
    return 1000 * median([max(one.alone_s.values()) for one in measured.pairs])


def cpu_ms(measured: Measured) -> dict[str, float]:
    """Of a live search, by process; the mean, because the system counts in hundredths of a second."""
    pairs = measured.pairs
    return {name: 1000 * sum(one.cpu_s[name] for one in pairs) / len(pairs) for name in pairs[0].cpu_s}


def latencies_ms(measured: Measured) -> dict[str, list[float]]:
    """Of every answer, by what was asked; all rounds together."""
    rounds = measured.rounds
    return {
        "empty": [ms for one in rounds for ms in one.empty.latencies_ms],
        "cached": [ms for one in rounds for ms in one.cached.latencies_ms],
        "assembled": [ms for one in rounds for ms in one.assembled.latencies_ms],
        "uncached": [1000 * one.search_s for one in measured.pairs],
        "uncached_busy": measured.live.latencies_ms,
    }


def per_s(measured: Measured) -> dict[str, float]:
    rounds = measured.rounds
    return {
        "empty": median([one.empty.per_s for one in rounds]),
        "cached": median([one.cached.per_s for one in rounds]),
        "assembled": median([one.assembled.per_s for one in rounds]),
        "uncached": len(measured.pairs) / sum(one.search_s for one in measured.pairs),
        "uncached_busy": measured.live.per_s,
    }


def as_json(measured: Measured) -> dict[str, object]:
    """The last line."""
    ratios = ratios_of(measured)
    line: dict[str, object] = {key: round(ratio.median, 3) for key, ratio in ratios.items()}
    line |= {f"{name}_per_s": round(value, 1) for name, value in per_s(measured).items()}
    for name, latencies in latencies_ms(measured).items():
        line |= {f"{name}_p{percent}_ms": round(percentile(latencies, percent), 1) for percent in (50, 99)}
    line["slowest_supplier_ms"] = round(slowest_ms(measured), 1)
    line["supplier_alone_ms"] = _rounded(alone_ms(measured))
    line["uncached_cpu_ms"] = _rounded(cpu_ms(measured))
    line["fan_out_cpu_ms"] = {str(number): round(ms, 1) for number, ms in measured.fan_out_ms.items()}
    line["payload_bytes"] = measured.payload_bytes
    line["spread"] = {key: [round(ratio.low, 3), round(ratio.high, 3)] for key, ratio in ratios.items()}
    line["targets_missed"] = [target.key for target in TARGETS if not target.met(ratios[target.key])]
    return line


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in values.items()}


def _ratio(rounds: Sequence[Round], of: Callable[[Round], float]) -> Ratio:
    each = [of(one) for one in rounds]
    return Ratio(median(each), min(each), max(each))
