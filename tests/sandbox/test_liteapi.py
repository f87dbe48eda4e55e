"""The simulated LiteAPI sells rooms as the real one does: prebook, book once per reference, cancel under terms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx
import pytest

from sandbox.content import airports
from sandbox.vendors.rapid_content import ROOMS, hotel, property_ids
from tests.contracts import liteapi_spec
from tests.sandbox.conftest import TLS, RunningSandbox, eventually, serve

CHECKIN = datetime.now(UTC).date() + timedelta(days=60)
HOLDER = {"firstName": "Amélie", "lastName": "Dupont", "email": "amelie@example.org", "phone": "+33612345678"}
_references = count(1)


@contextmanager
def lite_client(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    """A client whose every answer is held against the contract."""
    with httpx.Client(
        verify=TLS,
        base_url=f"{sandbox.url}/liteapi/v3.0",
        headers={"X-API-Key": "sand_anything"},
        timeout=10,
        event_hooks={"response": [lambda answer: liteapi_spec.check(answer, "/liteapi")]},
    ) as client:
        yield client


@pytest.fixture
def api(sandbox):
    with lite_client(sandbox) as client:
        yield client


def ask(api: httpx.Client, **changes: object) -> httpx.Response:
    body = {
        "iataCode": "NCE",
        "occupancies": [{"adults": 2}],
        "currency": "EUR",
        "guestNationality": "FR",
        "checkin": CHECKIN.isoformat(),
        "checkout": (CHECKIN + timedelta(days=2)).isoformat(),
        **changes,
    }
    return api.post("/hotels/rates", json={name: value for name, value in body.items() if value is not None})


def offer(api: httpx.Client, *, refundable: bool = True, **changes: object) -> dict:
    """The first room that can, or cannot, be given back."""
    tag = "RFN" if refundable else "NRFN"
    for found in ask(api, **changes).json()["data"]:
        for room in found["roomTypes"]:
            if room["rates"][0]["cancellationPolicies"]["refundableTag"] == tag:
                return room
    pytest.fail("no such offer")


def prebook(api: httpx.Client, room: dict) -> httpx.Response:
    return api.post("/rates/prebook", json={"offerId": room["offerId"], "usePaymentSdk": False})


def new_reference() -> str:
    return f"01JLITELITELITELITELITELI{next(_references):03d}"


def book(api: httpx.Client, prebooked: httpx.Response, **changes: object) -> httpx.Response:
    rates = prebooked.json()["data"]["roomTypes"][0]["rates"]
    body = {
        "prebookId": prebooked.json()["data"]["prebookId"],
        "clientReference": new_reference(),
        "holder": HOLDER,
        "guests": [{**HOLDER, "occupancyNumber": rate["occupancyNumber"]} for rate in rates],
        "payment": {"method": "ACC_CREDIT_CARD"},
        **changes,
    }
    return api.post("/rates/book", json=body)


def booked(api: httpx.Client, *, refundable: bool = True, **changes: object) -> dict:
    answer = book(api, prebook(api, offer(api, refundable=refundable)), **changes)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def find(api: httpx.Client, reference: str) -> list[dict]:
    return api.get("/bookings", params={"clientReference": reference}).json()["data"]


def error_of(answer: httpx.Response, status: int) -> int:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]["code"]


def test_all_bookings_are_listed_by_the_day_they_were_made(api: httpx.Client):
    kept, given_up = booked(api, clientReference=new_reference()), booked(api)
    api.put(f"/bookings/{given_up['bookingId']}")
    listed = {each["bookingId"]: each for each in api.get("/bookings/").json()["data"]}
    line = listed[kept["bookingId"]]
    assert (line["client_reference"], line["status"]) == (kept["clientReference"], "CONFIRMED")
    assert (line["retail_rate"], line["currency"]) == (str(kept["price"]), kept["currency"])
    assert listed[given_up["bookingId"]]["status"] == "CANCELLED"
    today = line["created_at"][:10]
    assert kept["bookingId"] in {
        each["bookingId"] for each in api.get("/bookings/", params={"bookingStartDate": today}).json()["data"]
    }
    assert api.get("/bookings/", params={"bookingStartDate": "2999-01-01"}).json() == {"count": 0, "data": []}
    assert api.get("/bookings/", params={"bookingEndDate": "2001-01-01"}).json()["data"] == []


def test_search_prebook_book_find_cancel(sandbox: RunningSandbox, api: httpx.Client):
    room = offer(api)
    checked = prebook(api, room).json()["data"]
    (total,) = room["rates"][0]["retailRate"]["total"]
    assert (checked["price"], checked["priceDifferencePercent"]) == (total["amount"], 0)
    reference = new_reference()
    made = booked(api, clientReference=reference)
    assert (made["status"], made["price"]) == ("CONFIRMED", checked["price"])
    assert api.get(f"/bookings/{made['bookingId']}").json()["data"] == made
    (found,) = find(api, reference)
    assert (found["bookingId"], found["rooms"]) == (made["bookingId"], made["bookedRooms"])
    assert find(api, "another") == []
    cancelled = api.put(f"/bookings/{made['bookingId']}").json()["data"]
    assert (cancelled["status"], cancelled["cancellation_fee"]) == ("CANCELLED", 0)
    assert cancelled["refund_amount"] == made["price"]
    assert api.put(f"/bookings/{made['bookingId']}").status_code == 304
    assert find(api, reference)[0]["status"] == "CANCELLED"
    price_minor = round(made["price"] * 100)
    assert [(each["type"], each["amount_minor"]) for each in sandbox.ledger(contains=reference)] == [
        ("hotel.booked", price_minor),
        ("hotel.cancelled", price_minor),
    ]
    (line,) = sandbox.reservations()
    assert (line["vendor"], line["kind"], line["status"]) == ("liteapi", "hotel", "cancelled")
    assert (line["metadata"], line["refunded_minor"]) == ({"reference": reference}, price_minor)


def test_what_cannot_be_given_back_is_cancelled_with_charges(sandbox: RunningSandbox, api: httpx.Client):
    made = booked(api, refundable=False)
    cancelled = api.put(f"/bookings/{made['bookingId']}").json()["data"]
    assert (cancelled["status"], cancelled["refund_amount"]) == ("CANCELLED_WITH_CHARGES", 0)
    assert cancelled["cancellation_fee"] == made["price"]
    assert sandbox.ledger()[-1]["amount_minor"] == 0


def test_after_the_deadline_a_night_is_kept(api: httpx.Client):
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    stay = {"checkin": tomorrow.isoformat(), "checkout": (tomorrow + timedelta(days=2)).isoformat()}
    # Refundable once, and free no more: the plan with breakfast is always of that kind.
    room = offer(api, refundable=False, boardType="BB", **stay)
    first_night, everything = room["rates"][0]["cancellationPolicies"]["cancelPolicyInfos"]
    made = book(api, prebook(api, room)).json()["data"]
    cancelled = api.put(f"/bookings/{made['bookingId']}").json()["data"]
    assert (cancelled["status"], cancelled["cancellation_fee"]) == ("CANCELLED_WITH_CHARGES", first_night["amount"])
    assert everything["amount"] == made["price"] == pytest.approx(2 * first_night["amount"], abs=0.01)


def test_a_reference_books_once_and_for_ever(sandbox: RunningSandbox, api: httpx.Client):
    prebooked, reference = prebook(api, offer(api)), new_reference()
    made = book(api, prebooked, clientReference=reference).json()["data"]
    assert error_of(book(api, prebooked, clientReference=reference), 400) == 4005
    sandbox.fault(vendor="liteapi", path="/rates/book$", action="sold_out")
    assert error_of(book(api, prebooked, clientReference=reference), 400) == 4005, "and nothing else is said of it"
    api.put(f"/bookings/{made['bookingId']}")
    assert error_of(book(api, prebooked, clientReference=reference), 400) == 4005
    assert sandbox.effects() == ["hotel.booked", "hotel.cancelled"]


def test_a_prebook_books_as_often_as_references_differ(sandbox: RunningSandbox, api: httpx.Client):
    prebooked = prebook(api, offer(api))
    assert book(api, prebooked).json()["data"]["bookingId"] != book(api, prebooked).json()["data"]["bookingId"]
    assert sandbox.effects() == ["hotel.booked", "hotel.booked"]


def test_a_lost_answer_is_found_by_reference(sandbox: RunningSandbox, api: httpx.Client):
    prebooked, reference = prebook(api, offer(api)), new_reference()
    sandbox.fault(vendor="liteapi", path="/rates/book$", action="drop_after", contains=reference)
    with pytest.raises(httpx.TransportError):
        book(api, prebooked, clientReference=reference)
    assert [found["status"] for found in find(api, reference)] == ["CONFIRMED"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_booking_that_is_pending_first(sandbox: RunningSandbox, api: httpx.Client, fails: bool):
    sandbox.fault(vendor="liteapi", path="/rates/book$", action="accept_later", delay_s=0.7, fail=fails)
    reference = new_reference()
    made = booked(api, clientReference=reference)
    assert made["status"] == "PENDING"
    assert api.put(f"/bookings/{made['bookingId']}").status_code == 304, "what is pending cannot be cancelled yet"
    assert (sandbox.effects(), sandbox.reservations()) == ([], [])
    ends = "CANCELLED" if fails else "CONFIRMED"
    eventually(lambda: find(api, reference)[0]["status"] == ends, "the hotel has answered")
    assert sandbox.effects() == ([] if fails else ["hotel.booked"])


def test_sold_out_lasts(sandbox: RunningSandbox, api: httpx.Client):
    room = offer(api)
    prebooked = prebook(api, room)
    sandbox.fault(vendor="liteapi", path="/rates/book$", action="sold_out")
    for _ in range(2):
        assert error_of(book(api, prebooked), 400) == 2013
    assert error_of(prebook(api, room), 408) == 4040
    other = offer(api)
    assert other["roomTypeId"] != room["roomTypeId"] or other["rates"][0]["boardType"] != room["rates"][0]["boardType"]
    sandbox.fault(vendor="liteapi", path="/hotels/rates$", action="sold_out")
    assert ask(api).status_code == 204
    assert sandbox.effects() == []


def test_the_price_changes_when_prebooked_or_booked(sandbox: RunningSandbox, api: httpx.Client):
    room = offer(api)
    before = prebook(api, room)
    sandbox.fault(vendor="liteapi", path="/rates/prebook$", action="price_changed", percent=10)
    after = prebook(api, room)
    assert after.json()["data"]["priceDifferencePercent"] == 10
    assert after.json()["data"]["price"] == pytest.approx(before.json()["data"]["price"] * 1.1, abs=0.02)
    assert error_of(book(api, before), 400) == 4002, "a prebook is dead once its price has changed"
    sandbox.fault(vendor="liteapi", path="/rates/book$", action="price_changed", percent=10)
    assert error_of(book(api, after), 400) == 4002
    assert book(api, prebook(api, room)).status_code == 200
    assert sandbox.effects() == ["hotel.booked"]


def test_a_declined_payment(sandbox: RunningSandbox, api: httpx.Client):
    sandbox.fault(vendor="liteapi", path="/rates/book$", action="decline")
    answer = book(api, prebook(api, offer(api)))
    assert error_of(answer, 400) == 5000
    assert "payment failed" in answer.json()["error"]["description"]
    assert sandbox.effects() == []


def test_several_rooms_cost_what_each_costs(sandbox: RunningSandbox, api: httpx.Client):
    family = [{"adults": 2}, {"adults": 1, "children": [4, 9]}]
    room = offer(api, occupancies=family)
    each = [rate["retailRate"]["total"][0]["amount"] for rate in room["rates"]]
    assert [rate["childrenAges"] for rate in room["rates"]] == [[], [4, 9]]
    prebooked = prebook(api, room)
    assert prebooked.json()["data"]["price"] == pytest.approx(sum(each))
    one_guest = [{**HOLDER, "occupancyNumber": 1}]
    assert error_of(book(api, prebooked, guests=one_guest), 400) == 4002
    made = book(api, prebooked).json()["data"]
    assert [taken["amount"] for taken in made["bookedRooms"]] == each
    assert sandbox.reservations()[0]["price_minor"] == round(sum(each) * 100)


def test_the_hotels_are_those_of_the_other_vendor(api: httpx.Client):
    listed = api.get("/data/hotels", params={"latitude": 43.6584, "longitude": 7.2159, "radius": 20_000}).json()["data"]
    by_name = {found["name"]: found for found in listed}
    for property_id in property_ids(airports()["NCE"]):
        theirs = hotel(7, property_id)
        ours = by_name[theirs.name]
        assert (ours["latitude"], ours["longitude"]) == (theirs.latitude, theirs.longitude)
        assert ours["id"].startswith("lp")
        assert ours["id"] != property_id
    ids = [found["id"] for found in listed]
    detailed = [api.get("/data/hotel", params={"hotelId": each}).json()["data"] for each in ids]
    names = [room["roomName"] for found in detailed for room in found["rooms"]]
    same = sum(name in {room.name for room in ROOMS} for name in names)
    assert 0.7 * len(names) < same < len(names)


def test_every_way_to_name_a_place_finds_the_same_hotels(api: httpx.Client):
    def found(**place: object) -> set[str]:
        answer = ask(api, **{"iataCode": None, **place}).json()
        assert {each["id"] for each in answer.get("hotels", [])} in (set(), {e["hotelId"] for e in answer["data"]})
        return {each["hotelId"] for each in answer["data"]}

    (place,) = api.get("/data/places", params={"textQuery": "NCE"}).json()["data"]
    by_code = found(iataCode="NCE")
    assert by_code == found(placeId=place["placeId"]) == found(hotelIds=sorted(by_code))
    city = api.get("/data/hotels", params={"hotelIds": next(iter(by_code))}).json()["data"][0]["city"]
    assert {"city": city} in api.get("/data/cities", params={"countryCode": "FR"}).json()["data"]
    assert by_code <= found(countryCode="FR", cityName=city)
    assert "NCE" in {each["code"] for each in api.get("/data/iataCodes").json()["data"]}


def test_prices_follow_from_seed_and_question():
    def prices(api: httpx.Client, **changes: object) -> list[float]:
        found = ask(api, **changes).json()["data"]
        return [room["offerRetailRate"][0]["amount"] for each in found for room in each["roomTypes"]]

    with serve(seed=7) as first, serve(seed=8) as other, lite_client(first) as api, lite_client(other) as elsewhere:
        euros = prices(api)
        assert euros == prices(api) != prices(elsewhere)
        assert sum(prices(api, currency="USD")) == pytest.approx(sum(euros) * 1.1, rel=0.001)
        assert len(prices(api, maxRatesPerHotel=1)) < len(euros)
        assert len(prices(api, refundableRatesOnly=True)) < len(euros)


def test_a_search_that_makes_no_sense(api: httpx.Client):
    for changes, code in (
        ({"iataCode": None}, 4000),
        ({"hotelIds": ["lp0"]}, 4000),
        ({"currency": "XTS"}, 4000),
        ({"checkin": "2020-01-01"}, 4000),
        ({"occupancies": []}, 4002),
        ({"guestNationality": "France"}, 4002),
    ):
        assert error_of(ask(api, **changes), 400) == code


def test_what_is_unknown_or_incomplete(sandbox: RunningSandbox, api: httpx.Client):
    assert error_of(prebook(api, {"offerId": "GE5ESNBS"}), 400) == 4002
    prebooked = prebook(api, offer(api))
    assert error_of(book(api, prebooked, prebookId="pbx"), 400) == 4002
    assert error_of(book(api, prebooked, payment={"method": "CASH"}), 400) == 4002
    assert api.get("/bookings/unknown").status_code == 204
    assert api.put("/bookings/unknown").status_code == 204
    assert error_of(api.get("/data/hotel", params={"hotelId": "lp0"}), 400) == 4002
    assert error_of(api.get("/data/hotels"), 400) == 4000
    assert error_of(api.get("/bookings", headers={"X-API-Key": "a-wrong-key"}), 401) == 401
    assert sandbox.effects() == []


def test_offers_and_prebooks_expire():
    with serve(seed=7, offer_ttl_s=0.0) as sandbox, lite_client(sandbox) as api:
        assert error_of(prebook(api, offer(api)), 408) == 4040


def test_planned_failures_are_in_the_vendors_words(sandbox: RunningSandbox, api: httpx.Client):
    prebooked = prebook(api, offer(api))
    for rule, status, code in (
        ({"action": "refuse"}, 400, 2013),
        ({"action": "refuse", "code": "2010"}, 400, 2010),
        ({"action": "server_error", "status": 503}, 503, 5000),
        ({"action": "rate_limited", "retry_after_s": 3}, 429, 429),
    ):
        sandbox.fault(vendor="liteapi", path="/rates/book$", **rule)
        assert error_of(book(api, prebooked), status) == code
    sandbox.fault(vendor="liteapi", path="/data/hotel$", action="sold_out")
    assert error_of(api.get("/data/hotel", params={"hotelId": "lp0"}), 501) == 501
    assert sandbox.effects() == []


def test_what_was_pending_survives_a_restart(tmp_path):
    database = tmp_path / "world.sqlite"
    reference = new_reference()
    with serve(seed=7, database=database) as sandbox, lite_client(sandbox) as api:
        sandbox.fault(vendor="liteapi", path="/rates/book$", action="accept_later", delay_s=0.7)
        booked(api, clientReference=reference)
    with serve(seed=7, database=database) as sandbox, lite_client(sandbox) as api:
        eventually(lambda: sandbox.effects() == ["hotel.booked"], "the hotel has answered after the restart")
        assert find(api, reference)[0]["status"] == "CONFIRMED"
