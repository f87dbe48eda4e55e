"""The desk: a case is shown with all that helps to decide it, and nobody writes off a large sum alone."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import delete
from temporalio.client import Client

from api.app import create_app
from api.desk_links import vendor_url, workflow_url
from schema.bookings import OutstandingEffect, ReviewCase, workflow_id_for
from schema.money import Money
from schema.outcomes import Confirmed, Rejected
from schema.references import item_reference, new_id, payment_id_for
from schema.settings import DeskSettings, Settings
from schema.tables import idempotency_keys
from store import attempts, cases, desk, payments
from store.attempts import NewAttempt
from store.database import Database
from store.desk import NewAction
from store.valkey import answer_key
from tests.api.conftest import Booking, Caller, Minting, running
from tests.api.fakes import FakeVendors

LIMIT_MINOR = 500
WRITE_OFF = {"action": "write_off", "note": "the hotel has gone out of business"}


@pytest_asyncio.fixture(loop_scope="session")
async def app(settings: Settings, vendors: FakeVendors, temporal: Client) -> AsyncIterator[object]:
    """Above five euros it takes two."""
    rules = DeskSettings(write_off_two_person_above_minor={"EUR": LIMIT_MINOR})
    async with running(create_app(settings.model_copy(update={"desk": rules}), vendors)) as opened:
        yield opened


class Cases:
    def __init__(self, database: Database, booking_id: str) -> None:
        self.database = database
        self.booking_id = booking_id
        self.workflow_id = workflow_id_for(booking_id)

    def effect(self, number: int, amount: Money | None, **more: object) -> OutstandingEffect:
        named = {"vendor": "expedia_rapid", "step": "hotel", "reference": f"{self.booking_id}/{number}", "problem": "?"}
        return OutstandingEffect.model_validate({**named, "amount": amount, **more})

    async def open(self, *effects: OutstandingEffect) -> str:
        case = ReviewCase(
            case_id=new_id("case"), workflow_id=self.workflow_id, reason="could not undo", effects=list(effects)
        )
        async with self.database.transaction() as connection:
            await cases.open_case(connection, self.booking_id, case)
        return case.case_id

    async def open_for(self, *minors: int) -> str:
        return await self.open(*(self.effect(number, eur(minor)) for number, minor in enumerate(minors, 1)))


def eur(minor: int) -> Money:
    return Money(amount_minor=minor, currency="EUR")


@pytest_asyncio.fixture(loop_scope="session")
async def opened(caller: Caller, book: Booking, database: Database) -> Cases:
    return Cases(database, str((await book(caller))["booking_id"]))


async def decide(who: Caller, case_id: str, key: str | None = None, **changes: object) -> tuple[int, str]:
    """Status, and the state or the refusal's code."""
    answer = await who.post(f"/v1/ops/cases/{case_id}/resolution", WRITE_OFF | changes, key)
    body = answer.json()
    return answer.status_code, body.get("code") or body["state"]


