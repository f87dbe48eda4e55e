"""Whatever is wrong with any of the demo's trips, searches or invariants is seen, and told in the last line."""

import json
from dataclasses import replace

import pytest

from sandbox.demo_answers import CaseDetail, CaseSeen, FeeQuoted, Resolved
from sandbox.demo_report import invariants_of, missed_by
from sandbox.demo_run import AskedPayer, KilledAt, Run
from sandbox.demo_searches import DOWN, SEARCHES, SLOW, Arrival
from schema.states import BookingState
from tests.demo.endings import (
    FEE,
    START,
    arrived,
    changed,
    effect,
    euros,
    good,
    invariant,
    report_with,
    scenario_named,
    searched,
)
from tests.demo.spoiling import (
    another,
    with_booking,
    with_effects,
    with_flight,
    with_money,
    with_orders,
    with_statement,
)
from workers.audit import AuditReport, Finding, Violation


def test_all_as_it_must_be_exits_0():
    report = report_with()
    assert report.exit_code == 0
    assert report.conclusion == "All 3 searches and 12 scenarios ended as they must; 1 invariants hold."
    assert json.loads(report.as_json())["ok"] is True


# ------------------------------------------------------------------ endings as they must not be


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
    "a case is open": (
        "confirmed",
        lambda end: changed(end, cases=[CaseSeen(case_id="c", booking_id="b", reason="doubt")]),
    ),
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
    "another provider took it": ("paypal", lambda end: with_money(end, vendor="stripe")),
    "the secret is another payment's": ("three-d-secure", lambda end: with_money(end, object_id="pi_2")),
    "it is not cancelled": ("refund", lambda end: with_booking(end, state=BookingState.CONFIRMED)),
    "a cancelled trip keeps its car": ("refund", lambda end: with_orders(end, but="car", status="confirmed")),
    "more is kept than was told": ("refund", lambda end: with_money(end, refunded_minor=52_299)),
    "all of it is kept": ("refund", lambda end: with_money(end, refunded_minor=0)),
    "it was cancelled before the refund arrived": (
        "refund",
        lambda end: with_effects(end, effect("payment.refunded", 60), but="payment.refunded"),
    ),
    "the refund never arrived": ("refund", lambda end: with_effects(end, but="payment.refunded")),
    "it was given back twice": ("refund", lambda end: with_effects(end, effect("payment.refunded", 12))),
    "it never waited for the refund": ("refund", lambda end: changed(end, events=[end.events[0], end.events[-1]])),
    "the statement forgets the refund": ("refund", lambda end: with_statement(end, without="refunded")),
    "the statement keeps another fee": ("refund", lambda end: with_statement(end, refunded=euros(FEE))),
    "the ledger does not balance": ("refund", lambda end: with_statement(end, balance=euros(1))),
    "it was taken twice": ("desk", lambda end: with_effects(end, effect("payment.captured", 12))),
    "it stays with the operator": ("desk", lambda end: with_booking(end, state=BookingState.NEEDS_OPERATOR)),
    "Stripe made sense all the time": (
        "desk",
        lambda end: changed(end, fault=end.fault.model_copy(update={"fired": 0})),
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


def asked_payer_of(name: str) -> AskedPayer:
    return good(name)[0].asked_payer


def case_with(**changes) -> CaseDetail:
    return good("desk")[0].case.model_copy(update=changes)


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
    "nobody was sent to PayPal": ("paypal", {"asked_payer": None}),
    "PayPal's page was not named": ("paypal", {"asked_payer": asked_payer_of("three-d-secure")}),
    "nobody was asked to authenticate": ("three-d-secure", {"asked_payer": None}),
    "no secret was handed out": ("three-d-secure", {"asked_payer": asked_payer_of("paypal")}),
    "something was held before the payer acted": (
        "three-d-secure",
        {"asked_payer": replace(asked_payer_of("three-d-secure"), effects=("payment.action_required", "flight.held"))},
    ),
    "no fee was told": ("refund", {"quoted": None}),
    "another fee was told": ("refund", {"quoted": FeeQuoted(fee=euros(1), refund=euros(59_999), token="t" * 16)}),
    "no case was opened": ("desk", {"case": None}),
    "the case names nothing": ("desk", {"case": case_with(effects=[])}),
    "the decision is not kept": ("desk", {"resolved": case_with(resolution=None)}),
    "somebody else decided": (
        "desk",
        {"resolved": case_with(resolution=Resolved(action="retry", operator="demo", note="me"))},
    ),
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
    assert missed_by(audited, [good("flight-off")[0]]) is None, "the booking of the other flight is its trip's, too"
    assert missed_by(audited, [one, Run(scenario_named("sold-out"))]) is not None
