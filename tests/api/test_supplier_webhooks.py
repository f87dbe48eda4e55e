"""Webhooks of suppliers: the real sandbox tells the real API, which drops what is not to be had any more, now or at the next sweep."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pydantic import HttpUrl, RedisDsn
from sqlalchemy import select, update
from temporalio.client import Client

from activities.sweeping import Sweeping, SweepInput
from api.app import create_app
from gateways.ports import Vendors
from gateways.registry import build_vendors
from schema.offers import FlightOffer, FlightSegment, FoundOffer
from schema.outcomes import Confirmed
from schema.searches import Entry
from schema.settings import Settings
from schema.tables import dead_letters, inbox, offers
from store import search_cache, searches
from store.database import Database
from store.valkey import Valkey
from tests.api.conftest import running, speak
from tests.api.live import served
from tests.gateways.support import reservation_request, search_request
from tests.sandbox.conftest import RunningSandbox, serve

PATH = "/v1/webhooks/duffel"
CHANGE = "order.airline_initiated_change_detected"
LISTED = "/air/airline_initiated_changes"
MINUTES = 45


@pytest.fixture(scope="module")
def duffel() -> Iterator[RunningSandbox]:
    with serve(seed=23) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def sandbox(duffel: RunningSandbox) -> RunningSandbox:
    duffel.control.post("/reset")
    return duffel


@pytest.fixture
def pushed(settings: Settings, sandbox: RunningSandbox) -> Settings:
    """Settings with this sandbox's Duffel."""
    return settings.model_copy(update={"duffel_url": HttpUrl(f"{sandbox.url}/duffel")})


@pytest_asyncio.fixture(loop_scope="session")
async def real(pushed: Settings) -> AsyncIterator[Vendors]:
    registry = build_vendors(pushed)
    yield registry
    await registry.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def valkey(settings: Settings) -> AsyncIterator[Valkey]:
    opened = Valkey(str(settings.valkey_url))
    yield opened
    await opened.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def api(pushed: Settings, real: Vendors, temporal: Client) -> AsyncIterator[FastAPI]:
    async with running(create_app(pushed, real)) as opened:
        yield opened


@pytest.fixture
def sweep(database: Database, valkey: Valkey, real: Vendors, temporal: Client, settings: Settings):
    async def run() -> None:
        await Sweeping(database, valkey, real, temporal, settings).sweep_admissions(SweepInput(older_than_s=0))

    return run


@dataclass
class Shelf:
    """A booked order, and what the cache has of its flights and of others. Each entry has one offer; their names say what it is."""

    order_id: str
    database: Database
    valkey: Valkey
    offers: dict[str, str] = field(default_factory=dict)

    async def put(self, name: str, offer: FlightOffer, segments: list[FlightSegment], supplier: str = "duffel") -> None:
        moment, entry_id = datetime.now(UTC), f"ent_{uuid4().hex}"
        kept = offer.model_copy(update={"offer_id": f"off_{uuid4().hex}", "segments": segments, "supplier": supplier})
        entry = Entry(
            entry_id=entry_id,
            cache_key=f"{self.order_id}:{name}",
            supplier=supplier,
            kind="flight",
            found_at=moment,
            fresh_until=moment + timedelta(minutes=30),
            version_tag="1",
            offers=[kept],
        )
        async with self.database.transaction() as connection:
            await searches.add_entry(connection, entry, search_request(), [FoundOffer(offer=kept, supplier_state={})])
        await search_cache.write(self.valkey, entry, 1_000_000)
        self.offers[name] = kept.offer_id

    async def cached(self) -> set[str]:
        keys = {f"{self.order_id}:{name}": name for name in self.offers}
        return {keys[key] for key in await search_cache.read(self.valkey, list(keys))}

    async def bookable(self) -> set[str]:
        fresh = select(offers.c.id).where(offers.c.id.in_(self.offers.values()), offers.c.stale_at.is_(None))
        async with self.database.read() as connection:
            ids = set(await connection.scalars(fresh))
        return {name for name, offer_id in self.offers.items() if offer_id in ids}


Stocking = Callable[[], Awaitable[Shelf]]
EVERYTHING = {"booked", "with another way back", "as it will be", "other way out", "of another supplier"}
UNTOUCHED = {"other way out", "of another supplier"}


@pytest.fixture
def stocked(real: Vendors, database: Database, valkey: Valkey) -> Stocking:
    """An order at Duffel, and a cache that shows its flights in several combinations."""

    async def make() -> Shelf:
        supplier = real.supplier("duffel")
        found = await supplier.search(search_request(), "stock")
        offer = found[0].offer
        assert isinstance(offer, FlightOffer)
        outcome, _ = await supplier.book(reservation_request(found[0].supplier_state, offer.price))
        assert isinstance(outcome, Confirmed), outcome
        turn = [segment.destination for segment in offer.segments].index(search_request().destination) + 1
        out, back = offer.segments[:turn], offer.segments[turn:]
        other = [segment.model_copy(update={"number": "9999"}) for segment in out]
        later = [moved(segment) for segment in out]
        shelf = Shelf(outcome.provider_reference, database, valkey)
        await shelf.put("booked", offer, offer.segments)
        await shelf.put("with another way back", offer, [*out, *(moved(segment) for segment in back)])
        await shelf.put("as it will be", offer, [*later, *back])
        await shelf.put("other way out", offer, [*other, *back])
        await shelf.put("of another supplier", offer, offer.segments, supplier="amadeus")
        assert await shelf.cached() == await shelf.bookable() == EVERYTHING
        return shelf

    return make


