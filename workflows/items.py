"""One item on its way to being confirmed: the Unknown protocol, chosen from the supplier's capabilities."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.reservations import Reservations
    from activities.substituting import Substituting
    from activities.undoing import Undoing
    from schema.bookings import (
        ItemPlan,
        ItemStep,
        OutstandingEffect,
        SagaContext,
        StepResult,
        SubstituteWanted,
        UndoResult,
    )
    from schema.money import Money
    from schema.outcomes import Confirmed, Outcome, Unknown
    from workflows.steps import persistent, remote, why

_ROUNDS = 2
"""Creates again once, where that cannot book twice, after a look-up has shown nothing for as long as the supplier may lag."""

Activity = Callable[[Reservations, ItemStep], Awaitable[StepResult]]


class Item:
    """What the saga knows of one item while it runs."""

    def __init__(self, booking: SagaContext, plan: ItemPlan) -> None:
        self._booking = booking
        self.plan = plan
        self.generation = plan.generation
        self.price: Money = plan.price
        self.provider_reference: str | None = None
        self.deadline: datetime | None = None
        """When the supplier drops the hold."""
        self.held = False
        self.confirmed = False
        self.left_out = False

    async def reserve(self) -> Outcome:
        """In two steps where the supplier and the offer allow it, else at once."""
        return await (self.hold() if self.plan.hold else self.book())

    async def find_equal(self, limit: Money, reason: str) -> "Item | None":
        """The same from another supplier, for no more than the limit; only after a definite no. Raises ActivityError."""
        wanted = SubstituteWanted(
            **self.step().model_dump(),
            limit=limit,
            reason=reason,
            step_timeout_s=self._booking.policy.step_timeout_s,
        )
        policy = self._booking.policy
        # Persistent: once another supplier's offer is in our books, the saga must learn of it.
        found = await persistent(
            Substituting.find_equal, wanted, policy, f"Elsewhere: {self.plan.summary}", policy.step_timeout_s
        )
        return None if found.plan is None else Item(self._booking, found.plan)

    async def hold(self) -> Outcome:
        outcome = await self._create(Reservations.hold, Reservations.find_out_hold, "Hold")
        if isinstance(outcome, Confirmed):
            self.held, self.deadline = True, self._end_of_hold(outcome)
        return outcome

    async def book(self) -> Outcome:
        outcome = await self._create(Reservations.book, Reservations.find_out_book, "Book")
        if isinstance(outcome, Confirmed):
            self.confirmed = True
        return outcome

    async def confirm(self) -> Outcome:
        outcome = await self._create(Reservations.confirm, Reservations.find_out_confirm, "Confirm")
        if isinstance(outcome, Confirmed):
            self.confirmed, self.deadline = True, None
        return outcome

    async def find_out(self, provider_reference: str | None = None) -> Outcome:
        """Once more, perhaps with what an operator found out."""
        activity = (
            Reservations.find_out_confirm
            if self.held
            else (Reservations.find_out_hold if self.plan.hold else Reservations.find_out_book)
        )
        outcome = await self._find_out(activity, provider_reference)
        if isinstance(outcome, Confirmed):
            self._keep(outcome)
            self.confirmed = self.held or not self.plan.hold
            self.held, self.deadline = self.plan.hold, self._end_of_hold(outcome)
        return outcome

    async def undo(self) -> UndoResult:
        """Leave nothing of it at the supplier. Raises ActivityError when only a person can go on."""
        budget_s = self._booking.policy.undo_budget_s
        summary = f"Undo: {self.plan.summary}"
        return await persistent(
            Undoing.undo_item, self.step(self.provider_reference), self._booking.policy, summary, budget_s
        )

    def _end_of_hold(self, outcome: Confirmed) -> datetime:
        return outcome.expires_at or workflow.now() + timedelta(seconds=self._booking.policy.assumed_hold_s)

    def hold_is_over(self) -> bool:
        """Whether the hold ends so soon that it must be treated as gone."""
        margin = timedelta(seconds=self._booking.policy.hold_margin_s)
        return (
            self.held and not self.confirmed and self.deadline is not None and workflow.now() + margin >= self.deadline
        )

    def outstanding(self, problem: str) -> OutstandingEffect:
        """How a review case names it."""
        return OutstandingEffect(
            vendor=self.plan.supplier,
            step=self.plan.kind,
            reference=f"{self._booking.booking_id}/{self.plan.item_no}",
            provider_reference=self.provider_reference,
            amount=self.price,
            problem=problem,
        )

    def step(self, provider_reference: str | None = None) -> ItemStep:
        return ItemStep(
            booking_id=self._booking.booking_id,
            item_no=self.plan.item_no,
            generation=self.generation,
            correlation_id=self._booking.correlation_id,
            retry_initial_s=self._booking.policy.retry_initial_s,
            provider_reference=provider_reference,
        )

    async def _create(self, activity: Activity, find_out: Activity, verb: str) -> Outcome:
        outcome: Outcome = Unknown(reason="not tried")
        for _ in range(_ROUNDS):
            try:
                result = await remote(activity, self.step(), self._booking.policy, f"{verb}: {self.plan.summary}")
                outcome = result.outcome
            except ActivityError as error:
                outcome = Unknown(reason=why(error))
            if isinstance(outcome, Unknown):
                outcome = await self._find_out(find_out, None)
            if isinstance(outcome, Confirmed):
                self._keep(outcome)
            if not isinstance(outcome, Unknown) or not self.plan.capabilities.idempotent_create:
                break
        return outcome

    async def _find_out(self, activity: Activity, provider_reference: str | None) -> Outcome:
        """Looks for as long as the supplier may lag; Unknown if that shows nothing."""
        budget_s = self.plan.capabilities.lookup_lag_s + self._booking.policy.find_out_margin_s
        summary = f"Find out what became of: {self.plan.summary}"
        try:
            result = await persistent(activity, self.step(provider_reference), self._booking.policy, summary, budget_s)
        except ActivityError as error:
            return Unknown(reason=why(error))
        return result.outcome

    def _keep(self, outcome: Confirmed) -> None:
        self.provider_reference = outcome.provider_reference
        if outcome.price is not None:
            self.price = outcome.price
