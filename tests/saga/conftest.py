"""One house for all saga tests, and one run of the table of cases that the tests then ask for their own."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update

from schema.tables import events
from tests.saga.driver import Ended, run_case
from tests.saga.harness import FAST, House, running_house
from tests.saga.replaying import not_replayed
from tests.saga.selecting import selected_cases
from tests.saga.table import CUTS, HTTP_FAULTS, Case
from tests.saga.vendors import CutVendors
from workers.audit import AuditReport, check, gather

AT_ONCE = 12
"""Cases in flight: they mostly wait for timers; more would only make the clocks of two cores run late."""
_LATEST_EFFECT_S = 8
"""The longest a fault delays an effect, plus a margin: what has not landed by then does not land."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    data = tmp_path_factory.mktemp("saga")
    async with running_house(Path(data)) as running:
        yield running


@dataclass
class Sweep:
    """How every selected case ended, and what the audit found once nothing moved any more."""

    ended: dict[str, Ended] = field(default_factory=dict)
    failed: dict[str, BaseException] = field(default_factory=dict)
    fired: dict[str, set[str]] = field(default_factory=dict)
    """By correlation id."""
    report: AuditReport | None = None
    not_replayed: dict[str, Exception] = field(default_factory=dict)
    """By workflow id."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sweep(house: House, request: pytest.FixtureRequest, say: Callable[[str], None]) -> AsyncGenerator[Sweep]:
    """Runs the selected cases side by side on one worker, then audits the vendors' books against ours."""
    cases = selected_cases(request, Case)
    result = Sweep()
    vendors = CutVendors(house.vendors)
    places = asyncio.Semaphore(AT_ONCE)
    started = time.monotonic()

    async def run(case: Case) -> None:
        async with places:
            try:
                ended = await run_case(house, vendors, case)
            except Exception as error:  # noqa: BLE001  # reported by the test of this case
                result.failed[case.id] = error
            else:
                result.ended[case.id] = ended
            done = len(result.ended) + len(result.failed)
            if done % 25 == 0 or done == len(cases):
                say(f"  sweep: {done} of {len(cases)} cases, {time.monotonic() - started:.0f} s\n")

    async with house.worker(vendors, sandboxed=False, graceful_shutdown_timeout=timedelta(seconds=1)):
        await asyncio.gather(*(run(case) for case in cases))
        # Not a synchronisation: the faults themselves promise their late effects by then.
        await asyncio.sleep(_LATEST_EFFECT_S)
        rules = (await house.sandbox.get("/_sandbox/faults")).json()
        result.report = check(await gather(house.settings, policy=FAST, histories=0))
    result.fired = {
        ended.trip.correlation_id: faults_that_fired(ended, rules, vendors) for ended in result.ended.values()
    }
    await house.sandbox.delete("/_sandbox/faults")
    async with house.database.transaction() as connection:
        # Nobody followed up on these trips; the tests that come after in this house would do it first, for minutes.
        await connection.execute(update(events).values(follow_up_at=None))
    result.not_replayed = await not_replayed(handle for ended in result.ended.values() for handle in ended.handles)
    yield result


def faults_that_fired(ended: Ended, rules: list[dict[str, Any]], vendors: CutVendors) -> set[str]:
    """Names of the case's faults that really met their call: a fault that never happened proves nothing."""
    correlation_id = ended.trip.correlation_id
    fired = {(rule["path"], rule["action"]) for rule in rules if rule["contains"] == correlation_id and rule["fired"]}
    names: set[str] = set()
    for place, fault in ended.case.faults:
        if fault in CUTS:
            met = (correlation_id, place.vendor, place.method) in vendors.fired
        else:
            met = (place.route["path"], HTTP_FAULTS[fault]["action"]) in fired
        if met:
            names.add(f"{place.name}-{fault}")
    return names
