"""Amadeus's orders as the sandbox plays them. Every answer is checked against the contract by the client's hook."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import httpx
import pytest

from tests.sandbox.amadeus_client import (
    REFERENCE,
    amadeus_client,
    booked,
    code_of,
    order,
    order_body,
    priced,
    search,
    send,
)
from tests.sandbox.conftest import RunningSandbox, eventually, serve

ORDERS = "/v1/booking/flight-orders"
TO_CANCEL = {"option": "DELAY_TO_CANCEL", "delay": "2D"}


@pytest.fixture
def api(sandbox):
    with amadeus_client(sandbox) as http:
        yield http


def path_of(made: dict) -> str:
    return f"{ORDERS}/{made['id']}"


def test_a_confirmed_order_is_ticketed_and_can_be_deleted(sandbox: RunningSandbox, api: httpx.Client):
    offer = priced(api, search(api)[0])
    made = order(api, offer).json()["data"]
    assert made["flightOffers"] == [offer]
    assert api.get(path_of(made)).json()["data"] == made
    total_minor = round(Decimal(offer["price"]["grandTotal"]) * 100)
    (effect,) = sandbox.ledger()
    assert (effect["vendor"], effect["type"], effect["object_id"]) == ("amadeus", "flight.ticketed", made["id"])
    assert (effect["amount_minor"], effect["currency"]) == (total_minor, "EUR")
    assert effect["metadata"] == {"reference": REFERENCE}
    (line,) = sandbox.reservations()
    assert (line["status"], line["price_minor"], line["metadata"]) == ("confirmed", total_minor, effect["metadata"])
    assert api.delete(path_of(made)).status_code == 204
    assert code_of(api.get(path_of(made)), 404) == 1797
    assert code_of(api.delete(path_of(made)), 404) == 1797
    assert sandbox.effects() == ["flight.ticketed", "flight.cancelled"]
    (line,) = sandbox.reservations()
    assert (line["status"], line["refunded_minor"]) == ("cancelled", total_minor)


def test_nothing_keeps_a_second_order_away_and_none_is_listed(sandbox: RunningSandbox, api: httpx.Client):
    offer = priced(api, search(api)[0])
    first, second = (order(api, offer).json()["data"] for _ in range(2))
    assert first["id"] != second["id"]
    assert first["associatedRecords"][0]["reference"] != second["associatedRecords"][0]["reference"]
    assert sandbox.effects() == ["flight.ticketed"] * 2
    token = {"Authorization": api.headers["Authorization"]}
    assert httpx.get(f"{sandbox.url}/amadeus{ORDERS}", headers=token).status_code == 405


def test_a_reservation_dies_at_midnight_of_its_day(sandbox: RunningSandbox, api: httpx.Client):
    before = datetime.now(UTC).date()
    made = booked(api, ticketingAgreement=TO_CANCEL)
    days = {day + timedelta(days=2) for day in (before, datetime.now(UTC).date())}
    assert made["ticketingAgreement"]["dateTime"] in {datetime.combine(day, time()).isoformat() for day in days}
    assert sandbox.reservations()[0]["status"] == "held"
    assert api.delete(path_of(made)).status_code == 204
    assert sandbox.effects() == ["flight.held", "flight.cancelled"]
    assert sandbox.ledger()[-1]["amount_minor"] == 0
    assert "dateTime" not in booked(api, ticketingAgreement={"option": "DELAY_TO_QUEUE"})["ticketingAgreement"]


def test_a_dead_reservation_is_gone_though_nobody_looked(sandbox: RunningSandbox, api: httpx.Client):
    sandbox.control.put("/amadeus/settings", json={"hold_s": 0.1})
    made = booked(api, ticketingAgreement=TO_CANCEL)
    eventually(lambda: len(sandbox.effects()) == 2, "the reservation dies by itself")
    assert sandbox.effects() == ["flight.held", "flight.hold_expired"]
    assert code_of(api.get(path_of(made)), 404) == 1797
    assert sandbox.reservations()[0]["status"] == "expired"


def test_an_issued_ticket_cannot_be_deleted(sandbox: RunningSandbox, api: httpx.Client):
    sandbox.control.put("/amadeus/settings", json={"issue_s": 0})
    made = booked(api)
    assert code_of(api.delete(path_of(made)), 400) == 4926
    assert len(api.get(path_of(made)).json()["data"]["tickets"]) == 1
    assert sandbox.effects() == ["flight.ticketed"]


def test_an_order_carries_the_priced_offer_at_its_price(sandbox: RunningSandbox, api: httpx.Client):
    found = search(api)[0]
    assert code_of(order(api, found), 400) == 4926
    offer = priced(api, found)
    cheaper = {**offer, "price": {**offer["price"], "grandTotal": "1.00"}}
    assert code_of(order(api, cheaper), 400) == 37200
    sandbox.fault(vendor="amadeus", path="/flight-orders$", action="price_changed", percent=5)
    assert code_of(order(api, offer), 400) == 37200
    assert code_of(order(api, offer), 400) == 37200
    assert sandbox.effects() == []
    again = priced(api, found)
    assert Decimal(again["price"]["grandTotal"]) > Decimal(offer["price"]["grandTotal"])
    assert order(api, again).status_code == 201


def test_what_may_go_wrong_with_an_order(sandbox: RunningSandbox, api: httpx.Client):
    offer = priced(api, search(api)[0])
    sandbox.fault(vendor="amadeus", path="/flight-orders$", action="decline")
    sandbox.fault(vendor="amadeus", path="/flight-orders$", action="decline", code="36870")
    sandbox.fault(vendor="amadeus", path="/flight-orders$", action="sold_out")
    assert [code_of(order(api, offer), 400) for _ in range(4)] == [1304, 36870, 34651, 34651]
    assert sandbox.effects() == []


@pytest.fixture(scope="module")
def priced_offer():
    """A client and an offer, for orders that are refused: one sandbox serves them all."""
    with serve(seed=7) as running, amadeus_client(running) as http:
        yield http, priced(http, search(http)[0])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"travelers": []}, 32171),
        ({"flightOffers": []}, 32171),
        ({"ticketingAgreement": {"option": "LATER"}}, 477),
        ({"ticketingAgreement": {"option": "DELAY_TO_CANCEL"}}, 32171),
        ({"ticketingAgreement": {"option": "DELAY_TO_CANCEL", "delay": "soon"}}, 477),
        ({"ticketingAgreement": {"option": "DELAY_TO_CANCEL", "dateTime": "2020-01-01"}}, 4926),
        ({"remarks": {"general": [{"text": "no kind"}]}}, 32171),
    ],
)
def test_what_an_order_must_be(priced_offer: tuple[httpx.Client, dict], change: dict, code: int):
    http, offer = priced_offer
    assert code_of(order(http, offer, **change), 400) == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"id": "7"}, 4926),
        ({"name": {"firstName": "AMELIE"}}, 32171),
        ({"gender": "X"}, 477),
        ({"dateOfBirth": "1990-13-01"}, 477),
        ({"contact": {"emailAddress": "nobody"}}, 477),
        ({"contact": {"emailAddress": "amelie@example.org"}}, 32171),
        ({"contact": {"phones": [{"countryCallingCode": "+33", "number": "06 12"}]}}, 477),
    ],
)
def test_travelers_are_checked(priced_offer: tuple[httpx.Client, dict], change: dict, code: int):
    http, offer = priced_offer
    body = order_body(offer)
    body["travelers"][0] |= change
    assert code_of(send(http, ORDERS, {"data": body}), 400) == code


def test_what_was_reserved_before_a_restart_dies_after_it(tmp_path):
    with serve(seed=7, database=tmp_path / "world.db") as sandbox, amadeus_client(sandbox) as http:
        sandbox.control.put("/amadeus/settings", json={"hold_s": 0.5})
        booked(http, ticketingAgreement=TO_CANCEL)
    with serve(seed=7, database=tmp_path / "world.db") as sandbox:
        eventually(lambda: sandbox.effects() == ["flight.held", "flight.hold_expired"], "it dies after the restart")
