"""A traveller is told by every channel that they want, once, and what the vendors answer is what our books say."""

import asyncio
import base64
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from schema.errors import RateLimited, VendorContractBroken, VendorUnavailable
from schema.notifications import Replay, RetryLadder
from schema.outcomes import Confirmed, Rejected, Unknown
from schema.tables import dead_letters
from store import notifications
from tests.notifications.people import QUICK, People
from tests.saga.waiting import eventually
from workflows.notification import NotificationWorkflow

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.stack]
AWAY = VendorUnavailable("vendor", "away")
LOST = Unknown(reason="no answer")


async def test_every_channel_is_told_once(people: People) -> None:
    phone, tablet = await people.device("token-of-phone"), await people.device("token-of-tablet")
    wanted = people.wanted()
    async with people.worker():
        result = await people.tell(wanted)

    assert result.states == {"live": "sent", "push": "sent", "sms": "sent", "email": "sent"}
    assert people.vendors.calls() == {"email": 1, "sms": 1, "push": 2}
    rows = await people.rows(wanted)
    assert set(rows) == {"live", "sms", "email", phone, tablet}
    assert rows["email"].provider_reference == "sendgrid-1"
    (mail,) = people.vendors.email.calls
    assert (mail.to, mail.subject) == ("amelia@example.com", "Confirmed: your trip to Lisbon")
    assert "<html" in (mail.html or "")
    assert people.vendors.sms.calls[0].to == "+442080160509"
    assert {notice.to for notice in people.vendors.push.calls} == {"token-of-phone", "token-of-tablet"}
    (event,) = await people.feed()
    assert (event.type, event.version) == ("notice.booking_confirmed", wanted.revision)
    assert event.data["title"] == "Your trip to Lisbon is confirmed"
    assert "Amelia" not in str(event.data)


async def test_preferences_decide_who_is_told_where_and_in_which_language(people: People) -> None:
    await people.prefer(channels=["email"], language="ja", email="other@example.com")
    wanted = people.wanted()
    async with people.worker():
        result = await people.tell(wanted)

    assert result.states == {"live": "skipped", "push": "skipped", "sms": "skipped", "email": "sent"}
    assert (await people.rows(wanted))["sms"].reason == "by_preference"
    (mail,) = people.vendors.email.calls
    assert mail.to == "other@example.com"
    assert "ご予約確定" in mail.subject
    assert await people.feed() == []


async def test_who_wants_nothing_is_told_nothing(people: People) -> None:
    await people.prefer(channels=[])
    async with people.worker():
        result = await people.tell(people.wanted())
    assert set(result.states.values()) == {"skipped"}
    assert people.vendors.calls() == {}


async def test_a_channel_without_vendor_or_device_is_skipped(people: People) -> None:
    people.vendors.missing = {"sms"}
    wanted = people.wanted()
    async with people.worker():
        await people.tell(wanted)
    rows = await people.rows(wanted)
    assert (rows["sms"].state, rows["sms"].reason) == ("skipped", "not_configured")
    assert (rows["push"].state, rows["push"].reason) == ("skipped", "no_address")


async def test_the_ladder_is_climbed_for_a_day_and_then_an_operator_can_replay(people: People) -> None:
    """On a server that skips time, with the ladder of production."""
    await people.prefer(channels=["email"])
    people.vendors.email.steps = [AWAY] * 40
    wanted = people.wanted(ladder=RetryLadder())
    async with (
        await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=_test_server(), data_converter=pydantic_data_converter
        ) as environment,
        people.worker(environment.client),
    ):
        handle = await people.start(wanted, environment.client)
        result = await handle.result()
        history = await handle.fetch_history()

    pauses = _timers(history)
    assert pauses == [60, 300, 1800, 7200, *[7200] * 10]
    assert sum(pauses) <= 24 * 3600 < sum(pauses) + 7200
    assert result.states["email"] == "dead"
    row = (await people.rows(wanted))["email"]
    assert (row.state, row.tries) == ("dead", len(pauses) + 1)
    (letter,) = await _letters(people, row.notification_id)
    assert (letter.cause, letter.type, letter.vendor) == ("not_taken", "booking_confirmed", "sendgrid")

    people.vendors.email.steps = []
    async with people.database.transaction() as connection:
        assert await notifications.revive(connection, row.notification_id)
    async with people.worker():
        assert (await people.tell(wanted)).states["email"] == "sent"
    assert len(people.vendors.email.calls) == len(pauses) + 2


