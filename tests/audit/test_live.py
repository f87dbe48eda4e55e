"""The audit of real books: PostgreSQL, Temporal, a worker and the vendor sandbox, after trips that went well, badly and not at all."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy

from activities.admission import booking_input, start_booking
from gateways.ports import Vendors
from gateways.registry import build_vendors
from sandbox.stack import running_stack
from schema.bookings import TASK_QUEUE, BookingResult, SagaPolicy, workflow_id_for
from schema.money import Money, total
from schema.offers import SearchRequest
from schema.payments import (
    CANCELLATION_WORKFLOW,
    CancellationInput,
    CancellationResult,
    ExecuteCancellation,
    FeeQuote,
    cancellation_workflow_id_for,
)
from schema.references import booking_id_for, item_reference, new_id, payment_id_for
from schema.settings import Settings
from schema.travellers import Traveller
from store import bookings, cases, desk
from store.clients import ensure_client
from store.database import Database
from store.records import NewBooking, NewItem, StoredBooking
from tests.audit.books import PERSON
from workers.audit import BROKEN, CANNOT_LOOK, HOLDS, check, gather, run_audit
from workers.audit.evidence import VendorEvidence
from workers.temporal import temporal_connection

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

POLICY = SagaPolicy(
    step_timeout_s=6, heartbeat_timeout_s=2, retry_initial_s=0.05, find_out_margin_s=1.5, undo_budget_s=2
)


@dataclass
class House:
    settings: Settings
    database: Database
    vendors: Vendors
    client: Client
    client_id: str
    ids: dict[str, str] = field(default_factory=dict)

    async def book(self, name: str) -> StoredBooking:
        """Finds a trip, stores a booking of it as the API does, and starts its saga."""
        start = datetime.now(UTC).date() + timedelta(days=30)
        request = SearchRequest.model_validate(
            {"origin": "LHR", "destination": "LIS", "departure_date": start, "return_date": start + timedelta(days=4)}
        )
        suppliers = [self.vendors.supplier(code) for code in ("duffel", "expedia_rapid", "duffel_cars")]
        found = await asyncio.gather(*(supplier.search(request, name) for supplier in suppliers))
        chosen = [next(one for one in some if one.offer.holdable or one.offer.kind == "car") for some in found]
        booking_id = self.ids[name] = booking_id_for(self.client_id, name)
        price = total((one.offer.price for one in chosen), "EUR")
        new = NewBooking(
            booking_id=booking_id,
            client_id=self.client_id,
            idempotency_key=name,
            fingerprint=b"body",
            correlation_id=f"audit-{name}",
            items=[
                NewItem(
                    item_no=number,
                    client_reference=item_reference(booking_id, number, 0),
                    offer=one.offer.model_copy(update={"offer_id": new_id("off")}),
                    supplier_state=one.supplier_state,
                    required=True,
                )
                for number, one in enumerate(chosen, 1)
            ],
            travellers=[
                Traveller.model_validate({**PERSON, "title": "ms", "gender": "f", "date_of_birth": "1987-07-24"})
            ],
            payment_method="pm_card_visa",
            payment_provider="stripe",
            total=price,
            consent_limit=price,
        )
        async with self.database.transaction() as connection:
            await bookings.create(connection, new)
        stored = await self.stored(name)
        await start_booking(self.client, self.database, stored, booking_input(stored, self.vendors, POLICY))
        return stored

    async def stored(self, name: str) -> StoredBooking:
        async with self.database.read() as connection:
            booking = await bookings.get(connection, self.ids[name])
        assert booking is not None
        return booking

    async def result(self, name: str) -> str:
        workflow_id = workflow_id_for(self.ids[name])
        result = await self.client.get_workflow_handle(workflow_id, result_type=BookingResult).result()
        return result.state

    async def fault(self, name: str, method: str, path: str, **rule: Any) -> None:
        fault = {
            "vendor": "duffel",
            "method": method,
            "path": path,
            "contains": f"audit-{name}",
            "action": "refuse",
            **rule,
        }
        async with httpx.AsyncClient(base_url=str(self.settings.sandbox_url)) as sandbox:
            answer = await sandbox.post("/_sandbox/faults", json=fault)
        assert answer.status_code == 201, answer.text

    async def cancel(self, name: str) -> str:
        """The traveller asks what it costs, and accepts."""
        stored = await self.stored(name)
        plan = booking_input(stored, self.vendors, POLICY)
        cancellation = CancellationInput(
            **plan.model_dump(exclude={"consent", "version", "items"}),
            items=plan.items,
            version=stored.version,
            payment_id=payment_id_for(stored.booking_id, 0),
            payment_generation=0,
            captured=stored.total,
        )
        handle = await self.client.start_workflow(
            CANCELLATION_WORKFLOW,
            cancellation,
            id=cancellation_workflow_id_for(stored.booking_id, stored.version),
            task_queue=TASK_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            result_type=CancellationResult,
        )
        quote: FeeQuote = await handle.execute_update("quote", result_type=FeeQuote)
        await handle.execute_update("execute", ExecuteCancellation(fee=quote.fee))
        return (await handle.result()).state

    async def change(self, statement: str, name: str) -> None:
        """Falsifies our books."""
        async with self.database.transaction() as connection:
            await connection.execute(text(statement), {"id": self.ids[name]})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A stack with four trips: one booked, one undone, one cancelled for a fee, one that needs an operator."""
    directory = tmp_path_factory.mktemp("audit")
    _let_servers_pass(directory)
    environment = {"TRAVELHUB_VENDOR_CLOCK_SCALE": "0.01", "TRAVELHUB_RAPID_SECRET": "sandbox-rapid-secret"}
    async with running_stack(directory, workers=1, api=False, environment=environment) as stack:
        settings = stack.settings()
        database, vendors = Database(str(settings.database_url), 5), build_vendors(settings)
        client = await temporal_connection(settings)
        client_id = await ensure_client(database, name="audit-tests", scopes=[], token=new_id("token"))
        here = House(settings, database, vendors, client, client_id)
        try:
            await _book_trips(here)
            yield here
        finally:
            await vendors.aclose()
            await database.aclose()


