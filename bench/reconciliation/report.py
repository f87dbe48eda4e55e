"""What a person reads: what each size took, what was found, targets."""

from rich.console import Console
from rich.table import Table

from bench.reconciliation.figures import TARGETS, figures_of, typical
from bench.reconciliation.rounds import Measured
from bench.tables import table_of


def show(console: Console, measured: Measured) -> None:
    """All tables, then the verdicts."""
    console.print()
    console.print(_cost(measured))
    console.print(_targets(measured))
    for sentence in _verdicts(measured):
        console.print(sentence, highlight=False)


def _cost(measured: Measured) -> Table:
    table = table_of(
        "A run of the reconciliation: medians; of memory the most that any run grew",
        *(
            "payments in all",
            "since the watermark",
            "runs",
            "pages",
            "s",
            "worker CPU s",
            "PostgreSQL CPU s",
            "worker + MB",
        ),
        "CPU ms a payment",
    )
    for runs in [measured.few, *measured.runs.values()]:
        typically = typical(runs)
        table.add_row(
            *(f"{number:,}" for number in (runs[0].in_all, runs[0].since, len(runs))),
            f"{typically['pages']:,.0f}",
            *(f"{typically[name]:.2f}" for name in ("wall_s", "worker_cpu_s", "postgres_cpu_s")),
            f"{typically['growth_mb']:.1f}",
            f"{1000 * typically['worker_cpu_s'] / runs[0].since:.2f}",
        )
    return table


def _targets(measured: Measured) -> Table:
    table = table_of("Targets", "figure", "measured", "target", "", "what")
    figures = figures_of(measured)
    for target in TARGETS:
        value = figures[target.key]
        verdict = "[green]met[/]" if value <= target.aim else "[red]missed[/]"
        table.add_row(target.key, f"{value:.2f}", f"<= {target.aim}{target.unit}", verdict, target.words)
    return table


def _verdicts(measured: Measured) -> list[str]:
    figures = figures_of(measured)
    missed = [target for target in TARGETS if figures[target.key] > target.aim]
    return [
        f"Wrong on purpose: {measured.planted}; found, each once and as what it is: {measured.found}; found besides: none.",
        *(
            f"Missed: {target.key} is {figures[target.key]:.2f}; its target is at most {target.aim}."
            for target in missed
        ),
        "All targets are met." if not missed else f"{len(missed)} of {len(TARGETS)} targets are missed.",
    ]
