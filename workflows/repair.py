"""One booking that is not as its vendors' books say: looked at again, repaired where that is safe, asked about where it is not.

Through the same undo as every saga's: by reference, with an attempt before each call, and a case where it cannot finish. One repair
of a booking at a time, and only while nobody else works on it.
"""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.recording import Recording
    from activities.repairing import Repairing
    from schema.bookings import (
        Accepted,
        OutstandingEffect,
        Resolution,
        ReviewCase,
        SagaPolicy,
        workflow_id_for,
    )
    from schema.money import Money
    from schema.reconciliation import (
        CORRELATION_ID,
        REPAIR_WORKFLOW,
        Concluded,
        ExamineBooking,
        Examined,
        Outcome,
        RepairInput,
        RepairResult,
        StrayAuthorisation,
    )
    from schema.states import BookingState
    from workflows.compensation import Compensation
    from workflows.items import Item
    from workflows.payment import Payment
    from workflows.saga import Saga, run_to_the_end
    from workflows.steps import local, persistent, why

_UNDOING = (BookingState.COMPENSATING, BookingState.REFUND_PENDING)
_MOST_ROUNDS = 5
"""Repairs one after the other; what the next look still finds then is an operator's, for another repair would not change it."""


class RepairSaga(Saga):
    """The saga of a booking that another one has left. While the booking is settled it keeps its state, whatever is done for it."""

    def __init__(self, booking_id: str, policy: SagaPolicy) -> None:
        super().__init__(booking_id, 0, BookingState.FAILED, policy)
        self.settled = True
        self.asked = False
        self.rounds = 0
        """Repairs beside a settled booking since an operator was last asked."""

    def take_over(self, found: Examined, *, first: bool) -> None:
        self.state, self.version, self.settled = found.state, found.version, found.decision == "aside"
        if first:
            # Repairs of a booking have one id, run after run; their cases must not.
            self._cases_opened = found.cases

    async def record(
        self,
        state: BookingState,
        *,
        reason: str | None = None,
        waiting_for: str | None = None,
        total: Money | None = None,
        consent_limit: Money | None = None,
        fee: Money | None = None,
        case: ReviewCase | None = None,
        close_case: Resolution | None = None,
    ) -> None:
        """As every saga; nothing for a settled booking, but for the operator who looks on."""
        if self.settled:
            self.say(f"Put right beside its state: {state.value}")
            return
        await super().record(
            state,
            reason=reason,
            waiting_for=waiting_for,
            total=total,
            consent_limit=consent_limit,
            fee=fee,
            case=case,
            close_case=close_case,
        )

    async def ask_operator(
        self,
        reason: str,
        effects: list[OutstandingEffect],
        timeout_s: float | None = None,
        *,
        give_up_on_cancel: bool = False,
        aside: bool = False,
    ) -> Resolution | None:
        """As every saga; and what was found about these effects waits for the operator too."""
        self.asked, self.rounds = True, 0
        ids = [name for effect in effects for name in (effect.reference, effect.provider_reference) if name]
        if not self.settled:
            ids.append(workflow_id_for(self.booking_id))  # that its workflow is gone waits for the operator as well
        await local(Repairing.conclude, Concluded(booking_id=self.booking_id, outcome="case", ids=ids))
        return await super().ask_operator(
            reason, effects, timeout_s, give_up_on_cancel=give_up_on_cancel, aside=aside or self.settled
        )


