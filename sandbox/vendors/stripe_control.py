"""What only the sandbox has: the customer who finishes 3-D Secure, where webhooks go, how long authorisations live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendors.stripe_documents import intent_document
from sandbox.vendors.stripe_payments import VENDOR, Payments
from sandbox.vendors.stripe_webhooks import Endpoint
from sandbox.vendors.stripe_wire import StripeError, json_response
from sandbox.world import World


class _Authentication(BaseModel):
    """How the customer's 3-D Secure ends."""

    model_config = ConfigDict(extra="forbid")

    succeed: bool = True


class _Webhook(BaseModel):
    """The one webhook endpoint. `doubled` sends each event twice, `silent` none (they stay listable)."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(pattern=r"^https?://")
    secret: str = Field(min_length=1)
    mode: Literal["normal", "doubled", "silent"] = "normal"


class _Settings(BaseModel):
    """How long an uncaptured authorisation made from now on lives."""

    model_config = ConfigDict(extra="forbid")

    authorisation_s: float = Field(gt=0)


def control_routes(world: World) -> list[Route]:
    """What the application mounts at `/_sandbox/stripe`."""
    payments = Payments(world)

    async def authenticate(request: Request) -> Response:
        asked = _Authentication.model_validate_json(await request.body() or b"{}")
        try:
            intent = payments.authenticate(request.path_params["intent"], succeed=asked.succeed)
        except StripeError as error:
            return json_response(error.body, error.status)
        return JSONResponse(intent_document(intent))

    async def set_webhook(request: Request) -> Response:
        asked = _Webhook.model_validate_json(await request.body())
        payments.webhooks.endpoint = Endpoint(url=asked.url, secret=asked.secret, mode=asked.mode)
        return JSONResponse(asked.model_dump())

    async def change_settings(request: Request) -> Response:
        asked = _Settings.model_validate_json(await request.body())
        world.put(VENDOR, "settings", "only", asked.model_dump())
        return JSONResponse(asked.model_dump())

    return [
        Route("/payment_intents/{intent}/authenticate", _answering_422(authenticate), methods=["POST"]),
        Route("/webhook", _answering_422(set_webhook), methods=["PUT"]),
        Route("/settings", _answering_422(change_settings), methods=["PUT"]),
    ]


def _answering_422(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except ValidationError as error:
            return Response(error.json(include_url=False), 422, media_type="application/json")

    return answer
