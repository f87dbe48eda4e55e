"""Expedia Rapid: status x operation -> outcome."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from gateways.rapid_guests import plain
from schema.errors import OutcomeUnclear, VendorContractBroken, VendorUnavailable
from schema.money import Money
from schema.outcomes import Confirmed, Rejected
from tests.gateways.documents import (
    CHECKED_STATE,
    HELD_HOTEL_STATE,
    HOTEL_STATE,
    ITINERARY,
    availability,
    content,
    created_itinerary,
    itinerary,
    link,
    ok,
    price_check,
    rapid_error,
    room,
)
from tests.gateways.support import (
    LOST,
    NOT_CONNECTED,
    NOW,
    PRICE,
    REFERENCE,
    Vendor,
    ending,
    hotels,
    look_up,
    reservation,
    reservation_request,
    search_request,
    travellers,
)

REFUSED = rapid_error(400, "invalid_input", "address.country_code.invalid")
DUPLICATE = rapid_error(400, "invalid_input", "duplicate_itinerary")
UNAVAILABLE = rapid_error(503, "service_unavailable")
BROKEN = rapid_error(500, "unknown_internal_error")
GONE = rapid_error(404, "resource_not_found")
ACCEPTED = httpx.Response(202)
DONE = httpx.Response(204)

REFUSALS = [
    (DUPLICATE, "unknown"),
    (REFUSED, "vendor_rejected"),
    (rapid_error(400, "invalid_input", "link.expired"), "offer_expired"),
    (rapid_error(401, "request_unauthenticated"), "CredentialsRefused"),
    (rapid_error(403, "request_forbidden"), "CredentialsRefused"),
    (httpx.Response(408), "unknown"),
    (rapid_error(409, "price_mismatch"), "price_changed"),
    (rapid_error(410, "rooms_unavailable"), "sold_out"),
    (rapid_error(426, "upgrade_required"), "vendor_rejected"),
    (rapid_error(429, "too_many_requests"), "RateLimited"),
    (BROKEN, "unknown"),
    (UNAVAILABLE, "unknown"),
    (httpx.Response(504, text="<html>"), "unknown"),
    (ACCEPTED, "unknown"),
    (httpx.Response(201, text="<html>"), "unknown"),
    (ok({"links": {}}, 201), "unknown"),
    (ok({"itinerary_id": "99", "links": {"complete_payment_session": link("/v3/x", "PUT")}}, 201), "unknown"),
    (LOST, "unknown"),
    (NOT_CONNECTED, "VendorUnavailable"),
]


@pytest.mark.parametrize("operation", ["hold", "book"])
@pytest.mark.parametrize(("answer", "expected"), REFUSALS)
async def test_an_itinerary_that_is_not_created(operation, answer, expected):
    supplier = hotels(Vendor(answer))
    assert await ending(getattr(supplier, operation)(reservation_request(CHECKED_STATE))) == expected


async def test_a_hold_keeps_its_links():
    vendor = Vendor(ok(created_itinerary(hold=True), 201))
    outcome, state = await hotels(vendor).hold(reservation_request(CHECKED_STATE))
    assert outcome == Confirmed(provider_reference="99")
    assert state == HELD_HOTEL_STATE
    assert vendor.asked() == ["POST /v3/itineraries"]


async def test_a_hold_that_cannot_be_resumed_is_no_hold_yet():
    vendor = Vendor(ok(created_itinerary(hold=False), 201))
    assert await ending(hotels(vendor).hold(reservation_request(CHECKED_STATE))) == "unknown"


BOOKINGS = [
    (ok(itinerary()), "confirmed"),
    (ok({"itinerary_id": "99", "creation_date_time": NOW.isoformat()}, 206), "confirmed"),
    (GONE, "confirmed"),
    (BROKEN, "confirmed"),
    (LOST, "confirmed"),
    (ok(itinerary(room("pending"))), "unknown"),
    (ok(itinerary(room("a_new_status"))), "unknown"),
    (ok(itinerary(room("canceled"))), "unknown"),
]


@pytest.mark.parametrize(("shown", "expected"), BOOKINGS)
async def test_what_is_booked_is_looked_at(shown, expected):
    """Created is the vendor's word; that it is not to be seen yet takes nothing back, seeing something else does."""
    vendor = Vendor(ok(created_itinerary(hold=False), 201), shown)
    assert await ending(hotels(vendor).book(reservation_request(CHECKED_STATE))) == expected


