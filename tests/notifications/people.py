"""A traveller with a booking, and vendors in memory that do with a message as they are told."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.notice_reading import LinkMaker
from activities.notifying import Notifications
from gateways.notice_ports import Notice, Receipt
from schema.disruptions import Impact, disruption_id_for
from schema.itineraries import itinerary_id_for
from schema.notifications import (
    Channel,
    NotificationInput,
    NotificationKind,
    NotificationResult,
    Preferences,
    RetryLadder,
    notification_workflow_id_for,
)
from schema.outcomes import Confirmed, Outcome
from schema.references import new_id
from schema.settings import Settings
from schema.tables import disruptions, events
from store import devices, itineraries, notifications, preferences
from store.database import Database
from store.notifications import StoredRow
from tests.store.trips import a_booking, confirm
from workers.interceptors import ObservedActivities
from workers.main import workflow_runner
from workflows.notification import NotificationWorkflow

QUICK = RetryLadder(delays_s=[1, 1, 1], give_up_after_s=60, receipt_wait_s=1, find_after_s=1, find_budget_s=5)
"""Seconds instead of hours; nothing else differs from production."""
SECRET = "of-the-tests-only"
Step = Outcome | Exception


class FakeSender:
    """Takes what it is given, unless a step says otherwise; keeps books of what it has taken."""

    def __init__(self, code: str, channel: Channel) -> None:
        self.code = code
        self.channel = channel
        self.steps: list[Step] = []
        """How the next calls end; then everything is taken."""
        self.found: Outcome | Exception | None = None
        """What a look-up says; None: it cannot be asked."""
        self.calls: list[Notice] = []
        self.lookups: list[Notice] = []
        self.holding: asyncio.Event | None = None
        """While it is set and not set off, calls do not return."""

    async def send(self, notice: Notice) -> Outcome:
        self.calls.append(notice)
        if self.holding is not None:
            await self.holding.wait()
        step = self.steps.pop(0) if self.steps else Confirmed(provider_reference=f"{self.code}-{len(self.calls)}")
        if isinstance(step, Exception):
            raise step
        return step

    async def find(self, notice: Notice, since: datetime) -> Outcome | None:
        self.lookups.append(notice)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def read_receipts(self, headers: Mapping[str, str], body: bytes, url: str) -> list[Receipt]:
        raise NotImplementedError


class FakeVendors:
    """The part of the registry that notifications need."""

    def __init__(self) -> None:
        self.email = FakeSender("sendgrid", "email")
        self.sms = FakeSender("twilio", "sms")
        self.push = FakeSender("fcm", "push")
        self.missing: set[Channel] = set()

    def notice_sender(self, channel: Channel) -> FakeSender | None:
        senders: dict[Channel, FakeSender] = {"email": self.email, "sms": self.sms, "push": self.push}
        return None if channel in self.missing else senders.get(channel)

    def calls(self) -> dict[str, int]:
        return {sender.channel: len(sender.calls) for sender in (self.email, self.sms, self.push) if sender.calls}


@dataclass
class People:
    """A client with one confirmed booking, and the house that tells them."""

    settings: Settings
    database: Database
    client: Client
    client_id: str
    booking_id: str
    vendors: FakeVendors
    task_queue: str = field(default_factory=lambda: new_id("queue"))
    revision: int = 3

    @property
    def itinerary_id(self) -> str:
        return itinerary_id_for(self.booking_id)

    @asynccontextmanager
    async def worker(self, client: Client | None = None, **options: Any) -> AsyncGenerator[Worker]:
        told = Notifications(self.database, self.vendors, LinkMaker("https://travelhub.example/", SECRET))  # pyright: ignore[reportArgumentType]
        async with Worker(
            client or self.client,
            task_queue=self.task_queue,
            workflows=[NotificationWorkflow],
            activities=[
                *(told.plan_notification, told.planned_row, told.show_live, told.send_notice),
                *(told.find_out_notice, told.look_for_receipt, told.give_up_notice),
            ],
            workflow_runner=workflow_runner(self.settings),
            interceptors=[ObservedActivities()],
            **options,
        ) as worker:
            yield worker

    def wanted(self, kind: NotificationKind = "booking_confirmed", **changes: Any) -> NotificationInput:
        about = {"subject": self.booking_id}
        if not kind.startswith(("booking_", "price_", "payment_")):
            about = {"subject": self.itinerary_id, "itinerary_id": self.itinerary_id}
        return NotificationInput.model_validate(
            {
                **about,
                "kind": kind,
                "revision": self.revision,
                "client_id": self.client_id,
                "booking_id": self.booking_id,
                "correlation_id": new_id("cor"),
                "ladder": QUICK,
                "step_timeout_s": 5,
                **changes,
            }
        )

    async def start(
        self, wanted: NotificationInput, client: Client | None = None
    ) -> WorkflowHandle[Any, NotificationResult]:
        return await (client or self.client).start_workflow(
            NotificationWorkflow.run,
            wanted,
            id=notification_workflow_id_for(wanted.subject, wanted.kind, wanted.revision),
            task_queue=self.task_queue,
        )

    async def tell(self, wanted: NotificationInput) -> NotificationResult:
        return await (await self.start(wanted)).result()

    async def rows(self, wanted: NotificationInput) -> dict[str, StoredRow]:
        async with self.database.read() as connection:
            found = await notifications.planned(connection, wanted.subject, wanted.kind, wanted.revision)
        return {row.recipient or row.channel: row for row in found}

    async def prefer(self, **wishes: Any) -> None:
        async with self.database.transaction() as connection:
            await preferences.put(connection, self.client_id, Preferences.model_validate(wishes))

    async def device(self, token: str) -> str:
        async with self.database.transaction() as connection:
            registered = await devices.register(connection, self.client_id, token, "ios")
        assert registered is not None
        return registered.device_id

    async def disrupted(self, kind: NotificationKind, flight_no: int = 1, flight_revision: int = 1) -> str:
        """One of the itinerary's two flights is not as it was; the disruption's id."""
        async with self.database.read() as connection:
            itinerary = await itineraries.get(connection, self.itinerary_id)
        assert itinerary is not None
        flights = [segment for segment in itinerary.segments if segment.details.kind == "flight"]
        segment_no = flights[flight_no - 1].segment_no
        key = f"ZZ{100 + flight_no}-2027-02-01-LHR"
        disruption_id = disruption_id_for(self.itinerary_id, key, flight_revision)
        values = {
            "id": disruption_id,
            "itinerary_id": self.itinerary_id,
            "client_id": self.client_id,
            "segment_no": segment_no,
            "flight_key": key,
            "flight_revision": flight_revision,
            "kind": kind,
            "state": "informed",
            "impact": Impact(changes=["delayed"], delay_minutes=40).model_dump(mode="json"),
            "alternatives": [],
        }
        async with self.database.transaction() as connection:
            await connection.execute(disruptions.insert().values(values))
        return disruption_id

    async def feed(self) -> Sequence[Any]:
        query = select(events).where(events.c.booking_id == self.booking_id, events.c.stream.startswith("notice:"))
        async with self.database.read() as connection:
            return (await connection.execute(query.order_by(events.c.id))).all()


async def some_people(settings: Settings, database: Database, client: Client, client_id: str) -> People:
    booking_id = await a_booking(database, client_id)
    await confirm(database, booking_id)
    return People(settings, database, client, client_id, booking_id, FakeVendors())
