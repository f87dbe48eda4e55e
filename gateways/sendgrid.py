"""E-mail by SendGrid. Source: vendor-specs/sendgrid/tsg_mail_v3.json and vendor-specs/README.md section 7.

A message cannot be looked up, and one that is sent again arrives twice. After a lost answer only an event can tell: our notification
id travels in `custom_args` and comes back with every event of the message.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from gateways.fields import Fields, is_list, is_object
from gateways.http import Answer, VendorHttp
from gateways.notice_ports import Notice, Receipt
from gateways.notice_wire import OUR_ID, fresh, not_taken, not_theirs, sending, taken
from gateways.parts import Parts
from schema.errors import NotFound, UnreadableEvent, VendorContractBroken
from schema.notifications import Channel
from schema.outcomes import Confirmed, Outcome
from schema.settings import SettingsError, variable_of

VENDOR: Final = "sendgrid"
FROM_NAME: Final = "TravelHub"
SEND: Final = "/v3/mail/send"
ACCEPTED: Final = 202
SIGNATURE: Final = "x-twilio-email-event-webhook-signature"
TIMESTAMP: Final = "x-twilio-email-event-webhook-timestamp"
STATUSES: Final[dict[str, Literal["sent", "delivered", "failed", "opened"]]] = {
    "processed": "sent",
    "delivered": "delivered",
    "bounce": "failed",
    "dropped": "failed",
    "open": "opened",
}
"""The others (deferred, click, unsubscribe ...) are about something else, or nothing final."""
_ADDRESS: Final = re.compile(r"personalizations\.\d+\.to\b.*")
_SMTP_STATUS: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_DROPPED: Final = frozenset(
    {
        "Bounced Address",
        "Unsubscribed Address",
        "Spam Reporting Address",
        "Invalid",
        "Spam Content",
        "Recipient List over Package Quota",
    }
)


class SendGridMail:
    """The port `NoticeSender`."""

    def __init__(
        self, http: VendorHttp, api_key: str, *, sender: str, webhook_key: EllipticCurvePublicKey | None
    ) -> None:
        """`sender` is the address that mail comes from. Without `webhook_key` no receipts are taken."""
        self._http = http
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._sender = sender
        self._webhook_key = webhook_key

    @property
    def code(self) -> str:
        return VENDOR

    @property
    def channel(self) -> Channel:
        return "email"

    async def send(self, notice: Notice) -> Outcome:
        """POST /v3/mail/send. The reference is the X-Message-Id, which the contract does not promise, or ours."""
        return await taken(self._send(notice))

    async def find(self, notice: Notice, since: datetime) -> Outcome | None:
        """SendGrid has no list of what it took."""
        return None

    def read_receipts(self, headers: Mapping[str, str], body: bytes, url: str) -> list[Receipt]:
        """Of an array of events, those that say how a message fares; one that cannot be read holds up none of the others."""
        if self._webhook_key is None:
            raise NotFound("no receipts are taken from this vendor")
        _check_signature({name.lower(): value for name, value in headers.items()}, body, self._webhook_key)
        try:
            events = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise UnreadableEvent(None) from None
        if not is_list(events) or not all(is_object(event) for event in events):
            raise UnreadableEvent(None)
        receipts = [_receipt_of(Fields.of(VENDOR, "event", event)) for event in events]
        return [receipt for receipt in receipts if receipt is not None]

    async def _send(self, notice: Notice) -> Outcome:
        content = orjson.dumps(_mail(notice, self._sender))
        answer = await self._http.send(
            sending(self._http, notice), "POST", SEND, headers=self._headers, content=content
        )
        if answer.status == ACCEPTED:
            return Confirmed(provider_reference=answer.headers.get("x-message-id") or notice.notification_id)
        fields = _faulty_fields(answer)
        bad_address = any(_ADDRESS.fullmatch(field) for field in fields)
        code = "address_unusable" if bad_address else "vendor_rejected"
        return not_taken(answer, f"fields {sorted(fields)}" if fields else "no field", code)


def _mail(notice: Notice, sender: str) -> dict[str, object]:
    """SendMail. Within `personalizations`, `custom_args` is an object; on the top level the contract types it as a string."""
    content = [{"type": "text/plain", "value": notice.text}]
    if notice.html:
        content.append({"type": "text/html", "value": notice.html})
    return {
        "personalizations": [{"to": [{"email": notice.to}], "custom_args": {OUR_ID: notice.notification_id}}],
        "from": {"email": sender, "name": FROM_NAME},
        "subject": notice.subject or FROM_NAME,
        "content": content,
        # The links are signed: whoever has one may read the trip, and a detour over the vendor's host would keep them there.
        "tracking_settings": {"click_tracking": {"enable": False, "enable_text": False}},
    }


def _faulty_fields(answer: Answer) -> list[str]:
    """The fields that its errors name, as far as they are names: its messages repeat what we sent."""
    try:
        document = answer.json()
    except VendorContractBroken:
        return []
    errors = document.get("errors") if is_object(document) else None
    fields = [error.get("field") for error in errors if is_object(error)] if is_list(errors) else []
    return [field for field in fields if isinstance(field, str) and re.fullmatch(r"[\w.]{1,80}", field)]


def _check_signature(headers: Mapping[str, str], body: bytes, key: EllipticCurvePublicKey) -> None:
    """ECDSA with SHA-256 over timestamp and body. Raises Malformed."""
    signed_at = headers.get(TIMESTAMP, "")
    try:
        signature = base64.b64decode(headers.get(SIGNATURE, ""), validate=True)
        key.verify(signature, signed_at.encode() + body, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        raise not_theirs() from None
    if not fresh(signed_at):
        raise not_theirs()


def _receipt_of(event: Fields) -> Receipt | None:
    kind = event.text_or_none("event") or ""
    event_id = event.text_or_none("sg_event_id")
    at = event.whole_or_none("timestamp")
    if kind not in STATUSES or event_id is None or at is None:
        return None
    message_id = event.text_or_none("sg_message_id")
    return Receipt(
        event_id=event_id,
        notification_id=event.text_or_none(OUR_ID),
        # Behind the first dot are the names of SendGrid's own machines.
        provider_reference=message_id.partition(".")[0] if message_id else None,
        status=STATUSES[kind],
        reason=_reason(kind, event) if STATUSES[kind] == "failed" else None,
        occurred_at=datetime.fromtimestamp(at, UTC),
    )


def _reason(kind: str, event: Fields) -> str:
    """Codes only: a mail server's own words repeat the address."""
    status = event.text_or_none("status") or ""
    reason = event.text_or_none("reason") or ""
    detail = status if _SMTP_STATUS.fullmatch(status) else reason if reason in _DROPPED else None
    return f"{kind}: {detail}" if detail else kind


def _webhook_key(text: str) -> EllipticCurvePublicKey:
    """The key that SendGrid shows, base64 of its DER. Raises SettingsError."""
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise SettingsError(f"{variable_of('sendgrid_webhook_public_key')} is no public key of P-256 in base64")
    return key


def build(parts: Parts) -> SendGridMail | None:
    """From the settings; None without an API key. Raises SettingsError."""
    settings = parts.settings
    if settings.sendgrid_api_key is None:
        return None
    shown = settings.sendgrid_webhook_public_key
    return SendGridMail(
        parts.http(VENDOR, settings.sendgrid_url),
        settings.sendgrid_api_key.get_secret_value(),
        sender=settings.sendgrid_from,
        webhook_key=_webhook_key(shown) if shown else None,
    )
