"""What the control routes of several vendors share: where webhooks go, and how a body that cannot be used is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendors.webhook_sender import Endpoint, Sender


class _Webhook(BaseModel):
    """The one webhook endpoint. `doubled` sends each event twice, `silent` none."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(pattern=r"^https?://")
    secret: str = Field(min_length=1)
    mode: Literal["normal", "doubled", "silent"] = "normal"


def webhook_route(sender: Sender) -> Route:
    """PUT `/webhook`: where the vendor's events go from now on."""

    async def set_webhook(request: Request) -> Response:
        asked = _Webhook.model_validate_json(await request.body())
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
