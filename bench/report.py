"""What a person reads: speed, where the time goes, targets; nothing is left out because it looks bad."""

from collections.abc import Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.figures import (
    CHILD_PAYS_BELOW,
    LAG_MS_LIMIT,
    TARGETS,
    WORKER_MB_LIMIT,
    Ratio,
    Target,
    accept_ms,
    cpu_ms,
    lags_missed,
    lags_ms,
    latency_ms,
    per_s,
    ratios_of,
)
from bench.house import ASIDE, FLOOR, PRODUCT
from bench.load import SideName
from bench.rounds import ALONE, BUSY, Measured
from bench.tables import table_of

_SIDES: tuple[SideName, ...] = ("saga", "floor", "floor, child")


def show(console: Console, measured: Measured) -> None:
    """All tables, then the verdicts."""
    ratios = ratios_of(measured)
    console.print()
    console.print(_speed(measured))
    console.print(_cost(measured))
    console.print(_telling(measured, ratios))
    console.print(_targets(ratios))
    for sentence in _verdicts(measured, ratios):
        console.print(sentence, highlight=False)


def _speed(measured: Measured) -> Table:
    table = Table(
        title="Bookings, from POST /v1/bookings to the closed workflow; the floor from its start", title_justify="left"
    )
    table.add_column("at once", justify="right")
    table.add_column("side")
    for heading in ("per s", "p50 ms", "p95 ms", "p99 ms", "accepted p50 ms", "bookings"):
        table.add_column(heading, justify="right")
    for at_once, rounds in measured.rounds.items():
        for side in rounds[0].runs:
            table.add_row(
                str(at_once),
                side,
                f"{per_s(rounds, side):.1f}",
                *(f"{latency_ms(rounds, side, percent):.0f}" for percent in (50, 95, 99)),
                f"{accept_ms(rounds, side):.1f}",
                str(sum(len(one.runs[side].ended) for one in rounds)),
            )
        table.add_section()
    return table


def _cost(measured: Measured) -> Table:
    """Where the time goes."""
    table = Table(
        title=f"Processor time a booking in ms, {BUSY} at once, and what Temporal wrote down", title_justify="left"
    )
    table.add_column("process")
    for side in _SIDES:
        table.add_column(side, justify="right")
    spent = {side: cpu_ms(measured.rounds[BUSY], side) for side in _SIDES}
    counted: dict[SideName, Sequence[str]] = {"saga": PRODUCT, "floor": FLOOR, "floor, child": FLOOR}
    for name in (*PRODUCT, "floor worker"):
        table.add_row(name, *(f"{spent[side][name]:.1f}" if name in counted[side] else "-" for side in _SIDES))
    table.add_row(
        "together", *(f"{sum(spent[side][name] for name in counted[side]):.1f}" for side in _SIDES), style="bold"
    )
    table.add_section()
    for name in ASIDE:
        table.add_row(f"{name} (not counted)", *(f"{spent[side][name]:.1f}" for side in _SIDES))
    table.add_section()
    shapes = measured.shapes
    written = {
        "workflow tasks": [median(shape.workflow_tasks for shape in shapes[side]) for side in _SIDES],
        "signals received": [median(shape.signals for shape in shapes[side]) for side in _SIDES],
        "history events": [median(shape.events for shape in shapes[side]) for side in _SIDES],
        "history kB": [median(shape.size_bytes for shape in shapes[side]) / 1000 for side in _SIDES],
    }
    for label, of_sides in written.items():
        table.add_row(label, *(f"{value:.1f}" for value in of_sides))
    return table


def _telling(measured: Measured, ratios: dict[str, Ratio]) -> Table:
    """What webhooks cost, and how late events are."""
    table = table_of(
        f"Telling, {BUSY} at once: against bookings without webhooks, and from an event's transaction until it is told",
        *("what", "throughput", "processor time", "events", "p50 ms", "p99 ms"),
    )
    for name, words in {"webhooks": "the provider's webhooks", "endpoint": "and a client's endpoint besides"}.items():
        speed, cpu = ratios[f"{name}_throughput_ratio"], ratios[f"{name}_cpu_ratio"]
        shown = (f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})" for ratio in (speed, cpu))
        table.add_row(words, *shown, "", "", "")
    lags = lags_ms(measured)
    told = {"stream": measured.lags.stream_ms, "endpoint": measured.lags.delivered_ms}
    for name, words in {"stream": "in the stream in Valkey", "endpoint": "delivered to the endpoint"}.items():
        shown = (f"{lags[f'lag_{name}_p{percent}_ms']:.0f}" for percent in (50, 99))
        table.add_row(words, "", "", f"{len(told[name]):,}", *shown)
    return table


