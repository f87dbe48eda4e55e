"""A running sandbox for tests: real HTTP, on a port of its own, in a thread."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TypeVar

import httpx
import pytest
import uvicorn

from sandbox.app import create_app, server_config
from tests.contracts import spec

DUFFEL_HEADERS = {"Authorization": "Bearer duffel_test_anything", "Duffel-Version": "v2"}
DEADLINE_S = 10
TLS = httpx.create_ssl_context()
"""Nothing here speaks it, and every client would load the authorities anew."""
T = TypeVar("T")


def eventually(question: Callable[[], T], what: str) -> T:
    """Ask until the answer is truthy."""
    ends = time.monotonic() + DEADLINE_S
    while time.monotonic() < ends:
        answer = question()
        if answer:
            return answer
        time.sleep(0.005)
    pytest.fail(f"not within {DEADLINE_S} s: {what}")


class RunningSandbox:
    """A served sandbox, and clients for it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.control = httpx.Client(verify=TLS, base_url=f"{self.url}/_sandbox", timeout=DEADLINE_S)
        self.duffel = httpx.Client(
            verify=TLS,
            base_url=f"{self.url}/duffel",
            headers=DUFFEL_HEADERS,
            timeout=DEADLINE_S,
            event_hooks={"response": [_check_duffel]},
        )

    def fault(self, **rule: object) -> str:
        """Add a rule to the plan; its id."""
        answer = self.control.post("/faults", json=rule)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def ledger(self, **query: str | int) -> list[dict]:
        return self.control.get("/ledger", params=query).json()

    def effects(self) -> list[str]:
        """The types in the ledger, in order."""
        return [effect["type"] for effect in self.ledger()]

    def reservations(self) -> list[dict]:
        return self.control.get("/books").json()["reservations"]

    def close(self) -> None:
        self.control.close()
        self.duffel.close()


def _check_duffel(response: httpx.Response) -> None:
    """Every answer must be as the contract says, and what is answered well must have been asked well."""
    response.read()
    path = response.request.url.path.removeprefix("/duffel")
    name = spec.duffel_contract_of(path)
    if not spec.available(name):
        return
    judge = spec.contract(name)
    judge.check_response(response, path)
    if response.is_success:
        judge.check_request(response.request, path)


@contextmanager
def serve(**options) -> Iterator[RunningSandbox]:
    """A sandbox with these options of `create_app`, served like the real one, until the block ends."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(server_config(create_app(**options), "127.0.0.1", port))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    eventually(lambda: server.started, "the sandbox is up")
    running = RunningSandbox(port)
    try:
        yield running
    finally:
        running.close()
        server.should_exit = True
        thread.join(DEADLINE_S)
        listener.close()
    assert not thread.is_alive()


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """A fresh sandbox that forgets everything."""
    with serve(seed=7) as running:
        yield running


# ---------------------------------------------------------------------------------------------- what Duffel is told

DEPARTURE = date.today() + timedelta(days=60)  # noqa: DTZ011 - any day some time ahead will do


def flight_query(**changes: object) -> dict:
    """A search from Paris to New York for one adult."""
    trip = {"origin": "CDG", "destination": "JFK", "departure_date": DEPARTURE.isoformat()}
    return {"slices": [trip], "passengers": [{"type": "adult"}], **changes}


def search_flights(sandbox: RunningSandbox, **changes: object) -> dict:
    """The offer request, with its offers."""
    answer = sandbox.duffel.post("/air/offer_requests", json={"data": flight_query(**changes)})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def find_flight(sandbox: RunningSandbox, *, holdable: bool = False, refundable: bool | None = None) -> dict:
    """The first offer of a search that is as wanted; holdable offers can be bought at once too."""
    for offer in search_flights(sandbox)["offers"]:
        can_be_held = not offer["payment_requirements"]["requires_instant_payment"]
        refund = offer["conditions"]["refund_before_departure"]["allowed"]
        if (can_be_held or not holdable) and refundable in (None, refund):
            return offer
    pytest.fail("no such offer")


def order_body(offer: dict, *, hold: bool = False, **changes: object) -> dict:
    """The data of an order for all passengers of the offer."""
    passengers = [
        {
            "id": passenger["id"],
            "title": "ms",
            "given_name": "Amélie",
            "family_name": f"Dupont{'abcdefgh'[number]}",
            "gender": "f",
            "born_on": "1990-04-12",
            "email": "amelie@example.org",
            "phone_number": "+33612345678",
        }
        for number, passenger in enumerate(offer["passengers"])
    ]
    body: dict = {
        "type": "hold" if hold else "instant",
        "selected_offers": [offer["id"]],
        "passengers": passengers,
        "metadata": {"booking_id": "01JTESTTESTTESTTESTTESTTEST"},
    }
    if not hold:
        payment = {"type": "balance", "amount": offer["total_amount"], "currency": offer["total_currency"]}
        body["payments"] = [payment]
    return {**body, **changes}


def post_order(sandbox: RunningSandbox, offer: dict, *, hold: bool = False, **changes: object) -> httpx.Response:
    """The answer to an order."""
    return sandbox.duffel.post("/air/orders", json={"data": order_body(offer, hold=hold, **changes)})


def book_flight(sandbox: RunningSandbox, *, hold: bool = False, refundable: bool | None = None) -> dict:
    """A made order."""
    answer = post_order(sandbox, find_flight(sandbox, holdable=hold, refundable=refundable), hold=hold)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def error_of(answer: httpx.Response, status: int) -> str:
    """The code of an error, whose status must agree with its envelope."""
    body = answer.json()
    assert (answer.status_code, body["meta"]["status"]) == (status, status), json.dumps(body)
    return body["errors"][0]["code"]
