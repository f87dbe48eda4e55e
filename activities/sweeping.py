"""The net under the API: what it stored but could not hand over before it died, or while Temporal or a supplier was away; what nobody
will ever ask for; the offers nobody can book any more; and deliveries nobody looks at any more."""

from datetime import UTC, datetime, timedelta

from structlog.stdlib import get_logger
from temporalio import activity
from temporalio.client import Client

from activities.admission import booking_input, start_booking
from activities.handing_over import STRANGE, Away, HandingOver
from gateways.ports import Vendors
from schema.model import Message
from schema.settings import Settings
from store import bookings, dead_letters, deliveries, inbox, offers
from store.database import Database
from store.search_cache import KEPT
from store.valkey import Valkey

_log = get_logger(__name__)
_BATCH = 200
_AWAY_FOR_ALL = 5
"""So many messages in a row that find Temporal away: the others would find the same."""
_PAYMENT_AWAITED = timedelta(hours=24)
"""How long news of a payment may come before the payment itself. Longer is no race: it is not ours, or our books have lost it."""
_ALERT_ABOVE = 10
"""Dead letters. A few are a morning's work; more are a fault of ours or of a vendor's."""
_OFFERS_KEPT = timedelta(days=1)
"""After they have expired: long enough to say `offer_expired` instead of `unknown_offer`. Bookings keep their own copy."""
_PRUNED_AT_ONCE = 1000
_PRUNED_IN_ONE_SWEEP = 20_000
"""More than a busy hour makes between two sweeps; a backlog is worked off over several."""


class SweepInput(Message):
    older_than_s: float = 15
    """Younger ones are still in the API's hands."""


class SweepResult(Message):
    started: int
    webhooks_handled: int
    offers_forgotten: int = 0
    deliveries_forgotten: int = 0
    dead_letters: int = 0
    """Those that wait for an operator."""


class Sweeping:
    def __init__(
        self, database: Database, valkey: Valkey, vendors: Vendors, client: Client, settings: Settings
    ) -> None:
        self._database = database
        self._vendors = vendors
        self._client = client
        self._policy = settings.saga
        self._deliveries_kept = timedelta(seconds=settings.relay.deliveries_kept_s)
        self._handing_over = HandingOver(database, valkey, vendors, client, settings.flights)

    @activity.defn
    async def sweep_admissions(self, sweep: SweepInput) -> SweepResult:
        """Starts every stored booking without a workflow, hands every stored webhook over, and buries what nobody will ever ask for.
        Safe to run twice."""
        now = datetime.now(UTC)
        before = now - timedelta(seconds=sweep.older_than_s)
        started = await self._start_bookings(before)
        handled = await self._hand_over_payments(before) + await self._follow_notices(before, now)
        waiting = await self._bury(now)
        async with self._database.read() as connection:
            forgotten = await offers.drop_expired(connection, before - _OFFERS_KEPT)
        return SweepResult(
            started=started,
            webhooks_handled=handled,
            offers_forgotten=forgotten,
            deliveries_forgotten=await self._prune(now - self._deliveries_kept),
            dead_letters=waiting,
        )

    async def _start_bookings(self, before: datetime) -> int:
        async with self._database.read() as connection:
            waiting = await bookings.not_started(connection, before, _BATCH)
        for booking_id in waiting:
            async with self._database.read() as connection:
                booking = await bookings.get(connection, booking_id)
            if booking is not None:
                _log.warning("booking_started_by_sweep", booking_id=booking_id)
                plan = booking_input(booking, self._vendors, self._policy)
                await start_booking(self._client, self._database, booking, plan)
        return len(waiting)

    async def _hand_over_payments(self, before: datetime) -> int:
        async with self._database.read() as connection:
            messages = await inbox.unhandled_payments(connection, before, _BATCH)
        handled = away = 0
        for message in messages:
            try:
                handled += await self._handing_over.hand_over(message)
                away = 0
            except Away as error:
                _log.warning("webhook_kept_for_later", event_id=message.event_id, error=str(error))
                away += 1
                if away == _AWAY_FOR_ALL:
                    break
        return handled

    async def _follow_notices(self, before: datetime, now: datetime) -> int:
        """How many could be followed. The others wait for the next sweep, until no cached entry is old enough to show what they
        were about."""
        async with self._database.read() as connection:
            messages = await inbox.unhandled_notices(connection, before, _BATCH)
        followed = 0
        away: set[str] = set()
        for message in messages:
            if message.vendor in away:
                continue
            try:
                followed += await self._handing_over.hand_over(message)
            except Away as error:
                _log.warning("notice_kept_for_later", event_id=message.event_id, error=str(error))
                away.add(message.vendor)
        async with self._database.read() as connection:
            given_up = await inbox.give_up(connection, now - KEPT)
        if given_up:
            _log.error("notices_given_up", count=given_up)
        return followed

    async def _bury(self, now: datetime) -> int:
        """News of payments that never came to be; returns how many letters wait for an operator, and says so when they are many."""
        async with self._database.read() as connection:
            messages = await inbox.never_owned(connection, now - _PAYMENT_AWAITED, _BATCH)
        for message in messages:
            async with self._database.transaction() as connection:
                await inbox.bury(connection, message, STRANGE)
            _log.warning("webhook_never_owned", vendor=message.vendor, event_id=message.event_id)
        async with self._database.read() as connection:
            waiting = await dead_letters.waiting(connection)
        if waiting > _ALERT_ABOVE:
            _log.warning("dead_letters_waiting", count=waiting)
        return waiting

    async def _prune(self, before: datetime) -> int:
        """Deliveries that were over before the moment; in small transactions, so that the relay never waits long for one."""
        forgotten = 0
        while forgotten < _PRUNED_IN_ONE_SWEEP:
            async with self._database.transaction() as connection:
                batch = await deliveries.prune(connection, before, _PRUNED_AT_ONCE)
            forgotten += batch
            if batch < _PRUNED_AT_ONCE:
                break
        return forgotten