async def test_a_replay_reaches_a_workflow_that_still_tells_others(people: People) -> None:
    await people.prefer(channels=["email", "sms"])
    people.vendors.sms.steps = [RateLimited("twilio", "busy", retry_after_s=12)]
    wanted = people.wanted().model_copy(update={"ladder": QUICK.model_copy(update={"give_up_after_s": 15})})
    people.vendors.email.steps = [RateLimited("sendgrid", "busy", retry_after_s=60)]
    async with people.worker():
        handle = await people.start(wanted)

        async def dead() -> bool:
            row = (await people.rows(wanted)).get("email")
            return row is not None and row.state == "dead"

        await eventually(dead)
        row = (await people.rows(wanted))["email"]
        people.vendors.email.steps = []
        async with people.database.transaction() as connection:
            await notifications.revive(connection, row.notification_id)
        await handle.signal(NotificationWorkflow.replay, Replay(notification_id=row.notification_id))
        result = await handle.result()
    assert (result.states["email"], result.states["sms"]) == ("sent", "sent")
    assert people.vendors.calls() == {"email": 2, "sms": 2}


async def test_retry_after_is_obeyed(people: People) -> None:
    await people.prefer(channels=["sms"])
    people.vendors.sms.steps = [RateLimited("twilio", "busy", retry_after_s=4)]
    async with people.worker():
        handle = await people.start(people.wanted())
        assert (await handle.result()).states["sms"] == "sent"
        history = await handle.fetch_history()
    assert _timers(history) == [4]


async def test_what_a_vendor_refuses_is_failed_and_a_device_that_is_gone_is_removed(people: People) -> None:
    await people.device("token-gone")
    people.vendors.push.steps = [Rejected(code="device_gone", message="unregistered")]
    people.vendors.sms.steps = [Rejected(code="opted_out", message="stop")]
    wanted = people.wanted()
    async with people.worker():
        result = await people.tell(wanted)
        assert (result.states["push"], result.states["sms"], result.states["email"]) == ("failed", "failed", "sent")
        again = people.wanted(revision=9)
        await people.tell(again)
    assert (await people.rows(again))["push"].reason == "no_address"


async def test_a_lost_answer_is_found_out_where_the_vendor_can_be_asked(people: People) -> None:
    await people.prefer(channels=["sms"])
    people.vendors.sms.steps = [LOST]
    people.vendors.sms.found = Confirmed(provider_reference="SM1")
    wanted = people.wanted()
    async with people.worker():
        assert (await people.tell(wanted)).states["sms"] == "sent"
    assert people.vendors.calls() == {"sms": 1}
    assert people.vendors.sms.lookups[0].text == people.vendors.sms.calls[0].text
    row = (await people.rows(wanted))["sms"]
    assert row.provider_reference == "SM1"
    assert row.attempts[0].text is None


async def test_a_lost_message_that_is_not_there_is_sent_again(people: People) -> None:
    await people.prefer(channels=["sms"])
    people.vendors.sms.steps = [LOST]
    people.vendors.sms.found = Rejected(code="not_found", message="no such message")
    async with people.worker():
        assert (await people.tell(people.wanted())).states["sms"] == "sent"
    assert people.vendors.calls() == {"sms": 2}


@pytest.mark.parametrize("lost", [LOST, VendorContractBroken("strange")])
async def test_where_nobody_can_say_it_is_not_told_twice(people: People, lost: Unknown | Exception) -> None:
    await people.prefer(channels=["email"])
    people.vendors.email.steps = [lost]
    wanted = people.wanted()
    async with people.worker():
        assert (await people.tell(wanted)).states["email"] == "unknown"
    assert people.vendors.calls() == {"email": 1}


async def test_a_safety_notice_is_told_once_more_and_no_more(people: People) -> None:
    await people.prefer(channels=["email"])
    people.vendors.email.steps = [LOST, LOST]
    disruption_id = await people.disrupted("flight_cancelled")
    wanted = people.wanted("flight_cancelled", disruption_id=disruption_id)
    async with people.worker():
        assert (await people.tell(wanted)).states["email"] == "unknown"
    assert people.vendors.calls() == {"email": 2}


async def test_a_receipt_settles_a_lost_answer(people: People) -> None:
    await people.prefer(channels=["email"])
    people.vendors.email.steps = [LOST]
    disruption_id = await people.disrupted("flight_cancelled")
    wanted = people.wanted("flight_cancelled", disruption_id=disruption_id)
    wanted = wanted.model_copy(update={"ladder": QUICK.model_copy(update={"receipt_wait_s": 3})})
    async with people.worker():
        handle = await people.start(wanted)

        async def lost() -> bool:
            row = (await people.rows(wanted)).get("email")
            return row is not None and bool(row.attempts) and row.attempts[0].ended == "unknown"

        await eventually(lost)
        row = (await people.rows(wanted))["email"]
        async with people.database.transaction() as connection:
            assert await notifications.told(connection, row.notification_id, "delivered", row.created_at, None)
        assert (await handle.result()).states["email"] == "delivered"
    assert people.vendors.calls() == {"email": 1}


