"""The bench of monitors runs, and counts what it says it counts."""

import json

import pytest

from bench.monitors.__main__ import main

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(300)]


def test_it_ends_with_one_line_of_json_and_polls_follow_flights(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick"]) == 0
    printed = json.loads(capfd.readouterr().out.splitlines()[-1])
    few, many = printed["stretches"]
    assert many["bookings"] == 10 * few["bookings"]
    # Twenty flights are polled a few times only; ten times the bookings would be ten times the polls.
    assert 0 < many["polls_a_day"] < 3 * few["polls_a_day"]
    assert many["worker_mb"] < 1.3 * few["worker_mb"]
    assert printed["fan_out_itineraries"] == 60
    assert printed["fan_out_s"] > 0
    assert printed["signals_per_s"] > 0
