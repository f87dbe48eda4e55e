"""The trip page, for travellers and not for clients: no bearer token, the signed link is the authority, and it opens one trip only.

Outside `/v1` and its document: what is served here is HTML for people, and what its own script asks for.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from api.services import Serve, Services
from api.trip_choices import Choice, choose
from api.trip_page import Trip, TripClosed, look, page_of
from api.trip_rendering import assets, render
from api.trip_words import say
from schema.errors import ServiceUnavailable
from schema.notifications import Language
from store.database import AWAY

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # The address is the authority, so it goes nowhere else.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
_FOR_GOOD: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


class _ForPeople(APIRoute):
    """Whatever goes wrong is told as a page that a traveller can read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except TripClosed as closed:
                return _closed(closed.word, closed.status, closed.language)
            except (*AWAY, ServiceUnavailable):
                return _closed("down", 503)

        return handled


router = APIRouter(prefix="/trips", route_class=_ForPeople, include_in_schema=False)


@router.get("/assets/{name}")
async def get_asset(name: str) -> Response:
    """The page's script and style, open to all; their names change with their content."""
    asset = assets().get(name)
    if asset is None:
        return Response(status_code=404)
    return Response(asset.content, media_type=asset.media_type, headers=_FOR_GOOD)


@router.get("/{itinerary_id}")
async def get_page(itinerary_id: str, services: Serve, token: str = "") -> Response:
    """The page itself, complete without its script. No bearer token: whoever has the signed link sees the trip."""
    trip = await _trip(services, itinerary_id, token)
    return HTMLResponse(page_of(trip, token), headers=_HEADERS)


@router.get("/{itinerary_id}/state")
async def get_state(
    itinerary_id: str,
    services: Serve,
    token: str = "",
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """What the page's script asks for while it is open; 304 as long as nothing has changed. The signed link is the authority."""
    trip = await _trip(services, itinerary_id, token)
    headers = _HEADERS | {"ETag": f'"{trip.version}"'}
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return JSONResponse({"version": trip.version, "regions": trip.regions, "news": trip.news}, headers=headers)


@router.post("/{itinerary_id}/disruptions/{disruption_id}/choice")
async def post_choice(request: Request, itinerary_id: str, disruption_id: str, services: Serve) -> Response:
    """The traveller's choice, by the form with or without script. The token in the form is the authority; another site has none."""
    choice = Choice.of_form(await request.body())
    trip = await _trip(services, itinerary_id, choice.token)
    disruption = next((one for one in trip.disruptions if one.disruption_id == disruption_id), None)
    word, status = await choose(services, disruption, choice)
    answer = say(trip.language, word)
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"message": answer}, status, headers=_HEADERS)
    if status == 200:
        return RedirectResponse(f"/trips/{itinerary_id}?token={choice.token}", 303, headers=_HEADERS)
    now = await _trip(services, itinerary_id, choice.token)
    return HTMLResponse(page_of(now, choice.token, answer), status, headers=_HEADERS)


async def _trip(services: Services, itinerary_id: str, token: str) -> Trip:
    secret = services.settings.link_secret
    async with services.database.read() as connection:
        return await look(connection, itinerary_id, token, None if secret is None else secret.get_secret_value())


def _closed(word: str, status: int, language: Language = "en") -> Response:
    title, text = say(language, f"{word}_title"), say(language, word)
    page = render("trip_problem.html.j2", language, title=title, text=text)
    return HTMLResponse(page, status, headers=_HEADERS)
