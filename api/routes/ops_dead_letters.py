"""Operations: messages that could not be taken, for people to look into, hand over again, repair or drop."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer
from api.bodies import body_of
from api.dead_letter_models import (
    LETTER_ID_PATTERN,
    DeadLetterDetail,
    DeadLetterList,
    DeadLetterView,
    LetterDrop,
    LetterRepair,
    LetterReplay,
    LettersQuery,
)
from api.dead_letters import Wish, deal_with
from api.documentation import Responses, reads, refusals
from api.idempotency import Answer, IdempotencyKey, once
from api.routes.ops import Operator, Watcher
from api.services import Serve, Services
from schema.errors import NotFound
from store import dead_letters
from store.clients import ApiClient
from store.dead_letters import LetterFilter

router = APIRouter(prefix="/v1/ops/dead-letters", tags=["operations"])

LetterIdPath = Annotated[str, Path(alias="dead_letter_id", pattern=LETTER_ID_PATTERN)]
_SETTLING: Final[Responses] = refusals(
    *("malformed_id", "not_found", "dead_letter_settled", "conflict", "idempotency_key_in_flight"), body=True, key=True
)


@router.get(
    "", response_model=DeadLetterList, responses=refusals("malformed_cursor", "invalid_request", "unknown_field")
)
async def list_letters(_: Watcher, query: Annotated[LettersQuery, Query()], services: Serve) -> Response:
    """Dead letters, the oldest first, a page at a time; by default those that wait for an operator."""
    wanted = LetterFilter.model_validate(query, from_attributes=True)
    async with services.database.read() as connection:
        page = await dead_letters.listed(connection, wanted, query.limit, query.cursor)
    return json_answer(DeadLetterList.of(page))


@router.get("/{dead_letter_id}", response_model=DeadLetterDetail, responses=refusals("malformed_id", "not_found"))
async def get_letter(_: Watcher, letter_id: LetterIdPath, services: Serve) -> Response:
    """One dead letter: what is kept of the message, why it could not be taken, and what operators did about it."""
    async with services.database.read() as connection:
        letter = await dead_letters.get(connection, letter_id)
        record = await dead_letters.record_of(connection, letter_id)
    if letter is None:
        raise NotFound("there is no such dead letter", field="dead_letter_id")
    return json_answer(DeadLetterDetail.with_record(letter, record))


@router.post(
    "/{dead_letter_id}/replay", response_model=DeadLetterView, responses=_SETTLING, openapi_extra=reads(LetterReplay)
)
async def replay(
    request: Request,
    client: Operator,
    body: Annotated[LetterReplay, Depends(body_of(LetterReplay))],
    key: IdempotencyKey,
    letter_id: LetterIdPath,
    services: Serve,
) -> Response:
    """Hand it over again. `resolved` when that works; `waiting`, with one failure more, when it does not."""
    return await _deal(services, client, request, key, letter_id, body)


@router.post(
    "/{dead_letter_id}/repair", response_model=DeadLetterView, responses=_SETTLING, openapi_extra=reads(LetterRepair)
)
async def repair(
    request: Request,
    client: Operator,
    body: Annotated[LetterRepair, Depends(body_of(LetterRepair))],
    key: IdempotencyKey,
    letter_id: LetterIdPath,
    services: Serve,
) -> Response:
    """Say what the message is about, in place of what was read, and hand it over again."""
    return await _deal(services, client, request, key, letter_id, body)


@router.post(
    "/{dead_letter_id}/drop", response_model=DeadLetterView, responses=_SETTLING, openapi_extra=reads(LetterDrop)
)
async def drop(
    request: Request,
    client: Operator,
    body: Annotated[LetterDrop, Depends(body_of(LetterDrop))],
    key: IdempotencyKey,
    letter_id: LetterIdPath,
    services: Serve,
) -> Response:
    """Put it away: nothing follows from it. Your name and note are kept with it."""
    return await _deal(services, client, request, key, letter_id, body)


async def _deal(
    services: Services, client: ApiClient, request: Request, key: str, letter_id: str, wish: Wish
) -> Response:
    async def work() -> Answer:
        return await deal_with(services, client, letter_id, wish, key)

    return await once(services, client, request, key, work)
