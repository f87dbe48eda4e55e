"""Duffel Cars as the sandbox plays them. Every answer is checked against the contract by the client's hook."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import httpx
import pytest

from tests.sandbox.conftest import DEPARTURE, RunningSandbox, error_of, serve

NICE = {"radius": 10, "geographic_coordinates": {"latitude": 43.6584, "longitude": 7.2159}}
DRIVER = {
    "given_name": "Amélie",
    "family_name": "Dupont",
    "email": "amelie@example.org",
    "phone_number": "+33612345678",
    "date_of_birth": "1990-04-12",
}


def car_query(**changes: object) -> dict:
    return {
        "pickup_date": DEPARTURE.isoformat(),
        "pickup_time": "10:00",
        "dropoff_date": (DEPARTURE + timedelta(days=3)).isoformat(),
        "dropoff_time": "09:00",
        "pickup_location": NICE,
        "dropoff_location": NICE,
        "driver": {"age": 36, "residence_country_code": "FR"},
        **changes,
    }


def rates(sandbox: RunningSandbox, **changes: object) -> list[dict]:
    answer = sandbox.duffel.post("/cars/search", json={"data": car_query(**changes)})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["rates"]


def quote(sandbox: RunningSandbox, rate: dict) -> httpx.Response:
    return sandbox.duffel.post("/cars/quotes", json={"data": {"rate_id": rate["id"]}})


def book(sandbox: RunningSandbox, quoted: dict, **changes: object) -> httpx.Response:
    body = {"quote_id": quoted["id"], "driver": DRIVER, "metadata": {"booking_id": "01JCAR"}, **changes}
    return sandbox.duffel.post("/cars/bookings", json={"data": body})


def test_search_quote_book_get_cancel(sandbox: RunningSandbox):
    found = rates(sandbox)
    assert {rate["payment_type"] for rate in found} == {"prepaid", "guarantee", "postpaid"}
    assert "Nice" in found[0]["pickup_location"]["name"]
    quoted = quote(sandbox, found[0]).json()["data"]
    assert quoted["total_amount"] == found[0]["total_amount"]
    booking = book(sandbox, quoted).json()["data"]
    assert (booking["status"], booking["metadata"]) == ("confirmed", {"booking_id": "01JCAR"})
    assert sandbox.duffel.get(f"/cars/bookings/{booking['id']}").json()["data"] == booking
    price_minor = round(Decimal(booking["total_amount"]) * 100)
    (effect,) = sandbox.ledger(contains="01JCAR")
    assert (effect["type"], effect["amount_minor"]) == ("car.booked", price_minor)
    cancelled = sandbox.duffel.post(f"/cars/bookings/{booking['id']}/actions/cancel").json()["data"]
    assert cancelled["status"] == "cancelled"
    assert error_of(sandbox.duffel.post(f"/cars/bookings/{booking['id']}/actions/cancel"), 422) == "already_cancelled"
    assert sandbox.effects() == ["car.booked", "car.cancelled"]
    (line,) = sandbox.reservations()
    assert (line["kind"], line["status"], line["price_minor"]) == ("car", "cancelled", price_minor)
    assert line["refunded_minor"] == price_minor


def test_a_saver_gives_nothing_back(sandbox: RunningSandbox):
    saver = rates(sandbox)[3]
    quoted = quote(sandbox, saver).json()["data"]
    assert "Nothing" in quoted["conditions"][0]["text"]
    booking = book(sandbox, quoted).json()["data"]
    sandbox.duffel.post(f"/cars/bookings/{booking['id']}/actions/cancel")
    assert sandbox.ledger()[-1]["amount_minor"] == 0


def test_there_is_no_list_and_a_repeat_rents_twice(sandbox: RunningSandbox):
    quoted = quote(sandbox, rates(sandbox)[0]).json()["data"]
    assert book(sandbox, quoted).json()["data"]["id"] != book(sandbox, quoted).json()["data"]["id"]
    assert sandbox.effects() == ["car.booked", "car.booked"]
    headers = {"Authorization": "Bearer duffel_test_x", "Duffel-Version": "v2"}
    assert httpx.get(f"{sandbox.url}/duffel/cars/bookings", headers=headers).status_code == 405


def test_the_same_query_finds_the_same_rates():
    def prices(running: RunningSandbox) -> list[tuple[str, str]]:
        return [(rate["car"]["code"], rate["total_amount"]) for rate in rates(running)]

    with serve(seed=7) as first, serve(seed=7) as second, serve(seed=8) as other:
        assert prices(first) == prices(first) == prices(second)
        assert prices(first) != prices(other)


def test_a_young_driver_and_a_one_way_rental_cost_more(sandbox: RunningSandbox):
    plain = float(rates(sandbox)[0]["total_amount"])
    assert float(rates(sandbox, driver={"age": 21, "residence_country_code": "FR"})[0]["total_amount"]) > plain
    paris = {"geographic_coordinates": {"latitude": 48.85, "longitude": 2.35}}
    one_way = rates(sandbox, dropoff_location=paris)[0]
    assert float(one_way["total_amount"]) == pytest.approx(plain + 120)
    assert one_way["dropoff_location"]["address"]["city_name"] == "Paris"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"pickup_date": "2020-01-01"}, "/pickup_date"),
        ({"dropoff_date": DEPARTURE.isoformat()}, "/dropoff_date"),
        ({"pickup_time": "25:00"}, "/pickup_time"),
        ({"driver": {"age": 16, "residence_country_code": "FR"}}, "/driver/age"),
        (
            {"pickup_location": {"geographic_coordinates": {"latitude": 91, "longitude": 0}}},
            "/pickup_location/geographic_coordinates/latitude",
        ),
    ],
)
def test_a_search_that_makes_no_sense(sandbox: RunningSandbox, change: dict, pointer: str):
    answer = sandbox.duffel.post("/cars/search", json={"data": car_query(**change)})
    error_of(answer, 422)
    assert answer.json()["errors"][0]["source"]["pointer"] == pointer


def test_what_is_unknown_or_incomplete(sandbox: RunningSandbox):
    assert error_of(quote(sandbox, {"id": "car_x"}), 422) == "linked_record_not_found"
    assert error_of(book(sandbox, {"id": "caq_x"}), 422) == "linked_record_not_found"
    assert error_of(sandbox.duffel.get("/cars/bookings/cab_x"), 404) == "not_found"
    quoted = quote(sandbox, rates(sandbox)[0]).json()["data"]
    assert error_of(book(sandbox, quoted, driver={**DRIVER, "email": ""}), 422) == "validation_format"
    assert sandbox.effects() == []


def test_sold_out(sandbox: RunningSandbox):
    rate = rates(sandbox)[0]
    quoted = quote(sandbox, rate).json()["data"]
    sandbox.fault(vendor="duffel", path="/cars/bookings$", action="sold_out")
    for _ in range(2):
        assert error_of(book(sandbox, quoted), 422) == "rate_unavailable"
    assert error_of(quote(sandbox, rate), 422) == "rate_unavailable"
    assert sandbox.effects() == []


def test_the_price_changes_when_quoted_or_booked(sandbox: RunningSandbox):
    rate = rates(sandbox)[0]
    sandbox.fault(vendor="duffel", path="/cars/quotes$", action="price_changed", percent=10)
    quoted = quote(sandbox, rate).json()["data"]
    assert float(quoted["total_amount"]) == pytest.approx(float(rate["total_amount"]) * 1.1, abs=0.01)
    sandbox.fault(vendor="duffel", path="/cars/bookings$", action="price_changed", percent=10)
    assert error_of(book(sandbox, quoted), 422) == "price_changed"
    again = quote(sandbox, rate).json()["data"]
    assert book(sandbox, again).json()["data"]["total_amount"] == again["total_amount"]


def test_drop_after_loses_the_only_answer(sandbox: RunningSandbox):
    quoted = quote(sandbox, rates(sandbox)[0]).json()["data"]
    sandbox.fault(vendor="duffel", path="/cars/bookings$", action="drop_after", contains="01JCAR")
    with pytest.raises(httpx.TransportError):
        book(sandbox, quoted)
    assert sandbox.effects() == ["car.booked"]


def test_rates_expire():
    with serve(seed=7, offer_ttl_s=0.0) as sandbox:
        assert error_of(quote(sandbox, rates(sandbox)[0]), 422) == "rate_expired"
