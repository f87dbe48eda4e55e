"""Webhooks: news of a payment or of what a supplier sells, stored once and handed on."""

from typing import Final

from fastapi import APIRouter
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from structlog.stdlib import get_logger

from activities.handing_over import HandingOver
from api import incoming
from api.answers import json_answer
from api.documentation import refusals
from api.services import Serve, Services
from api.views import WebhookReceipt
from schema.dead_letters import NewDeadLetter
from store import dead_letters, inbox
from store.inbox import InboxMessage

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
_log = get_logger(__name__)
_REFUSED: Final = ("invalid_signature", "malformed_json", "malformed_request", "body_too_large", "not_found")


@router.post(
    "/{vendor}",
    response_model=WebhookReceipt,
    responses=refusals(*_REFUSED, authenticated=False),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
    },
)
async def receive(vendor: str, request: Request, services: Serve) -> Response:
    """An event of a payment provider, or of a supplier that tells of changes by itself. There is no bearer token: the vendor signs
    what it sends, in headers of its own, and only its signature lets an event in.

    Answered once the event is stored; what it is about is looked at after that, now or, while something of ours is away, later. A
    genuine event that cannot be read is taken all the same, and kept for an operator. `not_found`: no such vendor, it sends
    nothing, or nothing is configured for it. `service_unavailable` also while the vendor cannot say whether the event is its own.
    """
    message = await incoming.read(services.vendors, vendor, request.headers, await request.body())
    answer = json_answer(WebhookReceipt())
    if isinstance(message, NewDeadLetter):
        _log.warning("webhook_unusable", vendor=vendor, event_id=message.event_id, cause=message.failure.cause)
        async with services.database.transaction() as connection:
            await dead_letters.add(connection, message)
        return answer
    async with services.database.transaction() as connection:
        left_to_do = await inbox.receive(connection, message)
    if left_to_do:
        answer.background = BackgroundTask(_hand_over, services, message)
    return answer


async def _hand_over(services: Services, message: InboxMessage) -> None:
    """Takes it to those it concerns; if that is not possible now, the sweep will."""
    handing_over = HandingOver(
        services.database, services.valkey, services.vendors, services.temporal, services.settings.flights
    )
    try:
        await handing_over.hand_over(message)
    except Exception as error:  # noqa: BLE001  # the event is stored: whatever keeps it from its workflow will pass
        _log.warning("webhook_kept_for_later", event_id=message.event_id, error=type(error).__name__)
