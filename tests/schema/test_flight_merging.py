"""What news of a flight add up to: the same whatever order they come in, and told only where travellers must know."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.flight_merging import as_booked, changes_between, merge, news_to_newcomer, status_of, told_together
from schema.flights import Change, FlightId, FlightNews, FlightPoint, FlightPolicy, FlightStatus

DEPARTS = datetime(2030, 5, 1, 10, 0, tzinfo=UTC)
ARRIVES = DEPARTS + timedelta(hours=3)
FLIGHT = FlightId(carrier="BA", number="117", on=DEPARTS.date(), origin="LHR")
BOOKED = as_booked(FLIGHT, "LIS", DEPARTS, ARRIVES)
POLICY = FlightPolicy()

moments = st.integers(0, 40).map(lambda minutes: DEPARTS - timedelta(days=1) + timedelta(minutes=minutes))
times = st.none() | st.integers(-60, 300).map(lambda minutes: DEPARTS + timedelta(minutes=minutes))
gates = st.none() | st.sampled_from(["A1", "B12", "C3"])
points = st.builds(
    FlightPoint,
    airport=st.just("LHR"),
    scheduled=times,
    estimated=times,
    actual=times,
    terminal=st.none() | st.sampled_from(["1", "5"]),
    gate=gates,
)
phases = st.none() | st.sampled_from(["scheduled", "departed", "arrived", "cancelled", "diverted"])
one_news = st.builds(
    FlightNews,
    flight=st.just(FLIGHT),
    source=st.sampled_from(["amadeus", "duffel"]),
    said_at=moments,
    phase=phases,
    departure=st.none() | points,
    arrival=st.none() | points,
    diverted_to=st.none() | st.sampled_from(["OPO", "MAD"]),
)


def news(
    said_min: int,
    phase: str | None = None,
    *,
    delay_min: int | None = None,
    moved_min: int | None = None,
    gate: str | None = None,
    terminal: str | None = None,
    **more: object,
) -> FlightNews:
    departure = FlightPoint(
        airport="LHR",
        scheduled=None if moved_min is None else DEPARTS + timedelta(minutes=moved_min),
        estimated=None if delay_min is None else DEPARTS + timedelta(minutes=delay_min),
        gate=gate,
        terminal=terminal,
    )
    said_at = DEPARTS - timedelta(hours=5) + timedelta(minutes=said_min)
    values = {"flight": FLIGHT, "source": "amadeus", "said_at": said_at, "phase": phase, "departure": departure, **more}
    return FlightNews.model_validate(values)


def after(*said: FlightNews) -> FlightStatus:
    record = dict(BOOKED)
    for one in said:
        record = merge(record, one)
    return status_of(FLIGHT.key, 0, record)


def changes(told: FlightStatus, now: FlightStatus, before: FlightStatus | None = None) -> list[Change]:
    return changes_between(told, before or told, now, POLICY)


@given(st.lists(one_news, max_size=6), st.randoms(use_true_random=False))
def test_any_permutation_and_duplication_ends_in_the_same_status(said: list[FlightNews], chance: random.Random) -> None:
    shuffled = said + [chance.choice(said) for _ in said]
    chance.shuffle(shuffled)
    assert after(*shuffled) == after(*said)


@given(st.lists(one_news, max_size=4), one_news)
def test_news_that_are_older_than_all_change_no_part_that_is_known(said: list[FlightNews], late: FlightNews) -> None:
    late = late.model_copy(update={"said_at": DEPARTS - timedelta(days=2)})
    known: dict[str, object] = {}
    for one in said:
        known = merge(known, one)
    merged = merge(known, late)
    assert {part: merged[part] for part in known} == known


@given(one_news, one_news)
def test_what_did_not_change_is_not_told(one: FlightNews, other: FlightNews) -> None:
    assert changes(after(one, other), after(other, one)) == []


NOTHING_YET = after()


@pytest.mark.parametrize(
    ("told", "now", "expected"),
    [
        (NOTHING_YET, after(news(0, delay_min=29)), []),
        (NOTHING_YET, after(news(0, delay_min=30)), ["delayed"]),
        (after(news(0, delay_min=30)), after(news(1, delay_min=44)), []),
        (after(news(0, delay_min=30)), after(news(1, delay_min=45)), ["delayed"]),
        (after(news(0, delay_min=60)), after(news(1, delay_min=40)), ["delayed"]),
        (after(news(0, delay_min=31)), after(news(1, delay_min=29)), []),
        (after(news(0, delay_min=31)), after(news(1, delay_min=0)), ["on_time_again"]),
        (NOTHING_YET, after(news(0, moved_min=14)), []),
        (NOTHING_YET, after(news(0, moved_min=-15)), ["schedule_changed"]),
        # What a supplier pushes as a new schedule, and the airline calls a delay; and the other way round.
        (after(news(0, moved_min=50)), after(news(0, moved_min=50), news(1, moved_min=0, delay_min=50)), []),
        (after(news(0, moved_min=50)), after(news(0, moved_min=50), news(1, moved_min=0, delay_min=64)), []),
        (after(news(0, moved_min=50)), after(news(1, moved_min=0, delay_min=65)), ["delayed", "schedule_changed"]),
        (after(news(0, moved_min=50)), after(news(1, moved_min=0)), ["schedule_changed"]),
        (after(news(0, delay_min=50)), after(news(0, delay_min=50), news(1, moved_min=50)), []),
        (after(news(0, delay_min=50)), after(news(1, moved_min=50, gate="C3")), []),
        (NOTHING_YET, after(news(0, gate="B12", terminal="5")), []),
        (after(news(0, gate="B12")), after(news(1, gate="C3")), ["gate_changed"]),
        (after(news(0, terminal="5")), after(news(1, terminal="1")), ["terminal_changed"]),
        (NOTHING_YET, after(news(0, "cancelled", delay_min=90)), ["cancelled"]),
        (after(news(0, "cancelled")), after(news(1, "scheduled")), ["reinstated"]),
        (after(news(0, "cancelled")), after(news(1, "scheduled", delay_min=40)), ["reinstated", "delayed"]),
        (NOTHING_YET, after(news(0, "departed")), ["departed"]),
        (NOTHING_YET, after(news(0, "arrived")), ["arrived"]),
        (after(news(0, "departed")), after(news(1, "arrived", delay_min=90)), ["arrived"]),
        (after(news(0, "departed")), after(news(1, "diverted", diverted_to="OPO")), ["diverted"]),
        (
            after(news(0, "diverted", diverted_to="OPO")),
            after(news(1, "diverted", diverted_to="MAD")),
            ["diverted"],
        ),
    ],
)
def test_what_travellers_must_know(told: FlightStatus, now: FlightStatus, expected: list[Change]) -> None:
    assert changes(told, now) == expected


def test_a_gate_that_was_only_shown_has_changed_when_it_is_another() -> None:
    shown, now = after(news(0, gate="B12")), after(news(1, gate="C3"))
    assert changes(NOTHING_YET, now, before=shown) == ["gate_changed"]


def test_an_estimate_from_before_the_schedule_moved_past_it_is_no_delay_and_no_early_departure() -> None:
    status = after(news(0, delay_min=40), news(1, moved_min=60))
    assert (status.delay_minutes, status.departure.estimated) == (0, None)


def test_once_it_has_left_the_delay_is_that_of_its_arrival() -> None:
    left = news(
        0, "departed", delay_min=40, arrival=FlightPoint(airport="LIS", estimated=ARRIVES + timedelta(minutes=5))
    )
    assert after(left).delay_minutes == 5


def test_a_part_that_a_source_does_not_mention_stays() -> None:
    status = after(news(0, gate="B12"), news(1, delay_min=10))
    assert status.departure.gate == "B12"


def test_what_came_and_went_before_it_was_told_is_not_told() -> None:
    between: list[list[Change]] = [["delayed"], ["gate_changed"], ["on_time_again"]]
    assert told_together(NOTHING_YET, after(news(9, delay_min=0)), between, POLICY) == ["gate_changed"]
    assert told_together(NOTHING_YET, after(news(9, delay_min=50)), between[:2], POLICY) == ["delayed", "gate_changed"]


def test_who_joins_late_is_told_of_a_delay_and_not_of_the_schedule_they_booked() -> None:
    now = after(news(0, moved_min=60), news(1, delay_min=120))
    assert news_to_newcomer(now, POLICY) == ["delayed"]
    assert news_to_newcomer(after(news(0, moved_min=60)), POLICY) == []