def _let_servers_pass(directory: Path) -> None:
    """PostgreSQL's own user must reach its data when we are root."""
    for parent in (directory, *directory.parents):
        if os.geteuid() == 0 and parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)


async def _book_trips(here: House) -> None:
    await here.fault("failed", "POST", "/cars/bookings$")
    await here.fault("stuck", "POST", "/cars/bookings$")
    await here.fault("stuck", "POST", "/air/order_cancellations", action="server_error", status=503, times=None)
    for name in ("happy", "failed", "stuck", "cancelled"):
        await here.book(name)
    assert [await here.result(name) for name in ("happy", "failed", "cancelled")] == [
        "CONFIRMED",
        "FAILED",
        "CONFIRMED",
    ]
    assert await here.cancel("cancelled") == "CANCELLED"
    async with asyncio.timeout(60):
        while (await here.stored("stuck")).state != "NEEDS_OPERATOR":  # noqa: ASYNC110  # it is another process that decides
            await asyncio.sleep(0.2)


async def test_the_books_of_real_trips_agree(house: House):
    evidence = await gather(house.settings, policy=POLICY)
    report = check(evidence)
    assert report.violations == []
    assert {finding.number: finding.not_checked for finding in report.findings if finding.not_checked} == {}
    assert [finding.number for finding in report.findings if not finding.checked] == []
    assert report.looked_at["bookings"] == len(house.ids)
    # How many notices have been told of them by now is the follow-ups' business.
    kinds = Counter(answer.workflow_id.partition("-")[0] for answer in evidence.answers or ())
    assert (kinds["booking"], kinds["cancel"]) == (len(house.ids), 1)
    assert report.looked_at["workflow histories"] == kinds.total()


async def test_one_booking_alone(house: House):
    evidence = await gather(house.settings, [house.ids["happy"]], policy=POLICY, histories=0)
    assert list(evidence.by_booking) == [house.ids["happy"]]
    assert {line.status for line in evidence.vendors.reservations} == {"confirmed"}
    assert evidence.answers is None
    assert check(evidence).violations == []


async def test_vendors_without_books_are_asked_by_reference(house: House):
    real = house.settings.model_copy(update={"sandbox_url": None})
    evidence = await gather(real, policy=POLICY)
    report = check(evidence)
    assert report.violations == []
    assert evidence.vendors.unseen == [], "a car that was refused has no id to ask for, and is known to be nowhere"
    assert evidence.vendors.effects is None
    both = {line.object_id: line.status for line in (await gather(house.settings)).vendors.reservations}
    assert {line.object_id: line.status for line in evidence.vendors.reservations} == both


