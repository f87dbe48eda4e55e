"""Our calls to each vendor within bounds, all processes together: the port `Traffic` of gateways/traffic.py.

A vendor without a quota costs no visit to Valkey for most calls: how it stands is read at most every 250 ms, what went well is
told every 200 ms. A vendor with a quota costs one, because a token is one process's only if Valkey says so.
"""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Final

from schema.errors import CircuitOpen, RateLimited
from schema.settings import OutboundSettings
from schema.traffic import Ended, Priority, VendorTraffic
from store.traffic_book import SharedBook
from store.traffic_rules import (
    Admission,
    Counts,
    VendorBook,
    admit,
    circuit_of,
    end_probe,
    last_minute,
    take_retry,
    tokens_left,
    wait_for_token_s,
)
from store.valkey import Valkey

_PROBE_MARGIN_S: Final = 1.0
"""On top of the call's own deadline, after which its process must be dead."""


@dataclass(slots=True)
class _Vendor:
    """One vendor as this process calls it."""

    book: SharedBook
    quota_per_minute: int | None
    queues: dict[Priority, asyncio.Lock]
    """First come, first served; only the first of each asks Valkey, so that a crowd does not ask all at once."""
    prober: asyncio.Task[object] | None = None
    """Whose call is the probe; a result of any other call is from before the circuit opened."""

    @property
    def known_closed(self) -> bool:
        return self.book.fresh and self.book.seen.open_until is None

    @property
    def known_open_for_s(self) -> float | None:
        """None where Valkey is to be asked: whether a circuit may be probed is not one process's to say."""
        open_until, now = self.book.seen.open_until, self.book.now()
        return open_until - now if self.book.fresh and open_until is not None and open_until > now else None


class SharedTraffic:
    """Shared through Valkey; while that is away, each process keeps to the same bounds for itself."""

    def __init__(self, valkey: Valkey, settings: OutboundSettings) -> None:
        """`valkey` stays the caller's to close."""
        self._valkey = valkey
        self._settings = settings
        self._vendors: dict[str, _Vendor] = {}

    async def admit(self, vendor: str, priority: Priority, wait_at_most_s: float) -> None:
        """Returns when the call may go; raises CircuitOpen or RateLimited. Must be followed by `record` in the same task."""
        known = self._of(vendor)
        _raise_if_open(vendor, known.known_open_for_s)
        if known.quota_per_minute is None:
            if not known.known_closed:
                async with known.queues[priority]:
                    if not known.known_closed:
                        await self._ask(vendor, known, priority, wait_at_most_s)
            return
        try:
            async with asyncio.timeout(wait_at_most_s), known.queues[priority]:
                await self._take_turn(vendor, known, priority, wait_at_most_s)
        except TimeoutError:
            raise _quota_used_up(vendor, self._wait_s(known, priority)) from None

    async def record(self, vendor: str, ended: Ended) -> None:
        """How an admitted call ended. Failures are shared at once, answers within 200 ms."""
        known = self._of(vendor)
        if ended != "abandoned":
            known.book.count(Counts(**{ended: 1}))
        if known.prober is not None and known.prober is asyncio.current_task():
            known.prober = None
            await known.book.change(partial(_ended_probe, ended=ended, settings=self._settings))
        elif ended in ("failed", "limited"):
            await known.book.change(_as_it_is)

    async def may_retry(self, vendor: str) -> bool:
        """Takes one retry out of the budget; False if it is used up."""
        return await self._of(vendor).book.change(take_retry)

    async def status(self, vendor: str) -> VendorTraffic:
        """As all processes together see it, of this moment."""
        known = self._of(vendor)
        book = await known.book.change(_as_it_is)
        now = known.book.now()
        seen = last_minute(book, now)
        quota = known.quota_per_minute
        return VendorTraffic(
            vendor=vendor,
            circuit=circuit_of(book, now),
            opens_again_in_s=None if book.open_until is None else max(0.0, book.open_until - now),
            calls=seen.calls,
            failed=seen.failed,
            limited=seen.limited,
            retries=seen.retries,
            quota_per_minute=quota,
            quota_left=None if quota is None else int(tokens_left(book, now, quota)),
            shared=known.book.shared,
        )

    async def aclose(self) -> None:
        """Tells the other processes what they do not know yet."""
        for known in self._vendors.values():
            await known.book.aclose()

    def _of(self, vendor: str) -> _Vendor:
        if vendor not in self._vendors:
            self._vendors[vendor] = _Vendor(
                book=SharedBook(vendor, self._valkey, self._settings),
                quota_per_minute=self._settings.quota_per_minute.get(vendor),
                queues={"booking": asyncio.Lock(), "search": asyncio.Lock()},
            )
        return self._vendors[vendor]

    async def _take_turn(self, vendor: str, known: _Vendor, priority: Priority, wait_at_most_s: float) -> None:
        while (wait_s := (await self._ask(vendor, known, priority, wait_at_most_s)).wait_s) > 0:
            if wait_s > wait_at_most_s:
                raise _quota_used_up(vendor, wait_s)
            await asyncio.sleep(wait_s)

    async def _ask(self, vendor: str, known: _Vendor, priority: Priority, wait_at_most_s: float) -> Admission:
        rule = partial(
            admit,
            priority=priority,
            quota_per_minute=known.quota_per_minute,
            probe_takes_s=wait_at_most_s + _PROBE_MARGIN_S,
        )
        admission = await known.book.change(rule)
        _raise_if_open(vendor, admission.open_for_s)
        if admission.is_probe:
            known.prober = asyncio.current_task()
        return admission

    def _wait_s(self, known: _Vendor, priority: Priority) -> float:
        assert known.quota_per_minute is not None, "only a quota makes calls wait"
        return wait_for_token_s(known.book.seen, known.book.now(), priority, known.quota_per_minute)


def _raise_if_open(vendor: str, open_for_s: float | None) -> None:
    if open_for_s is not None:
        raise CircuitOpen(vendor, "not called: it has failed too often", retry_after_s=open_for_s)


def _quota_used_up(vendor: str, wait_s: float) -> RateLimited:
    return RateLimited(vendor, "not called: its quota is used up", retry_after_s=wait_s)


def _as_it_is(book: VendorBook, _now: float) -> VendorBook:
    return book


def _ended_probe(book: VendorBook, now: float, *, ended: Ended, settings: OutboundSettings) -> None:
    end_probe(book, now, ended, settings)
