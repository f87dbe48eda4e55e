"""Every 5 min by a schedule: flights that nobody watches, monitors that are late, and those that nobody needs any more."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.monitor_sweeping import MonitorSweeping
    from schema.bookings import SagaPolicy
    from schema.flights import MONITOR_SWEEP_WORKFLOW, MonitorSweepInput, MonitorSweepPage, MonitorSweepReport
    from workflows.steps import persistent

_STEPS = SagaPolicy(step_timeout_s=120)
_PATIENCE_S = 240


@workflow.defn(name=MONITOR_SWEEP_WORKFLOW)
class MonitorSweepWorkflow:
    """Two may run side by side: a monitor is started once, and may be woken twice."""

    @workflow.run
    async def run(self, plan: MonitorSweepInput | None = None) -> MonitorSweepReport:
        plan = plan or MonitorSweepInput()
        report, after = plan.report, plan.after
        while True:
            page = MonitorSweepPage(after=after)
            swept = await persistent(MonitorSweeping.sweep_monitors, page, _STEPS, "Put watches right", _PATIENCE_S)
            report, after = report.plus(swept.report), swept.after
            if after is None:
                return report
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(MonitorSweepInput(after=after, report=report))
