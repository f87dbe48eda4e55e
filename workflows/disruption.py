"""A change of a flight, for one traveller's trip: what it means, what else flies, the traveller's choice, and the rebooking.

The new flight is confirmed and paid before the old one is given up; if it cannot be had, the old one stays.
"""

import contextlib
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.alternatives import Alternatives
    from activities.disrupting import Disrupting
    from activities.rebooking import Rebooking
    from schema.bookings import Accepted, OutstandingEffect, Resolution
    from schema.disruptions import (
        DISRUPTION_WORKFLOW,
        ChooseAlternative,
        DisruptionChoice,
        DisruptionClosed,
        DisruptionInput,
        DisruptionResult,
        DisruptionState,
        DisruptionStep,
        KeepFlight,
        OpenedDisruption,
        RebookingBegun,
        RebookingEnded,
        RebookingMoved,
        RebookStep,
        Superseded,
        disruption_workflow_id_for,
    )
    from schema.errors import REFUSALS
    from schema.payments import CANCELLATION_WORKFLOW
    from schema.states import CONFIRMED_STATES, SETTLED_STATES, BookingState
    from workflows.saga import Saga
    from workflows.steps import local, persistent, why

_LONGEST_PAUSE_S = 600.0


@workflow.defn(name=DISRUPTION_WORKFLOW)
class DisruptionWorkflow:
    """Handlers leave wishes; the run's own task acts on them, and tells those who wait what came of them."""

    @workflow.init
    def __init__(self, told: DisruptionInput) -> None:
        self._told = told
        self._state: DisruptionState = "open"
        self._deadline: datetime | None = None
        self._wish: ChooseAlternative | KeepFlight | None = None
        self._wishes = 0
        self._answers: dict[int, DisruptionChoice | str] = {}
        """By wish: what came of it, or the code of why nothing did."""
        self._superseded = False
        self._news = 0
        # Of the booking whose flight is disrupted: only to open a case beside it, should the old flight not be given up.
        self._desk = Saga(told.booking_id, 0, BookingState.CONFIRMED, told.saga)

    @workflow.run
    async def run(self, told: DisruptionInput) -> DisruptionResult:
        opened = await self._open()
        self._state = opened.state
        for older in opened.superseded:
            handle = workflow.get_external_workflow_handle(disruption_workflow_id_for(older))
            with contextlib.suppress(ApplicationError):  # it has ended by itself
                await handle.signal("superseded", Superseded(by=told.disruption_id))
        if self._state == "open":
            await self._offer()
        while self._state in ("offered", "rebooking"):
            await (self._wait_for_choice() if self._state == "offered" else self._see_through())
        self._say(self._state)
        self._answer_all("no_choice")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return DisruptionResult(disruption_id=told.disruption_id, state=self._state)

    async def _open(self) -> OpenedDisruption:
        while True:
            opened = await local(Disrupting.open_disruption, self._told)
            if not opened.blocked:
                return opened
            self._say("Waiting for the rebooking that an earlier change of this flight has led to")
            await workflow.sleep(self._told.policy.wait_for_other_s)

    async def _offer(self) -> None:
        """Alternatives, if there are any that help; else the traveller has been told, and that is all."""
        self._say("Looking for other flights")
        try:
            budget_s = self._told.policy.search_budget_s
            found = await persistent(
                Alternatives.find_alternatives, self._step(), self._told.saga, "Find other flights", budget_s
            )
        except ActivityError as error:
            await self._close("informed", why(error))
            return
        if not found.number:
            await self._close("informed", "nothing else flies in time")
            return
        self._state, self._deadline = "offered", found.deadline_at

    async def _wait_for_choice(self) -> None:
        self._say(f"Waiting for the traveller to choose, until {self._deadline:%Y-%m-%d %H:%M} UTC")
        left = timedelta() if self._deadline is None else self._deadline - workflow.now()
        with contextlib.suppress(TimeoutError):
            # Interleaves with `choose`, `keep` and `superseded`, which only leave wishes.
            await workflow.wait_condition(
                lambda: self._wish is not None or self._superseded, timeout=max(left, timedelta(seconds=1))
            )
        wish, self._wish = self._wish, None
        if wish is None or self._superseded:
            await self._close("superseded" if self._superseded else "expired", None)
        elif isinstance(wish, KeepFlight):
            await self._close("kept", None)
            kept = DisruptionChoice(state=self._state, message="you stay with the flight as it is")
            self._answer("conflict" if self._state == "rebooking" else kept)
        else:
            await self._rebook(wish)

    # ------------------------------------------------------------------ the rebooking

    async def _rebook(self, wish: ChooseAlternative) -> None:
        """Once it is in the books nothing stops it: a newer disruption waits for its end."""
        step = RebookStep(**self._step().model_dump(), **wish.model_dump())
        saga, summary = self._told.saga, f"Book alternative {wish.number}"
        try:
            begun = await persistent(Rebooking.begin_rebooking, step, saga, summary, saga.undo_budget_s)
        except ActivityError as error:
            begun = RebookingBegun(booking_id=None, reason=why(error), state="offered")
            if workflow.patched("the books say whether it was chosen"):
                # A try that nobody waits for any more may have chosen it; its booking is then started, here or by the admission sweep.
                begun = await local(Rebooking.look_at_choice, step)
        if begun.booking_id is None:
            self._state = begun.state if begun.state != "rebooking" else "offered"
            self._answer(begun.reason if begun.reason in REFUSALS else "conflict")
            return
        self._state = "rebooking"
        message = "the new flight is being booked; the old one stays until it is confirmed"
        self._answer(DisruptionChoice(state="rebooking", message=message, booking_id=begun.booking_id))

    async def _see_through(self) -> None:
        """Also when the deadline, or a wish to keep the flight, finds a choice in the books that nobody here has heard of."""
        ended = await self._follow()
        confirmed = ended in CONFIRMED_STATES
        reason = None if confirmed else f"the new booking is {ended.value}"
        outcome = RebookingEnded(**self._step().model_dump(), confirmed=confirmed, reason=reason)
        self._state = await local(Rebooking.end_rebooking, outcome)
        if self._state == "rebooked":
            await self._give_up_old()

    async def _follow(self) -> BookingState:
        """Woken by each new state of the booking; looking now and then in case that is lost."""
        pause_s = self._told.policy.look_every_s
        while True:
            seen = self._news
            state = await local(Rebooking.look_at_rebooking, self._step())
            if state in SETTLED_STATES:
                return state
            self._say(f"The new flight is {state.value}")
            with contextlib.suppress(TimeoutError):
                # Interleaves with `rebooking_moved`, which may come before the wait begins: hence the counter.
                await workflow.wait_condition(lambda seen=seen: self._news > seen, timeout=pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _give_up_old(self) -> None:
        """By a cancellation of its own, which sees to the refund. If that cannot be begun, or part of the ticket is flown, an
        operator does it."""
        while True:
            self._say("The new flight is confirmed; giving up the old one")
            try:
                old = await persistent(
                    Rebooking.plan_cancellation_of_old,
                    self._step(),
                    self._told.saga,
                    "Plan to give up the old flight",
                    self._told.saga.undo_budget_s,
                )
                if old.plan is not None:
                    assert old.workflow_id is not None, "named together with its plan"
                    with contextlib.suppress(WorkflowAlreadyStartedError):
                        await workflow.start_child_workflow(
                            CANCELLATION_WORKFLOW,
                            old.plan,
                            id=old.workflow_id,
                            parent_close_policy=ParentClosePolicy.ABANDON,
                            static_summary="Gives up the flight that was rebooked",
                        )
                if old.by_hand is None:
                    return
                reason, effect = "a rebooked ticket is partly flown", old.by_hand
            except (ActivityError, ChildWorkflowError) as error:
                reason = "the rebooked flight is not given up"
                effect = OutstandingEffect(
                    vendor="travelhub",
                    step="flight",
                    reference=self._told.disruption_id,
                    problem=str(error.cause or error),
                )
            resolution = await self._desk.ask_operator(reason, [effect], aside=True)
            if resolution is not None and resolution.action != "retry":
                return

    # ------------------------------------------------------------------ what others may say

    @workflow.update
    async def choose(self, choice: ChooseAlternative) -> DisruptionChoice:
        """The traveller takes an alternative; answered once its booking has begun."""
        return await self._wished(choice)

    @workflow.update
    async def keep(self, wish: KeepFlight) -> DisruptionChoice:
        """The traveller stays with the flight as it is."""
        return await self._wished(wish)

    @workflow.update
    def resolve(self, resolution: Resolution) -> Accepted:
        """An operator's decision on the open review case."""
        return self._desk.resolve(resolution)

    @workflow.signal
    def superseded(self, newer: Superseded) -> None:
        """A newer disruption has closed this one in the books."""
        self._superseded = True

    @workflow.signal
    def rebooking_moved(self, moved: RebookingMoved) -> None:
        """The booking of the chosen alternative has a new state: look now."""
        self._news += 1

    async def _wished(self, wish: ChooseAlternative | KeepFlight) -> DisruptionChoice:
        if self._state == "open" and workflow.patched("a wish waits for the offer"):
            # The offer is in the books, and shown, before this run hears of it; much earlier, if a worker dies in between. Interleaves
            # with the run's task, which leaves this state in any case.
            await workflow.wait_condition(lambda: self._state != "open")
        if self._state != "offered" or self._wish is not None or self._superseded:
            raise ApplicationError("there is nothing to choose now", type="no_choice", non_retryable=True)
        self._wish = wish
        self._wishes += 1
        mine = self._wishes
        # Interleaves with the run's task, which answers every wish that it takes, also when it ends.
        await workflow.wait_condition(lambda: mine in self._answers)
        answer = self._answers[mine]
        if isinstance(answer, str):
            raise ApplicationError("it cannot be had as it was shown", type=answer, non_retryable=True)
        return answer

    # ------------------------------------------------------------------ the parts

    def _answer(self, answer: DisruptionChoice | str) -> None:
        self._answers[self._wishes] = answer

    def _answer_all(self, code: str) -> None:
        for number in range(1, self._wishes + 1):
            self._answers.setdefault(number, code)

    async def _close(self, state: DisruptionState, reason: str | None) -> None:
        closed = DisruptionClosed(**self._step().model_dump(), state=state, reason=reason)
        self._state = await local(Disrupting.close_disruption, closed)

    def _step(self) -> DisruptionStep:
        return DisruptionStep(
            disruption_id=self._told.disruption_id,
            policy=self._told.policy,
            correlation_id=self._told.correlation_id,
            retry_initial_s=self._told.saga.retry_initial_s,
        )

    def _say(self, text: str) -> None:
        """What an operator reads in the Web UI."""
        workflow.set_current_details(
            f"**{text}**\n\nFlight `{self._told.flight_key}`, itinerary `{self._told.itinerary_id}`."
        )
