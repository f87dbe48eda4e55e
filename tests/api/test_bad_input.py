"""Bad input: each kind a 4xx problem with its own code and the field named; nothing is started and nothing written."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from schema.money import Money
from schema.offers import Offer
from schema.tables import bookings, idempotency_keys, offers
from store.database import Database
from tests.api.conftest import TRAVELLER, Booking, Caller, Minting, booking_body, saved_offers
from tests.api.fakes import offer_of, trip_day

Change = Callable[[dict[str, object], list[Offer]], dict[str, object]]


def _with(**changes: object) -> Change:
    return lambda body, _: body | changes


def _total(amount_minor: object, currency: object = "EUR") -> Change:
    return _with(expected_total={"amount_minor": amount_minor, "currency": currency})


def _traveller(**changes: object) -> Change:
    return _with(travellers=[TRAVELLER | changes])


def _without(name: str) -> Change:
    return lambda body, _: {key: value for key, value in body.items() if key != name}


def _twice(body: dict[str, object], found: list[Offer]) -> dict[str, object]:
    return body | {"items": [{"offer_id": found[0].offer_id}, {"offer_id": found[0].offer_id}]}


TOMORROW = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()

BOOKING_FAULTS: dict[str, tuple[Change, int, str, str | None]] = {
    "unknown currency": (_total(30_000, "XXQ"), 422, "unknown_currency", "/expected_total/currency"),
    "not a currency one can pay in": (_total(30_000, "XAU"), 422, "unknown_currency", "/expected_total/currency"),
    "currency too long": (_total(30_000, "EURO"), 422, "unknown_currency", "/expected_total/currency"),
    "negative amount": (_total(-1), 422, "amount_out_of_range", "/expected_total/amount_minor"),
    "zero amount": (_total(0), 422, "amount_out_of_range", "/expected_total/amount_minor"),
    "amount too large": (_total(100_000_000), 422, "amount_out_of_range", "/expected_total/amount_minor"),
    "amount absurdly large": (_total(10**400), 422, "amount_out_of_range", "/expected_total/amount_minor"),
    "amount as text": (_total("30000"), 422, "invalid_request", "/expected_total/amount_minor"),
    "amount as fraction": (_total(300.5), 422, "invalid_request", "/expected_total/amount_minor"),
    "wrong total": (_total(29_999), 422, "total_mismatch", "/expected_total"),
    "total in another currency": (_total(30_000, "USD"), 422, "total_mismatch", "/expected_total"),
    "unknown field": (_with(discount=1), 422, "unknown_field", "/discount"),
    "unknown field deep down": (_traveller(nickname="A"), 422, "unknown_field", "/travellers/0/nickname"),
    "unknown field with a slash": (_with(**{"a/b~c": 1}), 422, "unknown_field", "/a~1b~0c"),
    "no items": (_with(items=[]), 422, "invalid_request", "/items"),
    "items missing": (_without("items"), 422, "invalid_request", "/items"),
    "ten items": (
        _with(items=[{"offer_id": "off_01JABCDEFGHJKMNPQRSTVWXYZ0"}] * 10),
        422,
        "invalid_request",
        "/items",
    ),
    "an offer id that is not one": (_with(items=[{"offer_id": "42"}]), 422, "unknown_offer", "/items/0/offer_id"),
    "an offer nobody has": (
        _with(items=[{"offer_id": "off_01JABCDEFGHJKMNPQRSTVWXYZ0"}]),
        422,
        "unknown_offer",
        "/items/0/offer_id",
    ),
    "an offer twice": (_twice, 422, "duplicate_offer", "/items/1/offer_id"),
    "nothing required": (
        lambda body, found: body | {"items": [{"offer_id": offer.offer_id, "required": False} for offer in found]},
        422,
        "invalid_request",
        "/items",
    ),
    "more travellers than seats": (_with(travellers=[TRAVELLER] * 3), 422, "too_many_travellers", "/travellers"),
    "ten travellers": (_with(travellers=[TRAVELLER] * 10), 422, "too_many_travellers", "/travellers"),
    "no travellers": (_with(travellers=[]), 422, "invalid_request", "/travellers"),
    "born tomorrow": (_traveller(date_of_birth=TOMORROW), 422, "invalid_request", "/travellers/0/date_of_birth"),
    "a day that is none": (
        _traveller(date_of_birth="1990-02-30"),
        422,
        "invalid_request",
        "/travellers/0/date_of_birth",
    ),
    "no address": (_traveller(email="nobody"), 422, "invalid_request", "/travellers/0/email"),
    "a name with NUL": (_traveller(given_name="A\x00da"), 422, "invalid_request", "/travellers/0/given_name"),
    "a name of spaces": (_traveller(given_name="   "), 422, "invalid_request", "/travellers/0/given_name"),
    "a card number": (
        _with(payment={"method": "card", "payment_method_id": "4242424242424242"}),
        422,
        "invalid_request",
        "/payment/payment_method_id",
    ),
    "tolerance over 5 %": (_with(price_tolerance_percent=6), 422, "invalid_request", "/price_tolerance_percent"),
    "negative tolerance": (_with(price_tolerance_percent=-1), 422, "invalid_request", "/price_tolerance_percent"),
}


async def _rows(database: Database, client_id: str) -> tuple[int | None, ...]:
    """What is written for a client, but for the offers a test has put there."""
    async with database.read() as connection:
        return tuple(
            [
                await connection.scalar(select(func.count()).where(table.c.client_id == client_id))
                for table in (bookings, idempotency_keys)
            ]
        )


async def _assert_refused(
    answer, status: int, code: str, field: str | None, caller: Caller, database: Database
) -> None:
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (status, code, field), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["status"] == status
    assert body["type"] == f"urn:travelhub:problem:{code}"
    assert body["correlation_id"] == answer.headers["x-correlation-id"]
    assert await _rows(database, caller.client_id) == (0, 0)


@pytest.mark.parametrize("name", BOOKING_FAULTS)
async def test_a_faulty_booking_is_refused(name: str, caller: Caller, database: Database) -> None:
    change, status, code, field = BOOKING_FAULTS[name]
    found = await saved_offers(database, caller.client_id)
    answer = await caller.post("/v1/bookings", change(booking_body(found), found))
    await _assert_refused(answer, status, code, field, caller, database)


OFFER_FAULTS: dict[str, tuple[list[Offer], str, str]] = {
    "expired": (
        [offer_of("flight", expires_at=datetime.now(UTC) - timedelta(seconds=1))],
        "offer_expired",
        "/items/0/offer_id",
    ),
    "started": (
        [offer_of("hotel"), offer_of("hotel", check_in=trip_day(-3).date())],
        "date_in_past",
        "/items/1/offer_id",
    ),
    "mixed currencies": (
        [offer_of("flight"), offer_of("hotel", price=Money(amount_minor=10_000, currency="USD"))],
        "mixed_currencies",
        "/items",
    ),
    "a flight for two": ([offer_of("flight", seats=2)], "too_many_travellers", "/travellers"),
}


@pytest.mark.parametrize("name", OFFER_FAULTS)
async def test_offers_that_cannot_be_booked_are_refused(name: str, caller: Caller, database: Database) -> None:
    offered, code, field = OFFER_FAULTS[name]
    found = await saved_offers(database, caller.client_id, *offered)
    answer = await caller.post("/v1/bookings", booking_body(found))
    await _assert_refused(answer, 422, code, field, caller, database)


async def test_another_clients_offer_looks_like_none(caller: Caller, mint: Minting, database: Database) -> None:
    stranger = await mint()
    found = await saved_offers(database, caller.client_id)
    answer = await stranger.post("/v1/bookings", booking_body(found))
    await _assert_refused(answer, 422, "unknown_offer", "/items/0/offer_id", stranger, database)
    assert len(answer.json()["errors"]) == 3


RAW_FAULTS: dict[str, tuple[bytes, dict[str, str], int, str, str | None]] = {
    "not JSON": (b"{", {}, 400, "malformed_json", None),
    "nothing": (b"", {}, 400, "malformed_json", None),
    "not UTF-8": (b'{"a": "\xff\xfe"}', {}, 400, "malformed_json", None),
    "half a surrogate pair": (b'{"\\ud800": 1}', {}, 400, "malformed_json", None),
    "NaN": (b"NaN", {}, 422, "invalid_request", None),
    "deep nesting": (b"[" * 100_000, {}, 400, "malformed_json", None),
    "a list": (b"[]", {}, 422, "invalid_request", None),
    "null": (b"null", {}, 422, "invalid_request", None),
    "a number with a million digits": (b"1" * 200_000, {}, 400, "malformed_json", None),
    "over 256 KiB": (b'{"a": "' + b"x" * 262_144 + b'"}', {}, 413, "body_too_large", None),
    "text": (b"{}", {"content-type": "text/plain"}, 415, "unsupported_media_type", "Content-Type"),
    "a form": (
        b"a=1",
        {"content-type": "application/x-www-form-urlencoded"},
        415,
        "unsupported_media_type",
        "Content-Type",
    ),
    "no type": (b"{}", {"content-type": ""}, 415, "unsupported_media_type", "Content-Type"),
}


@pytest.mark.parametrize("name", RAW_FAULTS)
@pytest.mark.parametrize("path", ["/v1/bookings", "/v1/searches"])
async def test_a_body_that_cannot_be_read_is_refused(name: str, path: str, caller: Caller, database: Database) -> None:
    content, changes, status, code, field = RAW_FAULTS[name]
    headers = {"Idempotency-Key": "a-good-key", "Content-Type": "application/json"}
    headers |= {name.title(): value for name, value in changes.items()}
    answer = await caller.http.post(path, content=content, headers=headers)
    await _assert_refused(answer, status, code, field, caller, database)


async def test_a_body_that_grows_too_large_is_refused_while_it_streams(caller: Caller, database: Database) -> None:
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    headers = {"Idempotency-Key": "a-good-key", "Content-Type": "application/json"}
    answer = await caller.http.post("/v1/bookings", content=endless(), headers=headers)
    await _assert_refused(answer, 413, "body_too_large", None, caller, database)
    assert sent <= 6 * 65_536


async def test_a_body_of_just_256_kib_is_read(caller: Caller) -> None:
    content = b" " * (262_144 - 2) + b"{}"
    headers = {"Idempotency-Key": "a-good-key", "Content-Type": "application/json"}
    answer = await caller.http.post("/v1/bookings", content=content, headers=headers)
    assert answer.json()["code"] == "invalid_request"


KEYS: dict[str, tuple[str | None, str]] = {
    "missing": (None, "idempotency_key_missing"),
    "empty": ("", "idempotency_key_malformed"),
    "too short": ("1234567", "idempotency_key_malformed"),
    "too long": ("k" * 256, "idempotency_key_malformed"),
    "with a space": ("12345 6789", "idempotency_key_malformed"),
    "with a tab": ("12345\t6789", "idempotency_key_malformed"),
    "not ASCII": ("schlüssel-1", "idempotency_key_malformed"),
}


@pytest.mark.parametrize("name", KEYS)
async def test_a_faulty_key_is_refused(name: str, caller: Caller, database: Database) -> None:
    key, code = KEYS[name]
    found = await saved_offers(database, caller.client_id)
    headers = {} if key is None else {"Idempotency-Key": key.encode("latin-1")}
    answer = await caller.http.post("/v1/bookings", json=booking_body(found), headers=headers)
    await _assert_refused(answer, 400, code, "Idempotency-Key", caller, database)


@pytest.mark.parametrize("key", ["k" * 8, "k" * 255, "!~#{}[]\"'"])
async def test_unusual_keys_are_good(key: str, caller: Caller, database: Database) -> None:
    found = await saved_offers(database, caller.client_id)
    assert (await caller.post("/v1/bookings", booking_body(found), key=key)).status_code == 202


DAY = trip_day().date()
SEARCH = {
    "origin": "LHR",
    "destination": "JFK",
    "departure_date": str(DAY),
    "return_date": str(DAY + timedelta(days=4)),
}
SEARCH_FAULTS: dict[str, tuple[dict[str, object], str, str]] = {
    "unknown airport": ({"origin": "QQQ"}, "unknown_place", "/origin"),
    "not an airport's code": ({"destination": "jfk"}, "unknown_place", "/destination"),
    "nowhere": ({"destination": "LHR"}, "invalid_request", "/destination"),
    "in the past": ({"departure_date": str(trip_day(-2).date())}, "date_in_past", "/departure_date"),
    "the return first": ({"return_date": str(DAY - timedelta(days=1))}, "return_before_departure", "/return_date"),
    "a hotel without an end": ({"return_date": None}, "return_date_missing", "/return_date"),
    "a car without an end": ({"return_date": None, "kinds": ["flight", "car"]}, "return_date_missing", "/return_date"),
    "one way, too far ahead": (
        {"departure_date": str(trip_day(400).date()), "return_date": None, "kinds": ["flight"]},
        "invalid_request",
        "/departure_date",
    ),
    "too far ahead": ({"return_date": str(trip_day(400).date())}, "invalid_request", "/return_date"),
    "no such day": ({"departure_date": "2031-02-30"}, "invalid_request", "/departure_date"),
    "too many people": ({"travellers": 10}, "too_many_travellers", "/travellers"),
    "nobody": ({"travellers": 0}, "invalid_request", "/travellers"),
    "unknown currency": ({"currency": "ZZZ"}, "unknown_currency", "/currency"),
    "unknown kind": ({"kinds": ["train"]}, "invalid_request", "/kinds/0"),
    "unknown field": ({"children": 2}, "unknown_field", "/children"),
    "unknown filter": ({"filters": {"with_a_pool": True}}, "unknown_filter", "/filters/with_a_pool"),
    "a filter that is none": ({"filters": {"direct_only": "yes"}}, "invalid_request", "/filters/direct_only"),
    "a price below zero": ({"filters": {"price_max_minor": -1}}, "amount_out_of_range", "/filters/price_max_minor"),
    "unknown class of car": ({"filters": {"car_classes": ["tank"]}}, "invalid_request", "/filters/car_classes/0"),
    "unknown order": ({"sort": "beauty"}, "invalid_request", "/sort"),
    "unknown currency to show": ({"display_currency": "ZZZ"}, "unknown_currency", "/display_currency"),
    "there too late": (
        {"departure_date": str(trip_day(361).date()), "return_date": str(trip_day(362).date())},
        "invalid_request",
        "/departure_date",
    ),
}


@pytest.mark.parametrize("name", SEARCH_FAULTS)
async def test_a_faulty_search_is_refused(name: str, caller: Caller, database: Database) -> None:
    changes, code, field = SEARCH_FAULTS[name]
    answer = await caller.post("/v1/searches", SEARCH | changes)
    await _assert_refused(answer, 422, code, field, caller, database)
    async with database.read() as connection:
        assert await connection.scalar(select(func.count()).where(offers.c.client_id == caller.client_id)) == 0


IDS = [
    "1",
    "..%2f..",
    "%00",
    "%ff%fe",
    "' OR 1=1",
    "0" * 26 + "0",
    "81" + "0" * 24,
    "i" * 26,
    "%F0%9F%9A%80",
    "a" * 5000,
]


@pytest.mark.parametrize("bad", IDS)
async def test_an_id_that_is_not_one_is_not_found(bad: str, caller: Caller, database: Database) -> None:
    reads = [f"/v1/bookings/{bad}", f"/v1/bookings/{bad}/events", f"/v1/payments/{bad}"]
    for path in reads:
        answer = await caller.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["code"] in ("malformed_id", "not_found")
    for path, body in (
        (f"/v1/bookings/{bad}/cancellation", {}),
        (f"/v1/ops/cases/{bad}/resolution", {"action": "retry", "note": "n"}),
    ):
        answer = await caller.post(path, body)
        assert answer.status_code == 404, path
    assert await _rows(database, caller.client_id) == (0, 0)


async def test_the_field_of_a_malformed_id_is_named(caller: Caller) -> None:
    answer = (await caller.get("/v1/bookings/42")).json()
    assert (answer["status"], answer["code"], answer["field"]) == (404, "malformed_id", "booking_id")


QUERIES = {
    "/v1/bookings?limit=0": ("invalid_request", "limit", 422),
    "/v1/bookings?limit=101": ("invalid_request", "limit", 422),
    "/v1/bookings?limit=x": ("invalid_request", "limit", 422),
    "/v1/bookings?limit=" + "9" * 5000: ("invalid_request", "limit", 422),
    "/v1/bookings?cursor=%00": ("malformed_cursor", "cursor", 400),
    "/v1/bookings?cursor=abc": ("malformed_cursor", "cursor", 400),
    "/v1/bookings?cursor=WyIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsIngiXQ==": ("malformed_cursor", "cursor", 400),
    "/v1/bookings?curser=abc": ("unknown_field", "curser", 422),
    "/v1/ops/cases?state=perhaps": ("invalid_request", "state", 422),
}


@pytest.mark.parametrize("path", QUERIES)
async def test_a_faulty_query_is_refused(path: str, caller: Caller) -> None:
    code, field, status = QUERIES[path]
    answer = await caller.get(path)
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (status, code, field)


async def test_several_faults_are_all_told(caller: Caller) -> None:
    answer = (await caller.post("/v1/bookings", {"items": [], "surprise": 1})).json()
    assert {fault["field"] for fault in answer["errors"]} == {
        "/items",
        "/travellers",
        "/payment",
        "/expected_total",
        "/surprise",
    }


async def test_what_was_sent_is_not_quoted_back(caller: Caller) -> None:
    body = {"items": "Lovelace", "travellers": [TRAVELLER | {"title": "Lovelace"}]}
    assert "Lovelace" not in (await caller.post("/v1/bookings", body)).text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1/bookings/", 404, "not_found"),
        ("GET", "/v2/bookings", 404, "not_found"),
        ("DELETE", "/v1/bookings", 405, "method_not_allowed"),
        ("PUT", "/v1/searches", 405, "method_not_allowed"),
        ("GET", "/v1/webhooks/stripe", 405, "method_not_allowed"),
    ],
)
async def test_the_router_refuses_with_problems_too(method, path, status, code, caller: Caller) -> None:
    answer = await caller.http.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("allow" in answer.headers) == (status == 405)


async def test_price_acceptance_wants_a_good_amount(caller: Caller, book: Booking) -> None:
    path = f"/v1/bookings/{(await book(caller))['booking_id']}/price-acceptance"
    answer = (await caller.post(path, {"total": {"amount_minor": -5, "currency": "EUR"}})).json()
    assert (answer["status"], answer["code"], answer["field"]) == (422, "amount_out_of_range", "/total/amount_minor")
