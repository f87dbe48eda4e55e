"""Firebase Cloud Messaging v1, simulated: one message to one device, or to a topic; and Google's token endpoint before it."""

from __future__ import annotations

from typing import Final, TypedDict, cast

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendors.calls import Call, endpoint, json_response
from sandbox.vendors.control import answering_422
from sandbox.vendors.fcm_token import create_token, service_account_of
from sandbox.vendors.fcm_wire import (
    AT_THE_DOOR,
    INSIDE,
    PREFIX,
    PROJECT,
    VENDOR,
    FcmError,
    GoogleError,
    fault_response,
)
from sandbox.world import JsonObject, World

__all__ = ["PREFIX", "VENDOR", "books", "control_routes", "fault_response", "routes"]

_TARGETS: Final = ("token", "fid", "topic", "condition")
_FIELDS: Final = frozenset(
    {*_TARGETS, "name", "data", "notification", "android", "androidV2", "webpush", "apns", "fcmOptions"}
)
_RESERVED: Final = ("google.", "gcm.")
_LARGEST_BYTES: Final = 4096
_MAGIC: Final = {
    "unregistered": "UNREGISTERED",
    "mismatch": "SENDER_ID_MISMATCH",
    "invalid": "INVALID_ARGUMENT",
    "thirdparty": "THIRD_PARTY_AUTH_ERROR",
}
"""What a device's token may ask for, by a part of it."""


class PushRecord(TypedDict):
    """A message as it was sent."""

    name: str
    target: str
    """The device's token; or the topic or condition."""
    message: JsonObject
    collapse_key: str | None
    created_at: str


def routes(world: World) -> list[Route]:
    """The calls that the sandbox plays, below `PREFIX`."""
    return [
        Route("/token", endpoint(world, AT_THE_DOOR, create_token), methods=["POST"]),
        Route("/v1/projects/{project}/messages:send", endpoint(world, INSIDE, _send), methods=["POST"]),
    ]


def _send(call: Call) -> Response:
    """POST /v1/projects/{project}/messages:send. The same message again is sent again."""
    if call.path["project"] != PROJECT:
        raise GoogleError(403, "PERMISSION_DENIED", "Permission denied on this project.")
    document = _document(call.body)
    message = _object(document.get("message"), "message")
    target = _target(message)
    _check_message(message)
    if "token" in message or "fid" in message:
        _check_device(call.world, target)
    if document.get("validateOnly") is True:
        return json_response({"name": f"projects/{PROJECT}/messages/fake_message_id"})
    world = call.world
    serial = world.new_id("fcm-message:").removeprefix("fcm-message:")
    record: PushRecord = {
        "name": f"projects/{PROJECT}/messages/0:{serial}",
        "target": target,
        "message": message,
        "collapse_key": _collapse_key(message),
        "created_at": world.now().isoformat(),
    }
    world.put(VENDOR, "message", record["name"], cast(JsonObject, cast(object, record)))
    details: JsonObject = {
        "to": target,
        "collapse_key": record["collapse_key"],
        "notification": message.get("notification"),
    }
    world.effect(VENDOR, "push.sent", object_id=record["name"], metadata=_data(message), details=details)
    return json_response({"name": record["name"]})


