"""What becomes of a mail that SendGrid has taken: kept with all its parts, delivered or not, and told of in signed events."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta
from typing import Final, Literal, TypedDict, cast

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from sandbox.faults import Fault
from sandbox.vendors.sendgrid_mail import Address, Mail, Personalization
from sandbox.vendors.sendgrid_wire import VENDOR
from sandbox.vendors.signing_keys import ecdsa_key
from sandbox.vendors.webhook_sender import Endpoint, Sender
from sandbox.world import JsonObject, World

_DELIVER_S: Final = 0.05
_OUTCOMES: Final = {"bounce": "bounce", "deferred": "deferred", "dropped": "dropped"}
"""What a recipient's address may ask for, by a part of its name."""
_EFFECTS: Final = {"delivered": "mail.delivered", "bounce": "mail.bounced", "dropped": "mail.dropped"}

Event = Literal["processed", "delivered", "deferred", "bounce", "dropped", "open"]


class MailRecord(TypedDict):
    """A message as SendGrid was given it."""

    id: str
    message_id: str
    created_at: str
    sender: JsonObject
    reply_to: JsonObject | None
    to: list[JsonObject]
    cc: list[JsonObject]
    bcc: list[JsonObject]
    subject: str
    content: list[JsonObject]
    attachments: list[JsonObject]
    headers: JsonObject
    categories: list[str]
    custom_args: JsonObject
    deliveries: list[DeliveryRecord]


class DeliveryRecord(TypedDict):
    """The mail on its way to one recipient."""

    email: str
    outcome: str
    due_at: str
    status: str
    events: list[str]


class EventSender(Sender):
    """The outgoing side: ECDSA over the time and the body, by the key of the seed."""

    def __init__(self, world: World) -> None:
        super().__init__(world, VENDOR, "X-Twilio-Email-Event-Webhook-Signature", "SendGrid Event API")

    def signed(self, endpoint: Endpoint, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._world.now().timestamp()))
        signature = ecdsa_key(self._world.seed).sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        return {
            self._signature_header: b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }


def take(world: World, mail: Mail, fault: Fault | None) -> str:
    """Keep the mail, a message for each personalization, and set it on its way; SendGrid's id of all of them."""
    message_id = world.new_id("sendgrid-message:").removeprefix("sendgrid-message:")
    for number, each in enumerate(mail.personalizations):
        record = _record(world, mail, each, f"{message_id}.{number}", message_id, fault)
        _keep(world, record)
        world.effect(
            VENDOR,
            "mail.accepted",
            object_id=record["id"],
            metadata=record["custom_args"],
            details={"to": [address.email for address in each.recipients], "subject": record["subject"]},
        )
        for place in range(len(record["deliveries"])):
            _begin(world, record, place)
    return message_id


def _record(
    world: World, mail: Mail, one: Personalization, mail_id: str, message_id: str, fault: Fault | None
) -> MailRecord:
    return {
        "id": mail_id,
        "message_id": message_id,
        "created_at": world.now().isoformat(),
        "sender": _plain(one.sender or mail.sender),
        "reply_to": _plain(mail.reply_to) if mail.reply_to else None,
        "to": [_plain(each) for each in one.to],
        "cc": [_plain(each) for each in one.cc],
        "bcc": [_plain(each) for each in one.bcc],
        "subject": one.subject or mail.subject or "",
        "content": [each.model_dump() for each in mail.content],
        "attachments": [each.model_dump() for each in mail.attachments],
        "headers": cast(JsonObject, {**mail.headers, **one.headers}),
        "categories": mail.categories,
        "custom_args": cast(JsonObject, {**mail.custom_args, **one.custom_args}),
        "deliveries": [_delivery(world, each.email, fault) for each in one.recipients],
    }


def _plain(address: Address) -> JsonObject:
    return address.model_dump(exclude_none=True)


