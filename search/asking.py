"""A supplier asked live: by one search at a time for one query, in this process and in all others, and the answer kept for all."""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from structlog.stdlib import get_logger

from schema.errors import CircuitOpen, RateLimited, TravelHubError
from schema.offers import FoundOffer
from schema.references import new_id
from schema.searches import Entry, SearchPolicy, SupplierOutcome
from search.invalidation import drop_item
from search.normalise import checked
from search.queries import Query
from search.rates import Rates
from store import offers, search_cache, searches
from store.database import AWAY, Database
from store.valkey import Valkey

_log = get_logger(__name__)
FRESH: Final = timedelta(minutes=30)
_LOOK_EVERY_S: Final = 0.05
"""For the answer that another process is waiting for."""
_GRACE_S: Final = 0.1
"""The gateway's own deadline comes first, so that a supplier that is too slow counts against its circuit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one query."""

    outcome: SupplierOutcome
    entry: Entry | None = None
    stale: bool = False


class Asking:
    """Owns the questions that are under way in this process."""

    def __init__(self, database: Database, valkey: Valkey, rates: Rates, policy: SearchPolicy) -> None:
        self._database = database
        self._valkey = valkey
        self._rates = rates
        self._policy = policy
        self._under_way: dict[str, asyncio.Task[Answer]] = {}

    def ask(self, query: Query, correlation_id: str) -> "asyncio.Task[Answer]":
        """The task that asks, which others may wait for too: cancel it never. Raises only what PostgreSQL raises."""
        task = self._under_way.get(query.cache_key)
        if task is None:
            task = asyncio.create_task(self._ask(query, correlation_id))
            self._under_way[query.cache_key] = task
            task.add_done_callback(lambda _: self._under_way.pop(query.cache_key, None))
        return task

    async def aclose(self) -> None:
        """Gives up what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, query: Query, correlation_id: str) -> Answer:
        supplier = query.supplier
        try:
            async with asyncio.timeout(self._policy.supplier_timeout_s + _GRACE_S) as deadline:
                return await self._whoever_asks(query, correlation_id, deadline)
        except AWAY:
            raise
        except Exception as error:  # noqa: BLE001  # a broken supplier must not take the others' offers with it
            outcome = _outcome(error)
            _log.warning(
                "supplier_search_failed",
                supplier=supplier.code,
                kind=supplier.kind,
                outcome=outcome,
                error=type(error).__name__,
                exc_info=not isinstance(error, TravelHubError | TimeoutError),  # a bug of ours, most likely
            )
            return Answer(outcome)

    async def _whoever_asks(self, query: Query, correlation_id: str, deadline: asyncio.Timeout) -> Answer:
        """Asks, unless another process does: then its answer is waited for, and asked for here if it does not come."""
        began_at = datetime.now(UTC)
        while True:
            async with search_cache.asking(self._valkey, query.cache_key) as ours:
                entry = await self._answered_since(query, began_at)
                if entry is not None:
                    return Answer("ok", entry)
                if ours:
                    found = await query.supplier.search(query.request, correlation_id)
                    found = checked(query.supplier, query.request, found, datetime.now(UTC))
                    deadline.reschedule(None)  # the supplier was in time; keeping the answer is our own matter
                    return Answer("ok", await self._keep(query, found, began_at))
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _answered_since(self, query: Query, moment: datetime) -> Entry | None:
        """What another process has found meanwhile, be it one that must be asked live: it was."""
        entry = (await search_cache.read(self._valkey, [query.cache_key])).get(query.cache_key)
        if entry is None or max(entry.found_at, entry.fresh_until) < moment:
            return None
        return entry

    async def _keep(self, query: Query, found: list[FoundOffer], began_at: datetime) -> Entry:
        named = offers.named(found)
        entry = self._entry(query, named)
        async with self._database.read() as connection:
            await searches.add_entry(connection, entry, query.request, named)
        kept = await search_cache.write(self._valkey, entry, self._policy.cache_max_document_bytes)
        # Sold or changed while the supplier was answering: whoever dropped it could not see this entry yet.
        marks = await search_cache.dropped_since(self._valkey, entry.supplier, began_at)
        for item_key in {offer.item_key() for offer in entry.offers} if marks else ():
            # A mark is a whole item, or a part of one: a flight that has changed, in whatever combination.
            told = [stale for dropped, stale in marks.items() if dropped in (item_key, *item_key.split("|"))]
            if told:
                await drop_item(self._database, self._valkey, entry.supplier, item_key, stale=any(told))
        return entry if kept else entry.model_copy(update={"fresh_until": entry.found_at})

    def _entry(self, query: Query, named: list[FoundOffer]) -> Entry:
        now = datetime.now(UTC)
        public = [found.offer for found in named]
        live = any(self._rates.must_be_live(offer.price) for offer in public)
        return Entry.model_construct(
            entry_id=new_id("ent"),
            cache_key=query.cache_key,
            supplier=query.supplier.code,
            kind=query.supplier.kind,
            found_at=now,
            # No longer than each of its offers can be booked.
            fresh_until=now if live else min([now + FRESH, *(offer.expires_at for offer in public)]),
            version_tag=_version_tag(named),
            offers=public,
        )


def _version_tag(found: list[FoundOffer]) -> str:
    """The supplier's newest last-updated value; where it has none, a fingerprint of what it sells."""
    versions = [offer.version for offer in found if offer.version is not None]
    updated = [version.last_updated for version in versions if version.last_updated is not None]
    if updated:
        return max(updated)
    facts = sorted(offer.version.facts if offer.version is not None else offer.offer.item_key() for offer in found)
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _outcome(error: Exception) -> SupplierOutcome:
    match error:
        case CircuitOpen():
            return "circuit_open"
        case RateLimited():
            return "rate_limited"
        case _:
            # The gateways tell a deadline of theirs as what it means for the call, caused by the timeout.
            return (
                "timeout" if isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError) else "error"
            )
