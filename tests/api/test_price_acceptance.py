"""Consent to a new price: the workflow's word becomes the answer, and never a 500."""

import pytest
import pytest_asyncio
from temporalio.client import Client

from schema.bookings import workflow_id_for
from tests.api.conftest import Booking, Caller
from tests.api.stub_workflows import (
    MOVED_AGAIN_MINOR,
    NEVER_DONE_MINOR,
    NOTHING_TO_ACCEPT_MINOR,
    ODD_FAILURE_MINOR,
)


@pytest_asyncio.fixture(loop_scope="session")
async def booking_id(caller: Caller, book: Booking) -> str:
    return str((await book(caller))["booking_id"])


async def _accept(caller: Caller, booking_id: str, amount_minor: int, key: str | None = None):
    body = {"total": {"amount_minor": amount_minor, "currency": "EUR"}}
    return await caller.post(f"/v1/bookings/{booking_id}/price-acceptance", body, key=key)


async def test_consent_is_passed_on(caller: Caller, booking_id: str) -> None:
    answer = await _accept(caller, booking_id, 31_000)
    assert (answer.status_code, answer.json()["message"]) == (200, "the booking goes on")


@pytest.mark.parametrize(
    ("amount_minor", "code"),
    [
        (MOVED_AGAIN_MINOR, "price_moved_again"),
        (NOTHING_TO_ACCEPT_MINOR, "no_price_to_accept"),
        (ODD_FAILURE_MINOR, "conflict"),
    ],
)
async def test_the_workflows_refusal_is_told(amount_minor, code, caller: Caller, booking_id: str) -> None:
    answer = await _accept(caller, booking_id, amount_minor)
    assert (answer.status_code, answer.json()["code"]) == (409, code)


async def test_a_booking_that_has_ended_waits_for_no_price(caller: Caller, booking_id: str, temporal: Client) -> None:
    handle = temporal.get_workflow_handle(workflow_id_for(booking_id))
    await handle.signal("end")
    await handle.result()
    answer = await _accept(caller, booking_id, 31_000)
    assert (answer.status_code, answer.json()["code"]) == (409, "no_price_to_accept")


async def test_what_is_accepted_and_not_done_is_202(caller: Caller, booking_id: str, monkeypatch) -> None:
    monkeypatch.setattr("api.temporal._RESULT_S", 0.3)
    answer = await _accept(caller, booking_id, NEVER_DONE_MINOR)
    assert (answer.status_code, answer.json()["booking_id"]) == (202, booking_id)
