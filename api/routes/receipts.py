"""Webhooks of those who take messages to travellers: whether one was sent, has arrived, or came back."""

from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from structlog.stdlib import get_logger

from api import incoming
from api.answers import json_answer
from api.documentation import refusals
from api.services import Serve, Services
from api.views import WebhookReceipt
from gateways.notice_ports import Receipt
from schema.errors import NotFound, UnreadableEvent
from schema.notifications import Channel
from store import dead_letters, inbox, notifications

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
_log = get_logger(__name__)
_REFUSED: Final = ("invalid_signature", "malformed_request", "body_too_large", "not_found")

_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["MessageSid", "MessageStatus"],
    "properties": {"MessageSid": {"type": "string"}, "MessageStatus": {"type": "string"}},
}


def _reads(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


@router.post(
    "/sendgrid",
    response_model=WebhookReceipt,
    responses=refusals(*_REFUSED, authenticated=False),
    openapi_extra=_reads("application/json", {"type": "array", "items": {"type": "object"}}),
)
async def receive_of_sendgrid(request: Request, services: Serve) -> Response:
    """SendGrid's events about e-mails. There is no bearer token: SendGrid signs the body as it is, and only its signature lets it
    in. An event that comes again, late or before its elders changes nothing that is known better. Up to 1 MiB, for it batches."""
    return await _take(request, services, "email", "sendgrid")


@router.post(
    "/twilio",
    response_model=WebhookReceipt,
    responses=refusals(*_REFUSED, authenticated=False),
    openapi_extra=_reads("application/x-www-form-urlencoded", _FORM),
)
async def receive_of_twilio(request: Request, services: Serve) -> Response:
    """Twilio's callbacks about an SMS. There is no bearer token: Twilio signs our public address and the form, and only its signature
    lets it in. A status that comes again, late or before its elders changes nothing that is known better."""
    return await _take(request, services, "sms", "twilio")


async def _take(request: Request, services: Services, channel: Channel, vendor: str) -> Response:
    sender = services.vendors.notice_sender(channel)
    if sender is None or sender.code != vendor:
        raise NotFound("no receipts are taken from this vendor")
    body = await request.body()
    # A signature that is not ASCII is none, and could not be compared in constant time.
    headers = {name.lower(): value for name, value in request.headers.items() if value.isascii()}
    try:
        receipts = sender.read_receipts(headers, body, _public_address(request, services))
    except UnreadableEvent as error:
        letter = incoming.unreadable(vendor, body, error.event_id)
        _log.warning("webhook_unusable", vendor=vendor, event_id=letter.event_id, cause=letter.failure.cause)
        async with services.database.transaction() as connection:
            await dead_letters.add(connection, letter)
        return json_answer(WebhookReceipt())
    for receipt in receipts:
        await _apply(services, vendor, receipt)
    return json_answer(WebhookReceipt())


async def _apply(services: Services, vendor: str, receipt: Receipt) -> None:
    """Kept once and applied in one transaction. One that is about no message of ours is kept, and nothing follows."""
    if not incoming.can_be_kept(receipt.event_id):
        return
    async with services.database.transaction() as connection:
        if not await inbox.keep(connection, vendor, receipt.event_id, f"receipt.{receipt.status}"):
            return
        notification_id = receipt.notification_id
        if notification_id is None and receipt.provider_reference is not None:
            notification_id = await notifications.row_of_reference(connection, vendor, receipt.provider_reference)
        if notification_id is None:
            return
        # Who has opened it has got it.
        status = "delivered" if receipt.status == "opened" else receipt.status
        await notifications.told(connection, notification_id, status, receipt.occurred_at, receipt.reason)


def _public_address(request: Request, services: Services) -> str:
    """As the vendor sees it, which is what some sign."""
    query = request.url.query
    address = f"{str(services.settings.public_url).rstrip('/')}{request.url.path}"
    return f"{address}?{query}" if query else address
