"""Who may do what: tokens, scopes, and the few doors that are open to everyone."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, update

from schema.tables import api_clients
from store.database import Database
from tests.api import conftest
from tests.api.conftest import Caller, Minting, speak

EXAMPLES = {
    "booking_id": "01JABCDEFGHJKMNPQRSTVWXYZ0",
    "itinerary_id": "itn_01JABCDEFGHJKMNPQRSTVWXYZ0",
    "disruption_id": "itn_01JABCDEFGHJKMNPQRSTVWXYZ0-BA500-2030-03-01-LHR-1",
    "search_id": "sea_01JABCDEFGHJKMNPQRSTVWXYZ0",
    "payment_id": "pay_01JABCDEFGHJKMNPQRSTVWXYZ00",
    "endpoint_id": "we_01JABCDEFGHJKMNPQRSTVWXYZ0",
    "delivery_id": f"msg_{'0' * 32}",
    "case_id": "case-1",
    "dead_letter_id": "dl_01JABCDEFGHJKMNPQRSTVWXYZ0",
    "run_id": "reconciliation-1",
    "device_id": "dev_01JABCDEFGHJKMNPQRSTVWXYZ0",
    "flight_key": "BA500-2030-03-01-LHR",
}
BOOKING = "/v1/bookings/{booking_id}"
SEARCH = "/v1/searches/{search_id}"
ITINERARY = "/v1/itineraries/{itinerary_id}"
ENDPOINT = "/v1/webhook-endpoints/{endpoint_id}"
ROUTES = {
    ("POST", "/v1/searches"): "searches:write",
    ("GET", SEARCH): "searches:write",
    ("GET", f"{SEARCH}/stream"): "searches:write",
    ("POST", "/v1/bookings"): "bookings:write",
    ("GET", "/v1/bookings"): "bookings:read",
    ("GET", BOOKING): "bookings:read",
    ("GET", f"{BOOKING}/events"): "bookings:read",
    ("GET", f"{BOOKING}/statement"): "bookings:read or ops:read",
    ("POST", f"{BOOKING}/price-acceptance"): "bookings:write",
    ("POST", f"{BOOKING}/cancellation"): "bookings:write",
    ("GET", "/v1/itineraries/{itinerary_id}/disruptions"): "itineraries:read",
    ("GET", "/v1/disruptions/{disruption_id}"): "itineraries:read",
    ("POST", "/v1/disruptions/{disruption_id}/choice"): "itineraries:write",
    ("GET", "/v1/payments/{payment_id}"): "payments:read",
    ("GET", "/v1/itineraries"): "itineraries:read",
    ("GET", ITINERARY): "itineraries:read",
    ("GET", f"{ITINERARY}.ics"): "itineraries:read",
    ("POST", "/v1/webhook-endpoints"): "webhooks:write",
    ("GET", "/v1/webhook-endpoints"): "webhooks:read",
    ("GET", ENDPOINT): "webhooks:read",
    ("PATCH", ENDPOINT): "webhooks:write",
    ("DELETE", ENDPOINT): "webhooks:write",
    ("POST", f"{ENDPOINT}/rotate-secret"): "webhooks:write",
    ("GET", f"{ENDPOINT}/deliveries"): "webhooks:read",
    ("POST", ENDPOINT + "/deliveries/{delivery_id}/replay"): "webhooks:write",
    ("GET", "/v1/me/events"): "me:read",
    ("GET", "/v1/me/preferences"): "me:read",
    ("PUT", "/v1/me/preferences"): "me:write",
    ("POST", "/v1/me/devices"): "me:write",
    ("GET", "/v1/me/devices"): "me:read",
    ("DELETE", "/v1/me/devices/{device_id}"): "me:write",
    ("GET", "/v1/me/notifications"): "me:read",
    ("GET", "/v1/ops/flights/{flight_key}"): "ops:read",
    ("GET", "/v1/ops/cases"): "ops:read",
    ("GET", "/v1/ops/cases/{case_id}"): "ops:read",
    ("POST", "/v1/ops/cases/{case_id}/resolution"): "ops:write",
    ("GET", "/v1/ops/search-cache"): "ops:read",
    ("GET", "/v1/ops/dead-letters"): "ops:read",
    ("GET", "/v1/ops/dead-letters/{dead_letter_id}"): "ops:read",
    ("POST", "/v1/ops/dead-letters/{dead_letter_id}/replay"): "ops:write",
    ("POST", "/v1/ops/dead-letters/{dead_letter_id}/repair"): "ops:write",
    ("POST", "/v1/ops/dead-letters/{dead_letter_id}/drop"): "ops:write",
    ("GET", "/v1/ops/reconciliations"): "ops:read",
    ("GET", "/v1/ops/reconciliations/{run_id}"): "ops:read",
    ("POST", "/v1/ops/reconciliations"): "ops:write",
}
"""The right that is enough, or several of which one is."""
OPEN = {
    *("/v1/webhooks/{vendor}", "/v1/webhooks/sendgrid", "/v1/webhooks/twilio"),
    *("/health/live", "/health/ready", "/health/startup"),
}


def test_every_route_is_known_here(app: FastAPI) -> None:
    documented = set(app.openapi()["paths"])
    assert documented == {path for _, path in ROUTES} | OPEN


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer ", "Bearer wrong", "Basic dTpw", "Bearer tök\xff", "bearer  x y"]
)
async def test_without_a_good_token_nothing_is_answered(method, path, header, app: FastAPI) -> None:
    async with speak(app) as http:
        headers = {} if header is None else {"Authorization": header.encode("latin-1")}
        answer = await http.request(method, path.format(**EXAMPLES), headers=headers, content=b"{not json")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_scope_but_the_right_one_is_forbidden(method, path, mint: Minting) -> None:
    right = ROUTES[method, path]
    caller = await mint([scope for scope in conftest.SCOPES if scope not in right.split(" or ")])
    answer = await caller.http.request(method, path.format(**EXAMPLES))
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    assert right in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_the_right_scope_alone_is_enough(method, path, mint: Minting) -> None:
    for scope in ROUTES[method, path].split(" or "):
        caller = await mint([scope])
        answer = await caller.http.request(method, path.format(**EXAMPLES))
        assert answer.status_code not in (401, 403)


async def test_a_disabled_client_is_out(caller: Caller, database: Database, app: FastAPI) -> None:
    async with database.transaction() as connection:
        disable = update(api_clients).where(api_clients.c.id == caller.client_id).values(disabled_at=func.now())
        await connection.execute(disable)
    assert (await caller.get("/v1/bookings")).status_code == 401


async def test_tokens_are_remembered_for_a_few_seconds_only(caller: Caller, database, monkeypatch) -> None:
    now = 1000.0
    monkeypatch.setattr("api.auth.monotonic", lambda: now)
    assert (await caller.get("/v1/bookings")).status_code == 200
    async with database.transaction() as connection:
        await connection.execute(update(api_clients).where(api_clients.c.id == caller.client_id).values(scopes=[]))
    assert (await caller.get("/v1/bookings")).status_code == 200
    now += 6
    assert (await caller.get("/v1/bookings")).status_code == 403


async def test_the_open_doors(app: FastAPI) -> None:
    async with speak(app) as http:
        answers: list[httpx.Response] = [
            await http.get(path) for path in ("/health/live", "/health/ready", "/openapi.json")
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