def _document(body: bytes) -> JsonObject:
    try:
        document = cast(object, orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise GoogleError(400, "INVALID_ARGUMENT", "Invalid JSON payload received.") from error
    found = _object(document, "")
    for name in found:
        if name not in ("message", "validateOnly"):
            raise FcmError("INVALID_ARGUMENT", f'Unknown name "{name}": Cannot find field.', name)
    return found


def _object(value: object, field: str) -> JsonObject:
    if not isinstance(value, dict):
        raise FcmError("INVALID_ARGUMENT", "An object is required.", field)
    return cast(JsonObject, value)


def _target(message: JsonObject) -> str:
    targets = [message[name] for name in _TARGETS if name in message]
    if len(targets) != 1 or not isinstance(targets[0], str) or not targets[0]:
        raise FcmError("INVALID_ARGUMENT", "Recipient of the message is not set, or more than one is.", "message")
    return targets[0]


def _check_message(message: JsonObject) -> None:
    for name in message:
        if name not in _FIELDS:
            raise FcmError("INVALID_ARGUMENT", f'Unknown name "{name}" at message.', f"message.{name}")
    for name, value in _object(message.get("data", {}), "message.data").items():
        if not isinstance(value, str):
            raise FcmError("INVALID_ARGUMENT", "Values must be strings.", f"message.data.{name}")
        if name in ("from", "message_type") or name.startswith(_RESERVED):
            raise FcmError("INVALID_ARGUMENT", f"Invalid data payload key: {name}", f"message.data.{name}")
    for name, value in _object(message.get("notification", {}), "message.notification").items():
        if name not in ("title", "body", "image") or not isinstance(value, str):
            raise FcmError("INVALID_ARGUMENT", "Not a notification.", f"message.notification.{name}")
    payload = {name: message.get(name) for name in ("data", "notification")}
    if len(orjson.dumps(payload)) > _LARGEST_BYTES:
        raise FcmError("INVALID_ARGUMENT", "Message is too big.", "message")


def _check_device(world: World, token: str) -> None:
    if world.get(VENDOR, "unregistered", token) is not None:
        raise FcmError("UNREGISTERED")
    for part, code in _MAGIC.items():
        if part in token:
            raise FcmError(code, place="message.token" if code == "INVALID_ARGUMENT" else None)


def _data(message: JsonObject) -> JsonObject:
    return cast(JsonObject, message.get("data", {}))


def _collapse_key(message: JsonObject) -> str | None:
    """By which a device puts a newer message in an older one's place; each platform has its own word for it."""
    found = (
        _child(message, "android").get("collapseKey"),
        _child(_child(message, "apns"), "headers").get("apns-collapse-id"),
        _child(_child(message, "webpush"), "headers").get("Topic"),
    )
    return next((key for key in found if isinstance(key, str)), None)


def _child(document: JsonObject, name: str) -> JsonObject:
    value = document.get(name)
    return cast(JsonObject, value) if isinstance(value, dict) else {}


class _Settings(BaseModel):
    """How long a bearer lives."""

    model_config = ConfigDict(extra="forbid")

    token_s: float = Field(gt=0, le=86_400)


def control_routes(world: World) -> list[Route]:
    """What the application mounts at `/_sandbox/fcm`."""

    async def show_account(request: Request) -> Response:
        return JSONResponse(service_account_of(world, str(request.base_url).split("/_sandbox")[0]))

    async def list_messages(_request: Request) -> Response:
        return JSONResponse(_messages(world))

    async def unregister(request: Request) -> Response:
        world.put(VENDOR, "unregistered", cast(str, request.path_params["token"]), {"gone": True})
        return Response(status_code=204)

    async def change_settings(request: Request) -> Response:
        asked = _Settings.model_validate_json(await request.body())
        world.put(VENDOR, "settings", "only", asked.model_dump())
        return JSONResponse(asked.model_dump())

    return [
        Route("/service_account", show_account, methods=["GET"]),
        Route("/messages", list_messages, methods=["GET"]),
        Route("/tokens/{token}", unregister, methods=["DELETE"]),
        Route("/settings", answering_422(change_settings), methods=["PUT"]),
    ]


def _messages(world: World) -> list[PushRecord]:
    return cast("list[PushRecord]", world.all(VENDOR, "message"))


def books(world: World) -> JsonObject:
    """Every message that was sent. FCM never says whether it arrived."""
    return {
        "notices": [
            {
                "vendor": VENDOR,
                "kind": "push",
                "object_id": record["name"],
                "metadata": _data(record["message"]),
                "to": [record["target"]],
                "status": "sent",
                "created_at": record["created_at"],
            }
            for record in _messages(world)
        ]
    }