async def test_what_a_vendor_cannot_be_asked_is_said(house: House):
    forget = "UPDATE booking_items SET provider_booking_ref = {} WHERE booking_id = :id AND kind = 'car'"
    stored = next(item.provider_booking_ref for item in (await house.stored("happy")).items if item.kind == "car")
    await house.change(forget.format("NULL"), "happy")
    try:
        evidence = await gather(house.settings.model_copy(update={"sandbox_url": None}), policy=POLICY)
    finally:
        await house.change(forget.format(f"'{stored}'"), "happy")
    assert house.ids["happy"] in {unseen.booking_id for unseen in evidence.vendors.unseen}
    assert any("duffel_cars did not show 1 of ours" in note for note in evidence.notes)
    assert check(evidence).violations == []


async def test_the_command_tells_and_its_exit_code_says_it(house: House, capsys: pytest.CaptureFixture[str]):
    assert await asyncio.to_thread(run_audit, house.settings, as_json=False) == HOLDS
    assert capsys.readouterr().out.rstrip().endswith("invariants hold over 4 bookings.")
    raise_price = "UPDATE booking_items SET price_minor = price_minor {} 1 WHERE booking_id = :id AND kind = 'flight'"
    await house.change(raise_price.format("+"), "happy")
    try:
        assert await asyncio.to_thread(run_audit, house.settings, as_json=True) == BROKEN
    finally:
        await house.change(raise_price.format("-"), "happy")
    document = json.loads(capsys.readouterr().out)
    assert not document["holds"]
    broken = {each["number"]: each["violations"] for each in document["invariants"] if not each["holds"]}
    assert list(broken) == [12]
    assert broken[12][0]["booking_id"] == house.ids["happy"]


async def test_what_operators_write_is_read_too(house: House):
    """A proposal is no decision, and its note is nowhere but in the desk's record."""
    async with house.database.transaction() as connection:
        (case,) = await cases.of_booking(connection, house.ids["stuck"])
        said = {"operator": "op", "action": "write_off", "note": f"{PERSON['family_name']} rang again"}
        line = desk.NewAction.model_validate({"case_id": case.case_id, "kind": "proposed", "key": "leak", **said})
        await desk.append(connection, line, lasts_s=60)
    try:
        for booking_ids in (None, [house.ids["stuck"]]):
            report = check(await gather(house.settings, booking_ids, policy=POLICY, histories=0))
            assert [(found.invariant, found.booking_id) for found in report.violations] == [(18, house.ids["stuck"])]
        assert case.case_id in report.violations[0].text
    finally:
        async with house.database.transaction() as connection:
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
            await connection.execute(text("DELETE FROM desk_actions WHERE key = 'leak'"))


async def test_a_database_that_is_away_is_said_in_words(house: House, capsys: pytest.CaptureFixture[str]):
    nowhere = house.settings.model_copy(update={"database_url": "postgresql+psycopg://nobody@127.0.0.1:1/none"})
    assert await asyncio.to_thread(run_audit, nowhere, as_json=False) == CANNOT_LOOK
    assert "the books cannot be read" in capsys.readouterr().err


async def test_temporal_may_be_away(house: House):
    evidence = await gather(house.settings.model_copy(update={"temporal_address": "127.0.0.1:1"}), policy=POLICY)
    assert evidence.answers is None
    assert any("Temporal is away" in note for note in evidence.notes)
    assert check(evidence).violations == []


async def test_money_is_compared_with_what_was_stored(house: House):
    evidence = await gather(house.settings, policy=POLICY, histories=0)
    for payment in evidence.vendors.payments:
        booking = evidence.by_booking[payment.booking_id or ""].booking
        assert payment.authorised_minor == booking.total_minor
        assert Money(amount_minor=payment.captured_minor, currency=payment.currency).amount_minor in (
            0,
            booking.total_minor,
        )


async def test_vendors_that_have_nothing_contradict_real_books(house: House):
    """What the audit says of real books rests on the vendors': without them neither the fee nor what is booked adds up."""
    evidence = await gather(house.settings, policy=POLICY, histories=0)
    assert check(replace(evidence, vendors=VendorEvidence())).broken() == {2, 12}
