"""Every request that the LiteAPI gateway sends is one that LiteAPI's contract allows, at the host that the contract names.

The vendor here only gives the answers that make the gateway send its next request; the contract judges what was sent.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import httpx
import pytest
from openapi_core import OpenAPI

from gateways.liteapi import LiteApiHotels
from tests.contracts import spec
from tests.gateways.liteapi_documents import (
    BOOKING_HOST,
    BOOKING_ID,
    FOUND_STATE,
    PREBOOKED_STATE,
    SEARCH_HOST,
    booking,
    cancellation,
    data,
    gateway,
    not_found,
    prebook,
    rates,
)
from tests.gateways.support import NOW, Vendor, look_up, reservation, reservation_request, search_request

pytestmark = pytest.mark.contract

Supplied = Callable[[LiteApiHotels], Awaitable[object]]
BOOKED = reservation({}, reference=BOOKING_ID)

CASES: dict[str, tuple[Vendor, Supplied, int]] = {
    "search": (Vendor(rates()), lambda s: s.search(search_request(travellers=2), "trip-1"), 1),
    "check": (Vendor(data([])), lambda s: s.check("trip-1"), 1),
    "price": (Vendor(prebook()), lambda s: s.price(FOUND_STATE, "trip-1"), 1),
    "book": (Vendor(data(booking())), lambda s: s.book(reservation_request(PREBOOKED_STATE, count=2)), 1),
    "book without a price check": (
        Vendor(prebook(), data(booking())),
        lambda s: s.book(reservation_request(FOUND_STATE)),
        2,
    ),
    "find": (
        Vendor(not_found(), data([booking()])),
        lambda s: s.find(look_up(PREBOOKED_STATE, BOOKING_ID)),
        2,
    ),
    "list": (Vendor(data([])), lambda s: s.list_reservations(NOW, None, "trip-1"), 1),
    "cancellation fee": (Vendor(data(booking())), lambda s: s.cancellation_fee(BOOKED, "trip-1"), 1),
    "cancel": (Vendor(data(cancellation(cancellation_fee=0))), lambda s: s.cancel(BOOKED, "trip-1"), 1),
    "cancelled before": (
        Vendor(httpx.Response(304), data(booking("CANCELLED"))),
        lambda s: s.cancel(BOOKED, "trip-1"),
        2,
    ),
}


@cache
def _judge(name: str) -> spec.Contract:
    """The contract with the bodies of its requests closed: it leaves them open, and would overlook a misspelt field."""
    document = json.loads((spec.directory() / name).read_bytes())
    for operations in document["paths"].values():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                _close(content["schema"])
    return spec.Contract(OpenAPI.from_dict(document))


def _close(schema: dict[str, Any]) -> None:
    """This object and those within it. A part of an `anyOf` is closed like any other: the contract's have no fields beside it."""
    if "properties" in schema:
        schema.setdefault("additionalProperties", False)
    within = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    for nested in [*within, *([schema["items"]] if "items" in schema else [])]:
        _close(nested)


@pytest.mark.parametrize(
    ("vendor", "operation", "requests"), [pytest.param(*case, id=name) for name, case in CASES.items()]
)
async def test_liteapi(vendor, operation, requests):
    documents = {SEARCH_HOST: "liteapi/search.json", BOOKING_HOST: "liteapi/booking.json"}
    for name in documents.values():
        if not spec.available(name):
            pytest.skip(
                f"no {name} in {spec.directory()}: set VENDOR_SPECS to the folder of the vendors' specifications"
            )
    await operation(gateway(vendor))
    assert len(vendor.requests) == requests
    for request in vendor.requests:
        host = f"https://{request.url.host}"
        _judge(documents[f"{host}/v3.0"]).check_request(request, request.url.path, host)
        assert set(request.url.params) <= {"clientReference", "bookingStartDate"}, (
            "the judge overlooks parameters that it does not know"
        )
        assert request.headers["x-api-key"] == "sand_key"
        assert request.headers["x-correlation-id"] == "trip-1"
