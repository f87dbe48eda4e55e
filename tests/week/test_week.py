"""A week of flights on the real stack: delays, cancellations, other gates, pushes that come doubled, reordered and late, workers that
are killed; and then what everybody was told, by the vendors' own books. `make week` lives through 200 flights."""

from pathlib import Path

import pytest

from tests.week.airlines import STORIES
from tests.week.checker import doubtful, violations
from tests.week.driver import Plan, a_lived_week
from tests.week.evidence import judged

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(600)]

PLAN = Plan(seed=20261130, flights=20, kills=3, day_s=3)


async def test_everybody_is_told_once_and_nobody_is_left_behind(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with a_lived_week(PLAN, Path(tmp_path_factory.mktemp("week"))) as run:
        week, audit = await judged(run)
    assert violations(week) == [], f"seed {PLAN.seed}"
    assert [violation.text for violation in audit.violations] == [], f"seed {PLAN.seed}"
    # It was a week in which something happened, to as many as it should.
    assert len(run.killed_at) == PLAN.kills
    assert len({key for _, key in run.said}) == PLAN.flights
    assert {story.name for story in STORIES} == {
        name.removeprefix("flights ") for name in run.did if "flights " in name
    }
    assert run.did["disruptions rebooked"] >= 1
    assert run.did["disruptions kept"] >= 1
    assert doubtful(week) < len(week.announced) / 4, f"seed {PLAN.seed}"
