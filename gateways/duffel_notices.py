"""What Duffel tells by itself: webhooks about orders, and which flights they touch.

Source: vendor-specs/duffel (webhook duffelEvent, /air/airline_initiated_changes) and vendor-specs/README.md section 3, "Webhooks".
"""

import hmac
import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import urlencode

import orjson
from pydantic import SecretStr

from gateways.duffel_changes import news_of
from gateways.duffel_flights import segment_of
from gateways.duffel_wire import OK_STATUSES, VENDOR, DuffelWire, data_of, error_code
from gateways.fields import Fields
from gateways.http import Call, VendorHttp, path_segment
from gateways.parts import Parts
from gateways.ports import SupplierNotice
from schema.errors import Malformed, NotFound, UnreadableEvent, VendorContractBroken
from schema.flights import FlightNews
from schema.offers import FlightSegment

SIGNATURE_HEADER: Final = "X-Duffel-Signature"
TOLERANCE_S: Final = 300
"""An event whose signature is older, or from as far ahead, may be somebody's replay."""
SCHEDULE_CHANGED: Final = "order.airline_initiated_change_detected"
NOT_FOUND: Final = 404
_SIGNATURE: Final = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


class DuffelNotices:
    """The ports `Notifying` and `TellsOfFlights`."""

    def __init__(self, http: VendorHttp, token: str, *, webhook_secret: SecretStr | None) -> None:
        """Without `webhook_secret` no event is let in; what was let in before can still be followed."""
        self._wire = DuffelWire(http, token)
        self._webhook_secret = webhook_secret

    @property
    def code(self) -> str:
        return VENDOR

    @property
    def signature_header(self) -> str:
        return SIGNATURE_HEADER

    def parse_notice(self, body: bytes, signature: str) -> SupplierNotice:
        """Only a schedule change has a subject: the order's id.

        order.created and order.creation_failed end a 202, which the booking that waits finds out by looking; the others
        (payments, stays, pings) concern nothing that is searched for.
        """
        if self._webhook_secret is None:
            raise NotFound("no webhooks are taken from this supplier")
        _check_signature(body, signature, self._webhook_secret)
        event: Fields | None = None
        try:
            event = Fields.of(VENDOR, "event", orjson.loads(body))
            event_id, event_type = event.text("id"), event.text("type")
            order_id = event.object("data").object("object").text("id") if event_type == SCHEDULE_CHANGED else None
        except (orjson.JSONDecodeError, VendorContractBroken):
            raise UnreadableEvent(event.text_or_none("id") if event else None) from None
        return SupplierNotice(event_id=event_id, type=event_type, subject=order_id)

    async def touched(self, subject: str, correlation_id: str) -> list[str]:
        """The flights that the order's changes removed, added or moved, as they were and as they are now. All flights of the order
        where no change is listed: then nobody says which of them changed."""
        # With a search's priority: it keeps searches right, and must not use up what bookings need.
        call = self._wire.http.searching("airline_change", correlation_id)
        segments = await self._changed(call, subject) or await self._flown(call, subject)
        return sorted({segment.key() for segment in segments})

    async def news(self, subject: str, correlation_id: str) -> list[FlightNews]:
        """Of all changes that are listed for the order, oldest first, each by its `created_at`."""
        return news_of(await self._changes(self._wire.http.searching("airline_change", correlation_id), subject))

    async def _changes(self, call: Call, order_id: str) -> list[Fields]:
        answer = await self._wire.read(call, f"/air/airline_initiated_changes?{urlencode({'order_id': order_id})}")
        if answer.status == NOT_FOUND:
            return []
        if answer.status not in OK_STATUSES:
            raise VendorContractBroken(f"{VENDOR}: changes: status {answer.status}, code {error_code(answer)}")
        return answer.fields("changes").objects("data")

    async def _changed(self, call: Call, order_id: str) -> list[FlightSegment]:
        changed: list[FlightSegment] = []
        for change in await self._changes(call, order_id):
            before, after = _segments(change, "removed"), _segments(change, "added")
            changed += [segment for segment in before + after if not (segment in before and segment in after)]
        return changed

    async def _flown(self, call: Call, order_id: str) -> list[FlightSegment]:
        answer = await self._wire.read(call, f"/air/orders/{path_segment(order_id)}")
        return [] if answer.status == NOT_FOUND else _segments(data_of(answer, "order"), "slices")


def _check_signature(body: bytes, signature: str, secret: SecretStr) -> None:
    """v1 is the hex HMAC-SHA256 of `t.body` under the secret as it was given, not base64-decoded. Raises Malformed."""
    # The pattern also keeps out what is not ASCII, which would fail the comparison instead of refusing.
    match = _SIGNATURE.fullmatch(signature)
    signed_at = match.group(1) if match else "0"
    expected = hmac.new(secret.get_secret_value().encode(), signed_at.encode() + b"." + body, sha256).hexdigest()
    genuine = match is not None and hmac.compare_digest(match.group(2), expected)
    if not genuine or abs(datetime.now(UTC).timestamp() - int(signed_at)) > TOLERANCE_S:
        raise Malformed("the webhook's signature does not match", code="invalid_signature")


def _segments(document: Fields, slices: str) -> list[FlightSegment]:
    return [segment_of(segment) for part in document.objects(slices) for segment in part.objects("segments")]


def build(parts: Parts) -> DuffelNotices:
    """From the settings."""
    settings = parts.settings
    return DuffelNotices(
        parts.http(VENDOR, settings.duffel_url),
        settings.duffel_token.get_secret_value(),
        webhook_secret=settings.duffel_webhook_secret,
    )
