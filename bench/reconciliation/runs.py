"""One run of the product's own reconciliation, from a watermark that the bench sets, with what it cost."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import case, update

from activities.reconciling import OVERLAP_OF_OUR_OWN_S
from bench.house import House
from bench.load import BenchFailed
from gateways.stripe_lists import CLOCK_MARGIN
from schema.bookings import TASK_QUEUE
from schema.reconciliation import RECONCILIATION_WORKFLOW, ReconciliationInput, RunResult, StreamReport
from schema.references import new_id
from schema.tables import reconciliation_watermarks as watermarks
from store import reconciliation

_WORKER: Final = "worker"
_LOOK_EVERY_S: Final = 0.02
_SAY_EVERY_S: Final = 10.0
_PACES: Final = 2_000
_PIECE: Final = {f"payment_{number}": {"amount": number, "currency": "eur"} for number in range(20)}


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run read, and what it took. Memory is resident, in the worker, which also runs everything else."""

    run_id: str
    in_all: int
    since: int
    """Payments in both books, and those of them since the watermark."""
    streams: list[StreamReport]
    wall_s: float
    cpu_s: dict[str, float]
    before_mb: float
    peak_mb: float
    pace_s: float
    """What the same small piece of work took this machine just before and after: others on its host make its processors slower."""

    @property
    def worker_cpu_s(self) -> float:
        return self.cpu_s[_WORKER]

    @property
    def growth_mb(self) -> float:
        return self.peak_mb - self.before_mb

    @property
    def pages(self) -> int:
        return sum(report.pages for report in self.streams)

    def records(self, stream: str) -> int:
        return sum(report.records for report in self.streams if report.stream.name == stream)


async def run(house: House, in_all: int, since: int, moment: datetime, say: Callable[[str], None]) -> Ran:
    """A run that reads what there is since the moment, which is `since` payments. Raises BenchFailed if some list was not read."""
    await _move_watermarks(house, moment)
    run_id = new_id("bench-reconciliation")
    pace_before_s = _pace_s()
    cpu_before, before_mb = house.cpu_s(), house.resident_mb(_WORKER)
    began = time.perf_counter()
    async with _watched(house, say) as peak:
        await house.temporal.execute_workflow(
            RECONCILIATION_WORKFLOW,
            ReconciliationInput(started_by="bench"),
            id=run_id,
            task_queue=TASK_QUEUE,
            result_type=RunResult,
        )
        wall_s = time.perf_counter() - began
        cpu_after = house.cpu_s()
    async with house.database.read() as connection:
        stored = await reconciliation.get(connection, run_id)
    if stored is None or any(report.problem for report in stored.streams):
        raise BenchFailed(f"a list was not read to its end: {stored and stored.streams}")
    return Ran(
        run_id=run_id,
        in_all=in_all,
        since=since,
        streams=stored.streams,
        wall_s=wall_s,
        cpu_s={name: cpu_after[name] - cpu_before[name] for name in cpu_before},
        before_mb=before_mb,
        peak_mb=max(before_mb, peak.mb),
        pace_s=(pace_before_s + _pace_s()) / 2,
    )


def _pace_s() -> float:
    began = time.process_time()
    for _ in range(_PACES):
        json.loads(json.dumps(_PIECE))
    return time.process_time() - began


@dataclass
class _Peak:
    mb: float = 0


@asynccontextmanager
async def _watched(house: House, say: Callable[[str], None]) -> AsyncGenerator[_Peak]:
    """The most that the worker keeps in memory while the block runs; and now and then a sign of life."""
    peak = _Peak()

    async def look() -> None:
        began = said = time.monotonic()
        while True:
            peak.mb = max(peak.mb, house.resident_mb(_WORKER))
            if time.monotonic() - said > _SAY_EVERY_S:
                said = time.monotonic()
                say(f"  still reading after {said - began:.0f} s")
            await asyncio.sleep(_LOOK_EVERY_S)

    looking = asyncio.create_task(look())
    try:
        yield peak
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


async def _move_watermarks(house: House, moment: datetime) -> None:
    """So that the next run reads from the moment on, once it has taken off what every run reads again."""
    overlap = timedelta(seconds=house.stack.settings().reconciliation.overlap_s)
    of_vendors = moment + overlap + CLOCK_MARGIN
    of_our_own = moment + timedelta(seconds=OVERLAP_OF_OUR_OWN_S)
    moved = case((watermarks.c.stream.contains(":"), of_vendors), else_=of_our_own)
    async with house.database.transaction() as connection:
        await connection.execute(update(watermarks).values(read_until=moved))
