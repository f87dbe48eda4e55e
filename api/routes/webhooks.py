"""Webhooks: news of a payment, stored once and handed on to its booking."""

from typing import Annotated, Final

from fastapi import APIRouter, Header
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from structlog.stdlib import get_logger

from api.answers import json_answer
from api.documentation import refusals
from api.services import Serve, Services
from api.temporal import WorkflowGone, signal
from api.views import WebhookReceipt
from gateways.ports import PaymentEvent
from schema.bookings import workflow_id_for
from schema.errors import Malformed, ServiceUnavailable
from schema.payments import PaymentChanged
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
    if new and await _hand_on(services, message):
        async with services.database.transaction() as connection:
            await inbox.handled(connection, message.vendor, message.event_id)
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


async def _hand_on(services: Services, message: InboxMessage) -> bool:
    """Whether nothing is left to do: the workflow was told, or there is none that could be."""
    if message.booking_id is None or message.payment_id is None:
        return True
    changed = PaymentChanged(payment_id=message.payment_id, event_id=message.event_id)
    try:
        await signal(
            services.temporal, workflow_id_for(message.booking_id), "payment_changed", changed, _SIGNAL_TIMEOUT_S
        )
    except WorkflowGone:
        return True  # the saga has ended; refunds are followed by polling
    except ServiceUnavailable:
        _log.warning("webhook_kept_for_later", event_id=message.event_id)
        return False
    return True
