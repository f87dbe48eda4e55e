"""What judges the week fails when it should: on a made-up week that is right, with one thing wrong at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from schema.notifications import NotificationKind
from tests.week.checker import Announced, Lost, Paid, Taken, Week, violations

_T0 = datetime(2026, 11, 28, tzinfo=UTC)
_FLIGHT = "BA123-2026-12-01-LHR"
_OTHER = "BA124-2026-12-05-LIS"
_LATE: tuple[NotificationKind, ...] = ("flight_delayed", "schedule_changed")


def _at(seconds: float) -> datetime:
    return _T0 + timedelta(seconds=seconds)


def _message(notification_id: str | None, at_s: float, object_id: str = "mail_1", to: str = "ann@example.com") -> Taken:
    return Taken("sendgrid", object_id, notification_id, to, _at(at_s))


def _right() -> Week:
    """Ann's flight is late and then cancelled; Bob's flies as planned."""
    return Week(
        said={
            ("ann", _FLIGHT): [_LATE, ("flight_cancelled",)],
            ("bob", _FLIGHT): [],
        },
        announced=[
            Announced("ntf_late", "ann", _FLIGHT, "flight_delayed", "email", _at(10)),
            Announced("ntf_gone", "ann", _FLIGHT, "flight_cancelled", "email", _at(20)),
            Announced("ntf_booked", "bob", None, "booking_confirmed", "email", _at(1)),
        ],
        taken=[
            _message("ntf_late", 11),
            _message("ntf_gone", 21, "mail_2"),
            _message("ntf_booked", 2, "mail_3", "bob@example.com"),
        ],
        addresses={"ann": {"email": "ann@example.com"}, "bob": {"email": "bob@example.com"}},
        paid=[Paid("ann", 10_000, 10_000, 1), Paid("bob", 20_000, 20_000, 1)],
    )


def _with(week: Week, *more: Taken) -> Week:
    return replace(week, taken=[*week.taken, *more])


def _without(week: Week, notification_id: str) -> Week:
    return replace(week, taken=[one for one in week.taken if one.notification_id != notification_id])


def test_a_week_in_which_all_went_well() -> None:
    assert violations(_right()) == []


_SECOND = Announced("ntf_again", "ann", _FLIGHT, "flight_cancelled", "email", _at(25))
_KILLED = {"killed_at": [_at(22)]}
_SKIPPED = {"superseded": {"ntf_late"}}
_PLANTED = {
    "doubled": _with(_right(), _message("ntf_late", 12, "mail_9")),
    "doubled, though it is safety": _with(_right(), _message("ntf_gone", 22, "mail_9")),
    "missing": _without(_right(), "ntf_late"),
    "missing, though recorded twice": replace(_without(_right(), "ntf_gone"), announced=[*_right().announced, _SECOND]),
    "one change recorded and told twice": replace(
        _with(_right(), _message("ntf_again", 26, "mail_9")), announced=[*_right().announced, _SECOND]
    ),
    "never recorded": _with(_right(), _message("ntf_of_nothing", 12, "mail_9")),
    "not ours": _with(_right(), _message(None, 12, "mail_9")),
    "told before it was durable": _with(_without(_right(), "ntf_late"), _message("ntf_late", 9.99)),
    "told to another": _with(_without(_right(), "ntf_late"), _message("ntf_late", 11, to="bob@example.com")),
    "told in another order": _with(_without(_right(), "ntf_late"), _message("ntf_late", 30)),
    "a change that nobody noticed": replace(_right(), said={**_right().said, ("bob", _FLIGHT): [("gate_changed",)]}),
    "a change that was none": replace(_right(), said={**_right().said, ("ann", _FLIGHT): [("flight_cancelled",)]}),
    "lost without a death": replace(_right(), lost={"ntf_gone": Lost([_at(21)], told=True)}),
    "lost long before the death": replace(_right(), lost={"ntf_gone": Lost([_at(21)], told=True)}, killed_at=[_at(90)]),
    "three times, in doubt": replace(
        _with(_right(), _message("ntf_gone", 23, "mail_8"), _message("ntf_gone", 24, "mail_9")),
        lost={"ntf_gone": Lost([_at(21)], told=True)},
        **_KILLED,
    ),
    "twice, in doubt and not urgent": replace(
        _with(_right(), _message("ntf_late", 23, "mail_9")), lost={"ntf_late": Lost([_at(21)], told=True)}, **_KILLED
    ),
    "missing, though known to be told": replace(
        _without(_right(), "ntf_late"), lost={"ntf_late": Lost([_at(21)], told=True)}, **_KILLED
    ),
    "superseded, and told all the same": replace(_right(), **_SKIPPED),
    "superseded by what does not replace it": replace(_without(_right(), "ntf_gone"), superseded={"ntf_gone"}),
    "superseded by news of another flight": replace(
        _without(_right(), "ntf_late"),
        announced=[_right().announced[0], replace(_right().announced[1], flight_key=_OTHER), *_right().announced[2:]],
        said={**_right().said, ("ann", _FLIGHT): [_LATE], ("ann", _OTHER): [("flight_cancelled",)]},
        **_SKIPPED,
    ),
    "paid, and no flight": replace(_right(), paid=[Paid("ann", 10_000, 0, 0), _right().paid[1]]),
    "two flights": replace(_right(), paid=[Paid("ann", 20_000, 20_000, 2), _right().paid[1]]),
    "no flight and nothing paid": replace(_right(), paid=[Paid("ann", 0, 0, 0), _right().paid[1]]),
    "paid too much": replace(_right(), paid=[Paid("ann", 10_001, 10_000, 1), _right().paid[1]]),
    "forgotten": replace(_right(), paid=_right().paid[1:]),
}


@pytest.mark.parametrize("planted", _PLANTED)
def test_what_is_wrong_is_found(planted: str) -> None:
    assert violations(_PLANTED[planted])


def test_what_no_vendor_can_be_asked_for_is_allowed_and_no_more() -> None:
    lost = {"ntf_gone": Lost([_at(21)], told=True), "ntf_late": Lost([_at(21)], told=False)}
    doubt = replace(_right(), lost=lost, killed_at=[_at(22)])
    assert violations(doubt) == []
    assert violations(_with(doubt, _message("ntf_gone", 23, "mail_9"))) == []
    assert violations(_without(doubt, "ntf_late")) == []
    assert violations(_without(doubt, "ntf_gone")) != []


def test_what_had_to_wait_may_be_superseded() -> None:
    assert violations(replace(_without(_right(), "ntf_late"), superseded={"ntf_late"})) == []
