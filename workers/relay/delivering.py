"""Delivers what is due to clients' endpoints: each endpoint at its own pace, each booking's events one after the other.

What is under way is known here only. If this process is killed, all of it is still due, and is sent again under the same id.
"""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Final

import orjson
from structlog.stdlib import get_logger

from gateways.callbacks import Callback, CallbackAnswer, CallbackSender
from schema.endpoints import Attempt
from schema.settings import RelaySettings
from store import deliveries
from store.database import AWAY, Database
from store.deliveries import DueDelivery
from workers.relay.patience import verdict_of

_log = get_logger(__name__)
_ROUNDS: Final = 10
"""Of publishing, between looks for what is to be tried again; for what is new there is `wake`."""
_GATHER_S: Final = 0.02
"""So that one look serves all who were done, or made, within this time."""
_AFTER_FAULT_S: Final = 1.0
_AFTER_BUG_S: Final = 60.0
"""Nothing was written down, so it is due at once: an endpoint must not be flooded for what we got wrong."""


class Deliverer:
    """Runs while its process is the active relay."""

    def __init__(self, policy: RelaySettings, database: Database, sender: CallbackSender) -> None:
        self._policy = policy
        self._database = database
        self._sender = sender
        self._wake = asyncio.Event()
        self._until_s = 0.0
        self._under_way: dict[str, DueDelivery] = {}

    def go_on_until(self, until_s: float) -> None:
        """The relay has its turn at least until then (the loop's clock). Nothing is sent after it: another may be sending."""
        self._until_s = until_s

    def wake(self) -> None:
        """There may be something new to deliver."""
        self._wake.set()

    async def run(self) -> None:
        """Until it is cancelled; what is under way then is cancelled too, and due again."""
        self._under_way.clear()  # one that was cancelled before it began has not taken itself out
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                try:
                    for delivery in await self._due():
                        self._under_way[delivery.id] = delivery
                        group.create_task(self._deliver(delivery))
                except AWAY as error:
                    _log.warning("deliveries_wait", error=type(error).__name__)
                    await asyncio.sleep(_AFTER_FAULT_S)
                await asyncio.sleep(_GATHER_S)
                try:
                    async with asyncio.timeout(_ROUNDS * self._policy.poll_s):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def _due(self) -> list[DueDelivery]:
        free = self._policy.concurrency - len(self._under_way)
        if free <= 0 or asyncio.get_running_loop().time() > self._until_s:
            return []
        taken = Counter(delivery.endpoint_id for delivery in self._under_way.values())
        most = self._policy.endpoint_concurrency
        async with self._database.read() as connection:
            found = await deliveries.due(
                connection,
                under_way=list(self._under_way),
                busy=[endpoint_id for endpoint_id, number in taken.items() if number >= most],
                per_endpoint=most,
                at_most=free,
            )
        started: list[DueDelivery] = []
        for delivery in found:
            if taken[delivery.endpoint_id] < most:
                taken[delivery.endpoint_id] += 1
                started.append(delivery)
        return started

    async def _deliver(self, delivery: DueDelivery) -> None:
        try:
            at = datetime.now(UTC)
            answer = await self._sender.send(_callback(delivery))
            await self._record(delivery, at, answer)
        except AWAY as error:
            # It stays due, and is sent once more.
            _log.warning("delivery_not_recorded", delivery_id=delivery.id, error=type(error).__name__)
            await asyncio.sleep(_AFTER_FAULT_S)
        except Exception:  # noqa: BLE001  # one delivery that we got wrong must not end the others
            _log.exception("delivery_failed", delivery_id=delivery.id)
            await asyncio.sleep(_AFTER_BUG_S)
        finally:
            del self._under_way[delivery.id]
            self.wake()

    async def _record(self, delivery: DueDelivery, at: datetime, answer: CallbackAnswer) -> None:
        verdict = verdict_of(delivery, answer, self._policy)
        attempt = Attempt(at=at, status=answer.status, error=answer.error, duration_ms=round(answer.duration_s * 1000))
        async with self._database.transaction() as connection:
            await deliveries.record(connection, delivery, attempt, verdict, patience_s=self._policy.give_up_after_s)


def _callback(delivery: DueDelivery) -> Callback:
    """Standard Webhooks: `type`, `timestamp` (of the event, not of the attempt) and `data`."""
    body = {"type": delivery.type, "timestamp": delivery.occurred_at, "data": delivery.data}
    keys = (delivery.secret, delivery.previous_secret)
    return Callback(
        message_id=delivery.id,
        url=delivery.url,
        body=orjson.dumps(body),
        secrets=tuple(key for key in keys if key is not None),
    )
