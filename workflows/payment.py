"""The one writer of a booking's payments: authorise, wait for the customer, capture, let go."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.payments import Payments
    from activities.releasing import Releasing
    from schema.bookings import BookingInput, OutstandingEffect, PaymentPlan, SagaContext
    from schema.money import Money
    from schema.outcomes import ActionRequired, Confirmed, Outcome, PaymentOutcome, Rejected, Unknown
    from schema.payments import PaymentStep, PaymentUndone, UndoPayment
    from schema.references import payment_id_for
    from schema.states import BookingState
    from workflows.saga import Saga, SagaFailed
    from workflows.steps import persistent, remote, why

_CAPTURE_KEYS = 3
_PAUSES_BEFORE_SWITCH = 2
"""A quiet provider's circuit never sees enough calls to open; after this many pauses the second method is tried all the same."""
_LONGEST_PAUSE_S = 120
_RAREST_LOOK_S = 3600
"""At a capture that is under way: a day of looking must fit into a history."""
UNREACHABLE = "vendor_unavailable"
"""Nothing was reserved, for certain, because the provider could not be reached."""
CIRCUIT_OPEN = "vendor_circuit_open"
"""The same, without having tried: it has failed too often of late."""


class Payment:
    """One payment of a booking: its generation is decided by the booking, its captures' here."""

    def __init__(
        self, saga: Saga, plan: SagaContext, generation: int, amount: Money, via: PaymentPlan | None = None
    ) -> None:
        """`via`: the way to pay, by default the booking's first."""
        self._saga = saga
        self._plan = plan
        self.via = via or plan.first_payment()
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
        circuit_open = False
        try:
            result = await remote(Payments.authorise, step, self._plan.policy, f"Reserve {self.amount} on the card")
            outcome = result.outcome
        except ActivityError as error:
            outcome = Unknown(reason=why(error))
            circuit_open = isinstance(error.cause, ApplicationError) and error.cause.type == CIRCUIT_OPEN
        if isinstance(outcome, Unknown):
            outcome = await self._find_out(step, outcome)
        if isinstance(outcome, Rejected) and outcome.code == UNREACHABLE and circuit_open:
            outcome = outcome.model_copy(update={"code": CIRCUIT_OPEN})
        if isinstance(outcome, ActionRequired):
            outcome = await self._wait_for_customer(step)
        if isinstance(outcome, Confirmed):
            self.reserved = outcome
        return outcome

    async def _find_out(self, step: PaymentStep, unknown: Unknown) -> PaymentOutcome:
        budget_s = self.via.capabilities.lookup_lag_s + self._plan.policy.find_out_margin_s
        summary = f"Find out whether {self.amount} were reserved"
        try:
            result = await persistent(Payments.find_out_authorisation, step, self._plan.policy, summary, budget_s)
        except ActivityError:
            return unknown
        return result.outcome

    async def _wait_for_customer(self, step: PaymentStep) -> PaymentOutcome:
        """3-D Secure, or PayPal's approval: woken by the webhook, looking now and then without it, until the deadline or a
        cancellation."""
        saga, policy = self._saga, self._plan.policy
        await saga.record(
            BookingState.AWAITING_PAYMENT,
            waiting_for=f"customer: agree to the payment with {self.via.provider}",
            total=self.amount,
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
                    Payments.look_at_authorisation, step, policy, "See whether the customer has agreed"
                )
            except ActivityError:
                continue  # the provider is away: the deadline still ends this
            if isinstance(result.outcome, Confirmed | Rejected):
                return result.outcome

    async def still_reserved(self) -> Outcome:
        """Before it is taken: what the provider is about to let go of is reserved anew where it can be."""
        assert self.reserved is not None, "only asked of what was authorised"
        ends_at = self.reserved.expires_at
        if ends_at is None or not self.via.capabilities.reauthorise:
            return self.reserved
        if workflow.now() + timedelta(seconds=self._plan.policy.hold_margin_s) < ends_at:
            return self.reserved
        outcome: PaymentOutcome
        try:
            result = await remote(
                Payments.reauthorise, self._step(self.amount), self._plan.policy, f"Reserve {self.amount} for longer"
            )
            outcome = result.outcome
        except ActivityError as error:
            outcome = Unknown(reason=why(error))
        if isinstance(outcome, Confirmed):
            self.reserved = outcome
        elif workflow.now() < ends_at:
            return self.reserved  # not renewed, and still there: it can be taken as it is
        assert not isinstance(outcome, ActionRequired), "the customer has agreed already"
        return outcome

    async def capture(self, amount: Money) -> PaymentOutcome:
        """Take the amount. A new key is only used once the provider's books show that the one before had no effect."""
        outcome: PaymentOutcome = Unknown(reason="not tried")
        for step_generation in range(_CAPTURE_KEYS):
            step = self._step(amount, step_generation)
            try:
                result = await remote(Payments.capture, step, self._plan.policy, f"Take {amount} from the card")
            except ActivityError as error:
                outcome = Unknown(reason=why(error))
            else:
                outcome = await self._wait_for_capture(step) if result.pending else result.outcome
                if result.pending:
                    return outcome
            if not isinstance(outcome, Unknown):
                return outcome
            await workflow.sleep(self._plan.policy.find_out_margin_s / _CAPTURE_KEYS)
        return outcome

    async def _wait_for_capture(self, step: PaymentStep) -> PaymentOutcome:
        """A capture that the provider finishes later: woken by its webhook, looking ever more rarely without it."""
        saga, policy = self._saga, self._plan.policy
        await saga.record(saga.state, waiting_for=f"provider: {self.via.provider} is taking the money")
        until = workflow.time() + policy.capture_patience_s
        pause_s = policy.payment_poll_s
        while (remaining_s := until - workflow.time()) > 0:
            seen = self.news
            # Interleaves with `payment_changed`; past the pivot nobody can cancel.
            await saga.wait_until(lambda seen=seen: self.news > seen, min(pause_s, remaining_s))
            pause_s = min(2 * pause_s, _RAREST_LOOK_S)
            try:
                # Sent again under the same key, it reads the provider's books first.
                result = await remote(Payments.capture, step, policy, "See whether the money was taken")
            except ActivityError:
                continue  # the provider is away: the deadline still ends this
            if not result.pending:
                return result.outcome
        return Unknown(reason=f"{self.via.provider} has not said in time whether the money was taken")

    async def undo(self) -> PaymentUndone:
        """Let go of what is reserved. Raises ActivityError when the budget for it is over."""
        request = UndoPayment(
            booking_id=self._plan.booking_id,
            payment_id=self.payment_id,
            generation=self.generation,
            correlation_id=self._plan.correlation_id,
            retry_initial_s=self._plan.policy.retry_initial_s,
            amount=self.amount,
            backup=self.via.backup,
        )
        policy = self._plan.policy
        return await persistent(
            Releasing.undo_payment, request, policy, "Release the reserved money", policy.undo_budget_s
        )

    def outstanding(self, problem: str) -> OutstandingEffect:
        """How a review case names it."""
        return OutstandingEffect(
            vendor=self.via.provider,
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
            backup=self.via.backup,
        )


