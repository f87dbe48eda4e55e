"""Dead letters: what fails too often ends there with its cause, and operators look into it, hand it over again, repair or drop it."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from fastapi import FastAPI
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from structlog.testing import capture_logs
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.sweeping import Sweeping, SweepInput
from api.app import create_app
from schema.bookings import workflow_id_for
from schema.dead_letters import NEVER_OWNED, UNREADABLE, Failure, NewDeadLetter
from schema.model import Message
from schema.references import booking_id_for, payment_id_for
from schema.settings import Settings
from schema.tables import dead_letters as letters_table
from schema.tables import desk_actions, inbox, refunds
from store import dead_letters, payments
from store.database import Database
from store.inbox import InboxMessage
from store.valkey import Valkey
from tests.api.conftest import Booking, Caller, Minting, running, speak
from tests.api.fakes import SIGNATURE, FakeVendors

PATH = "/v1/ops/dead-letters"
SWEEP = SweepInput(older_than_s=0)


class Heard(Message):
    """A booking whose payment waits for the customer, and what its workflow has heard."""

    booking_id: str
    payment_id: str


@pytest_asyncio.fixture(loop_scope="session")
async def booking(caller: Caller, book: Booking, database: Database) -> Heard:
    booking_id = str((await book(caller))["booking_id"])
    payment_id = payment_id_for(booking_id, 0)
    async with database.transaction() as connection:
        await payments.ensure(connection, payment_id, booking_id, 0, "stripe", "EUR")
        await payments.action_required(connection, payment_id, f"pi_{booking_id}")
    return Heard(booking_id=booking_id, payment_id=payment_id)


@pytest.fixture
def heard(temporal: Client) -> Callable:
    async def ask(booking: Heard) -> list[str]:
        return await temporal.get_workflow_handle(workflow_id_for(booking.booking_id)).query("heard")

    return ask


@pytest_asyncio.fixture(loop_scope="session")
async def sweeping(
    database: Database, vendors: FakeVendors, temporal: Client, settings: Settings
) -> AsyncIterator[Sweeping]:
    valkey = Valkey(str(settings.valkey_url))
    yield Sweeping(database, valkey, vendors, temporal, settings)  # pyright: ignore[reportArgumentType]
    await valkey.aclose()


@pytest.fixture
def bury(database: Database) -> Callable:
    """Keeps a letter of a vendor of its own, or as told; returns its id."""

    async def make(**changes: object) -> str:
        told = {
            "vendor": "stripe",
            "event_id": f"evt_{uuid4().hex}",
            "type": "charge.refunded",
            "failure": Failure(cause=UNREADABLE, detail="no event"),
        }
        new = NewDeadLetter.model_validate(told | changes)
        async with database.transaction() as connection:
            await dead_letters.add(connection, new)
            query = select(letters_table.c.id).where(letters_table.c.event_id == new.event_id)
            return str(await connection.scalar(query))

    return make


async def _shown(caller: Caller, letter_id: str) -> dict:
    answer = await caller.get(f"{PATH}/{letter_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_three_failures_bury_a_message_and_a_replay_digs_it_out(
    app: FastAPI, caller: Caller, booking: Heard, heard, database: Database, sweeping: Sweeping
) -> None:
    """A refund whose key nobody can read: every look at who waits fails on it."""
    broken = {"key": "not-a-key", "payment_id": booking.payment_id, "status": "began"}
    async with database.transaction() as connection:
        await connection.execute(insert(refunds).values(**broken, amount_minor=1, currency="EUR"))
    event = {"event_id": f"evt_{uuid4().hex}", "type": "charge.refunded"} | booking.model_dump()
    async with speak(app) as http:
        await http.post("/v1/webhooks/stripe", json=event, headers={"Stripe-Signature": SIGNATURE})
    for failures in (1, 2):
        async with database.read() as connection:
            kept = (await connection.execute(select(inbox).where(inbox.c.event_id == event["event_id"]))).one()
        assert (kept.failures, kept.handled_at) == (failures, None)
        await sweeping.sweep_admissions(SWEEP)
    (found,) = [
        letter
        for letter in (await caller.get(f"{PATH}?cause=handing_over_failed&vendor=stripe&limit=200")).json()[
            "dead_letters"
        ]
        if letter["event_id"] == event["event_id"]
    ]
    assert (found["failures"], found["detail"], found["payment_id"]) == (3, "ValueError", booking.payment_id)
    assert found["first_failed_at"] < found["last_failed_at"]
    replay = f"{PATH}/{found['dead_letter_id']}/replay"
    again = await caller.post(replay, {})
    assert (again.json()["status"], again.json()["failures"]) == ("waiting", 4)
    async with database.transaction() as connection:
        await connection.execute(delete(refunds).where(refunds.c.key == "not-a-key"))
    assert await heard(booking) == []
    first, second = [await caller.post(replay, {"note": "the key is mended"}, key="replay-it-once") for _ in range(2)]
    assert (first.status_code, first.json()["status"], first.json()["failures"]) == (200, "resolved", 4), first.text
    assert second.json() == first.json()
    assert await heard(booking) == [event["event_id"]]
    shown = await _shown(caller, found["dead_letter_id"])
    assert [(line["action"], line["kind"]) for line in shown["actions"]] == [
        ("replay", "decided"),
        ("replay", "refused"),
        ("replay", "decided"),
        ("replay", "closed"),
    ]
    assert {line["operator"] for line in shown["actions"]} == {caller.name}
    assert shown["actions"][-1]["note"] == "the key is mended"


@pytest.mark.parametrize("target", ["payment_id", "booking_id"])
async def test_a_repair_says_what_a_message_is_about(
    target: str, caller: Caller, booking: Heard, heard, bury, database: Database
) -> None:
    letter_id = await bury()
    aimless = await caller.post(f"{PATH}/{letter_id}/replay", {})
    assert (aimless.json()["status"], aimless.json()["failures"], aimless.json()["cause"]) == ("waiting", 2, UNREADABLE)
    wrong = payment_id_for(booking_id_for("nobody", "nothing"), 0)
    strange = await caller.post(f"{PATH}/{letter_id}/repair", {"payment_id": wrong})
    assert (strange.json()["status"], strange.json()["cause"]) == ("waiting", NEVER_OWNED)
    right = getattr(booking, target)
    repaired = await caller.post(f"{PATH}/{letter_id}/repair", {target: right, "note": "asked the provider"})
    assert repaired.json()["status"] == "resolved", repaired.text
    shown = await _shown(caller, letter_id)
    assert [shown["payment_id"], shown["booking_id"]].count(None) == 1
    assert await heard(booking) == [shown["event_id"]]
    assert shown["actions"][-1]["reference"] == right
    settled = await caller.post(f"{PATH}/{letter_id}/repair", {target: right})
    assert (settled.status_code, settled.json()["code"]) == (409, "dead_letter_settled")


@pytest.mark.parametrize("body", [{}, {"subject": "ord_1"}, {"payment_id": "pay_x"}, {"unknown": 1}])
async def test_a_repair_that_names_nothing_usable_is_refused(body, caller: Caller, bury) -> None:
    letter_id = await bury()
    answer = await caller.post(f"{PATH}/{letter_id}/repair", body)
    assert answer.status_code == 422, answer.text
    assert (await _shown(caller, letter_id))["actions"] == []


async def test_a_letter_is_dropped_with_a_note_once(caller: Caller, bury, database: Database) -> None:
    letter_id = await bury()
    for silent in ({}, {"note": ""}, {"note": " "}):
        assert (await caller.post(f"{PATH}/{letter_id}/drop", silent)).status_code == 422
    dropped = await caller.post(f"{PATH}/{letter_id}/drop", {"note": "a test of theirs"})
    assert (dropped.status_code, dropped.json()["status"]) == (200, "dropped")
    for again in ("drop", "replay"):
        refused = await caller.post(f"{PATH}/{letter_id}/{again}", {"note": "twice"})
        assert (refused.status_code, refused.json()["code"]) == (409, "dead_letter_settled")
    shown = await _shown(caller, letter_id)
    assert await bury(event_id=shown["event_id"]) == letter_id
    assert await _shown(caller, letter_id) == shown, "what is settled stays as it is, however often it comes"
    assert [(line["kind"], line["action"], line["note"]) for line in shown["actions"]] == [
        ("closed", "drop", "a test of theirs")
    ]
    for change in (update(desk_actions).values(note="other"), delete(desk_actions)):
        with pytest.raises(IntegrityError, match="append-only"):
            async with database.transaction() as connection:
                await connection.execute(change.where(desk_actions.c.dead_letter_id == letter_id))


async def test_a_letter_of_a_kind_that_is_not_known_is_left_to_those_who_know_it(caller: Caller, bury) -> None:
    letter_id = await bury(kind="delivery")
    answer = await caller.post(f"{PATH}/{letter_id}/drop", {"note": "away with it"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_while_temporal_is_away_nothing_is_counted_and_the_same_key_works_later(
    app: FastAPI, settings: Settings, vendors: FakeVendors, mint: Minting, booking: Heard, heard, bury
) -> None:
    letter_id = await bury(payment_id=booking.payment_id)
    away = settings.model_copy(update={"temporal_address": "127.0.0.1:1"})
    async with running(create_app(away, vendors)) as without_temporal:
        operator = await mint(of=without_temporal)
        refused = await operator.post(f"{PATH}/{letter_id}/replay", {}, key="again-and-again")
    assert (refused.status_code, refused.json()["code"]) == (503, "service_unavailable")
    async with speak(app, operator.token) as http:
        same = await http.post(f"{PATH}/{letter_id}/replay", json={}, headers={"Idempotency-Key": "again-and-again"})
    assert (same.json()["status"], same.json()["failures"]) == ("resolved", 1)
    assert len(await heard(booking)) == 1


@pytest.mark.parametrize(
    ("status", "counts"),
    [(RPCStatusCode.UNAVAILABLE, False), (RPCStatusCode.RESOURCE_EXHAUSTED, False), (RPCStatusCode.UNAUTHENTICATED, False),
     (RPCStatusCode.INVALID_ARGUMENT, True)],
)  # fmt: skip
async def test_what_temporal_says_of_a_message_counts_and_what_it_says_of_itself_does_not(
    status, counts, booking: Heard, database: Database, sweeping: Sweeping, monkeypatch
) -> None:
    message = InboxMessage(vendor="stripe", event_id=f"evt_{uuid4().hex}", type="x", **booking.model_dump())

    async def refuse(*_: object, **__: object) -> None:
        raise RPCError("told by Temporal", status, b"")

    monkeypatch.setattr("temporalio.client.WorkflowHandle.signal", refuse)
    async with database.transaction() as connection:
        await connection.execute(insert(inbox).values(message.model_dump()))
    await sweeping.sweep_admissions(SWEEP)
    async with database.transaction() as connection:
        mine = inbox.c.event_id == message.event_id
        kept = (await connection.execute(select(inbox).where(mine))).one()
        await connection.execute(update(inbox).where(mine).values(handled_at=func.now()))
    assert (kept.handled_at, kept.failures) == (None, int(counts))


async def test_letters_are_listed_page_by_page_and_by_what_is_asked(caller: Caller, bury) -> None:
    vendor = f"vendor_{uuid4().hex[:8]}"
    first = datetime.now(UTC) - timedelta(days=2)
    made = [await bury(vendor=vendor, first_failed_at=first + timedelta(minutes=number)) for number in range(5)]
    strange = await bury(vendor=vendor, failure=Failure(cause=NEVER_OWNED, detail="-"))
    await caller.post(f"{PATH}/{made[4]}/drop", {"note": "done"})
    seen, cursor = [], ""
    while cursor is not None:
        page = (await caller.get(f"{PATH}?vendor={vendor}&limit=2{cursor}")).json()
        seen += [letter["dead_letter_id"] for letter in page["dead_letters"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert seen == [*made[:4], strange]

    async def asked(query: str) -> list[str]:
        found = (await caller.get(f"{PATH}?vendor={vendor}&{query}")).json()["dead_letters"]
        return [letter["dead_letter_id"] for letter in found]

    assert await asked("cause=never_owned") == [strange]
    assert await asked("status=dropped") == [made[4]]
    assert await asked("status=resolved") == await asked("kind=delivery") == []
    assert await asked("status=all") == [*made, strange]
    bad = await caller.get(f"{PATH}?cursor=bm90aGluZw==")
    assert (bad.status_code, bad.json()["code"]) == (400, "malformed_cursor")


async def test_what_is_not_there_and_what_is_no_id(caller: Caller) -> None:
    missing = f"{PATH}/dl_{booking_id_for('nobody', 'nothing')}"
    answers = [await caller.get(missing), await caller.post(f"{missing}/replay", {}), await caller.get(f"{PATH}/dl_x")]
    codes = [(answer.status_code, answer.json()["code"]) for answer in answers]
    assert codes == [(404, "not_found"), (404, "not_found"), (404, "malformed_id")]


async def test_who_may_look_may_not_decide(mint: Minting, bury) -> None:
    letter_id, watcher = await bury(), await mint(["ops:read"])
    assert (await watcher.get(PATH)).status_code == 200
    for what in ("replay", "repair", "drop"):
        refused = await watcher.post(f"{PATH}/{letter_id}/{what}", {"note": "please"})
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")


async def test_nothing_of_a_body_is_kept(app: FastAPI, database: Database) -> None:
    secret = f"amelia-{uuid4().hex}"
    with capture_logs() as logs:
        async with speak(app) as http:
            for event in ({"payer": secret}, {"event_id": "e" * 300 + secret, "type": secret * 20, "payer": secret}):
                body = {"booking_id": None, "payment_id": None} | event
                assert (
                    await http.post("/v1/webhooks/stripe", json=body, headers={"Stripe-Signature": SIGNATURE})
                ).status_code == 200
    assert secret not in json.dumps(logs, default=str)
    everywhere = text("SELECT count(*) FROM dead_letters l WHERE l::text LIKE :secret")
    async with database.read() as connection:
        assert await connection.scalar(everywhere, {"secret": f"%{secret}%"}) == 0


async def test_many_of_them_are_an_alarm(bury, sweeping: Sweeping) -> None:
    for _ in range(11):
        await bury()
    with capture_logs() as logs:
        result = await sweeping.sweep_admissions(SWEEP)
    (alarm,) = [line for line in logs if line["event"] == "dead_letters_waiting"]
    assert (alarm["log_level"], alarm["count"]) == ("warning", result.dead_letters)
    assert result.dead_letters >= 11


async def test_few_of_them_are_none(database: Database, sweeping: Sweeping) -> None:
    async with database.transaction() as connection:
        waiting = letters_table.c.settled_at.is_(None)
        await connection.execute(
            update(letters_table).where(waiting).values(settled_at=func.now(), settled_as="dropped")
        )
    with capture_logs() as logs:
        assert (await sweeping.sweep_admissions(SWEEP)).dead_letters == 0
    assert [line for line in logs if line["event"] == "dead_letters_waiting"] == []
