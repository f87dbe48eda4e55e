"""`python -m bench.monitors`: what watching flights costs as bookings grow; ends with one line of JSON."""

import argparse
import json
from asyncio import Runner
from collections.abc import Sequence

import uvloop
from rich.console import Console
from rich.table import Table

from bench.command import saying
from bench.monitors.simulation import FULL, QUICK, Measured, MonitorsBroken, Sizes, running_bench
from sandbox.supervisor import StackError

_WIDTH = 120


async def measure(sizes: Sizes, console: Console) -> Measured:
    """Starts everything, measures, stops everything."""
    say = saying(console)
    say("starting the stack")
    async with running_bench(sizes, say) as bench:
        return await bench.measure()


def show(console: Console, measured: Measured) -> None:
    """What a person reads."""
    sizes, first = measured.sizes, measured.stretches[0]
    table = Table(title=f"{sizes.flights} flights, departures spread over a month", title_justify="left")
    for heading in ("bookings", "polls a day", "Temporal actions a day", "worker MB"):
        table.add_column(heading, justify="right")
    for stretch in measured.stretches:
        actions = sum(stretch.actions_a_day.values())
        row = (stretch.bookings, stretch.polls_a_day, actions, stretch.worker_mb)
        table.add_row(*(f"{value:,.0f}" for value in row))
    console.print(table)
    kinds = ", ".join(f"{count:,.0f} {kind}" for kind, count in first.actions_a_day.items())
    console.print(f"Actions a day with {first.bookings:,} bookings: {kinds}.", highlight=False)
    console.print(
        f"A day is computed from {sizes.stretch_h:g} simulated hours, which took {sizes.stretch_s:g} s.",
        highlight=False,
    )
    console.print(
        f"A cancellation reached {sizes.fan_out} itineraries in {measured.fan_out_s:.2f} s. One monitor absorbed "
        f"{measured.signals_per_s:.0f} signals/s with {measured.looks_of_flood} looks at its flight.",
        highlight=False,
    )


def as_json(measured: Measured) -> dict[str, object]:
    """What a machine reads; rates are a day's."""
    first, last = measured.stretches[0], measured.stretches[-1]
    return {
        "bench": "monitors",
        "flights": measured.sizes.flights,
        "stretches": [
            {
                "bookings": stretch.bookings,
                "polls_a_day": round(stretch.polls_a_day),
                "actions_a_day": round(sum(stretch.actions_a_day.values())),
                "worker_mb": round(stretch.worker_mb, 1),
            }
            for stretch in measured.stretches
        ],
        "polls_ratio": round(last.polls_a_day / first.polls_a_day, 3),
        "worker_mb_ratio": round(last.worker_mb / first.worker_mb, 3),
        "fan_out_itineraries": measured.sizes.fan_out,
        "fan_out_s": round(measured.fan_out_s, 3),
        "signals_per_s": round(measured.signals_per_s, 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything was measured; 1 when something did not happen or the stack did not start."""
    parser = argparse.ArgumentParser(prog="python -m bench.monitors", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test of half a minute; its figures mean little")
    chosen = parser.parse_args(arguments)
    # Wide enough for the tables also where no terminal says how wide it is.
    console = Console(width=max(_WIDTH, Console().width))
    try:
        with Runner(loop_factory=uvloop.new_event_loop) as runner:
            measured = runner.run(measure(QUICK if chosen.quick else FULL, console))
    except (MonitorsBroken, StackError, TimeoutError) as failure:
        console.print(f"The benchmark failed: {type(failure).__name__}: {failure}", style="red", highlight=False)
        return 1
    show(console, measured)
    print(json.dumps(as_json(measured)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
