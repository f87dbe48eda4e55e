"""What the audience sees: the scenarios while they run, and afterwards the whole report in words and tables."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sandbox.demo_answers import CaseDetail, StatementSeen
from sandbox.demo_books import BookLine, Moment
from sandbox.demo_expected_alone import Expectation
from sandbox.demo_report import DemoReport, InvariantReport, ScenarioReport
from sandbox.demo_run import Run
from sandbox.demo_searches import Arrival, SearchReport
from sandbox.demo_told import ToldLine
from schema.money import Money
from schema.states import BookingState

_REDRAW_EVERY_S: Final = 0.25
_WIDTH_WITHOUT_TERMINAL: Final = 160
_OUTCOMES: Final = {"ok": "default", "cached": "cyan"}


class Screen:
    """Progress as it comes: a table that changes where there is a terminal, lines where there is none."""

    def __init__(self, *, to_stderr: bool) -> None:
        console = Console(stderr=to_stderr, highlight=False)
        width = None if console.is_terminal else _WIDTH_WITHOUT_TERMINAL
        self.console = Console(stderr=to_stderr, highlight=False, width=width)
        self._started_s = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._started_s

    def say(self, line: str) -> None:
        """A line at once."""
        self.console.print(Text(f"{self.seconds:6.1f} s  {line}"), soft_wrap=True)

    @contextlib.asynccontextmanager
    async def following(self, runs: Sequence[Run]) -> AsyncIterator[None]:
        """Shows what becomes of the runs for as long as the block lasts."""
        drawing = self._drawing(runs) if self.console.is_terminal else self._telling(runs)
        shown = asyncio.create_task(drawing)
        try:
            yield
        finally:
            shown.cancel()
            await asyncio.wait({shown})

    async def _drawing(self, runs: Sequence[Run]) -> None:
        # Redrawn from this loop: a thread of its own would be forked beside when the worker is started again.
        with Live(_progress(runs), console=self.console, auto_refresh=False) as live:
            try:
                while True:
                    live.update(_progress(runs), refresh=True)
                    await asyncio.sleep(_REDRAW_EVERY_S)
            finally:
                live.update(_progress(runs), refresh=True)

    async def _telling(self, runs: Sequence[Run]) -> None:
        told = {run.scenario.letter: _Told() for run in runs}

        def tell() -> None:
            for run in runs:
                for news in told[run.scenario.letter].news(run):
                    self.say(f"({run.scenario.letter}) {run.scenario.name}: {news}")

        try:
            while True:
                tell()
                await asyncio.sleep(_REDRAW_EVERY_S)
        finally:
            tell()

    def show(self, report: DemoReport) -> None:
        """Everything but the conclusion."""
        for search in report.searches:
            self._show_search(search)
        for scenario in report.scenarios:
            self._show_scenario(scenario)
        if report.invariants:
            self.console.print(_invariants(report.invariants))
        for invariant in report.invariants:
            for violation in invariant.violations:
                self.console.print(Text(f"[{invariant.number}] {violation}", style="red"), soft_wrap=True)
        if report.problem:
            self.console.print(Text(report.problem, style="red"), soft_wrap=True)
        links = [scenario for scenario in report.scenarios if scenario.workflow_url]
        if links:
            self.console.print(
                Text("\nThe workflows in Temporal's Web UI, for as long as the stack ran:", style="bold")
            )
        for scenario in links:
            self.console.print(Text(f"  ({scenario.letter}) {scenario.workflow_url}"), soft_wrap=True)

    def conclude(self, report: DemoReport) -> None:
        """The last line."""
        style = "bold green" if report.ok else "bold red"
        self.console.print(Text(report.conclusion, style=style), soft_wrap=True)

    def _show_scenario(self, scenario: ScenarioReport) -> None:
        console = self.console
        verdict = Text("as it must", style="green") if scenario.ok else Text("NOT AS IT MUST", style="bold red")
        state = scenario.state or "never booked"
        head = Text(f"\n({scenario.letter}) {scenario.title}: {state} after {scenario.seconds:.1f} s, ", style="bold")
        console.print(head + verdict, soft_wrap=True)
        if scenario.booking_id:
            console.print(Text(f"    booking {scenario.booking_id}", style="dim"))
        if scenario.timeline:
            console.print(_timeline(scenario.timeline))
        if scenario.case:
            console.print(_case(scenario.case))
        if scenario.books:
            console.print(_books(scenario.books))
        if scenario.statement:
            console.print(_statement(scenario.statement))
        if scenario.told:
            console.print(_told(scenario.told))
        if scenario.trip_page:
            console.print(Text(f"    the traveller's page of the trip: {scenario.trip_page}"), soft_wrap=True)
        self._show_expectations(scenario.expectations, scenario.problem)

    def _show_search(self, search: SearchReport) -> None:
        verdict = Text("as it must", style="green") if search.ok else Text("NOT AS IT MUST", style="bold red")
        self.console.print(Text(f"\nSearch, {search.title}: ", style="bold") + verdict, soft_wrap=True)
        if search.arrivals:
            self.console.print(_arrivals(search.arrivals))
        self._show_expectations(search.expectations, search.problem)

    def _show_expectations(self, expectations: Sequence[Expectation], problem: str | None) -> None:
        for expectation in expectations:
            mark, style = ("yes", "green") if expectation.met else ("NO ", "bold red")
            line = Text(f"  {mark} ", style=style) + Text(expectation.text, style="default")
            self.console.print(line + Text(f": {expectation.found}", style="dim"), soft_wrap=True)
        if problem:
            self.console.print(Text(f"  {problem}", style="red"), soft_wrap=True)


@dataclass(slots=True)
class _Told:
    """What was told of a run already."""

    state: BookingState | None = None
    happenings: int = 0
    ended: bool = False

    def news(self, run: Run) -> list[str]:
        """In words what has become of it since."""
        news = [happening.what for happening in run.happenings[self.happenings :]]
        if run.state is not None and run.state != self.state:
            news.append(f"the booking is {run.state}")
        if run.problem is not None and not self.ended:
            news.append(run.problem)
        self.state, self.happenings, self.ended = run.state, len(run.happenings), run.problem is not None
        return news


def _progress(runs: Sequence[Run]) -> Table:
    table = Table("", "scenario", "booking", "seconds", "now", box=None, padding=(0, 2, 0, 0))
    for run in runs:
        style = "red" if run.problem else ("green" if run.ended_s is not None else "default")
        seconds = f"{run.seconds:.1f}" if run.started_s is not None else ""
        cells = (f"({run.scenario.letter})", run.scenario.name, run.state or "", seconds, run.doing)
        table.add_row(*(Text(cell, style=style) for cell in cells))
    return table


def _arrivals(arrivals: list[Arrival]) -> Table:
    table = Table("after s", "supplier", "kind", "outcome", "offers", box=None, padding=(0, 2, 0, 2))
    for number in (0, 4):
        table.columns[number].justify = "right"
    for arrival in arrivals:
        style = _OUTCOMES.get(arrival.outcome, "red")
        cells = (f"{arrival.after_s:.2f}", arrival.supplier, arrival.kind, arrival.outcome, str(arrival.offers))
        table.add_row(*(Text(cell, style=style) for cell in cells))
    return table


def _timeline(moments: list[Moment]) -> Table:
    table = Table("seconds", "who", "what", box=None, padding=(0, 2, 0, 2))
    table.columns[0].justify = "right"
    for moment in moments:
        ours = moment.who in ("demo", "TravelHub")
        style = "bold" if moment.who == "TravelHub" else ("default" if ours else "cyan")
        table.add_row(f"{moment.seconds:.2f}", Text(moment.who, style=style), Text(moment.what, style=style))
    return table


def _books(lines: list[BookLine]) -> Table:
    table = Table("", "our books", "", "the vendor's books", "", "vendor", "its id", padding=(0, 1))
    for line in lines:
        style = "default" if line.agrees else "bold red"
        cells = (line.what, line.ours, _amount(line.ours_minor, line.currency), line.theirs)
        rest = (_amount(line.theirs_minor, line.currency), line.vendor, line.object_id or "-")
        table.add_row(*(Text(cell, style=style) for cell in (*cells, *rest)))
    return table


def _told(lines: list[ToldLine]) -> Table:
    table = Table("of", "by", "ours", "the vendor's books", "vendor", "to", padding=(0, 1))
    table.title, table.title_justify = "What the traveller was told", "left"
    for line in lines:
        cells = (line.kind.replace("_", " "), line.channel, line.ours, line.theirs, line.vendor, line.to)
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _case(case: CaseDetail) -> Table:
    """What the operator read before deciding."""
    title = f"The case: {case.reason}"
    table = Table("", "at", "step", "how it stands", title=title, title_justify="left", padding=(0, 1))
    for effect in case.effects:
        of_what = f"{effect.step} {effect.amount or ''}".strip()
        table.add_row(Text("outstanding"), Text(effect.vendor), Text(of_what), Text(effect.problem), style="bold")
    for attempt in case.attempts:
        stands = attempt.status if attempt.reason is None else f"{attempt.status}: {attempt.reason}"
        table.add_row(Text("asked for"), Text(attempt.vendor), Text(attempt.step), Text(stands))
    return table


def _statement(statement: StatementSeen) -> Table:
    """The booking's money, by our ledger, in the API's own words."""
    table = Table("effect", "meaning", title="The statement", title_justify="left", padding=(0, 1))
    for entry in statement.entries:
        table.add_row(Text(entry.effect), Text(entry.meaning))
    for total in statement.totals:
        sums = (
            f"taken {total.captured}, given back {total.refunded}, fee kept {total.fees_kept}, balance {total.balance}"
        )
        table.add_row(Text("in all", style="bold"), Text(sums, style="bold"))
    return table


def _invariants(invariants: list[InvariantReport]) -> Table:
    title = "\nThe invariants, checked against the vendors' ledgers"
    table = Table("", "invariant", "checked", "", title=title, title_justify="left", title_style="bold")
    for invariant in invariants:
        table.add_row(str(invariant.number), invariant.title, str(invariant.checked), _verdict(invariant))
    return table


def _verdict(invariant: InvariantReport) -> Text:
    if invariant.violations:
        return Text(f"{len(invariant.violations)} broken", style="bold red")
    if invariant.not_checked is not None:
        return Text(f"not checked: {invariant.not_checked}", style="bold red")
    return Text("holds", style="green") if invariant.checked else Text("nothing to check", style="dim")


def _amount(amount_minor: int, currency: str) -> str:
    try:
        return str(Money(amount_minor=amount_minor, currency=currency))
    except ValueError:
        return f"{amount_minor} {currency}"
