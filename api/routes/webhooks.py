"""Webhooks: news of a payment, stored once and handed on to its booking."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Header
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from structlog.stdlib import get_logger

from activities.sweeping import hand_over
from api.answers import json_answer
from api.documentation import refusals
from api.services import Serve, Services
from api.views import WebhookReceipt
from gateways.ports import PaymentEvent
from schema.errors import Malformed
from schema.references import BookingId
from store import inbox
from store.inbox import InboxMessage

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
_log = get_logger(__name__)
_SIGNAL_TIMEOUT_S: Final = 2
_BOOKING_ID: TypeAdapter[str] = TypeAdapter(BookingId)


@router.post(
    "/stripe",
    response_model=WebhookReceipt,
    responses=refusals(
        "invalid_signature", "malformed_json", "malformed_request", "body_too_large", authenticated=False
    ),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
    },
)
async def stripe(
    request: Request,
    services: Serve,
    signature: Annotated[str, Header(alias="Stripe-Signature")] = "",
) -> Response:
    """An event of Stripe. There is no bearer token: Stripe signs what it sends, and only its signature lets an event in.

    Answered once the event is stored, also while Temporal is away: what could not be handed on is handed on later.
    """
    if not signature.isascii():  # comparing it in constant time would fail, not refuse
        raise Malformed("the webhook's signature does not match", code="invalid_signature")
    event = services.vendors.payments("stripe").parse_webhook(await request.body(), signature)
    message = _message("stripe", event)
    async with services.database.transaction() as connection:
        new = await inbox.receive(connection, message)
    if new:
        await _hand_on(services, message)
    return json_answer(WebhookReceipt())


def _message(vendor: str, event: PaymentEvent) -> InboxMessage:
    """Raises Malformed for an event without a usable id: signed, and still not to be kept."""
    texts = (event.event_id, event.type, event.payment_id or "")
    if not event.event_id or any("\x00" in text or len(text) > 255 for text in texts):
        raise Malformed("the event cannot be read", code="malformed_request")
    return InboxMessage(
        vendor=vendor,
        event_id=event.event_id,
        type=event.type,
        booking_id=_ours(event.booking_id),
        payment_id=event.payment_id,
    )


def _ours(booking_id: str | None) -> str | None:
    """None for an object that is not of ours: others may use the same account."""
    try:
        return None if booking_id is None else _BOOKING_ID.validate_python(booking_id)
    except ValidationError:
        return None


async def _hand_on(services: Services, message: InboxMessage) -> None:
    """Tells the workflow, if that is possible within a moment; if not, the sweep will."""
    try:
        async with asyncio.timeout(_SIGNAL_TIMEOUT_S):
            await hand_over(services.temporal, services.database, message)
    except Exception as error:  # noqa: BLE001  # the event is stored: whatever keeps it from its workflow will pass
        _log.warning("webhook_kept_for_later", event_id=message.event_id, error=type(error).__name__)
