"""Books trips on real servers with compressed clocks, and reads the vendors' own books afterwards."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.admission import booking_input, start_booking
from gateways.ports import Vendors
from gateways.registry import build_vendors
from sandbox.stack import Stack, running_stack
from schema.bookings import TASK_QUEUE, BookingInput, BookingResult, SagaPolicy, Substitution, workflow_id_for
from schema.money import Money, total
from schema.offers import FoundOffer, SearchRequest
from schema.references import booking_id_for, item_reference, new_id
from schema.settings import Settings
from schema.travellers import Traveller
from store import bookings, offers
from store.clients import ensure_client
from store.database import Database
from store.records import NewBooking, NewItem, StoredBooking
from store.valkey import Valkey
from workers.interceptors import ObservedActivities
from workers.main import workflow_runner
from workers.temporal import temporal_connection
from workers.wiring import WORKFLOWS, all_activities

FAST = SagaPolicy(
    consent_timeout_s=8,
    payment_action_timeout_s=20,
    payment_poll_s=1,
    provider_pause_s=0.2,
    provider_patience_s=2,
    freshness_s=300,
    hold_margin_s=0.5,
    step_timeout_s=6,
    heartbeat_timeout_s=3,
    retry_initial_s=0.05,
    find_out_margin_s=1.5,
    undo_budget_s=8,
    capture_patience_s=20,
    refund_poll_s=0.5,
    refund_timeout_s=8,
)
"""Every wait of the saga in seconds instead of minutes or days; nothing else differs from production."""
SUPPLIERS = ("duffel", "expedia_rapid", "duffel_cars")
"""Whom a trip is booked from unless a test says otherwise: one of each kind."""
CLOCK_SCALE = 0.01
"""The vendors' look-up lags, minutes in reality."""


def traveller() -> Traveller:
    return Traveller.model_validate(
        {
            "title": "ms",
            "given_name": "Amelia",
            "family_name": "Earhart",
            "gender": "f",
            "date_of_birth": "1987-07-24",
            "email": "amelia@example.com",
            "phone_number": "+442080160509",
        }
    )


@dataclass
class Trip:
    """One booking under test."""

    booking_id: str
    correlation_id: str
    plan: BookingInput
    booking: StoredBooking
    handle: WorkflowHandle[Any, BookingResult] | None = None


