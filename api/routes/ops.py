"""Operations: what machines could not settle, for people to decide."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer
from api.auth import requires
from api.bodies import body_of
from api.documentation import reads, refusals
from api.idempotency import Answer, IdempotencyKey, once
from api.models import CaseResolution, CasesQuery
from api.problems import refusal
from api.routes.paths import CaseIdPath
from api.services import Serve, Services
from api.temporal import WorkflowGone, send_update, update_id_for
from api.views import CaseDecision, CaseList, CaseView
from schema.bookings import Accepted, Resolution
from schema.errors import Conflict, NotFound
from schema.states import BookingState
from store import bookings, cases
from store.cases import StoredCase
from store.clients import ApiClient

router = APIRouter(prefix="/v1/ops", tags=["operations"])
_MOST_CASES: Final = 200

Watcher = Annotated[ApiClient, Depends(requires("ops:read"))]
Operator = Annotated[ApiClient, Depends(requires("ops:write"))]


@router.get("/cases", response_model=CaseList, responses=refusals("invalid_request", "unknown_field"))
async def list_cases(_: Watcher, query: Annotated[CasesQuery, Query()], services: Serve) -> Response:
    """Review cases, the oldest first, 200 at most; each names every effect that may be outstanding at a vendor."""
    async with services.database.read() as connection:
        found = await cases.listed(connection, include_resolved=query.include_resolved, limit=_MOST_CASES)
    return json_answer(CaseList(cases=[CaseView.of(case, services.settings) for case in found]))


@router.post(
    "/cases/{case_id}/resolution",
    response_model=CaseDecision,
    responses={
        202: {"model": CaseDecision, "description": "The decision has arrived and is being worked on"},
        **refusals(
            *("malformed_id", "not_found", "case_not_open", "conflict", "idempotency_key_in_flight"),
            "effect_not_named",
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
    """Decide a review case; the workflow that waits for it goes on. Your name and note are kept with the case."""
    if body.action == "confirmed_at_vendor" and body.provider_reference is None:
        raise refusal("invalid_request", "name the vendor's reference of what is confirmed", "/provider_reference")

    async def work() -> Answer:
        case = await _open_case(services, case_id)
        resolution = Resolution(case_id=case_id, operator=client.name, **body.model_dump())
        try:
            accepted = await send_update(
                services.temporal,
                case.workflow_id,
                "resolve",
                resolution,
                update_id=update_id_for("resolve", client.client_id, key),
                result=Accepted,
            )
        except WorkflowGone:
            raise Conflict("the workflow of this case has ended", code="case_not_open") from None
        return await _decided(services, case, accepted)

    return await once(services, client, request, key, work)


async def _open_case(services: Services, case_id: str) -> StoredCase:
    async with services.database.read() as connection:
        case = await cases.get(connection, case_id)
    if case is None:
        raise NotFound("there is no such case", field="case_id")
    if case.resolved_at is not None:
        raise Conflict("the case is resolved", code="case_not_open")
    return case


async def _decided(services: Services, case: StoredCase, accepted: Accepted | None) -> Answer:
    if accepted is not None:
        return Answer(200, _decision(case, accepted.state, accepted.message))
    async with services.database.read() as connection:
        progress = await bookings.progress(connection, case.booking_id)
    state = progress.state if progress else BookingState.NEEDS_OPERATOR
    return Answer(202, _decision(case, state, "accepted; the booking is being worked on"))


def _decision(case: StoredCase, state: BookingState, message: str) -> CaseDecision:
    return CaseDecision(case_id=case.case_id, booking_id=case.booking_id, state=state, message=message)
