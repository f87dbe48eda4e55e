"""A notification whose workflow is gone gets it again, once nothing was heard of it for longer than any step takes."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from temporalio.client import WorkflowExecutionStatus

from schema.errors import VendorUnavailable
from schema.notifications import NotificationInput, NotificationResult, notification_workflow_id_for
from schema.tables import notifications
from tests.notifications.people import QUICK, People
from tests.saga.waiting import eventually
from workers.silent_notices import SilentNotices

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.stack]

_LONG_AGO = timedelta(seconds=QUICK.silent_for_at_most_s + 1)
_PATIENT = QUICK.model_copy(update={"delays_s": [600.0], "give_up_after_s": 3600.0})
_AWAY = VendorUnavailable("sendgrid", "it is away")


async def silent_for(people: People, age: timedelta) -> None:
    """By our books, nothing was heard of this client's notifications for so long."""
    then = datetime.now(UTC) - age
    async with people.database.transaction() as connection:
        of_client = update(notifications).where(notifications.c.client_id == people.client_id)
        await connection.execute(of_client.values(updated_at=then))


async def refused(people: People, wanted: NotificationInput) -> bool:
    """By e-mail it was tried once, and had no effect."""
    rows = await people.rows(wanted)
    return bool(rows) and any(one.ended == "unavailable" for one in rows["email"].attempts)


def looking(people: People) -> SilentNotices:
    settings = people.settings.model_copy(update={"notification": QUICK})
    return SilentNotices(settings, people.database, people.client, people.task_queue)


async def test_one_that_lost_its_workflow_is_told_once(people: People) -> None:
    await people.prefer(channels=["email", "sms"])
    people.vendors.email.steps = [_AWAY]
    wanted = people.wanted(ladder=_PATIENT)
    async with people.worker():
        lost = await people.start(wanted)

        async def half_told() -> bool:
            return await refused(people, wanted) and (await people.rows(wanted))["sms"].state == "sent"

        await eventually(half_told)
        await lost.terminate("by a test")
        await looking(people).once()
        assert (await lost.describe()).status == WorkflowExecutionStatus.TERMINATED, "it may still be on its way"

        await silent_for(people, _LONG_AGO)
        await looking(people).once()
        await looking(people).once()
        workflow_id = notification_workflow_id_for(wanted.subject, wanted.kind, wanted.revision)
        again = people.client.get_workflow_handle(workflow_id, result_type=NotificationResult)
        result = await again.result()
    assert (result.states["email"], result.states["sms"]) == ("sent", "sent")
    assert people.vendors.calls() == {"email": 2, "sms": 1}, "the first call had no effect, the second was taken"


async def test_one_that_still_waits_is_left_alone(people: People) -> None:
    await people.prefer(channels=["email"])
    people.vendors.email.steps = [_AWAY]
    wanted = people.wanted(ladder=_PATIENT)
    async with people.worker():
        waiting = await people.start(wanted)

        await eventually(lambda: refused(people, wanted))
        await silent_for(people, _LONG_AGO)
        run_id = (await waiting.describe()).run_id
        await looking(people).once()
        described = await waiting.describe()
        await waiting.terminate("by a test")
    assert (described.run_id, described.status) == (run_id, WorkflowExecutionStatus.RUNNING)