@workflow.defn(name=REPAIR_WORKFLOW)
class RepairWorkflow:
    """Looks, repairs, asks, and looks again, until nothing is left."""

    @workflow.init
    def __init__(self, plan: RepairInput) -> None:
        self.plan = plan
        self.saga = RepairSaga(plan.booking_id, plan.policy)

    @workflow.run
    async def run(self, plan: RepairInput) -> RepairResult:
        # Whatever was begun is finished: a cancellation from the Web UI tears nothing.
        return await run_to_the_end(self._repair(), lambda: None)

    @workflow.update
    def resolve(self, resolution: Resolution) -> Accepted:
        """An operator's decision on the open review case."""
        return self.saga.resolve(resolution)

    async def _repair(self) -> RepairResult:
        first = True
        while True:
            try:
                found = await self._look(first=first)
            except ActivityError:
                return await self._ended("waiting")  # a vendor is away: the next run tries again
            if found.decision == "moving":
                return await self._ended("waiting")
            self.saga.take_over(found, first=first)
            if first:
                await self._close_orphaned_cases(found)
            first = False
            if found.nothing_left():
                return await self._ended("repaired")
            if found.decision == "aside":
                await self._put_right(found)
            else:
                await self._end_booking(found)

    async def _look(self, *, first: bool) -> Examined:
        policy = self.plan.policy
        asked = ExamineBooking(
            booking_id=self.plan.booking_id,
            first=first,
            correlation_id=CORRELATION_ID,
            retry_initial_s=policy.retry_initial_s,
        )
        return await persistent(
            Repairing.examine, asked, policy, "Look at the vendors themselves", policy.undo_budget_s
        )

    async def _put_right(self, found: Examined) -> None:
        """Beside a settled booking."""
        self.saga.rounds += 1
        for_people = list(found.for_people)
        if self.saga.rounds > _MOST_ROUNDS and workflow.patched("what repairs do not change is asked about"):
            problem = f"{_MOST_ROUNDS} repairs have not changed it"
            for_people += [_outstanding(stray, problem) for stray in found.authorisations]
            for_people += [entry.outstanding(problem) for entry in self._entries(found)]
        else:
            for stray in found.authorisations:
                policy, summary = self.plan.policy, f"Let go of {stray.amount}, which nobody wants"
                try:
                    await persistent(Repairing.release_stray, stray, policy, summary, policy.undo_budget_s)
                except ActivityError as error:
                    for_people.append(_outstanding(stray, why(error)))
            await self._undo(found, None)
        if for_people:
            kinds = ", ".join(sorted({effect.step.replace("_", " ") for effect in for_people}))
            await self.saga.ask_operator(f"reconciliation: {kinds}", for_people)

    async def _end_booking(self, found: Examined) -> None:
        """What its own workflow would have done, had it not gone."""
        saga = self.saga
        if found.decision == "confirm":
            if saga.state == BookingState.NEEDS_OPERATOR:
                await saga.record(BookingState.RESERVING, reason=found.reason)
            await saga.record(found.ends_as, total=found.total)
        elif found.decision == "ask":
            resolution = await saga.ask_operator("its workflow is gone", found.for_people)
            assert resolution is not None, "without a deadline only a resolution ends the wait"
            await saga.record(found.going_on, reason=f"case: {resolution.action}", close_case=resolution)
            if resolution.action != "retry":
                await saga.record(found.ends_as, reason=found.reason)
        else:
            if found.going_on == BookingState.COMPENSATING and saga.state not in _UNDOING:
                await saga.record(BookingState.COMPENSATING, reason=found.reason)
            await self._undo(found, found.going_on)
            await saga.record(found.ends_as, reason=found.reason)

    async def _undo(self, found: Examined, going_on: BookingState | None) -> None:
        """Items before money, and each as its own saga would."""
        if found.context is None:
            return
        compensation = Compensation(self.saga, found.context)
        for entry in self._entries(found):
            compensation.register(entry)
        await compensation.settle(await compensation.undo_all(), going_on)

    def _entries(self, found: Examined) -> list[Payment | Item]:
        """Newest last, as a saga would have registered them."""
        entries: list[Payment | Item] = []
        if found.context is None:
            return entries
        for left in found.payments:
            payment = Payment(self.saga, found.context, left.generation, left.amount, left.via)
            if left.refund is not None:
                payment.to_refund = left.refund.amount
                payment.refund_reason = left.refund.reason_key
                payment.refund_generation = left.refund.generation
            entries.append(payment)
        for left in found.items:
            item = Item(found.context, left.plan)
            item.provider_reference = left.provider_reference
            entries.append(item)
        return entries

    async def _close_orphaned_cases(self, found: Examined) -> None:
        """Nobody waits for them any more; what they were about is asked again if it is still so."""
        for case_id in found.orphaned_cases:
            over = Resolution(
                case_id=case_id,
                action="retry",
                operator="travelhub",
                note="the workflow that asked is gone; a repair goes on with it",
            )
            await local(Recording.close_case, over)

    async def _ended(self, outcome: Outcome) -> RepairResult:
        booking_id = self.plan.booking_id
        await local(Repairing.conclude, Concluded(booking_id=booking_id, outcome=outcome))
        if self.saga.asked and outcome == "repaired":
            await local(Repairing.conclude, Concluded(booking_id=booking_id, outcome="settled"))
        return RepairResult(booking_id=booking_id, outcome=outcome)


def _outstanding(stray: StrayAuthorisation, problem: str) -> OutstandingEffect:
    """How a review case names it."""
    return OutstandingEffect(
        vendor=stray.vendor,
        step="payment",
        reference=stray.payment_id or stray.provider_reference,
        provider_reference=stray.provider_reference,
        amount=stray.amount,
        problem=problem,
    )
