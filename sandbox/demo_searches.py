"""The demo's searches: all suppliers; the same again, from the cache; and one with a supplier that is down and one that is slow.

Each is followed as a client would, by server-sent events, so that one sees who answers when.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
from pydantic import ValidationError, computed_field

from sandbox.demo_client import DemoError, Lines
from sandbox.demo_expected_alone import Expectation
from schema.model import Message

SUPPLIERS: Final = ("amadeus", "avis", "duffel", "duffel_cars", "expedia_rapid", "liteapi")
DOWN, SLOW = "avis", "liteapi"
_SLOW_BY_S: Final = 6
"""Longer than the demo's stack waits for a supplier."""
_ORIGIN, _DESTINATION = "LHR", "LIS"
_STAYS: Final = timedelta(days=2)
_CACHED_LEAVES_IN_DAYS: Final = (60, 67, 74, 81)
"""Tried in turn, should a day have an offer so dear that its supplier is asked each time."""
_DEGRADED_LEAVES_IN_DAYS: Final = 90
_ACCEPTED: Final = 202


class Arrival(Message):
    """One supplier's part of a search."""

    supplier: str
    kind: str
    outcome: str
    offers: int
    after_s: float
    """From asking until it was told to the client."""


class SearchReport(Message):
    """One search of the demo. `problem`: why it could not be made."""

    name: str
    title: str
    arrivals: list[Arrival]
    """In the order in which they came."""
    expectations: list[Expectation]
    problem: str | None = None

    @computed_field
    @property
    def ok(self) -> bool:
        expected = bool(self.expectations) and all(expectation.met for expectation in self.expectations)
        return expected and self.problem is None

    def fault(self) -> str:
        """The first thing that is not as it must be, in words."""
        for expectation in self.expectations:
            if not expectation.met:
                return f"not so that {expectation.text} (found: {expectation.found})"
        return self.problem or "nothing was looked at"


class _Report(Message):
    supplier: str
    kind: str
    outcome: str
    offers: int


class _SupplierOffers(Message):
    """Data of an `offers` event."""

    supplier: _Report


@dataclass(frozen=True, slots=True)
class DemoSearch:
    """One search and how it must go."""

    name: str
    title: str
    expected: Callable[[Sequence[Arrival]], list[Expectation]]

    @property
    def key(self) -> str:
        """The correlation id, by which the vendors' rules are addressed."""
        return f"demo-search-{self.name}"


def _all_answer(outcome: str) -> Callable[[Sequence[Arrival]], list[Expectation]]:
    def expected(arrivals: Sequence[Arrival]) -> list[Expectation]:
        return [_outcomes(arrivals, dict.fromkeys(SUPPLIERS, outcome)), _offers(arrivals, SUPPLIERS)]

    return expected


def _degraded(arrivals: Sequence[Arrival]) -> list[Expectation]:
    others = [supplier for supplier in SUPPLIERS if supplier not in (DOWN, SLOW)]
    order = [arrival.supplier for arrival in arrivals]
    return [
        _outcomes(arrivals, {**dict.fromkeys(others, "ok"), DOWN: "error", SLOW: "timeout"}),
        _offers(arrivals, others),
        Expectation(text="nobody waits for the slow one", met=order[-1:] == [SLOW], found=", ".join(order) or "nobody"),
    ]


SEARCHES: Final = (
    DemoSearch("live", "six suppliers are asked at once", _all_answer("ok")),
    DemoSearch("cached", "the same search again is answered from the cache", _all_answer("cached")),
    DemoSearch("degraded", f"{DOWN} is down and {SLOW} is slow: the others' offers are there", _degraded),
)


@dataclass(frozen=True)
class Searcher:
    """Makes the searches, and says what arrives."""

    lines: Lines
    say: Callable[[str], None]

    async def make(self) -> list[SearchReport]:
        """All of them, one after the other."""
        live, cached, degraded = SEARCHES
        reports: list[SearchReport] = []
        for days in _CACHED_LEAVES_IN_DAYS:
            reports = [await self._report(search, days) for search in (live, cached)]
            if all(report.ok for report in reports):
                break
        return [*reports, await self._report(degraded, _DEGRADED_LEAVES_IN_DAYS)]

    async def _report(self, search: DemoSearch, leaves_in_days: int) -> SearchReport:
        arrivals: list[Arrival] = []
        problem = None
        try:
            if search.name == "degraded":
                await self._break(search)
            async for arrival in self._follow(search, leaves_in_days):
                arrivals.append(arrival)
                self.say(f"search, {search.name}: {arrival.supplier} {arrival.outcome}, {arrival.offers} offers")
        except (DemoError, httpx.HTTPError, ValidationError) as error:
            problem = f"{type(error).__name__}: {error}"
        expectations = search.expected(arrivals)
        return SearchReport(
            name=search.name, title=search.title, arrivals=arrivals, expectations=expectations, problem=problem
        )

    async def _break(self, search: DemoSearch) -> None:
        rules: tuple[Mapping[str, object], ...] = (
            {"vendor": DOWN, "action": "server_error", "status": 503},
            {"vendor": SLOW, "action": "delay", "delay_s": _SLOW_BY_S},
        )
        for rule in rules:
            await self.lines.vendors.plan({**rule, "times": None, "contains": search.key})

    async def _follow(self, search: DemoSearch, leaves_in_days: int) -> AsyncIterator[Arrival]:
        leave_on = datetime.now(UTC).date() + timedelta(days=leaves_in_days)
        trip = {
            "origin": _ORIGIN,
            "destination": _DESTINATION,
            "departure_date": leave_on.isoformat(),
            "return_date": (leave_on + _STAYS).isoformat(),
        }
        headers = {"Prefer": "respond-async", "X-Correlation-Id": search.key}
        http = self.lines.traveller.http
        began = time.monotonic()
        begun = await http.post("/v1/searches", json=trip, headers=headers)
        if begun.status_code != _ACCEPTED:
            raise DemoError(f"POST /v1/searches answered {begun.status_code}; see {self.lines.traveller.log}")
        async with http.stream("GET", f"{begun.headers['location']}/stream") as answer:
            answer.raise_for_status()
            event = ""
            async for line in answer.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    event = value
                elif field == "data" and event == "offers":
                    report = _SupplierOffers.model_validate_json(value).supplier
                    yield Arrival(**report.model_dump(), after_s=round(time.monotonic() - began, 2))


def _outcomes(arrivals: Sequence[Arrival], wanted: Mapping[str, str]) -> Expectation:
    found = {arrival.supplier: arrival.outcome for arrival in arrivals}
    told = ", ".join(f"{supplier} {outcome}" for supplier, outcome in sorted(found.items())) or "nobody"
    in_words = " and ".join(dict.fromkeys(wanted.values()))
    return Expectation(text=f"every supplier's outcome is told: {in_words}", met=found == wanted, found=told)


def _offers(arrivals: Sequence[Arrival], suppliers: Sequence[str]) -> Expectation:
    offers = {arrival.supplier: arrival.offers for arrival in arrivals}
    met = all(offers.get(supplier, 0) > 0 for supplier in suppliers)
    return Expectation(text="whoever answers has offers", met=met, found=f"{sum(offers.values())} offers")
