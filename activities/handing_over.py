"""A stored webhook on its way to those it concerns: workflows that wait for news of a payment, the monitors of flights, and what is
offered of a supplier.

What stops it is either somebody who is away, which passes and counts for nothing, or the message itself: that is counted, and after a
few failures the message is a dead letter.
"""

import asyncio
from typing import Final

from structlog.stdlib import get_logger
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.watching import take_pushed
from gateways.flight_ports import TellsOfFlights
from gateways.ports import Notifying, Vendors
from schema.dead_letters import CONTRACT_BROKEN, HANDING_OVER_FAILED, NEVER_OWNED, UNREADABLE, Failure
from schema.errors import OutcomeUnclear, ServiceUnavailable, TravelHubError, VendorContractBroken, VendorUnavailable
from schema.flights import FlightPolicy
from schema.payments import PaymentChanged
from search.invalidation import drop_items_with
from store import flight_watch, inbox
from store.database import AWAY, Database
from store.inbox import InboxMessage, Waiting
from store.valkey import Valkey

_log = get_logger(__name__)
_SIGNAL_TIMEOUT_S: Final = 2
_SOMEBODY_AWAY: Final = (*AWAY, OSError, TimeoutError, OutcomeUnclear, ServiceUnavailable, VendorUnavailable)
_REFUSED: Final = frozenset(
    {RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.OUT_OF_RANGE}
)
"""Of Temporal's answers, those that are about this one message; all others are about Temporal, or our access to it."""
STRANGE: Final = Failure(cause=NEVER_OWNED, detail="its payment is not in our books")
_AIMLESS: Final = Failure(cause=UNREADABLE, detail="nobody has said yet what it is about")


class Away(Exception):
    """Temporal, PostgreSQL, Valkey or the vendor is away: the same message may get through later. The text names an error's type."""


class HandingOver:
    """Takes messages to those they concern; everything in it may be done twice."""

    def __init__(
        self, database: Database, valkey: Valkey, vendors: Vendors, client: Client, flights: FlightPolicy
    ) -> None:
        self._database = database
        self._valkey = valkey
        self._vendors = vendors
        self._client = client
        self._flights = flights

    async def hand_over(self, message: InboxMessage) -> bool:
        """Hands a message of the inbox over, and counts a failure. Returns whether it was handed over; news of a payment that is not
        in our books yet waits. Raises Away, or what PostgreSQL raises while it is away."""
        failure = None if message.concerns_nothing else await self.deliver(message)
        if failure is None:
            async with self._database.read() as connection:
                await inbox.handled(connection, message)
            return True
        if failure != STRANGE:
            async with self._database.transaction() as connection:
                buried = await inbox.failed(connection, message, failure)
            told = {"vendor": message.vendor, "event_id": message.event_id, "cause": failure.cause, "buried": buried}
            _log.warning("webhook_failed", **told, detail=failure.detail)
        return False

    async def deliver(self, message: InboxMessage) -> Failure | None:
        """Hands the message over, wherever it comes from; returns what is wrong with it. Raises Away."""
        if message.concerns_nothing:
            return _AIMLESS
        try:
            if message.subject is not None:
                await self._follow(message, message.subject)
                return None
            async with self._database.read() as connection:
                waiting = await inbox.who_waits(connection, message)
            if waiting is None:
                return STRANGE
            for one in waiting:
                await self._wake(one, message.event_id)
        except _SOMEBODY_AWAY as error:
            raise Away(type(error).__name__) from error
        except Exception as error:  # noqa: BLE001  # whatever it is, the message must not be lost for it
            return _failure_of(error)
        return None

    async def _wake(self, waiting: Waiting, event_id: str) -> None:
        """Most events find nobody waiting, because the answer to the call said it all. A workflow that has ended needs no waking."""
        handle = self._client.get_workflow_handle(waiting.workflow_id)
        changed = PaymentChanged(payment_id=waiting.payment_id, event_id=event_id)
        try:
            async with asyncio.timeout(_SIGNAL_TIMEOUT_S):
                await handle.signal("payment_changed", changed)
        except RPCError as error:
            if error.status in _REFUSED:
                raise
            if error.status != RPCStatusCode.NOT_FOUND:
                raise ServiceUnavailable(f"Temporal: {error.status.name}") from error
        except RuntimeError as error:  # the client connects at its first call, and tells like this that it cannot
            raise ServiceUnavailable("Temporal cannot be reached") from error

    async def _follow(self, message: InboxMessage, subject: str) -> None:
        """Asks the supplier what became of the message's subject, keeps what it says of flights, and drops what is offered of it.

        Raises what `Notifying.touched` does, and ServiceUnavailable while Temporal or Valkey is away.
        """
        notifying = self._notifying(message.vendor)
        if isinstance(notifying, TellsOfFlights):
            await self._take_news(notifying, message, subject)
        touched = await notifying.touched(subject, correlation_id=message.event_id)
        for part in touched:
            await drop_items_with(self._database, self._valkey, message.vendor, part)
            if self._valkey.away:
                raise ServiceUnavailable("the cache cannot be reached, and may still show what has changed")
        _log.info(
            "notice_followed", vendor=message.vendor, event_id=message.event_id, type=message.type, touched=len(touched)
        )

    async def _take_news(self, supplier: TellsOfFlights, message: InboxMessage, order_id: str) -> None:
        """Travellers before searches: the monitors of the order's flights hear of it first."""
        news = await supplier.news(order_id, message.event_id)
        async with self._database.read() as connection:
            booked = await flight_watch.of_order(connection, message.vendor, order_id)
        planned = {flight.flight.key: flight for flight in booked}
        can_be_asked = self._vendors.flight_status() is not None
        for one in news:
            await take_pushed(
                self._client,
                self._database,
                self._flights,
                one,
                planned.get(one.flight.key),
                message.event_id,
                can_be_asked=can_be_asked,
            )

    def _notifying(self, vendor: str) -> Notifying:
        try:
            return self._vendors.notifying(vendor)
        except KeyError:
            raise ServiceUnavailable("only another release knows this supplier") from None


def _failure_of(error: Exception) -> Failure:
    if isinstance(error, VendorContractBroken):
        return Failure(cause=CONTRACT_BROKEN, detail=error.message)
    if isinstance(error, RPCError):
        return Failure(cause=HANDING_OVER_FAILED, detail=f"Temporal refuses it: {error.status.name}")
    # The text of an error that is not ours may quote anything.
    text = error.message if isinstance(error, TravelHubError) else type(error).__name__
    return Failure(cause=HANDING_OVER_FAILED, detail=text)
