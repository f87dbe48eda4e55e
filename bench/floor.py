"""The floor: the booking saga's activity graph, with its messages and options, and nothing done in any step.

What the engine itself costs for a trip of a flight and a hotel that are held and a car that is not. Activities are named by
reference to the real ones and called through the saga's own helpers; tests/bench/test_floor.py holds the graph to a real history.
What the saga does besides (search attributes, details for operators, handlers, checks) is not part of the floor.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from activities.payments import Payments
    from activities.pricing import Pricing
    from activities.recording import Recording
    from activities.reservations import Reservations
    from schema.bookings import (
        BookingInput,
        BookingResult,
        ItemPlan,
        ItemPrice,
        ItemStep,
        SagaPolicy,
        StateChange,
        StepResult,
    )
    from schema.model import Message
    from schema.money import Money, total
    from schema.outcomes import Confirmed
    from schema.payments import PaymentResult, PaymentStep
    from schema.references import payment_id_for
    from schema.states import BookingState
    from workflows.steps import local, remote

FLOOR_QUEUE = "bench-floor"
"""Of its own, so that the floor's worker never takes a task of the saga's."""

ItemActivity = Callable[[Reservations, ItemStep], Awaitable[StepResult]]
PaymentActivity = Callable[[Payments, PaymentStep], Awaitable[PaymentResult]]

_MOMENT = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
_PRICE = Money(amount_minor=12345, currency="EUR")
_RESERVED = StepResult(
    outcome=Confirmed(provider_reference="ord_0000AAAAbbbbCCCCddddEE", price=_PRICE, record_locator="ABC123")
)
_PAID = PaymentResult(outcome=Confirmed(provider_reference="pi_0000AAAAbbbbCCCCddddEE", price=_PRICE))


@activity.defn(name="check_price")
async def check_price(step: ItemStep) -> ItemPrice:
    return ItemPrice(item_no=step.item_no, price=_PRICE, expires_at=_MOMENT)


@activity.defn(name="record_state")
async def record_state(_: StateChange) -> bool:
    return True


@activity.defn(name="hold")
async def hold(_: ItemStep) -> StepResult:
    return _RESERVED


@activity.defn(name="book")
async def book(_: ItemStep) -> StepResult:
    return _RESERVED


@activity.defn(name="confirm")
async def confirm(_: ItemStep) -> StepResult:
    return _RESERVED


@activity.defn(name="authorise")
async def authorise(_: PaymentStep) -> PaymentResult:
    return _PAID


@activity.defn(name="capture")
async def capture(_: PaymentStep) -> PaymentResult:
    return _PAID


class Steps:
    """The saga's steps in the shape its happy path calls them."""

    def __init__(self, plan: BookingInput) -> None:
        self._plan = plan
        self._version = plan.version
        self.total = total((item.price for item in plan.items), plan.currency)
        self._held = [item for item in plan.items if item.hold]
        self._instant = [item for item in plan.items if not item.hold]

    async def verify(self) -> None:
        await asyncio.gather(
            *(
                local(Pricing.check_price, self._step(item), attempts=self._plan.policy.retry_attempts)
                for item in self._plan.items
            )
        )

    async def record(self, state: BookingState, consent_limit: Money | None = None) -> None:
        self._version += 1
        change = StateChange(
            booking_id=self._plan.booking_id,
            version=self._version,
            state=state,
            total=self.total,
            consent_limit=consent_limit,
        )
        await local(Recording.record_state, change)

    async def reserve(self) -> None:
        await asyncio.gather(*(self._on(item, Reservations.hold, "Hold") for item in self._held))
        for item in self._instant:
            await self._on(item, Reservations.book, "Book")

    async def confirm(self) -> None:
        await asyncio.gather(*(self._on(item, Reservations.confirm, "Confirm") for item in self._held))

    async def pay(self, activity: PaymentActivity, verb: str) -> None:
        await remote(activity, self.payment_step(), self._plan.policy, f"{verb} {self.total}")

    def payment_step(self) -> PaymentStep:
        return PaymentStep(
            booking_id=self._plan.booking_id,
            payment_id=payment_id_for(self._plan.booking_id, 0),
            generation=0,
            amount=self.total,
            correlation_id=self._plan.correlation_id,
            retry_initial_s=self._plan.policy.retry_initial_s,
        )

    def result(self) -> BookingResult:
        return BookingResult(booking_id=self._plan.booking_id, state=BookingState.CONFIRMED, captured=self.total)

    async def _on(self, item: ItemPlan, activity: ItemActivity, verb: str) -> None:
        await remote(activity, self._step(item), self._plan.policy, f"{verb}: {item.summary}")

    def _step(self, item: ItemPlan) -> ItemStep:
        return ItemStep(
            booking_id=self._plan.booking_id,
            item_no=item.item_no,
            generation=0,
            correlation_id=self._plan.correlation_id,
            retry_initial_s=self._plan.policy.retry_initial_s,
        )


