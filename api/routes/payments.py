"""Payments: how one stands, and what the customer still has to do."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response
from structlog.stdlib import get_logger

from api.answers import json_answer
from api.auth import requires
from api.documentation import refusals
from api.routes.paths import PaymentIdPath
from api.scope import correlation_id_of
from api.services import Serve, Services
from api.views import NextAction, PaymentView
from schema.errors import NotFound
from schema.references import booking_of_payment
from schema.states import PaymentState
from store import bookings, payments
from store.clients import ApiClient
from store.payments import StoredPayment

router = APIRouter(prefix="/v1/payments", tags=["payments"])
_log = get_logger(__name__)
_PROVIDER_TIMEOUT_S: Final = 5

Payer = Annotated[ApiClient, Depends(requires("payments:read"))]


@router.get("/{payment_id}", response_model=PaymentView, responses=refusals("malformed_id", "not_found"))
async def get_payment(request: Request, client: Payer, payment_id: PaymentIdPath, services: Serve) -> Response:
    """One payment. While the customer has to act (3-D Secure), the secret for the provider's client library comes with it,
    asked of the provider each time and never kept."""
    async with services.database.read() as connection:
        payment = await payments.get(connection, payment_id)
        if payment is None:
            raise NotFound("you have no such payment", field="payment_id")
        booking = await bookings.get(connection, booking_of_payment(payment_id), client.client_id)
    if booking is None:
        raise NotFound("you have no such payment", field="payment_id")
    view = PaymentView.of(payment)
    if payment.state == PaymentState.ACTION_REQUIRED:
        view = view.model_copy(update=await _next_action(services, payment, correlation_id_of(request.scope)))
    return json_answer(view)


async def _next_action(services: Services, payment: StoredPayment, correlation_id: str) -> dict[str, object]:
    if payment.provider_reference is None:
        return {"next_action_unavailable": "the provider's id of the payment is not known yet"}
    try:
        async with asyncio.timeout(_PROVIDER_TIMEOUT_S):
            found = await services.vendors.payments(payment.provider).get(payment.provider_reference, correlation_id)
    except Exception as error:  # noqa: BLE001  # the payment's state is worth an answer without the provider
        _log.warning("provider_not_asked", provider=payment.provider, error=type(error).__name__)
        return {"next_action_unavailable": "the provider cannot be asked right now"}
    if found.status != "action_required" or (found.client_secret is None and found.approval_url is None):
        return {"next_action_unavailable": "the customer has acted; the booking will go on"}
    action = NextAction(provider=payment.provider, client_secret=found.client_secret, approval_url=found.approval_url)
    return {"next_action": action}
