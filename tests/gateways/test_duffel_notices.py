"""Duffel's webhooks: who is let in, what they are about, and which flights a schedule change touches."""

from __future__ import annotations

import hmac
import time
from hashlib import sha256

import httpx
import orjson
import pytest
from pydantic import SecretStr

from gateways.duffel_notices import DuffelNotices
from gateways.ports import SupplierNotice
from schema.errors import Malformed, NotFound
from tests.contracts import spec
from tests.gateways.documents import duffel, duffel_error, order
from tests.gateways.support import CORRELATION_ID, LOST, Vendor, ending

SECRET = "d3VmZmVs"  # base64, to be used as it is and not decoded
CHANGED = {
    "id": "wev_1",
    "type": "order.airline_initiated_change_detected",
    "api_version": "v2",
    "live_mode": True,
    "created_at": "2026-11-22T10:00:00Z",
    "idempotency_key": "aic_1",
    "data": {"object": {"id": "ord_1", "aic_id": "aic_1"}},
}


def notices(vendor: Vendor | None = None, secret: str | None = SECRET) -> DuffelNotices:
    http = (vendor or Vendor()).http("duffel", "https://api.duffel.com")
    return DuffelNotices(http, "duffel_test_x", webhook_secret=None if secret is None else SecretStr(secret))


def signed(body: bytes, *, secret: str = SECRET, age_s: float = 0) -> str:
    signed_at = int(time.time() - age_s)
    return f"t={signed_at},v1={hmac.new(secret.encode(), f'{signed_at}.'.encode() + body, sha256).hexdigest()}"


def parsed(event: object, **signing: object) -> SupplierNotice:
    body = orjson.dumps(event)
    return notices().parse_notice(body, signed(body, **signing))


# ------------------------------------------------------------------------------------------------------ at the door


def test_a_schedule_change_is_about_its_order() -> None:
    assert parsed(CHANGED) == SupplierNotice(event_id="wev_1", type=CHANGED["type"], subject="ord_1")


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("order.created", {"object": {"id": "ord_1"}}),
        ("order.creation_failed", {"object": {}}),
        ("ping.triggered", {}),
        ("something.new", {"object": {"id": "x"}}),
    ],
)
def test_other_events_are_taken_and_about_nothing(event_type: str, data: object) -> None:
    event = CHANGED | {"type": event_type, "data": data, "idempotency_key": None}
    assert parsed(event) == SupplierNotice(event_id="wev_1", type=event_type, subject=None)


@pytest.mark.parametrize("signing", [{"secret": "wuffel"}, {"age_s": 310}, {"age_s": -310}], ids=str)
def test_a_signature_that_is_not_duffels_or_not_of_now(signing: dict) -> None:
    with pytest.raises(Malformed) as refused:
        parsed(CHANGED, **signing)
    assert refused.value.problem_code == "invalid_signature"


def test_a_signature_is_good_for_some_minutes() -> None:
    assert parsed(CHANGED, age_s=290) == parsed(CHANGED, age_s=-290) == parsed(CHANGED)


