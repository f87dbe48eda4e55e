"""Itineraries: what a client's travellers have ahead, and the same for their calendars."""

import hashlib
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query
from starlette.responses import Response

from api.answers import json_answer
from api.auth import requires
from api.calendars import calendar_of
from api.documentation import Responses, refusals
from api.itinerary_views import ItineraryPage, ItinerarySummary, ItineraryView, view_of
from api.models import ItinerariesQuery
from api.reading_itineraries import read_itinerary
from api.routes.paths import ItineraryIdPath
from api.services import Serve, Services
from schema.errors import NotFound
from schema.itineraries import Itinerary
from schema.links import trip_link
from store import itineraries
from store.clients import ApiClient

router = APIRouter(prefix="/v1/itineraries", tags=["itineraries"])

_CALENDAR: Final = "text/calendar"
_REVALIDATE: Final = "private, no-cache"
"""Kept by the one who asked, and asked about before each use."""
_UNCHANGED: Final[Responses] = {304: {"description": "It is what your `If-None-Match` names"}}
_REFUSALS: Final = refusals("malformed_id", "not_found", "invalid_request")

Reader = Annotated[ApiClient, Depends(requires("itineraries:read"))]
IfNoneMatch = Annotated[str | None, Header(description="ETags that you have, or `*`")]


@router.get(
    "", response_model=ItineraryPage, responses=refusals("malformed_cursor", "invalid_request", "unknown_field")
)
async def list_itineraries(client: Reader, query: Annotated[ItinerariesQuery, Query()], services: Serve) -> Response:
    """Your itineraries, the one that begins last first, a page at a time."""
    async with services.database.read() as connection:
        page = await itineraries.page(connection, client.client_id, query.limit, query.cursor)
    found = [ItinerarySummary.of(itinerary) for itinerary in page.itineraries]
    return json_answer(ItineraryPage(itineraries=found, next_cursor=page.next_cursor))


@router.get(
    "/{itinerary_id}.ics",
    response_class=Response,
    responses={
        200: {"content": {_CALENDAR: {"schema": {"type": "string"}}}, "description": "iCalendar, RFC 5545"},
        **_UNCHANGED,
        **_REFUSALS,
    },
)
async def get_calendar(
    client: Reader, itinerary_id: ItineraryIdPath, services: Serve, if_none_match: IfNoneMatch = None
) -> Response:
    """The itinerary for a calendar: an event for each flight, stay and rental, at the times expected now."""
    itinerary = await _owned(services, client, itinerary_id)
    body = calendar_of(itinerary, page_of(services, itinerary_id))
    return _revalidated(body, f"{_CALENDAR}; charset=utf-8", itinerary.revision, if_none_match)


@router.get("/{itinerary_id}", response_model=ItineraryView, responses={**_UNCHANGED, **_REFUSALS})
async def get_itinerary(
    client: Reader, itinerary_id: ItineraryIdPath, services: Serve, if_none_match: IfNoneMatch = None
) -> Response:
    """One itinerary, each flight as it stands now. Its ETag begins with the revision, and also changes with what travellers are
    not told of each time, such as a delay that grew by five minutes."""
    itinerary = await _owned(services, client, itinerary_id)
    body = view_of(itinerary, page_of(services, itinerary_id)).model_dump_json().encode()
    return _revalidated(body, "application/json", itinerary.revision, if_none_match)


def page_of(services: Services, itinerary_id: str) -> str | None:
    """The link to its trip page; None where there are none."""
    secret = services.settings.link_secret
    if secret is None:
        return None
    return trip_link(str(services.settings.public_url), secret.get_secret_value(), itinerary_id)


async def _owned(services: Services, client: ApiClient, itinerary_id: str) -> Itinerary:
    async with services.database.read() as connection:
        itinerary = await read_itinerary(connection, itinerary_id, client.client_id)
    if itinerary is None:
        raise NotFound("you have no such itinerary", field="itinerary_id")
    return itinerary


def _revalidated(body: bytes, media_type: str, revision: int, if_none_match: str | None) -> Response:
    tag = f'"{revision}-{hashlib.sha256(body).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": _REVALIDATE}
    if if_none_match is not None and _names(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def _names(if_none_match: str, tag: str) -> bool:
    """By weak comparison, as RFC 9110 asks for."""
    named = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return tag in named or named == ["*"]
