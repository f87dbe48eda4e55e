"""The demo's report: what every scenario came to, how the invariants stand, and whether all of it is as it must be. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson
from pydantic import computed_field

from sandbox.demo_answers import CaseDetail, StatementSeen, VendorBooks
from sandbox.demo_books import BookLine, Moment, lines_of, timeline_of
from sandbox.demo_expectations import expectations
from sandbox.demo_expected_alone import Expectation
from sandbox.demo_run import Ending, Run
from sandbox.demo_scenarios import SCENARIOS
from sandbox.demo_searches import SEARCHES, SearchReport
from sandbox.demo_told import ToldLine, told_of
from schema.bookings import workflow_id_for
from schema.model import Message
from schema.states import BookingState

if TYPE_CHECKING:
    from workers.audit import AuditReport  # with it come all vendors' libraries, for which the stack need not wait


class ScenarioReport(Message):
    """One scenario. `problem`: why it could not be played, or not be looked at afterwards."""

    letter: str
    name: str
    title: str
    booking_id: str | None
    expected_state: BookingState
    state: BookingState | None
    seconds: float
    problem: str | None
    expectations: list[Expectation]
    timeline: list[Moment]
    books: list[BookLine]
    """Ours beside the vendors'."""
    vendors_books: VendorBooks
    case: CaseDetail | None
    """The review case as the operator read it."""
    statement: StatementSeen | None
    """Of the scenarios that are about it."""
    told: list[ToldLine]
    """What the traveller was told of a trip that goes on after its confirmation, by the vendors' books."""
    trip_page: str | None
    """The link that such a traveller has."""
    workflow_url: str | None

    @computed_field
    @property
    def ok(self) -> bool:
        """It ended as it must, and every expectation was there to be met and was."""
        ended = self.state == self.expected_state and self.problem is None
        return ended and bool(self.expectations) and all(expectation.met for expectation in self.expectations)

    def fault(self) -> str:
        """The first thing that is not as it must be, in words."""
        if self.problem:
            return self.problem
        for expectation in self.expectations:
            if not expectation.met:
                return f"not so that {expectation.text} (found: {expectation.found})"
        return "nothing was looked at" if not self.expectations else f"it is {self.state}, not {self.expected_state}"


class InvariantReport(Message):
    """One invariant over all the demo's bookings."""

    number: int
    title: str
    checked: int
    """How many things were looked at."""
    violations: list[str]
    not_checked: str | None = None
    """Why it could not be checked, which the demo does not accept."""

    @computed_field
    @property
    def holds(self) -> bool:
        return not self.violations and self.not_checked is None


class DemoReport(Message):
    """All of it."""

    searches: list[SearchReport]
    scenarios: list[ScenarioReport]
    invariants: list[InvariantReport]
    seconds: float
    problem: str | None = None
    """Why there was no demo, or no audit."""

    @computed_field
    @property
    def ok(self) -> bool:
        """Every search and scenario was played and ended as it must, every invariant was checked and holds."""
        searched = [search.name for search in self.searches] == [search.name for search in SEARCHES]
        found = searched and all(search.ok for search in self.searches)
        played = [scenario.name for scenario in self.scenarios] == [scenario.name for scenario in SCENARIOS]
        as_they_must = played and all(scenario.ok for scenario in self.scenarios)
        holding = bool(self.invariants) and all(invariant.holds for invariant in self.invariants)
        return self.problem is None and found and as_they_must and holding

    @computed_field
    @property
    def conclusion(self) -> str:
        """The last line, for somebody who reads nothing else."""
        if self.ok:
            holding = [invariant for invariant in self.invariants if invariant.checked]
            return (
                f"All {len(self.searches)} searches and {len(self.scenarios)} scenarios ended as they must; "
                f"{len(holding)} invariants hold."
            )
        failed = [f"search {one.name}: {one.fault()}" for one in self.searches if not one.ok]
        failed += [f"({one.letter}) {one.name}: {one.fault()}" for one in self.scenarios if not one.ok]
        broken = [str(one.number) for one in self.invariants if not one.holds]
        parts = [*self.problem.splitlines()[:1]] if self.problem else []
        parts += failed
        if broken:
            parts.append(f"invariants that do not hold: {', '.join(broken)}")
        if not parts:
            parts.append("not everything was played, or no invariant was checked")
        return f"THE DEMO FAILED: {'; '.join(parts)}."

    @property
    def exit_code(self) -> int:
        return 0 if self.ok else 1

    def as_json(self) -> str:
        """One document."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_INDENT_2).decode()


def report_of(run: Run, ending: Ending | None, ui_url: str) -> ScenarioReport:
    """What a run came to. Without an ending nothing can be as it must."""
    scenario, booking_id = run.scenario, run.booking_id
    url = f"{ui_url}/namespaces/default/workflows/{workflow_id_for(booking_id)}" if booking_id else None
    return ScenarioReport(
        letter=scenario.letter,
        name=scenario.name,
        title=scenario.title,
        booking_id=booking_id,
        expected_state=scenario.ends,
        state=ending.booking.state if ending else run.state,
        seconds=round(run.seconds, 2),
        problem=run.problem,
        expectations=expectations(run, ending) if ending else [],
        timeline=timeline_of(ending, run.happenings) if ending else [],
        books=lines_of(ending) if ending else [],
        vendors_books=ending.books if ending else VendorBooks(reservations=[], payments=[]),
        case=run.case,
        statement=ending.statement if ending and scenario.tells_statement else None,
        told=told_of(ending.trip) if ending and ending.trip else [],
        trip_page=ending.trip.itinerary.trip_page if ending and ending.trip else None,
        workflow_url=url,
    )


def invariants_of(audit: AuditReport) -> list[InvariantReport]:
    """The audit's findings."""
    return [
        InvariantReport(
            number=finding.number,
            title=finding.title,
            checked=finding.checked,
            violations=[f"{violation.booking_id or 'nobody'}: {violation.text}" for violation in finding.violations],
            not_checked=finding.not_checked,
        )
        for finding in audit.findings
    ]


def missed_by(audit: AuditReport, runs: Sequence[Run]) -> str | None:
    """What is wrong if the audit has not seen just the bookings of the demo; then its findings prove too little."""
    made = sum((run.booking_id is not None) + (run.rebooking_id is not None) for run in runs)
    seen = audit.looked_at["bookings"]
    return None if seen == made else f"{seen} bookings are in our books, and the demo made {made}"
