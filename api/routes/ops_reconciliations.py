"""The reconciliation's reports, and a run on demand."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response
from temporalio.common import WorkflowIDConflictPolicy

from api.answers import json_answer
from api.auth import requires
from api.bodies import body_of
from api.documentation import reads, refusals
from api.endpoint_models import NothingMore
from api.idempotency import Answer, IdempotencyKey, once
from api.models import CASE_ID_PATTERN
from api.reconciliation_views import RunDetail, RunList, RunsQuery, RunStarted, RunView
from api.services import Serve
from schema.bookings import TASK_QUEUE
from schema.errors import NotFound, ServiceUnavailable
from schema.reconciliation import RECONCILIATION_WORKFLOW, ReconciliationInput
from store import reconciliation
from store.clients import ApiClient

router = APIRouter(prefix="/v1/ops/reconciliations", tags=["operations"])
_START_TIMEOUT_S: Final = 5
_MOST_FINDINGS: Final = 200

Watcher = Annotated[ApiClient, Depends(requires("ops:read"))]
Operator = Annotated[ApiClient, Depends(requires("ops:write"))]
RunIdPath = Annotated[str, Path(alias="run_id", pattern=CASE_ID_PATTERN)]


@router.get("", response_model=RunList, responses=refusals("malformed_cursor", "invalid_request", "unknown_field"))
async def list_runs(_: Watcher, query: Annotated[RunsQuery, Query()], services: Serve) -> Response:
    """Runs, newest first: what was found, what became of it by now, and what could not be checked."""
    async with services.database.read() as connection:
        page = await reconciliation.page(connection, query.limit, query.cursor)
    return json_answer(RunList(runs=[RunView.of(run) for run in page.runs], next_cursor=page.next_cursor))


@router.get("/{run_id}", response_model=RunDetail, responses=refusals("malformed_id", "not_found"))
async def get_run(_: Watcher, run_id: RunIdPath, services: Serve) -> Response:
    """One run, with each difference that it was the first to find."""
    async with services.database.read() as connection:
        run = await reconciliation.get(connection, run_id)
        found = await reconciliation.findings_of(connection, run_id, _MOST_FINDINGS)
    if run is None:
        raise NotFound("there is no such run, or it has not begun", field="run_id")
    return json_answer(RunDetail.with_findings(run, found))


@router.post(
    "",
    status_code=202,
    response_model=RunStarted,
    responses=refusals("idempotency_key_in_flight", body=True, key=True),
    openapi_extra=reads(NothingMore),
)
async def start_run(
    request: Request,
    client: Operator,
    _: Annotated[NothingMore, Depends(body_of(NothingMore))],
    key: IdempotencyKey,
    services: Serve,
) -> Response:
    """Reconcile now. Runs beside others do no harm: what both find is repaired once."""
    # Must merge repeats of this request; must not merge two clients' keys.
    digest = hashlib.sha256(f"{len(client.client_id)}:{client.client_id}:{key}".encode()).hexdigest()
    run_id = f"reconciliation-{digest[:32]}"

    async def work() -> Answer:
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await services.temporal.start_workflow(
                    RECONCILIATION_WORKFLOW,
                    ReconciliationInput(started_by=client.name),
                    id=run_id,
                    task_queue=TASK_QUEUE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    static_summary=f"Reconciliation, asked for by {client.name}",
                    rpc_timeout=timedelta(seconds=_START_TIMEOUT_S),
                )
        except Exception as error:
            raise ServiceUnavailable("the run could not be started; try again with the same key") from error
        return Answer(202, RunStarted(run_id=run_id))

    return await once(services, client, request, key, work)
