"""One refund, followed until the provider says how it ended."""

import contextlib

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.refunds import Refunds
    from schema.payments import REFUND_WORKFLOW, PaymentChanged, RefundInput, RefundResult, RefundStatus, RefundStep
    from workflows.steps import persistent, why

_KEYS = 3
"""Keys one refund may use: a new one only after a look at the provider's books has shown that the one before did nothing."""


@workflow.defn(name=REFUND_WORKFLOW)
class RefundWorkflow:
    """The only writer of one refund. Runs again under the same id when an operator retries a failed one."""

    @workflow.init
    def __init__(self, plan: RefundInput) -> None:
        self._plan = plan
        self._news = 0

    @workflow.run
    async def run(self, plan: RefundInput) -> RefundResult:
        until = workflow.time() + plan.policy.refund_timeout_s
        status, generation = RefundStatus(kind="unknown"), plan.first_generation
        for generation in range(plan.first_generation, plan.first_generation + _KEYS):
            step = RefundStep(
                booking_id=plan.booking_id,
                payment_id=plan.payment_id,
                reason_key=plan.reason_key,
                generation=generation,
                amount=plan.amount,
                correlation_id=plan.correlation_id,
                retry_initial_s=plan.policy.retry_initial_s,
            )
            status = await self._start(step)
            if status.kind in ("pending", "unknown"):
                status = await self._follow(step, status, until)
            if status.kind != "unknown":
                break
        return RefundResult(kind=status.kind, generation=generation, reason=status.reason)

    @workflow.signal
    def payment_changed(self, changed: PaymentChanged) -> None:
        """A webhook: look now."""
        self._news += 1

    async def _start(self, step: RefundStep) -> RefundStatus:
        policy = self._plan.policy
        workflow.set_current_details(f"**Giving back {step.amount}**")
        # A new key may follow when this is over, so it must outlast any call under the old one.
        longest_s = max(policy.undo_budget_s, policy.step_timeout_s + self._plan.payment_capabilities.lookup_lag_s)
        try:
            return await persistent(Refunds.start_refund, step, policy, f"Give back {step.amount}", longest_s)
        except ActivityError as error:
            return RefundStatus(kind="unknown", reason=why(error))

    async def _follow(self, step: RefundStep, status: RefundStatus, until: float) -> RefundStatus:
        """Pending: until it is final. Unknown: for as long as the provider's look-up may lag."""
        policy = self._plan.policy
        if status.kind == "unknown":
            until = workflow.time() + self._plan.payment_capabilities.lookup_lag_s + policy.find_out_margin_s
        workflow.set_current_details(f"**Waiting for the provider to finish giving back {step.amount}**")
        while status.kind in ("pending", "unknown") and workflow.time() < until:
            seen = self._news
            # Interleaves with `payment_changed`, which may come before the wait begins: hence the counter.
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda seen=seen: self._news > seen, timeout=min(policy.refund_poll_s, until - workflow.time())
                )
            try:
                status = await persistent(
                    Refunds.look_at_refund, step, policy, "See how the refund stands", policy.undo_budget_s
                )
            except ActivityError as error:
                status = RefundStatus(kind=status.kind, reason=why(error))
        return status
