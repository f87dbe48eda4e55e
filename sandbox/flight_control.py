"""The airlines' side of the control API: say what becomes of a flight, see its state, count who asked for it."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.content import Flight
from sandbox.operations import FlightState, News, polls, say, state_of
from sandbox.timetable import find_flight
from sandbox.vendors.control import answering_422
from sandbox.vendors.duffel_flight_news import tell_orders
from sandbox.world import JsonObject, World

_DESIGNATOR: Final = re.compile(r"([0-9A-Z]{2})(\d{1,4})")


def flight_routes(world: World) -> list[Route]:
    """What the application mounts at `/_sandbox/flights`."""

    async def show(request: Request) -> Response:
        flight = _flight(world, request)
        return _unknown() if flight is None else JSONResponse(_state_document(state_of(world, flight)))

    async def change(request: Request) -> Response:
        news = News.model_validate_json(await request.body())
        flight = _flight(world, request)
        if flight is None:
            return _unknown()
        if news.origin not in (None, flight.origin.code):
            return JSONResponse({"detail": f"the flight leaves from {flight.origin.code}"}, 422)
        said_at = say(world, flight, news)
        pushed = tell_orders(world, flight, news, said_at) if news.push else []
        return JSONResponse({**_state_document(state_of(world, flight)), "pushed": pushed}, 201)

    async def count(_request: Request) -> Response:
        counted = polls(world)
        return JSONResponse({"total": sum(counted.values()), "flights": counted})

    return [
        Route("/polls", count, methods=["GET"]),
        Route("/{designator}/{date}", show, methods=["GET"]),
        Route("/{designator}/{date}", answering_422(change), methods=["POST"]),
    ]


def _flight(world: World, request: Request) -> Flight | None:
    path = cast("dict[str, str]", request.path_params)
    named = _DESIGNATOR.fullmatch(path["designator"])
    try:
        on = date.fromisoformat(path["date"])
    except ValueError:
        return None
    return find_flight(world, named[1], int(named[2]), on) if named else None


def _unknown() -> Response:
    return JSONResponse({"detail": "no search has shown a flight of this number yet"}, 404)


def _state_document(state: FlightState) -> JsonObject:
    flight = state.flight
    return {
        "carrier": flight.carrier.code,
        "number": flight.number,
        "date": state.on.isoformat(),
        "origin": flight.origin.code,
        "destination": flight.destination.code,
        "cancelled": state.cancelled,
        "diverted_to": state.diverted_to.code if state.diverted_to else None,
        "scheduled_departure": _iso(state.scheduled_departure),
        "estimated_departure": _iso(state.estimated_departure),
        "departed_at": _iso(state.departed_at),
        "scheduled_arrival": _iso(state.scheduled_arrival),
        "estimated_arrival": _iso(state.estimated_arrival),
        "arrived_at": _iso(state.arrived_at),
        "terminal": state.departure_terminal,
        "gate": state.text("gate"),
        "arrival_terminal": state.arrival_terminal,
        "arrival_gate": state.text("arrival_gate"),
        "said_at": _iso(state.said_at),
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
