"""Duffel flights as the sandbox plays them. Every answer is checked against the contract by the client's hook."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.sandbox.conftest import (
    DEPARTURE,
    DUFFEL_HEADERS,
    RunningSandbox,
    book_flight,
    error_of,
    eventually,
    find_flight,
    flight_query,
    order_body,
    post_order,
    search_flights,
    serve,
)

# ------------------------------------------------------------------------------------------------------ at the door


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Duffel-Version": "v2"}, 401, "missing_authorization_header"),
        ({"Duffel-Version": "v2", "Authorization": "Bearer duffel_live_x"}, 401, "access_token_not_found"),
        ({"Authorization": "Bearer duffel_test_x"}, 400, "missing_version_header"),
        ({"Authorization": "Bearer duffel_test_x", "Duffel-Version": "v1"}, 400, "unsupported_version"),
    ],
)
def test_who_asks_and_in_which_version(sandbox: RunningSandbox, headers: dict, status: int, code: str):
    answer = httpx.get(f"{sandbox.url}/duffel/air/orders", headers=headers)
    assert error_of(answer, status) == code


def test_a_body_that_is_not_json(sandbox: RunningSandbox):
    headers = {**DUFFEL_HEADERS, "Content-Type": "application/json"}
    assert error_of(sandbox.duffel.post("/air/orders", content=b"{", headers=headers), 400) == "bad_request"
    assert error_of(sandbox.duffel.post("/air/orders", json=[1]), 422) == "validation_required"


# ----------------------------------------------------------------------------------------------------------- search


def test_offers_are_plausible(sandbox: RunningSandbox):
    offers = search_flights(sandbox)["offers"]
    assert len({offer["owner"]["iata_code"] for offer in offers}) >= 3
    refundable = [offer["conditions"]["refund_before_departure"]["allowed"] for offer in offers]
    instant = [offer["payment_requirements"]["requires_instant_payment"] for offer in offers]
    assert set(refundable) == set(instant) == {True, False}
    for offer in offers:
        assert 100 < float(offer["total_amount"]) < 3000
        assert Decimal(offer["base_amount"]) + Decimal(offer["tax_amount"]) == Decimal(offer["total_amount"])
        assert offer["total_currency"] == "EUR"
        segments = offer["slices"][0]["segments"]
        assert (segments[0]["origin"]["iata_code"], segments[-1]["destination"]["iata_code"]) == ("CDG", "JFK")
        assert segments[0]["departing_at"].startswith(DEPARTURE.isoformat())
        for earlier, later in pairwise(segments):
            assert earlier["destination"]["iata_code"] == later["origin"]["iata_code"]
            assert earlier["arriving_at"] < later["departing_at"]


def test_local_times_agree_with_the_duration(sandbox: RunningSandbox):
    def moment(local: str, airport: dict) -> datetime:
        return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(airport["time_zone"]))

    for offer in search_flights(sandbox)["offers"]:
        for segment in offer["slices"][0]["segments"]:
            departs = moment(segment["departing_at"], segment["origin"])
            arrives = moment(segment["arriving_at"], segment["destination"])
            minutes = (arrives - departs) / timedelta(minutes=1)
            assert segment["duration"] == f"PT{int(minutes // 60)}H{int(minutes % 60)}M"
            assert 400 < minutes < 700 or len(offer["slices"][0]["segments"]) > 1


def test_round_trip_for_a_family_in_business(sandbox: RunningSandbox):
    there = {"origin": "LON", "destination": "NCE", "departure_date": DEPARTURE.isoformat()}
    back = {"origin": "NCE", "destination": "LON", "departure_date": (DEPARTURE + timedelta(days=7)).isoformat()}
    passengers = [{"type": "adult"}, {"age": 8}, {"age": 1}]
    found = search_flights(sandbox, slices=[there, back], passengers=passengers, cabin_class="business")
    assert [each["type"] for each in found["passengers"]] == ["adult", "child", "infant_without_seat"]
    assert found["slices"][0]["origin_type"] == "city"
    for offer in found["offers"]:
        assert len(offer["slices"]) == 2
        assert offer["slices"][1]["segments"][0]["origin"]["iata_code"] == "NCE"
    offer = found["offers"][0]
    lap = order_body(offer)
    assert error_of(sandbox.duffel.post("/air/orders", json={"data": lap}), 422) == "validation_invalid"
    lap["passengers"][0]["infant_passenger_id"] = offer["passengers"][2]["id"]
    order = sandbox.duffel.post("/air/orders", json={"data": lap}).json()["data"]
    assert len(order["documents"]) == 3


def test_departure_window_and_direct_flights(sandbox: RunningSandbox):
    window = {**flight_query()["slices"][0], "departure_time": {"from": "06:00", "to": "12:00"}}
    for offer in search_flights(sandbox, slices=[window])["offers"]:
        assert "06:00" <= offer["slices"][0]["segments"][0]["departing_at"][11:16] <= "12:00"
    for offer in search_flights(sandbox, max_connections=0)["offers"]:
        assert len(offer["slices"][0]["segments"]) == 1


def test_offers_are_listed_sorted_paged_and_read_again(sandbox: RunningSandbox):
    answer = sandbox.duffel.post("/air/offer_requests?return_offers=false", json={"data": flight_query()})
    found = answer.json()["data"]
    assert "offers" not in found
    full = sandbox.duffel.get(f"/air/offer_requests/{found['id']}").json()["data"]["offers"]
    query = {"offer_request_id": found["id"], "sort": "total_amount", "limit": 5}
    amounts, after = [], None
    while True:
        page = sandbox.duffel.get("/air/offers", params={**query, **({"after": after} if after else {})}).json()
        amounts += [float(offer["total_amount"]) for offer in page["data"]]
        after = page["meta"]["after"]
        if after is None:
            break
    assert amounts == sorted(float(offer["total_amount"]) for offer in full)
    one = sandbox.duffel.get(f"/air/offers/{full[0]['id']}").json()["data"]
    assert one["total_amount"] == full[0]["total_amount"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"slices": [{"origin": "XXX", "destination": "JFK", "departure_date": "2030-01-01"}]}, "/slices/0/origin"),
        (
            {"slices": [{"origin": "JFK", "destination": "JFK", "departure_date": "2030-01-01"}]},
            "/slices/0/destination",
        ),
        (
            {"slices": [{"origin": "CDG", "destination": "JFK", "departure_date": "2020-01-01"}]},
            "/slices/0/departure_date",
        ),
        (
            {"slices": [{"origin": "CDG", "destination": "JFK", "departure_date": "2030-02-30"}]},
            "/slices/0/departure_date",
        ),
        ({"slices": []}, "/slices"),
        ({"passengers": []}, "/passengers"),
        ({"passengers": [{"type": "adult", "age": 4}]}, "/passengers/0"),
        ({"cabin_class": "cargo"}, "/cabin_class"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_a_search_that_makes_no_sense(sandbox: RunningSandbox, change: dict, pointer: str):
    answer = sandbox.duffel.post("/air/offer_requests", json={"data": flight_query(**change)})
    error_of(answer, 422)
    assert answer.json()["errors"][0]["source"]["pointer"] == pointer


def test_unknown_ids(sandbox: RunningSandbox):
    for path in ("offer_requests/orq_x", "offers/off_x", "orders/ord_x", "order_cancellations/ore_x"):
        assert error_of(sandbox.duffel.get(f"/air/{path}"), 404) == "not_found"
    offer = find_flight(sandbox)
    assert error_of(sandbox.duffel.get(f"/air/offers/{offer['id'][:-2]}99"), 404) == "not_found"
    body = order_body(offer, selected_offers=["off_x"])
    assert error_of(sandbox.duffel.post("/air/orders", json={"data": body}), 422) == "linked_record_not_found"


def test_offers_expire():
    with serve(seed=7, offer_ttl_s=1.5) as sandbox:
        found = search_flights(sandbox)
        offer = found["offers"][0]
        assert sandbox.duffel.get(f"/air/offers/{offer['id']}").status_code == 200
        gone = eventually(lambda: _unless_ok(sandbox.duffel.get(f"/air/offers/{offer['id']}")), "the offer expires")
        assert error_of(gone, 422) == "offer_expired"
        assert error_of(post_order(sandbox, offer), 422) == "offer_expired"
        query = {"offer_request_id": found["id"]}
        assert sandbox.duffel.get("/air/offers", params=query).json()["data"] == []


def _unless_ok(answer: httpx.Response) -> httpx.Response | None:
    return None if answer.status_code == 200 else answer


# ----------------------------------------------------------------------------------------------------------- orders


def test_instant_order(sandbox: RunningSandbox):
    offer = find_flight(sandbox)
    order = post_order(sandbox, offer).json()["data"]
    assert order["total_amount"] == offer["total_amount"]
    assert [part["comparison_key"] for part in offer["slices"]] == [part["comparison_key"] for part in order["slices"]]
    assert order["payment_status"]["awaiting_payment"] is False
    assert len(order["documents"]) == 1
    assert sandbox.duffel.get(f"/air/orders/{order['id']}").json()["data"] == order
    (effect,) = sandbox.ledger()
    assert (effect["type"], effect["object_id"], effect["currency"]) == ("flight.ticketed", order["id"], "EUR")
    assert effect["amount_minor"] == round(Decimal(order["total_amount"]) * 100)
    assert effect["metadata"] == order["metadata"] == {"booking_id": "01JTESTTESTTESTTESTTESTTEST"}
    (line,) = sandbox.reservations()
    assert (line["status"], line["price_minor"], line["held_until"]) == ("confirmed", effect["amount_minor"], None)


def test_one_order_per_offer_request(sandbox: RunningSandbox):
    offers = search_flights(sandbox)["offers"]
    assert post_order(sandbox, offers[0]).status_code == 201
    for offer in offers[:2]:
        assert error_of(post_order(sandbox, offer), 422) == "offer_request_already_booked"
    assert sandbox.effects() == ["flight.ticketed"]


def test_what_an_order_must_be(sandbox: RunningSandbox):
    offer = find_flight(sandbox, refundable=False)
    stale = {**offer, "total_amount": "1.00"}
    assert error_of(post_order(sandbox, stale), 422) == "payment_amount_does_not_match_order_amount"
    assert error_of(post_order(sandbox, offer, hold=True), 422) == "invalid_order_create_type"
    assert error_of(post_order(sandbox, offer, passengers=[]), 422) == "validation_required"
    assert error_of(post_order(sandbox, offer, type="later"), 422) == "validation_inclusion"
    assert error_of(post_order(sandbox, offer, selected_offers=[]), 422) == "validation_required"
    assert error_of(post_order(sandbox, offer, colour="red"), 422) == "validation_unknown_field"
    assert error_of(post_order(sandbox, offer, metadata={"a b": "c"}), 422) == "validation_format"
    assert sandbox.effects() == []


@pytest.mark.parametrize(
    "change",
    [
        {"id": "pas_x"},
        {"title": "lord"},
        {"given_name": ""},
        {"gender": "x"},
        {"born_on": "1990-13-01"},
        {"email": "nobody"},
        {"phone_number": "0612345678"},
        {"shoe_size": "42"},
    ],
)
def test_passengers_are_checked(sandbox: RunningSandbox, change: dict):
    body = order_body(find_flight(sandbox))
    body["passengers"][0] |= change
    answer = sandbox.duffel.post("/air/orders", json={"data": body})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["source"]["pointer"].startswith("/passengers/0/")


def test_orders_are_listed_newest_first_by_pages_and_filters(sandbox: RunningSandbox):
    orders = [book_flight(sandbox, hold=number % 2 == 0) for number in range(5)]
    expected = [order["id"] for order in reversed(orders)]
    found, after = [], None
    while True:
        query = {"limit": 2, **({"after": after} if after else {})}
        page = sandbox.duffel.get("/air/orders", params=query).json()
        found += [order["id"] for order in page["data"]]
        after = page["meta"]["after"]
        if after is None:
            break
    assert found == expected

    def listed(**query) -> list[str]:
        return [order["id"] for order in sandbox.duffel.get("/air/orders", params=query).json()["data"]]

    assert listed(booking_reference=orders[1]["booking_reference"]) == [orders[1]["id"]]
    assert listed(offer_id=orders[2]["offer_id"]) == [orders[2]["id"]]
    assert listed(**{"passenger_name[]": "amélie"}) == expected
    assert listed(**{"passenger_name[]": "Nobody"}) == []
    assert listed(awaiting_payment="true") == expected[::2]
    assert listed(awaiting_payment="false") == expected[1::2]
    assert listed(sort="payment_required_by") == expected[::2][::-1]
    assert error_of(sandbox.duffel.get("/air/orders", params={"limit": 0}), 400) == "invalid_limit"
    assert error_of(sandbox.duffel.get("/air/orders", params={"after": "x"}), 400) == "invalid_cursor"


# ------------------------------------------------------------------------------------------------ holds and payments


def pay(sandbox: RunningSandbox, order: dict, **changes: object) -> httpx.Response:
    payment = {"type": "balance", "amount": order["total_amount"], "currency": "EUR", **changes}
    return sandbox.duffel.post("/air/payments", json={"data": {"order_id": order["id"], "payment": payment}})


def test_a_hold_is_paid_once(sandbox: RunningSandbox):
    held = book_flight(sandbox, hold=True)
    assert held["payment_status"]["awaiting_payment"] is True
    assert held["documents"] == []
    assert sandbox.reservations()[0]["status"] == "held"
    assert error_of(pay(sandbox, held, amount="1.00"), 422) == "price_changed"
    payment = pay(sandbox, held).json()["data"]
    assert error_of(pay(sandbox, held), 422) == "already_paid"
    listed = sandbox.duffel.get("/air/payments", params={"order_id": held["id"]}).json()["data"]
    assert [each["id"] for each in listed] == [payment["id"]]
    order = sandbox.duffel.get(f"/air/orders/{held['id']}").json()["data"]
    assert order["payment_status"]["paid_at"] is not None
    assert len(order["documents"]) == 1
    assert sandbox.effects() == ["flight.held", "flight.ticketed"]


def test_an_instant_order_takes_no_payment(sandbox: RunningSandbox):
    assert error_of(pay(sandbox, book_flight(sandbox)), 422) == "order_type_not_eligible_for_payment"
    assert error_of(pay(sandbox, {"id": "ord_x", "total_amount": "1.00"}), 422) == "linked_record_not_found"


def test_the_price_of_a_hold_may_change(sandbox: RunningSandbox):
    held = book_flight(sandbox, hold=True)
    sandbox.fault(vendor="duffel", path="/air/payments", action="price_changed", percent=5)
    assert error_of(pay(sandbox, held), 422) == "price_changed"
    fresh = sandbox.duffel.get(f"/air/orders/{held['id']}").json()["data"]
    assert float(fresh["total_amount"]) > float(held["total_amount"])
    assert pay(sandbox, fresh).status_code == 201


def test_a_hold_expires_unseen_and_cannot_be_paid():
    with serve(seed=7, hold_s=0.2) as sandbox:
        held = book_flight(sandbox, hold=True)
        eventually(lambda: len(sandbox.effects()) == 2, "the hold expires by itself")
        assert sandbox.effects() == ["flight.held", "flight.hold_expired"]
        assert error_of(pay(sandbox, held), 422) == "past_payment_required_by_date"
        assert error_of(quote(sandbox, held), 422) == "already_cancelled"
        assert sandbox.reservations()[0]["status"] == "expired"
        assert sandbox.duffel.get(f"/air/orders/{held['id']}").json()["data"]["available_actions"] == []


# ---------------------------------------------------------------------------------------------------- cancellations


def quote(sandbox: RunningSandbox, order: dict) -> httpx.Response:
    return sandbox.duffel.post("/air/order_cancellations", json={"data": {"order_id": order["id"]}})


def confirm(sandbox: RunningSandbox, cancellation: dict) -> httpx.Response:
    return sandbox.duffel.post(f"/air/order_cancellations/{cancellation['id']}/actions/confirm")


@pytest.mark.parametrize("refundable", [True, False])
def test_cancelling_gives_back_what_was_quoted(sandbox: RunningSandbox, refundable: bool):
    order = book_flight(sandbox, refundable=refundable)
    cancellation = quote(sandbox, order).json()["data"]
    assert sandbox.effects() == ["flight.ticketed"]
    penalty = order["conditions"]["refund_before_departure"]["penalty_amount"]
    expected = Decimal(order["total_amount"]) - Decimal(penalty) if refundable else Decimal(0)
    assert Decimal(cancellation["refund_amount"]) == expected
    confirmed = confirm(sandbox, cancellation).json()["data"]
    assert confirmed["confirmed_at"]
    assert sandbox.duffel.get(f"/air/order_cancellations/{cancellation['id']}").json()["data"] == confirmed
    effect = sandbox.ledger()[-1]
    assert (effect["type"], effect["amount_minor"]) == ("flight.cancelled", round(expected * 100))
    assert sandbox.reservations()[0]["refunded_minor"] == round(expected * 100)
    cancelled = sandbox.duffel.get(f"/air/orders/{order['id']}").json()["data"]
    assert cancelled["cancellation"] == confirmed
    assert error_of(confirm(sandbox, cancellation), 422) == "already_cancelled"
    assert error_of(quote(sandbox, order), 422) == "already_cancelled"
    assert sandbox.effects() == ["flight.ticketed", "flight.cancelled"]


def test_only_the_newest_quote_counts(sandbox: RunningSandbox):
    order = book_flight(sandbox)
    older, newer = (quote(sandbox, order).json()["data"] for _ in range(2))
    assert error_of(confirm(sandbox, older), 422) == "order_cancellation_stale"
    listed = sandbox.duffel.get("/air/order_cancellations", params={"order_id": order["id"]}).json()["data"]
    assert [each["id"] for each in listed] == [newer["id"], older["id"]]
    assert confirm(sandbox, newer).status_code == 200


def test_a_quote_from_before_the_payment_is_worthless(sandbox: RunningSandbox):
    held = book_flight(sandbox, hold=True)
    early = quote(sandbox, held).json()["data"]
    assert early["refund_to"] == "awaiting_payment"
    pay(sandbox, held)
    assert error_of(confirm(sandbox, early), 422) == "order_cancellation_expired"
    assert confirm(sandbox, quote(sandbox, held).json()["data"]).status_code == 200


def test_a_hold_is_dropped_without_cost(sandbox: RunningSandbox):
    held = book_flight(sandbox, hold=True)
    assert confirm(sandbox, quote(sandbox, held).json()["data"]).status_code == 200
    assert error_of(pay(sandbox, held), 422) == "already_cancelled"
    assert sandbox.effects() == ["flight.held", "flight.cancelled"]
    assert sandbox.ledger()[-1]["amount_minor"] == 0