async def test_a_booking_has_price_and_confirmation_number():
    vendor = Vendor(ok(created_itinerary(hold=False), 201), ok(itinerary()))
    outcome, _ = await hotels(vendor).book(reservation_request(CHECKED_STATE))
    assert outcome == Confirmed(provider_reference="99", price=PRICE, record_locator="P1")


CONFIRMATIONS = [
    # answer to the resume, then the itinerary, expected
    (DONE, ok(itinerary()), "confirmed"),
    (DONE, ok(itinerary(held=True)), "confirmed"),
    (DONE, LOST, "confirmed"),
    (DONE, ok(itinerary(room("pending"))), "unknown"),
    (ACCEPTED, None, "unknown"),
    (BROKEN, None, "unknown"),
    (UNAVAILABLE, None, "unknown"),
    (LOST, None, "unknown"),
    (NOT_CONNECTED, None, "VendorUnavailable"),
    (rapid_error(429, "too_many_requests"), None, "RateLimited"),
    (REFUSED, ok(itinerary()), "confirmed"),
    (REFUSED, ok(itinerary(room("canceled"))), "hold_expired"),
    (REFUSED, ok(itinerary(held=True)), "vendor_rejected"),
    (GONE, GONE, "unknown"),
    (GONE, LOST, "unknown"),
]


@pytest.mark.parametrize(("resumed", "shown", "expected"), CONFIRMATIONS)
async def test_resuming_a_hold(resumed, shown, expected):
    vendor = Vendor(resumed, *([shown] if shown is not None else []))
    assert await ending(hotels(vendor).confirm(reservation_request(HELD_HOTEL_STATE))) == expected
    assert vendor.asked()[0] == f"PUT {ITINERARY}"
    assert vendor.answers == []


@pytest.mark.parametrize(
    ("shown", "resumed", "expected"),
    [
        (ok(itinerary(held=True)), DONE, "confirmed"),
        (ok(itinerary()), None, "confirmed"),
        (ok(itinerary(room("canceled"))), None, "hold_expired"),
        (GONE, None, "unknown"),
        (LOST, None, "VendorUnavailable"),
    ],
)
async def test_a_hold_without_its_link_is_read_first(shown, resumed, expected):
    answers = [shown, *([resumed, ok(itinerary())] if resumed else [])]
    state = {**HELD_HOTEL_STATE, "resume": None}
    assert await ending(hotels(Vendor(*answers)).confirm(reservation_request(state))) == expected


FINDINGS = [
    (ok([itinerary(held=True)]), "held"),
    (ok([itinerary()]), "confirmed"),
    (ok([itinerary(room("canceled"))]), "cancelled"),
    (ok([itinerary(room("booked"), room("canceled"))]), "confirmed"),
    (ok([itinerary(room("pending"))]), "pending"),
    (ok([itinerary(room("a_new_status"))]), "pending"),
    (ok([{"itinerary_id": "99", "creation_date_time": NOW.isoformat()}], 206), "pending"),
    (ok([itinerary(room("canceled")), itinerary()]), "confirmed"),
    (ok([itinerary(affiliate_reference_id="somebody-elses")]), None),
    (ok([]), None),
    (ok([], 206), None),
    (GONE, None),
]


@pytest.mark.parametrize(("answer", "status"), FINDINGS)
async def test_finding_by_reference(answer, status):
    vendor = Vendor(answer)
    found = await hotels(vendor).find(look_up(CHECKED_STATE))
    assert (found.status if found else None) == status
    query = vendor.requests[0].url.params
    assert (query["affiliate_reference_id"], query["email"]) == (REFERENCE, travellers()[0].email)


