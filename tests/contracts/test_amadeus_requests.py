"""Every request that the Amadeus gateway sends is one that Amadeus's contract allows.

The vendor here only gives the answers that make the gateway send its next request; the contract judges what was sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

import httpx
import pytest

from gateways.amadeus import AmadeusFlights
from tests.contracts import amadeus_spec
from tests.gateways.amadeus_documents import (
    FOUND_STATE,
    ORDERED_STATE,
    PRICED_STATE,
    TOKEN_PATH,
    amadeus,
    amadeus_error,
    behind_token,
    gateway,
    offer,
    order,
    priced,
)
from tests.gateways.support import Vendor, look_up, reservation, reservation_request, search_request
from tests.gateways.test_amadeus_status import FLIGHT, dated
from tests.gateways.test_amadeus_status import gateway as status_gateway

pytestmark = pytest.mark.contract

Supplied = Callable[[AmadeusFlights], Awaitable[object]]
FOR_TWO = {"flight_offer": offer(count=2), "traveller_ids": ["1", "2"], "priced": True}
CREATED = amadeus(order(), 201)

CASES: dict[str, tuple[Vendor, Supplied, int]] = {
    "search": (
        behind_token(amadeus([offer(count=9)])),
        lambda s: s.search(search_request(travellers=9, cabin="premium_economy"), "trip-1"),
        2,
    ),
    "search one way": (
        behind_token(amadeus([offer()])),
        lambda s: s.search(search_request(return_date=None, kinds=["flight"]), "trip-1"),
        2,
    ),
    "check": (behind_token(amadeus([])), lambda s: s.check("trip-1"), 2),
    "price": (behind_token(priced(offer())), lambda s: s.price(FOUND_STATE, "trip-1"), 2),
    "book": (behind_token(CREATED), lambda s: s.book(reservation_request(PRICED_STATE)), 2),
    "book for two": (behind_token(CREATED), lambda s: s.book(reservation_request(FOR_TWO, count=2)), 2),
    "book without a price check": (
        behind_token(priced(offer()), CREATED),
        lambda s: s.book(reservation_request(FOUND_STATE)),
        3,
    ),
    "find": (behind_token(amadeus(order())), lambda s: s.find(look_up(ORDERED_STATE, "1")), 2),
    "cancellation fee": (
        behind_token(amadeus(order())),
        lambda s: s.cancellation_fee(reservation(ORDERED_STATE), "trip-1"),
        2,
    ),
    "cancel": (behind_token(httpx.Response(204)), lambda s: s.cancel(reservation(ORDERED_STATE), "trip-1"), 2),
    "cancelled before": (
        behind_token(amadeus_error(400, 4926), amadeus_error(404, 1797)),
        lambda s: s.cancel(reservation(ORDERED_STATE), "trip-1"),
        3,
    ),
}


@pytest.mark.parametrize(
    ("vendor", "operation", "requests"), [pytest.param(*case, id=name) for name, case in CASES.items()]
)
async def test_amadeus(vendor, operation, requests):
    amadeus_spec.require()
    await operation(gateway(vendor))
    assert len(vendor.requests) == requests
    for request in vendor.requests:
        amadeus_spec.check_request(request, request.url.path)
        assert request.headers["x-correlation-id"] == "trip-1"
        if request.url.path != TOKEN_PATH:
            assert request.headers["authorization"] == "Bearer first"


@pytest.mark.parametrize("number", ["487", "487A"])
async def test_the_status_of_a_flight(number):
    amadeus_spec.require()
    vendor = behind_token(amadeus([dated()]))
    await status_gateway(vendor).status(FLIGHT.model_copy(update={"number": number}), "trip-1")
    amadeus_spec.check_request(vendor.requests[1], vendor.requests[1].url.path)


async def test_the_token_is_asked_for_with_our_credentials():
    vendor = behind_token(amadeus([]))
    await gateway(vendor).check("trip-1")
    assert parse_qs(vendor.requests[0].content.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["id"],
        "client_secret": ["secret"],
    }
