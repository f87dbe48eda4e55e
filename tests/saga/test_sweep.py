"""The sweep of RELIABILITY: every call of the saga to a vendor, with every fault, alone; and every pair of faults inside one
compensation. After all of it the vendors' own books must agree with ours, by the same audit that operators run."""

import pytest

from schema.states import BookingState
from tests.saga.conftest import Sweep
from tests.saga.driver import AT_THE_DESK, Ended
from tests.saga.table import CANNOT_BE_ASKED, FORWARD, Case, all_cases

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1800)]

_S = BookingState
WITHOUT_FAULTS = {
    "held": _S.CONFIRMED,
    "instant": _S.CONFIRMED,
    "three_d_secure": _S.CONFIRMED,
    "flight_answer_lost": _S.CONFIRMED,
    "hotel_answer_lost": _S.CONFIRMED,
    "payment_answer_lost": _S.CONFIRMED,
    "car_refused": _S.FAILED,
    "capture_refused": _S.FAILED,
    "cancelled": _S.CANCELLED,
    "refund_pending": _S.CANCELLED,
    "paypal": _S.CONFIRMED,
    "paypal_approved": _S.CONFIRMED,
    "paypal_flight_refused": _S.FAILED,
    "paypal_cancelled": _S.CANCELLED,
    "paypal_refund_pending": _S.CANCELLED,
    "paypal_renewed": _S.CONFIRMED,
    "refund_fails": _S.CANCELLED,
    "refund_stuck": _S.CANCELLED,
    "paypal_refund_fails": _S.CANCELLED,
    "paypal_refund_stuck": _S.CANCELLED,
    "partly_cancelled": _S.PARTIALLY_CONFIRMED,
    "others": _S.CONFIRMED,
    "liteapi_answer_lost": _S.CONFIRMED,
    "others_not_paid": _S.FAILED,
}
_ONCE_IS_ENOUGH = {"A2_answer_lost", "A2_error_after_effect", "A3_killed_after", "A5_zombie", "A0_killed_before"}
"""Faults that a supplier with a look-up or a key must not even be noticed for."""

_REFUSAL_DECIDES_NOTHING = ("look_at_authorisation", "book_liteapi")
"""A read is made again; and LiteAPI's refusal comes after it has asked the hotel, so that its booking is looked up."""


def expected(case: Case) -> set[BookingState]:
    """States the case may end in. The audit says whether the books are right; this says that the trip was not given up lightly."""
    if not case.faults:
        return {WITHOUT_FAULTS[case.scenario]}
    place, fault = case.faults[0]
    forward = place in FORWARD or case.scenario in ("paypal", "paypal_renewed", "others")
    if forward and fault == "A7_refused":
        return {_S.CONFIRMED if place.name in _REFUSAL_DECIDES_NOTHING else _S.FAILED}
    if forward and place.vendor not in CANNOT_BE_ASKED and fault in _ONCE_IS_ENOUGH:
        return {_S.CONFIRMED}
    if WITHOUT_FAULTS[case.scenario] != _S.CONFIRMED:
        return {WITHOUT_FAULTS[case.scenario]}
    return {_S.CONFIRMED, _S.FAILED}


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.id)
async def test_every_fault_leaves_the_books_balanced(case: Case, sweep: Sweep) -> None:
    ended = ended_of(case, sweep)
    assert ended.state in expected(case), f"{ended.state}: {ended.reason}"
    if case.scenario in AT_THE_DESK and not case.faults:
        assert ended.asked_operator, "a refund that does not end is a person's"
    never_met = {f"{place.name}-{fault}" for place, fault in case.faults} - sweep.fired[ended.trip.correlation_id]
    assert not never_met, "the fault never happened, so the case proves nothing"
    assert sweep.report is not None, "the audit runs after the last case"
    broken = [violation.text for violation in sweep.report.violations if violation.booking_id == ended.trip.booking_id]
    assert not broken
    spoiled = [sweep.not_replayed[handle.id] for handle in ended.handles if handle.id in sweep.not_replayed]
    assert not spoiled, "invariant 17: every history replays on today's code, with nothing cached"


async def test_nothing_at_the_vendors_belongs_to_nobody(sweep: Sweep) -> None:
    """The audit of everything at once also sees what no booking knows of."""
    assert sweep.report is not None, "the audit runs after the last case"
    assert [violation for violation in sweep.report.violations if violation.booking_id is None] == []
    proved = {finding.number for finding in sweep.report.findings if finding.checked}
    assert {1, 2, 3, 4, 5, 6, 12, 13, 19, 20} <= proved


def ended_of(case: Case, sweep: Sweep) -> Ended:
    if case.id in sweep.failed:
        raise AssertionError(f"{case.id} did not end: {sweep.failed[case.id]!r}") from sweep.failed[case.id]
    return sweep.ended[case.id]
