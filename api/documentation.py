"""The OpenAPI document: what FastAPI cannot see by itself, which is every refusal with its code, and the bodies we read ourselves."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.dead_letter_models import LetterDrop, LetterRepair, LetterReplay
from api.desk_models import CaseResolution
from api.endpoint_models import EndpointChange, EndpointRequest, NothingMore
from api.me_models import DeviceRequest
from api.models import BookingRequest, CancellationRequest, PriceAcceptance
from api.problems import MEDIA_TYPE, Problem
from schema.errors import REFUSALS
from schema.model import ClientMessage
from schema.notifications import Preferences
from schema.searches import TripSearch

_REF: Final = "#/components/schemas/"
_BODIES: Final[list[type[ClientMessage]]] = [
    BookingRequest,
    CancellationRequest,
    CaseResolution,
    DeviceRequest,
    Preferences,
    PriceAcceptance,
    EndpointChange,
    EndpointRequest,
    LetterDrop,
    LetterRepair,
    LetterReplay,
    NothingMore,
    TripSearch,
]
_ALWAYS: Final = ("internal_error", "service_unavailable")
_AUTHENTICATED: Final = ("unauthenticated", "missing_scope")
_WITH_BODY: Final = ("malformed_json", "unsupported_media_type", "body_too_large", "invalid_request", "unknown_field")
_WITH_KEY: Final = ("idempotency_key_missing", "idempotency_key_malformed", "idempotency_key_reused")
_HEADERS: Final[dict[int, dict[str, str]]] = {
    401: {"WWW-Authenticate": "Bearer"},
    403: {"WWW-Authenticate": "Bearer, and what is missing"},
    503: {"Retry-After": "Seconds after which it is worth trying again"},
}

DESCRIPTION: Final = """\
Books trips of flights, hotels and cars: search, book, pay, follow, cancel.

Every answer that is not a success is an RFC 9457 problem; decide by its `code`. A POST that changes something wants an
`Idempotency-Key`: repeat the request with the same key and the same body as often as you like, it happens once. Every answer
names its `X-Correlation-Id`; send your own to find your request in our logs.
"""

Responses = dict[int | str, dict[str, Any]]


def refusals(*codes: str, body: bool = False, key: bool = False, authenticated: bool = True) -> Responses:
    """The refusals of a route for its `responses`, grouped by status, each code with an example."""
    every = (
        *(_AUTHENTICATED if authenticated else ()),
        *(_WITH_BODY if body else ()),
        *(_WITH_KEY if key else ()),
        *codes,
        *_ALWAYS,
    )
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys(every):
        by_status[REFUSALS[code].status].append(code)
    return {status: _response(status, codes) for status, codes in sorted(by_status.items())}


def _response(status: int, codes: list[str]) -> dict[str, Any]:
    examples = {code: {"summary": REFUSALS[code].title, "value": _example(code)} for code in codes}
    headers = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.get(status, {}).items()
    }
    return {
        "description": "; ".join(f"`{code}`: {REFUSALS[code].title}" for code in codes),
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"{_REF}Problem"}, "examples": examples}},
        "headers": headers,
    }


def _example(code: str) -> dict[str, object]:
    refusal = REFUSALS[code]
    return {
        "type": f"urn:travelhub:problem:{code}",
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.title,
        "code": code,
        "field": None,
        "correlation_id": "01JABCDEFGHJKMNPQRSTVWXYZ0",
        "errors": [],
    }


def reads(model: type[BaseModel]) -> dict[str, Any]:
    """The `openapi_extra` of a route whose body is read by `body_of(model)`."""
    content = {"application/json": {"schema": {"$ref": f"{_REF}{model.__name__}"}}}
    return {"requestBody": {"required": True, "content": content}}


def documented_by(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What `app.openapi` is to be: made once, at the first request for it."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    return openapi


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    _, definitions = models_json_schema([(model, "validation") for model in _BODIES], ref_template=_REF + "{model}")
    _, answers = models_json_schema([(Problem, "serialization")], ref_template=_REF + "{model}")
    schemas.update(definitions.get("$defs", {}) | answers.get("$defs", {}))
    _drop_unused_refusal(document, schemas)
    _describe_streams(document)
    return document


def _drop_unused_refusal(document: dict[str, Any], schemas: dict[str, Any]) -> None:
    """FastAPI adds a refusal of its own shape, which we never answer, to every route with parameters and without a 422."""
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path in document["paths"].values():
        for operation in path.values():
            if MEDIA_TYPE not in operation["responses"].get("422", {}).get("content", {MEDIA_TYPE: None}):
                del operation["responses"]["422"]


def _describe_streams(document: dict[str, Any]) -> None:
    """FastAPI describes events in the words of OpenAPI 3.2, which a document of 3.1 may not use."""
    for path in document["paths"].values():
        for operation in path.values():
            stream = operation["responses"].get("200", {}).get("content", {}).get("text/event-stream", {})
            if stream.pop("itemSchema", None) is not None:
                stream["schema"] = {"type": "string"}
