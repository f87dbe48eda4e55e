"""Amadeus flights: status x operation -> outcome."""

from __future__ import annotations

import httpx
import orjson
import pytest

from gateways.amadeus import build
from gateways.amadeus_wire import may_repeat
from gateways.http import Answer
from gateways.parts import Parts
from gateways.traffic import Unbounded
from schema.errors import CredentialsRefused, InvariantBroken, OutcomeUnclear, VendorContractBroken, VendorUnavailable
from schema.money import Money
from schema.outcomes import Confirmed, Rejected, Unknown
from tests.gateways.amadeus_documents import (
    FOUND_STATE,
    ORDER_ID,
    ORDERED_STATE,
    ORDERS,
    PRICED_STATE,
    PRICING,
    TICKETED,
    TOKEN_ASKED,
    amadeus,
    amadeus_error,
    behind_token,
    gateway,
    offer,
    order,
    order_in,
    priced,
)
from tests.gateways.conftest import settings_for
from tests.gateways.support import (
    LOST,
    NOT_CONNECTED,
    PRICE,
    REFERENCE,
    Vendor,
    ending,
    look_up,
    reservation,
    reservation_request,
    search_request,
    travellers,
)

HTML = httpx.Response(502, text="<html>Bad Gateway</html>")
GONE = amadeus_error(404, 1797, "NOT FOUND")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (amadeus(order(), 201), "confirmed"),
        (amadeus(order(), 200), "confirmed"),
        (amadeus(order(), 202), "unknown"),
        (amadeus({}, 201), "unknown"),
        (httpx.Response(201, text="<html>"), "unknown"),
        (httpx.Response(201, content=b'{"data": {"id"'), "unknown"),
        (httpx.Response(302), "unknown"),
        (amadeus_error(400, 34651, "SEGMENT SELL FAILURE"), "sold_out"),
        (amadeus_error(400, 37200, "PRICE DISCREPANCY"), "price_changed"),
        (amadeus_error(400, 34107, "NOT APPLICABLE FARE"), "offer_expired"),
        (amadeus_error(400, 9112, "TICKETING - TKT"), "unknown"),
        (amadeus_error(400, 36870, "BOOKING FAILED"), "vendor_rejected"),
        (amadeus_error(400), "vendor_rejected"),
        (amadeus_error(404, 38196), "vendor_rejected"),
        (amadeus_error(401, 39686), "CredentialsRefused"),
        (amadeus_error(403, 38197), "CredentialsRefused"),
        (httpx.Response(408), "unknown"),
        (amadeus_error(500, 38189), "unknown"),
        (amadeus_error(500, 34651), "unknown"),
        (HTML, "unknown"),
        (httpx.Response(503), "unknown"),
        (httpx.Response(504), "unknown"),
        (LOST, "unknown"),
        (NOT_CONNECTED, "VendorUnavailable"),
    ],
)
async def test_creating_an_order(answer, expected):
    vendor = behind_token(answer)
    assert await ending(gateway(vendor).book(reservation_request(PRICED_STATE))) == expected
    assert vendor.asked() == [TOKEN_ASKED, f"POST {ORDERS}"]


@pytest.mark.parametrize("code", [38194, 38195])
async def test_an_order_over_the_rate_did_not_happen(code):
    attempt = gateway(behind_token(amadeus_error(429, code))).book(reservation_request(PRICED_STATE))
    with pytest.raises(VendorUnavailable):
        await attempt


async def test_an_order_tells_what_is_needed_later():
    outcome, state = await gateway(behind_token(amadeus(order(), 201))).book(reservation_request(PRICED_STATE))
    assert outcome == Confirmed(provider_reference=ORDER_ID, price=PRICE, record_locator="ABC123")
    assert state == ORDERED_STATE


@pytest.mark.parametrize("changes", [{"flightOffers": []}, {"flightOffers": [offer("1.001")]}, {"flightOffers": None}])
async def test_an_order_whose_price_is_illegible_exists_all_the_same(changes):
    document = order(associatedRecords=None, **changes)
    outcome, state = await gateway(behind_token(amadeus(document, 201))).book(reservation_request(PRICED_STATE))
    assert outcome == Confirmed(provider_reference=ORDER_ID)
    assert state == ORDERED_STATE


async def test_the_state_survives_a_lost_answer():
    outcome, state = await gateway(behind_token(LOST)).book(reservation_request(PRICED_STATE))
    assert isinstance(outcome, Unknown)
    assert state == PRICED_STATE


