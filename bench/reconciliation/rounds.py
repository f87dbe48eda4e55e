"""Which runs, in which order; and that each has found what is wrong since its watermark, once, and nothing else."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bench.house import House
from bench.load import BenchFailed
from bench.reconciliation.business import ENDS, Business
from bench.reconciliation.planting import ledger_balances, plant
from bench.reconciliation.runs import Ran, run
from store import reconciliation
from store.reconciliation import StoredFinding

_PATIENCE_S: Final = 120
_LOOK_EVERY_S: Final = 0.2
_MOST_FINDINGS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything."""

    few_in_all: int
    in_all: int
    since: tuple[int, int, int]
    """Payments since the watermark, ascending; the smallest is also run with `few_in_all`."""
    rounds: tuple[int, int, int]
    """How often each is run."""


FULL: Final = Sizes(few_in_all=10_000, in_all=100_000, since=(1_000, 10_000, 100_000), rounds=(5, 2, 1))
QUICK: Final = Sizes(few_in_all=500, in_all=3_000, since=(300, 1_000, 3_000), rounds=(2, 1, 1))


@dataclass
class Measured:
    """Everything that was seen."""

    few: list[Ran] = field(default_factory=list[Ran])
    """With few payments in all."""
    runs: dict[int, list[Ran]] = field(default_factory=dict[int, list[Ran]])
    """With all of them, by how many there were since the watermark."""
    planted: int = 0
    found: int = 0


class Bench:
    """One measurement of one house."""

    def __init__(self, house: House, sizes: Sizes, say: Callable[[str], None]) -> None:
        self._house = house
        self._sizes = sizes
        self._say = say
        few, smallest = sizes.few_in_all, sizes.since[0]
        starts = sorted({few, *(sizes.in_all - since for since in sizes.since if sizes.in_all - since > few)})
        bands = list(zip(starts, [*starts[1:], sizes.in_all], strict=True))
        self._business = Business(sizes.in_all, [(few - smallest, few), *bands])
        self._known: set[str] = set()
        self._measured = Measured()

    async def measure(self) -> Measured:
        sizes, measured = self._sizes, self._measured
        await run(self._house, 0, 0, self._business.at(0), self._say)
        self._say(f"planting {sizes.few_in_all:,} payments in both books (not timed)")
        await plant(self._house, self._business, 0, sizes.few_in_all, self._say)
        measured.few = await self.runs(sizes.few_in_all, sizes.since[0], sizes.rounds[0])
        self._say(f"planting the others, {sizes.in_all:,} in all")
        await plant(self._house, self._business, sizes.few_in_all, sizes.in_all, self._say)
        if not await ledger_balances(self._house.database):
            raise BenchFailed("the planted ledger does not balance")
        for since, rounds in zip(sizes.since, sizes.rounds, strict=True):
            measured.runs[since] = await self.runs(sizes.in_all, since, rounds)
        return measured

    async def runs(self, in_all: int, since: int, rounds: int) -> list[Ran]:
        """So many equal runs over the newest `since` of `in_all` payments. Raises BenchFailed if one has not found what it must."""
        first = in_all - since
        done: list[Ran] = []
        for _ in range(rounds):
            ran = await run(self._house, in_all, since, self._business.at(first), self._say)
            await self._check(ran, first)
            self._say(
                f"{since:>7,} since the watermark, of {in_all:>7,}: {ran.pages:>5} pages, {ran.wall_s:6.2f} s, "
                f"worker {ran.worker_cpu_s:6.2f} s and +{ran.growth_mb:.1f} MB"
            )
            done.append(ran)
        return done

    async def _check(self, ran: Ran, first: int) -> None:
        """Raises BenchFailed unless everything was read, and what is wrong and was not found before was found, once."""
        wrong = self._business.wrong_since(first, ran.in_all)
        listed = ran.since - sum(each == "unpaid" for each in wrong.values())
        if ran.records("stripe:payments") != listed:
            raise BenchFailed(f"{ran.records('stripe:payments')} payments were read instead of {listed}")
        expected = {booking_id: ENDS[each] for booking_id, each in wrong.items() if booking_id not in self._known}
        found = await self._settled(ran.run_id)
        seen = {one.booking_id: (one.kind, one.outcome) for one in found}
        if seen != expected or len(found) != len(expected):
            raise BenchFailed(f"found {sorted(seen.items())} instead of {sorted(expected.items())}")
        self._known |= seen.keys()
        self._measured.planted += len(expected)
        self._measured.found += len(found)

    async def _settled(self, run_id: str) -> list[StoredFinding]:
        """What the run has found, once somebody has looked at all of it again."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            async with self._house.database.read() as connection:
                found = await reconciliation.findings_of(connection, run_id, _MOST_FINDINGS)
            if all(one.outcome not in (None, "waiting") for one in found):
                return found
            if time.monotonic() > until:
                raise BenchFailed(f"nobody has looked again at {[one for one in found if one.outcome is None]}")
            await asyncio.sleep(_LOOK_EVERY_S)
