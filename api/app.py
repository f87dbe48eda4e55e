"""The application: its routes, its layers, and what it opens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import BodyLimit
from api.context import RequestContext
from api.documentation import documented_by
from api.faults import faults_in_parameters
from api.live.server import PATH as LIVE_PATH
from api.live.server import LiveServer
from api.problems import Refused, problem, problem_of
from api.repeats import RepeatedSearches
from api.routes import (
    bookings,
    cancellations,
    disruptions,
    feed,
    health,
    itineraries,
    me,
    ops,
    ops_dead_letters,
    ops_flights,
    ops_reconciliations,
    payments,
    receipts,
    search_stream,
    searches,
    statements,
    trips,
    webhook_endpoints,
    webhooks,
)
from api.scope import correlation_id_of
from api.services import open_services
from gateways.ports import Vendors
from schema.errors import ServiceUnavailable, TravelHubError
from schema.settings import Settings
from search import places
from store.database import AWAY

VERSION = "1.0.0"
"""Of the API's contract, not of the release."""
_CODES = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}


_ROUTERS = (
    searches.router,
    search_stream.router,
    bookings.router,
    cancellations.router,
    disruptions.router,
    payments.router,
    itineraries.router,
    trips.router,
    statements.router,
    me.router,
    receipts.router,
    webhooks.router,
    webhook_endpoints.router,
    feed.router,
    ops.router,
    ops_dead_letters.router,
    ops_flights.router,
    ops_reconciliations.router,
    health.router,
)


def create_app(settings: Settings, vendors: Vendors | None = None) -> FastAPI:
    """The API. `vendors` replaces those the settings name; they stay open when the application ends."""
    draining = asyncio.Event()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Read now, so that the first search does not wait for it.
        await asyncio.to_thread(places.load)
        async with open_services(settings, draining, vendors) as services:
            app.state.services = services
            yield
            draining.set()

    app = FastAPI(
        # Not by include_router, which builds every route once more, while the first request waits.
        routes=[route for router in _ROUTERS for route in router.routes],
        title="TravelHub",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.draining = draining
    app.openapi = documented_by(app)
    app.mount(LIVE_PATH, LiveServer())
    # The last one added is the outermost.
    app.add_middleware(BodyLimit)
    app.add_middleware(RepeatedSearches)
    app.add_middleware(RequestContext)
    _tell_problems(app)
    return app


def _tell_problems(app: FastAPI) -> None:
    app.add_exception_handler(TravelHubError, _travelhub_error)
    app.add_exception_handler(RequestValidationError, _invalid_parameters)
    app.add_exception_handler(HTTPException, _http_exception)
    for away in AWAY:
        app.add_exception_handler(away, _database_away)


async def _travelhub_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TravelHubError)
    if error.status == 500:
        raise error  # to be logged with its traceback, and answered without its message
    return problem_of(request, error)


async def _invalid_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_of(request, Refused(faults_in_parameters(error.errors())))


async def _http_exception(request: Request, error: Exception) -> Response:
    """What the router itself refuses, and the body's size."""
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "malformed_request")
    return problem(
        correlation_id_of(request.scope), code, error.detail, status=error.status_code, headers=error.headers
    )


async def _database_away(request: Request, error: Exception) -> Response:
    del error  # its text names hosts
    return problem_of(request, ServiceUnavailable("the books cannot be reached; try again with the same key"))
