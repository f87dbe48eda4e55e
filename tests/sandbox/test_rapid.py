"""The simulated Rapid sells rooms as the real one does: by links, with holds, penalties and prices that change."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha512
from itertools import count

import httpx
import pytest

from sandbox.vendors.rapid_protocol import SHARED_SECRET
from tests.contracts import rapid_spec, spec
from tests.sandbox.conftest import TLS, RunningSandbox, eventually, serve

CHECKIN = datetime.now(UTC).date() + timedelta(days=60)
EMAIL = "amelie@example.org"
_references = count(1)


def signed(secret: str = SHARED_SECRET, age_s: int = 0) -> str:
    timestamp = int(time.time()) - age_s
    signature = sha512(f"key{secret}{timestamp}".encode()).hexdigest()
    return f"EAN apikey=key,signature={signature},timestamp={timestamp}"


def rapid_client(sandbox: RunningSandbox, **headers: str) -> httpx.Client:
    """A client of Rapid whose every answer is held against the contract."""
    return httpx.Client(
        verify=TLS,
        base_url=f"{sandbox.url}/rapid",
        headers={
            "Authorization": signed(),
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": "TravelHub/1.0",
            "Customer-Ip": "192.0.2.7",
            **headers,
        },
        timeout=10,
        event_hooks={"response": [_check] if spec.available(rapid_spec.RAPID) else []},
    )


def _check(response: httpx.Response) -> None:
    rapid_spec.contract().check(response, "/rapid")


@pytest.fixture
def api(sandbox):
    with rapid_client(sandbox) as client:
        yield client


def hotels(api: httpx.Client, iata: str = "CDG") -> list[str]:
    query = {"iata_location_code": iata, "include": "property_ids", "language": "en-US"}
    (region,) = api.get("/v3/regions", params=query).json()
    return region["property_ids"]


def stay(properties: list[str], **changes: object) -> dict:
    return {
        "checkin": CHECKIN.isoformat(),
        "checkout": (CHECKIN + timedelta(days=2)).isoformat(),
        "currency": "EUR",
        "country_code": "FR",
        "language": "en-US",
        "occupancy": "2",
        "property_id": properties,
        "rate_plan_count": "9",
        "sales_channel": "website",
        "sales_environment": "hotel_only",
        "include": "rooms.rates.holdable",
        **changes,
    }


def search(api: httpx.Client, **changes: object) -> list[dict]:
    answer = api.get("/v3/properties/availability", params=stay(hotels(api), **changes))
    assert answer.status_code == 200, answer.text
    return answer.json()


def find_rate(api: httpx.Client, *, holdable: bool | None = None, refundable: bool | None = None, **changes) -> dict:
    """The first rate as wanted."""
    for place in search(api, **changes):
        for room in place["rooms"]:
            for rate in room["rates"]:
                if holdable in (None, rate["holdable"]) and refundable in (None, rate["refundable"]):
                    return rate
    pytest.fail("no such rate")


def follow(api: httpx.Client, link: dict, body: dict | None = None) -> httpx.Response:
    """A link as it is: its method, its path on the host."""
    return api.request(link["method"], link["href"], json=body)


def price_check(api: httpx.Client, rate: dict) -> dict:
    (bed_group,) = rate["bed_groups"].values()
    answer = follow(api, bed_group["links"]["price_check"])
    assert answer.status_code == 200, answer.text
    return answer.json()


def total(priced: dict) -> Decimal:
    """What is charged, over all rooms' occupancies."""
    pricing = priced["occupancy_pricing"].values()
    return sum((Decimal(room["totals"]["inclusive"]["billable_currency"]["value"]) for room in pricing), Decimal(0))