async def test_a_worker_that_dies_with_the_answer_does_not_call_again(people: People) -> None:
    """The call is made; the worker is gone before it has written anything down."""
    await people.prefer(channels=["email"])
    people.vendors.email.holding = asyncio.Event()
    wanted = people.wanted(step_timeout_s=2)
    async with people.worker(graceful_shutdown_timeout=timedelta(0)):
        handle = await people.start(wanted)

        async def called() -> bool:
            return bool(people.vendors.email.calls)

        await eventually(called)
    people.vendors.email.holding = None
    async with people.worker():
        assert (await handle.result()).states["email"] == "unknown"
    assert people.vendors.calls() == {"email": 1}


async def test_starting_twice_tells_once(people: People) -> None:
    wanted = people.wanted()
    async with people.worker():
        await people.tell(wanted)
        again = await people.tell(wanted)
    assert again.states["email"] == "sent"
    assert people.vendors.calls() == {"email": 1, "sms": 1}
    assert len(await people.feed()) == 1


async def test_old_news_that_had_to_wait_is_not_told(people: People) -> None:
    await people.prefer(channels=["email"])
    delayed = people.wanted("flight_delayed", disruption_id=await people.disrupted("flight_delayed"))
    other = people.wanted("flight_delayed", revision=5, disruption_id=await people.disrupted("flight_delayed", 2))
    people.vendors.email.steps = [AWAY, AWAY]
    slow = QUICK.model_copy(update={"delays_s": [3.0]})
    async with people.worker():
        first = await people.start(delayed.model_copy(update={"ladder": slow}))
        second = await people.start(other.model_copy(update={"ladder": slow}))

        async def tried() -> bool:
            return len(people.vendors.email.calls) == 2

        await eventually(tried)
        cancelled = people.wanted(
            "flight_cancelled", revision=8, disruption_id=await people.disrupted("flight_cancelled", 1, 2)
        )
        assert (await people.tell(cancelled)).states["email"] == "sent"
        assert (await first.result()).states["email"] == "skipped"
        assert (await second.result()).states["email"] == "sent"
    assert (await people.rows(delayed))["email"].reason == "superseded"


async def test_quiet_hours_hold_what_rings_and_nothing_else(people: People) -> None:
    now = datetime.now(UTC)
    quiet = {
        "starts": f"{now - timedelta(hours=1):%H:%M}",
        "ends": f"{now + timedelta(hours=2):%H:%M}",
        "time_zone": "UTC",
    }
    await people.prefer(quiet_hours=quiet)
    delayed = people.wanted("flight_delayed", disruption_id=await people.disrupted("flight_delayed"))
    cancelled = people.wanted(
        "flight_cancelled", revision=4, disruption_id=await people.disrupted("flight_cancelled", 1, 2)
    )
    async with people.worker():
        handle = await people.start(delayed)

        async def mailed() -> bool:
            row = (await people.rows(delayed)).get("email")
            return row is not None and row.state == "sent"

        await eventually(mailed)
        assert (await people.tell(cancelled)).states["sms"] == "sent"
        assert (await people.rows(delayed))["sms"].state == "planned"
        not_before = (await people.rows(delayed))["sms"].not_before
        assert not_before is not None
        assert timedelta(hours=1, minutes=58) < not_before - now <= timedelta(hours=2)
        await handle.terminate()
    assert people.vendors.calls() == {"email": 2, "sms": 1}


async def test_histories_hold_no_address_and_no_text(people: People) -> None:
    await people.device("token-that-is-personal")
    people.vendors.sms.steps = [LOST]
    people.vendors.email.steps = [Rejected(code="address_unusable", message="amelia@example.com bounced")]
    wanted = people.wanted()
    async with people.worker():
        handle = await people.start(wanted)
        await handle.result()
        history = (await handle.fetch_history()).to_json()
        described = str((await handle.describe()).raw_description)
    plain = (
        history
        + described
        + "".join(
            base64.b64decode(word).decode("utf-8", "replace") for word in re.findall(r'"data": "([^"]+)"', history)
        )
    )
    for secret in ("amelia@example.com", "Amelia", "+442080160509", "token-that-is-personal", "is confirmed", "trips/"):
        assert secret not in plain


def _timers(history: WorkflowHistory) -> list[float]:
    return [
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta().total_seconds()
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED
    ]


async def _letters(people: People, notification_id: str) -> Sequence[Any]:
    query = select(dead_letters).where(dead_letters.c.subject == notification_id)
    async with people.database.read() as connection:
        return (await connection.execute(query)).all()


def _test_server() -> str:
    """The wheel's, which lies beside this interpreter."""
    return str(Path(sys.executable).with_name("temporal-test-server"))
