"""Corrupt answers as a client gets them: made of the real answer of each supplier's search, with its effects."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal

import httpx
import pytest

from tests.sandbox.amadeus_client import amadeus_client, query
from tests.sandbox.conftest import (
    DUFFEL_HEADERS,
    TLS,
    RunningSandbox,
    find_flight,
    flight_query,
    order_body,
    serve,
)
from tests.sandbox.test_duffel_cars import car_query
from tests.sandbox.test_rapid import hotels, rapid_client, stay

OFFER_REQUESTS = "/air/offer_requests"
Search = Callable[[], httpx.Response]


@pytest.fixture(scope="module")
def sandbox():
    """One for all: each test plans one fault and sees it fire."""
    with serve(seed=7) as running:
        yield running


@pytest.fixture(scope="module")
def searches(sandbox: RunningSandbox) -> Iterator[dict[str, Search]]:
    """A search of each supplier, with clients that hold nothing against a contract."""
    with (
        amadeus_client(sandbox) as amadeus,
        rapid_client(sandbox) as rapid,
        httpx.Client(verify=TLS, base_url=f"{sandbox.url}/duffel", headers=DUFFEL_HEADERS) as duffel,
    ):
        asked = stay(hotels(rapid))
        for client in (amadeus, rapid):
            client.event_hooks = {}
        yield {
            "duffel": lambda: duffel.post(OFFER_REQUESTS, json={"data": flight_query()}),
            "duffel cars": lambda: duffel.post("/cars/search", json={"data": car_query()}),
            "amadeus": lambda: amadeus.get("/v2/shopping/flight-offers", params=query()),
            "expedia_rapid": lambda: rapid.get("/v3/properties/availability", params=asked),
        }


def corrupted(sandbox: RunningSandbox, search: Search, corruption: str) -> httpx.Response:
    sandbox.fault(action="corrupt", corruption=corruption)
    return search()


def leaves(node: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Every value of a document with the key it stands under."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from leaves(value, name)
    elif isinstance(node, list):
        for item in node:
            yield from leaves(item, key)
    else:
        yield key, node


def test_no_json(sandbox: RunningSandbox, searches: dict[str, Search]):
    answer = corrupted(sandbox, searches["duffel"], "garbage")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    with pytest.raises(ValueError, match=r"decode|Expecting|Invalid"):
        answer.json()
    page = corrupted(sandbox, searches["duffel"], "html")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.text.startswith("<!DOCTYPE html>")


def test_an_enormous_answer_is_streamed_and_does_not_say_its_length(
    sandbox: RunningSandbox, searches: dict[str, Search]
):
    answer = corrupted(sandbox, searches["amadeus"], "enormous")
    assert "content-length" not in answer.headers
    assert len(answer.content) > 12 * 1024 * 1024
    # JSON all the same: only its size is wrong.
    assert answer.json()["data"]


def test_half_a_body_arrives_and_then_the_end(sandbox: RunningSandbox):
    sandbox.fault(action="corrupt", corruption="half_body")
    body = json.dumps({"data": flight_query()})
    headers = {**DUFFEL_HEADERS, "Content-Type": "application/json"}
    url = f"{sandbox.url}/duffel{OFFER_REQUESTS}"
    received = b""
    with httpx.stream("POST", url, content=body, headers=headers) as answer:
        promised = int(answer.headers["content-length"])
        parts = answer.iter_raw()
        while len(received) < promised // 2:
            received += next(parts)
        assert len(received) == promised // 2
        with pytest.raises(httpx.RemoteProtocolError):
            next(parts)
    assert sandbox.duffel.get("/air/orders").status_code == 200


@pytest.mark.parametrize("supplier", ["duffel", "duffel cars", "amadeus", "expedia_rapid"])
def test_figures_that_cannot_be(sandbox: RunningSandbox, searches: dict[str, Search], supplier: str):
    search = searches[supplier]
    found = list(leaves(search().json()))
    foreign = list(leaves(corrupted(sandbox, search, "currency").json()))
    negative = list(leaves(corrupted(sandbox, search, "negative").json()))
    past = list(leaves(corrupted(sandbox, search, "past").json()))
    # Ids differ from answer to answer; shape and order do not.
    assert [key for key, _ in found] == [key for key, _ in foreign] == [key for key, _ in negative]
    assert "EUR" in [value for _, value in found]
    assert "EUR" not in [value for _, value in foreign]
    assert "XTS" in [value for _, value in foreign]
    prices = [
        (Decimal(str(was)), Decimal(str(now)))
        for (key, was), (_, now) in zip(found, negative, strict=True)
        if re.search("amount|grandTotal|^value$", key) and was is not None
    ]
    assert prices
    assert all(was == -now for was, now in prices)
    years = [int(value[:4]) for _, value in found if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value)]
    earlier = [int(value[:4]) for _, value in past if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value)]
    assert [year - 3 for year in years] == earlier


def test_the_effect_is_made(sandbox: RunningSandbox):
    offer = find_flight(sandbox)
    before = len(sandbox.effects())
    sandbox.fault(vendor="duffel", path="/air/orders$", action="corrupt", corruption="garbage")
    body = {"data": order_body(offer)}
    assert httpx.post(f"{sandbox.url}/duffel/air/orders", json=body, headers=DUFFEL_HEADERS).status_code == 200
    assert sandbox.effects()[before:] == ["flight.ticketed"]


def test_what_has_nothing_to_corrupt_is_loud(sandbox: RunningSandbox):
    sandbox.fault(vendor="duffel", path="/air/orders$", action="corrupt", corruption="negative")
    url = f"{sandbox.url}/duffel/air/orders?booking_reference=NOBODY"
    assert httpx.get(url, headers=DUFFEL_HEADERS).status_code == 501