@dataclass
class House:
    """The house without its API: stores, gateways, a Temporal client; workers are started by the tests."""

    settings: Settings
    database: Database
    valkey: Valkey
    vendors: Vendors
    client: Client
    sandbox: httpx.AsyncClient
    client_id: str
    stack: Stack
    counter: int = 0

    @asynccontextmanager
    async def worker(
        self, vendors: Vendors | None = None, *, temporal: Any = None, sandboxed: bool = True, **options: Any
    ) -> AsyncGenerator[Worker]:
        """A worker in this process, perhaps with vendors, or a Temporal client of its activities, that misbehave. `sandboxed`: what
        the sandbox of workflows guards against; where there are hundreds of them it would be most of the time."""
        defaults: dict[str, Any] = {"interceptors": [ObservedActivities()], "max_cached_workflows": 500}
        async with Worker(
            self.client,
            task_queue=TASK_QUEUE,
            workflows=WORKFLOWS,
            activities=all_activities(
                self.settings, self.database, self.valkey, vendors or self.vendors, temporal or self.client
            ),
            workflow_runner=workflow_runner(self.settings) if sandboxed else UnsandboxedWorkflowRunner(),
            **{**defaults, **options},
        ) as worker:
            yield worker

    async def fault(self, **rule: Any) -> None:
        answer = await self.sandbox.post("/_sandbox/faults", json=rule)
        assert answer.status_code == 201, answer.text

    async def books(self, contains: str) -> dict[str, Any]:
        return (await self.sandbox.get("/_sandbox/books", params={"contains": contains})).json()

    async def ledger(self, contains: str) -> list[dict[str, Any]]:
        return (await self.sandbox.get("/_sandbox/ledger", params={"contains": contains})).json()

    async def prepare(
        self,
        *,
        kinds: tuple[str, ...] = ("flight", "hotel", "car"),
        suppliers: tuple[str, ...] = SUPPLIERS,
        payment_method: str = "pm_card_visa",
        payment_provider: str = "stripe",
        backup: tuple[str, str] | None = None,
        optional: tuple[str, ...] = (),
        tolerance_percent: int = 0,
        hold: bool = True,
        like: str | None = None,
        dearer: bool = False,
        substitution: Substitution = "never",
        policy: SagaPolicy | None = None,
        leaves_in_days: int = 30,
    ) -> Trip:
        """Finds offers and stores a booking of them, as the API does. `like`: only such as this supplier also has, for no more
        (or only for more)."""
        self.counter += 1
        start = datetime.now(UTC).date() + timedelta(days=leaves_in_days)
        correlation_id = f"case-{self.counter}-{new_id('x')[-10:]}"
        request = SearchRequest.model_validate(
            {"origin": "LHR", "destination": "LIS", "departure_date": start, "return_date": start + timedelta(days=4)}
        )
        found = await asyncio.gather(
            *(
                supplier.search(request, correlation_id)
                for supplier in self.vendors.suppliers()
                if supplier.kind in kinds and supplier.code in suppliers
            )
        )
        chosen = []
        for options in found:
            wanted = [option for option in options if option.offer.holdable == hold or option.offer.kind == "car"]
            if like is not None:
                wanted = equal_offers(wanted, await self.vendors.supplier(like).search(request, correlation_id), dearer)
            chosen.append(wanted[0])
        return await self.keep(
            chosen,
            request,
            correlation_id,
            optional=optional,
            tolerance_percent=tolerance_percent,
            policy=policy,
            payment_method=payment_method,
            payment_provider=payment_provider,
            backup_payment_provider=backup[0] if backup else None,
            backup_payment_method=backup[1] if backup else None,
            substitution=substitution,
        )

    async def keep(
        self,
        chosen: list[FoundOffer],
        request: SearchRequest,
        correlation_id: str,
        *,
        client_id: str | None = None,
        optional: tuple[str, ...] = (),
        tolerance_percent: int = 0,
        policy: SagaPolicy | None = None,
        **paid: Any,
    ) -> Trip:
        """Stores a booking of these offers, as the API does. `paid`: more of `NewBooking`."""
        client_id = client_id or self.client_id
        booking_id = booking_id_for(client_id, correlation_id)
        price = total((option.offer.price for option in chosen), "EUR")
        limit = Money(amount_minor=price.amount_minor * (100 + tolerance_percent) // 100, currency="EUR")
        new = NewBooking(
            booking_id=booking_id,
            client_id=client_id,
            idempotency_key=correlation_id,
            fingerprint=b"test",
            correlation_id=correlation_id,
            items=[
                NewItem(
                    item_no=number,
                    client_reference=item_reference(booking_id, number, 0),
                    offer=option.offer,
                    supplier_state=option.supplier_state,
                    version=option.version,
                    search_request=request,
                    required=option.offer.kind not in optional,
                )
                for number, option in enumerate(chosen, 1)
            ],
            travellers=[traveller()],
            total=price,
            consent_limit=limit,
            **{"payment_method": "pm_card_visa", "payment_provider": "stripe", **paid},
        )
        async with self.database.transaction() as connection:
            for entry in chosen:
                await offers.save(connection, client_id, [entry])
            assert await bookings.create(connection, new)
            stored = await bookings.get(connection, booking_id)
        assert stored is not None
        plan = booking_input(stored, self.vendors, policy or self.settings.saga)
        return Trip(booking_id, correlation_id, plan, stored)

    async def start(self, trip: Trip) -> WorkflowHandle[Any, BookingResult]:
        await start_booking(self.client, self.database, trip.booking, trip.plan)
        trip.handle = self.client.get_workflow_handle(workflow_id_for(trip.booking_id), result_type=BookingResult)
        return trip.handle

    async def stored(self, booking_id: str) -> StoredBooking:
        async with self.database.read() as connection:
            booking = await bookings.get(connection, booking_id)
        assert booking is not None
        return booking


def equal_offers(mine: list[FoundOffer], theirs: list[FoundOffer], dearer: bool) -> list[FoundOffer]:
    """Those that the other supplier has too, at its best price for no more, or only for more."""
    best: dict[str, int] = {}
    for found in theirs:
        key, price_minor = found.offer.equal_key(), found.offer.price.amount_minor
        if not any(
            found.offer.refundable < option.offer.refundable for option in mine if option.offer.equal_key() == key
        ):
            best[key] = min(price_minor, best.get(key, price_minor))
    shared = [option for option in mine if option.offer.equal_key() in best]
    return [option for option in shared if (best[option.offer.equal_key()] > option.offer.price.amount_minor) == dearer]


@asynccontextmanager
async def running_house(
    data: Path, workers: int = 0, *, api: bool = False, more: Mapping[str, str] | None = None
) -> AsyncGenerator[House]:
    """Real PostgreSQL, Valkey, Temporal and the sandbox; workers as processes of their own, or by default from the tests. `more`
    variables for all processes."""
    waits = {
        f"TRAVELHUB_SAGA__{name.upper()}": str(value) for name, value in FAST.model_dump(exclude_unset=True).items()
    }
    environment = {
        **waits,
        "TRAVELHUB_VENDOR_CLOCK_SCALE": str(CLOCK_SCALE),
        "TRAVELHUB_VENDOR_TIMEOUT_S": "5",
        "TRAVELHUB_OUTBOUND__CIRCUIT_MIN_CALLS": "1000000",  # here vendors fail more often than any circuit would bear
        "TRAVELHUB_WORKER_STICKY_TIMEOUT_S": "1",
        **(more or {}),
    }
    async with running_stack(data, workers=workers, api=api, environment=environment) as stack:
        settings = stack.settings()
        database = Database(str(settings.database_url), 20)
        valkey = Valkey(str(settings.valkey_url))
        vendors = build_vendors(settings)
        client = await temporal_connection(settings)
        async with httpx.AsyncClient(base_url=str(settings.sandbox_url), timeout=10) as sandbox:
            client_id = await ensure_client(database, name="saga-tests", scopes=[], token=new_id("token"))
            try:
                yield House(settings, database, valkey, vendors, client, sandbox, client_id, stack)
            finally:
                await vendors.aclose()
                await valkey.aclose()
                await database.aclose()
