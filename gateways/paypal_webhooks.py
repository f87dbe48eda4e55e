"""PayPal's webhooks: whether PayPal sent them, and which payment they speak of.

PayPal itself is asked whether a signature is its own (POST /v1/notifications/verify-webhook-signature), so nothing is fetched from
an address that a message names. Source: vendor-specs/paypal/notifications_webhooks_v1.json and vendor-specs/README.md section 6.
"""

from collections.abc import Mapping

import httpx
import orjson

from gateways.fields import Fields
from gateways.paypal_documents import payment_id_of
from gateways.paypal_wire import VENDOR, PayPalWire, Refusal
from gateways.ports import PaymentEvent
from schema.errors import Malformed, NotFound, UnreadableEvent, VendorContractBroken
from schema.references import booking_of_payment

VERIFY = "/v1/notifications/verify-webhook-signature"
SIGNED_BY: dict[str, str] = {
    "auth_algo": "paypal-auth-algo",
    "cert_url": "paypal-cert-url",
    "transmission_id": "paypal-transmission-id",
    "transmission_sig": "paypal-transmission-sig",
    "transmission_time": "paypal-transmission-time",
}
"""Fields of the question, and the header of the message that answers each."""


class Webhooks:
    """Reads what PayPal sends to one subscription (`webhook_id`)."""

    def __init__(self, wire: PayPalWire, webhook_id: str | None) -> None:
        self._wire = wire
        self._webhook_id = webhook_id

    async def read(self, headers: Mapping[str, str], body: bytes) -> PaymentEvent:
        """The port's `read_webhook`."""
        if self._webhook_id is None:
            raise NotFound("no webhooks are taken from this provider")
        event = _event(body)
        given = {name.lower(): value for name, value in headers.items()}
        signature = {field: given.get(header, "") for field, header in SIGNED_BY.items()}
        if not all(signature.values()) or not self._is_paypals(signature["cert_url"]):
            raise _not_theirs()
        await self._verify({**signature, "webhook_id": self._webhook_id}, body)
        return _told(event)

    async def _verify(self, question: dict[str, str], body: bytes) -> None:
        # Short, like a price check: whoever sends the message waits for our answer.
        call = self._wire.http.pricing("verify_webhook", question["transmission_id"])
        # The signature is over the bytes as they came; written anew, the same event may not match it.
        content = orjson.dumps(question).removesuffix(b"}") + b',"webhook_event":' + body + b"}"
        try:
            answer = await self._wire.ask(call, VERIFY, content)
        except Refusal:
            raise _not_theirs() from None
        if answer.fields("verification").text("verification_status") != "SUCCESS":
            raise _not_theirs()

    def _is_paypals(self, cert_url: str) -> bool:
        try:
            url = httpx.URL(cert_url)
        except httpx.InvalidURL:
            return False
        ours = httpx.URL(self._wire.http.base_url)
        paypals = url.scheme == "https" and url.host.endswith(".paypal.com")
        return paypals or (url.scheme, url.netloc) == (ours.scheme, ours.netloc)


def _event(body: bytes) -> Fields:
    """One JSON object and nothing after it, so that it can stand within another one as it is."""
    try:
        return Fields.of(VENDOR, "event", orjson.loads(body))
    except (orjson.JSONDecodeError, VendorContractBroken):
        raise Malformed("the webhook's body is not an event", code="malformed_json") from None


def _told(event: Fields) -> PaymentEvent:
    try:
        resource = event.object("resource")
        # Of an order the mark is in its purchase unit, of everything else in the resource itself.
        units = resource.objects_or_none("purchase_units") or []
        mark = resource.text_or_none("custom_id") or (units[0].text_or_none("custom_id") if units else None)
        payment_id = payment_id_of(mark) if mark else None
        booking_id = _booking(payment_id) if payment_id else None
        return PaymentEvent(
            event_id=event.text("id"),
            type=event.text("event_type"),
            payment_id=payment_id if booking_id else None,
            booking_id=booking_id,
        )
    except VendorContractBroken:
        raise UnreadableEvent(event.text_or_none("id")) from None


def _booking(payment_id: str) -> str | None:
    try:
        return booking_of_payment(payment_id)
    except ValueError:
        return None  # of another system that shares the account


def _not_theirs() -> Malformed:
    return Malformed("the webhook's signature does not match", code="invalid_signature")
