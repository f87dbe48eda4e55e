"""Every action of the fault plan, seen from the client and in the ledger."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.sandbox.conftest import (
    RunningSandbox,
    book_flight,
    error_of,
    eventually,
    find_flight,
    post_order,
    search_flights,
)

ORDERS = {"vendor": "duffel", "method": "POST", "path": "/air/orders$"}


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "explode"},
        {"vendor": "sabre", "action": "refuse"},
        {"path": "(", "action": "refuse"},
        {"nth": 0, "action": "refuse"},
        {"times": 0, "action": "refuse"},
        {"action": "delay"},
        {"action": "server_error", "status": 418},
        {"vendor": "stripe", "action": "sold_out"},
        {"vendor": "duffel", "action": "three_d_secure"},
        {"action": "refuse", "colour": "red"},
        {"action": "corrupt"},
        {"action": "refuse", "corruption": "html"},
        {},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(sandbox: RunningSandbox, rule: dict):
    assert sandbox.control.post("/faults", json=rule).status_code == 422


def test_rules_are_listed_with_their_counts_and_deleted(sandbox: RunningSandbox):
    first = sandbox.fault(**ORDERS, action="refuse", nth=2)
    second = sandbox.fault(vendor="stripe", action="refuse")
    book_flight(sandbox)
    assert error_of(post_order(sandbox, find_flight(sandbox)), 422) == "request_refused"
    book_flight(sandbox)
    rules = {rule["id"]: rule for rule in sandbox.control.get("/faults").json()}
    assert (rules[first]["matched"], rules[first]["fired"]) == (3, 1)
    assert (rules[second]["matched"], rules[second]["fired"]) == (0, 0)
    assert sandbox.control.delete(f"/faults/{first}").status_code == 204
    assert sandbox.control.delete(f"/faults/{first}").status_code == 404
    assert [rule["id"] for rule in sandbox.control.get("/faults").json()] == [second]
    assert sandbox.control.delete("/faults").status_code == 204
    assert sandbox.control.get("/faults").json() == []


def test_all_conditions_must_hold_and_text_is_found_wherever_it_is(sandbox: RunningSandbox):
    offer = find_flight(sandbox)
    sandbox.fault(vendor="duffel", action="refuse", method="GET", contains="trip 1", times=None)
    assert sandbox.duffel.get("/air/orders").status_code == 200
    assert sandbox.duffel.get("/air/orders", params={"booking_reference": "trip 1"}).status_code == 422
    assert sandbox.duffel.get("/air/orders", headers={"X-Correlation-Id": "trip 1"}).status_code == 422
    assert post_order(sandbox, offer, metadata={"trip": "trip 1"}).status_code == 201
    sandbox.fault(vendor="duffel", action="refuse", method="post", contains="trip 2")
    assert post_order(sandbox, find_flight(sandbox), metadata={"trip": "trip 2"}).status_code == 422


def test_one_call_fires_one_rule_and_the_next_keeps_its_turn(sandbox: RunningSandbox):
    sandbox.fault(**ORDERS, action="refuse", code="first")
    sandbox.fault(**ORDERS, action="refuse", code="second")
    offer = find_flight(sandbox)
    assert [error_of(post_order(sandbox, offer), 422) for _ in range(2)] == ["first", "second"]
    assert post_order(sandbox, offer).status_code == 201


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_error_without_and_with_effect(sandbox: RunningSandbox, status: int):
    offer = find_flight(sandbox)
    sandbox.fault(**ORDERS, action="server_error", status=status)
    error_of(post_order(sandbox, offer), status)
    assert sandbox.effects() == []
    sandbox.fault(**ORDERS, action="server_error_after", status=status)
    error_of(post_order(sandbox, offer), status)
    assert sandbox.effects() == ["flight.ticketed"]
    assert error_of(post_order(sandbox, offer), 422) == "offer_request_already_booked"


def test_rate_limited(sandbox: RunningSandbox):
    sandbox.fault(vendor="duffel", action="rate_limited", retry_after_s=3)
    answer = sandbox.duffel.get("/air/orders")
    assert error_of(answer, 429) == "rate_limit_exceeded"
    assert answer.headers["retry-after"] == "3"
    assert answer.headers["ratelimit-reset"].endswith("GMT")


def test_delay_then_as_usual(sandbox: RunningSandbox):
    offer = find_flight(sandbox)
    sandbox.fault(**ORDERS, action="delay", delay_s=0.2)
    before = time.monotonic()
    assert post_order(sandbox, offer).status_code == 201
    assert time.monotonic() - before >= 0.2


def test_an_effect_comes_after_the_client_has_given_up(sandbox: RunningSandbox):
    offer = find_flight(sandbox)
    sandbox.fault(**ORDERS, action="delay", delay_s=0.3)
    sandbox.duffel.timeout = httpx.Timeout(0.05)
    with pytest.raises(httpx.ReadTimeout):
        post_order(sandbox, offer)
    assert sandbox.effects() == []
    eventually(lambda: sandbox.effects() == ["flight.ticketed"], "the order is made all the same")


def test_drop_before_has_no_effect(sandbox: RunningSandbox):
    offer = find_flight(sandbox)
    sandbox.fault(**ORDERS, action="drop_before")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        post_order(sandbox, offer)
    assert sandbox.effects() == []
    assert post_order(sandbox, offer).status_code == 201


def test_drop_after_has_its_effect(sandbox: RunningSandbox):
    offer = find_flight(sandbox)
    sandbox.fault(**ORDERS, action="drop_after")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        post_order(sandbox, offer)
    assert sandbox.effects() == ["flight.ticketed"]
    assert error_of(post_order(sandbox, offer), 422) == "offer_request_already_booked"


def test_drop_then_effect_comes_later(sandbox: RunningSandbox):
    offer = find_flight(sandbox)
    sandbox.fault(**ORDERS, action="drop_then_effect", delay_s=0.3)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        post_order(sandbox, offer)
    assert sandbox.duffel.get("/air/orders").json()["data"] == []
    eventually(lambda: sandbox.effects() == ["flight.ticketed"], "the late effect")


def test_a_dropped_connection_leaves_the_others_alone(sandbox: RunningSandbox):
    offers = [find_flight(sandbox) for _ in range(8)]
    sandbox.fault(**ORDERS, action="drop_before", nth=3, times=2)

    def order(offer: dict) -> bool:
        try:
            return post_order(sandbox, offer).status_code == 201
        except httpx.TransportError:
            return False

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(order, offers))
    assert (outcomes.count(True), outcomes.count(False)) == (6, 2)
    assert len(sandbox.effects()) == 6


def test_sold_out_at_price_time_lasts(sandbox: RunningSandbox):
    found = search_flights(sandbox)
    offer = found["offers"][0]
    sandbox.fault(vendor="duffel", path="/air/offers/", action="sold_out")
    for _ in range(2):
        assert error_of(sandbox.duffel.get(f"/air/offers/{offer['id']}"), 422) == "offer_no_longer_available"
    assert error_of(post_order(sandbox, offer), 422) == "offer_no_longer_available"
    again = sandbox.duffel.get("/air/offers", params={"offer_request_id": found["id"]}).json()["data"]
    assert offer["id"] not in [each["id"] for each in again]
    assert post_order(sandbox, found["offers"][1]).status_code == 201


def test_sold_out_at_order_time(sandbox: RunningSandbox):
    offer = find_flight(sandbox)
    sandbox.fault(**ORDERS, action="sold_out")
    assert error_of(post_order(sandbox, offer), 422) == "offer_no_longer_available"
    assert sandbox.effects() == []


def test_a_changed_price_lasts_so_that_pricing_and_ordering_agree(sandbox: RunningSandbox):
    offer = find_flight(sandbox)
    sandbox.fault(**ORDERS, action="price_changed", percent=8)
    assert error_of(post_order(sandbox, offer), 422) == "price_changed"
    assert error_of(post_order(sandbox, offer), 422) == "price_changed"
    priced = sandbox.duffel.get(f"/air/offers/{offer['id']}").json()["data"]
    assert float(priced["total_amount"]) == pytest.approx(float(offer["total_amount"]) * 1.08, abs=0.01)
    assert float(priced["base_amount"]) + float(priced["tax_amount"]) == pytest.approx(float(priced["total_amount"]))
    order = post_order(sandbox, priced).json()["data"]
    assert order["total_amount"] == priced["total_amount"]


def test_the_price_changes_when_priced(sandbox: RunningSandbox):
    offer = find_flight(sandbox)
    sandbox.fault(vendor="duffel", path="/air/offers/", action="price_changed", percent=-10)
    priced = sandbox.duffel.get(f"/air/offers/{offer['id']}").json()["data"]
    assert float(priced["total_amount"]) == pytest.approx(float(offer["total_amount"]) * 0.9, abs=0.01)
    assert post_order(sandbox, priced).status_code == 201


def test_accepted_orders_appear_later(sandbox: RunningSandbox):
    offer = find_flight(sandbox)
    sandbox.fault(**ORDERS, action="accept_later", delay_s=0.7)
    assert post_order(sandbox, offer).status_code == 202
    assert sandbox.duffel.get("/air/orders").json()["data"] == []
    assert error_of(post_order(sandbox, offer), 422) == "offer_request_already_booked"
    listed = eventually(lambda: sandbox.duffel.get("/air/orders").json()["data"], "the order appears")
    assert listed[0]["metadata"] == {"booking_id": "01JTESTTESTTESTTESTTESTTEST"}
    assert sandbox.effects() == ["flight.ticketed"]


def test_accepted_orders_may_fail_later(sandbox: RunningSandbox):
    offer = find_flight(sandbox)
    sandbox.fault(**ORDERS, action="accept_later", delay_s=0.7, fail=True)
    assert post_order(sandbox, offer).status_code == 202
    made = eventually(lambda: post_order(sandbox, offer).status_code == 201, "the offer request is free again")
    assert made
    assert sandbox.effects() == ["flight.ticketed"]


def test_accepted_payments_of_a_hold(sandbox: RunningSandbox):
    held = book_flight(sandbox, hold=True)
    body = {"data": {"order_id": held["id"], "payment": {"type": "balance", "amount": held["total_amount"]}}}
    sandbox.fault(vendor="duffel", path="/air/payments", action="accept_later", delay_s=0.7)
    assert sandbox.duffel.post("/air/payments", json=body).status_code == 202
    query = {"order_id": held["id"]}
    eventually(lambda: sandbox.duffel.get("/air/payments", params=query).json()["data"], "the payment appears")
    assert sandbox.effects() == ["flight.held", "flight.ticketed"]


def test_decline(sandbox: RunningSandbox):
    offer = find_flight(sandbox)
    sandbox.fault(**ORDERS, action="decline")
    assert error_of(post_order(sandbox, offer), 422) == "insufficient_balance"
    assert sandbox.effects() == []


def test_a_fault_that_cannot_happen_there_is_loud(sandbox: RunningSandbox):
    sandbox.fault(vendor="duffel", path="/air/orders", action="sold_out")
    assert error_of(sandbox.duffel.get("/air/orders"), 501) == "sandbox_fault_not_supported"
