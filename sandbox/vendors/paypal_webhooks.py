"""PayPal's events: kept, listable, posted to the one webhook that the control route configures, and verifiable by call.

Real ones are signed SHA256withRSA over `id|time|webhook id|CRC32 of the body`. So are these in what is signed, but with a
key of the sandbox alone: they can be verified by POST /v1/notifications/verify-webhook-signature, and not off-line.
"""

from __future__ import annotations

import hmac
import zlib
from hashlib import sha256
from typing import Final, TypedDict, cast
from uuid import UUID

import orjson
from pydantic import BaseModel, Field

from sandbox.vendors.paypal_wire import VENDOR, new_id, not_found
from sandbox.vendors.webhook_sender import Endpoint, Sender
from sandbox.world import JsonObject, World

HOST: Final = "https://api-m.sandbox.paypal.com"
"""What the links in events begin with: they are made when nobody has asked, hence without knowing where the sandbox is."""

_CERT_URL: Final = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-5a29e601"
_ALGORITHM: Final = "SHA256withRSA"
_SUMMARIES: Final = {
    "CHECKOUT.ORDER.APPROVED": "An order has been approved by buyer",
    "CHECKOUT.ORDER.VOIDED": "An order has been voided",
    "PAYMENT.AUTHORIZATION.CREATED": "A payment authorization was created",
    "PAYMENT.AUTHORIZATION.VOIDED": "A payment authorization was voided",
    "PAYMENT.CAPTURE.COMPLETED": "Payment completed",
    "PAYMENT.CAPTURE.DENIED": "A payment capture was denied",
    "PAYMENT.CAPTURE.PENDING": "Payment pending",
    "PAYMENT.CAPTURE.REFUNDED": "A payment capture was refunded",
    "PAYMENT.REFUND.FAILED": "A refund failed",
    "PAYMENT.REFUND.PENDING": "A refund is pending",
}


class Event(TypedDict):
    """An event as kept: rendered, since it must show its resource as it was then."""

    id: str
    type: str
    resource_id: str
    created: float
    body: str


class Verification(BaseModel):
    """What a receiver asks about a delivery: its headers, its webhook id, and the event as it came."""

    auth_algo: str = Field(max_length=100)
    cert_url: str = Field(max_length=500)
    transmission_id: str = Field(max_length=50)
    transmission_sig: str = Field(max_length=500)
    transmission_time: str = Field(max_length=100)
    webhook_id: str = Field(max_length=50, pattern=r"^[a-zA-Z0-9]+$")
    webhook_event: dict[str, object]


class PayPalSender(Sender):
    """The outgoing side; the endpoint's secret is the webhook id, which is no secret but is signed."""

    def __init__(self, world: World) -> None:
        super().__init__(world, VENDOR, "PAYPAL-TRANSMISSION-SIG", "PayPal/AUHD-214.0")

    def signed(self, endpoint: Endpoint, body: bytes) -> dict[str, str]:
        """The five headers of a delivery. Each attempt is a transmission of its own."""
        number = sha256(self._world.new_id("paypal-transmission:").encode()).digest()[:16]
        transmission_id = str(UUID(bytes=number))
        sent_at = self._world.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "PAYPAL-TRANSMISSION-ID": transmission_id,
            "PAYPAL-TRANSMISSION-TIME": sent_at,
            "PAYPAL-TRANSMISSION-SIG": self.signature(transmission_id, sent_at, endpoint["secret"], body),
            "PAYPAL-CERT-URL": _CERT_URL,
            "PAYPAL-AUTH-ALGO": _ALGORITHM,
        }

    def signature(self, transmission_id: str, sent_at: str, webhook_id: str, body: bytes) -> str:
        """Of one transmission."""
        text = f"{transmission_id}|{sent_at}|{webhook_id}|{zlib.crc32(body)}"
        return hmac.new(f"paypal|{self._world.seed}".encode(), text.encode(), sha256).hexdigest()


class Webhooks:
    """Makes PayPal's events."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.sender = PayPalSender(world)

    def emit(self, event_type: str, resource_type: str, resource: JsonObject) -> None:
        """Keep an event about `resource` as it is now, and send it."""
        event_id = f"WH{new_id(self._world)}"
        now = self._world.now()
        itself = f"{HOST}/v1/notifications/webhooks-events/{event_id}"
        body = orjson.dumps(
            {
                "id": event_id,
                "event_version": "1.0",
                "create_time": now.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
                "resource_type": resource_type,
                "resource_version": "2.0",
                "event_type": event_type,
                "summary": _SUMMARIES[event_type],
                "resource": resource,
                "links": [
                    {"href": itself, "rel": "self", "method": "GET"},
                    {"href": f"{itself}/resend", "rel": "resend", "method": "POST"},
                ],
            }
        )
        event = Event(
            id=event_id,
            type=event_type,
            resource_id=str(resource["id"]),
            created=now.timestamp(),
            body=body.decode(),
        )
        self._world.put(VENDOR, "event", event_id, cast(JsonObject, cast(object, event)))
        self.sender.send(event_id, body)

    def event(self, event_id: str) -> JsonObject:
        found = cast("Event | None", self._world.get(VENDOR, "event", event_id))
        if found is None:
            raise not_found()
        return cast(JsonObject, orjson.loads(found["body"]))

    def verify(self, asked: Verification) -> JsonObject:
        """Whether the sandbox sent this. The event is signed as it was sent: compact, in the order of its fields."""
        expected = self.sender.signature(
            asked.transmission_id, asked.transmission_time, asked.webhook_id, orjson.dumps(asked.webhook_event)
        )
        genuine = (
            asked.auth_algo == _ALGORITHM
            and asked.cert_url == _CERT_URL
            and hmac.compare_digest(expected, asked.transmission_sig)
        )
        return {"verification_status": "SUCCESS" if genuine else "FAILURE"}
