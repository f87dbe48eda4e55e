"""`Idempotency-Key` on the requests that change a booking or a case: the same key and body is the same request (C-2a).

The key is held in PostgreSQL before the work begins. Valkey keeps a copy of the answer for a day, which only saves a statement.
A refusal lets go of the key: nothing was done. Each piece of work is idempotent by itself too (its update's id is made from the
key), so that a key whose holder died can be worked on again.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final

import orjson
from fastapi import Header
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer
from api.bodies import canonical
from api.faults import KEY_HEADER
from api.services import Services
from schema.errors import Conflict, InvalidRequest
from schema.model import Message
from store import idempotency
from store.clients import ApiClient
from store.valkey import ANSWER_TTL_S, answer_key

REPLAYED: Final = "Idempotent-Replayed"

IdempotencyKey = Annotated[
    str,
    Header(
        alias=KEY_HEADER,
        pattern=r"^[!-~]{8,255}$",
        description="8 to 255 visible ASCII characters, new for each thing that is to happen once",
    ),
]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the work came to."""

    status: int
    body: BaseModel
    secret: bool = False
    """Not kept: the work, which changes nothing, is done again for a repeat."""


class _Kept(Message):
    """An answer as Valkey keeps it."""

    fingerprint: str
    status: int
    body: dict[str, object]


async def once(
    services: Services, client: ApiClient, request: Request, key: str, work: Callable[[], Awaitable[Answer]]
) -> Response:
    """The work's answer, or the one that was given under this key before. Raises Conflict while somebody else works under it."""
    place = f"{request.method} {request.url.path}\n".encode()
    # Must merge: repeats of this request. Must not merge: the same body sent to another place.
    fingerprint = hashlib.sha256(place + await canonical(request)).digest()
    remembered = await _remembered(services, client, key, fingerprint)
    if remembered is not None:
        return remembered
    async with services.database.transaction() as connection:
        claim = await idempotency.claim(connection, client.client_id, key, fingerprint)
    if claim.kind == "reused":
        raise _reused()
    if claim.kind == "in_flight":
        raise Conflict(
            "the first request with this key is not done yet", code="idempotency_key_in_flight", field=KEY_HEADER
        )
    if claim.kind == "answered" and claim.answer:
        return _replay(claim.status or 200, orjson.dumps(claim.answer))
    if claim.kind == "answered":
        answer = await work()
        return json_answer(answer.body, answer.status)
    return await _work(services, client, key, fingerprint, work)


async def _work(
    services: Services, client: ApiClient, key: str, fingerprint: bytes, work: Callable[[], Awaitable[Answer]]
) -> Response:
    try:
        answer = await work()
    except BaseException:
        # Also when we are cancelled: a key nobody works under must not look as if somebody did.
        await asyncio.shield(_release(services, client, key))
        raise
    body = {} if answer.secret else answer.body.model_dump(mode="json")
    async with services.database.transaction() as connection:
        await idempotency.answer(connection, client.client_id, key, answer.status, body)
    if not answer.secret:
        kept = _Kept(fingerprint=fingerprint.hex(), status=answer.status, body=body)
        await services.valkey.set(answer_key(client.client_id, key), kept.model_dump_json().encode(), ANSWER_TTL_S)
    return json_answer(answer.body, answer.status)


async def _release(services: Services, client: ApiClient, key: str) -> None:
    async with services.database.transaction() as connection:
        await idempotency.release(connection, client.client_id, key)


async def _remembered(services: Services, client: ApiClient, key: str, fingerprint: bytes) -> Response | None:
    kept = await services.valkey.get(answer_key(client.client_id, key))
    if kept is None:
        return None
    try:
        answer = _Kept.model_validate_json(kept)
    except ValidationError:
        return None  # written by another release, or by nobody of ours: PostgreSQL knows better
    if answer.fingerprint != fingerprint.hex():
        raise _reused()
    return _replay(answer.status, orjson.dumps(answer.body))


def _replay(status: int, body: bytes) -> Response:
    return Response(body, status_code=status, media_type="application/json", headers={REPLAYED: "true"})


def _reused() -> InvalidRequest:
    return InvalidRequest(
        "this key was used with another request; use a new one", code="idempotency_key_reused", field=KEY_HEADER
    )
