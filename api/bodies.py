"""Bodies: at most 256 KiB for all but one vendor, JSON by content type and by content, checked against a model in one pass."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.faults import faults_in_body
from api.problems import Refused, refusal
from schema.model import ClientMessage

MAX_BODY_BYTES: Final = 256 * 1024
_LARGER: Final = {"/v1/webhooks/sendgrid": 1024 * 1024}
"""Where a vendor batches its events; one that is refused would be sent again in vain for a day."""
_JSON: Final = "application/json"

Model = TypeVar("Model", bound=ClientMessage)


class BodyLimit:
    """Refuses a body that says it is too large before a byte of it is read, and one that turns out to be as soon as it does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most_bytes = _LARGER.get(scope["path"], MAX_BODY_BYTES)
        too_large = HTTPException(413, f"the body is over {most_bytes} bytes")
        announced = Headers(scope=scope).get("content-length", "")
        received_bytes = 0

        async def receive_limited() -> Message:
            nonlocal received_bytes
            if announced.isdecimal() and int(announced[:12]) > most_bytes:
                raise too_large
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > most_bytes:
                raise too_large
            return message

        await self._app(scope, receive_limited, send)


def body_of(model: type[Model]) -> Callable[[Request], Awaitable[Model]]:
    """A dependency that reads the model from the body; declared after authentication, so that strangers are not told what is
    wrong with their JSON. Raises Refused for whatever is wrong."""
    adapter = TypeAdapter(model)

    async def read(request: Request) -> Model:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != _JSON:
            raise refusal("unsupported_media_type", "send the body as application/json", "Content-Type")
        try:
            return adapter.validate_json(await request.body())
        except ValidationError as error:
            raise Refused(faults_in_body(error.errors(include_url=False, include_input=False))) from None

    return read


async def canonical(request: Request) -> bytes:
    """The body with sorted keys and no spaces: what two requests must share to be the same. Made from what was sent, not from
    our model, so that a release that adds a field with a default does not make old requests look new."""
    try:
        return orjson.dumps(orjson.loads(await request.body()), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        raise refusal("malformed_json", "the body is not JSON") from None
