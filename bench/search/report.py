"""What a person reads: speed, where a live search's time goes, how it grows, targets."""

from typing import Final

from rich.console import Console
from rich.table import Table

from bench.figures import percentile
from bench.search.figures import TARGETS, alone_ms, cpu_ms, latencies_ms, per_s, ratios_of, slowest_ms
from bench.search.rounds import BUSY, FEW, Measured
from bench.tables import table_of

_IN_WORDS: Final = {
    "empty": (BUSY, "an empty FastAPI route with the same payload"),
    "cached": (BUSY, "a search that was asked before"),
    "assembled": (BUSY, "cached entries, shown otherwise each time"),
    "uncached": (1, "all suppliers asked live"),
    "uncached_busy": (FEW, "all suppliers asked live"),
}


def show(console: Console, measured: Measured) -> None:
    """All tables, then the verdicts."""
    console.print()
    console.print(_speed(measured))
    console.print(_live(measured))
    console.print(_growth(measured))
    console.print(_targets(measured))
    for sentence in _verdicts(measured):
        console.print(sentence, highlight=False)


def _speed(measured: Measured) -> Table:
    table = table_of(
        f"Searches; the payload has {measured.payload_bytes / 1000:.0f} kB",
        "what",
        "at once",
        "per s",
        "p50 ms",
        "p99 ms",
    )
    latencies, speeds = latencies_ms(measured), per_s(measured)
    for name, (at_once, words) in _IN_WORDS.items():
        shown = (f"{percentile(latencies[name], percent):.1f}" for percent in (50, 99))
        table.add_row(words, str(at_once), f"{speeds[name]:.0f}", *shown)
    return table


def _live(measured: Measured) -> Table:
    table = table_of("A live search alone, in ms", "part", "from asking to answer", "processor time")
    for supplier, value in alone_ms(measured).items():
        table.add_row(f"{supplier}, asked alone through its gateway", f"{value:.0f}", "")
    table.add_section()
    table.add_row("the slowest of them", f"{slowest_ms(measured):.0f}", "")
    spent = cpu_ms(measured)
    search_ms = percentile(latencies_ms(measured)["uncached"], 50)
    table.add_row("the search", f"{search_ms:.0f}", f"{sum(spent.values()):.0f}", style="bold")
    for name, value in spent.items():
        table.add_row(f"  {name}", "", f"{value:.0f}")
    return table


def _growth(measured: Measured) -> Table:
    table = table_of("Processor time of a search with made-up suppliers, in ms", "suppliers", "a search", "a supplier")
    for number, spent in measured.fan_out_ms.items():
        table.add_row(str(number), f"{spent:.1f}", f"{spent / number:.1f}")
    return table


def _targets(measured: Measured) -> Table:
    table = table_of("Targets: medians, and the range of the rounds", "figure", "median", "range", "target", "", "what")
    ratios = ratios_of(measured)
    for target in TARGETS:
        ratio = ratios[target.key]
        table.add_row(
            target.key,
            f"{ratio.median:.2f}",
            f"{ratio.low:.2f}-{ratio.high:.2f}",
            f"{'>=' if target.at_least else '<='} {target.aim}",
            "[green]met[/]" if target.met(ratio) else "[red]missed[/]",
            target.words,
        )
    return table


def _verdicts(measured: Measured) -> list[str]:
    ratios, spent = ratios_of(measured), cpu_ms(measured)
    share = spent["sandbox"] / sum(spent.values())
    lines = [
        f"Of a live search's processor time the simulated vendors take {share:.0%}; they share one process and wait for each other."
    ]
    missed = [target for target in TARGETS if not target.met(ratios[target.key])]
    for target in missed:
        bound = "at least" if target.at_least else "at most"
        lines.append(f"Missed: {target.key} is {ratios[target.key].median:.2f}; its target is {bound} {target.aim}.")
    lines.append("All targets are met." if not missed else f"{len(missed)} of {len(TARGETS)} targets are missed.")
    return lines
