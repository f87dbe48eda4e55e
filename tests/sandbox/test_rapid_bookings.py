"""Itineraries: one per reference, held or booked, ended in every way, each ending with its one effect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from sandbox.vendors.rapid_rates import penalty_minor
from tests.sandbox.conftest import RunningSandbox, eventually, serve
from tests.sandbox.test_rapid import (
    CHECKIN,
    EMAIL,
    book,
    booking,
    created,
    error_of,
    find_rate,
    follow,
    price_check,
    rapid_client,
    retrieved,
    status_of,
    total,
)


@pytest.fixture
def api(sandbox):
    with rapid_client(sandbox) as client:
        yield client


def found(api: httpx.Client, reference: str, email: str = EMAIL) -> list[dict]:
    query = {"affiliate_reference_id": reference, "email": email}
    answer = api.get("/v3/itineraries", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def settings(sandbox: RunningSandbox, **changed: float) -> None:
    assert sandbox.control.put("/expedia_rapid/settings", json=changed).status_code == 200


# ------------------------------------------------------------------------------------------------------- booking


def test_books_at_once_and_is_found_in_every_way(sandbox, api):
    rate = find_rate(api)
    body = booking(affiliate_metadata="trip:42")
    made = created(follow(api, price_check(api, rate)["links"]["book"], body))
    assert made["links"].keys() == {"retrieve"}
    itinerary = retrieved(api, made)
    (room,) = itinerary["rooms"]
    assert (room["status"], room["checkin"], room["number_of_adults"]) == ("booked", CHECKIN.isoformat(), 2)
    assert (itinerary["affiliate_reference_id"], itinerary["affiliate_metadata"]) == (
        body["affiliate_reference_id"],
        "trip:42",
    )
    charged = Decimal(room["rate"]["pricing"]["totals"]["inclusive"]["billable_currency"]["value"])
    assert charged == total(rate)
    assert found(api, body["affiliate_reference_id"], EMAIL.upper()) == [itinerary]
    assert found(api, body["affiliate_reference_id"], "somebody@example.org") == []
    path = f"/v3/itineraries/{made['itinerary_id']}"
    assert api.get(path, params={"email": EMAIL}).json() == itinerary
    assert error_of(api.get(path, params={"email": "somebody@example.org"}), 404) == "resource_not_found"
    assert error_of(api.get("/v3/itineraries/1", params={"email": EMAIL}), 404) == "resource_not_found"
    (effect,) = sandbox.ledger()
    assert (effect["type"], effect["object_id"]) == ("hotel.booked", made["itinerary_id"])
    assert (effect["amount_minor"], effect["currency"]) == (int(charged * 100), "EUR")
    assert effect["metadata"] == {"reference": body["affiliate_reference_id"]}
    (reservation,) = sandbox.reservations()
    assert (reservation["kind"], reservation["status"], reservation["price_minor"]) == (
        "hotel",
        "confirmed",
        int(charged * 100),
    )


def test_a_reference_books_once(sandbox, api):
    body = booking()
    link = price_check(api, find_rate(api))["links"]["book"]
    created(follow(api, link, body))
    assert error_of(follow(api, link, body), 400) == "duplicate_itinerary"
    assert sandbox.effects() == ["hotel.booked"]


def test_after_a_dropped_connection_the_reference_finds_the_booking(sandbox, api):
    body = booking()
    link = price_check(api, find_rate(api))["links"]["book"]
    sandbox.fault(vendor="expedia_rapid", method="POST", path="/itineraries$", action="drop_after")
    with pytest.raises(httpx.TransportError):
        follow(api, link, body)
    (itinerary,) = found(api, body["affiliate_reference_id"])
    assert itinerary["rooms"][0]["status"] == "booked"
    assert error_of(follow(api, link, body), 400) == "duplicate_itinerary"


def test_a_new_booking_may_be_invisible_then_partial(sandbox, api):
    settings(sandbox, retrieval_lag_s=0.4, partial_retrieval_s=0.4)
    body = booking()
    made = created(follow(api, price_check(api, find_rate(api))["links"]["book"], body))
    assert found(api, body["affiliate_reference_id"]) == []
    assert error_of(follow(api, made["links"]["retrieve"]), 404) == "resource_not_found"
    seen = eventually(lambda: found(api, body["affiliate_reference_id"]), "it is visible")
    assert seen[0].keys() == {"itinerary_id", "creation_date_time"}
    eventually(lambda: "rooms" in found(api, body["affiliate_reference_id"])[0], "it is complete")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"affiliate_reference_id": "ab"}, "affiliate_reference_id.invalid"),
        ({"affiliate_reference_id": "x" * 29}, "affiliate_reference_id.invalid"),
        ({"affiliate_reference_id": "a<b>c"}, "affiliate_reference_id.invalid"),
        ({"email": "nobody"}, "email.invalid"),
        ({"phone": None}, "phone.required"),
        ({"rooms": 2}, "rooms.invalid"),
        ({"payments": []}, "payments.required"),
        ({"payments": [{"type": "cash"}]}, "payments.type.invalid"),
        ({"hold": "yes"}, "hold.invalid"),
    ],
)
def test_refuses_a_wrong_booking(sandbox, api, changes, error):
    assert error_of(book(api, find_rate(api), **changes), 400) == error
    assert sandbox.effects() == []


def test_a_room_may_be_gone_or_dearer_when_it_is_booked(sandbox, api):
    rate = find_rate(api)
    link = price_check(api, rate)["links"]["book"]
    sandbox.fault(vendor="expedia_rapid", method="POST", path="/itineraries$", action="sold_out")
    assert error_of(follow(api, link, booking()), 410) == "rooms_unavailable"
    sandbox.fault(vendor="expedia_rapid", method="POST", path="/itineraries$", action="price_changed", percent=5)
    assert error_of(follow(api, link, booking()), 409) == "price_mismatch"
    # The new price stays: the old link never books again, a new price check does.
    assert error_of(follow(api, link, booking()), 409) == "price_mismatch"
    changed = price_check(api, rate)
    assert changed["status"] == "price_changed"
    created(follow(api, changed["links"]["book"], booking()))
    assert sandbox.effects() == ["hotel.booked"]


@pytest.mark.parametrize(
    ("keyword", "status", "error"),
    [
        ("price_mismatch", 409, "price_mismatch"),
        ("rooms_unavailable", 410, "rooms_unavailable"),
        ("cc_declined", 400, "credit_card.declined"),
        ("internal_server_error", 500, "unknown_internal_error"),
        ("service_unavailable", 503, "service_unavailable"),
    ],
)
def test_the_test_header_asks_for_stubs(sandbox, api, keyword, status, error):
    link = price_check(api, find_rate(api))["links"]["book"]
    answer = api.post(link["href"], json=booking(), headers={"Test": keyword})
    assert error_of(answer, status) == error
    assert sandbox.effects() == []


@pytest.mark.parametrize("fail", [False, True])
def test_a_booking_may_be_pending(sandbox, api, fail):
    sandbox.fault(vendor="expedia_rapid", method="POST", action="accept_later", delay_s=0.7, fail=fail)
    made = created(book(api, find_rate(api)))
    assert status_of(api, made) == "pending"
    assert (sandbox.effects(), sandbox.reservations()) == ([], [])
    expected = "canceled" if fail else "booked"
    eventually(lambda: status_of(api, made) == expected, f"the booking is {expected}")
    assert sandbox.effects() == ([] if fail else ["hotel.booked"])


def test_fails_in_its_own_words(sandbox, api):
    link = price_check(api, find_rate(api))["links"]["book"]
    sandbox.fault(vendor="expedia_rapid", action="refuse", code="property.closed")
    assert error_of(follow(api, link, booking()), 400) == "property.closed"
    sandbox.fault(vendor="expedia_rapid", action="rate_limited", retry_after_s=2)
    limited = follow(api, link, booking())
    assert (error_of(limited, 429), limited.headers["retry-after"]) == ("too_many_requests", "2")
    for status, error in ((500, "unknown_internal_error"), (503, "service_unavailable")):
        sandbox.fault(vendor="expedia_rapid", action="server_error", status=status)
        assert error_of(follow(api, link, booking()), status) == error
    assert sandbox.effects() == []


# --------------------------------------------------------------------------------------------------------- holds


def held(api: httpx.Client) -> dict:
    return created(book(api, find_rate(api, holdable=True), hold=True))


def test_a_hold_is_resumed_once(sandbox, api):
    made = held(api)
    assert made["links"].keys() == {"retrieve", "resume", "cancel"}
    itinerary = retrieved(api, made)
    assert (itinerary["rooms"][0]["status"], itinerary["links"].keys()) == ("pending", {"resume", "cancel"})
    assert follow(api, itinerary["links"]["resume"]).status_code == 204
    assert status_of(api, made) == "booked"
    assert error_of(follow(api, made["links"]["resume"]), 400) == "link.invalid"
    assert error_of(follow(api, made["links"]["cancel"]), 400) == "link.invalid"
    assert sandbox.effects() == ["hotel.held", "hotel.booked"]


def test_a_hold_is_dropped_once(sandbox, api):
    made = held(api)
    assert follow(api, made["links"]["cancel"]).status_code == 204
    assert status_of(api, made) == "canceled"
    assert error_of(follow(api, made["links"]["cancel"]), 400) == "room_already_cancelled"
    assert error_of(follow(api, made["links"]["resume"]), 404) == "resource_not_found"
    assert sandbox.effects() == ["hotel.held", "hotel.cancelled"]
    assert sandbox.reservations()[0]["status"] == "cancelled"


def test_a_hold_nobody_resumes_is_rolled_back(sandbox, api):
    settings(sandbox, hold_s=0.05)
    made = held(api)
    eventually(lambda: sandbox.effects()[1:] == ["hotel.hold_expired"], "the hold expires")
    assert status_of(api, made) == "canceled"
    assert error_of(follow(api, made["links"]["resume"]), 404) == "resource_not_found"
    (reservation,) = sandbox.reservations()
    assert reservation["status"] == "expired"
    assert reservation["held_until"] is not None


def test_a_hold_lives_as_long_as_the_world_says_and_expires_after_a_restart(tmp_path):
    with serve(seed=7, database=tmp_path / "world", hold_s=0.5) as sandbox, rapid_client(sandbox) as api:
        made = held(api)
    with serve(seed=7, database=tmp_path / "world") as sandbox, rapid_client(sandbox) as api:
        eventually(lambda: status_of(api, made) == "canceled", "the hold expires")
        assert sandbox.effects() == ["hotel.held", "hotel.hold_expired"]


def test_not_every_rate_can_be_held(sandbox, api):
    assert error_of(book(api, find_rate(api, holdable=False), hold=True), 400) == "hold.invalid"
    two = find_rate(api, holdable=True, occupancy=["2", "1"])
    assert error_of(book(api, two, hold=True, rooms=2), 400) == "hold.invalid"
    assert sandbox.effects() == []


@pytest.mark.parametrize("fail", [False, True])
def test_a_resume_may_be_answered_202(sandbox, api, fail):
    made = held(api)
    sandbox.fault(vendor="expedia_rapid", method="PUT", action="accept_later", delay_s=0.7, fail=fail)
    assert follow(api, made["links"]["resume"]).status_code == 202
    assert status_of(api, made) == "pending"
    # While it is open, asking again does not do it twice.
    assert follow(api, made["links"]["resume"]).status_code == 202
    if fail:
        eventually(lambda: "resume" in retrieved(api, made)["links"], "the hold can be resumed again")
        assert follow(api, made["links"]["resume"]).status_code == 204
    eventually(lambda: status_of(api, made) == "booked", "the hold is resumed")
    assert sandbox.effects() == ["hotel.held", "hotel.booked"]


def test_a_drop_may_be_answered_202(sandbox, api):
    made = held(api)
    sandbox.fault(vendor="expedia_rapid", method="DELETE", action="accept_later", delay_s=0.7)
    assert follow(api, made["links"]["cancel"]).status_code == 202
    eventually(lambda: status_of(api, made) == "canceled", "the hold is dropped")
    assert sandbox.effects() == ["hotel.held", "hotel.cancelled"]


# ------------------------------------------------------------------------------------------------- cancellations


@pytest.mark.parametrize("refundable", [True, False])
def test_cancelling_a_room_costs_its_penalty(sandbox, api, refundable):
    rate = find_rate(api, refundable=refundable)
    made = created(book(api, rate))
    (room,) = retrieved(api, made)["rooms"]
    assert room["rate"]["cancel_penalties"][-1]["percent"] == "100%"
    assert follow(api, room["links"]["cancel"]).status_code == 204
    assert error_of(follow(api, room["links"]["cancel"]), 400) == "room_already_cancelled"
    (cancelled,) = retrieved(api, made)["rooms"]
    refund = int(total(rate) * 100) if refundable else 0
    assert (cancelled["status"], "links" in cancelled) == ("canceled", False)
    assert Decimal(cancelled["rate"]["cancel_refund"]["amount"]) * 100 == -refund
    effect = sandbox.ledger()[-1]
    assert (effect["type"], effect["amount_minor"]) == ("hotel.cancelled", refund)
    (reservation,) = sandbox.reservations()
    assert (reservation["status"], reservation["refunded_minor"]) == ("cancelled", refund)


def test_rooms_are_cancelled_one_by_one(sandbox, api):
    made = created(book(api, find_rate(api, refundable=True, occupancy=["2", "1"]), rooms=2))
    first, second = retrieved(api, made)["rooms"]
    assert (first["number_of_adults"], second["number_of_adults"]) == (2, 1)
    follow(api, first["links"]["cancel"])
    assert [room["status"] for room in retrieved(api, made)["rooms"]] == ["canceled", "booked"]
    assert sandbox.reservations()[0]["status"] == "confirmed"
    follow(api, second["links"]["cancel"])
    (reservation,) = sandbox.reservations()
    assert (reservation["status"], reservation["refunded_minor"]) == ("cancelled", reservation["price_minor"])


@pytest.mark.parametrize("fail", [False, True])
def test_a_cancellation_may_be_answered_202(sandbox, api, fail):
    made = created(book(api, find_rate(api)))
    (room,) = retrieved(api, made)["rooms"]
    sandbox.fault(vendor="expedia_rapid", method="DELETE", action="accept_later", delay_s=0.7, fail=fail)
    assert follow(api, room["links"]["cancel"]).status_code == 202
    assert status_of(api, made) == "booked"
    assert follow(api, room["links"]["cancel"]).status_code == 202
    if fail:
        eventually(lambda: "links" in retrieved(api, made)["rooms"][0], "the room can be cancelled again")
        assert follow(api, room["links"]["cancel"]).status_code == 204
    eventually(lambda: status_of(api, made) == "canceled", "the room is cancelled")
    assert sandbox.effects() == ["hotel.booked", "hotel.cancelled"]


def test_penalties_apply_in_their_windows():
    start = datetime(2027, 5, 1, 18, tzinfo=UTC)
    later, end = start + timedelta(days=2), start + timedelta(days=6)
    windows: list[dict[str, object]] = [
        {"currency": "EUR", "start": start.isoformat(), "end": later.isoformat(), "nights": "1"},
        {"currency": "EUR", "start": later.isoformat(), "end": end.isoformat(), "percent": "100%"},
    ]

    def cost(moment: datetime) -> int:
        return penalty_minor(windows, 40_000, 4, moment)

    assert cost(start - timedelta(seconds=1)) == 0
    assert cost(start) == 10_000
    assert cost(later) == 40_000
    assert cost(end + timedelta(days=9)) == 40_000
