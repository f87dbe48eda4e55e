"""What works while a part is away: bookings are taken without Temporal, everything without Valkey, and nothing ends in a 500."""

import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api.app import create_app
from schema.bookings import workflow_id_for
from schema.settings import Settings
from store import bookings
from store.database import Database
from tests.api.conftest import Minting, booking_body, running, saved_offers
from tests.api.fakes import FakeVendors
from tests.api.test_health import AWAY


def _without(settings: Settings, part: str, vendors: FakeVendors, **more: object) -> FastAPI:
    return create_app(settings.model_copy(update=AWAY[part] | more), vendors)


async def test_without_temporal_a_booking_is_stored_and_started_by_a_repeat(
    settings: Settings, vendors: FakeVendors, mint: Minting, database: Database, app: FastAPI, temporal: Client
) -> None:
    async with running(_without(settings, "temporal", vendors)) as alone:
        caller = await mint(of=alone)
        body = booking_body(await saved_offers(database, caller.client_id))
        first = await caller.post("/v1/bookings", body, key="temporal-is-away")
        assert (first.status_code, first.json()["state"]) == (202, "PENDING"), first.text
        booking_id = first.json()["booking_id"]
        live = (await caller.get(f"/v1/bookings/{booking_id}?live=true")).json()
        assert (live["live"], live["live_unavailable"]) == (None, "the workflow did not answer in time")
    async with database.read() as connection:
        stored = await bookings.get(connection, booking_id)
    assert stored is not None
    assert stored.workflow_started_at is None
    caller.http._transport.app = app  # pyright: ignore[reportPrivateUsage]  # the same client, Temporal is back
    second = await caller.post("/v1/bookings", body, key="temporal-is-away")
    assert second.headers["idempotent-replayed"] == "true"
    assert await temporal.get_workflow_handle(workflow_id_for(booking_id)).query("called") == []


async def test_without_temporal_what_needs_it_says_so(
    settings: Settings, vendors: FakeVendors, mint: Minting, database: Database
) -> None:
    async with running(_without(settings, "temporal", vendors)) as alone:
        caller = await mint(of=alone)
        body = booking_body(await saved_offers(database, caller.client_id))
        path = f"/v1/bookings/{(await caller.post('/v1/bookings', body)).json()['booking_id']}"
        price = {"total": {"amount_minor": 500, "currency": "EUR"}}
        answer = await caller.post(f"{path}/price-acceptance", price, key="not-now-but-later")
        assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        # The key is free again: the same request may be sent again.
        assert (await caller.post(f"{path}/price-acceptance", price, key="not-now-but-later")).status_code == 503
        token = (await caller.post(f"{path}/cancellation", {})).json()["token"]
        assert (await caller.post(f"{path}/cancellation", {"token": token})).status_code == 503


async def test_without_valkey_everything_works(
    settings: Settings, vendors: FakeVendors, mint: Minting, database: Database, temporal: Client
) -> None:
    async with running(_without(settings, "valkey", vendors)) as alone:
        caller = await mint(of=alone)
        body = booking_body(await saved_offers(database, caller.client_id))
        made = (await caller.post("/v1/bookings", body)).json()
        path, price = (
            f"/v1/bookings/{made['booking_id']}/price-acceptance",
            {"total": {"amount_minor": 9, "currency": "EUR"}},
        )
        first, second = [await caller.post(path, price, key="valkey-is-away") for _ in range(2)]
        assert (first.status_code, second.status_code) == (200, 200)
        assert second.headers["idempotent-replayed"] == "true"
        assert await temporal.get_workflow_handle(workflow_id_for(made["booking_id"])).query("called") == [
            "accept_price"
        ]


@pytest.mark.parametrize("path", ["/v1/bookings", "/v1/ops/cases"])
async def test_without_postgresql_it_is_a_503(path, settings: Settings, vendors: FakeVendors, mint: Minting) -> None:
    async with running(_without(settings, "postgresql", vendors)) as alone:
        answer = await (await mint(of=alone)).get(path)
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    assert "127.0.0.1" not in answer.text


async def test_a_full_house_takes_nothing_in(
    settings: Settings, vendors: FakeVendors, mint: Minting, database: Database, temporal: Client
) -> None:
    async with running(create_app(settings, vendors)) as open_house:
        caller = await mint(of=open_house)
        found = await saved_offers(database, caller.client_id)
        first = await caller.post("/v1/bookings", booking_body(found), key="before-it-was-full")
    async with running(create_app(settings.model_copy(update={"sagas_in_flight": 1}), vendors)) as full:
        caller.http._transport.app = full  # pyright: ignore[reportPrivateUsage]
        refused = await caller.post("/v1/bookings", booking_body(found[:1]))
        assert (refused.status_code, refused.json()["code"]) == (503, "too_busy")
        assert int(refused.headers["retry-after"]) >= 1
        repeated = await caller.post("/v1/bookings", booking_body(found), key="before-it-was-full")
        assert repeated.json() == first.json()
        assert len((await caller.get("/v1/bookings")).json()["bookings"]) == 1


async def test_a_bug_is_a_500_without_a_word_of_it(app: FastAPI, mint: Minting, vendors, monkeypatch) -> None:
    caller = await mint()

    async def broken(*_: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("api.routes.bookings.bookings.page", broken)
    answer = await caller.http.get("/v1/bookings", headers={"X-Correlation-Id": "find-me-in-the-log"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "hunter2" not in answer.text
    assert answer.headers["x-correlation-id"] == "find-me-in-the-log"
