"""A fuzzer over the OpenAPI document, and raw bytes on the socket: never a 5xx, never an answer the document does not know."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from api.app import create_app
from schema.settings import Settings
from store.database import Database
from tests.api.conftest import Booking, Minting, saved_offers
from tests.api.fakes import FakeVendors, trip_day
from tests.api.live import served

_EXAMPLES = 25
"""For each operation, with data that fits the document and with data that does not."""
load_all_checks()
_CHECKS = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "unsupported_method",
    ]
)


@dataclass(frozen=True)
class Live:
    """A served API, and what a fuzzer needs to get past the door."""

    port: int
    token: str
    booking_id: str
    offer_ids: list[str]


@pytest_asyncio.fixture(loop_scope="session")
async def live(
    settings: Settings, vendors: FakeVendors, mint: Minting, book: Booking, database: Database, monkeypatch
) -> AsyncIterator[Live]:
    # What the stub workflow never finishes shall not take the fuzzer's minute.
    monkeypatch.setattr("api.temporal._RESULT_S", 1)
    caller = await mint()
    booking_id = str((await book(caller))["booking_id"])
    offer_ids = [offer.offer_id for offer in await saved_offers(database, caller.client_id)]
    async with served(create_app(settings, vendors)) as port:
        yield Live(port, caller.token, booking_id, offer_ids)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_fuzzer_cannot_falsify_the_document(live: Live) -> None:
    await asyncio.to_thread(_fuzz, live)


def _fuzz(live: Live) -> None:
    address = f"http://127.0.0.1:{live.port}"
    document = httpx.get(f"{address}/openapi.json").json()
    for path in document["paths"].values():
        for operation in path.values():
            # We send a good token with everything; the fuzzer shall not count it as one of the things it made wrong.
            operation.pop("security", None)
    _narrow(document["components"]["schemas"], live)
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=address)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == 51
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            takes_something = operation.body or list(operation.iter_parameters())
            if mode == GenerationMode.NEGATIVE and not takes_something:
                continue  # nothing of it could be wrong
            _fuzz_one(live, operation.as_strategy(generation_mode=mode))


def _narrow(schemas: dict[str, Any], live: Live) -> None:
    """Values that mean something, where the document cannot list them all: so the fuzzer gets past the first check."""
    days = [str(trip_day(days).date()) for days in (30, 60, 300)]
    for name, field, values in (
        ("Amount", "currency", ["EUR", "JPY"]),
        ("ItemChoice", "offer_id", live.offer_ids),
        ("TripSearch", "origin", ["LHR", "CDG"]),
        ("TripSearch", "destination", ["JFK", "HND"]),
        ("TripSearch", "currency", ["EUR", "JPY"]),
        ("TripSearch", "display_currency", ["EUR", "JPY"]),
        ("TripSearch", "departure_date", days),
        ("TripSearch", "return_date", days),
    ):
        schemas[name]["properties"][field] = {"enum": values}


def _fuzz_one(live: Live, cases: st.SearchStrategy[schemathesis.Case]) -> None:
    @given(case=cases, known=st.booleans())
    @hypothesis_settings(
        max_examples=_EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(case: schemathesis.Case, known: bool) -> None:
        if known and "booking_id" in (case.path_parameters or {}):
            # Past the 404: an id that exists.
            case.path_parameters["booking_id"] = live.booking_id
        case.call_and_validate(headers={"Authorization": f"Bearer {live.token}"}, checks=_CHECKS)

    send()


RAW = {
    "NUL in the path": b"GET /v1/bookings/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in the path": b"GET /v1/bookings/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "invalid UTF-8, escaped": b"GET /v1/bookings/%ff%fe%80?cursor=%ff HTTP/1.1\r\nHost: x\r\n\r\n",
    "dots": b"GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "a whole address": b"GET http://elsewhere/v1/bookings HTTP/1.1\r\nHost: x\r\n\r\n",
    "an odd method": b"BREW /v1/bookings HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET /health/live HTTP/1.1\r\n\r\n",
    "bytes in headers": b"GET /v1/bookings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\nX-Correlation-Id: \xc3\r\n\r\n",
    "a header of 60 kB": b"GET /v1/bookings HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 60_000 + b"\r\n\r\n",
    "a long path": b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a length that is none": b"POST /v1/bookings HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a length beyond belief": b"POST /v1/webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\n",
    "a broken chunk": b"POST /v1/webhooks/stripe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "not HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("name", RAW)
async def test_raw_bytes_never_end_in_a_5xx(name: str, live: Live) -> None:
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
        writer.write(RAW[name].replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n"))
        await writer.drain()
        line = await reader.readline()
        writer.close()
    assert not line or line.split()[1].startswith((b"2", b"4")), line


async def test_a_client_that_goes_away_does_no_harm(live: Live) -> None:
    for _ in range(3):
        _, writer = await asyncio.open_connection("127.0.0.1", live.port)
        head = f"POST /v1/bookings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {live.token}\r\nIdempotency-Key: going-away\r\n"
        writer.write((head + "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{").encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
