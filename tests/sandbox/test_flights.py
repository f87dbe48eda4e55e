"""The flights themselves: one number is one flight, and what its airline says of it is told by every vendor in its own words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from sandbox.content import Airport, airports
from sandbox.operations import name_of
from sandbox.timetable import find_flight, itineraries_on
from sandbox.world import World
from tests.contracts import amadeus_spec
from tests.sandbox.amadeus_client import amadeus_client, booked, code_of, order, price, priced, search
from tests.sandbox.conftest import DEPARTURE, RunningSandbox, eventually, search_flights, serve
from tests.sandbox.conftest import book_flight as book_at_duffel
from tests.sandbox.receiver import receiving

_PLACES = ("CDG", "JFK", "LHR", "FRA", "MAD", "NCE", "LIS", "HND", "SIN", "DXB", "ORD", "SYD", "ARN", "VIE")


@pytest.fixture
def api(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    with amadeus_client(sandbox) as http:
        yield http


@pytest.fixture
def flight(api: httpx.Client) -> dict:
    """A segment of a flight that Amadeus sells without a change of planes."""
    return next(one["itineraries"][0]["segments"][0] for one in search(api) if len(_segments(one)) == 1)


def _segments(offer: dict) -> list[dict]:
    return [segment for itinerary in offer["itineraries"] for segment in itinerary["segments"]]


def _path(flight: dict) -> str:
    return f"/flights/{flight['carrierCode']}{flight['number']}/{flight['departure']['at'][:10]}"


def say(sandbox: RunningSandbox, flight: dict, **news: object) -> dict:
    answer = sandbox.control.post(_path(flight), json=news)
    assert answer.status_code == 201, answer.text
    return answer.json()


def status(api: httpx.Client, flight: dict) -> dict:
    """The one dated flight of the answer, which is held against the contract."""
    answer = _asked(api, flight["carrierCode"], flight["number"], flight["departure"]["at"][:10])
    (dated,) = answer.json()["data"]
    return dated


def _asked(api: httpx.Client, carrier: str, number: str, on: str) -> httpx.Response:
    query = {"carrierCode": carrier, "flightNumber": number, "scheduledDepartureDate": on}
    return api.get("/v2/schedule/flights", params=query)


def timings(dated: dict, point: int = 0, end: str = "departure") -> dict[str, tuple[str, str | None]]:
    """By qualifier: the value and the delay."""
    return {
        each["qualifier"]: (each["value"], each.get("delays", [{}])[0].get("duration"))
        for each in dated["flightPoints"][point][end]["timings"]
    }


# -------------------------------------------------------------------------------------------------- flight numbers


def _every_flight(world: World, on: date) -> dict[str, set[tuple[str, str, str, str]]]:
    """What is flown under each name, between places of the list."""
    found: dict[str, set[tuple[str, str, str, str]]] = {}
    for origin in _PLACES:
        for destination in _PLACES:
            ends = _airport(origin), _airport(destination)
            for way in itineraries_on(world, *ends, on) if origin != destination else ():
                for one in way.flights:
                    what = (one.origin.code, one.destination.code, f"{one.departs:%H:%M}", one.aircraft[0])
                    found.setdefault(name_of(one), set()).add(what)
    return found


def _airport(code: str) -> Airport:
    return airports()[code]


def test_a_number_is_one_flight_of_its_airline_on_every_day():
    world = World(1)
    days = [DEPARTURE + timedelta(days=day) for day in (0, 3)]
    found = _every_flight(world, days[0]) | _every_flight(world, days[1])
    assert len(found) > 1000
    assert [name for name, flights in found.items() if len(flights) > 1] == []
    routes: dict[str, set[tuple[str, str]]] = {}
    for name, flights in found.items():
        routes.setdefault(name.split("/")[0], set()).update((origin, end) for origin, end, _, _ in flights)
    assert [designator for designator, ends in routes.items() if len(ends) > 1] == []


def test_a_number_tells_its_flight_also_after_a_restart(tmp_path: Path):
    world = World(1, tmp_path / "world.sqlite")
    before = [
        one
        for end in _PLACES[1:]
        for way in itineraries_on(world, _airport("CDG"), _airport(end), DEPARTURE)
        for one in way.flights
    ]
    world.close()
    again = World(1, tmp_path / "world.sqlite")
    found = [find_flight(again, one.carrier.code, int(one.number), one.departs.date()) for one in before]
    again.close()
    assert found == before


# ---------------------------------------------------------------------------------------------------------- status


@pytest.mark.contract
def test_a_flight_of_which_nothing_was_said_is_as_scheduled(api: httpx.Client, flight: dict):
    amadeus_spec.require()
    dated = status(api, flight)
    assert dated["flightDesignator"] == {"carrierCode": flight["carrierCode"], "flightNumber": int(flight["number"])}
    (departs, delay), (arrives, _) = timings(dated)["STD"], timings(dated, 1, "arrival")["STA"]
    assert list(timings(dated)) == ["STD"]
    assert list(timings(dated, 1, "arrival")) == ["STA"]
    assert delay is None
    assert departs.startswith(flight["departure"]["at"][:16])
    assert arrives.startswith(flight["arrival"]["at"][:16])
    elapsed = datetime.fromisoformat(arrives) - datetime.fromisoformat(departs)
    assert dated["legs"][0]["scheduledLegDuration"] == flight["duration"]
    assert elapsed == timedelta(hours=int(flight["duration"][2:].split("H")[0]), minutes=_minutes(flight["duration"]))
    assert dated["flightPoints"][0]["departure"]["terminal"]["code"] == flight["departure"]["terminal"]


def _minutes(duration: str) -> int:
    return int(duration.split("H")[1].rstrip("M") or 0)


def test_nobody_knows_a_flight_that_was_never_sold(sandbox: RunningSandbox, api: httpx.Client):
    answer = _asked(api, "BA", "9998", DEPARTURE.isoformat())
    assert answer.json()["data"] == []
    assert answer.json()["meta"]["count"] == 0
    assert sandbox.control.get(f"/flights/BA9998/{DEPARTURE}").status_code == 404
    assert sandbox.control.post(f"/flights/BA9998/{DEPARTURE}", json={"cancelled": True}).status_code == 404


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, 32171),
        ({"carrierCode": "BA", "flightNumber": "1", "scheduledDepartureDate": "soon"}, 477),
        ({"carrierCode": "BA", "flightNumber": "A1", "scheduledDepartureDate": "2026-12-01"}, 477),
        ({"carrierCode": "BA", "flightNumber": "12345", "scheduledDepartureDate": "2026-12-01"}, 2781),
    ],
)
def test_a_question_that_is_none_is_refused(api: httpx.Client, query: dict, code: int):
    assert code_of(api.get("/v2/schedule/flights", params=query), 400) == code


def test_delay_gate_and_terminal_are_told_and_later_take_off_and_landing(
    sandbox: RunningSandbox, api: httpx.Client, flight: dict
):
    say(sandbox, flight, origin="CDG", delay_minutes=95, gate="B42", terminal="9")
    dated = status(api, flight)
    scheduled = datetime.fromisoformat(timings(dated)["STD"][0])
    estimated, delay = timings(dated)["ETD"]
    assert datetime.fromisoformat(estimated) - scheduled == timedelta(minutes=95)
    assert delay == "PT1H35M"
    assert timings(dated, 1, "arrival")["ETA"][1] == "PT1H35M"
    assert dated["flightPoints"][0]["departure"]["gate"] == {"mainGate": "B42"}
    assert dated["flightPoints"][0]["departure"]["terminal"] == {"code": "9"}
    left = scheduled + timedelta(minutes=100)
    say(sandbox, flight, departed_at=left.isoformat())
    landed = datetime.fromisoformat(timings(status(api, flight), 1, "arrival")["STA"][0]) + timedelta(minutes=85)
    say(sandbox, flight, arrived_at=landed.astimezone(UTC).isoformat())
    dated = status(api, flight)
    assert timings(dated)["ATD"] == (left.isoformat(timespec="minutes"), "PT1H40M")
    assert timings(dated, 1, "arrival")["ATA"] == (landed.isoformat(timespec="minutes"), "PT1H25M")


def test_old_news_does_not_overwrite_newer_news(sandbox: RunningSandbox, api: httpx.Client, flight: dict):
    now = datetime.now(UTC)
    say(sandbox, flight, delay_minutes=60, said_at=now.isoformat())
    say(sandbox, flight, delay_minutes=10, gate="A1", said_at=(now - timedelta(minutes=5)).isoformat())
    dated = status(api, flight)
    assert timings(dated)["ETD"][1] == "PT1H"
    assert dated["flightPoints"][0]["departure"]["gate"] == {"mainGate": "A1"}
    state = sandbox.control.get(_path(flight)).json()
    assert datetime.fromisoformat(state["said_at"]) == now


def test_a_cancelled_flight_has_no_leg_and_a_diverted_one_another_end(
    sandbox: RunningSandbox, api: httpx.Client, flight: dict
):
    say(sandbox, flight, diverted_to="BOS")
    dated = status(api, flight)
    assert dated["segments"][0]["offPointIataCode"] == "JFK"
    assert dated["legs"][0]["offPointIataCode"] == "BOS"
    assert [point["iataCode"] for point in dated["flightPoints"]] == ["CDG", "JFK", "BOS"]
    say(sandbox, flight, cancelled=True, delay_minutes=5)
    dated = status(api, flight)
    assert (len(dated["segments"]), dated["legs"], list(timings(dated))) == (1, [], ["STD"])


def test_what_cannot_be_said_is_refused(sandbox: RunningSandbox, flight: dict):
    for news in ({}, {"push": True}, {"said_at": "now", "gate": "1"}, {"diverted_to": "XXQ"}, {"speed": 5}):
        assert sandbox.control.post(_path(flight), json=news).status_code == 422
    assert sandbox.control.post(_path(flight), json={"origin": "LHR", "gate": "1"}).status_code == 422


def test_polls_and_news_survive_a_restart(tmp_path: Path):
    for run in (1, 2):
        with serve(database=tmp_path / "world.sqlite") as sandbox, amadeus_client(sandbox) as api:
            flight = next(one["itineraries"][0]["segments"][0] for one in search(api) if len(_segments(one)) == 1)
            if run == 1:
                say(sandbox, flight, gate="C3")
            assert status(api, flight)["flightPoints"][0]["departure"]["gate"] == {"mainGate": "C3"}
            name = _path(flight).removeprefix("/flights/")
            assert sandbox.control.get("/flights/polls").json() == {"total": run, "flights": {name: run}}


# -------------------------------------------------------------------------------------------------- sales, refunds


@pytest.mark.parametrize("news", [{"cancelled": True}, {"reschedule_minutes": 40}])
def test_a_flight_that_will_not_leave_as_sold_is_sold_no_more(
    sandbox: RunningSandbox, api: httpx.Client, flight: dict, news: dict
):
    def sold() -> list[str]:
        theirs = [_name(each) for offer in search(api) for each in _segments(offer)]
        return theirs + [part["comparison_key"] for one in search_flights(sandbox)["offers"] for part in one["slices"]]

    offer = next(offer for offer in search(api) if _segments(offer)[0] == flight)
    ready = priced(api, offer)
    listed = search_flights(sandbox)["offers"]
    theirs = [one["id"] for one in listed if one["slices"][0]["comparison_key"] == _name(flight)]
    assert sold().count(_name(flight)) > 2
    say(sandbox, flight, **news)
    assert _name(flight) not in sold()
    assert code_of(price(api, offer), 400) == 34651
    assert code_of(order(api, ready), 400) == 34651
    gone = {one["id"] for one in listed if sandbox.duffel.get(f"/air/offers/{one['id']}").status_code == 422}
    assert gone == set(theirs)


def _name(segment: dict) -> str:
    return f"{segment['carrierCode']}{segment['number']}"


def test_an_issued_ticket_of_a_cancelled_flight_is_refunded_in_full(sandbox: RunningSandbox, api: httpx.Client):
    sandbox.control.put("/amadeus/settings", json={"issue_s": 0})
    made = booked(api)
    path = f"/v1/booking/flight-orders/{made['id']}"
    assert code_of(api.delete(path), 400) == 4926
    say(sandbox, _segments(made["flightOffers"][0])[0], cancelled=True)
    assert api.delete(path).status_code == 204
    (reservation,) = sandbox.reservations()
    assert reservation["status"] == "cancelled"
    assert reservation["refunded_minor"] == reservation["price_minor"]


@pytest.mark.contract
def test_duffels_orders_on_a_cancelled_flight_hear_of_it_and_are_refunded_in_full(sandbox: RunningSandbox):
    with receiving() as receiver:
        sandbox.control.put("/duffel/webhook", json={"url": receiver.url, "secret": "d3VmZmVs"})
        made = book_at_duffel(sandbox, refundable=False)
        pushed = say(sandbox, _as_amadeus(made), cancelled=True, push=True)["pushed"]
        eventually(lambda: len(receiver.got) == 2, "the order and the change are told of")
    now = sandbox.duffel.get(f"/air/orders/{made['id']}").json()["data"]
    (change,) = now["airline_initiated_changes"]
    assert (pushed, change["removed"], change["added"]) == ([change["id"]], made["slices"], [])
    told = [got.event["data"]["object"] for got in receiver.got]
    assert {"id": made["id"], "aic_id": change["id"]} in told  # Duffel's events come in any order
    assert now["slices"] == []
    quote = sandbox.duffel.post("/air/order_cancellations", json={"data": {"order_id": made["id"]}}).json()["data"]
    assert quote["refund_amount"] == made["total_amount"]


def _as_amadeus(order: dict, place: int = 0) -> dict:
    segment = order["slices"][0]["segments"][place]
    carrier, number = segment["marketing_carrier"]["iata_code"], segment["marketing_carrier_flight_number"]
    return {"carrierCode": carrier, "number": number, "departure": {"at": segment["departing_at"]}}


@pytest.mark.contract
def test_duffels_orders_are_told_of_moves_in_any_order_and_keep_the_newest(sandbox: RunningSandbox):
    made, now = book_at_duffel(sandbox), datetime.now(UTC)
    say(sandbox, _as_amadeus(made), delay_minutes=60, push=True, said_at=now.isoformat())
    before = (now - timedelta(minutes=9)).isoformat()
    say(sandbox, _as_amadeus(made), delay_minutes=20, push=True, terminal="7", said_at=before)
    assert say(sandbox, _as_amadeus(made), gate="B2", push=True)["pushed"] == []
    path = "/air/airline_initiated_changes"
    newer, older = sandbox.duffel.get(path, params={"order_id": made["id"]}).json()["data"]
    assert datetime.fromisoformat(older["created_at"]) < datetime.fromisoformat(newer["created_at"])
    leaves = datetime.fromisoformat(made["slices"][0]["segments"][0]["departing_at"])

    def told(part: dict) -> tuple[timedelta, str]:
        segment = part["segments"][0]
        return datetime.fromisoformat(segment["departing_at"]) - leaves, segment["origin_terminal"]

    assert told(older["added"][0]) == (timedelta(minutes=20), "7")
    order_now = sandbox.duffel.get(f"/air/orders/{made['id']}").json()["data"]
    assert told(order_now["slices"][0])[0] == timedelta(minutes=60)
