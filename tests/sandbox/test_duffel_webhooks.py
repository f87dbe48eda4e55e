"""Duffel's events, and the schedule changes they tell of, as the contract wants them."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

import pytest
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers

from tests.contracts import spec
from tests.sandbox.conftest import RunningSandbox, book_flight, eventually, find_flight, post_order
from tests.sandbox.receiver import Delivery, Receiver, receiving

SECRET = "d3VmZmVs"


@pytest.fixture
def receiver(sandbox: RunningSandbox) -> Iterator[Receiver]:
    """Gets what this sandbox's Duffel sends."""
    with receiving() as opened:
        body = {"url": opened.url, "secret": SECRET}
        assert sandbox.control.put("/duffel/webhook", json=body).status_code == 200
        yield opened


@dataclass
class _Received:
    """A delivery as openapi-core wants it."""

    name: str
    method: str
    body: bytes
    content_type: str
    parameters: RequestParameters


def check_contract(delivery: Delivery) -> None:
    headers = Headers(list(delivery.headers.items()))
    request = _Received("duffelEvent", "post", delivery.body, "application/json", RequestParameters(header=headers))
    assert list(spec.require(spec.DUFFEL).document.iter_webhook_request_errors(request)) == []


def change(sandbox: RunningSandbox, order_id: str, minutes: int) -> dict:
    answer = sandbox.control.post("/duffel/airline_change", json={"order_id": order_id, "minutes": minutes})
    assert answer.status_code == 201, answer.text
    return answer.json()


def departures(slices: list[dict]) -> list[list[str]]:
    return [[segment["departing_at"] for segment in part["segments"]] for part in slices]


@pytest.mark.contract
def test_an_order_is_told_of_signed(sandbox: RunningSandbox, receiver: Receiver):
    order = book_flight(sandbox)
    (delivery,) = eventually(lambda: receiver.got, "the event arrives")
    check_contract(delivery)
    assert delivery.event["type"] == "order.created"
    assert delivery.event["data"]["object"]["id"] == delivery.event["idempotency_key"] == order["id"]
    signed_at, signature = (part.split("=")[1] for part in delivery.headers["X-Duffel-Signature"].split(","))
    expected = hmac.new(SECRET.encode(), f"{signed_at}.".encode() + delivery.body, sha256)
    assert signature == expected.hexdigest()


@pytest.mark.contract
@pytest.mark.parametrize(("fails", "event"), [(True, "order.creation_failed"), (False, "order.created")])
def test_what_was_answered_202_is_told_of_when_it_ends(sandbox: RunningSandbox, receiver: Receiver, fails, event):
    sandbox.fault(vendor="duffel", path="/air/orders$", action="accept_later", delay_s=0.01, fail=fails)
    assert post_order(sandbox, find_flight(sandbox)).status_code == 202
    (delivery,) = eventually(lambda: receiver.got, "the event arrives")
    check_contract(delivery)
    assert delivery.event["type"] == event


@pytest.mark.contract
def test_a_schedule_change_moves_the_order_and_is_listed(sandbox: RunningSandbox, receiver: Receiver):
    booked, other = book_flight(sandbox), book_flight(sandbox)
    changes = [change(sandbox, booked["id"], minutes) for minutes in (45, -5)]
    path = "/air/airline_initiated_changes"
    assert sandbox.duffel.get(path, params={"order_id": booked["id"]}).json()["data"] == changes
    assert sandbox.duffel.get(path, params={"order_id": other["id"]}).json()["data"] == []
    # The second change starts from where the first one ended.
    now = sandbox.duffel.get(f"/air/orders/{booked['id']}").json()["data"]
    assert changes[0]["removed"] == booked["slices"]
    assert changes[0]["added"] == changes[1]["removed"]
    assert now["slices"] == changes[1]["added"]
    moved = [
        [(datetime.fromisoformat(departure) + timedelta(minutes=40)).isoformat() for departure in part]
        for part in departures(booked["slices"])
    ]
    assert departures(now["slices"]) == moved
    assert now["airline_initiated_changes"] == changes
    eventually(lambda: len(receiver.got) == 4, "two orders and two changes are told of")
    told = [each for each in receiver.got if each.event["type"] == "order.airline_initiated_change_detected"]
    for delivery in told:
        check_contract(delivery)
    assert {each.event["data"]["object"]["aic_id"] for each in told} == {each["id"] for each in changes}
    assert {each.event["data"]["object"]["id"] for each in told} == {booked["id"]}


def test_only_an_order_that_exists_can_be_changed(sandbox: RunningSandbox):
    path = "/duffel/airline_change"
    assert sandbox.control.post(path, json={"order_id": "ord_none", "minutes": 5}).status_code == 404
    assert sandbox.control.post(path, json={"order_id": book_flight(sandbox)["id"]}).status_code == 422
