"""SendGrid, simulated: mail taken with 202, delivered a little later, and told of by the event webhook."""

from __future__ import annotations

from typing import Final, cast

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendors.calls import Call, endpoint
from sandbox.vendors.control import answering_422, webhook_route
from sandbox.vendors.sendgrid_delivery import EventSender, mails, notice, open_mail, resume, take
from sandbox.vendors.sendgrid_mail import mail_in
from sandbox.vendors.sendgrid_wire import INSIDE, PREFIX, VENDOR, SendGridError, fault_response
from sandbox.vendors.signing_keys import ecdsa_public_key
from sandbox.world import JsonObject, World

__all__ = ["PREFIX", "VENDOR", "books", "control_routes", "fault_response", "routes"]

_LARGEST_BYTES: Final = 30 * 1024 * 1024


def routes(world: World) -> list[Route]:
    """The one call that the sandbox plays, below `PREFIX`."""
    resume(world)
    return [Route("/v3/mail/send", endpoint(world, INSIDE, _send, "accept_later"), methods=["POST"])]


def _send(call: Call) -> Response:
    """POST /v3/mail/send"""
    if len(call.body) > _LARGEST_BYTES:
        raise SendGridError(413, "The request entity is too large.")
    mail = mail_in(call.body, call.world.now().timestamp())
    if "unverified" in mail.sender.email:
        raise SendGridError(403, "The from address does not match a verified Sender Identity.", "from")
    if mail.mail_settings.sandbox_mode.enable:
        return Response(status_code=200)
    message_id = take(call.world, mail, call.fault_of("accept_later"))
    return Response(status_code=202, headers={"X-Message-Id": message_id})


class _Settings(BaseModel):
    """How long a mail is under way."""

    model_config = ConfigDict(extra="forbid")

    deliver_s: float = Field(ge=0, le=86_400)


def control_routes(world: World) -> list[Route]:
    """What the application mounts at `/_sandbox/sendgrid`."""

    async def list_mails(request: Request) -> Response:
        contains = request.query_params.get("contains")
        found = [mail for mail in mails(world) if contains is None or contains in str(mail)]
        return JSONResponse(found)

    async def open_one(request: Request) -> Response:
        wanted = cast(str, request.path_params["id"])
        found = next((mail for mail in mails(world) if wanted in (mail["id"], mail["message_id"])), None)
        if found is None:
            return JSONResponse({"detail": "no such mail"}, 404)
        open_mail(world, found)
        return JSONResponse(found)

    async def show_key(_request: Request) -> Response:
        return JSONResponse({"public_key": ecdsa_public_key(world.seed)})

    async def change_settings(request: Request) -> Response:
        asked = _Settings.model_validate_json(await request.body())
        world.put(VENDOR, "settings", "only", asked.model_dump())
        return JSONResponse(asked.model_dump())

    return [
        Route("/mails", list_mails, methods=["GET"]),
        Route("/mails/{id}/open", open_one, methods=["POST"]),
        Route("/public_key", show_key, methods=["GET"]),
        Route("/settings", answering_422(change_settings), methods=["PUT"]),
        webhook_route(EventSender(world), secret_needed=False),
    ]


def books(world: World) -> JsonObject:
    """Every mail, as of now."""
    return {"notices": [notice(mail) for mail in mails(world)]}