async def test_finding_by_the_itinerarys_own_link_first():
    vendor = Vendor(GONE, ok([itinerary()]))
    assert await hotels(vendor).find(look_up(HELD_HOTEL_STATE, "99")) is not None
    assert vendor.asked() == [f"GET {ITINERARY}", "GET /v3/itineraries"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (LOST, OutcomeUnclear),
        (NOT_CONNECTED, VendorUnavailable),
        (UNAVAILABLE, VendorUnavailable),
        (BROKEN, VendorUnavailable),
        (rapid_error(429, "too_many_requests"), VendorUnavailable),
        (httpx.Response(200, text="<html>"), VendorContractBroken),
        (rapid_error(403, "request_forbidden"), VendorContractBroken),
    ],
)
@pytest.mark.parametrize("operation", ["find", "cancellation_fee", "cancel", "price", "search"])
async def test_reads_and_undos_raise_what_may_be_tried_again(operation, answer, error):
    supplier = hotels(Vendor(answer))
    attempt = {
        "find": lambda: supplier.find(look_up(CHECKED_STATE)),
        "cancellation_fee": lambda: supplier.cancellation_fee(reservation(HELD_HOTEL_STATE), "trip-1"),
        "cancel": lambda: supplier.cancel(reservation(HELD_HOTEL_STATE), "trip-1"),
        "price": lambda: supplier.price(HOTEL_STATE, "trip-1"),
        "search": lambda: supplier.search(search_request(), "trip-1"),
    }[operation]
    with pytest.raises(error):
        await attempt()


CANCELS = [
    ("held", [ok(itinerary(held=True)), DONE], f"DELETE {ITINERARY}"),
    ("confirmed", [ok(itinerary()), DONE], f"DELETE {ITINERARY}/rooms/7"),
    ("confirmed", [ok(itinerary()), rapid_error(400, "room_already_cancelled")], f"DELETE {ITINERARY}/rooms/7"),
    ("confirmed", [ok(itinerary(room("canceled")))], f"GET {ITINERARY}"),
    ("held", [ok(itinerary(held=True)), ACCEPTED], OutcomeUnclear),
    ("confirmed", [ok(itinerary()), ACCEPTED], OutcomeUnclear),
    ("confirmed", [ok(itinerary()), UNAVAILABLE], OutcomeUnclear),
    ("confirmed", [ok(itinerary()), LOST], OutcomeUnclear),
    ("confirmed", [ok(itinerary()), REFUSED], VendorContractBroken),
    ("confirmed", [GONE], OutcomeUnclear),
    ("confirmed", [ok({"itinerary_id": "99"}, 206)], OutcomeUnclear),
    ("confirmed", [ok(itinerary(room("pending")))], OutcomeUnclear),
    # A hold that is not to be seen yet can be dropped by its own link; one that the vendor no longer knows is gone.
    ("held", [GONE, DONE], f"DELETE {ITINERARY}"),
    ("held", [ok({"itinerary_id": "99"}, 206), DONE], f"DELETE {ITINERARY}"),
    ("held", [GONE, GONE], f"DELETE {ITINERARY}"),
]


@pytest.mark.parametrize(("status", "answers", "expected"), CANCELS)
async def test_cancelling(status, answers, expected):
    vendor = Vendor(*answers)
    attempt = hotels(vendor).cancel(reservation(HELD_HOTEL_STATE, status, "99"), "trip-1")
    if isinstance(expected, str):
        assert (await attempt).fee == Money.zero("EUR")
        assert vendor.asked()[-1] == expected
    else:
        with pytest.raises(expected):
            await attempt


# ----------------------------------------------------------------------------------------------------- price and search


@pytest.mark.parametrize(
    ("answer", "price", "reason"),
    [
        (ok(price_check()), PRICE, None),
        (ok(price_check("price_changed", "150.00")), Money(amount_minor=15000, currency="EUR"), None),
        (ok({"status": "sold_out", "links": {}}), None, "sold_out"),
        (rapid_error(400, "invalid_input", "link.invalid"), None, "invalid_input, link.invalid"),
        (GONE, None, "resource_not_found"),
    ],
)
async def test_checking_a_price(answer, price, reason):
    check = await hotels(Vendor(answer)).price(HOTEL_STATE, "trip-1")
    assert (check.price, check.reason) == (price, reason)
    if price:
        assert check.supplier_state == CHECKED_STATE
        assert check.expires_at == NOW + timedelta(minutes=20)


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (ok(price_check()), "confirmed"),
        (ok(price_check("price_changed", "150.00")), "price_changed"),
        (ok({"status": "sold_out"}), "sold_out"),
        (LOST, "VendorUnavailable"),
        (BROKEN, "VendorUnavailable"),
    ],
)
async def test_a_rate_that_was_never_checked_is_checked_first(check, expected):
    vendor = Vendor(check, ok(created_itinerary(hold=True), 201))
    assert await ending(hotels(vendor).hold(reservation_request(HOTEL_STATE))) == expected


