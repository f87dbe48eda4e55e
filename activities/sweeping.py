"""The net under the API: what it stored but could not hand over to a workflow before it died, or while Temporal was away; and the
offers nobody can book any more."""

from datetime import UTC, datetime, timedelta

from structlog.stdlib import get_logger
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.admission import booking_input, start_booking
from gateways.ports import Vendors
from schema.bookings import SagaPolicy
from schema.model import Message
from schema.payments import PaymentChanged
from store import bookings, inbox, offers
from store.database import Database
from store.inbox import InboxMessage

_log = get_logger(__name__)
_BATCH = 200
_OFFERS_KEPT = timedelta(days=1)
"""After they have expired: long enough to say `offer_expired` instead of `unknown_offer`. Bookings keep their own copy."""


class SweepInput(Message):
    older_than_s: float = 15
    """Younger ones are still in the API's hands."""


class SweepResult(Message):
    started: int
    webhooks_handled: int
    offers_forgotten: int = 0


class Sweeping:
    def __init__(self, database: Database, vendors: Vendors, client: Client, policy: SagaPolicy) -> None:
        self._database = database
        self._vendors = vendors
        self._client = client
        self._policy = policy

    @activity.defn
    async def sweep_admissions(self, sweep: SweepInput) -> SweepResult:
        """Starts every stored booking without a workflow, and hands every stored webhook to its workflow. Safe to run twice."""
        before = datetime.now(UTC) - timedelta(seconds=sweep.older_than_s)
        async with self._database.read() as connection:
            waiting = await bookings.not_started(connection, before, _BATCH)
            messages = await inbox.unhandled(connection, before, _BATCH)
        for booking_id in waiting:
            async with self._database.read() as connection:
                booking = await bookings.get(connection, booking_id)
            if booking is not None:
                _log.warning("booking_started_by_sweep", booking_id=booking_id)
                plan = booking_input(booking, self._vendors, self._policy)
                await start_booking(self._client, self._database, booking, plan)
        for message in messages:
            await hand_over(self._client, self._database, message)
        async with self._database.read() as connection:
            forgotten = await offers.drop_expired(connection, before - _OFFERS_KEPT)
        return SweepResult(started=len(waiting), webhooks_handled=len(messages), offers_forgotten=forgotten)


async def hand_over(client: Client, database: Database, message: InboxMessage) -> None:
    """Wakes the workflows that wait for news of the payment; most events find nobody waiting, because the answer to the call said
    it all. A workflow that has ended needs no waking. Raises RPCError while Temporal is away."""
    if message.payment_id is not None:
        changed = PaymentChanged(payment_id=message.payment_id, event_id=message.event_id)
        async with database.read() as connection:
            waiting = await inbox.who_waits(connection, message.payment_id)
        for workflow_id in waiting:
            try:
                await client.get_workflow_handle(workflow_id).signal("payment_changed", changed)
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
    async with database.read() as connection:
        await inbox.handled(connection, message.vendor, message.event_id)
