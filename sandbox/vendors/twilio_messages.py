"""Twilio's messages as the sandbox keeps them: queued, sent, delivered or not, with a callback for each step."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime
from hashlib import blake2b, sha1
from typing import Final, Literal, TypedDict, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from sandbox.faults import Fault
from sandbox.vendors.twilio_wire import VENDOR
from sandbox.vendors.webhook_sender import Endpoint, Mode, Sender
from sandbox.world import JsonObject, World

API_VERSION: Final = "2010-04-01"
_DELIVER_S: Final = 0.05
_UNREACHABLE: Final = 30003
_ENDS: Final = {"+15005550010": "undelivered", "+15005550011": "failed"}
"""The sandbox's own numbers, beside Twilio's: what is sent there is taken, and does not arrive."""
_SEGMENT: Final = 153


class MessageRecord(TypedDict):
    """A message. Times are ISO."""

    sid: str
    account: str
    to: str
    sender: str | None
    service: str | None
    body: str
    media: int
    callback: str | None
    status: Literal["queued", "sent", "delivered", "undelivered", "failed"]
    ends: Literal["delivered", "undelivered", "failed"]
    due_at: str
    created_at: str
    updated_at: str
    error_code: int | None


class CallbackSender(Sender):
    """Posts a message's status to the address that came with it: a form, signed with the account's token over address and fields."""

    content_type = "application/x-www-form-urlencoded; charset=utf-8"

    def __init__(self, world: World, message: MessageRecord) -> None:
        super().__init__(world, VENDOR, "X-Twilio-Signature", "TwilioProxy/1.1")
        self._message = message

    @property
    def endpoint(self) -> Endpoint | None:
        """The message's own, with the token of now, in the mode that the control route set."""
        url = self._message["callback"]
        if url is None:
            return None
        account = self._world.get(VENDOR, "account", self._message["account"]) or {}
        return Endpoint(url=url, secret=cast(str, account.get("token", "")), mode=mode_of(self._world))

    @endpoint.setter
    def endpoint(self, endpoint: Endpoint) -> None:
        raise TypeError("an address comes with its message")

    def signed(self, endpoint: Endpoint, body: bytes) -> dict[str, str]:
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
        text = endpoint["url"] + "".join(f"{name}{fields[name]}" for name in sorted(fields))
        digest = hmac.new(endpoint["secret"].encode(), text.encode(), sha1).digest()
        return {self._signature_header: b64encode(digest).decode()}


def mode_of(world: World) -> Mode:
    """How callbacks are delivered."""
    return cast(Mode, (world.get(VENDOR, "settings", "only") or {}).get("mode", "normal"))


def make_message(world: World, account: str, form: Mapping[str, str], media: int, fault: Fault | None) -> MessageRecord:
    """Take a checked message, and send it in a while."""
    now = world.now()
    settings = world.get(VENDOR, "settings", "only") or {}
    delay_s = fault.delay_s if fault else cast(float, settings.get("deliver_s", _DELIVER_S))
    ends = "undelivered" if fault and fault.fail else _ENDS.get(form["To"], "delivered")
    serial = world.new_id("twilio-message:")
    message: MessageRecord = {
        "sid": f"{'MM' if media else 'SM'}{blake2b(serial.encode(), digest_size=16).hexdigest()}",
        "account": account,
        "to": form["To"],
        "sender": form.get("From"),
        "service": form.get("MessagingServiceSid"),
        "body": form.get("Body", ""),
        "media": media,
        "callback": form.get("StatusCallback"),
        "status": "queued",
        "ends": cast('Literal["delivered", "undelivered", "failed"]', ends),
        "due_at": (now + timedelta(seconds=delay_s)).isoformat(),
        "created_at": now.isoformat(),
        "updated_at": now.isoformat(),
        "error_code": None,
    }
    _keep(world, message)
    _record_effect(world, "message.created", message)
    _go_on_later(world, message)
    return message


def find_message(world: World, account: str, sid: str) -> MessageRecord | None:
    """The account's message."""
    message = cast("MessageRecord | None", world.get(VENDOR, "message", sid))
    return message if message and message["account"] == account else None


