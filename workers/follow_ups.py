"""What follows from recorded events: flights are watched, disruptions handled, travellers told. Never before the event is durable.

Any number of processes take what is due side by side. Everything that is started has an id made of business ids, so that what is done
again after a crash is done once. A booking never waits for any of it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, cast

from structlog.stdlib import get_logger
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.watching import begin_watching
from schema.bookings import TASK_QUEUE
from schema.disruptions import (
    DISRUPTION_WORKFLOW,
    DisruptionInput,
    RebookingMoved,
    disruption_id_for,
    disruption_workflow_id_for,
)
from schema.errors import ServiceUnavailable
from schema.flights import Change
from schema.model import Message
from schema.notifications import (
    NOTIFICATION_WORKFLOW,
    NotificationInput,
    NotificationKind,
    notification_workflow_id_for,
)
from schema.search_attributes import OWNER
from schema.settings import Settings
from store import bookings, disruptions, events, itineraries
from store.database import AWAY, Database
from store.events import BOOKING_STREAM, DueEvent
from workers.silent_notices import SilentNotices

_log = get_logger(__name__)
_BATCH: Final = 50
_POLL_S: Final = 0.25
_AFTER_FAULT_S: Final = 1.0
_BUSY_FOR_S: Final = 30.0
"""Whoever takes an event and dies leaves it due again after this."""
_AWAY_AGAIN_S: Final = 5.0
_BUG_AGAIN_S: Final = 300.0
"""Nobody is helped if what we got wrong is done wrong ten times a second."""
_START_TIMEOUT_S: Final = 5

_OF_BOOKINGS: Final[dict[str, NotificationKind]] = {
    "booking.confirmed": "booking_confirmed",
    "booking.partially_confirmed": "booking_partially_confirmed",
    "booking.failed": "booking_failed",
    "booking.cancelled": "booking_cancelled",
    "booking.price_changed": "price_changed",
    "booking.awaiting_payment": "payment_action_required",
}
_OF_ITINERARIES: Final[dict[str, NotificationKind]] = {
    "itinerary.alternatives_offered": "alternatives_offered",
    "itinerary.rebooked": "rebooked",
    "itinerary.rebooking_failed": "rebooking_failed",
}
_NOT_TOLD: Final = frozenset({"flight_departed", "flight_arrived"})
"""Whoever is on the flight knows."""
_NOT_HANDLED: Final[frozenset[Change]] = frozenset({"departed", "arrived"})
_TOLD_BY_DISRUPTION: Final = frozenset({"booking_confirmed", "booking_failed", "booking_cancelled"})
"""Of the booking of a chosen alternative: its traveller hears of the rebooking instead."""


class FollowUps:
    """Takes what is due, and does it."""

    def __init__(self, settings: Settings, database: Database, client: Client) -> None:
        self._settings = settings
        self._database = database
        self._client = client

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                done = await self.once()
            except AWAY as error:
                _log.warning("follow_ups_wait", error=type(error).__name__)
                done = 0
                await asyncio.sleep(_AFTER_FAULT_S)
            if done < _BATCH:
                await asyncio.sleep(_POLL_S)

    async def once(self) -> int:
        """Takes one batch; how many it held. Raises one of `store.database.AWAY`."""
        async with self._database.transaction() as connection:
            taken = await events.due(connection, _BATCH, _BUSY_FOR_S)
        if taken:
            followed = await asyncio.gather(*(self._attempt(event) for event in taken))
            done = [event.id for event, worked in zip(taken, followed, strict=True) if worked]
            async with self._database.transaction() as connection:
                await events.followed(connection, done)
        return len(taken)

    async def _attempt(self, event: DueEvent) -> bool:
        try:
            async with asyncio.timeout(_BUSY_FOR_S / 2):
                await self._follow(event)
        except (ServiceUnavailable, RPCError, RuntimeError, TimeoutError, OSError, *AWAY) as error:
            _log.warning("follow_up_waits", event_type=event.type, event_id=event.id, error=type(error).__name__)
            await self._later(event, _AWAY_AGAIN_S)
            return False
        except Exception:  # noqa: BLE001  # one event that we got wrong must not keep the others
            _log.exception("follow_up_failed", event_type=event.type, event_id=event.id)
            await self._later(event, _BUG_AGAIN_S)
            return False
        return True

    async def _later(self, event: DueEvent, after_s: float) -> None:
        with contextlib.suppress(*AWAY):  # then it is due again when its time is over
            async with self._database.read() as connection:
                await events.follow_later(connection, event.id, after_s)

    # ------------------------------------------------------------------ what follows from what

    async def _follow(self, event: DueEvent) -> None:
        if event.stream == BOOKING_STREAM:
            await self._follow_booking(event)
        elif event.type in ("itinerary.created", "itinerary.changed"):
            await self._watch(str(event.data["itinerary_id"]))
        elif event.type == "itinerary.flight_changed":
            await self._handle_change(event)
        elif event.type == "itinerary.disrupted":
            kind = str(event.data["kind"])
            if kind not in _NOT_TOLD:
                await self._tell_of_itinerary(event, cast("NotificationKind", kind))
        elif event.type in _OF_ITINERARIES:
            await self._tell_of_itinerary(event, _OF_ITINERARIES[event.type])

    async def _follow_booking(self, event: DueEvent) -> None:
        async with self._database.read() as connection:
            disruption_id = await disruptions.of_rebooking(connection, event.booking_id)
        if disruption_id is not None:
            await self._wake(disruption_id, event.booking_id)
        reason = event.data.get("reason")
        kind = _OF_BOOKINGS[event.type]
        if event.type == "booking.partially_confirmed" and reason == "cancelled_by_traveller":
            kind = "booking_partially_cancelled"
        if reason == "rebooked" or (disruption_id is not None and kind in _TOLD_BY_DISRUPTION):
            return
        async with self._database.read() as connection:
            correlation_id = await bookings.correlation_id_of(connection, event.booking_id)
        await self._tell(
            NotificationInput(
                subject=event.booking_id,
                kind=kind,
                revision=event.version,
                client_id=event.client_id,
                booking_id=event.booking_id,
                correlation_id=correlation_id,
                ladder=self._settings.notification,
            )
        )

    async def _watch(self, itinerary_id: str) -> None:
        async with self._database.transaction() as connection:
            itinerary = await itineraries.get(connection, itinerary_id)
        if itinerary is not None:
            await begin_watching(self._client, self._database, itinerary, self._settings)

    async def _handle_change(self, event: DueEvent) -> None:
        told = _FlightChanged.model_validate(event.data)
        if _NOT_HANDLED.issuperset(told.changes):
            return
        async with self._database.read() as connection:
            correlation_id = await bookings.correlation_id_of(connection, told.booking_id)
        disruption_id = disruption_id_for(told.itinerary_id, told.flight_key, told.flight_revision)
        wanted = DisruptionInput(
            disruption_id=disruption_id,
            **told.model_dump(),
            client_id=event.client_id,
            correlation_id=correlation_id,
            policy=self._settings.disruption,
            saga=self._settings.saga,
        )
        summary = f"{told.flight_key}: {', '.join(told.changes)}"
        await self._start(DISRUPTION_WORKFLOW, wanted, disruption_workflow_id_for(disruption_id), event, summary)

    async def _tell_of_itinerary(self, event: DueEvent, kind: NotificationKind) -> None:
        async with self._database.read() as connection:
            correlation_id = await bookings.correlation_id_of(connection, event.booking_id)
        itinerary_id = str(event.data["itinerary_id"])
        await self._tell(
            NotificationInput(
                subject=itinerary_id,
                kind=kind,
                revision=event.version,
                client_id=event.client_id,
                booking_id=event.booking_id,
                itinerary_id=itinerary_id,
                disruption_id=str(event.data["disruption_id"]),
                correlation_id=correlation_id,
                ladder=self._settings.notification,
            )
        )

    # ------------------------------------------------------------------ at Temporal

    async def _tell(self, wanted: NotificationInput) -> None:
        workflow_id = notification_workflow_id_for(wanted.subject, wanted.kind, wanted.revision)
        await self._start(NOTIFICATION_WORKFLOW, wanted, workflow_id, wanted, f"Tell of {wanted.kind}")

    async def _start(
        self, workflow: str, wanted: Message, workflow_id: str, of: DueEvent | NotificationInput, summary: str
    ) -> None:
        """Once, however often."""
        with contextlib.suppress(WorkflowAlreadyStartedError):
            await self._client.start_workflow(
                workflow,
                wanted,
                id=workflow_id,
                task_queue=TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=TypedSearchAttributes([SearchAttributePair(OWNER, of.client_id)]),
                static_summary=summary[:200],
                rpc_timeout=timedelta(seconds=_START_TIMEOUT_S),
            )

    async def _wake(self, disruption_id: str, booking_id: str) -> None:
        handle = self._client.get_workflow_handle(disruption_workflow_id_for(disruption_id))
        try:
            await handle.signal("rebooking_moved", RebookingMoved(booking_id=booking_id))
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:  # it has seen the end of it by itself
                raise


class _FlightChanged(Message):
    """What the event `itinerary.flight_changed` says."""

    itinerary_id: str
    booking_id: str
    segment_no: int
    flight_key: str
    flight_revision: int
    changes: list[Change]
    delay_minutes: int


@asynccontextmanager
async def following_up(settings: Settings, database: Database, client: Client) -> AsyncIterator[None]:
    """Follow-ups are done beside the block, and cancelled at its end: what was under way then is due again. Beside them, notifications
    that have lost their workflow get it again."""
    working = (FollowUps(settings, database, client), SilentNotices(settings, database, client))
    running = [asyncio.create_task(one.run()) for one in working]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        for task in running:
            with contextlib.suppress(asyncio.CancelledError):
                await task
