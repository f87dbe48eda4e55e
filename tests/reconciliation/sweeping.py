"""Runs the table of cases: everything wrong is planted side by side, then reconciled once with every fault in place, then looked at
again by runs whose own lists meet every fault."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import func, update
from temporalio import activity
from temporalio.client import WorkflowExecution, WorkflowUpdateFailedError
from temporalio.service import RPCError

from schema.bookings import Accepted, Resolution
from schema.model import Message
from schema.payments import REFUND_WORKFLOW
from schema.reconciliation import (
    CORRELATION_ID,
    RECONCILIATION_WORKFLOW,
    REPAIR_WORKFLOW,
    SCHEDULE_ID,
    repair_workflow_id_for,
)
from schema.tables import bookings
from store import cases, reconciliation
from store.reconciliation import StoredFinding, StoredRun
from tests.reconciliation.reconciling import reconcile
from tests.reconciliation.table import LISTS, WRONGS, Case, RunCase, faults_of, rule_of
from tests.saga.harness import FAST, House
from tests.saga.table import CUTS, HTTP_FAULTS, Place
from tests.saga.vendors import CutVendors
from workers.audit import AuditReport, check, gather

PLANTED_AT_ONCE = 12
AT_ONCE = 30
"""Activities at work: more would only make the clocks of two cores run late."""
PATIENT = {"undo_budget_s": 60.0, "heartbeat_timeout_s": 10.0}
"""Here a hundred repairs share two cores, and none of them is to give up for want of a turn. Not longer: a refund whose key is
answered with an error for as long as it lives is asked for under the next one after this."""
LONGEST_S = 400
FIRST, AGAIN = "sweep-first", "sweep-again"


class MarkedVendors(CutVendors):
    """Tells the calls of one run or repair from those of another, which all carry the same correlation id: by its workflow."""

    async def call(self, vendor: str, method: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        return await super().call(vendor, method, real, tuple(_marked(argument) for argument in arguments))


def mark_of(workflow_id: str) -> str:
    return f"case-{workflow_id}"


def _marked(argument: Any) -> Any:
    if isinstance(argument, str) and argument == CORRELATION_ID:
        return mark_of(activity.info().workflow_id)
    if isinstance(argument, Message) and getattr(argument, "correlation_id", None) == CORRELATION_ID:
        return argument.model_copy(update={"correlation_id": mark_of(activity.info().workflow_id)})
    return argument


@dataclass
class Swept:
    """How everything ended; the tests ask for their own case."""

    house: House
    bookings: dict[str, str] = field(default_factory=dict)
    """Booking id by case."""
    failed: dict[str, BaseException] = field(default_factory=dict)
    before: dict[str, Counter[str]] = field(default_factory=dict)
    """Effects at the vendors by case, as planted."""
    effects: dict[str, Counter[str]] = field(default_factory=dict)
    """Those that came on top."""
    planned: dict[str, list[tuple[str, Place, str]]] = field(default_factory=dict)
    """By case: whose calls, which of them, and the fault that it meets."""
    fired: set[tuple[str, str, str]] = field(default_factory=set)
    """Mark, place, and fault."""
    findings: dict[str, list[StoredFinding]] = field(default_factory=dict)
    """By booking, as left; without those that a second look has not seen."""
    runs: dict[str, StoredRun] = field(default_factory=dict)
    histories: list[WorkflowExecution] = field(default_factory=list)
    report: AuditReport | None = None


def run_id_of(fault: str) -> str:
    """Of the run whose first list meets it, and each of the others another one."""
    return f"sweep-run-{fault}"


def faults_of_run(fault: str) -> list[RunCase]:
    order = faults_of(LISTS[0])
    first = order.index(fault)
    return [RunCase(place, order[(first + shift) % len(order)]) for shift, place in enumerate(LISTS)]


async def sweep(house: House, selected: list[Case], say: Callable[[str], None]) -> Swept:
    """From nothing wrong to everything repaired or at the desk."""
    saga = house.settings.saga.model_copy(update=PATIENT)
    house = replace(house, settings=house.settings.model_copy(update={"saga": saga}))
    vendors = MarkedVendors(house.vendors)
    house = replace(house, vendors=vendors)
    swept = Swept(house)
    await house.client.get_schedule_handle(SCHEDULE_ID).pause(note="the tests say when a run begins")
    async with house.worker(vendors, sandboxed=False, max_concurrent_activities=AT_ONCE):
        await _plant(swept, selected)
        say(f"  reconciliation: {len(swept.bookings)} wrongs planted\n")
        await house.sandbox.delete("/_sandbox/faults")
        for case in selected:
            await _arm(swept, vendors, case)
        await _run(swept, FIRST)
        await _until_concluded(swept, selected)
        say("  reconciliation: all of them repaired or at the desk\n")
        await _fired(swept, vendors, [each for planned in swept.planned.values() for each in planned])
        await house.sandbox.delete("/_sandbox/faults")
        await _run(swept, AGAIN)
        await _disturbed_runs(swept, vendors)
        for case_id, booking_id in swept.bookings.items():
            swept.effects[case_id] = await _effects(house, booking_id) - swept.before[case_id]
        swept.report = check(await gather(house.settings, policy=FAST, histories=0))
        types = ", ".join(f"'{name}'" for name in (RECONCILIATION_WORKFLOW, REPAIR_WORKFLOW, REFUND_WORKFLOW))
        swept.histories = [found async for found in house.client.list_workflows(f"WorkflowType IN ({types})")]
    return swept


async def _plant(swept: Swept, selected: list[Case]) -> None:
    places = asyncio.Semaphore(PLANTED_AT_ONCE)

    async def plant(case: Case) -> None:
        async with places:
            try:
                booking_id = await WRONGS[case.wrong].plant(swept.house)
                swept.before[case.id] = await _effects(swept.house, booking_id)
            except Exception as error:  # noqa: BLE001  # reported by the test of this case
                swept.failed[case.id] = error
            else:
                swept.bookings[case.id] = booking_id

    await asyncio.gather(*(plant(case) for case in selected))


async def _arm(swept: Swept, vendors: MarkedVendors, case: Case) -> None:
    booking_id = swept.bookings.get(case.id)
    if booking_id is None:
        return
    swept.planned[case.id] = []
    for call, fault in case.faults:
        mark = mark_of(repair_workflow_id_for(booking_id))
        if call.of == "undo":
            mark = (await swept.house.stored(booking_id)).correlation_id
        swept.planned[case.id].append((mark, call.place, fault))
        await _meet(swept.house, vendors, mark, call.place, fault)


async def _meet(house: House, vendors: MarkedVendors, mark: str, place: Place, fault: str) -> None:
    if fault in CUTS:
        vendors.plan(mark, place.vendor, place.method, CUTS[fault])  # type: ignore[arg-type]
    else:
        await house.fault(contains=mark, **rule_of(place, fault))


async def _fired(swept: Swept, vendors: MarkedVendors, planned: list[tuple[str, Place, str]]) -> None:
    """Which of the planned faults have met their call: one that never happened proves nothing."""
    rules = (await swept.house.sandbox.get("/_sandbox/faults")).json()
    swept.fired |= met(planned, rules, vendors)


def met(
    planned: list[tuple[str, Place, str]], rules: list[dict[str, Any]], vendors: CutVendors
) -> set[tuple[str, str, str]]:
    over_http = {(rule["contains"], rule["path"], rule["action"], rule["status"]) for rule in rules if rule["fired"]}
    found = set[tuple[str, str, str]]()
    for mark, place, fault in planned:
        if fault in CUTS:
            happened = (mark, place.vendor, place.method) in vendors.fired
        else:
            how = HTTP_FAULTS[fault]
            happened = (mark, place.route["path"], how["action"], how.get("status", 503)) in over_http
        if happened:
            found.add((mark, place.name, fault))
    return found


async def _run(swept: Swept, run_id: str) -> None:
    await reconcile(swept.house, run_id)
    async with swept.house.database.read() as connection:
        run = await reconciliation.get(connection, run_id)
    assert run is not None
    swept.runs[run_id] = run


async def _until_concluded(swept: Swept, selected: list[Case]) -> None:
    """Each finding is repaired or at the desk. What a repair could not finish is tried again by the operator whom it asks."""
    wanted = {swept.bookings[case.id]: WRONGS[case.wrong].outcome for case in selected if case.id in swept.bookings}
    async with asyncio.timeout(LONGEST_S):
        while True:
            async with swept.house.database.read() as connection:
                found = await reconciliation.findings_of(connection, FIRST, 10_000)
            for finding in found:
                if finding.outcome == "case" and wanted.get(finding.booking_id) == "repaired":
                    await _retry(swept.house, finding.booking_id)
            outcomes = {finding.outcome for finding in found}
            again = {one.booking_id for one in found if one.outcome == "case" and wanted.get(one.booking_id) != "case"}
            if outcomes <= {"repaired", "case", "settled"} and not again:
                break
            if "waiting" in outcomes and None not in outcomes:
                await reconcile(swept.house, f"{FIRST}-{len(swept.runs)}-{asyncio.get_running_loop().time()}")
            await asyncio.sleep(0.5)
    swept.findings = {}
    for finding in found:
        swept.findings.setdefault(finding.booking_id, []).append(finding)


async def _retry(house: House, booking_id: str) -> None:
    async with house.database.read() as connection:
        opened = [one for one in await cases.of_booking(connection, booking_id) if one.resolved_at is None]
    for one in opened:
        word = Resolution(case_id=one.case_id, action="retry", operator="test", note="the vendor is back")
        try:
            await house.client.get_workflow_handle(one.workflow_id).execute_update(
                "resolve", word, result_type=Accepted
            )
        except (WorkflowUpdateFailedError, RPCError):
            continue  # resolved a moment ago: the next look shows


async def _disturbed_runs(swept: Swept, vendors: MarkedVendors) -> None:
    """Runs side by side, each of whose lists meets a fault: together every list meets every fault."""
    planned: list[tuple[str, Place, str]] = []
    runs: list[Awaitable[None]] = []
    # A run asks about bookings that have changed since the one before, less a minute: without this, by luck and on fast machines only.
    async with swept.house.database.transaction() as connection:
        await connection.execute(update(bookings).values(updated_at=func.now()))
    for fault in faults_of(LISTS[0]):
        mark = mark_of(run_id_of(fault))
        for case in faults_of_run(fault):
            await _meet(swept.house, vendors, mark, case.place, case.fault)
            planned.append((mark, case.place, case.fault))
        runs.append(_run(swept, run_id_of(fault)))
    await asyncio.gather(*runs)
    await _fired(swept, vendors, planned)


async def _effects(house: House, booking_id: str) -> Counter[str]:
    return Counter(entry["type"] for entry in await house.ledger(booking_id))
