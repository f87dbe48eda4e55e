"""Telling a traveller of one state, by every channel that they want. A booking never waits for any of it.

Each channel goes its own way: wait for the end of quiet hours, send, try again by the ladder where nothing happened for certain, find
out where nobody knows, give up after a day. What came of it is in PostgreSQL; here is only what to do next.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.notifying import Notifications
    from schema.notifications import (
        CHANNELS,
        NOTIFICATION_WORKFLOW,
        SAFETY,
        WITH_RECEIPTS,
        Channel,
        ChannelEnd,
        DeliveryResult,
        DeliveryStep,
        GiveUp,
        NotificationInput,
        NotificationResult,
        NotificationState,
        PlannedRow,
        Replay,
    )
    from workflows.steps import local

_HEARTBEAT = timedelta(seconds=10)
_FORWARD: tuple[NotificationState, ...] = (
    *("skipped", "dead", "unknown", "failed"),
    *("planned", "sending", "sent", "delivered"),
)
"""Of several devices, the one that got furthest speaks for the channel."""


@dataclass
class Delivery:
    """One channel and recipient under way."""

    row: PlannedRow
    number: int
    """Of the next try."""
    waited: bool = False
    pauses: int = 0
    doubling: bool = False
    """Told once more on purpose."""


@workflow.defn(name=NOTIFICATION_WORKFLOW)
class NotificationWorkflow:
    """Runs again under the same id when an operator replays what it had to give up."""

    @workflow.init
    def __init__(self, plan: NotificationInput) -> None:
        self._plan = plan
        self._planned = False
        self._rows: dict[str, PlannedRow] = {}
        self._states: dict[str, NotificationState] = {}
        self._waits: dict[str, str] = {}

    @workflow.run
    async def run(self, plan: NotificationInput) -> NotificationResult:
        for row in (await local(Notifications.plan_notification, plan)).rows:
            self._rows[row.notification_id] = row
            self._states[row.notification_id] = row.state
        self._planned = True
        # `replay` may come at any of its awaits; it only adds a delivery that is not under way here.
        await asyncio.gather(*(self._deliver(row) for row in self._rows.values() if row.open))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return NotificationResult(ended=self._by_channel())

    @workflow.signal
    async def replay(self, wanted: Replay) -> None:
        """An operator wants one that was given up to be tried again."""
        await workflow.wait_condition(lambda: self._planned)
        row = self._rows.get(wanted.notification_id)
        if row is not None and self._states[row.notification_id] == "dead":
            # As `planned` from here on, so that a second signal finds it under way.
            self._states[row.notification_id] = "planned"
            again = (await local(Notifications.planned_row, wanted)).rows
            for one in again:
                await self._deliver(one)

    async def _deliver(self, row: PlannedRow) -> None:
        """Until the row's state is one that nothing follows from here."""
        delivery, ladder, began = Delivery(row, row.next_try), self._plan.ladder, workflow.time()
        if row.not_before is not None and row.not_before > workflow.now():
            await self._pause(delivery, (row.not_before - workflow.now()).total_seconds(), "the end of quiet hours")
        result = await self._try(delivery)
        while result.kind != "done":
            if result.kind == "quiet":
                await self._pause(delivery, result.retry_after_s or ladder.delays_s[0], "the end of quiet hours")
            elif result.kind == "in_doubt":
                if self._plan.kind not in SAFETY or delivery.doubling:
                    result = await self._give_up(delivery, "unknown", result.reason)
                    continue
                delivery.doubling = delivery.waited = True
                delivery.number += 1
            else:
                pause_s = ladder.pause_s(delivery.pauses, result.retry_after_s)
                if workflow.time() - began + pause_s > ladder.give_up_after_s:
                    result = await self._give_up(delivery, "dead", result.reason)
                    continue
                await self._pause(delivery, pause_s, f"the vendor ({result.reason})")
                delivery.pauses += 1
            result = await self._try(delivery)
        self._states[row.notification_id] = result.state
        self._say(row, None)

    async def _try(self, delivery: Delivery) -> DeliveryResult:
        """Sends once, and finds out what came of it as far as anybody can tell."""
        row, step = delivery.row, self._step(delivery)
        if row.channel == "live":
            return await local(Notifications.show_live, step)
        try:
            result = await self._remote(Notifications.send_notice, step, f"Tell by {row.channel}", attempts=3)
        except ActivityError:
            # Our own books are away. The same number again: it is called once, whether this one got that far or not.
            return DeliveryResult(kind="later", state="sending", reason="books_away")
        if result.kind == "in_doubt":
            result = await self._find_out(delivery, step, result)
        if result.kind == "later":
            delivery.number += 1
        return result

    async def _find_out(self, delivery: Delivery, step: DeliveryStep, result: DeliveryResult) -> DeliveryResult:
        """The vendor is asked, where it can be; else a receipt is waited for, where there are any."""
        ladder, channel = self._plan.ladder, delivery.row.channel
        await self._pause(delivery, ladder.find_after_s, "the lost call to land")
        # A vendor that can be asked and does not answer is as one that cannot be.
        with contextlib.suppress(ActivityError):
            result = await self._remote(
                Notifications.find_out_notice, step, "Ask what became of it", budget_s=ladder.find_budget_s
            )
        if result.kind == "in_doubt" and channel in WITH_RECEIPTS:
            await self._pause(delivery, ladder.receipt_wait_s, "a receipt")
            result = await local(Notifications.look_for_receipt, step)
        return result

    async def _give_up(self, delivery: Delivery, state: NotificationState, reason: str | None) -> DeliveryResult:
        given_up = GiveUp.model_validate(
            {
                "notification_id": delivery.row.notification_id,
                "number": delivery.number,
                "state": state,
                "reason": reason or "unknown",
            }
        )
        return await local(Notifications.give_up_notice, given_up)

    async def _remote(  # one call, its bounds and its name
        self,
        activity: Callable[..., Awaitable[DeliveryResult]],
        step: DeliveryStep,
        summary: str,
        *,
        attempts: int = 0,
        budget_s: float | None = None,
    ) -> DeliveryResult:
        timeout = timedelta(seconds=self._plan.step_timeout_s)
        return await workflow.execute_activity_method(
            activity,
            step,
            schedule_to_close_timeout=None if budget_s is None else timedelta(seconds=budget_s),
            start_to_close_timeout=timeout,
            heartbeat_timeout=min(_HEARTBEAT, timeout),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=60), maximum_attempts=attempts
            ),
            summary=summary,
        )

    async def _pause(self, delivery: Delivery, seconds: float, waiting_for: str) -> None:
        delivery.waited = True
        self._say(delivery.row, waiting_for)
        await workflow.sleep(seconds)

    def _step(self, delivery: Delivery) -> DeliveryStep:
        return DeliveryStep(
            notification_id=delivery.row.notification_id,
            kind=self._plan.kind,
            channel=delivery.row.channel,
            correlation_id=self._plan.correlation_id,
            number=delivery.number,
            waited=delivery.waited,
        )

    def _by_channel(self) -> list[ChannelEnd]:
        found: dict[Channel, list[NotificationState]] = {}
        for notification_id, row in self._rows.items():
            found.setdefault(row.channel, []).append(self._states[notification_id])
        return [
            ChannelEnd(channel=channel, state=max(found[channel], key=_FORWARD.index))
            for channel in CHANNELS
            if channel in found
        ]

    def _say(self, row: PlannedRow, waiting_for: str | None) -> None:
        """For the operator who looks on in the Web UI."""
        state = self._states[row.notification_id]
        self._waits[row.notification_id] = (
            f"{row.channel}: {state if waiting_for is None else f'waits for {waiting_for}'}"
        )
        workflow.set_current_details("\n\n".join(self._waits.values()))
