"""Messages to travellers, by gateways and simulated vendors over real HTTP, both written from the contracts, apart from each other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from gateways.notice_ports import NoticeSender
from gateways.ports import Vendors
from gateways.registry import build_vendors
from schema.notifications import Channel
from schema.outcomes import Confirmed, Rejected
from tests.gateways.conftest import settings_for
from tests.gateways.notice_documents import ACCOUNT_SID, NOTIFICATION_ID, notice
from tests.sandbox.conftest import RunningSandbox, eventually
from tests.sandbox.receiver import Receiver, receiving

_TO: dict[str, str] = {"email": "amelia@example.com", "sms": "+442080160509", "push": "device-1"}
_LOST: dict[str, str] = {"email": "bounce@example.com", "sms": "+15005550010"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest_asyncio.fixture
async def vendors(sandbox: RunningSandbox, receiver: Receiver) -> AsyncIterator[Vendors]:
    account = sandbox.control.get("/fcm/service_account").json()
    sandbox.control.put("/sendgrid/webhook", json={"url": receiver.url})
    told = {
        "sendgrid_url": f"{sandbox.url}/sendgrid",
        "sendgrid_api_key": "SG.key",
        "sendgrid_webhook_public_key": sandbox.control.get("/sendgrid/public_key").json()["public_key"],
        "twilio_url": f"{sandbox.url}/twilio",
        "twilio_account_sid": ACCOUNT_SID,
        "twilio_auth_token": "a-token",
        "twilio_from": "+15005550006",
        "fcm_url": f"{sandbox.url}/fcm",
        "fcm_token_url": account["token_uri"],
        "fcm_project_id": account["project_id"],
        "fcm_service_account": json.dumps(account),
        "public_url": receiver.url.partition("hooks")[0],
    }
    registry = build_vendors(settings_for(sandbox.url, **told))
    yield registry
    await registry.aclose()


def sender_of(vendors: Vendors, channel: Channel) -> NoticeSender:
    sender = vendors.notice_sender(channel)
    assert sender is not None
    return sender


def receipts(sender: NoticeSender, receiver: Receiver) -> list[tuple[str | None, str]]:
    """Whose fate was told, and what it is; every signature is checked on the way."""
    found: list[tuple[str | None, str]] = []
    for delivery in receiver.got:
        url = receiver.url.partition("/hooks")[0] + delivery.path
        headers = {name.lower(): value for name, value in delivery.headers.items()}
        found += [(each.notification_id, each.status) for each in sender.read_receipts(headers, delivery.body, url)]
    return found


@pytest.mark.parametrize("channel", ["email", "sms", "push"])
async def test_a_notice_is_taken_and_the_vendors_ledger_names_it(
    vendors: Vendors, sandbox: RunningSandbox, channel: Channel
):
    outcome = await sender_of(vendors, channel).send(notice(_TO[channel]))
    assert isinstance(outcome, Confirmed)
    (entry,) = [each for each in sandbox.control.get("/books").json()["notices"] if each["kind"] == channel]
    assert (entry["metadata"]["notification_id"], entry["to"]) == (NOTIFICATION_ID, [_TO[channel]])


@pytest.mark.parametrize(("channel", "lost"), [("email", False), ("email", True), ("sms", False), ("sms", True)])
async def test_what_became_of_a_notice_is_told_signed(
    vendors: Vendors, receiver: Receiver, channel: Channel, lost: bool
):
    sender = sender_of(vendors, channel)
    await sender.send(notice((_LOST if lost else _TO)[channel]))
    eventually(lambda: len(receiver.got) == 2, "both receipts arrive")
    assert (NOTIFICATION_ID, "failed" if lost else "delivered") in receipts(sender, receiver)


async def test_a_lost_sms_is_found_again(vendors: Vendors):
    sender, since = sender_of(vendors, "sms"), datetime.now(UTC) - timedelta(minutes=1)
    before = await sender.find(notice(_TO["sms"]), since)
    assert isinstance(before, Rejected)
    sent = await sender.send(notice(_TO["sms"]))
    assert await sender.find(notice(_TO["sms"]), since) == sent


async def test_a_device_that_is_gone_is_said_to_be(vendors: Vendors):
    outcome = await sender_of(vendors, "push").send(notice("unregistered-1"))
    assert isinstance(outcome, Rejected)
    assert outcome.code == "device_gone"
