"""Receipts of those who take messages: once, by signature only, in any order; and replaying what nobody took."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select
from temporalio.client import Client

from gateways.http import VendorHttp
from gateways.traffic import Unbounded
from gateways.twilio import TwilioSms
from schema.dead_letters import NOT_TAKEN, Failure, NewDeadLetter
from schema.notifications import (
    NOTIFICATION_LETTER,
    Channel,
    letter_event_id,
    notification_id_for,
    notification_workflow_id_for,
)
from schema.references import new_id
from schema.settings import Settings
from schema.tables import dead_letters as letters_table
from store import dead_letters, notifications
from store.database import Database
from store.notifications import NewRow, StoredRow
from tests.api.conftest import Caller, speak
from tests.api.fakes import SIGNATURE, FakeVendors

PATH = "/v1/webhooks/sendgrid"
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


async def _row(database: Database, client_id: str, channel: Channel = "email", *, sent: bool = True) -> str:
    """A message that its vendor has taken, or is about to take."""
    booking_id = new_id("b")
    notification_id = notification_id_for(booking_id, "booking_confirmed", 1, channel, "")
    row = NewRow(
        notification_id=notification_id,
        subject=booking_id,
        kind="booking_confirmed",
        revision=1,
        channel=channel,
        client_id=client_id,
        booking_id=booking_id,
        itinerary_id=None,
        disruption_id=None,
        correlation_id="cor",
        state="planned",
        language="en",
    )
    async with database.transaction() as connection:
        await notifications.plan(connection, [row])
        stored = await notifications.get(connection, notification_id)
        assert stored is not None
        await notifications.begin(connection, stored, 1, "sendgrid" if channel == "email" else "twilio")
        if sent:
            await notifications.finish(connection, notification_id, 1, "confirmed", provider_reference=booking_id)
    return notification_id


async def _stored(database: Database, notification_id: str) -> StoredRow:
    async with database.read() as connection:
        row = await notifications.get(connection, notification_id)
    assert row is not None
    return row


def _receipt(notification_id: str | None, status: str, minute: int = 0, **changes: object) -> dict[str, object]:
    return {
        "event_id": f"ev-{uuid4()}",
        "notification_id": notification_id,
        "provider_reference": None,
        "status": status,
        "reason": "bounce: 5.1.1" if status == "failed" else None,
        "occurred_at": (AT + timedelta(minutes=minute)).isoformat(),
    } | changes


async def _post(app: FastAPI, receipts: object, signature: str = SIGNATURE) -> httpx.Response:
    async with speak(app) as http:
        return await http.post(PATH, content=json.dumps(receipts), headers={"X-Signature": signature})


@pytest.mark.parametrize("statuses", [("sent", "delivered", "opened"), ("sent", "failed", "delivered")])
async def test_any_order_and_any_repeats_end_the_same(
    app: FastAPI, caller: Caller, database: Database, statuses: tuple[str, ...]
) -> None:
    """Also before our own call has come back."""
    ends: set[tuple[object, ...]] = set()
    for order in permutations(range(len(statuses))):
        notification_id = await _row(database, caller.client_id, sent=False)
        receipts = [_receipt(notification_id, status, minute) for minute, status in enumerate(statuses)]
        for number in (*order, *reversed(order)):
            assert (await _post(app, [receipts[number]])).status_code == 200
        async with database.transaction() as connection:
            await notifications.finish(connection, notification_id, 1, "confirmed", provider_reference="late")
        row = await _stored(database, notification_id)
        ends.add((row.state, row.reason, row.sent_at, row.delivered_at))
    (end,) = ends
    assert end[0] == ("failed" if "failed" in statuses else "delivered")


async def test_an_event_is_applied_once(app: FastAPI, caller: Caller, database: Database) -> None:
    one, other = await _row(database, caller.client_id), await _row(database, caller.client_id)
    receipt = _receipt(one, "delivered")
    await _post(app, [receipt])
    await _post(app, [receipt | {"notification_id": other}])
    assert (await _stored(database, other)).state == "sent"


async def test_a_receipt_without_our_id_is_known_by_the_vendors(
    app: FastAPI, caller: Caller, database: Database
) -> None:
    notification_id = await _row(database, caller.client_id)
    reference = (await _stored(database, notification_id)).provider_reference
    await _post(app, [_receipt(None, "delivered", provider_reference=reference)])
    assert (await _stored(database, notification_id)).state == "delivered"


async def test_what_is_nobodys_is_taken_and_changes_nothing(app: FastAPI) -> None:
    answer = await _post(app, [_receipt("ntf_of_nobody", "delivered"), _receipt(None, "sent", event_id="\x00")])
    assert answer.status_code == 200


async def test_only_the_signature_lets_it_in(app: FastAPI, caller: Caller, database: Database) -> None:
    notification_id = await _row(database, caller.client_id)
    answer = await _post(app, [_receipt(notification_id, "delivered")], signature="forged")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")
    assert (await _stored(database, notification_id)).state == "sent"


async def test_a_vendor_without_credentials_is_unknown(app: FastAPI) -> None:
    async with speak(app) as http:
        answer = await http.post("/v1/webhooks/twilio", content=b"a=b")
    assert answer.json()["code"] == "not_found"


async def test_what_cannot_be_read_is_a_dead_letter(app: FastAPI, database: Database) -> None:
    body = {"not": f"an array {uuid4()}"}
    assert (await _post(app, body)).status_code == 200
    assert (await _post(app, body)).status_code == 200
    async with database.read() as connection:
        query = select(letters_table).where(letters_table.c.vendor == "sendgrid").order_by(letters_table.c.id.desc())
        letter = (await connection.execute(query)).first()
    assert letter is not None
    assert (letter.cause, letter.failures) == ("unreadable", 2)


async def test_a_large_batch_of_sendgrid_fits_and_nobody_elses(app: FastAPI) -> None:
    batch = [_receipt("ntf_of_nobody", "open", filler="x" * 600_000)]
    async with speak(app) as http:
        large = await http.post(PATH, content=json.dumps(batch), headers={"X-Signature": "forged"})
        stripe = await http.post("/v1/webhooks/stripe", content=json.dumps(batch))
        huge = await http.post(PATH, content=b"x" * 1_100_000)
    assert (large.status_code, stripe.status_code, huge.status_code) == (400, 413, 413)


async def test_twilio_signs_our_public_address(
    app: FastAPI, caller: Caller, database: Database, vendors: FakeVendors, settings: Settings
) -> None:
    token = "twilio-token"
    http = VendorHttp("twilio", "http://127.0.0.1:9", booking_timeout_s=1, read_timeout_s=1, traffic=Unbounded())
    vendors.senders["sms"] = TwilioSms(
        http, "AC1", SecretStr(token), sender="+15005550006", public_url=str(settings.public_url)
    )
    notification_id = await _row(database, caller.client_id, "sms")
    form = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    query = urlencode({"notification_id": notification_id})
    address = f"{settings.public_url}v1/webhooks/twilio?{query}"
    signed = address + "".join(name + form[name] for name in sorted(form))
    signature = base64.b64encode(hmac.new(token.encode(), signed.encode(), "sha1").digest()).decode()
    async with speak(app) as http_client:
        answer = await http_client.post(
            f"/v1/webhooks/twilio?{query}", data=form, headers={"X-Twilio-Signature": signature}
        )
    await http.aclose()
    assert answer.status_code == 200, answer.text
    assert (await _stored(database, notification_id)).state == "delivered"


async def test_an_operator_replays_what_no_vendor_took(caller: Caller, database: Database, temporal: Client) -> None:
    notification_id = await _row(database, caller.client_id, sent=False)
    async with database.transaction() as connection:
        await notifications.finish(connection, notification_id, 1, "unavailable", "vendor_unavailable")
        await notifications.end(connection, notification_id, "dead", "vendor_unavailable")
        row = await notifications.get(connection, notification_id)
        assert row is not None
        letter = NewDeadLetter(
            kind=NOTIFICATION_LETTER,
            vendor="sendgrid",
            event_id=letter_event_id(notification_id, 1),
            type=row.kind,
            booking_id=None,
            subject=notification_id,
            failure=Failure(cause=NOT_TAKEN, detail="email: vendor_unavailable"),
        )
        await dead_letters.add(connection, letter)
        letter_id = await connection.scalar(
            select(letters_table.c.id).where(letters_table.c.event_id == letter.event_id)
        )
    path = f"/v1/ops/dead-letters/{letter_id}"
    shown = (await caller.get("/v1/ops/dead-letters?kind=notification&limit=200")).json()["dead_letters"]
    assert letter_id in {one["dead_letter_id"] for one in shown}
    refused = await caller.post(f"{path}/repair", {"subject": notification_id})
    assert refused.json()["code"] == "conflict"

    answer = await caller.post(f"{path}/replay", {"note": "the vendor is back"})

    assert (answer.status_code, answer.json()["status"]) == (200, "resolved")
    assert (await _stored(database, notification_id)).state == "planned"
    handle = temporal.get_workflow_handle(notification_workflow_id_for(row.subject, row.kind, row.revision))
    assert (await handle.describe()).workflow_type == "NotificationWorkflow"
    await handle.terminate()
    assert (await caller.post(f"{path}/replay", {})).json()["code"] == "dead_letter_settled"
