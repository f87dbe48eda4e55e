"""Workflows under the real names that answer as their input tells them to; they touch no vendor and no database."""

from datetime import timedelta
from typing import Literal

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from schema.bookings import (
    WORKFLOW,
    Accepted,
    AcceptPrice,
    BookingInput,
    BookingResult,
    BookingStatus,
    CancelRequest,
    Resolution,
)
from schema.disruptions import DISRUPTION_WORKFLOW, ChooseAlternative, DisruptionChoice, KeepFlight
from schema.flights import MONITOR_SWEEP_WORKFLOW
from schema.money import Money
from schema.payments import (
    CANCELLATION_WORKFLOW,
    CancellationInput,
    CancellationResult,
    ExecuteCancellation,
    FeeQuote,
    PaymentChanged,
)
from schema.reconciliation import RECONCILIATION_WORKFLOW, ReconciliationInput
from schema.states import BookingState

MOVED_AGAIN_MINOR = 111
NOTHING_TO_ACCEPT_MINOR = 222
NEVER_DONE_MINOR = 333
ODD_FAILURE_MINOR = 444


@workflow.defn(name=WORKFLOW)
class StubBookingWorkflow:
    """Runs until it is told to end."""

    @workflow.init
    def __init__(self, plan: BookingInput) -> None:
        self.plan = plan
        self.state_now = BookingState.PRICE_CHANGED
        self.ended = False
        self.news: list[str] = []
        self.calls: list[str] = []

    @workflow.run
    async def run(self, plan: BookingInput) -> BookingResult:
        await workflow.wait_condition(lambda: self.ended)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return BookingResult(booking_id=plan.booking_id, state=self.state_now)

    @workflow.update
    async def accept_price(self, wish: AcceptPrice) -> Accepted:
        self.calls.append("accept_price")
        refusals = {
            MOVED_AGAIN_MINOR: "price_moved_again",
            NOTHING_TO_ACCEPT_MINOR: "no_price_to_accept",
            ODD_FAILURE_MINOR: "something_of_its_own",
        }
        if code := refusals.get(wish.total.amount_minor):
            raise ApplicationError("refused by the stub", type=code, non_retryable=True)
        if wish.total.amount_minor == NEVER_DONE_MINOR:
            await workflow.wait_condition(lambda: self.ended)
        return Accepted(state=self.state_now, message="the booking goes on")

    @workflow.update
    def cancel(self, wish: CancelRequest) -> Accepted:
        self.calls.append(f"cancel by {wish.requested_by}")
        self.state_now = BookingState.COMPENSATING
        return Accepted(state=self.state_now, message="everything will be undone")

    @workflow.update
    def resolve(self, resolution: Resolution) -> Accepted:
        self.calls.append(f"resolve by {resolution.operator}")
        if resolution.note == "too late":
            raise ApplicationError("the case is closed", type="case_not_open", non_retryable=True)
        return Accepted(state=BookingState.COMPENSATING, message="goes on")

    @workflow.signal
    def payment_changed(self, changed: PaymentChanged) -> None:
        self.news.append(changed.event_id)

    @workflow.signal
    def end(self) -> None:
        self.ended = True

    @workflow.query
    def state(self) -> BookingStatus:
        return BookingStatus(
            booking_id=self.plan.booking_id,
            state=self.state_now,
            version=self.plan.version,
            waiting_for="traveller",
            total=self.plan.consent.total,
            consent=self.plan.consent,
        )

    @workflow.query
    def heard(self) -> list[str]:
        return self.news

    @workflow.query
    def called(self) -> list[str]:
        return self.calls


@workflow.defn(name=CANCELLATION_WORKFLOW)
class StubCancellationWorkflow:
    """Quotes a tenth."""

    @workflow.init
    def __init__(self, plan: CancellationInput) -> None:
        self.plan = plan
        self.done = False
        self.executed = 0

    @workflow.run
    async def run(self, plan: CancellationInput) -> CancellationResult:
        await workflow.wait_condition(lambda: self.done)
        return CancellationResult(booking_id=plan.booking_id, state=BookingState.CANCELLED)

    @workflow.update
    def quote(self) -> FeeQuote:
        fee = Money(amount_minor=self.plan.captured.amount_minor // 10, currency=self.plan.currency)
        until = workflow.now() + timedelta(seconds=self.plan.quote_ttl_s)
        return FeeQuote(fee=fee, refund=self.plan.captured - fee, expires_at=until)

    @workflow.update
    def execute(self, wish: ExecuteCancellation) -> Accepted:
        self.executed += 1
        return Accepted(state=BookingState.CANCELLING, message=f"cancelled for {wish.fee}")

    @workflow.signal
    def end(self) -> None:
        self.done = True

    @workflow.query
    def executions(self) -> int:
        return self.executed


@workflow.defn(name="AdmissionSweepWorkflow")
class StubSweepWorkflow:
    """The schedule starts it while the tests run; here it has nothing to do."""

    @workflow.run
    async def run(self) -> None:
        return


@workflow.defn(name=MONITOR_SWEEP_WORKFLOW)
class StubMonitorSweepWorkflow:
    """The same."""

    @workflow.run
    async def run(self) -> None:
        return


@workflow.defn(name=RECONCILIATION_WORKFLOW)
class StubReconciliationWorkflow:
    """The schedule starts it too; here it says who asked."""

    @workflow.run
    async def run(self, plan: ReconciliationInput | None = None) -> str:
        return plan.started_by if plan else "schedule"


@workflow.defn(name=DISRUPTION_WORKFLOW)
class StubDisruptionWorkflow:
    """Takes one choice, and ends when it is told to."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self._over = False

    @workflow.run
    async def run(self, disruption_id: str) -> str:
        await workflow.wait_condition(lambda: self._over)
        return disruption_id

    @workflow.update
    async def choose(self, wish: ChooseAlternative) -> DisruptionChoice:
        return self._take(f"{wish.number} for {wish.difference.amount_minor}", "rebooking")

    @workflow.update
    async def keep(self, wish: KeepFlight) -> DisruptionChoice:
        del wish
        return self._take("keep", "kept")

    def _take(self, choice: str, state: Literal["rebooking", "kept"]) -> DisruptionChoice:
        if self.taken:
            raise ApplicationError("there is nothing to choose now", type="no_choice", non_retryable=True)
        self.taken.append(choice)
        return DisruptionChoice(state=state, message="taken")

    @workflow.query
    def choices(self) -> list[str]:
        return self.taken

    @workflow.signal
    def end(self) -> None:
        self._over = True
