"""One house in which everything is planted side by side, then reconciled once; the tests ask what came of each plant."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from store import cases, reconciliation
from store.cases import StoredCase
from store.reconciliation import StoredRun
from tests.reconciliation.planting import PLANTS
from tests.reconciliation.reconciling import reconcile
from tests.reconciliation.sweeping import Swept, sweep
from tests.reconciliation.table import Case
from tests.saga.harness import FAST, House, running_house
from tests.saga.selecting import selected_cases
from tests.saga.waiting import eventually
from workers.audit import check, gather

PLANTED_AT_ONCE = 6
"""More would only make the clocks of two cores run late."""


@dataclass
class Reconciled:
    """After the first run and its repairs."""

    house: House
    bookings: dict[str, str]
    """Booking id by plant."""
    run: StoredRun

    async def open_cases(self, plant: str) -> list[StoredCase]:
        async with self.house.database.read() as connection:
            found = await cases.of_booking(connection, self.bookings[plant])
        return [case for case in found if case.resolved_at is None]

    async def violations(self, plant: str) -> list[str]:
        evidence = await gather(self.house.settings, [self.bookings[plant]], policy=FAST, histories=0)
        return [violation.text for violation in check(evidence).violations]


async def repaired(house: House) -> None:
    """Until nothing that was found is still being looked at."""

    async def over() -> bool:
        async with house.database.read() as connection:
            page = await reconciliation.page(connection, 10, None)
        return not any(count.outcome is None for run in page.runs for count in run.findings)

    await eventually(over, 45)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def reconciled(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Reconciled]:
    async with running_house(Path(tmp_path_factory.mktemp("reconciliation"))) as house, house.worker():
        names = list(PLANTS)
        places = asyncio.Semaphore(PLANTED_AT_ONCE)

        async def plant(name: str) -> str:
            async with places:
                return await PLANTS[name](house)

        planted = await asyncio.gather(*(plant(name) for name in names))
        await house.sandbox.delete("/_sandbox/faults")
        await asyncio.gather(*(reconcile(house, run_id) for run_id in ("run-one", "run-beside-it")))
        await repaired(house)
        async with house.database.read() as connection:
            run = await reconciliation.get(connection, "run-one")
        assert run is not None
        yield Reconciled(house, dict(zip(names, planted, strict=True)), run)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def swept(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, say: Callable[[str], None]
) -> AsyncGenerator[Swept]:
    """The selected cases of the sweep, all at once, in a house of their own."""
    async with running_house(Path(tmp_path_factory.mktemp("repairs"))) as house:
        yield await sweep(house, selected_cases(request, Case), say)
