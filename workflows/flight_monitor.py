"""A flight, watched from the first booking to its arrival: asked about rarely when departure is far, often when it is near."""

import contextlib
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.watching import Watching
    from schema.bookings import SagaPolicy
    from schema.flights import (
        FLIGHT_MONITOR_WORKFLOW,
        EndWatching,
        FanOutBatch,
        FanOutPlace,
        FlightPushed,
        MonitorEnd,
        MonitorInput,
        MonitorResult,
        PollFlight,
        Subscribed,
        TellNewcomers,
        WatchedFlight,
    )
    from schema.search_attributes import BOOKING_STATE
    from workflows.steps import local, persistent, why

_STEPS = SagaPolicy(step_timeout_s=60)
_ASK_PATIENCE_S = 300
"""For one look, retries included: PostgreSQL may be away for so long. A vendor that is away is an answer, and asked again soon."""
_TELL_PATIENCE_S = 24 * 3600


@workflow.defn(name=FLIGHT_MONITOR_WORKFLOW)
class FlightMonitorWorkflow:
    """One for each flight, however many travel: who they are, what is known and what they were told is in PostgreSQL. Handlers only
    leave marks; the monitor's own task does everything."""

    @workflow.init
    def __init__(self, plan: MonitorInput) -> None:
        self._plan = plan
        self._flight: WatchedFlight | None = None
        self._newcomers = dict.fromkeys(plan.newcomers)
        self._look_again = True
        self._fan_out = plan.fan_out
        self._stuck = False
        self._next_poll_at = plan.next_poll_at
        self._polls = plan.polls
        self._shown = "scheduled"

    @workflow.run
    async def run(self, plan: MonitorInput) -> MonitorResult:
        while True:
            await self._look()
            await self._tell()
            if await self._over():
                return self._result()
            self._go_on_if_long()
            await self._wait()

    @workflow.signal
    def subscribed(self, subscribed: Subscribed) -> None:
        self._newcomers[subscribed.itinerary_id] = None
        self._look_again = True  # somebody is on it, if nobody was

    @workflow.signal
    def pushed(self, pushed: FlightPushed) -> None:
        """What was pushed is in PostgreSQL: however many signals come, one look sees it all."""
        self._look_again = True
        if pushed.ask:
            self._next_poll_at = None

    # ------------------------------------------------------------------ in order

    async def _look(self) -> None:
        """Asks how the flight stands if it is time to; else reads what was pushed."""
        plan, due = self._plan, self._next_poll_at is None or workflow.now() >= self._next_poll_at
        question = PollFlight(flight=plan.flight, policy=plan.policy, correlation_id=plan.correlation_id)
        # Cleared before, not after: what is pushed while this waits is looked at in the next round.
        self._look_again = False
        if due:
            self._polls += 1
            try:
                self._flight = await persistent(Watching.poll_flight, question, _STEPS, "Ask", _ASK_PATIENCE_S)
            except ActivityError as error:
                workflow.logger.warning("flight_not_looked_at: %s", why(error))
            self._next_poll_at = self._poll_at()
        else:
            self._flight = await local(Watching.look_at_flight, question)
        if self._flight is not None and self._flight.phase != self._shown:
            self._shown = self._flight.phase
            workflow.upsert_search_attributes([BOOKING_STATE.value_set(self._shown)])

    async def _tell(self) -> None:
        """Everybody of a new revision, in batches; then those who joined of what the others know."""
        flight, self._stuck = self._flight, False
        if flight is None:
            return
        if self._fan_out is None and flight.told_revision < flight.revision:
            self._fan_out = FanOutPlace(revision=flight.revision)
        try:
            while self._fan_out is not None:
                await self._tell_batch(self._fan_out)
                self._tell_what_came_meanwhile()
            while self._newcomers:
                await self._tell_newcomers(list(self._newcomers)[: self._plan.policy.fan_out_batch])
        except ActivityError as error:
            workflow.logger.warning("flight_not_told: %s", why(error))
            self._stuck = True

    async def _tell_batch(self, place: FanOutPlace) -> None:
        self._go_on_if_long()
        self._details(f"telling of revision {place.revision}")
        batch = FanOutBatch(flight_key=self._plan.flight.key, place=place, policy=self._plan.policy)
        # Interleaves with both signals: who joins is told afterwards, and news are looked at in the next round.
        done = await persistent(Watching.fan_out_batch, batch, _STEPS, "Tell of the change", _TELL_PATIENCE_S)
        self._fan_out = None if done.after is None else FanOutPlace(revision=place.revision, after=done.after)
        if done.after is None and self._flight is not None:
            self._flight = self._flight.model_copy(update={"told_revision": place.revision})

    def _tell_what_came_meanwhile(self) -> None:
        """A run that finishes telling what the run before it began may know of a newer revision, and no signal is left for it."""
        flight = self._flight
        if self._fan_out is not None or flight is None or flight.told_revision >= flight.revision:
            return
        if workflow.patched("tells what came while the run before told"):
            self._fan_out = FanOutPlace(revision=flight.revision)

    async def _tell_newcomers(self, joined: list[str]) -> None:
        telling = TellNewcomers(flight_key=self._plan.flight.key, itinerary_ids=joined, policy=self._plan.policy)
        # Interleaves with `subscribed`: only those are taken from the list who were told.
        await persistent(Watching.tell_newcomers, telling, _STEPS, "Tell who joined", _TELL_PATIENCE_S)
        for itinerary_id in joined:
            del self._newcomers[itinerary_id]

    async def _over(self) -> bool:
        """Whether nothing more can follow. Then it is noted, unless something came meanwhile."""
        if self._reason() is None or self._busy():
            return False
        if not (await local(Watching.end_watching, EndWatching(flight_key=self._plan.flight.key))).ended:
            self._look_again = True
        # Interleaves with both signals: whoever comes now is told first. Temporal lets no run end over a signal it has not seen.
        return not self._busy()

    def _busy(self) -> bool:
        return self._look_again or bool(self._newcomers) or self._fan_out is not None

    def _go_on_if_long(self) -> None:
        """Under a new run, with everything that is not in PostgreSQL; a run begins with a look."""
        info = workflow.info()
        long = info.get_current_history_length() >= self._plan.policy.events_of_a_run
        if not long and not info.is_continue_as_new_suggested():
            return
        carried = {
            "fan_out": self._fan_out,
            "newcomers": list(self._newcomers),
            "next_poll_at": self._next_poll_at,
            "polls": self._polls,
        }
        workflow.continue_as_new(self._plan.model_copy(update=carried))

    async def _wait(self) -> None:
        """For the next poll, or for a signal."""
        # Interleaves with `pushed`, which may want the source asked at once: then there is nothing to wait for.
        until, policy = self._next_poll_at or workflow.now(), self._plan.policy
        if self._stuck:
            until = min(until, workflow.now() + timedelta(seconds=policy.poll_near_s / policy.clock_scale))
        self._details(f"next look at {until:%Y-%m-%d %H:%M:%S} UTC")
        timeout_s = max(0.0, (until - workflow.now()).total_seconds())
        # Interleaves with both signals, which may have come before the wait begins: hence a mark, not an event.
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._look_again, timeout=timeout_s)

    # ------------------------------------------------------------------ what follows from what is known

    def _poll_at(self) -> datetime:
        policy, now, flight = self._plan.policy, workflow.now(), self._flight
        departs_at = self._plan.departs_at if flight is None else flight.departs_at
        after_s = policy.look_after_s((departs_at - now).total_seconds(), "away" if flight is None else flight.answer)
        return now + timedelta(seconds=after_s * workflow.random().uniform(1 - policy.jitter, 1 + policy.jitter))

    def _reason(self) -> MonitorEnd | None:
        flight, policy = self._flight, self._plan.policy
        if flight is not None and not flight.wanted:
            return "nobody_on_it"
        if flight is not None and (flight.phase == "arrived" or flight.phase == "cancelled"):
            return flight.phase
        arrives_at = self._plan.arrives_at if flight is None else flight.arrives_at
        given_up_at = arrives_at + timedelta(hours=policy.give_up_after_arrival_h / policy.clock_scale)
        return "given_up" if workflow.now() >= given_up_at else None

    def _result(self) -> MonitorResult:
        reason, flight = self._reason(), self._flight
        assert reason is not None, "it is over for a reason"
        return MonitorResult(ended=reason, revision=0 if flight is None else flight.revision, polls=self._polls)

    def _details(self, doing: str) -> None:
        flight = self._flight
        stands = "not looked at yet" if flight is None else f"{flight.phase}, revision {flight.revision}"
        workflow.set_current_details(f"**{stands}**; {doing}; polled {self._polls} times")
