"""Every channel at its simulated vendor, with every fault: by the vendors' own books nobody is told twice, and nobody is missed.

The two exceptions are what the contracts leave: where nobody can say what became of a call, a safety notice is told once more, and any
other is not.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schema.bookings import TASK_QUEUE
from schema.notifications import Channel, NotificationKind, NotificationResult, notification_id_for
from schema.references import new_id
from store.clients import ensure_client
from tests.notifications.people import some_people
from tests.saga.harness import House, running_house
from tests.saga.vendors import CutVendors
from workers.audit import check, gather

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.stack, pytest.mark.slow]

VENDORS: dict[Channel, str] = {"email": "sendgrid", "sms": "twilio", "push": "fcm"}
PATHS: dict[Channel, str] = {"email": "/mail/send", "sms": "/Messages.json", "push": "messages:send"}
CAN_BE_ASKED = ("sms",)
NOT_LOST = ("none", "rate_limited")
FAULTS = (
    *(*NOT_LOST, "drop_before", "drop_after", "server_error", "server_error_after"),
    *("killed_before", "killed_after"),
)
MADE = ("none", "drop_after", "server_error_after", "killed_after")
"""In which the first call reached its end."""
KINDS: tuple[NotificationKind, ...] = ("booking_confirmed", "flight_cancelled")


@dataclass(frozen=True)
class Told:
    """How one case ended."""

    result: NotificationResult
    messages: list[dict[str, Any]]


def expected(channel: Channel, kind: NotificationKind, fault: str) -> int:
    """How many messages the vendor may have taken."""
    first = int(fault in MADE)
    if fault in NOT_LOST:
        return 1
    if channel in CAN_BE_ASKED:
        return 1
    return first + int(kind == "flight_cancelled")


CASES = [(channel, kind, fault) for channel in VENDORS for kind in KINDS for fault in FAULTS]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with running_house(Path(tmp_path_factory.mktemp("told"))) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(house: House) -> dict[tuple[str, str, str], Told]:
    """All cases side by side on one worker."""
    vendors, places = CutVendors(house.vendors), asyncio.Semaphore(16)

    async def one(channel: Channel, kind: NotificationKind, fault: str) -> Told:
        async with places:
            return await _tell(house, vendors, channel, kind, fault)

    async with house.worker(vendors=vendors):
        ends = await asyncio.gather(*(one(*case) for case in CASES))
    return dict(zip(CASES, ends, strict=True))


async def _tell(house: House, vendors: CutVendors, channel: Channel, kind: NotificationKind, fault: str) -> Told:
    correlation_id = f"case-{new_id('x')}"
    client_id = await ensure_client(house.database, name=correlation_id, scopes=[], token=new_id("token"))
    people = await some_people(house.settings, house.database, house.client, client_id)
    people.task_queue = TASK_QUEUE
    mark = f"{correlation_id.lower()}"
    await people.prefer(channels=[channel], email=f"{mark}@example.com")
    if channel == "push":
        await people.device(mark)
    disruption_id = await people.disrupted(kind) if kind.startswith("flight_") else None
    revision = 0 if disruption_id else 3
    wanted = people.wanted(kind, revision=revision, disruption_id=disruption_id, correlation_id=correlation_id)
    if fault.startswith("killed_"):
        vendors.plan(correlation_id, VENDORS[channel], "send", fault)  # pyright: ignore[reportArgumentType]
    elif fault != "none":
        # An SMS has no address of its own here; what it is about is its alone.
        contains = mark if channel != "sms" else await _notification_of(people, wanted)
        rule = {"vendor": VENDORS[channel], "method": "POST", "path": PATHS[channel], "contains": contains}
        # Of FCM a 503 is Google's own word that nothing was taken; a 500 says nothing.
        await house.fault(**rule, action=fault, status=500)
    result = await people.tell(wanted)
    ids = {row.notification_id for row in (await people.rows(wanted)).values()}
    notices = (await house.sandbox.get("/_sandbox/books")).json()["notices"]
    return Told(result, [line for line in notices if line["metadata"].get("notification_id") in ids])


async def _notification_of(people: Any, wanted: Any) -> str:
    return notification_id_for(wanted.subject, wanted.kind, wanted.revision, "sms", "")


@pytest.mark.parametrize(("channel", "kind", "fault"), CASES)
async def test_nobody_is_told_twice_and_nobody_is_missed(
    told: dict[tuple[str, str, str], Told], channel: Channel, kind: NotificationKind, fault: str
) -> None:
    one = told[channel, kind, fault]
    assert len(one.messages) == expected(channel, kind, fault)
    state = one.result.states[channel]
    if fault in NOT_LOST or channel in CAN_BE_ASKED or kind == "flight_cancelled":
        assert state == "sent"
    else:
        assert state == "unknown"


async def test_the_audit_finds_nothing_wrong(house: House, told: dict[tuple[str, str, str], Told]) -> None:
    report = check(await gather(house.settings, histories=200))
    wrong = [violation for violation in report.violations if violation.invariant in (9, 18)]
    assert [violation.text for violation in wrong[:20]] == []
    (finding,) = [finding for finding in report.findings if finding.number == 9]
    assert finding.checked >= len(CASES) * 4
