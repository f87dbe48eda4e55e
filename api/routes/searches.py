"""Searches: offers of every supplier, each of which the client can then book."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Path
from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer
from api.auth import requires
from api.bodies import body_of, canonical
from api.documentation import reads, refusals
from api.problems import Fault, Refused
from api.repeats import keep_for_repeats
from api.scope import correlation_id_of
from api.search_views import SearchResult, result_of
from api.services import Serve
from schema.errors import NotFound
from schema.searches import TripSearch
from search import places
from search.searching import Finding, Wish
from store.clients import ApiClient
from store.searches import StoredSearch

router = APIRouter(prefix="/v1/searches", tags=["searches"])

_HORIZON: Final = timedelta(days=360)
"""Airlines sell about that far ahead."""
_WESTERNMOST: Final = timedelta(hours=12)
_RESPOND_ASYNC: Final = re.compile(r"(?:^|,)\s*respond-async\s*(?=$|[,;])", re.IGNORECASE)
SEARCH_ID_PATTERN: Final = "^sea_[0-7][0-9A-HJKMNP-TV-Z]{25}$"

Searcher = Annotated[ApiClient, Depends(requires("searches:write"))]
SearchIdPath = Annotated[str, Path(alias="search_id", pattern=SEARCH_ID_PATTERN)]


@router.post(
    "",
    response_model=SearchResult,
    responses={
        202: {"model": SearchResult, "description": "The search is running: see its `Location`"},
        **refusals(
            "unknown_place",
            "date_in_past",
            "return_before_departure",
            "return_date_missing",
            "too_many_travellers",
            "unknown_currency",
            "amount_out_of_range",
            "unknown_filter",
            body=True,
        ),
    },
    openapi_extra=reads(TripSearch),
)
async def search(
    request: Request,
    client: Searcher,
    trip: Annotated[TripSearch, Depends(body_of(TripSearch))],
    services: Serve,
    prefer: Annotated[str | None, Header(description="`respond-async`: answer at once, and search meanwhile")] = None,
) -> Response:
    """Look for a trip. Suppliers that are slow or broken are told in `suppliers`; the others' offers are there all the same.

    A search books nothing, so it needs no `Idempotency-Key`. One that is repeated within half an hour may be answered as it was
    before, unless an offer in it was sold, has changed or is so dear that suppliers are asked each time. With
    `Prefer: respond-async` the answer is a 202 with a `Location` to read or, at `/stream`, to follow.
    """
    _check(trip, datetime.now(UTC))
    body = await canonical(request)
    wish = Wish(client.client_id, trip, hashlib.sha256(body).digest(), correlation_id_of(request.scope))
    house = services.search
    if _RESPOND_ASYNC.search(prefer or ""):
        begun = Finding(await house.running.begin(wish), [])
        headers = {"Location": f"/v1/searches/{begun.search.search_id}", "Preference-Applied": "respond-async"}
        return json_answer(result_of(begun, house.rates), 202, headers)
    epoch = house.copies.epoch
    finding = await house.searching.find(wish)
    result = result_of(finding, house.rates)
    keep_for_repeats(services, finding, result, body, epoch)
    return json_answer(result)


async def stored(client: Searcher, search_id: SearchIdPath, services: Serve) -> StoredSearch:
    """The dependency of routes about one search; raises NotFound also for somebody else's."""
    found = await services.search.searching.stored(search_id, client.client_id)
    if found is None:
        raise NotFound("you have made no such search", field="search_id")
    return found


@router.get("/{search_id}", response_model=SearchResult, responses=refusals("malformed_id", "not_found"))
async def get_search(found: Annotated[StoredSearch, Depends(stored)], services: Serve) -> Response:
    """What a search has found so far. Offers that have been sold out or have changed since are left out."""
    finding = await services.search.searching.with_offers(found)
    return json_answer(result_of(finding, services.search.rates))


def _check(trip: TripSearch, now: datetime) -> None:
    faults = [
        Fault(code="unknown_place", field=f"/{name}", detail="no airport and no city has this IATA code")
        for name, code in (("origin", trip.origin), ("destination", trip.destination))
        if not places.is_known(code)
    ]
    if not faults and not places.pairs(trip):
        detail = "destination is the same city as origin"
        faults.append(Fault(code="invalid_request", field="/destination", detail=detail))
    # Somewhere it is still yesterday, and a trip may start there today.
    if trip.departure_date < (now - _WESTERNMOST).date():
        faults.append(Fault(code="date_in_past", field="/departure_date", detail="that day has passed everywhere"))
    last_day = (now + _HORIZON).date()
    for name, day in (("departure_date", trip.departure_date), ("return_date", trip.return_date)):
        if day is not None and day > last_day:
            detail = f"trips can be booked until {last_day}"
            faults.append(Fault(code="invalid_request", field=f"/{name}", detail=detail))
    if faults:
        raise Refused(faults)
