"""Every request that the Avis gateway sends is one that our derived contract of Avis allows.

The vendor here only gives the answers that make the gateway send its next request; the contract judges what was sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from gateways.avis import AvisCars
from tests.contracts import avis_spec
from tests.gateways.avis_documents import (
    BOOKED_STATE,
    CLIENT_ID,
    FOUND_STATE,
    NUMBER,
    QUOTED_STATE,
    avis,
    behind_token,
    desk,
    desks,
    gateway,
    quote,
    reserved,
    vehicles,
)
from tests.gateways.support import Vendor, look_up, reservation, reservation_request, search_request

pytestmark = pytest.mark.contract

Supplied = Callable[[AvisCars], Awaitable[object]]
BOOKED = reservation(BOOKED_STATE, reference=NUMBER)
PARAMETERS = {
    "/oauth/token/v2": set(),
    "/cars/locations/v2/keyword": {"brand", "keyword"},
    "/cars/catalog/v2/vehicles": {
        "brand", "pickup_date", "pickup_location", "dropoff_date", "dropoff_location", "country_code", "age", "paperless"
    },
    "/cars/reservation/v2": {"brand", "confirmation_number", "last_name"},
}  # fmt: skip
"""What is asked for with GET. The judge overlooks parameters that it does not know."""

CASES: dict[str, tuple[Vendor, Supplied, int]] = {
    "search": (
        behind_token(desks(desk("Avis"), desk()), vehicles(), vehicles()),
        lambda s: s.search(search_request(travellers=2), "trip-1"),
        4,
    ),
    "check": (behind_token(desks()), lambda s: s.check("trip-1"), 2),
    "price": (behind_token(quote()), lambda s: s.price(FOUND_STATE, "trip-1"), 2),
    "book": (behind_token(reserved(201)), lambda s: s.book(reservation_request(QUOTED_STATE)), 2),
    "book without a quote": (
        behind_token(quote(), reserved(201)),
        lambda s: s.book(reservation_request(FOUND_STATE)),
        3,
    ),
    "find": (behind_token(reserved()), lambda s: s.find(look_up(QUOTED_STATE, NUMBER)), 2),
    "cancellation fee": (behind_token(reserved()), lambda s: s.cancellation_fee(BOOKED, "trip-1"), 2),
    "cancel": (behind_token(avis()), lambda s: s.cancel(BOOKED, "trip-1"), 2),
}


@pytest.mark.parametrize(
    ("vendor", "operation", "requests"), [pytest.param(*case, id=name) for name, case in CASES.items()]
)
async def test_avis(vendor, operation, requests):
    await operation(gateway(vendor))
    assert len(vendor.requests) == requests
    for request in vendor.requests:
        avis_spec.contract().check_request(request, request.url.path)
        assert set(request.url.params) <= PARAMETERS.get(request.url.path, set())
        assert request.headers["client_id"] == CLIENT_ID
        assert request.headers["x-correlation-id"] == "trip-1"
        is_token = request.url.path == "/oauth/token/v2"
        assert ("client_secret" in request.headers) == is_token, "the secret goes nowhere else"
        assert is_token or request.headers["authorization"] == "Bearer first"