def _delivery(world: World, email: str, fault: Fault | None) -> DeliveryRecord:
    name = email.partition("@")[0]
    outcome = next((outcome for part, outcome in _OUTCOMES.items() if part in name), "delivered")
    # Who bounced once is not written to again, as in reality.
    if world.get(VENDOR, "suppression", email) is not None:
        outcome = "dropped"
    delay_s = cast(float, (world.get(VENDOR, "settings", "only") or {}).get("deliver_s", _DELIVER_S))
    if fault is not None:
        delay_s, outcome = fault.delay_s, "bounce" if fault.fail else outcome
    due_at = world.now() + timedelta(seconds=delay_s)
    return {"email": email, "outcome": outcome, "due_at": due_at.isoformat(), "status": "accepted", "events": []}


def _begin(world: World, record: MailRecord, place: int) -> None:
    delivery = record["deliveries"][place]
    if delivery["outcome"] == "dropped":
        _tell(world, record, delivery, "dropped")
    else:
        _tell(world, record, delivery, "processed")
        _end_later(world, record, delivery)


def _end_later(world: World, record: MailRecord, delivery: DeliveryRecord) -> None:
    async def end() -> None:
        if delivery["outcome"] == "bounce":
            world.put(VENDOR, "suppression", delivery["email"], {"email": delivery["email"]})
            _tell(world, record, delivery, "bounce")
        elif delivery["outcome"] == "deferred":
            _tell(world, record, delivery, "deferred", "delivered")
        else:
            _tell(world, record, delivery, "delivered")

    remaining = datetime.fromisoformat(delivery["due_at"]) - world.now()
    world.later(max(0.0, remaining.total_seconds()), end)


def resume(world: World) -> None:
    """After a restart: what was on its way still arrives."""
    for record in mails(world):
        for delivery in record["deliveries"]:
            if delivery["status"] == "processed":
                _end_later(world, record, delivery)


def mails(world: World) -> list[MailRecord]:
    """All that was taken, oldest first."""
    return cast("list[MailRecord]", world.all(VENDOR, "mail"))


def open_mail(world: World, record: MailRecord) -> None:
    """All its readers open it."""
    for delivery in record["deliveries"]:
        if delivery["status"] == "delivered":
            _tell(world, record, delivery, "open")


def _tell(world: World, record: MailRecord, delivery: DeliveryRecord, *events: Event) -> None:
    """Write down what happened, and send it as one array."""
    sent: list[JsonObject] = []
    for event in events:
        delivery["events"].append(event)
        if event != "open":
            delivery["status"] = event
        if event in _EFFECTS:
            details: JsonObject = {"to": delivery["email"]}
            metadata = record["custom_args"]
            world.effect(VENDOR, _EFFECTS[event], object_id=record["id"], metadata=metadata, details=details)
        sent.append(_event(world, record, delivery, event))
    _keep(world, record)
    EventSender(world).send(cast(str, sent[0]["sg_event_id"]), orjson.dumps(sent))


def _event(world: World, record: MailRecord, delivery: DeliveryRecord, event: Event) -> JsonObject:
    more: dict[Event, JsonObject] = {
        "processed": {},
        "delivered": {"response": "250 OK"},
        "deferred": {"response": "400 try again later", "attempt": "1"},
        "bounce": {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 The mailbox does not exist."},
        "dropped": {"status": "5.0.0", "reason": "Bounced Address"},
        "open": {"useragent": "Mozilla/5.0", "ip": "192.0.2.1", "sg_machine_open": False},
    }
    return {
        # First, for what is the client's own must not pass for SendGrid's.
        **record["custom_args"],
        "email": delivery["email"],
        "timestamp": int(world.now().timestamp()),
        "smtp-id": f"<{record['message_id']}@geopod-ismtpd-1>",
        "event": event,
        "category": record["categories"],
        "sg_event_id": world.new_id("sendgrid-event:").removeprefix("sendgrid-event:"),
        "sg_message_id": f"{record['message_id']}.recvd-5f54f5d587-c4w8w-1-65-0",
        **more[event],
    }


def _keep(world: World, record: MailRecord) -> None:
    world.put(VENDOR, "mail", record["id"], cast(JsonObject, cast(object, record)))


def notice(record: MailRecord) -> JsonObject:
    """The mail's line in the books."""
    return {
        "vendor": VENDOR,
        "kind": "email",
        "object_id": record["id"],
        "metadata": record["custom_args"],
        "to": [delivery["email"] for delivery in record["deliveries"]],
        "status": record["deliveries"][0]["status"],
        "created_at": record["created_at"],
    }