def test_a_signature_of_another_body_or_form() -> None:
    body, good = b'{"id": "wev_1"}', signed(b'{"id": "wev_2"}')
    bare, upper = good.split("v1=")[1], good.split("v1=")[0] + "v1=" + good.split("v1=")[1].upper()
    for signature in (good, bare, upper, "", "t=1,v1=abc", "t=\u0663,v1=" + "a" * 64, "schön", good + "\n"):
        with pytest.raises(Malformed) as refused:
            notices().parse_notice(body if signature == good else b'{"id": "wev_2"}', signature)
        assert refused.value.problem_code == "invalid_signature", signature


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"id": 7}', orjson.dumps(CHANGED | {"id": ""}), orjson.dumps(CHANGED | {"data": {}})],
)
def test_what_is_signed_and_no_event(body: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        notices().parse_notice(body, signed(body))
    assert refused.value.problem_code == "malformed_json"


def test_without_a_secret_nobody_is_let_in() -> None:
    body = orjson.dumps(CHANGED)
    with pytest.raises(NotFound):
        notices(secret=None).parse_notice(body, signed(body))


# ------------------------------------------------------------------------------------------------- what is touched


def segment(number: str, departing_at: str, arriving_at: str = "2027-03-01T20:00:00") -> dict:
    return {
        "marketing_carrier": {"iata_code": "LH", "name": "Lufthansa"},
        "marketing_carrier_flight_number": number,
        "origin": {"iata_code": "FRA"},
        "destination": {"iata_code": "JFK"},
        "departing_at": departing_at,
        "arriving_at": arriving_at,
    }


def journey(*segments: dict) -> list[dict]:
    return [{"segments": list(segments)}]


FEEDER = segment("12", "2027-03-01T08:00:00")
BEFORE, AFTER = segment("400", "2027-03-01T10:05:00"), segment("400", "2027-03-01T11:30:00")
LATER_ARRIVAL = segment("400", "2027-03-01T10:05:00", arriving_at="2027-03-01T21:00:00")


def answers(*changes: tuple[list[dict], list[dict]]) -> httpx.Response:
    return duffel([{"id": "aic_1", "removed": removed, "added": added} for removed, added in changes])


@pytest.mark.parametrize(
    ("changes", "touched"),
    [
        ([(journey(FEEDER, BEFORE), journey(FEEDER, AFTER))], ["LH400 2027-03-01T10:05", "LH400 2027-03-01T11:30"]),
        ([(journey(BEFORE), [])], ["LH400 2027-03-01T10:05"]),
        ([(journey(BEFORE), journey(LATER_ARRIVAL))], ["LH400 2027-03-01T10:05"]),
        (
            [(journey(FEEDER), []), (journey(BEFORE), journey(AFTER))],
            ["LH12 2027-03-01T08:00", "LH400 2027-03-01T10:05", "LH400 2027-03-01T11:30"],
        ),
    ],
    ids=["moved", "taken away", "arrives later", "two changes"],
)
async def test_the_flights_that_changed_and_no_others(changes: list, touched: list[str]) -> None:
    vendor = Vendor(answers(*changes))
    assert await notices(vendor).touched("ord_1", CORRELATION_ID) == touched
    assert vendor.asked() == ["GET /air/airline_initiated_changes"]
    assert vendor.requests[0].url.params["order_id"] == "ord_1"


@pytest.mark.parametrize("listed", [answers(), duffel_error(404, "not_found")], ids=["none", "unknown"])
async def test_where_no_change_is_listed_all_flights_of_the_order_may_have_changed(listed: httpx.Response) -> None:
    vendor = Vendor(listed, duffel(order(slices=[*journey(FEEDER), *journey(AFTER)])))
    assert await notices(vendor).touched("ord_1", CORRELATION_ID) == ["LH12 2027-03-01T08:00", "LH400 2027-03-01T11:30"]


async def test_an_order_that_nobody_knows_touches_nothing() -> None:
    vendor = Vendor(answers(), duffel_error(404, "not_found"))
    assert await notices(vendor).touched("ord_none", CORRELATION_ID) == []


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (duffel_error(503, "service_unavailable"), "VendorUnavailable"),
        (duffel_error(429, "rate_limit_exceeded"), "RateLimited"),
        (duffel_error(400, "bad_request"), "VendorContractBroken"),
        (httpx.Response(200, text="<html>"), "VendorContractBroken"),
        (answers((journey({}), [])), "VendorContractBroken"),
        (LOST, "LostAnswer"),
    ],
)
async def test_what_cannot_be_read_now_is_never_taken_for_nothing(answer, raised: str) -> None:
    # What may be asked again by the client is answered the same each time.
    vendor = Vendor(*[answer] * 5)
    assert await ending(notices(vendor).touched("ord_1", CORRELATION_ID)) == raised


@pytest.mark.contract
async def test_the_requests_are_as_the_contract_wants_them() -> None:
    judge = spec.require(spec.DUFFEL)
    vendor = Vendor(answers(), duffel(order(slices=journey(BEFORE))))
    await notices(vendor).touched("ord_1", CORRELATION_ID)
    assert len(vendor.requests) == 2
    for request in vendor.requests:
        judge.check_request(request, request.url.path)