async def test_an_order_carries_the_priced_offer_whole_and_our_reference():
    sold = offer(count=2, anything_new={"of": ["theirs"]})
    state = {"flight_offer": sold, "traveller_ids": ["1", "2"], "priced": True}
    vendor = behind_token(amadeus(order(), 201))
    await gateway(vendor).book(reservation_request(state, count=2))
    data = orjson.loads(vendor.requests[1].content)["data"]
    assert data["flightOffers"] == [sold]
    assert [(one["id"], one["name"]["lastName"]) for one in data["travelers"]] == [
        ("1", travellers(2)[0].family_name),
        ("2", travellers(2)[1].family_name),
    ]
    assert REFERENCE in data["remarks"]["general"][0]["text"]
    assert data["ticketingAgreement"] == {"option": "CONFIRM"}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+442080160509", {"countryCallingCode": "44", "number": "2080160509"}),
        ("+12025550123", {"countryCallingCode": "+1", "number": "2025550123"}),
        ("+390612345678", {"countryCallingCode": "39", "number": "0612345678"}),
        ("+999123456789", {"number": "999123456789"}),
    ],
)
async def test_a_phone_number_is_split_as_its_country_does(number, expected):
    request = reservation_request(PRICED_STATE)
    traveller = request.travellers[0].model_copy(update={"phone_number": number})
    vendor = behind_token(amadeus(order(), 201))
    await gateway(vendor).book(request.model_copy(update={"travellers": [traveller]}))
    data = orjson.loads(vendor.requests[1].content)["data"]
    assert data["travelers"][0]["contact"]["phones"] == [{"deviceType": "MOBILE", **expected}]


async def test_an_offer_for_others_is_not_booked():
    vendor = behind_token()
    with pytest.raises(InvariantBroken):
        await gateway(vendor).book(reservation_request(PRICED_STATE, count=2))
    assert vendor.requests == []


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (priced(offer()), "confirmed"),
        (priced(offer("150.00")), "price_changed"),
        (amadeus_error(400, 34651), "sold_out"),
        (amadeus_error(400, 4926, "INVALID DATA RECEIVED"), "offer_expired"),
        (amadeus_error(500, 38189), "VendorUnavailable"),
        (amadeus_error(400, 477), "VendorUnavailable"),
        (LOST, "VendorUnavailable"),
    ],
)
async def test_an_offer_that_was_never_priced_is_priced_first(check, expected):
    vendor = behind_token(check, amadeus(order(), 201))
    assert await ending(gateway(vendor).book(reservation_request(FOUND_STATE))) == expected
    ordered = [f"POST {ORDERS}"] if expected == "confirmed" else []
    assert vendor.asked() == [TOKEN_ASKED, f"POST {PRICING}", *ordered]


async def test_the_price_that_moved_is_told():
    outcome, _ = await gateway(behind_token(priced(offer("150.00")))).book(reservation_request(FOUND_STATE))
    assert isinstance(outcome, Rejected)
    assert outcome.price == Money(amount_minor=15000, currency="EUR")


async def test_flights_can_neither_be_held_nor_found_by_reference():
    supplier = gateway(Vendor())
    for attempt in (supplier.hold(reservation_request(PRICED_STATE)), supplier.confirm(reservation_request({}))):
        with pytest.raises(NotImplementedError):
            await attempt
    with pytest.raises(NotImplementedError):
        await supplier.find(look_up(PRICED_STATE))


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (amadeus(order()), "confirmed"),
        (amadeus(TICKETED), "confirmed"),
        (amadeus(order_in("CONFIRMED", "CONFIRMED")), "confirmed"),
        (amadeus(order_in("CANCELLED", "CANCELLED")), "cancelled"),
        (amadeus(order_in("CANCELLED", "DENIED")), "cancelled"),
        (amadeus(order_in("CONFIRMED", "CANCELLED")), "pending"),
        (amadeus(order_in("CONFIRMED", "WAITLISTED")), "pending"),
        (amadeus(order_in("SOMETHING_NEW")), "pending"),
        (GONE, None),
    ],
)
async def test_an_order_is_found_by_its_id(answer, status):
    vendor = behind_token(answer)
    found = await gateway(vendor).find(look_up(ORDERED_STATE, ORDER_ID))
    assert (found.status if found else None) == status
    # Encoded once, by the vendor.
    assert vendor.requests[1].url.raw_path == f"{ORDERS}/{ORDER_ID}".encode()