async def test_links_are_followed_as_they_are_below_a_prefix():
    vendor = Vendor(ok(price_check()))
    href = "/v3/properties/1/rooms/2/rates/3?token=a%2Bb%3D=&x=1"
    await hotels(vendor, "http://127.0.0.1:9/rapid").price({**HOTEL_STATE, "price_check": href}, "trip-1")
    assert str(vendor.requests[0].url) == f"http://127.0.0.1:9/rapid{href}"


@pytest.mark.parametrize("href", ["https://elsewhere.example/v3/x", "//elsewhere.example/v3/x", "v3/x"])
async def test_links_away_from_the_vendor_are_not_followed(href):
    vendor = Vendor()
    with pytest.raises(VendorContractBroken):
        await hotels(vendor).price({**HOTEL_STATE, "price_check": href}, "trip-1")
    assert vendor.requests == []


async def test_a_search_finds_names_and_asks_for_them_once():
    regions = [{"id": "1", "property_ids": ["1"]}, {"id": "2", "property_ids": ["1"], "property_ids_expanded": ["5"]}]
    vendor = Vendor(ok(regions), ok(availability()), ok(content()), ok(availability()), ok({}))
    supplier = hotels(vendor)
    found = (await supplier.search(search_request(), "trip-1"))[0]
    assert found.supplier_state == HOTEL_STATE
    assert (found.offer.price, found.offer.holdable, found.offer.refundable) == (PRICE, True, True)
    assert (getattr(found.offer, "name", None), getattr(found.offer, "stars", None)) == ("Grand", 4.5)
    await supplier.search(search_request(), "trip-1")
    # The second time only availability, and the content of the property that had none.
    assert vendor.asked()[3:] == ["GET /v3/properties/availability", "GET /v3/properties/content"]
    assert vendor.requests[4].url.params.get_list("property_id") == ["5"]


@pytest.mark.parametrize("answer", [BROKEN, LOST, httpx.Response(200, text="<html>"), GONE])
async def test_hotels_without_content_are_still_offered(answer):
    regions = [{"id": "1", "property_ids": ["1"]}]
    found = await hotels(Vendor(ok(regions), ok(availability()), answer)).search(search_request(), "trip-1")
    assert [getattr(item.offer, "name", None) for item in found] == ["Hotel 1"]


@pytest.mark.parametrize(
    "rate",
    [
        {"merchant_of_record": "property"},
        {"bed_groups": {}},
        {"bed_groups": {"1": {"links": {}}}},
    ],
)
async def test_rates_that_are_not_for_us_are_left_out(rate):
    vendor = Vendor(ok([{"property_ids": ["1"]}]), ok(availability(**rate)), ok(content()))
    assert await hotels(vendor).search(search_request(), "trip-1") == []


async def test_a_day_trip_needs_no_hotel():
    request = search_request()
    assert await hotels(Vendor()).search(request.model_copy(update={"return_date": request.departure_date}), "t") == []


@pytest.mark.parametrize(
    ("name", "expected"), [("O'Neil-Müller", "O'Neil-Müller"), ("<A&B>(C)", "A B C"), ("x" * 80, "x" * 60)]
)
def test_names_are_sent_as_rapid_takes_them(name, expected):
    assert plain(name) == expected


async def test_the_price_moved_is_told_with_the_new_price():
    outcome, _ = await hotels(Vendor(ok(price_check("price_changed", "150.00")))).hold(reservation_request(HOTEL_STATE))
    assert isinstance(outcome, Rejected)
    assert outcome.price == Money(amount_minor=15000, currency="EUR")
