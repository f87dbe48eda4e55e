"""The access log: one line a request with its correlation id, and nobody's data; masked where a name promises a secret."""

import json
import logging

import pytest
import structlog
from fastapi import FastAPI

from schema.logging import configure_logging, mask_sensitive
from schema.settings import Settings
from store import bookings
from tests.api.conftest import TRAVELLER, Booking, Caller, booking_body, saved_offers


@pytest.fixture
def lines():
    """What is logged, as the processors see it last."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as captured:
        yield captured


@pytest.fixture
def _logging_restored():
    root = logging.getLogger()
    handlers, level, configuration = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = handlers, level
    structlog.configure(**configuration)


async def test_one_line_a_request(caller: Caller, book: Booking, lines) -> None:
    made = await book(caller)
    lines.clear()
    sent = "my-own-correlation-id"
    path = f"/v1/bookings/{made['booking_id']}?live=false"
    answer = await caller.http.get(path, headers={"X-Correlation-Id": sent})
    assert answer.headers["x-correlation-id"] == sent
    line = next(line for line in lines if line["event"] == "request")
    assert line["correlation_id"] == sent
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/bookings/{booking_id}", 200)
    assert line["client_id"] == caller.client_id
    assert line["duration_ms"] > 0
    assert made["booking_id"] not in str(line)


@pytest.mark.parametrize("bad", ["short", "x" * 65, "with space in it", "semi;colon", "new\\nline-in-it"])
async def test_a_strange_correlation_id_is_replaced(bad: str, caller: Caller) -> None:
    answer = await caller.http.get("/health/live", headers={"X-Correlation-Id": bad})
    assert answer.headers["x-correlation-id"] != bad
    assert len(answer.headers["x-correlation-id"]) == 26


async def test_the_correlation_id_goes_with_the_booking(caller: Caller, database) -> None:
    found = await saved_offers(database, caller.client_id)
    answer = await caller.post("/v1/bookings", booking_body(found), **{"X-Correlation-Id": "follow-this-one"})
    async with database.read() as connection:
        stored = await bookings.get(connection, answer.json()["booking_id"])
    assert stored is not None
    assert stored.correlation_id == "follow-this-one"


async def test_nothing_personal_is_logged(app: FastAPI, caller: Caller, database, lines) -> None:
    found = await saved_offers(database, caller.client_id)
    await caller.post("/v1/bookings", booking_body(found))
    await caller.post("/v1/bookings", booking_body(found) | {"travellers": [TRAVELLER | {"title": "Lovelace"}]})
    text = str(lines)
    for personal in ("Lovelace", "ada@example.com", "+442080160509", "pm_card_visa", caller.token):
        assert personal not in text


def test_secrets_are_masked_however_deep() -> None:
    event = {
        "event": "x",
        "stripe_token": "t",
        "request": {"headers": {"Authorization": "Bearer t"}, "people": [{"email": "e", "given_name": "g", "seat": 1}]},
    }
    masked = mask_sensitive(None, "info", event)
    assert masked["stripe_token"] == "***"
    assert masked["request"] == {
        "headers": {"Authorization": "***"},
        "people": [{"email": "***", "given_name": "***", "seat": 1}],
    }


@pytest.mark.usefixtures("_logging_restored")
def test_production_logs_json_and_takes_the_standard_library_with_it(settings: Settings, capsys) -> None:
    configure_logging(settings.model_copy(update={"environment": "production"}))
    structlog.contextvars.bind_contextvars(correlation_id="c-1")
    try:
        structlog.stdlib.get_logger("ours").info("hello", token="t")
        logging.getLogger("theirs").warning("world %s", 1, extra={"phone_number": "1"})
        try:
            raise ValueError("inner")
        except ValueError:
            structlog.stdlib.get_logger("ours").exception("broken")
    finally:
        structlog.contextvars.clear_contextvars()
    ours, theirs, broken = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (ours["event"], ours["level"], ours["correlation_id"], ours["token"]) == ("hello", "info", "c-1", "***")
    assert (theirs["event"], theirs["logger"], theirs["phone_number"]) == ("world 1", "theirs", "***")
    assert "ValueError: inner" in broken["exception"]
