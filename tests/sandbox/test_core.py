"""The world, its ledger, what survives a restart, and the control API."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import httpx
import pytest

from sandbox.world import World
from tests.contracts import spec
from tests.sandbox.conftest import (
    RunningSandbox,
    book_flight,
    error_of,
    eventually,
    find_flight,
    post_order,
    search_flights,
    serve,
)

# ------------------------------------------------------------------------------------------------------ the world


def test_ids_are_unique_and_the_same_for_a_seed_whatever_else_is_issued():
    first, second = World(3), World(3)
    for _ in range(50):
        second.new_id("pi_")
    orders = [first.new_id("ord_") for _ in range(50)]
    assert orders == [second.new_id("ord_") for _ in range(50)]
    assert len(set(orders)) == 50
    assert World(4).new_id("ord_") not in orders


def test_ids_are_not_issued_again_after_reset_or_restart(tmp_path: Path):
    world = World(1, tmp_path / "world.sqlite")
    before = world.new_id("ord_")
    world.reset()
    between = world.new_id("ord_")
    world.close()
    after = World(1, tmp_path / "world.sqlite")
    assert len({before, between, after.new_id("ord_")}) == 3
    after.close()


def test_dice_fall_the_same_way_for_the_same_question():
    assert World(1).random("a", 2).random() == World(1).random("a", 2).random()
    assert World(1).random("a", 2).random() != World(1).random("a", 3).random()
    assert World(1).random("a", 2).random() != World(2).random("a", 2).random()


def test_documents_keep_their_order_when_changed_and_reloaded(tmp_path: Path):
    world = World(1, tmp_path / "world.sqlite")
    for name in ("c", "a", "b"):
        world.put("duffel", "thing", name, {"name": name})
    world.flush()
    world.put("duffel", "thing", "c", {"name": "c", "changed": True})
    world.close()
    again = World(1, tmp_path / "world.sqlite")
    assert [thing["name"] for thing in again.all("duffel", "thing")] == ["c", "a", "b"]
    assert [thing["name"] for thing in again.newest("duffel", "thing")] == ["b", "a", "c"]
    assert again.get("duffel", "thing", "c") == {"name": "c", "changed": True}
    again.close()


def test_the_ledger_cannot_be_changed_through_what_went_in():
    world = World(1)
    metadata: dict[str, object] = {"booking_id": "one"}
    world.effect("duffel", "flight.held", object_id="ord_1", metadata=metadata)
    metadata["booking_id"] = "two"
    assert b"one" in next(world.ledger.bodies())


def test_the_database_refuses_to_change_or_delete_an_effect(tmp_path: Path):
    world = World(1, tmp_path / "world.sqlite")
    world.effect("duffel", "flight.held", object_id="ord_1", metadata={})
    world.close()
    with sqlite3.connect(tmp_path / "world.sqlite") as connection:
        for statement in ("DELETE FROM ledger", "UPDATE ledger SET body = x''"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
    connection.close()


# ---------------------------------------------------------------------------------------------------- the control API


def test_ledger_is_read_by_vendor_text_and_position(sandbox: RunningSandbox):
    orders = [book_flight(sandbox) for _ in range(3)]
    assert [effect["seq"] for effect in sandbox.ledger()] == [1, 2, 3]
    assert [effect["seq"] for effect in sandbox.ledger(after=2)] == [3]
    assert [effect["object_id"] for effect in sandbox.ledger(contains=orders[1]["id"])] == [orders[1]["id"]]
    assert len(sandbox.ledger(contains="01JTESTTESTTESTTESTTESTTEST", vendor="duffel")) == 3
    assert sandbox.ledger(vendor="stripe") == []
    assert sandbox.control.get("/ledger", params={"after": "x"}).status_code == 422


def test_books_are_filtered_by_text(sandbox: RunningSandbox):
    orders = [book_flight(sandbox) for _ in range(2)]
    books = sandbox.control.get("/books", params={"contains": orders[0]["id"]}).json()
    assert [line["object_id"] for line in books["reservations"]] == [orders[0]["id"]]
    assert books["payments"] == []


def test_reset_forgets_everything(sandbox: RunningSandbox):
    order = book_flight(sandbox)
    sandbox.fault(vendor="duffel", action="refuse")
    assert sandbox.control.post("/reset").status_code == 204
    assert sandbox.ledger() == []
    assert sandbox.reservations() == []
    assert sandbox.control.get("/faults").json() == []
    assert error_of(sandbox.duffel.get(f"/air/orders/{order['id']}"), 404) == "not_found"
    assert book_flight(sandbox)["id"] != order["id"]


def test_health(sandbox: RunningSandbox):
    assert sandbox.control.get("/health").json() == {"status": "ok", "seed": 7, "effects": 0}


# ------------------------------------------------------------------------------------------------------- restarts


def test_everything_survives_a_restart(tmp_path: Path):
    database = tmp_path / "sandbox.sqlite"
    with serve(seed=7, database=database) as first:
        order = book_flight(first, refundable=True)
        held = book_flight(first, hold=True)
        other = find_flight(first)
        ledger, books = first.ledger(), first.reservations()
    with serve(seed=7, database=database) as second:
        assert second.ledger() == ledger
        assert second.reservations() == books
        assert second.duffel.get(f"/air/orders/{order['id']}").json()["data"] == order
        assert second.duffel.get(f"/air/offers/{other['id']}").json()["data"]["slices"] == other["slices"]
        assert post_order(second, other).status_code == 201
        quote = second.duffel.post("/air/order_cancellations", json={"data": {"order_id": held["id"]}}).json()["data"]
        second.duffel.post(f"/air/order_cancellations/{quote['id']}/actions/confirm")
        assert second.effects() == ["flight.ticketed", "flight.held", "flight.ticketed", "flight.cancelled"]


def test_a_hold_expires_after_a_restart_too(tmp_path: Path):
    database = tmp_path / "sandbox.sqlite"
    with serve(seed=7, database=database, hold_s=0.3) as first:
        book_flight(first, hold=True)
    with serve(seed=7, database=database, hold_s=0.3) as second:
        eventually(lambda: "flight.hold_expired" in second.effects(), "the hold expires")


def test_what_was_accepted_is_done_after_a_restart(tmp_path: Path):
    database = tmp_path / "sandbox.sqlite"
    with serve(seed=7, database=database) as first:
        first.fault(vendor="duffel", path="/air/orders$", action="accept_later", delay_s=0.7)
        assert post_order(first, find_flight(first)).status_code == 202
    with serve(seed=7, database=database) as second:
        eventually(lambda: second.effects() == ["flight.ticketed"], "the order appears")


# ---------------------------------------------------------------------------------------------------- determinism


def _journeys(offer_request: dict) -> list[tuple]:
    return [
        (offer["total_amount"], [part["comparison_key"] for part in offer["slices"]])
        for offer in offer_request["offers"]
    ]


def test_the_same_query_finds_the_same_flights_at_the_same_price():
    with serve(seed=7) as first, serve(seed=7) as second, serve(seed=8) as other:
        expected = search_flights(first)
        assert _journeys(search_flights(first)) == _journeys(expected)
        search_flights(second, cabin_class="business")
        assert _journeys(search_flights(second)) == _journeys(expected)
        assert _journeys(search_flights(other)) != _journeys(expected)


# ------------------------------------------------------------------------------------------------- the judge itself


@pytest.mark.contract
def test_the_contract_is_at_hand_and_rejects_what_is_wrong(sandbox: RunningSandbox):
    judge = spec.require(spec.DUFFEL)
    order = book_flight(sandbox)
    answer = sandbox.duffel.get(f"/air/orders/{order['id']}")
    judge.check_response(answer, f"/air/orders/{order['id']}")
    without_price = {key: value for key, value in order.items() if key != "total_amount"}
    wrong = httpx.Response(200, json={"data": without_price}, request=answer.request)
    with pytest.raises(AssertionError, match="total_amount"):
        judge.check_response(wrong, f"/air/orders/{order['id']}")
    unauthorised = httpx.Request("GET", "http://sandbox/air/orders")
    with pytest.raises(AssertionError, match="not a valid request"):
        judge.check_request(unauthorised, "/air/orders")