@workflow.defn
class NoopBookingWorkflow:
    """The floor of `BookingWorkflow`: its payment is part of it."""

    @workflow.run
    async def run(self, plan: BookingInput) -> BookingResult:
        steps = Steps(plan)
        await steps.verify()
        await steps.record(BookingState.AWAITING_PAYMENT, plan.consent.limit)
        await steps.pay(Payments.authorise, "Reserve")
        await steps.record(BookingState.RESERVING)
        await steps.reserve()
        await steps.confirm()
        await steps.pay(Payments.capture, "Take")
        await steps.record(BookingState.CONFIRMED)
        return steps.result()


class PaymentPlan(Message):
    """Input of the payment as a child."""

    step: PaymentStep
    policy: SagaPolicy


@workflow.defn
class NoopPaymentWorkflow:
    """The payment as a child: reserves, tells its parent, waits for the word to take, and ends with what came of it."""

    def __init__(self) -> None:
        self._wanted: PaymentStep | None = None

    @workflow.run
    async def run(self, plan: PaymentPlan) -> PaymentResult:
        reserved = await remote(Payments.authorise, plan.step, plan.policy, f"Reserve {plan.step.amount}")
        parent = workflow.info().parent
        assert parent is not None, "only ever a child"
        booking = workflow.get_external_workflow_handle(parent.workflow_id)
        await booking.signal(NoopParentWorkflow.reserved, reserved)
        # Interleaves with `capture`, which may come at once or much later.
        await workflow.wait_condition(lambda: self._wanted is not None)
        assert self._wanted is not None, "just waited for"
        return await remote(Payments.capture, self._wanted, plan.policy, f"Take {self._wanted.amount}")

    @workflow.signal
    def capture(self, step: PaymentStep) -> None:
        self._wanted = step


@workflow.defn
class NoopParentWorkflow:
    """The same booking with its payment as a child workflow: what decision 0007 weighs."""

    def __init__(self) -> None:
        self._reserved: PaymentResult | None = None

    @workflow.run
    async def run(self, plan: BookingInput) -> BookingResult:
        steps = Steps(plan)
        await steps.verify()
        await steps.record(BookingState.AWAITING_PAYMENT, plan.consent.limit)
        payment = await workflow.start_child_workflow(
            NoopPaymentWorkflow.run,
            PaymentPlan(step=steps.payment_step(), policy=plan.policy),
            id=f"payment-{plan.booking_id}-0",
        )
        # Interleaves with `reserved`.
        await workflow.wait_condition(lambda: self._reserved is not None)
        await steps.record(BookingState.RESERVING)
        await steps.reserve()
        await steps.confirm()
        await payment.signal(NoopPaymentWorkflow.capture, steps.payment_step())
        await payment
        await steps.record(BookingState.CONFIRMED)
        return steps.result()

    @workflow.signal
    def reserved(self, result: PaymentResult) -> None:
        self._reserved = result


@workflow.defn
class NoopAcceptWorkflow:
    """The floor of accepting: an update that starts its workflow and answers after one local activity."""

    def __init__(self) -> None:
        self._accepted = False

    @workflow.run
    async def run(self, plan: BookingInput) -> None:
        del plan
        await workflow.wait_condition(lambda: self._accepted)

    @workflow.update
    async def accept(self, change: StateChange) -> bool:
        recorded = await local(Recording.record_state, change)
        self._accepted = True
        return recorded


FLOOR_WORKFLOWS: Sequence[type] = (NoopBookingWorkflow, NoopParentWorkflow, NoopPaymentWorkflow, NoopAcceptWorkflow)
FLOOR_ACTIVITIES: Sequence[Callable[..., object]] = (
    check_price,
    record_state,
    hold,
    book,
    confirm,
    authorise,
    capture,
)
