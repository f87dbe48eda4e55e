"""The one writer of a booking's payments: authorise, wait for the customer, capture, let go."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.payments import Payments
    from schema.bookings import OutstandingEffect, SagaContext
    from schema.money import Money
    from schema.outcomes import ActionRequired, Confirmed, PaymentOutcome, Rejected, Unknown
    from schema.payments import PaymentStep, PaymentUndone, UndoPayment
    from schema.references import payment_id_for
    from schema.states import BookingState
    from workflows.saga import Saga, SagaFailed
    from workflows.steps import persistent, remote, why

MAX_PAYMENTS = 6
"""Authorisations one booking may ask for: one, a second key after a provider's trouble, and some for prices that moved."""
_CAPTURE_KEYS = 3


class Payment:
    """One payment of a booking: its generation is decided by the booking, its captures' here."""

    def __init__(self, saga: Saga, plan: SagaContext, generation: int, amount: Money) -> None:
        self._saga = saga
        self._plan = plan
        self.generation = generation
        self.amount = amount
        self.payment_id = payment_id_for(plan.booking_id, generation)
        self.reserved: Confirmed | None = None
        self.to_refund: Money | None = None
        """Taken, and owed back; fixed when the refund begins, because the provider counts a pending one as done."""
        self.refund_generation = 0
        self.refund_reason = "compensation"
        self.news = 0
        """Raised by the signal `payment_changed`."""

    async def authorise(self) -> PaymentOutcome:
        """Reserve the amount. Unknown only after every way of finding out is used up."""
        step = self._step(self.amount)
        outcome: PaymentOutcome
        try:
            result = await remote(Payments.authorise, step, self._plan.policy, f"Reserve {self.amount} on the card")
            outcome = result.outcome
        except ActivityError as error:
            outcome = Unknown(reason=why(error))
        if isinstance(outcome, Unknown):
            outcome = await self._find_out(step, outcome)
        if isinstance(outcome, ActionRequired):
            outcome = await self._wait_for_customer(step)
        if isinstance(outcome, Confirmed):
            self.reserved = outcome
        return outcome

    async def _find_out(self, step: PaymentStep, unknown: Unknown) -> PaymentOutcome:
        budget_s = self._plan.payment_capabilities.lookup_lag_s + self._plan.policy.find_out_margin_s
        summary = f"Find out whether {self.amount} were reserved"
        try:
            result = await persistent(Payments.find_out_authorisation, step, self._plan.policy, summary, budget_s)
        except ActivityError:
            return unknown
        return result.outcome

    async def _wait_for_customer(self, step: PaymentStep) -> PaymentOutcome:
        """3-D Secure: woken by the webhook, looking now and then without it, until the deadline or a cancellation."""
        saga, policy = self._saga, self._plan.policy
        await saga.record(
            BookingState.AWAITING_PAYMENT, waiting_for="customer: finish the card's authentication", total=self.amount
        )
        until = workflow.time() + policy.payment_action_timeout_s
        while True:
            seen = self.news
            remaining_s = until - workflow.time()
            if remaining_s <= 0 or saga.cancel_requested:
                return Rejected(code="payment_not_completed", message="the payment was not finished in time")
            # Interleaves with `payment_changed` and `cancel`.
            await saga.wait_until(
                lambda seen=seen: self.news > seen or saga.cancel_requested, min(policy.payment_poll_s, remaining_s)
            )
            try:
                result = await remote(
                    Payments.look_at_authorisation, step, policy, "See how the card's authentication stands"
                )
            except ActivityError:
                continue  # the provider is away: the deadline still ends this
            if isinstance(result.outcome, Confirmed | Rejected):
                return result.outcome

    async def capture(self, amount: Money) -> PaymentOutcome:
        """Take the amount. A new key is only used once the provider's books show that the one before had no effect."""
        outcome: PaymentOutcome = Unknown(reason="not tried")
        for step_generation in range(_CAPTURE_KEYS):
            step = self._step(amount, step_generation)
            try:
                result = await remote(Payments.capture, step, self._plan.policy, f"Take {amount} from the card")
                outcome = result.outcome
            except ActivityError as error:
                outcome = Unknown(reason=why(error))
            if not isinstance(outcome, Unknown):
                return outcome
            await workflow.sleep(self._plan.policy.find_out_margin_s / _CAPTURE_KEYS)
        return outcome

    async def undo(self) -> PaymentUndone:
        """Let go of what is reserved. Raises ActivityError when the budget for it is over."""
        request = UndoPayment(
            booking_id=self._plan.booking_id,
            payment_id=self.payment_id,
            generation=self.generation,
            correlation_id=self._plan.correlation_id,
            retry_initial_s=self._plan.policy.retry_initial_s,
        )
        policy = self._plan.policy
        return await persistent(
            Payments.undo_payment, request, policy, "Release the reserved money", policy.undo_budget_s
        )

    def outstanding(self, problem: str) -> OutstandingEffect:
        """How a review case names it."""
        return OutstandingEffect(
            vendor=self._plan.payment_provider,
            step="payment",
            reference=self.payment_id,
            provider_reference=self.reserved.provider_reference if self.reserved else None,
            amount=self.amount,
            problem=problem,
        )

    def _step(self, amount: Money, step_generation: int = 0) -> PaymentStep:
        return PaymentStep(
            booking_id=self._plan.booking_id,
            payment_id=self.payment_id,
            generation=self.generation,
            amount=amount,
            correlation_id=self._plan.correlation_id,
            retry_initial_s=self._plan.policy.retry_initial_s,
            step_generation=step_generation,
        )


def refused(outcome: Rejected) -> SagaFailed:
    return SagaFailed(outcome.code, outcome.message)