def _targets(ratios: dict[str, Ratio]) -> Table:
    table = Table(
        title="Against the floor: medians of neighbouring runs, and the range of the rounds", title_justify="left"
    )
    for heading in ("figure", "what", "median", "range", "target", ""):
        table.add_column(heading, justify="right" if heading in ("median", "range", "target") else "left")
    for target in TARGETS:
        ratio = ratios[target.key]
        table.add_row(
            target.key,
            target.words,
            f"{ratio.median:.2f}",
            f"{ratio.low:.2f}-{ratio.high:.2f}",
            f"{'>=' if target.at_least else '<='} {target.aim}",
            "[green]met[/]" if target.met(ratio) else "[red]missed[/]",
        )
    return table


def _verdicts(measured: Measured, ratios: dict[str, Ratio]) -> list[str]:
    return [
        _where_time_goes(measured),
        f"Alone, a booking is accepted in {accept_ms(measured.rounds[ALONE], 'saga'):.0f} ms.",
        _child(ratios),
        _memory(measured),
        f"{measured.checked} bookings were checked: confirmed in our books, and one for one in the vendors'.",
        f"Of those {BUSY} at once all events were told: in the stream once, to the endpoint in order.",
        *(_missed(target, ratios[target.key]) for target in TARGETS if not target.met(ratios[target.key])),
        *(
            f"Missed: {key} is {lags_ms(measured)[key]:.0f}; its target is {LAG_MS_LIMIT}."
            for key in lags_missed(measured)
        ),
    ]


def _where_time_goes(measured: Measured) -> str:
    busy = measured.rounds[BUSY]
    spent, floor = cpu_ms(busy, "saga"), cpu_ms(busy, "floor")
    together_ms = sum(spent[name] for name in PRODUCT)
    floor_ms = sum(floor[name] for name in FLOOR)
    parts = ", ".join(
        f"{name} {spent[name] / together_ms:.0%}" for name in sorted(PRODUCT, key=lambda part: -spent[part])
    )
    tasks = {side: median(shape.workflow_tasks for shape in measured.shapes[side]) for side in _SIDES}
    return (
        f"Where the time goes: a booking takes {together_ms:.0f} ms of processor ({parts}), the floor {floor_ms:.0f} ms; "
        f"{tasks['saga']:.1f} workflow tasks, the floor {tasks['floor']:.1f}. Besides, the simulated vendors take "
        f"{spent['sandbox']:.0f} ms of this machine and the bench's client {spent['client']:.0f} ms."
    )


def _child(ratios: dict[str, Ratio]) -> str:
    speed, cpu = ratios["child_payment_throughput_ratio"], ratios["child_payment_cpu_ratio"]
    dear = 1 - speed.median >= CHILD_PAYS_BELOW
    verdict = "too dear: the payment stays part of the booking" if dear else "cheap enough to be a child"
    return (
        f"The payment as a child workflow: {speed.median:.2f} ({speed.low:.2f}-{speed.high:.2f}) of the floor's throughput, "
        f"{cpu.median:.2f} of its processor time; {verdict}."
    )


def _memory(measured: Measured) -> str:
    memory = measured.memory
    within = "within" if memory.worker_mb <= WORKER_MB_LIMIT else "OVER"
    return (
        f"Memory with {memory.live} live bookings: worker {memory.worker_mb:.0f} MB ({within} its {WORKER_MB_LIMIT} MB), "
        f"api {memory.api_mb:.0f} MB."
    )


def _missed(target: Target, ratio: Ratio) -> str:
    bound = "at least" if target.at_least else "at most"
    return f"Missed: {target.key} is {ratio.median:.2f}; its target is {bound} {target.aim}."
