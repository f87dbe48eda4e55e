"""How a flight stands, when it was asked about, and how many are on it."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from api.answers import json_answer
from api.auth import requires
from api.documentation import refusals
from api.flight_views import FlightView
from api.routes.paths import FlightKeyPath
from api.services import Serve
from schema.errors import NotFound
from store import flights
from store.clients import ApiClient

router = APIRouter(prefix="/v1/ops/flights", tags=["operations"])


@router.get("/{flight_key}", response_model=FlightView, responses=refusals("malformed_id", "not_found"))
async def get_flight(
    _: Annotated[ApiClient, Depends(requires("ops:read"))], flight_key: FlightKeyPath, services: Serve
) -> Response:
    """One flight by carrier, number, date and airport of departure, such as `BA117-2030-05-01-LHR`: its newest status, what travellers
    were told, when it is asked about next, and its monitor."""
    async with services.database.read() as connection:
        stored = await flights.get(connection, flight_key)
    if stored is None:
        raise NotFound("nobody has ever been on this flight", field="flight_key")
    return json_answer(FlightView.of(stored, services.settings))
