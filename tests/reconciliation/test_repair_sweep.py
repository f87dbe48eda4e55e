"""The sweep of RELIABILITY over reconciliation: every call that a run, a repair, or the undo it begins makes to a vendor, with every
fault. What was wrong is put right exactly once or stands at the desk, and the next run finds nothing new."""

from collections import Counter

import pytest
from temporalio.client import WorkflowExecution

from schema.reconciliation import RECONCILIATION_WORKFLOW, repair_workflow_id_for
from store import cases
from tests.reconciliation.sweeping import AGAIN, FIRST, Swept, faults_of_run, mark_of, run_id_of
from tests.reconciliation.table import LISTS, WRONGS, Case, all_cases, all_runs, faults_of
from tests.saga.replaying import not_replayed

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(900),
    pytest.mark.stack,
]

ONLY_IN_OUR_BOOKS = ("in_doubt",)


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.id)
async def test_a_repair_is_done_once_whatever_it_meets(case: Case, swept: Swept) -> None:
    if case.id in swept.failed:
        raise AssertionError(f"{case.id} was not planted: {swept.failed[case.id]!r}") from swept.failed[case.id]
    booking_id, wrong = swept.bookings[case.id], WRONGS[case.wrong]
    never_met = {(mark, place.name, fault) for mark, place, fault in swept.planned[case.id]} - swept.fired
    assert not never_met, "the fault never happened, so the case proves nothing"
    found = [(one.kind, one.outcome) for one in swept.findings.get(booking_id, [])]
    ended = {"repaired", "settled"} if wrong.outcome == "repaired" else {"case"}
    # What a look has put right in our own books alone, its second attempt no longer sees.
    assert [kind for kind, _ in found] in ([wrong.found], *([[]] if case.wrong in ONLY_IN_OUR_BOOKS else []))
    assert {outcome for _, outcome in found} <= ended
    assert swept.effects[case.id] == Counter(wrong.effects), "every repair once, and nothing else"
    if wrong.ends_as is not None:
        assert (await swept.house.stored(booking_id)).state == wrong.ends_as
    async with swept.house.database.read() as connection:
        opened = [one for one in await cases.of_booking(connection, booking_id) if one.resolved_at is None]
    assert len(opened) == (wrong.outcome == "case")
    if wrong.outcome == "repaired":
        assert swept.report is not None, "the audit runs after the last case"
        assert [one.text for one in swept.report.violations if one.booking_id == booking_id] == []
    histories = [one for one in swept.histories if booking_id in one.id]
    assert repair_workflow_id_for(booking_id) in {one.id for one in histories}
    assert await _not_replayed(swept, histories) == {}


async def test_the_report_tells_what_was_found_and_what_came_of_it(swept: Swept) -> None:
    run = swept.runs[FIRST]
    assert [report.stream.name for report in run.streams if report.problem is not None] == []
    bookings = {
        swept.bookings[case.id]: WRONGS[case.wrong].found
        for case in all_cases()
        if case.id in swept.bookings and case.wrong not in ONLY_IN_OUR_BOOKS
    }
    assert {booking_id: [one.kind for one in swept.findings[booking_id]] for booking_id in bookings} == {
        booking_id: [kind] for booking_id, kind in bookings.items()
    }


async def test_the_next_run_finds_nothing_new(swept: Swept) -> None:
    run = swept.runs[AGAIN]
    assert run.findings == []
    assert sum(report.findings for report in run.streams) == 0


@pytest.mark.parametrize("fault", faults_of(LISTS[0]))
async def test_a_run_reads_everything_once_whatever_its_lists_meet(fault: str, swept: Swept) -> None:
    """Each of its lists meets another fault; all such runs together are every list with every fault."""
    run_id = run_id_of(fault)
    met = faults_of_run(fault)
    for case in met:
        assert (mark_of(run_id), case.place.name, case.fault) in swept.fired, f"{case.id} never happened"
    run, undisturbed = swept.runs[run_id], swept.runs[AGAIN]
    assert run.findings == []
    assert [report.stream.name for report in run.streams if report.problem is not None] == []
    lists = {place.scenario for place in LISTS} - {"lookups"}
    read, there = (
        {report.stream.name: report.records for report in one.streams if report.stream.name in lists}
        for one in (run, undisturbed)
    )
    assert read == there, "nothing was left out, and nothing counted twice"
    histories = [one for one in swept.histories if one.id == run_id]
    assert [one.workflow_type for one in histories] == [RECONCILIATION_WORKFLOW]
    assert await _not_replayed(swept, histories) == {}


async def test_together_the_runs_are_the_whole_table() -> None:
    met = [case for fault in faults_of(LISTS[0]) for case in faults_of_run(fault)]
    assert sorted(case.id for case in met) == sorted(case.id for case in all_runs())


async def _not_replayed(swept: Swept, executions: list[WorkflowExecution]) -> dict[str, Exception]:
    client = swept.house.client
    return await not_replayed(client.get_workflow_handle(one.id, run_id=one.run_id) for one in executions)
