"""What every saga of a booking has: its one state, its record in PostgreSQL, waiting for people, and the operator's desk."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.recording import Recording
    from schema.bookings import (
        Accepted,
        CaseOpened,
        OutstandingEffect,
        Resolution,
        ReviewCase,
        SagaPolicy,
        StateChange,
    )
    from schema.money import Money
    from schema.search_attributes import BOOKING_STATE, WAITING
    from schema.states import SETTLED_STATES, BookingState
    from workflows.steps import local

Answer = TypeVar("Answer")

_WORTH_FINDING = SETTLED_STATES | {
    BookingState.PRICE_CHANGED,
    BookingState.NEEDS_OPERATOR,
    BookingState.COMPENSATING,
    BookingState.REFUND_PENDING,
}
"""States an operator searches for; the rest pass in a moment and would only cost a write each."""


class SagaFailed(Exception):
    """The trip cannot be had; everything done so far is to be undone. `code` is one of schema/errors.py's refusals."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Saga:
    """The state of one saga, changed only by its own task; handlers set wishes, which the task reads after each await."""

    def __init__(self, booking_id: str, version: int, state: BookingState, policy: SagaPolicy) -> None:
        self.booking_id = booking_id
        self.policy = policy
        self.state = state
        self.version = version
        self.waiting_for: str | None = None
        self.deadline: datetime | None = None
        self.cancel_requested = False
        self.case: ReviewCase | None = None
        self._cases_opened = 0
        self._resolution: Resolution | None = None

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
        """State, event and case in one transaction. The version makes a repeat of this local activity harmless."""
        self.version += 1
        change = StateChange(
            booking_id=self.booking_id,
            version=self.version,
            state=state,
            reason=reason,
            waiting_for=waiting_for,
            total=total,
            consent_limit=consent_limit,
            fee=fee,
            case=case,
            close_case=close_case,
        )
        # Handlers may run during this await: they see the old state, and are refused or only leave a wish.
        await local(Recording.record_state, change)
        self.state = state
        self.waiting_for = waiting_for
        if state in _WORTH_FINDING or waiting_for is not None:
            who = waiting_for.split(":")[0] if waiting_for else "nobody"
            workflow.upsert_search_attributes([BOOKING_STATE.value_set(state.value), WAITING.value_set(who)])
        self.say(
            f"{state.value}"
            + (f", waiting for {waiting_for}" if waiting_for else "")
            + (f" ({reason})" if reason else "")
        )

    def say(self, text: str) -> None:
        """What an operator reads in the Web UI."""
        workflow.set_current_details(f"**{text}**\n\nBooking `{self.booking_id}`, version {self.version}.")

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float | None) -> bool:
        """Waits durably; False when the time is over first."""
        self.deadline = None if timeout_s is None else workflow.now() + timedelta(seconds=timeout_s)
        try:
            # Interleaves with every handler; the caller reads their wishes afterwards.
            await workflow.wait_condition(condition, timeout=timeout_s)
        except TimeoutError:
            return condition()  # a signal and the timer in one workflow task: the signal counts
        finally:
            self.deadline = None
        return True

    async def ask_operator(
        self,
        reason: str,
        effects: list[OutstandingEffect],
        timeout_s: float | None = None,
        *,
        give_up_on_cancel: bool = False,
        aside: bool = False,
    ) -> Resolution | None:
        """Opens a review case that names every outstanding effect and waits for its resolution; None if the time is over.

        `aside`: the booking is settled and keeps its state; another workflow may be writing it by now.
        """
        self._cases_opened += 1
        # Must merge a replay or a reset of this very question; must not merge two questions of one workflow.
        case = ReviewCase(
            case_id=f"case_{workflow.info().workflow_id}-{self._cases_opened}",
            workflow_id=workflow.info().workflow_id,
            reason=reason,
            effects=effects,
        )
        self.case, self._resolution = case, None
        if aside:
            await local(Recording.open_case, CaseOpened(booking_id=self.booking_id, case=case))
        else:
            await self.record(BookingState.NEEDS_OPERATOR, reason=reason, waiting_for=f"operator: {reason}", case=case)
        await self.wait_until(
            lambda: self._resolution is not None or (give_up_on_cancel and self.cancel_requested), timeout_s
        )
        self.case = None
        if self._resolution is None:
            over = Resolution(
                case_id=case.case_id,
                action="retry",
                operator="travelhub",
                note="nobody answered in time; undoing everything",
            )
            await local(Recording.close_case, over)
        elif aside:
            await local(Recording.close_case, self._resolution)
        return self._resolution

    def resolve(self, resolution: Resolution) -> Accepted:
        """Handler of `resolve`: refused unless it is for the open case."""
        if self.case is None or self.case.case_id != resolution.case_id or self._resolution is not None:
            raise ApplicationError("this case is not open", type="case_not_open", non_retryable=True)
        references = [effect.reference for effect in self.case.effects]
        unnamed = resolution.reference is None and len(references) > 1 and resolution.action != "retry"
        if unnamed or (resolution.reference is not None and resolution.reference not in references):
            raise ApplicationError(f"name one of {references}", type="effect_not_named", non_retryable=True)
        self._resolution = resolution
        return Accepted(state=self.state, message=f"the case goes on with: {resolution.action}")


async def run_to_the_end(work: Awaitable[Answer], on_cancel: Callable[[], None]) -> Answer:
    """Runs a saga that nothing may tear: a cancellation from the Web UI becomes a wish, as the traveller's own does.

    The task itself is never cancelled, so no activity's result can be dropped and every compensation runs.
    """
    task = asyncio.ensure_future(work)
    while True:
        try:
            result = await asyncio.shield(task)
            break
        except asyncio.CancelledError:
            if task.done():
                raise
            on_cancel()
    await workflow.wait_condition(workflow.all_handlers_finished)
    return result
