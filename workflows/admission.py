"""Every 30 s by a schedule: what the API stored and could not start is started."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.sweeping import Sweeping, SweepInput, SweepResult


@workflow.defn(name="AdmissionSweepWorkflow")
class AdmissionSweepWorkflow:
    @workflow.run
    async def run(self) -> SweepResult:
        return await workflow.execute_activity_method(
            Sweeping.sweep_admissions,
            SweepInput(),
            start_to_close_timeout=timedelta(minutes=2),
            summary="Start what is stored and has no workflow",
        )
