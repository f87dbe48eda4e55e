"""Amadeus's on-demand flight status: one flight of one day, as its airline has told of it so far.

The contract has no word for what became of a flight, so it is read from what each part of it is defined to be:

- A cancelled flight is still sold history: its `segments`, the commercial units, and its STD and STA stay. Its `legs`, which are
  operations of an aircraft, are an empty list, and nothing is estimated or actual.
- A diverted flight's segment ends where it was sold to, its leg where the aircraft goes. That airport is a third flight point,
  with the ETA and ATA; the sold destination keeps its STA alone.
- A delay stands on the timing that is late (ETD, ATD, ETA, ATA), never on STD and STA. A schedule that was moved is in STD and
  STA themselves; `scheduledDepartureDate` stays the day under which the flight is known.
- A flight that nobody knows is an empty list, with 200.
- The contract has no time of the last change. An answer is as of the moment of the answer.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from sandbox.operations import FlightState, count_poll, state_of
from sandbox.timetable import find_flight
from sandbox.vendors.amadeus_http import arguments, ok, refused
from sandbox.vendors.amadeus_offers import duration_text
from sandbox.vendors.calls import Call
from sandbox.world import JsonObject

_PARAMETERS: Final = ("carrierCode", "flightNumber", "scheduledDepartureDate", "operationalSuffix")
_URL: Final = "https://test.api.amadeus.com/v2/schedule/flights"


def get_flight_status(call: Call) -> Response:
    """GET /v2/schedule/flights"""
    query = arguments(call, *_PARAMETERS)
    for name in _PARAMETERS[:3]:
        if not query.get(name):
            raise refused(32171, f"{name} is missing.", parameter=name)
    carrier, number = query["carrierCode"], query["flightNumber"]
    if not re.fullmatch("[0-9A-Z]{2,3}", carrier):
        raise refused(477, "Not an airline code.", parameter="carrierCode")
    if not number.isdecimal():
        raise refused(477, "The flight number must be digits.", parameter="flightNumber")
    if len(number) > 4:
        raise refused(2781, "A flight number has four digits at most.", parameter="flightNumber")
    on = _day(query["scheduledDepartureDate"])
    count_poll(call.world, f"{carrier}{int(number)}/{on.isoformat()}")
    flight = find_flight(call.world, carrier, int(number), on)
    # The sandbox's airlines use no suffixes.
    known = flight is not None and not query.get("operationalSuffix")
    data = [_dated_flight(state_of(call.world, flight))] if flight is not None and known else []
    return ok({"meta": {"count": len(data), "links": {"self": f"{_URL}?{urlencode(dict(query))}"}}, "data": data})


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise refused(477, "Not a date.", parameter="scheduledDepartureDate") from error


def _dated_flight(state: FlightState) -> JsonObject:
    flight = state.flight
    ends = {"boardPointIataCode": flight.origin.code, "offPointIataCode": flight.destination.code}
    points: list[JsonObject] = [
        {"iataCode": flight.origin.code, "departure": _departure(state)},
        {"iataCode": flight.destination.code, "arrival": _arrival(state)},
    ]
    leg: JsonObject = {
        **ends,
        "aircraftEquipment": {"aircraftType": flight.aircraft[0]},
        "scheduledLegDuration": duration_text(flight.duration),
    }
    if state.diverted_to is not None:
        leg["offPointIataCode"] = state.diverted_to.code
        points.append({"iataCode": state.diverted_to.code, "arrival": {"timings": _landing(state)}})
    return {
        "type": "DatedFlight",
        "scheduledDepartureDate": state.on.isoformat(),
        "flightDesignator": {"carrierCode": flight.carrier.code, "flightNumber": int(flight.number)},
        "flightPoints": points,
        "segments": [{**ends, "scheduledSegmentDuration": duration_text(flight.duration)}],
        "legs": [] if state.cancelled else [leg],
    }


def _departure(state: FlightState) -> JsonObject:
    timings = [_timing("STD", state.scheduled_departure)]
    if not state.cancelled:
        timings += _told("ETD", state.estimated_departure, state.scheduled_departure)
        timings += _told("ATD", state.departed_at, state.scheduled_departure)
    return _end(state.departure_terminal, state.text("gate"), timings)


def _arrival(state: FlightState) -> JsonObject:
    timings = [_timing("STA", state.scheduled_arrival)]
    if not state.cancelled and state.diverted_to is None:
        timings += _landing(state)
    return _end(state.arrival_terminal, state.text("arrival_gate"), timings)


def _landing(state: FlightState) -> list[JsonObject]:
    timings = _told("ETA", state.estimated_arrival, state.scheduled_arrival)
    return [*timings, *_told("ATA", state.arrived_at, state.scheduled_arrival)]


def _end(terminal: str | None, gate: str | None, timings: list[JsonObject]) -> JsonObject:
    document: JsonObject = {"timings": timings}
    if terminal is not None:
        document["terminal"] = {"code": terminal}
    if gate is not None:
        document["gate"] = {"mainGate": gate}
    return document


def _told(qualifier: str, moment: datetime | None, scheduled: datetime) -> list[JsonObject]:
    return [] if moment is None else [_timing(qualifier, moment, moment - scheduled)]


def _timing(qualifier: str, moment: datetime, late_by: timedelta = timedelta()) -> JsonObject:
    timing: JsonObject = {"qualifier": qualifier, "value": moment.isoformat(timespec="minutes")}
    if late_by >= timedelta(minutes=1):
        timing["delays"] = [{"duration": duration_text(late_by)}]
    return timing
