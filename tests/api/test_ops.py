"""Operations: open cases are listed with all they name, and an operator's decision reaches the workflow that waits."""

from uuid import uuid4

import pytest_asyncio
from temporalio.client import Client

from schema.bookings import OutstandingEffect, Resolution, ReviewCase, workflow_id_for
from schema.money import Money
from store import cases
from store.database import Database
from tests.api.conftest import Booking, Caller

DECISION = {"action": "settled_by_hand", "note": "the hotel has confirmed by telephone that nothing is left"}


@pytest_asyncio.fixture(loop_scope="session")
async def case(caller: Caller, book: Booking, database: Database) -> ReviewCase:
    booking_id = str((await book(caller))["booking_id"])
    opened = ReviewCase(
        case_id=f"case-{uuid4()}",
        workflow_id=workflow_id_for(booking_id),
        reason="nobody can say whether the hotel was booked",
        effects=[
            OutstandingEffect(
                vendor="expedia_rapid",
                step="book",
                reference=f"{booking_id}20",
                amount=Money(amount_minor=10_000, currency="EUR"),
                problem="no answer",
            )
        ],
    )
    async with database.transaction() as connection:
        await cases.open_case(connection, booking_id, opened)
    return opened


async def _listed(caller: Caller, query: str = "") -> dict[str, dict]:
    return {case["case_id"]: case for case in (await caller.get(f"/v1/ops/cases{query}")).json()["cases"]}


async def test_open_cases_name_every_effect(caller: Caller, case: ReviewCase) -> None:
    found = (await _listed(caller))[case.case_id]
    assert found["effects"][0]["reference"] == case.effects[0].reference
    assert found["workflow_url"].endswith(f"/namespaces/default/workflows/{case.workflow_id}")
    assert found["resolved_at"] is None


async def test_a_decision_reaches_the_workflow_once(caller: Caller, case: ReviewCase, temporal: Client) -> None:
    path = f"/v1/ops/cases/{case.case_id}/resolution"
    first, second = [await caller.post(path, DECISION, key="decide-it-once") for _ in range(2)]
    assert (first.status_code, first.json()["state"]) == (200, "COMPENSATING"), first.text
    assert second.json() == first.json()
    called = await temporal.get_workflow_handle(case.workflow_id).query("called")
    assert called == [f"resolve by {caller.name}"]


async def test_a_resolved_case_is_closed(caller: Caller, case: ReviewCase, database: Database) -> None:
    resolution = Resolution(case_id=case.case_id, action="write_off", operator="somebody", note="lost")
    async with database.transaction() as connection:
        await cases.close_case(connection, resolution)
    answer = await caller.post(f"/v1/ops/cases/{case.case_id}/resolution", DECISION)
    assert (answer.status_code, answer.json()["code"]) == (409, "case_not_open")
    assert case.case_id not in await _listed(caller)
    assert (await _listed(caller, "?state=all"))[case.case_id]["resolution"]["note"] == "lost"


async def test_the_workflows_refusal_is_told(caller: Caller, case: ReviewCase) -> None:
    answer = await caller.post(f"/v1/ops/cases/{case.case_id}/resolution", DECISION | {"note": "too late"})
    assert (answer.status_code, answer.json()["code"]) == (409, "case_not_open")


async def test_a_case_whose_workflow_has_ended_is_not_open(caller: Caller, case: ReviewCase, temporal: Client) -> None:
    handle = temporal.get_workflow_handle(case.workflow_id)
    await handle.signal("end")
    await handle.result()
    answer = await caller.post(f"/v1/ops/cases/{case.case_id}/resolution", DECISION)
    assert (answer.status_code, answer.json()["code"]) == (409, "case_not_open")


async def test_a_confirmation_must_name_its_reference(caller: Caller, case: ReviewCase) -> None:
    answer = await caller.post(f"/v1/ops/cases/{case.case_id}/resolution", DECISION | {"action": "confirmed_at_vendor"})
    assert (answer.status_code, answer.json()["field"]) == (422, "/provider_reference")


async def test_no_such_case(caller: Caller) -> None:
    answer = await caller.post(f"/v1/ops/cases/case-{uuid4()}/resolution", DECISION)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
