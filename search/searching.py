"""A client's search: every supplier of the asked kinds at once, each from the cache or live; one that is slow or broken takes
nothing from the others."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from gateways.ports import Vendors
from schema.offers import Kind, Offer
from schema.references import new_id
from schema.searches import ANSWERED, Entry, SearchPolicy, SearchProgress, SupplierOutcome, SupplierReport, TripSearch
from search.ages import Ages
from search.asking import Answer, Asking
from search.circuits import Circuits
from search.invalidation import drop_taken
from search.queries import Query, queries
from store import search_cache, searches
from store.database import Database
from store.searches import StoredSearch
from store.valkey import Valkey

_LATE: Final = timedelta(seconds=2)
"""After its deadline a search may still be writing its last step."""
Ready = Mapping[str, Answer]
"""Answers that the cache has given, by cache key."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Who searches for what."""

    client_id: str
    trip: TripSearch
    fingerprint: bytes
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A search and what it has found so far."""

    search: StoredSearch
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class _Answered:
    """Everything one supplier brought to a search."""

    report: SupplierReport
    entries: list[Entry]


class Searching:
    """Looks into the cache, asks who must be asked, and writes to the books what a client was shown."""

    def __init__(
        self,
        database: Database,
        valkey: Valkey,
        vendors: Vendors,
        policy: SearchPolicy,
        asking: Asking,
        circuits: Circuits,
        ages: Ages,
    ) -> None:
        self._database = database
        self._valkey = valkey
        self._vendors = vendors
        self._policy = policy
        self._asking = asking
        self._circuits = circuits
        self._ages = ages

    def started(self, wish: Wish) -> StoredSearch:
        """A search that nobody has answered yet; it is not stored."""
        now = datetime.now(UTC)
        reports = [
            SupplierReport(supplier=supplier.code, kind=supplier.kind, outcome="waiting")
            for supplier in self._vendors.suppliers()
            if supplier.kind in wish.trip.kinds
        ]
        return StoredSearch.model_construct(
            search_id=new_id("sea"),
            client_id=wish.client_id,
            fingerprint=wish.fingerprint,
            trip=wish.trip,
            entries=[],
            progress=SearchProgress(suppliers=reports),
            status="running",
            deadline_at=now + timedelta(seconds=self._policy.total_timeout_s),
            created_at=now,
        )

    async def find(self, wish: Wish) -> Finding:
        """Searches to the end, and stores the search: only then can its offers be booked."""
        finding = Finding(self.started(wish), [])
        async with aclosing(self.steps(finding.search, wish.correlation_id)) as steps:
            async for step in steps:
                finding = step
        await self.store(finding.search)
        return finding

    async def forget(self, offers: Sequence[Offer]) -> None:
        """Whoever searches next, the suppliers of these are asked again for what they show."""
        await drop_taken(self._database, self._valkey, [(offer.supplier, offer.item_key()) for offer in offers])

    async def store(self, search: StoredSearch) -> None:
        async with self._database.read() as connection:
            await searches.save(connection, search)

    async def stored(self, search_id: str, client_id: str) -> StoredSearch | None:
        """The search as it stands; None if this client has none of this id."""
        async with self._database.read() as connection:
            search = await searches.load(connection, search_id, client_id)
        if search is not None and search.status == "running" and search.deadline_at + _LATE < datetime.now(UTC):
            return ended(search)  # its process has died
        return search

    async def with_offers(self, search: StoredSearch) -> Finding:
        """What it has found and can still be had: stale offers are left out."""
        if not search.entries:
            return Finding(search, [])
        async with self._database.read() as connection:
            return Finding(search, await searches.entries_of(connection, search.entries))

    async def steps(self, search: StoredSearch, correlation_id: str) -> AsyncGenerator[Finding, None]:
        """The search as it grows, supplier by supplier; the last one is complete. Raises what PostgreSQL raises."""
        wanted = {report.supplier for report in search.progress.suppliers}
        asked = queries(search.trip, [supplier for supplier in self._vendors.suppliers() if supplier.code in wanted])
        read_only = await self._circuits.read_only(dict.fromkeys(search.trip.kinds))
        ready = await self._ready([query for group in asked.values() for query in group], read_only)
        search = _seen(search, read_only=read_only, away=self._valkey.away)
        tasks = {
            code: asyncio.create_task(self._supplier(group, ready, correlation_id))
            for code, group in asked.items()
            if any(query.cache_key not in ready for query in group)
        }
        answered = [
            _together(group, [ready[query.cache_key] for query in group])
            for code, group in asked.items()
            if code not in tasks
        ]
        try:
            while tasks:
                yield _grown(search, answered)
                left_s = max(0.0, (search.deadline_at - datetime.now(UTC)).total_seconds())
                await asyncio.wait(tasks.values(), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                arrived = [code for code, task in tasks.items() if task.done()]
                if not arrived:
                    break
                answered += [tasks.pop(code).result() for code in arrived]
        finally:
            for task in tasks.values():
                task.cancel()
        finding = _grown(_seen(search, read_only=read_only, away=self._valkey.away), answered)
        yield Finding(ended(finding.search), finding.entries)

    async def _ready(self, asked: Sequence[Query], read_only: Sequence[Kind]) -> Ready:
        """What need not be asked for: fresh entries, and in read-only mode whatever is kept."""
        kept = await search_cache.read(self._valkey, [query.cache_key for query in asked])
        now = datetime.now(UTC)
        ready: dict[str, Answer] = {}
        for query in asked:
            entry = kept.get(query.cache_key)
            if query.supplier.kind in read_only:
                ready[query.cache_key] = Answer("cached", entry, stale=True) if entry else Answer("circuit_open")
            elif entry is not None and entry.fresh_until > now:
                ready[query.cache_key] = Answer("cached", entry)
        self._ages.served(answer.entry.found_at for answer in ready.values() if answer.entry)
        self._ages.asked(len(asked) - len(ready))
        return ready

    async def _supplier(self, group: list[Query], ready: Ready, correlation_id: str) -> _Answered:
        # Shielded, because other searches may wait for the same answers.
        live = [
            asyncio.shield(self._asking.ask(query, correlation_id)) for query in group if query.cache_key not in ready
        ]
        known = [ready[query.cache_key] for query in group if query.cache_key in ready]
        return _together(group, [*known, *await asyncio.gather(*live)])


def ended(search: StoredSearch) -> StoredSearch:
    """Complete: whoever has not answered was too late."""
    reports = [
        report.model_copy(update={"outcome": "timeout"}) if report.outcome == "waiting" else report
        for report in search.progress.suppliers
    ]
    progress = search.progress.model_copy(update={"suppliers": reports})
    return search.model_copy(update={"progress": progress, "status": "complete"})


def _seen(search: StoredSearch, *, read_only: list[Kind], away: bool) -> StoredSearch:
    cache = "away" if away or search.progress.cache == "away" else "ok"
    progress = search.progress.model_copy(update={"read_only": read_only, "cache": cache})
    return search.model_copy(update={"progress": progress})


def _together(group: Sequence[Query], answers: Sequence[Answer]) -> _Answered:
    """One supplier's answers to its queries, of which flights may have several: it is as good as the worst of them."""
    supplier = group[0].supplier
    entries = [answer.entry for answer in answers if answer.entry is not None]
    outcomes = {answer.outcome for answer in answers}
    outcome: SupplierOutcome = "cached" if outcomes == {"cached"} else "ok"
    for answer in answers:
        if answer.outcome not in ANSWERED:
            outcome = answer.outcome
    report = SupplierReport(
        supplier=supplier.code,
        kind=supplier.kind,
        outcome=outcome,
        offers=sum(len(entry.offers) for entry in entries),
        found_at=min((entry.found_at for entry in entries), default=None),
        stale=any(answer.stale for answer in answers),
    )
    return _Answered(report, entries)


def _grown(search: StoredSearch, answered: Sequence[_Answered]) -> Finding:
    reports = {one.report.supplier: one.report for one in answered}
    entries = [entry for one in answered for entry in one.entries]
    suppliers = [reports.get(report.supplier, report) for report in search.progress.suppliers]
    progress = search.progress.model_copy(update={"suppliers": suppliers})
    changes = {"progress": progress, "entries": [entry.entry_id for entry in entries]}
    return Finding(search.model_copy(update=changes), entries)
