"""The histories of notifications: one for every place where they wait, and how they end."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import WorkflowHandle

from schema.bookings import TASK_QUEUE
from schema.notifications import RetryLadder
from schema.references import new_id
from store.clients import ensure_client
from tests.notifications.people import People, some_people
from tests.replay.snapshots import Snapshot, snapshot
from tests.saga.harness import House
from tests.saga.waiting import eventually

Found = dict[str, WorkflowHandle[Any, Any] | Snapshot]
_SLOW = RetryLadder(delays_s=[600], find_after_s=1, find_budget_s=5, receipt_wait_s=600)
_MAIL = {"vendor": "sendgrid", "method": "POST", "path": "/mail/send"}


async def _people(house: House, **wishes: Any) -> People:
    client_id = await ensure_client(house.database, name=new_id("client"), scopes=[], token=new_id("token"))
    people = await some_people(house.settings, house.database, house.client, client_id)
    people.task_queue = TASK_QUEUE
    await people.prefer(email=f"{client_id.lower()}@example.com", **wishes)
    return people


async def _waits(handle: WorkflowHandle[Any, Any], timers: int) -> Snapshot:
    """Once so many timers were started."""

    async def begun() -> bool:
        history = await handle.fetch_history()
        return sum(event.HasField("timer_started_event_attributes") for event in history.events) >= timers

    await eventually(begun, 60)
    return await snapshot(handle)


async def told(house: House) -> Found:
    people = await _people(house)
    await people.device("token-of-a-recording")
    handle = await people.start(people.wanted())
    await handle.result()
    return {"notification-told": handle}


async def waiting_for_quiet_hours_to_end(house: House) -> Found:
    now = datetime.now(UTC)
    quiet = {
        "starts": f"{now - timedelta(hours=2):%H:%M}",
        "ends": f"{now + timedelta(hours=2):%H:%M}",
        "time_zone": "UTC",
    }
    people = await _people(house, quiet_hours=quiet)
    handle = await people.start(people.wanted())
    return {"notification-waits-for-the-end-of-quiet-hours": await _waits(handle, 1)}


async def waiting_for_a_vendor(house: House) -> Found:
    people = await _people(house, channels=["email"])
    await house.fault(**_MAIL, contains=people.client_id.lower(), action="rate_limited")
    handle = await people.start(people.wanted(ladder=_SLOW))
    return {"notification-waits-for-vendor": await _waits(handle, 1)}


async def waiting_for_a_receipt(house: House) -> Found:
    people = await _people(house, channels=["email"])
    await house.fault(**_MAIL, contains=people.client_id.lower(), action="drop_after")
    handle = await people.start(people.wanted(ladder=_SLOW))
    return {"notification-waits-for-receipt": await _waits(handle, 2)}


async def told_once_more(house: House) -> Found:
    people = await _people(house, channels=["email"])
    await house.fault(**_MAIL, contains=people.client_id.lower(), action="drop_after")
    disruption_id = await people.disrupted("flight_cancelled")
    handle = await people.start(people.wanted("flight_cancelled", revision=0, disruption_id=disruption_id))
    await handle.result()
    return {"notification-told-once-more": handle}


async def given_up(house: House) -> Found:
    people = await _people(house, channels=["email"])
    await house.fault(**_MAIL, contains=people.client_id.lower(), action="rate_limited", times=None)
    handle = await people.start(people.wanted(ladder=_SLOW.model_copy(update={"delays_s": [1], "give_up_after_s": 3})))
    await handle.result()
    return {"notification-given-up": handle}


SCENARIOS: list[Callable[[House], Awaitable[Found]]] = [
    told,
    waiting_for_quiet_hours_to_end,
    waiting_for_a_vendor,
    waiting_for_a_receipt,
    told_once_more,
    given_up,
]