def booking(*, hold: bool = False, rooms: int = 1, **changes: object) -> dict:
    contact = {"given_name": "Amelie", "family_name": "Dupont", "address": {"country_code": "FR"}}
    body = {
        "affiliate_reference_id": f"01JTEST{next(_references):019d}",
        "hold": hold,
        "email": EMAIL,
        "phone": {"country_code": "33", "number": "612345678"},
        "rooms": [{"given_name": "Amelie", "family_name": "Dupont"}] * rooms,
        "payments": [{"type": "affiliate_collect", "billing_contact": contact}],
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


def book(api: httpx.Client, rate: dict, **changes: object) -> httpx.Response:
    return follow(api, price_check(api, rate)["links"]["book"], booking(**changes))


def created(answer: httpx.Response) -> dict:
    assert answer.status_code == 201, answer.text
    return answer.json()


def retrieved(api: httpx.Client, made: dict) -> dict:
    answer = follow(api, made["links"]["retrieve"])
    assert answer.status_code == 200, answer.text
    return answer.json()


def status_of(api: httpx.Client, made: dict) -> str:
    return retrieved(api, made)["rooms"][0]["status"]


def error_of(answer: httpx.Response, status: int) -> str:
    """The innermost error type."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    return body["errors"][0]["type"] if "errors" in body else body["type"]


# --------------------------------------------------------------------------------------------- who may ask, and how


@pytest.mark.parametrize("authorization", ["", "EAN apikey=key", signed("other"), signed(age_s=400)])
def test_wants_a_fresh_signature(sandbox, authorization):
    with rapid_client(sandbox, Authorization=authorization) as api:
        answer = api.get("/v3/itineraries", params={"affiliate_reference_id": "none", "email": EMAIL})
        assert error_of(answer, 401) == "request_unauthenticated"


def test_the_judge_of_these_answers_refuses_bad_ones():
    judge = rapid_spec.require()
    bare = httpx.Request("GET", "https://test.ean.com/v3/itineraries?email=a@b.cd")
    with pytest.raises(AssertionError, match="not a valid request"):
        judge.check_request(bare, "/v3/itineraries")
    with pytest.raises(AssertionError, match="not a valid answer"):
        judge.check_response(httpx.Response(200, json={"itinerary_id": 1}, request=bare), "/v3/itineraries")
    with pytest.raises(AssertionError, match="no PropertyAvailability"):
        judge.check_object("PropertyAvailability", {"property_id": "1", "rooms": [{"rates": "none"}]})


def test_the_secret_can_be_set(sandbox):
    assert sandbox.control.put("/expedia_rapid/settings", json={"shared_secret": "other"}).status_code == 200
    with rapid_client(sandbox, Authorization=signed("other")) as api:
        assert hotels(api)


@pytest.mark.parametrize(
    ("header", "value", "error"),
    [
        ("Accept", "text/html", "accept.invalid"),
        ("Accept-Encoding", "identity", "accept_encoding.invalid"),
        ("User-Agent", "", "user_agent.required"),
        ("Customer-Ip", "", "customer_ip.required"),
    ],
)
def test_wants_the_contracts_headers(sandbox, header, value, error):
    with rapid_client(sandbox, **{header: value}) as api:
        answer = api.get("/v3/itineraries", params={"affiliate_reference_id": "none", "email": EMAIL})
        assert error_of(answer, 400) == error


# ------------------------------------------------------------------------------------------------------- content


def test_finds_hotels_by_airport_city_area_and_polygon(api):
    near = set(hotels(api))
    city = api.get("/v3/regions", params={"iata_location_code": "PAR", "include": "property_ids", "language": "en-US"})
    assert {region["iata_airport_code"] for region in city.json()} >= {"CDG", "ORY"}
    area = {"area": "30,49.01,2.55", "include": ["details", "property_ids"], "language": "en-US"}
    regions = api.get("/v3/regions", params=area).json()
    (region,) = [region for region in regions if region.get("iata_airport_code") == "CDG"]
    assert region["coordinates"]["center_latitude"] == pytest.approx(49.01, abs=0.1)
    same = api.get(f"/v3/regions/{region['id']}", params={"include": "property_ids", "language": "en-US"}).json()
    assert set(same["property_ids"]) == near
    ring = [[2.0, 48.7], [3.1, 48.7], [3.1, 49.4], [2.0, 49.4], [2.0, 48.7]]
    answer = api.post(
        "/v3/properties/geography",
        params={"include": "property_ids", "supply_source": "expedia"},
        json={"type": "Polygon", "coordinates": [ring]},
    )
    assert near <= answer.json().keys()


def test_hotels_have_names_and_places_near_their_airport(api):
    query = {"property_id": hotels(api), "language": "en-US", "supply_source": "expedia"}
    content = api.get("/v3/properties/content", params=query).json()
    assert len({place["name"] for place in content.values()}) > 6
    for place in content.values():
        assert place["address"]["country_code"] == "FR"
        assert place["location"]["coordinates"]["latitude"] == pytest.approx(49.0, abs=0.3)
    names = api.get("/v3/properties/content", params=query | {"include": "name"}).json()
    assert all(place.keys() == {"property_id", "name"} for place in names.values())


# ------------------------------------------------------------------------------------------------------ shopping


def test_the_same_question_has_the_same_prices(sandbox, api):
    def prices() -> list:
        return [(place["property_id"], total(rate)) for place in search(api) for rate in place["rooms"][0]["rates"]]

    first = prices()
    assert first == prices()
    with serve(seed=7) as twin, rapid_client(twin) as other:
        query = stay(hotels(other))
        same = other.get("/v3/properties/availability", params=query).json()
        assert [(place["property_id"], total(rate)) for place in same for rate in place["rooms"][0]["rates"]] == first
    assert all(Decimal(60) < price < Decimal(3_000) for _, price in first)


def test_prices_follow_currency_nights_and_guests(api):
    euro, dollar = (total(find_rate(api, currency=currency)) for currency in ("EUR", "USD"))
    assert dollar / euro == pytest.approx(Decimal("1.09"), abs=Decimal("0.01"))
    rate = find_rate(api, occupancy=["2", "2-9,4"])
    assert rate["occupancy_pricing"].keys() == {"2", "2-9,4"}
    nightly = rate["occupancy_pricing"]["2"]["nightly"]
    totals = rate["occupancy_pricing"]["2"]["totals"]
    summed = sum(Decimal(charge["value"]) for night in nightly for charge in night)
    assert (len(nightly), summed) == (2, Decimal(totals["inclusive"]["billable_currency"]["value"]))
    assert [len(rate["rooms"][0]["rates"]) for rate in search(api, rate_plan_count="1")] == [1] * len(search(api))


def test_some_rates_hold_and_some_refund(api):
    rates = [rate for place in search(api) for room in place["rooms"] for rate in room["rates"]]
    assert {(rate["refundable"], rate["holdable"]) for rate in rates} == {(True, True), (True, False), (False, False)}
    assert all(rate["refundable"] for place in search(api, filter="refundable") for rate in place["rooms"][0]["rates"])
    assert "holdable" not in search(api, include="unavailable_reason")[0]["rooms"][0]["rates"][0]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"currency": ""}, "currency.required"),
        ({"currency": "XXX"}, "currency.invalid"),
        ({"checkin": "tomorrow"}, "checkin.invalid"),
        ({"checkin": "2020-01-01"}, "checkin.invalid"),
        ({"checkout": CHECKIN.isoformat()}, "checkout.invalid"),
        ({"occupancy": "0"}, "occupancy.invalid"),
        ({"rate_plan_count": "0"}, "rate_plan_count.invalid"),
    ],
)
def test_refuses_a_wrong_question(api, changes, error):
    answer = api.get("/v3/properties/availability", params=stay(hotels(api), **changes))
    assert error_of(answer, 400) == error


def test_a_price_check_repeats_the_price_and_gives_the_link_that_books(api):
    rate = find_rate(api)
    checked = price_check(api, rate)
    assert (checked["status"], total(checked)) == ("available", total(rate))
    assert checked["links"]["book"]["href"].startswith("/v3/itineraries?token=")


def test_a_changed_price_stays_changed_and_has_a_new_link(sandbox, api):
    rate = find_rate(api)
    sandbox.fault(vendor="expedia_rapid", path="/rates/", action="price_changed", percent=10)
    changed = price_check(api, rate)
    assert changed["status"] == "price_changed"
    assert total(changed) / total(rate) == pytest.approx(Decimal("1.1"), abs=Decimal("0.001"))
    assert (price_check(api, rate)["status"], total(price_check(api, rate))) == ("price_changed", total(changed))
    assert created(follow(api, changed["links"]["book"], booking()))
    again = find_rate(api)
    assert (again["id"], total(again)) == (rate["id"], total(changed))


def test_a_sold_out_room_has_no_link_to_book(sandbox, api):
    rate = find_rate(api)
    sandbox.fault(vendor="expedia_rapid", path="/rates/", action="sold_out")
    checked = price_check(api, rate)
    assert (checked["status"], "book" in checked["links"]) == ("sold_out", False)


def test_a_link_is_good_for_its_purpose_and_time_only(sandbox, api):
    link = price_check(api, find_rate(api))["links"]["book"]
    assert error_of(follow(api, link | {"href": link["href"] + "A"}, booking()), 400) == "link.invalid"
    assert error_of(api.put(f"/v3/itineraries/1?{link['href'].partition('?')[2]}"), 400) == "link.invalid"
    sandbox.control.put("/expedia_rapid/settings", json={"link_s": 0.001})
    expired = find_rate(api)
    (bed_group,) = expired["bed_groups"].values()
    moment = datetime.fromisoformat(bed_group["links"]["price_check"]["expires"])
    eventually(lambda: datetime.now(UTC) > moment, "the link's time is over")
    assert error_of(follow(api, bed_group["links"]["price_check"]), 400) == "link.invalid"
