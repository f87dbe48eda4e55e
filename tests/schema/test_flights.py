"""Ids of flights and monitors, and when a flight is asked about."""

from datetime import date

import pytest

from schema.flights import FlightId, FlightPolicy, flight_of_monitor, monitor_id_for


def test_a_monitor_id_names_its_flight() -> None:
    flight = FlightId(carrier="BA", number="117", on=date(2030, 5, 1), origin="LHR")
    assert flight.key == "BA117-2030-05-01-LHR"
    assert flight_of_monitor(monitor_id_for(flight.key)) == flight


@pytest.mark.parametrize("key", ["", "BA117-2030-05-01", "BA117-2030-99-01-LHR", "booking-1"])
def test_what_is_no_flight_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"names no flight|valid date"):
        FlightId.of_key(key)


@pytest.mark.parametrize(
    ("departs_in_h", "after_s"),
    [(30 * 24, 6 * 3600), (76, 4 * 3600 + 3600), (72, 3600), (6.5, 2100), (6, 300), (1, 300), (-2, 300)],
)
def test_it_asks_by_the_distance_to_departure(departs_in_h: float, after_s: float) -> None:
    assert FlightPolicy().poll_after_s(departs_in_h * 3600) == after_s
    compressed = FlightPolicy(clock_scale=100)
    assert compressed.poll_after_s(departs_in_h * 36) == pytest.approx(after_s / 100)


def test_without_a_source_it_looks_rarely_and_after_a_failure_soon() -> None:
    policy, month_s = FlightPolicy(), 30 * 86_400
    assert policy.look_after_s(0, "nobody_to_ask") == policy.poll_far_s
    assert policy.look_after_s(month_s, "away") == policy.poll_near_s
    assert policy.look_after_s(month_s, "given") == policy.poll_far_s
