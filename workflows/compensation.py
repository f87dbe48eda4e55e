"""The undo stack: registered before a step runs, undone newest first, looked for again until a late effect can no longer come,
and handed to an operator where a machine cannot finish."""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from schema.bookings import OutstandingEffect, Resolution, SagaContext
    from schema.money import Money
    from schema.payments import REFUND_WORKFLOW, RefundInput, RefundResult, refund_workflow_id_for
    from schema.states import BookingState
    from workflows.items import Item
    from workflows.payment import Payment
    from workflows.saga import Saga
    from workflows.steps import why

_LOOKS = 3
"""How often a late effect is looked for before its absence is believed."""


@dataclass
class Outstanding:
    """An undo that did not finish, and why."""

    entry: "Item | Payment"
    problem: str

    def effect(self) -> OutstandingEffect:
        return self.entry.outstanding(self.problem)


class Compensation:
    """Everything this saga may have done at vendors, in the order in which it began."""

    def __init__(self, saga: Saga, plan: SagaContext) -> None:
        self._saga = saga
        self._plan = plan
        self._stack: list[Item | Payment] = []
        self._late: list[Item | Payment] = []

    def register(self, entry: Item | Payment) -> None:
        """Before the step runs, so that the failing step's own effect is undone too."""
        if entry not in self._stack:
            self._stack.append(entry)

    def pending(self) -> bool:
        """Whether a late effect of something already undone still has to be looked for."""
        return bool(self._late)

    def may_still_appear(self, entry: Item | Payment) -> bool:
        """Nothing of it was found when it was undone, which proves nothing yet."""
        return entry in self._late

    async def undo_one(self, entry: Item | Payment) -> Outstanding | None:
        """Undoes one part of a trip that goes on without it."""
        if entry not in self._stack:
            return None
        outstanding = await self._undo(entry)
        if outstanding is None:
            self._stack.remove(entry)
        return outstanding

    async def undo_all(self) -> list[Outstanding]:
        """Newest first; what fails is left behind and the rest goes on. Then the late looks."""
        left: list[Outstanding] = []
        for entry in reversed(self._stack):
            outstanding = await self._undo(entry)
            if outstanding is not None:
                left.append(outstanding)
        self._stack = [outstanding.entry for outstanding in left]
        left += await self.look_again()
        return left

    async def look_again(self) -> list[Outstanding]:
        """A call that was under way when its undo looked can land afterwards: look until that is no longer possible."""
        left: list[Outstanding] = []
        for _ in range(_LOOKS):
            if not self._late:
                break
            waiting, self._late = self._late, []
            longest_s = max(self._tombstone_s(entry) for entry in waiting)
            self._saga.say(
                f"Nothing is found at {len(waiting)} vendor(s); looking again until a late effect cannot come any more"
            )
            await workflow.sleep(longest_s / _LOOKS)
            for entry in waiting:
                outstanding = await self._undo(entry)
                if outstanding is not None:
                    left.append(outstanding)
        self._late = []  # the horizon is over: what has not appeared by now will not
        return left

    def forget(self, entry: Item | Payment) -> None:
        """An operator has settled it."""
        self._stack.remove(entry)

    async def settle(self, left: list[Outstanding], going_on: BookingState | None) -> None:
        """Until nothing is outstanding: an operator says how each review case goes on. None: the booking is settled already."""
        if any(self._nobody_can_look(outstanding.entry) for outstanding in left):
            # What an operator finds at the supplier is only final once a call under way can no longer land.
            await workflow.sleep(max(self._tombstone_s(outstanding.entry) for outstanding in left))
        while left:
            effects = [outstanding.effect() for outstanding in left]
            names = ", ".join(f"{effect.step} at {effect.vendor}" for effect in effects)
            resolution = await self._saga.ask_operator(f"could not undo: {names}", effects, aside=going_on is None)
            assert resolution is not None, "without a deadline only a resolution ends the wait"
            if going_on is not None:
                await self._saga.record(going_on, reason=f"case: {resolution.action}", close_case=resolution)
            left = await self._resolved(left, resolution)

    async def _resolved(self, left: list[Outstanding], resolution: Resolution) -> list[Outstanding]:
        """What is still outstanding after the operator's word on one effect, or on all."""
        again: list[Outstanding] = []
        for outstanding in left:
            entry = outstanding.entry
            meant = resolution.reference in (None, outstanding.effect().reference)
            if not meant:
                again.append(outstanding)
                continue
            if resolution.action in ("settled_by_hand", "write_off"):
                continue
            if resolution.action == "confirmed_at_vendor" and isinstance(entry, Item):
                entry.provider_reference = resolution.provider_reference
            still = await self._undo(entry)
            if still is not None:
                again.append(still)
        return again + await self.look_again()

    async def _undo(self, entry: Item | Payment) -> Outstanding | None:
        try:
            if isinstance(entry, Item):
                if not (await entry.undo()).nothing_left():
                    self._late.append(entry)
                return None
            if entry.to_refund is not None:
                return await self._refund(entry, entry.to_refund)
            undone = await entry.undo()
        except ActivityError as error:
            return Outstanding(entry, why(error))
        if undone.kind == "nothing_found":
            self._late.append(entry)
        if undone.kind == "captured" and undone.captured is not None and undone.captured.amount_minor:
            return await self._refund(entry, undone.captured)
        return None

    async def _refund(self, payment: Payment, amount: Money) -> Outstanding | None:
        await self._saga.record(BookingState.REFUND_PENDING, waiting_for="provider: the refund")
        return await give_back(self._plan, payment, amount)

    @staticmethod
    def _nobody_can_look(entry: Item | Payment) -> bool:
        return isinstance(entry, Item) and not entry.plan.capabilities.lookup_by_reference

    def _tombstone_s(self, entry: Item | Payment) -> float:
        return entry.plan.tombstone_s if isinstance(entry, Item) else entry.via.tombstone_s


async def give_back(plan: SagaContext, payment: Payment, amount: Money) -> Outstanding | None:
    """A child workflow, because a refund can take days and has a state of its own. None once the provider says it succeeded."""
    payment.to_refund = amount
    result = await workflow.execute_child_workflow(
        REFUND_WORKFLOW,
        RefundInput(
            booking_id=plan.booking_id,
            payment_id=payment.payment_id,
            reason_key=payment.refund_reason,
            first_generation=payment.refund_generation,
            amount=amount,
            correlation_id=plan.correlation_id,
            payment_capabilities=payment.via.capabilities,
            policy=plan.policy,
        ),
        id=refund_workflow_id_for(payment.payment_id, payment.refund_reason),
        result_type=RefundResult,
        static_summary=f"Give back {amount}",
    )
    if result.kind == "succeeded":
        return None
    payment.refund_generation = result.generation + (1 if result.kind == "failed" else 0)
    return Outstanding(payment, f"the refund of {amount} is {result.kind}: {result.reason or 'no reason given'}")
