"""`make week`: lives through a week of 200 flights; ends with one line of JSON, and 1 if anything was not as it must be."""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from structlog import configure, make_filtering_bound_logger

from tests.week.checker import doubtful, violations
from tests.week.driver import Plan, a_lived_week
from tests.week.evidence import judged


async def run(plan: Plan, data: Path) -> bool:
    """Says what happened and what was wrong; whether nothing was."""
    began = time.monotonic()
    async with a_lived_week(plan, data) as lived:
        week, audit = await judged(lived)
    wrong = [*violations(week), *(f"audit, invariant {one.invariant}: {one.text}" for one in audit.violations)]
    for line in [*(f"{what}: {times}" for what, times in sorted(lived.did.items())), *wrong]:
        sys.stdout.write(line + "\n")
    figures = {
        "seed": plan.seed,
        "flights": len({key for _, key in week.said}),
        "travellers": len(week.addresses),
        "news": lived.did["news"],
        "pushes": lived.did["pushes"],
        "workers_killed": len(week.killed_at),
        "announced": len(week.announced),
        "taken": dict(sorted(Counter(message.vendor for message in week.taken).items())),
        "in_doubt": doubtful(week),
        "wrong": len(wrong),
        "wall_s": round(time.monotonic() - began, 1),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return not wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="make week")
    parser.add_argument("--flights", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20261128)
    parser.add_argument("--kills", type=int, default=14)
    parser.add_argument("--day-s", type=float, default=20, help="how long a day of the week lasts here")
    given = parser.parse_args()
    configure(wrapper_class=make_filtering_bound_logger("error"))  # what matters is in the books
    plan = Plan(seed=given.seed, flights=given.flights, kills=given.kills, day_s=given.day_s)
    with tempfile.TemporaryDirectory(prefix="travelhub-week-") as data:
        Path(data).chmod(0o711)  # PostgreSQL's own user must pass through
        return 0 if asyncio.run(run(plan, Path(data))) else 1


if __name__ == "__main__":
    sys.exit(main())
