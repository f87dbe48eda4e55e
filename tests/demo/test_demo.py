"""The demo ends well on the real stack; and whatever is wrong with any of its trips, or any invariant, it does not exit 0."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from sandbox import demo
from sandbox.demo_books import timeline_of
from sandbox.demo_client import CaseSeen, DemoError, VendorReservation, until
from sandbox.demo_report import DemoReport, InvariantReport, invariants_of, missed_by, report_of
from sandbox.demo_scenarios import POLICY, SCENARIOS, Ending, KilledAt, Run, environment
from sandbox.demo_searches import DOWN, SEARCHES, SLOW, Arrival
from schema.settings import Settings
from schema.states import BookingState
from tests.demo.endings import (
    PRICES,
    START,
    arrived,
    effect,
    euros,
    good,
    reservation,
    scenario_named,
    searched,
)
from workers.audit import AuditReport, Finding, Violation

LOG = Path("worker.log")
TOLD_OF = {"demo", "TravelHub", "stripe", "duffel", "expedia_rapid"}


# ------------------------------------------------------------------ the whole of it


@pytest.mark.slow
@pytest.mark.stack
def test_the_demo_ends_well_and_tells_it_in_one_document(tmp_path):
    command = [sys.executable, "-P", "-m", "cli", "demo", "--json"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TRAVELHUB_", "TEMPORAL_"))}
    surroundings = {**inherited, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(done.stdout)

    assert report["ok"] is True
    assert report["seconds"] < 60
    ends = {one["name"]: (one["state"], one["expected_state"], one["ok"]) for one in report["scenarios"]}
    assert ends == {
        "confirmed": ("CONFIRMED", "CONFIRMED", True),
        "sold-out": ("FAILED", "FAILED", True),
        "answer-lost": ("CONFIRMED", "CONFIRMED", True),
        "worker-killed": ("CONFIRMED", "CONFIRMED", True),
        "price-rise": ("CONFIRMED", "CONFIRMED", True),
        "failover": ("CONFIRMED", "CONFIRMED", True),
    }
    assert [(one["name"], len(one["arrivals"]), one["ok"]) for one in report["searches"]] == [
        ("live", 6, True),
        ("cached", 6, True),
        ("degraded", 6, True),
    ]
    for one in report["scenarios"]:
        assert one["seconds"] > 0
        assert one["workflow_url"].endswith(f"/namespaces/default/workflows/booking-{one['booking_id']}")
        elsewhere = {"amadeus"} if one["name"] == "failover" else set()
        assert {line["who"] for line in one["timeline"]} == {*TOLD_OF, *elsewhere}
        assert [line["seconds"] for line in one["timeline"]] == sorted(line["seconds"] for line in one["timeline"])
        assert one["vendors_books"]["payments"]
        assert all(line["agrees"] for line in one["books"])
    assert len(report["invariants"]) > 10
    assert all(one["violations"] == [] for one in report["invariants"])
    assert done.stderr.splitlines()[-1] == report["conclusion"]
    assert list(tmp_path.iterdir()) == [], "it has cleaned up"


# ------------------------------------------------------------------ endings as they must be


def invariant(**changes) -> InvariantReport:
    return InvariantReport(**{"number": 1, "title": "something", "checked": 5, "violations": [], **changes})


def report_with(name: str | None = None, run: Run | None = None, ending: Ending | None = None, **changes) -> DemoReport:
    """All scenarios as they must be, but for the one that is given."""
    played = {scenario.name: good(scenario.name) for scenario in SCENARIOS}
    reports = [
        report_of(*(played[scenario.name] if scenario.name != name else (run, ending)), "http://ui")
        for scenario in SCENARIOS
    ]
    searches = [searched(search.name, arrived(search.name)) for search in SEARCHES]
    parts = {"searches": searches, "scenarios": reports, "invariants": [invariant()], "seconds": 30}
    return DemoReport(**{**parts, **changes})


def test_all_as_it_must_be_exits_0():
    report = report_with()
    assert report.exit_code == 0
    assert report.conclusion == "All 3 searches and 6 scenarios ended as they must; 1 invariants hold."
    assert json.loads(report.as_json())["ok"] is True


# ------------------------------------------------------------------ endings as they must not be


def changed(ending: Ending, **changes) -> Ending:
    return Ending(**{**{name: getattr(ending, name) for name in Ending.__dataclass_fields__}, **changes})


def with_booking(ending: Ending, **changes) -> Ending:
    return changed(ending, booking=ending.booking.model_copy(update=changes))


def with_money(ending: Ending, **changes) -> Ending:
    payments = [payment.model_copy(update=changes) for payment in ending.books.payments]
    return changed(ending, books=ending.books.model_copy(update={"payments": payments}))


def with_orders(ending: Ending, *more: VendorReservation, but: str | None = None, **changes) -> Ending:
    """One more order; or another status or price of the order of kind `but`."""
    orders = [order.model_copy(update=changes) if order.kind == but else order for order in ending.books.reservations]
    return changed(ending, books=ending.books.model_copy(update={"reservations": [*orders, *more]}))


def with_flight(ending: Ending, **changes) -> Ending:
    items = [item.model_copy(update=changes) if item.kind == "flight" else item for item in ending.booking.items]
    return with_booking(ending, items=items)


def another(ending: Ending, kind: str, status: str) -> VendorReservation:
    return reservation(ending.booking.booking_id, kind, status, PRICES[kind])


WRONG_ENDINGS = {
    "it failed": ("confirmed", lambda end: with_booking(end, state=BookingState.FAILED)),
    "it still runs": ("confirmed", lambda end: with_booking(end, state=BookingState.RESERVING)),
    "it needs an operator": ("answer-lost", lambda end: with_booking(end, state=BookingState.NEEDS_OPERATOR)),
    "it was booked although sold out": ("sold-out", lambda end: with_booking(end, state=BookingState.CONFIRMED)),
    "another reason is told": ("sold-out", lambda end: with_booking(end, reason="card_declined")),
    "two hotels": ("answer-lost", lambda end: with_orders(end, another(end, "hotel", "confirmed"))),
    "two hotels, one cancelled": ("answer-lost", lambda end: with_orders(end, another(end, "hotel", "cancelled"))),
    "a hold is left": ("sold-out", lambda end: with_orders(end, but="hotel", status="held")),
    "a car was booked after all": ("sold-out", lambda end: with_orders(end, another(end, "car", "cancelled"))),
    "a flight is only held": ("confirmed", lambda end: with_orders(end, but="flight", status="held")),
    "a car was lost": ("worker-killed", lambda end: with_orders(end, but="car", status="cancelled")),
    "the supplier wants more": ("confirmed", lambda end: with_orders(end, but="car", price_minor=10_001)),
    "too little was taken": ("confirmed", lambda end: with_money(end, captured_minor=59_999)),
    "too much was taken": ("worker-killed", lambda end: with_money(end, captured_minor=60_001)),
    "something was given back": ("confirmed", lambda end: with_money(end, refunded_minor=1)),
    "something was taken": ("sold-out", lambda end: with_money(end, captured_minor=1)),
    "taken and given back": ("sold-out", lambda end: with_money(end, captured_minor=9, refunded_minor=9)),
    "money is still reserved": ("sold-out", lambda end: with_money(end, authorisation_open=True)),
    "nothing was ever reserved": ("sold-out", lambda end: with_money(end, authorised_minor=0)),
    "nothing was ever held": ("sold-out", lambda end: changed(end, ledger=[])),
    "no payment at all": ("confirmed", lambda end: changed(end, books=end.books.model_copy(update={"payments": []}))),
    "above consent": ("price-rise", lambda end: with_booking(end, consent_limit=euros(64_999))),
    "the old price": (
        "price-rise",
        lambda end: with_money(with_booking(end, total=euros(60_000)), captured_minor=60_000),
    ),
    "another price than found": ("confirmed", lambda end: with_booking(end, total=euros(61_000))),
    "a case is open": ("confirmed", lambda end: changed(end, cases=[CaseSeen(booking_id="b", reason="doubt")])),
    "the fault never struck": (
        "answer-lost",
        lambda end: changed(end, fault=end.fault.model_copy(update={"fired": 0, "matched": 0})),
    ),
    "nothing was swapped": ("failover", lambda end: with_flight(end, replaces=[])),
    "the refused supplier has it": (
        "failover",
        lambda end: with_flight(with_orders(end, but="flight", vendor="another"), supplier="another"),
    ),
    "both suppliers have it": ("failover", lambda end: with_orders(end, another(end, "flight", "cancelled"))),
    "the swap was dearer": (
        "failover",
        lambda end: with_money(
            with_orders(
                with_flight(with_booking(end, total=euros(60_001), consent_limit=euros(60_001)), price=euros(30_001)),
                but="flight",
                price_minor=30_001,
            ),
            captured_minor=60_001,
        ),
    ),
    "the fault is gone": ("worker-killed", lambda end: changed(end, fault=None)),
    "the hotel was asked twice": (
        "answer-lost",
        lambda end: changed(end, fault=end.fault.model_copy(update={"matched": 2})),
    ),
}


@pytest.mark.parametrize("what", WRONG_ENDINGS)
def test_a_wrong_ending_is_seen(what):
    name, spoil = WRONG_ENDINGS[what]
    run, ending = good(name)
    report = report_with(name, run, spoil(ending))
    assert report.exit_code == 1
    assert [one.name for one in report.scenarios if not one.ok] == [name]
    assert f") {name}: " in report.conclusion


WRONG_RUNS = {
    "it could not go on": ("confirmed", {"problem": "waited 60 s in vain"}),
    "the worker was not killed": ("worker-killed", {"killed_at": None}),
    "it was killed too early": (
        "worker-killed",
        {"killed_at": KilledAt(BookingState.RESERVING, ("payment.authorised",), 2)},
    ),
    "it was killed too late": (
        "worker-killed",
        {"killed_at": KilledAt(BookingState.RESERVING, ("flight.held", "car.booked"), 2)},
    ),
    "it was killed after the end": (
        "worker-killed",
        {"killed_at": KilledAt(BookingState.CONFIRMED, ("flight.held",), 2)},
    ),
    "nobody started it again": (
        "worker-killed",
        {"killed_at": KilledAt(BookingState.RESERVING, ("flight.held",), 1)},
    ),
    "nobody was asked": ("price-rise", {"waited_with": None}),
}


@pytest.mark.parametrize("what", WRONG_RUNS)
def test_a_run_that_proves_nothing_is_seen(what):
    name, changes = WRONG_RUNS[what]
    run, ending = good(name)
    for attribute, value in changes.items():
        setattr(run, attribute, value)
    report = report_with(name, run, ending)
    assert report.exit_code == 1
    assert [one.name for one in report.scenarios if not one.ok] == [name]


def but(arrivals: list[Arrival], supplier: str, **changes) -> list[Arrival]:
    return [one.model_copy(update=changes) if one.supplier == supplier else one for one in arrivals]


WRONG_SEARCHES = {
    "one never answers": ("live", lambda arrivals: arrivals[1:]),
    "one fails": ("live", lambda arrivals: but(arrivals, "amadeus", outcome="error")),
    "one has nothing": ("live", lambda arrivals: but(arrivals, "duffel", offers=0)),
    "one is asked again": ("cached", lambda arrivals: but(arrivals, "avis", outcome="ok")),
    "the one that is down answers": ("degraded", lambda arrivals: but(arrivals, DOWN, outcome="ok")),
    "the slow one answers": ("degraded", lambda arrivals: but(arrivals, SLOW, outcome="ok")),
    "the slow one holds up the others": ("degraded", lambda arrivals: [arrivals[-1], *arrivals[:-1]]),
    "the broken ones take another with them": ("degraded", lambda arrivals: but(arrivals, "duffel", offers=0)),
}


@pytest.mark.parametrize("what", WRONG_SEARCHES)
def test_a_wrong_search_is_seen(what):
    name, spoil = WRONG_SEARCHES[what]
    searches = [
        searched(search.name, spoil(arrived(name)) if search.name == name else arrived(search.name))
        for search in SEARCHES
    ]
    report = report_with(searches=searches)
    assert report.exit_code == 1
    assert [one.name for one in report.searches if not one.ok] == [name]
    assert f"search {name}: " in report.conclusion


def test_a_trip_that_was_never_booked_is_seen():
    report = report_with("confirmed", Run(scenario_named("confirmed"), problem="the API is away"), None)
    assert report.exit_code == 1
    assert "(a) confirmed: the API is away" in report.conclusion
    assert report.scenarios[0].workflow_url is None


@pytest.mark.parametrize(
    "changes",
    [
        {"invariants": []},
        {"invariants": [invariant(), invariant(number=5, violations=["two effects"])]},
        {"invariants": [invariant(), invariant(number=5, not_checked="Temporal is away")]},
        {"scenarios": []},
        {"searches": []},
        {"problem": "the stack: postgres does not get ready\nits log"},
    ],
    ids=["nothing audited", "broken", "not checked", "nothing played", "nothing searched", "no stack"],
)
def test_anything_else_that_is_missing_or_wrong_is_seen(changes):
    report = report_with(**changes)
    assert report.exit_code == 1
    assert report.conclusion.startswith("THE DEMO FAILED: ")
    assert "\n" not in report.conclusion


def test_the_audit_must_have_seen_just_the_trips_of_the_demo():
    broken = Finding(5, "at most one effect", checked=3, violations=[Violation(5, None, "two effects")])
    audited = AuditReport(START, [Finding(1, "paid", checked=2), broken], {"bookings": 2})
    assert [one.violations for one in invariants_of(audited)] == [[], ["nobody: two effects"]]
    one, two = good("confirmed")[0], good("sold-out")[0]
    assert missed_by(audited, [one, two]) is None
    assert missed_by(audited, [one]) is not None
    assert missed_by(audited, [one, Run(scenario_named("sold-out"))]) is not None


# ------------------------------------------------------------------ the command


@pytest.mark.parametrize(("report", "code"), [(report_with(), 0), (report_with(problem="no"), 1), (None, 130)])
@pytest.mark.parametrize("as_json", [True, False])
def test_the_exit_code_and_the_last_line(monkeypatch, capsys, tmp_path, report, code, as_json):
    async def played(*_):
        return report

    monkeypatch.setattr(demo, "_on_a_stack", played)
    monkeypatch.setattr(demo, "_quiet_logs", lambda: None)
    monkeypatch.setattr(demo.tempfile, "mkdtemp", lambda **_: str(made_in(tmp_path)))
    assert demo.run_demo(as_json) == code
    shown = capsys.readouterr()
    if report is None:
        assert as_json is False or shown.out == ""
    else:
        told = shown.err if as_json else shown.out
        assert told.splitlines()[-1] == report.conclusion
        assert as_json is False or json.loads(shown.out)["ok"] is (code == 0)
    assert (tmp_path / "data").exists() is (code == 1), "only what failed is kept"


def made_in(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    return data


# ------------------------------------------------------------------ its parts


async def test_a_wait_ends_and_says_what_it_was_for():
    async def never():
        return None

    with pytest.raises(DemoError, match=r"waited 0 s for the moon in vain; worker\.log may tell why"):
        await until(never, what="the moon", within_s=0.01, log=LOG)


async def test_a_wait_outlives_a_lost_connection():
    answers = iter([httpx.ConnectError("refused"), None, "there"])

    async def at_last():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await until(at_last, what="it", within_s=5, log=LOG) == "there"


def test_the_timeline_is_one_of_all():
    run, ending = good("confirmed")
    run.did("much later")
    moments = timeline_of(changed(ending, ledger=[effect("flight.held", 0.5)]), run.happenings)
    assert [moment.what for moment in moments[:2]] == ["booking PENDING", "flight held (1)"]
    assert [moment.seconds for moment in moments[:2]] == [0, 0.5]
    assert moments[-1].what == "much later"


def test_no_trip_is_addressed_by_another_ones_key():
    keys = [one.key for one in (*SCENARIOS, *SEARCHES)]
    assert [(one, other) for one in keys for other in keys if one in other and one is not other] == []


def test_the_stack_is_told_the_demos_policy(monkeypatch):
    for name in ("DATABASE_URL", "VALKEY_URL", "DUFFEL_TOKEN", "RAPID_API_KEY", "RAPID_SECRET", "STRIPE_API_KEY"):
        monkeypatch.setenv(f"TRAVELHUB_{name}", "redis://h" if "VALKEY" in name else "postgresql://u@h/d")
    monkeypatch.setenv("TRAVELHUB_STRIPE_WEBHOOK_SECRET", "secret")
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert settings.saga == POLICY
    assert settings.vendor_timeout_s < POLICY.step_timeout_s
    assert settings.search.supplier_timeout_s < 5
