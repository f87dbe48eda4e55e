"""The access token: shared, renewed in time and by one caller at a time, and what happens when it is refused."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from gateways.avis import AvisCars
from gateways.avis_wire import AvisWire
from gateways.http import VendorHttp
from schema.errors import CredentialsRefused, VendorUnavailable
from tests.gateways.avis_documents import (
    CLIENT_ID,
    HOST,
    LOCATIONS,
    NUMBER,
    QUOTED_STATE,
    RESERVE,
    TOKEN,
    behind_token,
    desks,
    gateway,
    reserved,
    token,
)
from tests.gateways.support import LOST, Vendor, ending, look_up, reservation_request

HTML = httpx.Response(502, text="<html>Bad Gateway</html>")
UNAUTHORISED = httpx.Response(401, json={"error": "invalid_grant", "error_description": "token not found"})


class SlowToken:
    """A vendor whose token comes when the test lets it."""

    def __init__(self, read_timeout_s: float) -> None:
        self.asked: list[str] = []
        self.let_go = asyncio.Event()
        self.waiting = asyncio.Event()
        http = VendorHttp(
            "avis",
            HOST,
            booking_timeout_s=5,
            read_timeout_s=read_timeout_s,
            transport=httpx.MockTransport(self._answer),
        )
        self.supplier = AvisCars(AvisWire(http, CLIENT_ID, "secret"), offer_ttl_s=1800)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        asked = f"{request.method} {request.url.path}"
        self.asked.append(asked)
        if asked != TOKEN:
            return desks() if asked == LOCATIONS else reserved()
        self.waiting.set()
        await self.let_go.wait()
        return token()


async def test_calls_at_the_same_time_share_one_renewal():
    vendor = SlowToken(read_timeout_s=5)
    calls = [asyncio.create_task(vendor.supplier.check("trip-1")) for _ in range(3)]
    await vendor.waiting.wait()
    vendor.let_go.set()
    await asyncio.gather(*calls)
    assert vendor.asked == [TOKEN, *[LOCATIONS] * 3]


async def test_nobody_waits_for_anothers_renewal_beyond_the_own_deadline():
    vendor = SlowToken(read_timeout_s=0.05)
    patient = asyncio.create_task(vendor.supplier.find(look_up(QUOTED_STATE, NUMBER)))
    await vendor.waiting.wait()
    with pytest.raises(VendorUnavailable):
        await vendor.supplier.check("trip-1")
    vendor.let_go.set()
    assert await patient is not None


async def test_one_token_serves_many_calls():
    vendor = behind_token(desks(), desks())
    supplier = gateway(vendor)
    await supplier.check("trip-1")
    await supplier.check("trip-2")
    assert vendor.asked() == [TOKEN, LOCATIONS, LOCATIONS]
    assert [request.headers.get("authorization") for request in vendor.requests][1:] == ["Bearer first"] * 2


async def test_a_token_near_its_end_is_renewed():
    vendor = Vendor(token(expires_in=60), desks(), token("second"), desks())
    supplier = gateway(vendor)
    await supplier.check("trip-1")
    await supplier.check("trip-1")
    assert vendor.requests[3].headers["authorization"] == "Bearer second"


async def test_a_refused_token_is_renewed_once_also_for_a_reservation():
    vendor = behind_token(UNAUTHORISED, token("second"), reserved(201))
    assert await ending(gateway(vendor).book(reservation_request(QUOTED_STATE))) == "confirmed"
    assert vendor.asked() == [TOKEN, RESERVE, TOKEN, RESERVE]
    vendor = behind_token(UNAUTHORISED, token("second"), UNAUTHORISED)
    assert await ending(gateway(vendor).book(reservation_request(QUOTED_STATE))) == "CredentialsRefused"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(400, json={"error": "invalid_request", "error_description": "told"}), CredentialsRefused),
        (UNAUTHORISED, CredentialsRefused),
        (HTML, VendorUnavailable),
        (LOST, VendorUnavailable),
        (httpx.Response(200, json={"token_type": "Bearer"}), VendorUnavailable),
    ],
)
async def test_without_a_token_nothing_was_reserved(answer, error):
    vendor = Vendor(answer)
    with pytest.raises(error):
        await gateway(vendor).book(reservation_request(QUOTED_STATE))
    assert vendor.asked() == [TOKEN]
