"""Booking: stored and started once, whatever is repeated; readable afterwards; waited for on request."""

import asyncio

from sqlalchemy import delete
from temporalio.client import Client

from api.app import create_app
from api.booking_checks import consent_limit
from schema.bookings import StateChange, workflow_id_for
from schema.money import Money
from schema.settings import Settings
from schema.states import BookingState
from schema.tables import offers
from store import bookings
from store.database import Database
from tests.api.conftest import Booking, Caller, Minting, booking_body, running, saved_offers


async def test_a_trip_is_stored_and_its_saga_started(caller: Caller, database: Database, temporal: Client) -> None:
    found = await saved_offers(database, caller.client_id)
    answer = await caller.post("/v1/bookings", booking_body(found, price_tolerance_percent=5))
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert answer.headers["location"] == f"/v1/bookings/{body['booking_id']}"
    assert body["state"] == "PENDING"
    assert body["total"] == {"amount_minor": 30_000, "currency": "EUR"}
    assert body["consent_limit"] == {"amount_minor": 31_500, "currency": "EUR"}
    assert [item["kind"] for item in body["items"]] == ["flight", "hotel", "car"]
    assert "tok" not in answer.text
    assert "Lovelace" not in answer.text
    described = await temporal.get_workflow_handle(workflow_id_for(body["booking_id"])).describe()
    assert described.status is not None
    async with database.read() as connection:
        stored = await bookings.get(connection, body["booking_id"])
    assert stored is not None
    assert stored.workflow_started_at is not None
    assert stored.items[0].client_reference.startswith(body["booking_id"])


async def test_what_is_answered_is_what_is_read_later(caller: Caller, book: Booking) -> None:
    made = await book(caller)
    read = (await caller.get(f"/v1/bookings/{made['booking_id']}")).json()
    assert read == made


async def test_a_repeat_answers_the_same_booking(caller: Caller, database: Database) -> None:
    found = await saved_offers(database, caller.client_id)
    body = booking_body(found)
    first = await caller.post("/v1/bookings", body, key="the-same-key")
    assert "idempotent-replayed" not in first.headers
    # The same JSON, written differently.
    second = await caller.post("/v1/bookings", dict(reversed(body.items())), key="the-same-key")
    assert second.status_code == 202
    assert second.headers["idempotent-replayed"] == "true"
    assert second.json() == first.json()


