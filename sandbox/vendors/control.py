"""What the control routes of several vendors share: where webhooks go, and how a body that cannot be used is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendors.webhook_sender import Endpoint, Mode, Sender


class _Webhook(BaseModel):
    """The one webhook endpoint. `doubled` sends each event twice, `silent` none, `reordered` each after a while of its own."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(pattern=r"^https?://")
    secret: str = Field(min_length=1)
    mode: Mode = "normal"


class _UnsharedWebhook(_Webhook):
    """Of a vendor that signs with a key of its own."""

    secret: str = ""


def webhook_route(sender: Sender, *, secret_needed: bool = True) -> Route:
    """PUT `/webhook`: where the vendor's events go from now on."""
    model = _Webhook if secret_needed else _UnsharedWebhook

    async def set_webhook(request: Request) -> Response:
        asked = model.model_validate_json(await request.body())
        sender.endpoint = Endpoint(url=asked.url, secret=asked.secret, mode=asked.mode)
        return JSONResponse(asked.model_dump())

    return Route("/webhook", answering_422(set_webhook), methods=["PUT"])


def answering_422(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The handler, whose ValidationError is the caller's fault."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except ValidationError as error:
            return Response(error.json(include_url=False), 422, media_type="application/json")

    return answer
