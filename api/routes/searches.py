"""Searches: offers of every supplier, each of which the client can then book."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Final

import airportsdata
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer
from api.auth import requires
from api.bodies import body_of
from api.documentation import reads, refusals
from api.problems import Fault, Refused
from api.scope import correlation_id_of
from api.services import Serve
from api.views import SearchResult, SupplierReport
from schema.offers import SearchRequest
from search.fan_out import search_all
from store import offers
from store.clients import ApiClient

router = APIRouter(prefix="/v1/searches", tags=["searches"])

_HORIZON: Final = timedelta(days=360)
"""Airlines sell about that far ahead."""
_WESTERNMOST: Final = timedelta(hours=12)

Searcher = Annotated[ApiClient, Depends(requires("searches:write"))]


@router.post(
    "",
    response_model=SearchResult,
    responses=refusals(
        "unknown_place",
        "date_in_past",
        "return_before_departure",
        "too_many_travellers",
        "unknown_currency",
        body=True,
    ),
    openapi_extra=reads(SearchRequest),
)
async def search(
    request: Request,
    client: Searcher,
    body: Annotated[SearchRequest, Depends(body_of(SearchRequest))],
    services: Serve,
) -> Response:
    """Look for a trip. Suppliers that are slow or broken are told in `suppliers`; the others' offers are there all the same.

    A search books nothing, so it needs no `Idempotency-Key`; one that is sent is ignored, and a repeat finds fresh offers.
    """
    _check(body, datetime.now(UTC))
    answers = await search_all(services.vendors, body, correlation_id_of(request.scope))
    async with services.database.transaction() as connection:
        named = await offers.save(connection, client.client_id, [found for answer in answers for found in answer.found])
    reports = [
        SupplierReport(supplier=answer.supplier, kind=answer.kind, outcome=answer.outcome, offers=len(answer.found))
        for answer in answers
    ]
    complete = all(report.outcome == "ok" for report in reports)
    return json_answer(SearchResult(offers=named, suppliers=reports, complete=complete))


def _check(body: SearchRequest, now: datetime) -> None:
    faults = [
        Fault(code="unknown_place", field=f"/{name}", detail="there is no airport of this IATA code")
        for name, code in (("origin", body.origin), ("destination", body.destination))
        if code not in airports()
    ]
    # Somewhere it is still yesterday, and a trip may start there today.
    if body.departure_date < (now - _WESTERNMOST).date():
        faults.append(Fault(code="date_in_past", field="/departure_date", detail="that day has passed everywhere"))
    last_day = (now + _HORIZON).date()
    for name, day in (("departure_date", body.departure_date), ("return_date", body.return_date)):
        if day > last_day:
            detail = f"trips can be booked until {last_day}"
            faults.append(Fault(code="invalid_request", field=f"/{name}", detail=detail))
    if faults:
        raise Refused(faults)


@cache
def airports() -> frozenset[str]:
    """All IATA codes; the rest of the table is let go."""
    return frozenset(airportsdata.load("IATA"))