def moved(segment: FlightSegment) -> FlightSegment:
    by = timedelta(minutes=MINUTES)
    return segment.model_copy(update={"departs_at": segment.departs_at + by, "arrives_at": segment.arrives_at + by})


def change(sandbox: RunningSandbox, order_id: str) -> None:
    body = {"order_id": order_id, "minutes": MINUTES}
    assert sandbox.control.post("/duffel/airline_change", json=body).status_code == 201


async def kept(database: Database, event_id: str):
    async with database.read() as connection:
        return (await connection.execute(select(inbox).where(inbox.c.event_id == event_id))).one_or_none()


def event_about(order_id: str) -> dict[str, object]:
    about = {"id": order_id, "aic_id": "aic_1"}
    return {"id": f"wev_{uuid4().hex}", "type": CHANGE, "api_version": "v2", "data": {"object": about}}


async def send(
    app: FastAPI,
    settings: Settings,
    event: dict[str, object],
    *,
    age_s: float = 0,
    secret: str | None = None,
    **headers,
) -> httpx.Response:
    """Posts the event, signed as Duffel does; returns when the application is done with it, also after its answer."""
    assert settings.duffel_webhook_secret is not None
    key = settings.duffel_webhook_secret.get_secret_value() if secret is None else secret
    body, signed_at = json.dumps(event).encode(), int(time.time() - age_s)
    signature = hmac.new(key.encode(), f"{signed_at}.".encode() + body, sha256).hexdigest()
    async with speak(app) as http:
        return await http.post(
            PATH, content=body, headers={"X-Duffel-Signature": f"t={signed_at},v1={signature}"} | headers
        )


async def test_a_schedule_change_drops_what_shows_the_flights_and_nothing_else(
    api: FastAPI, pushed: Settings, sandbox: RunningSandbox, stocked: Stocking, database: Database
) -> None:
    shelf = await stocked()
    async with served(api) as port:
        target = {
            "url": f"http://127.0.0.1:{port}{PATH}",
            "secret": pushed.duffel_webhook_secret.get_secret_value(),
            "mode": "doubled",
        }
        assert sandbox.control.put("/duffel/webhook", json=target).status_code == 200
        change(sandbox, shelf.order_id)
        async with asyncio.timeout(10):
            while await shelf.cached() != UNTOUCHED:  # noqa: ASYNC110  # nothing in this process says that the sandbox has sent
                await asyncio.sleep(0.01)
    assert await shelf.bookable() == UNTOUCHED
    async with database.read() as connection:
        rows = (await connection.execute(select(inbox).where(inbox.c.subject == shelf.order_id))).all()
    assert [(row.vendor, row.type, row.handled_at is not None) for row in rows] == [("duffel", CHANGE, True)]


async def test_what_was_handled_is_not_handled_again(
    api: FastAPI, pushed: Settings, sandbox: RunningSandbox, stocked: Stocking
) -> None:
    shelf = await stocked()
    asked = sandbox.fault(vendor="duffel", path=LISTED, action="delay", delay_s=1, nth=1000)
    event = event_about(shelf.order_id)
    assert [(await send(api, pushed, event)).status_code for _ in range(3)] == [200] * 3
    (rule,) = [rule for rule in sandbox.control.get("/faults").json() if rule["id"] == asked]
    assert rule["matched"] == 2, "once for travellers, once for searches"


async def test_an_event_about_nothing_is_kept_and_done(
    api: FastAPI, pushed: Settings, sandbox: RunningSandbox, database: Database
) -> None:
    sandbox.fault(vendor="duffel", action="server_error", times=None)
    event = event_about("ord_1") | {"type": "order.created"}
    assert (await send(api, pushed, event)).status_code == 200
    assert (await kept(database, str(event["id"]))).handled_at is not None


