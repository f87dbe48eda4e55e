"""Refusals as RFC 9457 problems: one shape for every answer that is not a success.

`code` is stable and documented (`schema/errors.py`); `field` names what is wrong: a JSON pointer into the body (`/items/0/offer_id`),
or the name of a header, query or path parameter. Where several things are wrong, `errors` lists them and the first one speaks
for the answer. What a client sent is never quoted back: it may be personal data, and problems end up in logs.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import orjson
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.scope import correlation_id_of
from schema.errors import REFUSALS, ClientError, ServiceUnavailable, TravelHubError
from schema.model import Message

MEDIA_TYPE: Final = "application/problem+json"
MAX_FAULTS: Final = 20
"""A body can hold thousands of faults; nobody reads more than a few."""
_MAX_TEXT: Final = 300


class Fault(Message):
    """One thing that is wrong with a request."""

    code: str
    field: str | None = None
    detail: str


class Problem(Message):
    """RFC 9457 problem details."""

    type: str = Field(examples=["urn:travelhub:problem:offer_expired"])
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; decide by this, not by the texts")
    field: str | None = Field(default=None, description="JSON pointer into the body, or the parameter's name")
    correlation_id: str = Field(description="Names this request in our logs")
    errors: list[Fault] = Field(default=[], description="All faults, when there are several")


class Refused(ClientError):
    """A request with several faults, the first of which decides the answer's status."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        first = faults[0]
        super().__init__(first.detail, code=first.code, field=first.field)
        self.faults = list(faults[:MAX_FAULTS])


def refusal(code: str, detail: str, field: str | None = None) -> Refused:
    """A refusal with one fault."""
    return Refused([Fault(code=code, field=field, detail=detail)])


def problem_of(request: Request, error: TravelHubError) -> Response:
    """The answer that tells the error to a client."""
    headers: dict[str, str] = {}
    if isinstance(error, ServiceUnavailable):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if error.problem_code == "idempotency_key_in_flight":
        headers["Retry-After"] = "1"
    if error.problem_code == "unauthenticated":
        headers["WWW-Authenticate"] = 'Bearer realm="travelhub"'
    if error.problem_code == "missing_scope":
        headers["WWW-Authenticate"] = 'Bearer realm="travelhub", error="insufficient_scope"'
    faults = error.faults if isinstance(error, Refused) else []
    return problem(
        correlation_id_of(request.scope),
        error.problem_code,
        error.message,
        status=error.status,
        field=error.field,
        faults=faults,
        headers=headers,
    )


def problem(
    correlation_id: str,
    code: str,
    detail: str,
    *,
    status: int = 500,
    field: str | None = None,
    faults: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem by its code; `status` counts only for a code that is not in the table."""
    known = REFUSALS.get(code)
    body = {
        "type": f"urn:travelhub:problem:{code}",
        "title": known.title if known else code.replace("_", " ").capitalize(),
        "status": known.status if known else status,
        "detail": _printable(detail),
        "code": code,
        "field": None if field is None else _printable(field),
        "correlation_id": correlation_id,
        "errors": [_fault(fault) for fault in faults] if len(faults) > 1 else [],
    }
    return Response(
        orjson.dumps(body),
        status_code=known.status if known else status,
        media_type=MEDIA_TYPE,
        headers=None if headers is None else dict(headers),
    )


def _fault(fault: Fault) -> dict[str, object]:
    return {
        "code": fault.code,
        "field": None if fault.field is None else _printable(fault.field),
        "detail": _printable(fault.detail),
    }


def _printable(text: str) -> str:
    """Cut to size; halves of surrogate pairs, which JSON can smuggle into names, are not text and are replaced."""
    return text[:_MAX_TEXT].encode("utf-8", "replace").decode()