class WaysToPay:
    """Which of the traveller's methods is tried next, and when: only ever after the one before certainly had no effect."""

    def __init__(self, saga: Saga, plan: BookingInput) -> None:
        self._saga = saga
        self._policy = plan.policy
        self._ways = [plan.first_payment()] + ([plan.backup_payment] if plan.backup_payment is not None else [])
        self._pauses = 0
        self._away_since: float | None = None

    @property
    def now(self) -> PaymentPlan:
        return self._ways[0]

    def reached(self) -> None:
        """The provider is there, or it is another one's turn: a later absence has its own patience."""
        self._pauses = 0
        self._away_since = None

    async def after(self, outcome: Rejected, *, certain: bool = True) -> None:
        """Switches to the second method, or waits for a provider that is away. Raises SagaFailed when neither is left.

        `certain`: nothing of this try can appear any more; while it can, the other method would reserve the money twice.
        """
        away = outcome.code in (UNREACHABLE, CIRCUIT_OPEN)
        switch = outcome.code == CIRCUIT_OPEN or self._pauses >= _PAUSES_BEFORE_SWITCH if away else _declined(outcome)
        if switch and certain and len(self._ways) > 1:
            del self._ways[0]
            self.reached()
        elif not away:
            raise refused(outcome)
        else:
            await self._pause(outcome)

    async def _pause(self, outcome: Rejected) -> None:
        """C-3a: the booking waits, says so, and goes on when the provider is back; a cancellation ends the wait."""
        saga, policy = self._saga, self._policy
        self._away_since = workflow.time() if self._away_since is None else self._away_since
        if workflow.time() - self._away_since >= policy.provider_patience_s:
            raise SagaFailed(UNREACHABLE, outcome.message)
        waiting_for = f"provider: {self.now.provider} cannot be reached"
        if saga.waiting_for != waiting_for:
            await saga.record(BookingState.AWAITING_PAYMENT, waiting_for=waiting_for)
        pause_s = min(policy.provider_pause_s * 2**self._pauses, _LONGEST_PAUSE_S)
        self._pauses += 1
        # Interleaves with `cancel`, which the caller reads at its next checkpoint.
        await saga.wait_until(lambda: saga.cancel_requested, pause_s)


def _declined(outcome: Rejected) -> bool:
    """A definite no of the bank or the provider to this method; a payer who did not finish has said nothing of the other."""
    return outcome.code in ("card_declined", "vendor_rejected", "currency_not_supported", "amount_out_of_range")


def refused(outcome: Rejected) -> SagaFailed:
    return SagaFailed(outcome.code, outcome.message)