@pytest.mark.parametrize(
    "wrong", [{"secret": "another"}, {"age_s": 400}, {"X-Duffel-Signature": ""}, {"X-Duffel-Signature": b"sch\xf6n"}]
)
async def test_without_a_good_signature_nothing_is_kept(
    wrong, api: FastAPI, pushed: Settings, database: Database
) -> None:
    event = event_about("ord_1")
    answer = await send(api, pushed, event, **wrong)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")
    assert await kept(database, str(event["id"])) is None


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        ({"id": "e" * 300, "type": "order.created", "data": {}}, "unusable_ids"),
        ({"id": "a\x00b", "type": "order.created", "data": {}}, "unusable_ids"),
        ({"type": "order.created"}, "unreadable"),
        ({"id": "wev_without_an_order", "type": CHANGE}, "unreadable"),
    ],
)
async def test_a_signed_event_that_cannot_be_used_is_a_dead_letter(
    event, cause: str, api: FastAPI, pushed: Settings, database: Database
) -> None:
    since = datetime.now(UTC)
    assert (await send(api, pushed, event)).status_code == 200
    async with database.read() as connection:
        letter = (await connection.execute(select(dead_letters).where(dead_letters.c.first_failed_at >= since))).one()
    assert (letter.vendor, letter.cause) == ("duffel", cause)
    usable = event.get("id") == "wev_without_an_order"
    assert letter.event_id.startswith("wev_without_an_order" if usable else "sha256:")


async def test_a_body_over_the_limit_is_refused(api: FastAPI, pushed: Settings) -> None:
    answer = await send(api, pushed, {"id": "x" * 300_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_who_is_not_configured_does_not_exist(pushed: Settings, api: FastAPI) -> None:
    async with running(create_app(pushed.model_copy(update={"duffel_webhook_secret": None}))) as without:
        refused = await send(without, pushed, event_about("ord_1"))
    async with speak(api) as http:
        unknown = await http.post("/v1/webhooks/nobody", json={})
    assert [(answer.status_code, answer.json()["code"]) for answer in (refused, unknown)] == [(404, "not_found")] * 2
    assert refused.json()["detail"] == unknown.json()["detail"]


async def test_while_duffel_is_away_the_sweep_waits_and_then_does_it(
    api: FastAPI, pushed: Settings, sandbox: RunningSandbox, stocked: Stocking, database: Database, sweep
) -> None:
    shelf = await stocked()
    change(sandbox, shelf.order_id)
    sandbox.fault(vendor="duffel", path=LISTED, action="server_error", times=None)
    event = event_about(shelf.order_id)
    assert (await send(api, pushed, event)).status_code == 200
    await sweep()
    assert (await kept(database, str(event["id"]))).handled_at is None
    assert await shelf.cached() == EVERYTHING
    sandbox.control.delete("/faults")
    await sweep()
    assert (await kept(database, str(event["id"]))).handled_at is not None
    assert await shelf.cached() == await shelf.bookable() == UNTOUCHED


async def test_while_the_cache_is_away_it_is_left_for_the_sweep(
    real: Vendors, pushed: Settings, sandbox: RunningSandbox, stocked: Stocking, database: Database, sweep
) -> None:
    shelf = await stocked()
    change(sandbox, shelf.order_id)
    event = event_about(shelf.order_id)
    away = pushed.model_copy(update={"valkey_url": RedisDsn("redis://127.0.0.1:1")})
    async with running(create_app(away, real)) as without_cache:
        assert (await send(without_cache, pushed, event)).status_code == 200
    assert (await kept(database, str(event["id"]))).handled_at is None
    assert "booked" in await shelf.cached()
    await sweep()
    assert (await kept(database, str(event["id"]))).handled_at is not None
    assert await shelf.cached() == UNTOUCHED


async def test_one_that_cannot_be_read_does_not_keep_the_others_waiting_and_is_buried(
    api: FastAPI, pushed: Settings, sandbox: RunningSandbox, database: Database, sweep
) -> None:
    bad, good = event_about(f"ord_{uuid4().hex}"), event_about("ord_unknown")
    sandbox.fault(vendor="duffel", path=LISTED, action="refuse", times=None)
    for event in (bad, good):
        await send(api, pushed, event)
    sandbox.control.delete("/faults")
    order_id = bad["data"]["object"]["id"]  # pyright: ignore[reportIndexIssue]
    sandbox.fault(vendor="duffel", path=LISTED, contains=order_id, action="refuse", times=None)
    await sweep()
    assert (await kept(database, str(bad["id"]))).handled_at is None
    assert (await kept(database, str(good["id"]))).handled_at is not None
    await sweep()
    assert (await kept(database, str(bad["id"]))).handled_at is not None
    async with database.read() as connection:
        query = select(dead_letters).where(dead_letters.c.event_id == bad["id"])
        letter = (await connection.execute(query)).one()
    assert (letter.cause, letter.failures, letter.subject) == ("vendor_contract_broken", 3, order_id)


async def test_what_a_supplier_told_is_given_up_once_no_offer_can_show_it(
    api: FastAPI, pushed: Settings, sandbox: RunningSandbox, database: Database, sweep
) -> None:
    event = event_about(f"ord_{uuid4().hex}")
    sandbox.fault(vendor="duffel", path=LISTED, action="server_error", times=None)
    await send(api, pushed, event)
    async with database.transaction() as connection:
        await connection.execute(
            update(inbox)
            .where(inbox.c.event_id == event["id"])
            .values(received_at=datetime.now(UTC) - timedelta(hours=25))
        )
    await sweep()
    given_up = await kept(database, str(event["id"]))
    assert (given_up.handled_at is not None, given_up.failures) == (True, 0)