async def test_an_id_from_a_keyboard_stays_within_its_path():
    vendor = behind_token(GONE)
    await gateway(vendor).find(look_up(ORDERED_STATE, "../orders?x=1"))
    assert vendor.requests[1].url.raw_path == f"{ORDERS}/..%2Forders%3Fx%3D1".encode()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (LOST, OutcomeUnclear),
        (NOT_CONNECTED, VendorUnavailable),
        (amadeus_error(429, 38194), VendorUnavailable),
        (amadeus_error(403, 38197), CredentialsRefused),
        (amadeus_error(500, 38189), VendorUnavailable),
        (HTML, VendorUnavailable),
        (httpx.Response(200, text="<html>"), VendorContractBroken),
        (httpx.Response(200, json={}), VendorContractBroken),
        (amadeus_error(400, 477), VendorContractBroken),
    ],
)
@pytest.mark.parametrize("operation", ["find", "cancellation_fee", "price", "search", "check"])
async def test_reads_raise_what_may_be_tried_again(operation, answer, error):
    supplier = gateway(behind_token(answer))
    attempt = {
        "find": lambda: supplier.find(look_up(ORDERED_STATE, ORDER_ID)),
        "cancellation_fee": lambda: supplier.cancellation_fee(reservation(ORDERED_STATE), "trip-1"),
        "price": lambda: supplier.price(FOUND_STATE, "trip-1"),
        "search": lambda: supplier.search(search_request(), "trip-1"),
        "check": lambda: supplier.check("trip-1"),
    }[operation]
    with pytest.raises(error):
        await attempt()


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([httpx.Response(204)], 0),
        ([httpx.Response(200)], 0),
        ([GONE], 0),
        ([amadeus_error(400, 4926), GONE], 0),
        ([amadeus_error(400, 4926), amadeus(order_in("CANCELLED"))], 0),
        ([amadeus_error(400, 4926), amadeus(TICKETED)], VendorContractBroken),
        ([amadeus_error(400, 4926), amadeus(order())], VendorContractBroken),
        ([amadeus_error(500, 38189)], OutcomeUnclear),
        ([httpx.Response(202)], OutcomeUnclear),
        ([HTML], OutcomeUnclear),
        ([LOST], OutcomeUnclear),
        ([NOT_CONNECTED], VendorUnavailable),
    ],
)
async def test_cancelling(answers, expected):
    vendor = behind_token(*answers)
    attempt = gateway(vendor).cancel(reservation(ORDERED_STATE, reference=ORDER_ID), "trip-1")
    if isinstance(expected, int):
        assert (await attempt).fee == Money(amount_minor=expected, currency="EUR")
    else:
        with pytest.raises(expected):
            await attempt
    assert vendor.answers == []


@pytest.mark.parametrize(
    ("answer", "fee_minor"), [(amadeus(order()), 0), (GONE, 0), (amadeus(TICKETED), PRICE.amount_minor)]
)
async def test_a_fee_is_told_without_cancelling(answer, fee_minor):
    vendor = behind_token(answer)
    fee = await gateway(vendor).cancellation_fee(reservation(ORDERED_STATE, reference="1"), "trip-1")
    assert fee.fee == Money(amount_minor=fee_minor, currency="EUR")
    assert vendor.asked() == [TOKEN_ASKED, f"GET {ORDERS}/1"]


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [
        (amadeus_error(429, 38194), True),
        (amadeus_error(429, 38195), False),
        (httpx.Response(429), True),
        (httpx.Response(503), True),
        (amadeus_error(500, 38189), False),
        (amadeus_error(400, 477), False),
    ],
)
def test_a_used_up_quota_is_not_asked_again(answer, allowed):
    assert may_repeat(Answer("amadeus", answer.status_code, answer.headers, answer.content)) is allowed


async def test_without_both_credentials_it_is_not_offered():
    url = "http://127.0.0.1:9"
    both = {"amadeus_client_id": "id", "amadeus_client_secret": "secret"}
    for name in both:
        assert build(Parts(settings_for(url, **{**both, name: None}), Unbounded())) is None
    parts = Parts(settings_for(url, **both), Unbounded())
    supplier = build(parts)
    assert supplier is not None
    assert (supplier.code, supplier.kind, supplier.capabilities.hold) == ("amadeus", "flight", False)
    for http in parts.https.values():
        await http.aclose()