async def test_many_at_once_make_one_booking(caller: Caller, database: Database) -> None:
    body = booking_body(await saved_offers(database, caller.client_id))
    answers = await asyncio.gather(*(caller.post("/v1/bookings", body, key="all-at-once") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["booking_id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


async def test_another_body_under_the_key_is_refused(caller: Caller, database: Database) -> None:
    found = await saved_offers(database, caller.client_id)
    first = await caller.post("/v1/bookings", booking_body(found), key="one-key-two-bodies")
    second = await caller.post("/v1/bookings", booking_body(found[:1]), key="one-key-two-bodies")
    assert first.status_code == 202
    assert (second.status_code, second.json()["code"]) == (422, "idempotency_key_reused")
    assert second.json()["field"] == "Idempotency-Key"


async def test_the_same_key_of_two_clients_makes_two_bookings(mint: Minting, database: Database) -> None:
    ids = set()
    for caller in (await mint(), await mint()):
        found = await saved_offers(database, caller.client_id)
        answer = await caller.post("/v1/bookings", booking_body(found), key="a-popular-key")
        ids.add(answer.json()["booking_id"])
    assert len(ids) == 2


async def test_a_repeat_outlives_its_offers(caller: Caller, database: Database) -> None:
    found = await saved_offers(database, caller.client_id)
    first = await caller.post("/v1/bookings", booking_body(found), key="offers-go-away")
    async with database.transaction() as connection:
        await connection.execute(delete(offers).where(offers.c.client_id == caller.client_id))
    second = await caller.post("/v1/bookings", booking_body(found), key="offers-go-away")
    assert (second.status_code, second.json()) == (202, first.json())


async def _move(database: Database, booking_id: str, *states: BookingState, waiting_for: str | None = None) -> None:
    for version, state in enumerate(states, start=1):
        async with database.transaction() as connection:
            change = StateChange(booking_id=booking_id, version=version, state=state, waiting_for=waiting_for)
            await bookings.record(connection, change)


async def _book_and_wait(caller: Caller, database: Database, *states: BookingState, wait: str = "wait=20", **move: str):
    """Books with Prefer, and moves the booking as soon as it is there."""
    found = await saved_offers(database, caller.client_id)
    pending = asyncio.create_task(caller.post("/v1/bookings", booking_body(found), Prefer=wait))
    while True:
        async with database.read() as connection:
            page = await bookings.page(connection, caller.client_id, 1, None)
        if page.bookings:
            break
    await _move(database, page.bookings[0].booking_id, *states, **move)
    return await pending


async def test_prefer_wait_answers_when_it_is_settled(caller: Caller, database: Database) -> None:
    answer = await _book_and_wait(
        caller, database, BookingState.AWAITING_PAYMENT, BookingState.RESERVING, BookingState.CONFIRMED
    )
    assert answer.status_code == 200
    assert answer.json()["state"] == "CONFIRMED"
    assert answer.headers["preference-applied"] == "wait"


async def test_prefer_wait_answers_when_the_traveller_is_needed(caller: Caller, database: Database) -> None:
    answer = await _book_and_wait(
        caller,
        database,
        BookingState.AWAITING_PAYMENT,
        waiting_for="customer: 3-D Secure",
        wait="respond-async, wait=20",
    )
    assert answer.status_code == 202
    assert answer.json()["waiting_for"] == "customer: 3-D Secure"


async def test_prefer_wait_ends_when_its_time_is_up(caller: Caller, database: Database) -> None:
    found = await saved_offers(database, caller.client_id)
    answer = await caller.post("/v1/bookings", booking_body(found), Prefer="wait=0")
    assert (answer.status_code, answer.json()["state"]) == (202, "PENDING")


async def test_a_preference_that_cannot_be_read_is_ignored(caller: Caller, database: Database) -> None:
    found = await saved_offers(database, caller.client_id)
    answer = await caller.post("/v1/bookings", booking_body(found), Prefer="wait=soon")
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


async def test_live_adds_the_workflows_word(caller: Caller, book: Booking) -> None:
    made = await book(caller)
    read = (await caller.get(f"/v1/bookings/{made['booking_id']}?live=true")).json()
    assert read["live"]["waiting_for"] == "traveller"
    assert read["live_unavailable"] is None


async def test_pages_go_from_the_newest_to_the_oldest(caller: Caller, book: Booking) -> None:
    made = [str((await book(caller))["booking_id"]) for _ in range(5)]
    first = (await caller.get("/v1/bookings?limit=2")).json()
    second = (await caller.get(f"/v1/bookings?limit=2&cursor={first['next_cursor']}")).json()
    third = (await caller.get(f"/v1/bookings?limit=2&cursor={second['next_cursor']}")).json()
    listed = [booking["booking_id"] for page in (first, second, third) for booking in page["bookings"]]
    assert listed == made[::-1]
    assert third["next_cursor"] is None


async def test_events_follow_a_booking(caller: Caller, book: Booking, database: Database) -> None:
    made = await book(caller)
    await _move(database, str(made["booking_id"]), BookingState.AWAITING_PAYMENT, BookingState.RESERVING)
    found = (await caller.get(f"/v1/bookings/{made['booking_id']}/events")).json()["events"]
    assert [event["type"] for event in found] == ["booking.pending", "booking.awaiting_payment", "booking.reserving"]
    later = (await caller.get(f"/v1/bookings/{made['booking_id']}/events?after=1")).json()["events"]
    assert [event["version"] for event in later] == [2]


async def test_another_clients_booking_looks_like_none(caller: Caller, book: Booking, mint: Minting) -> None:
    path = f"/v1/bookings/{(await book(caller))['booking_id']}"
    stranger = await mint()
    reads = [await stranger.get(path), await stranger.get(f"{path}/events"), await stranger.get(f"{path}?live=true")]
    writes = [
        await stranger.post(f"{path}/cancellation", {}),
        await stranger.post(f"{path}/price-acceptance", {"total": {"amount_minor": 1, "currency": "EUR"}}),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in reads + writes] == [(404, "not_found")] * 5
    assert (await stranger.get("/v1/bookings")).json()["bookings"] == []


async def test_money_is_never_rounded_up() -> None:
    assert consent_limit(Money(amount_minor=333, currency="EUR"), 5).amount_minor == 349
    assert consent_limit(Money(amount_minor=99_999_999, currency="EUR"), 5).amount_minor == 99_999_999


async def test_the_house_may_allow_less_tolerance(
    settings: Settings, vendors, mint: Minting, database: Database
) -> None:
    strict = create_app(settings.model_copy(update={"price_tolerance_max_percent": 2}), vendors)
    async with running(strict) as app:
        caller = await mint(of=app)
        found = await saved_offers(database, caller.client_id)
        answer = await caller.post("/v1/bookings", booking_body(found, price_tolerance_percent=3))
        assert (answer.status_code, answer.json()["field"]) == (422, "/price_tolerance_percent")
        assert (await caller.post("/v1/bookings", booking_body(found, price_tolerance_percent=2))).status_code == 202
