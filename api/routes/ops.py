"""Operations: what machines could not settle, for people to decide; and how the house is doing."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer
from api.auth import requires
from api.bodies import body_of
from api.desk import decide
from api.desk_models import CaseResolution, CasesQuery
from api.desk_views import CaseDecision, CaseDetail, CaseList, CaseView, Dossier
from api.documentation import reads, refusals
from api.idempotency import Answer, IdempotencyKey, once
from api.problems import refusal
from api.routes.paths import CaseIdPath
from api.services import Serve
from schema.errors import NotFound
from search.ages import CacheFigures
from store import attempts, bookings, cases, desk, payments
from store.cases import CaseFilter
from store.clients import ApiClient

router = APIRouter(prefix="/v1/ops", tags=["operations"])

Watcher = Annotated[ApiClient, Depends(requires("ops:read"))]
Operator = Annotated[ApiClient, Depends(requires("ops:write"))]


@router.get(
    "/cases",
    response_model=CaseList,
    responses=refusals("malformed_cursor", "invalid_request", "unknown_field"),
)
async def list_cases(_: Watcher, query: Annotated[CasesQuery, Query()], services: Serve) -> Response:
    """Review cases, the oldest first, a page at a time; each names every effect that may be outstanding at a vendor."""
    wanted = CaseFilter.model_validate(query, from_attributes=True)
    async with services.database.read() as connection:
        page = await cases.page(connection, wanted, query.limit, query.cursor)
        proposals = await desk.proposals(connection, [case.case_id for case in page.cases])
    found = [CaseView.of(case, proposals.get(case.case_id), services.settings) for case in page.cases]
    return json_answer(CaseList(cases=found, next_cursor=page.next_cursor))


@router.get("/cases/{case_id}", response_model=CaseDetail, responses=refusals("malformed_id", "not_found"))
async def get_case(_: Watcher, case_id: CaseIdPath, services: Serve) -> Response:
    """One case: what happened up to it, what was asked of vendors, where the money is, every outstanding effect with where to see
    it, and what operators did about it."""
    async with services.database.read() as connection:
        case = await cases.get(connection, case_id)
        if case is None:
            raise NotFound("there is no such case", field="case_id")
        dossier = Dossier(
            case=case,
            proposal=(await desk.proposals(connection, [case_id])).get(case_id),
            events=await bookings.events_of(connection, case.booking_id),
            attempts=await attempts.of_booking(connection, case.booking_id),
            payments=await payments.of_booking(connection, case.booking_id),
            refunds=await desk.refunds_of(connection, case.booking_id),
            actions=await desk.of_case(connection, case_id),
        )
    return json_answer(dossier.view(services.settings))


@router.post(
    "/cases/{case_id}/resolution",
    response_model=CaseDecision,
    responses={
        202: {"model": CaseDecision, "description": "Proposed to a second operator; or accepted and being worked on"},
        **refusals(
            *("malformed_id", "not_found", "case_not_open", "conflict", "idempotency_key_in_flight"),
            *("effect_not_named", "second_person_needed"),
            body=True,
            key=True,
        ),
    },
    openapi_extra=reads(CaseResolution),
)
async def resolve(
    request: Request,
    client: Operator,
    body: Annotated[CaseResolution, Depends(body_of(CaseResolution))],
    key: IdempotencyKey,
    case_id: CaseIdPath,
    services: Serve,
) -> Response:
    """Decide a review case; the workflow that waits for it goes on. Your name and note are kept with the case.

    A `write_off` above the amount in the settings is a proposal (202, `proposed`) that takes effect when another operator sends the
    same within a day; any other decision replaces it.
    """
    if body.action == "confirmed_at_vendor" and body.provider_reference is None:
        raise refusal("invalid_request", "name the vendor's reference of what is confirmed", "/provider_reference")

    async def work() -> Answer:
        return await decide(services, client, case_id, body, key)

    return await once(services, client, request, key, work)


@router.get("/search-cache", response_model=CacheFigures, responses=refusals())
async def search_cache(_: Watcher, services: Serve) -> Response:
    """What this process has served from the cache of searches since it started, by age; and how much of it was dropped."""
    return json_answer(services.search.ages.figures())
