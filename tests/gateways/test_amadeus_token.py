"""Amadeus's token: shared, renewed in time and once at a time, and what happens when it is refused."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from gateways.amadeus import AmadeusFlights
from gateways.http import VendorHttp
from schema.errors import CredentialsRefused, VendorUnavailable
from tests.gateways.amadeus_documents import (
    HOST,
    ORDERS,
    PRICED_STATE,
    TOKEN_ASKED,
    TOKEN_PATH,
    amadeus,
    amadeus_error,
    behind_token,
    gateway,
    order,
    token,
)
from tests.gateways.support import LOST, NOT_CONNECTED, Vendor, ending, reservation_request, search_request

CHECK = "GET /v1/reference-data/locations"
ORDER = f"POST {ORDERS}"
INVALID_CLIENT = httpx.Response(
    401, json={"error": "invalid_client", "error_description": "told", "code": 38187, "title": "Invalid parameters"}
)


def sent_with(vendor: Vendor) -> list[str]:
    return [request.headers.get("authorization", "") for request in vendor.requests]


async def test_one_token_serves_many_calls():
    vendor = behind_token(amadeus([]), amadeus([]))
    supplier = gateway(vendor)
    await supplier.check("trip-1")
    await supplier.check("trip-2")
    assert vendor.asked() == [TOKEN_ASKED, CHECK, CHECK]
    assert sent_with(vendor) == ["", "Bearer first", "Bearer first"]


async def test_a_token_near_its_end_is_renewed_before_it_is_sent():
    vendor = Vendor(token(expires_in=60), amadeus([]), token("second"), amadeus([]))
    supplier = gateway(vendor)
    await supplier.check("trip-1")
    await supplier.check("trip-2")
    assert vendor.asked() == [TOKEN_ASKED, CHECK, TOKEN_ASKED, CHECK]
    assert sent_with(vendor)[3] == "Bearer second"


@pytest.mark.parametrize("code", [38190, 38191, 38192, 38193])
async def test_a_refused_token_is_renewed_and_the_call_made_once_more(code):
    vendor = behind_token(amadeus_error(401, code), token("second"), amadeus([]))
    await gateway(vendor).check("trip-1")
    assert vendor.asked() == [TOKEN_ASKED, CHECK, TOKEN_ASKED, CHECK]
    assert sent_with(vendor)[3] == "Bearer second"


async def test_an_order_is_sent_again_after_a_refused_token_because_nothing_was_done():
    vendor = behind_token(amadeus_error(401, 38192), token("second"), amadeus(order(), 201))
    assert await ending(gateway(vendor).book(reservation_request(PRICED_STATE))) == "confirmed"
    assert vendor.asked() == [TOKEN_ASKED, ORDER, TOKEN_ASKED, ORDER]
    assert vendor.requests[1].content == vendor.requests[3].content


async def test_a_token_that_is_refused_twice_is_a_matter_of_credentials():
    vendor = behind_token(amadeus_error(401, 38190), token("second"), amadeus_error(401, 38190))
    assert await ending(gateway(vendor).book(reservation_request(PRICED_STATE))) == "CredentialsRefused"
    assert vendor.asked().count(ORDER) == 2


@pytest.mark.parametrize("answer", [INVALID_CLIENT, httpx.Response(400), httpx.Response(403, text="<html>")])
async def test_wrong_credentials_are_told(answer):
    vendor = Vendor(answer)
    with pytest.raises(CredentialsRefused) as caught:
        await gateway(vendor).check("trip-1")
    assert "secret=" not in caught.value.message
    assert vendor.asked() == [TOKEN_ASKED]


@pytest.mark.parametrize(
    "answer",
    [
        LOST,
        NOT_CONNECTED,
        httpx.Response(500),
        httpx.Response(404),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"access_token": "first"}),
    ],
)
async def test_without_a_token_an_order_was_not_sent(answer):
    vendor = Vendor(answer)
    assert await ending(gateway(vendor).book(reservation_request(PRICED_STATE))) == "VendorUnavailable"
    assert vendor.asked() == [TOKEN_ASKED]


class SlowVendor:
    """Answers as a network does: not at once, and a token only when it is let go."""

    def __init__(self) -> None:
        self.tokens = 0
        self.asked = asyncio.Event()
        self.let_go = asyncio.Event()

    def supplier(self, read_timeout_s: float = 5) -> AmadeusFlights:
        http = VendorHttp(
            "amadeus",
            HOST,
            booking_timeout_s=5,
            read_timeout_s=read_timeout_s,
            transport=httpx.MockTransport(self._answer),
        )
        return AmadeusFlights(http, "id", "secret", offer_ttl_s=1800)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != TOKEN_PATH:
            return amadeus([])
        self.tokens += 1
        self.asked.set()
        await self.let_go.wait()
        return token(str(self.tokens))


async def test_calls_that_come_together_share_one_renewal():
    vendor = SlowVendor()
    supplier = vendor.supplier()
    calls = [asyncio.create_task(supplier.search(search_request(), f"trip-{number}")) for number in range(3)]
    await vendor.asked.wait()
    vendor.let_go.set()
    await asyncio.gather(*calls)
    assert vendor.tokens == 1


async def test_a_search_does_not_wait_for_a_token_beyond_its_own_deadline():
    vendor = SlowVendor()
    supplier = vendor.supplier(read_timeout_s=0.05)
    booking = asyncio.create_task(supplier.book(reservation_request(PRICED_STATE)))
    await vendor.asked.wait()
    with pytest.raises(VendorUnavailable):
        await supplier.search(search_request(), "trip-2")
    booking.cancel()
    assert vendor.tokens == 1
    with pytest.raises(asyncio.CancelledError):
        await booking
