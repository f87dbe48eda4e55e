"""Twilio, simulated: messages sent by form, listed by whom they went to and when, and told of by callbacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Final
from urllib.parse import parse_qs, urlencode

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendors.calls import Call, endpoint, json_response
from sandbox.vendors.control import answering_422
from sandbox.vendors.twilio_messages import (
    API_VERSION,
    MessageRecord,
    find_message,
    make_message,
    message_document,
    messages,
    notice,
    resume,
    uri_of,
)
from sandbox.vendors.twilio_wire import INSIDE, PREFIX, VENDOR, TwilioError, fault_response
from sandbox.vendors.webhook_sender import Mode
from sandbox.world import JsonObject, World

__all__ = ["PREFIX", "VENDOR", "books", "control_routes", "fault_response", "routes"]

_NUMBER: Final = re.compile(r"\+[1-9]\d{6,14}")
_REFUSED: Final = {
    "+15005550001": 21211,
    "+15005550004": 21610,
    "+15005550009": 21614,
    "+15005550029": 20429,
}
"""Twilio's magic numbers, and the last, the sandbox's own, which is always too much."""
_REFUSED_SENDERS: Final = {"+15005550001": 21212, "+15005550007": 21606}
_LONGEST_BODY: Final = 1600


def routes(world: World) -> list[Route]:
    """The calls that the sandbox plays, below `PREFIX`."""
    resume(world)
    base = f"/{API_VERSION}/Accounts/{{account}}/Messages"
    return [
        Route(f"{base}.json", endpoint(world, INSIDE, _create, "accept_later"), methods=["POST"]),
        Route(f"{base}.json", endpoint(world, INSIDE, _list), methods=["GET"]),
        Route(f"{base}/{{sid}}.json", endpoint(world, INSIDE, _get), methods=["GET"]),
    ]


def _create(call: Call) -> Response:
    """POST .../Messages.json. The same request again is another message."""
    sent = parse_qs(call.body.decode())
    form = {name: values[-1] for name, values in sent.items()}
    if "To" not in form:
        raise TwilioError(21604)
    if not _NUMBER.fullmatch(form["To"]):
        raise TwilioError(21211, message=f"Invalid 'To' Phone Number: {form['To']}")
    if form["To"] in _REFUSED:
        raise TwilioError(_REFUSED[form["To"]])
    if "From" not in form and "MessagingServiceSid" not in form:
        raise TwilioError(21603)
    if form.get("From") in _REFUSED_SENDERS:
        raise TwilioError(_REFUSED_SENDERS[form["From"]])
    if not {"Body", "MediaUrl", "ContentSid"} & form.keys():
        raise TwilioError(21602)
    if len(form.get("Body", "")) > _LONGEST_BODY:
        raise TwilioError(21617)
    if not re.match("https?://", form.get("StatusCallback", "https://")):
        raise TwilioError(21609)
    media = len(sent.get("MediaUrl", []))
    message = make_message(call.world, call.path["account"], form, media, call.fault_of("accept_later"))
    return json_response(message_document(message), 201)


def _get(call: Call) -> Response:
    """GET .../Messages/{sid}.json"""
    message = find_message(call.world, call.path["account"], call.path["sid"])
    if message is None:
        raise TwilioError(20404)
    return json_response(message_document(message))


def _list(call: Call) -> Response:
    """GET .../Messages.json: newest first."""
    query = {name: values[-1] for name, values in call.query.items()}
    account = call.path["account"]
    size = min(max(_whole(query.get("PageSize", "50")), 1), 1000)
    page = _whole(query.get("Page", "0"))
    wanted = _filter(query)
    found = [each for each in reversed(messages(call.world)) if each["account"] == account and wanted(each)]
    first = page * size
    shown = found[first : first + size]

    def uri(number: int) -> str:
        return f"{uri_of(account)}.json?{urlencode({**query, 'PageSize': size, 'Page': number})}"

    return json_response(
        {
            "first_page_uri": uri(0),
            "end": first + len(shown) - 1 if shown else first,
            "next_page_uri": uri(page + 1) if first + size < len(found) else None,
            "page": page,
            "page_size": size,
            "previous_page_uri": uri(page - 1) if page else None,
            "start": first,
            "uri": uri(page),
            "messages": [message_document(each) for each in shown],
        }
    )


def _filter(query: Mapping[str, str]) -> Callable[[MessageRecord], bool]:
    """By number and by the time of sending: a day, from a day on, up to a day; or the same with times."""
    bounds = [(name[8:], query[name]) for name in ("DateSent", "DateSent<", "DateSent>") if name in query]
    checks = [(sign, *_moment(text)) for sign, text in bounds]

    def fits(message: MessageRecord) -> bool:
        sent = datetime.fromisoformat(message["created_at"])
        for sign, bound, is_day in checks:
            at = datetime.combine(sent.date(), datetime.min.time(), UTC) if is_day else sent.replace(microsecond=0)
            if (sign == "" and at != bound) or (sign == "<" and at > bound) or (sign == ">" and at < bound):
                return False
        return query.get("To") in (None, message["to"]) and query.get("From") in (None, message["sender"])

    return fits


def _moment(text: str) -> tuple[datetime, bool]:
    """A day's beginning in GMT, or a time; and whether it is a day."""
    try:
        if len(text) == len("2026-12-01"):
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC), True
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise TwilioError(20500, 400, "Invalid date") from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC), False


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise TwilioError(20500, 400, "Invalid page")
    return int(text)


class _Settings(BaseModel):
    """How long a message is under way, and how its callbacks are delivered."""

    model_config = ConfigDict(extra="forbid")

    deliver_s: float | None = Field(default=None, ge=0, le=86_400)
    mode: Mode | None = None


def control_routes(world: World) -> list[Route]:
    """What the application mounts at `/_sandbox/twilio`."""

    async def list_messages(_request: Request) -> Response:
        return JSONResponse(messages(world))

    async def change_settings(request: Request) -> Response:
        asked = _Settings.model_validate_json(await request.body())
        changed = (world.get(VENDOR, "settings", "only") or {}) | asked.model_dump(exclude_none=True)
        world.put(VENDOR, "settings", "only", changed)
        return JSONResponse(changed)

    return [
        Route("/messages", list_messages, methods=["GET"]),
        Route("/settings", answering_422(change_settings), methods=["PUT"]),
    ]


def books(world: World) -> JsonObject:
    """Every message, as of now."""
    return {"notices": [notice(message) for message in messages(world)]}
