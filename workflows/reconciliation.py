"""A run of the reconciliation: reads every list from its watermark on, and sends out a repair for each booking that something is
wrong with. It waits for no repair, and asks no vendor for any change."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.reconciling import Reconciling
    from schema.bookings import SagaPolicy
    from schema.reconciliation import (
        RECONCILIATION_WORKFLOW,
        BeginRun,
        EndRun,
        ReadPages,
        ReconciliationInput,
        RunResult,
        StreamReport,
        earliest,
    )
    from workflows.steps import local, persistent, why

_POLICY = SagaPolicy(step_timeout_s=300)
_PATIENCE_S = 900
"""For one activity of a run, retries included: the next run begins where this one gave up."""


@workflow.defn(name=RECONCILIATION_WORKFLOW)
class ReconciliationWorkflow:
    """Its id is the run's. Two may run side by side: what both find is found once, and repaired once."""

    @workflow.run
    async def run(self, plan: ReconciliationInput | None = None) -> RunResult:
        plan = plan or ReconciliationInput()
        run_id = workflow.info().workflow_id
        streams, cursor = list(plan.streams), plan.cursor
        if not streams:
            streams = (await local(Reconciling.begin_run, BeginRun(run_id=run_id, started_by=plan.started_by))).streams
        for place in range(plan.done, len(streams)):
            while True:
                report = streams[place]
                reading = ReadPages(
                    run_id=run_id, stream=report.stream, since=report.since, cursor=cursor, asked=report.records
                )
                try:
                    read = await persistent(
                        Reconciling.read_pages, reading, _POLICY, f"Read {report.stream.name}", _PATIENCE_S
                    )
                except ActivityError as error:
                    streams[place], cursor = report.model_copy(update={"problem": why(error)}), None
                    break
                streams[place], cursor = _added(report, read.report), read.cursor
                if cursor is None:
                    break
                if workflow.info().is_continue_as_new_suggested():
                    going_on = plan.model_copy(update={"streams": streams, "done": place, "cursor": cursor})
                    workflow.continue_as_new(going_on)
        end = EndRun(run_id=run_id, streams=streams)
        return await persistent(Reconciling.end_run, end, _POLICY, "Send out repairs, and report", _PATIENCE_S)


def _added(report: StreamReport, more: StreamReport) -> StreamReport:
    unchecked = {
        why: report.unchecked.get(why, 0) + more.unchecked.get(why, 0)
        for why in sorted(report.unchecked.keys() | more.unchecked.keys())
    }
    return report.model_copy(
        update={
            "pages": report.pages + more.pages,
            "records": report.records + more.records,
            "foreign": report.foreign + more.foreign,
            "findings": report.findings + more.findings,
            "unchecked": unchecked,
            "again_from": earliest(report.again_from, more.again_from),
        }
    )
