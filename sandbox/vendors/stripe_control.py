"""What only the sandbox has: the customer who finishes 3-D Secure, the bank that disputes a charge, payments of the past, where
webhooks go, how long authorisations and keys live."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendors.control import answering_422, webhook_route
from sandbox.vendors.stripe_disputes import Disputes, dispute_document
from sandbox.vendors.stripe_documents import intent_document
from sandbox.vendors.stripe_idempotency import KEPT_S
from sandbox.vendors.stripe_past import PastPayment, take_in_the_past
from sandbox.vendors.stripe_payments import AUTHORISATION_S, VENDOR, Payments
from sandbox.vendors.stripe_wire import StripeError, json_response
from sandbox.world import World


class _Authentication(BaseModel):
    """How the customer's 3-D Secure ends."""

    model_config = ConfigDict(extra="forbid")

    succeed: bool = True


class _Settings(BaseModel):
    """For what is made from now on."""

    model_config = ConfigDict(extra="forbid")

    authorisation_s: float = Field(default=AUTHORISATION_S, gt=0)
    """How long an uncaptured authorisation lives."""
    keys_s: float = Field(default=KEPT_S, ge=0)
    """How long the answer to an idempotency key is kept."""


class _Past(BaseModel):
    """Payments in the order of their creation."""

    model_config = ConfigDict(extra="forbid")

    payments: list[PastPayment]


def control_routes(world: World) -> list[Route]:
    """What the application mounts at `/_sandbox/stripe`."""
    payments = Payments(world)
    disputes = Disputes(world, payments)

    async def authenticate(request: Request) -> Response:
        asked = _Authentication.model_validate_json(await request.body() or b"{}")
        try:
            intent = payments.authenticate(request.path_params["intent"], succeed=asked.succeed)
        except StripeError as error:
            return json_response(error.body, error.status)
        return JSONResponse(intent_document(intent))

    async def dispute(request: Request) -> Response:
        try:
            return JSONResponse(dispute_document(disputes.open(request.path_params["intent"])))
        except StripeError as error:
            return json_response(error.body, error.status)

    async def past(request: Request) -> Response:
        asked = _Past.model_validate_json(await request.body())
        try:
            return JSONResponse({"payment_intents": take_in_the_past(world, asked.payments)}, 201)
        except StripeError as error:
            return json_response(error.body, error.status)

    async def change_settings(request: Request) -> Response:
        asked = _Settings.model_validate_json(await request.body())
        world.put(VENDOR, "settings", "only", asked.model_dump())
        return JSONResponse(asked.model_dump())

    return [
        Route("/payment_intents/{intent}/authenticate", answering_422(authenticate), methods=["POST"]),
        Route("/payment_intents/{intent}/dispute", dispute, methods=["POST"]),
        Route("/past_payments", answering_422(past), methods=["POST"]),
        webhook_route(payments.webhooks.sender),
        Route("/settings", answering_422(change_settings), methods=["PUT"]),
    ]
