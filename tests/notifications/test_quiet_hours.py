"""Quiet hours end when the clock on the traveller's wall says so: over midnight, and on days of 23 and 25 hours."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from activities.quiet_hours import quiet_until
from schema.notifications import Preferences, QuietHours

NIGHT = {"starts": "22:00", "ends": "07:00", "time_zone": "Europe/Lisbon"}
minutes = st.builds(time, st.integers(0, 23), st.integers(0, 59))
zones = st.sampled_from(["Europe/Lisbon", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe", "Asia/Kathmandu"])
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # bounds are naive by contract


def hours(**given: str) -> QuietHours:
    return QuietHours.model_validate(NIGHT | given)


def at(text: str, zone: str = "Europe/Lisbon") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-12-03T21:59", None),
        ("2026-12-03T22:00", "2026-12-04T07:00"),
        ("2026-12-04T03:00", "2026-12-04T07:00"),
        ("2026-12-04T07:00", None),
    ],
)
def test_a_night_goes_over_midnight(now: str, until: str | None) -> None:
    assert quiet_until(hours(), at(now)) == (None if until is None else at(until))


def test_hours_within_a_day() -> None:
    siesta = hours(starts="13:00", ends="15:30")
    assert quiet_until(siesta, at("2026-12-03T14:00")) == at("2026-12-03T15:30")
    assert quiet_until(siesta, at("2026-12-03T23:00")) is None


def test_a_night_in_which_the_clock_is_put_forward_is_an_hour_shorter() -> None:
    before = at("2026-03-28T22:00")
    assert quiet_until(hours(), before) == before + timedelta(hours=8)


def test_an_end_that_the_clock_leaves_out_is_when_it_jumps() -> None:
    """In Lisbon 01:00 becomes 02:00 on 29 March 2026."""
    assert quiet_until(hours(ends="01:30"), at("2026-03-29T00:10")) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


@settings(deadline=None)
@given(starts=minutes, ends=minutes, zone=zones, now=moments)
def test_until_then_every_minute_is_quiet_and_then_none_is(starts: time, ends: time, zone: str, now: datetime) -> None:
    if starts == ends:
        return
    quiet = QuietHours(starts=starts, ends=ends, time_zone=zone)
    until = quiet_until(quiet, now)
    if until is None:
        until = now
    else:
        assert now < until <= now + timedelta(hours=25)
        middle = now + (until - now) / 2
        assert quiet_until(quiet, middle) == until
    shown = until.astimezone(ZoneInfo(zone)).time()
    inside = starts <= shown < ends if starts < ends else (shown >= starts or shown < ends)
    assert not inside


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"time_zone": "Europe/Lisboa"}, "unknown_time_zone"),
        ({"time_zone": "../../etc/passwd"}, "unknown_time_zone"),
        ({"starts": "22:00+01:00"}, "invalid_request"),
        ({"starts": "07:00"}, "invalid_request"),
    ],
)
def test_hours_that_nobody_can_keep_are_refused(given: dict[str, str], code: str) -> None:
    with pytest.raises(ValidationError) as refused:
        hours(**given)
    assert [error["type"] for error in refused.value.errors()] == [code]


def test_a_channel_that_is_named_twice_is_one() -> None:
    assert Preferences(channels=["sms", "email", "sms"]).channels == ["sms", "email"]