def messages(world: World) -> list[MessageRecord]:
    """All, oldest first."""
    return cast("list[MessageRecord]", world.all(VENDOR, "message"))


def resume(world: World) -> None:
    """After a restart: what was on its way still arrives."""
    for message in messages(world):
        if message["status"] in ("queued", "sent"):
            _go_on_later(world, message)


def _go_on_later(world: World, message: MessageRecord) -> None:
    """Sent at half the time, ended at the whole."""
    left_s = max(0.0, (datetime.fromisoformat(message["due_at"]) - world.now()).total_seconds())

    async def sent() -> None:
        if message["status"] == "queued" and message["ends"] != "failed":
            _move(world, message, "sent")

    async def end() -> None:
        message["error_code"] = None if message["ends"] == "delivered" else _UNREACHABLE
        _move(world, message, message["ends"])
        _record_effect(world, "message.delivered" if message["ends"] == "delivered" else "message.undelivered", message)

    world.later(left_s / 2, sent)
    world.later(left_s + 0.005, end)


def _move(
    world: World, message: MessageRecord, status: Literal["queued", "sent", "delivered", "undelivered", "failed"]
) -> None:
    message["status"] = status
    message["updated_at"] = world.now().isoformat()
    _keep(world, message)
    fields = {
        "ApiVersion": API_VERSION,
        "AccountSid": message["account"],
        "MessageSid": message["sid"],
        "SmsSid": message["sid"],
        "MessageStatus": status,
        "SmsStatus": status,
        "To": message["to"],
    }
    if message["sender"] is not None:
        fields["From"] = message["sender"]
    if message["error_code"] is not None:
        fields["ErrorCode"] = str(message["error_code"])
    CallbackSender(world, message).send(f"{message['sid']}-{status}", urlencode(fields).encode())


def _keep(world: World, message: MessageRecord) -> None:
    world.put(VENDOR, "message", message["sid"], cast(JsonObject, cast(object, message)))


def _metadata(message: MessageRecord) -> JsonObject:
    """Twilio keeps none: what the client wrote into the query of the address to call back."""
    return dict(parse_qsl(urlsplit(message["callback"] or "").query))


def _record_effect(world: World, effect: str, message: MessageRecord) -> None:
    details: JsonObject = {"to": message["to"], "body": message["body"]}
    world.effect(VENDOR, effect, object_id=message["sid"], metadata=_metadata(message), details=details)


def notice(message: MessageRecord) -> JsonObject:
    """The message's line in the books."""
    return {
        "vendor": VENDOR,
        "kind": "sms",
        "object_id": message["sid"],
        "metadata": _metadata(message),
        "to": [message["to"]],
        "status": message["status"],
        "created_at": message["created_at"],
    }


def uri_of(account: str) -> str:
    """The list's path."""
    return f"/{API_VERSION}/Accounts/{account}/Messages"


def message_document(message: MessageRecord) -> JsonObject:
    """The message as Twilio sends it."""
    path = f"{uri_of(message['account'])}/{message['sid']}"
    return {
        "sid": message["sid"],
        "account_sid": message["account"],
        "api_version": API_VERSION,
        "body": message["body"],
        "date_created": _date(message["created_at"]),
        "date_sent": _date(message["created_at"]),
        "date_updated": _date(message["updated_at"]),
        "direction": "outbound-api",
        "error_code": message["error_code"],
        "error_message": "Unreachable destination handset" if message["error_code"] else None,
        "from": message["sender"],
        "messaging_service_sid": message["service"],
        "num_media": str(message["media"]),
        "num_segments": str(1 if len(message["body"]) <= 160 else -(-len(message["body"]) // _SEGMENT)),
        "price": None,
        "price_unit": "USD",
        "status": message["status"],
        "subresource_uris": {"media": f"{path}/Media.json"},
        "to": message["to"],
        "uri": f"{path}.json",
    }


def _date(iso: str) -> str:
    return format_datetime(datetime.fromisoformat(iso))
