"""The traveller cancels a confirmed trip, or some of it: the fees first, then the items, then the refund of what is due."""

import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.cancelling import Cancelling
    from activities.recording import Recording
    from schema.bookings import Accepted, Resolution
    from schema.money import Money
    from schema.payments import (
        CANCELLATION_WORKFLOW,
        CancellationInput,
        CancellationResult,
        ExecuteCancellation,
        FeeQuote,
        PaymentChanged,
        QuoteRequest,
    )
    from schema.states import BookingState
    from workflows.compensation import Compensation, Outstanding, give_back
    from workflows.items import Item
    from workflows.payment import Payment
    from workflows.saga import Saga, run_to_the_end
    from workflows.steps import local, persistent, why

_QUOTE_BUDGET_S = 15


@workflow.defn(name=CANCELLATION_WORKFLOW)
class CancellationWorkflow:
    """Lives as long as its quote; once that is accepted, until everything is cancelled and paid back."""

    @workflow.init
    def __init__(self, plan: CancellationInput) -> None:
        self.plan = plan
        self.saga = Saga(plan.booking_id, plan.version, BookingState.CONFIRMED, plan.policy)
        self.compensation = Compensation(self.saga, plan)
        self.quoted: FeeQuote | None = None
        self.accepted: ExecuteCancellation | None = None

    @workflow.run
    async def run(self, plan: CancellationInput) -> CancellationResult:
        if plan.agreed_fee is not None:
            return await run_to_the_end(self._cancel_as_agreed(plan.agreed_fee), lambda: None)
        # Once the fee is accepted nothing stops it; before that, an operator's cancel just ends the quote.
        self.saga.say("Waiting for the traveller to accept the cancellation fee")
        await self.saga.wait_until(lambda: self.accepted is not None, plan.quote_ttl_s)
        if self.accepted is None or self.quoted is None:
            await workflow.wait_condition(workflow.all_handlers_finished)
            return CancellationResult(booking_id=plan.booking_id, state=BookingState.CONFIRMED, reason="quote_expired")
        return await run_to_the_end(self._cancel(self.quoted), lambda: None)

    async def _cancel_as_agreed(self, agreed: Money) -> CancellationResult:
        """The traveller keeps what suppliers ask less than was agreed, and never pays more."""
        fee = agreed
        with contextlib.suppress(ApplicationError):
            fee = min(agreed, (await self._quote()).fee, key=lambda amount: amount.amount_minor)
        quote = FeeQuote(fee=fee, refund=self.plan.captured - fee, expires_at=workflow.now())
        return await self._cancel(quote)

    async def _cancel(self, quote: FeeQuote) -> CancellationResult:
        fee = quote.fee if self.plan.fee_before is None else self.plan.fee_before + quote.fee
        await self.saga.record(BookingState.CANCELLING, fee=fee)
        items = [Item(self.plan, plan) for plan in self.plan.items]
        for item in items:
            item.confirmed = True
            self.compensation.register(item)
        left = await self.compensation.undo_all()
        await self.compensation.settle(left, BookingState.CANCELLING)
        if self.plan.remaining is not None:
            # What an operator has settled is cancelled too: it must not be given up, and paid back, a second time.
            for item in items:
                await local(Recording.record_cancelled, item.step())
        if quote.refund.amount_minor:
            payment = Payment(self.saga, self.plan, self.plan.payment_generation, self.plan.captured)
            await self.saga.record(BookingState.REFUND_PENDING, waiting_for="provider: the refund", fee=fee)
            outstanding = await self._give_back(payment, quote)
            if outstanding is not None:
                await self.compensation.settle([outstanding], BookingState.REFUND_PENDING)
        rest = self.plan.remaining
        state = BookingState.CANCELLED if rest is None else BookingState.PARTIALLY_CONFIRMED
        await self.saga.record(state, reason=self.plan.reason, fee=fee, total=rest)
        return CancellationResult(booking_id=self.plan.booking_id, state=state, fee=fee)

    async def _give_back(self, payment: Payment, quote: FeeQuote) -> Outstanding | None:
        # Must merge every try of this cancellation; must not merge another cancellation of the same booking.
        payment.refund_reason = f"cancellation-{self.plan.version}"
        return await give_back(self.plan, payment, quote.refund)

    @workflow.update
    async def quote(self) -> FeeQuote:
        """Ask the suppliers; the answer stands until it expires."""
        return await self._quote()

    async def _quote(self) -> FeeQuote:
        if self.quoted is None or self.quoted.expires_at <= workflow.now():
            request = QuoteRequest(
                booking_id=self.plan.booking_id,
                item_nos=[item.item_no for item in self.plan.items],
                captured=self.plan.captured,
                ttl_s=self.plan.quote_ttl_s,
                correlation_id=self.plan.correlation_id,
                retry_initial_s=self.plan.policy.retry_initial_s,
            )
            try:
                # Interleaves with the main task's deadline and with a second `quote`: the later answer stands.
                self.quoted = await persistent(
                    Cancelling.quote_cancellation,
                    request,
                    self.plan.policy,
                    "Ask what cancelling costs",
                    _QUOTE_BUDGET_S,
                )
            except ActivityError as error:
                raise ApplicationError(why(error), type="vendor_unavailable", non_retryable=True) from error
        return self.quoted

    @workflow.update
    def execute(self, wish: ExecuteCancellation) -> Accepted:
        """The traveller accepts the fee that was quoted, exactly."""
        quote = self.quoted
        if quote is None or wish.fee != quote.fee or workflow.now() > quote.expires_at + timedelta(seconds=1):
            raise ApplicationError("that fee is not on offer", type="quote_invalid", non_retryable=True)
        self.accepted = wish
        return Accepted(
            state=BookingState.CANCELLING, message=f"cancelled for {quote.fee}; {quote.refund} will be paid back"
        )

    @workflow.update
    def resolve(self, resolution: Resolution) -> Accepted:
        """An operator's decision on the open review case."""
        return self.saga.resolve(resolution)

    @workflow.signal
    def payment_changed(self, changed: PaymentChanged) -> None:
        """Webhooks of a booking's payment are sent to all of its workflows; the refund's own workflow acts on them."""