async def detail(who: Caller, case_id: str) -> dict:
    answer = await who.get(f"/v1/ops/cases/{case_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def told_to(opened: Cases, temporal: Client) -> list[str]:
    return await temporal.get_workflow_handle(opened.workflow_id).query("called")


async def test_two_people_write_off_what_is_above_the_limit(
    caller: Caller, mint: Minting, opened: Cases, temporal: Client
) -> None:
    case_id, second = await opened.open_for(LIMIT_MINOR + 1), await mint(["ops:write", "ops:read"])
    assert await decide(caller, case_id) == (202, "proposed")
    waiting = await detail(caller, case_id)
    assert (waiting["waiting_for"], waiting["proposal"]["operator"]) == ("second_operator", caller.name)
    moments = [datetime.fromisoformat(waiting["proposal"][name]) for name in ("proposed_at", "expires_at")]
    assert moments[1] - moments[0] == timedelta(days=1)
    assert await decide(caller, case_id) == (409, "second_person_needed")
    assert await told_to(opened, temporal) == []

    assert await decide(second, case_id, reference=f"{opened.booking_id}/1") == (200, "COMPENSATING")
    assert await told_to(opened, temporal) == [f"resolve by {caller.name} and {second.name}"]
    lines = (await detail(caller, case_id))["actions"]
    assert [(line["kind"], line["operator"], line["proposed_by"]) for line in lines] == [
        ("proposed", caller.name, None),
        ("decided", second.name, caller.name),
    ]


@pytest.mark.parametrize("action", ["retry", "settled_by_hand", "write_off"])
async def test_one_person_is_enough_for_the_rest(action: str, caller: Caller, opened: Cases, temporal: Client) -> None:
    case_id = await opened.open_for(LIMIT_MINOR if action == "write_off" else LIMIT_MINOR + 1)
    assert await decide(caller, case_id, action=action) == (200, "COMPENSATING")
    assert await told_to(opened, temporal) == [f"resolve by {caller.name}"]


async def test_the_amount_is_that_of_the_effect_that_is_named(caller: Caller, opened: Cases) -> None:
    case_id = await opened.open_for(LIMIT_MINOR + 1, 10)
    assert await decide(caller, case_id) == (422, "effect_not_named")
    assert await decide(caller, case_id, reference="no/such") == (422, "effect_not_named")
    assert await decide(caller, case_id, reference=f"{opened.booking_id}/1") == (202, "proposed")
    assert await decide(caller, case_id, reference=f"{opened.booking_id}/2") == (200, "COMPENSATING")


@pytest.mark.parametrize("amount", [None, Money(amount_minor=1, currency="JPY")])
async def test_what_has_no_limit_takes_two(amount: Money | None, caller: Caller, opened: Cases) -> None:
    """An amount that nobody knows, and a currency that the settings do not name."""
    assert await decide(caller, await opened.open(opened.effect(1, amount))) == (202, "proposed")


async def test_another_effect_is_another_proposal(caller: Caller, mint: Minting, opened: Cases) -> None:
    case_id, second = await opened.open_for(900, 900), await mint(["ops:write"])
    assert await decide(caller, case_id, reference=f"{opened.booking_id}/1") == (202, "proposed")
    assert await decide(second, case_id, reference=f"{opened.booking_id}/2") == (202, "proposed")
    assert await decide(second, case_id, reference=f"{opened.booking_id}/1") == (202, "proposed")
    assert await decide(caller, case_id, reference=f"{opened.booking_id}/1") == (200, "COMPENSATING")


async def test_any_other_decision_replaces_a_proposal(caller: Caller, mint: Minting, opened: Cases) -> None:
    case_id, second = await opened.open_for(900), await mint(["ops:write"])
    assert await decide(caller, case_id) == (202, "proposed")
    assert await decide(second, case_id, action="retry", note="too late") == (409, "case_not_open")
    assert await decide(second, case_id) == (202, "proposed")
    lines = (await detail(caller, case_id))["actions"]
    assert [line["kind"] for line in lines] == ["proposed", "decided", "refused", "proposed"]


async def test_a_proposal_that_has_expired_is_none(caller: Caller, opened: Cases, database: Database) -> None:
    case_id = await opened.open_for(900)
    reference = f"{opened.booking_id}/1"
    line = {"case_id": case_id, "kind": "proposed", "key": new_id("key"), "operator": "ann", "reference": reference}
    async with database.transaction() as connection:
        await desk.append(connection, NewAction.model_validate({**WRITE_OFF, **line}), lasts_s=0)
    assert (await detail(caller, case_id))["waiting_for"] == "operator"
    assert await decide(caller, case_id) == (202, "proposed")


async def test_a_repeat_is_answered_as_before_also_when_its_key_was_lost(
    caller: Caller, opened: Cases, database: Database, valkey_url: str
) -> None:
    case_id, key = await opened.open_for(900), new_id("key")
    assert await decide(caller, case_id, key) == (202, "proposed")
    async with database.transaction() as connection:
        await connection.execute(delete(idempotency_keys).where(idempotency_keys.c.client_id == caller.client_id))
    async with Redis.from_url(valkey_url) as redis:
        await redis.delete(answer_key(caller.client_id, key))
    assert await decide(caller, case_id, key) == (202, "proposed")
    assert len((await detail(caller, case_id))["actions"]) == 1


async def test_a_key_that_was_let_go_does_not_carry_another_decision(caller: Caller, opened: Cases) -> None:
    """A refusal lets go of the key. What it carried then is not what it carries now."""
    case_id, key = await opened.open_for(900), new_id("key")
    assert await decide(caller, case_id, key, action="retry", note="too late") == (409, "case_not_open")
    assert await decide(caller, case_id, key) == (202, "proposed")


async def test_a_case_is_shown_with_all_that_led_to_it(caller: Caller, opened: Cases, database: Database) -> None:
    booking_id, payment_id = opened.booking_id, payment_id_for(opened.booking_id, 0)
    ours = item_reference(booking_id, 2, 0)
    attempt = NewAttempt(
        key=f"{booking_id}:hold-2:0", booking_id=booking_id, step="hold", item_no=2, generation=0,
        vendor="expedia_rapid", reference=ours, request_hash=b"x",
    )  # fmt: skip
    refused = attempt.model_copy(update={"key": f"{booking_id}:book-3:0", "step": "book", "item_no": 3})
    async with database.transaction() as connection:
        for new in (attempt, refused):
            await attempts.begin(connection, new)
        await attempts.finish(connection, attempt.key, Confirmed(provider_reference="itinerary-7"))
        await attempts.finish(connection, refused.key, Rejected(code="sold_out", message="words of the vendor"))
        await payments.ensure(connection, payment_id, booking_id, 0, "stripe", "EUR")
        await payments.authorised(connection, payment_id, eur(900), Confirmed(provider_reference=f"pi_{booking_id}"))
        await payments.captured(connection, payment_id, eur(900))
        await payments.refund_began(connection, f"{booking_id}:refund:0", payment_id, eur(300))
    case_id = await opened.open(
        opened.effect(2, eur(600)),
        opened.effect(0, eur(300), vendor="stripe", step="payment", reference=payment_id),
    )
    shown = await detail(caller, case_id)
    hotel, paid = shown["effects"]
    assert (hotel["our_reference"], hotel["provider_reference"], hotel["vendor_url"]) == (ours, "itinerary-7", None)
    assert (paid["our_reference"], paid["provider_reference"]) == (payment_id, f"pi_{booking_id}")
    assert shown["outstanding"] == [{"amount_minor": 900, "currency": "EUR"}]
    assert [event["state"] for event in shown["events"]] == ["PENDING"]
    assert {(one["step"], one["item_no"], one["status"], one["reason"]) for one in shown["attempts"]} == {
        ("hold", 2, "confirmed", None),
        ("book", 3, "rejected", "sold_out"),
    }
    (payment,) = shown["payments"]
    assert (payment["state"], payment["refunds"][0]["status"]) == ("CAPTURED", "began")
    assert "Lovelace" not in str(shown)


async def test_no_such_case(caller: Caller) -> None:
    missing, malformed = await caller.get("/v1/ops/cases/case-none"), await caller.get("/v1/ops/cases/%20")
    assert [(answer.status_code, answer.json()["code"]) for answer in (missing, malformed)] == [
        (404, "not_found"),
        (404, "malformed_id"),
    ]


async def test_cases_are_found_by_what_they_are_about(caller: Caller, opened: Cases) -> None:
    vendor = f"vendor_{opened.booking_id.lower()}"
    small, large = [await opened.open(opened.effect(1, eur(minor), vendor=vendor)) for minor in (100, 900)]

    async def found(query: str) -> tuple[list[str], str | None]:
        page = (await caller.get(f"/v1/ops/cases?vendor={vendor}{query}")).json()
        return [case["case_id"] for case in page["cases"]], page["next_cursor"]

    assert await found("") == ([small, large], None)
    assert await found("&min_amount_minor=900&reason=COULD%20NOT&older_than_s=0") == ([large], None)
    assert await found("&state=resolved") == ([], None)
    first, cursor = await found("&limit=1")
    assert (first, await found(f"&limit=1&cursor={cursor}")) == ([small], ([large], None))


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("cursor=nonsense", "malformed_cursor"),
        ("state=lost", "invalid_request"),
        ("older_than_s=-1", "invalid_request"),
        ("include_resolved=true", "unknown_field"),
    ],
)
async def test_a_wrong_question_is_refused(query: str, code: str, caller: Caller) -> None:
    answer = await caller.get(f"/v1/ops/cases?{query}")
    assert answer.json()["code"] == code


def test_links_lead_to_the_web_ui_and_to_stripes_dashboard(settings: Settings) -> None:
    real = settings.model_copy(update={"sandbox_url": None})
    live = Settings.model_validate(
        real.model_dump() | {"stripe_api_key": "sk_live_x", "temporal_ui_url": "https://t/ui"}
    )
    assert workflow_url(live, "booking-1 2") == "https://t/ui/namespaces/default/workflows/booking-1%202"
    assert vendor_url(live, "stripe", "pi_1") == "https://dashboard.stripe.com/payments/pi_1"
    assert vendor_url(real, "stripe", "pi_1") == "https://dashboard.stripe.com/test/payments/pi_1"
    assert [vendor_url(settings, "stripe", "pi_1"), vendor_url(real, "duffel", "ord_1"), vendor_url(real, "stripe", None)] == [
        None, None, None,
    ]  # fmt: skip
