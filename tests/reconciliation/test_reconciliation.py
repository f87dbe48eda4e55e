"""Whatever is planted between the vendors and us is found by one run, repaired where that is safe, and named in a case where not."""

import asyncio
import json

import pytest
from sqlalchemy import text

from schema.bookings import Accepted, Resolution
from schema.reconciliation import SCHEDULE_ID, RepairResult, repair_workflow_id_for
from schema.states import BookingState, ItemState, PaymentState
from store import payments, reconciliation
from tests.reconciliation.conftest import Reconciled, repaired
from tests.reconciliation.planting import PLANTS
from tests.reconciliation.reconciling import reconcile
from tests.saga.waiting import eventually
from workers.reconcile import ALL_READ, run_reconcile

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120), pytest.mark.stack]

FOUND = {
    "unknown_reserved": ("open_authorisation", "repaired"),
    "unknown_paid": ("paid_without_booking", "case"),
    "failed_in_doubt": ("open_authorisation", "repaired"),
    "failed_and_reserved": ("open_authorisation", "repaired"),
    "failed_and_paid": ("paid_without_booking", "repaired"),
    "failed_and_held": ("reservation_without_owner", "repaired"),
    "refunded_by_hand": ("refund_by_hand", "case"),
    "refunded_by_hand_at_paypal": ("refund_by_hand", "case"),
    "disputed": ("disputed", "case"),
    "order_cancelled_by_hand": ("reservation_missing", "case"),
    "hotel_cancelled_by_hand": ("reservation_missing", "case"),
    "price_changed": ("amount_differs", "case"),
    "ledger_lost": ("ledger_incomplete", "repaired"),
    **{name: ("workflow_gone", "repaired") for name in PLANTS if name.startswith("left_")},
}
ENDINGS = {
    "left_without_a_trace": BookingState.FAILED,
    "left_while_authorising": BookingState.FAILED,
    "left_waiting_for_the_customer": BookingState.FAILED,
    "left_while_holding": BookingState.FAILED,
    "left_before_the_capture": BookingState.FAILED,
    "left_after_the_capture": BookingState.CONFIRMED,
    "left_while_cancelling": BookingState.CANCELLED,
}


@pytest.mark.parametrize("plant", FOUND)
async def test_what_was_planted_is_found_once_by_two_runs_side_by_side(reconciled: Reconciled, plant: str) -> None:
    found = []
    async with reconciled.house.database.read() as connection:
        for run_id in ("run-one", "run-beside-it"):
            found += await reconciliation.findings_of(connection, run_id, 100)
    booking_id = reconciled.bookings[plant]
    assert [(one.kind, one.outcome) for one in found if one.booking_id == booking_id] == [FOUND[plant]]


@pytest.mark.parametrize("plant", [plant for plant in FOUND if FOUND[plant][1] == "repaired"])
async def test_what_was_repaired_leaves_clean_books(reconciled: Reconciled, plant: str) -> None:
    assert await reconciled.open_cases(plant) == []
    assert await reconciled.violations(plant) == []


@pytest.mark.parametrize("plant", ENDINGS)
async def test_a_booking_whose_workflow_is_gone_ends(reconciled: Reconciled, plant: str) -> None:
    booking = await reconciled.house.stored(reconciled.bookings[plant])
    assert booking.state == ENDINGS[plant]
    if booking.state != BookingState.CONFIRMED:
        books = await reconciled.house.books(booking.booking_id)
        assert not [entry for entry in books["reservations"] if entry["status"] in ("held", "confirmed")]


async def test_money_nobody_wanted_was_let_go_of_or_given_back(reconciled: Reconciled) -> None:
    for plant in ("unknown_reserved", "failed_and_reserved"):
        (payment,) = [
            entry
            for entry in (await reconciled.house.books(reconciled.bookings[plant]))["payments"]
            if entry["authorised_minor"]
        ]
        assert (payment["authorisation_open"], payment["captured_minor"]) == (False, 0)
    booking_id = reconciled.bookings["failed_and_paid"]
    effects = [entry for entry in await reconciled.house.ledger(booking_id) if entry["type"] == "payment.refunded"]
    assert [effect["amount_minor"] for effect in effects] == [12_300], "given back once"
    async with reconciled.house.database.read() as connection:
        adopted = (await payments.of_booking(connection, booking_id))[-1]
    assert (adopted.state, adopted.refunded.amount_minor) == (PaymentState.REFUNDED, 12_300)


@pytest.mark.parametrize("plant", ["failed_in_doubt", "left_while_authorising"])
async def test_what_was_never_reserved_is_in_doubt_no_longer(reconciled: Reconciled, plant: str) -> None:
    async with reconciled.house.database.read() as connection:
        found = await payments.of_booking(connection, reconciled.bookings[plant])
    assert {payment.state for payment in found} == {PaymentState.VOIDED}


@pytest.mark.parametrize("plant", ["refunded_by_hand", "refunded_by_hand_at_paypal"])
async def test_a_refund_made_by_hand_is_in_our_books_and_people_are_told(reconciled: Reconciled, plant: str) -> None:
    booking_id = reconciled.bookings[plant]
    async with reconciled.house.database.read() as connection:
        (payment,) = await payments.of_booking(connection, booking_id)
    assert (payment.state, payment.refunded.amount_minor) == (PaymentState.PARTIALLY_REFUNDED, 500)
    (case,) = await reconciled.open_cases(plant)
    assert case.effects[0].amount is not None
    assert case.effects[0].amount.amount_minor == 500


async def test_paypals_own_list_shows_what_is_given_back_at_its_pages(reconciled: Reconciled) -> None:
    """However long ago its trip was settled: what is asked one by one is only what has changed in our own books."""
    found = 0
    for run_id in ("run-one", "run-beside-it"):
        async with reconciled.house.database.read() as connection:
            run = await reconciliation.get(connection, run_id)
        assert run is not None
        found += sum(report.findings for report in run.streams if report.stream.name == "paypal:refunds")
    assert found == 1


async def test_what_only_people_can_settle_is_named_and_left_alone(reconciled: Reconciled) -> None:
    (dispute,) = await reconciled.open_cases("disputed")
    assert (dispute.effects[0].step, dispute.effects[0].vendor) == ("disputed", "stripe")
    assert "refund" not in str(await reconciled.house.ledger(reconciled.bookings["disputed"]))
    (missing,) = await reconciled.open_cases("order_cancelled_by_hand")
    booking = await reconciled.house.stored(reconciled.bookings["order_cancelled_by_hand"])
    assert missing.effects[0].reference == f"{booking.booking_id}/1"
    assert booking.items[0].state == ItemState.CONFIRMED
    (paid,) = await reconciled.open_cases("unknown_paid")
    assert paid.effects[0].amount is not None


async def test_a_running_saga_is_never_touched(reconciled: Reconciled) -> None:
    booking = await reconciled.house.stored(reconciled.bookings["still_at_work"])
    assert booking.state == BookingState.AWAITING_PAYMENT
    async with reconciled.house.database.read() as connection:
        assert await reconciliation.open_of(connection, booking.booking_id) == []


async def test_a_decision_ends_the_repair_and_a_second_run_finds_nothing(reconciled: Reconciled) -> None:
    house, booking_id = reconciled.house, reconciled.bookings["disputed"]
    (case,) = await reconciled.open_cases("disputed")
    handle = house.client.get_workflow_handle(repair_workflow_id_for(booking_id), result_type=RepairResult)
    decision = Resolution(case_id=case.case_id, action="settled_by_hand", operator="op", note="we let the bank have it")
    await handle.execute_update("resolve", decision, result_type=Accepted)
    assert (await handle.result()).outcome == "repaired"
    again = await reconcile(house, "run-two")
    await repaired(house)
    assert again.findings == 0
    assert await reconciled.open_cases("disputed") == []
    async with house.database.read() as connection:
        assert await reconciliation.findings_of(connection, "run-two", 100) == []


async def test_a_repair_that_is_lost_is_taken_up_by_the_next_run(reconciled: Reconciled) -> None:
    house, booking_id = reconciled.house, reconciled.bookings["unknown_paid"]
    (case,) = await reconciled.open_cases("unknown_paid")
    await house.client.get_workflow_handle(repair_workflow_id_for(booking_id)).terminate("lost")
    assert (await reconcile(house, "run-three")).findings == 0

    async def asked_again() -> bool:
        return [opened.case_id for opened in await reconciled.open_cases("unknown_paid")] not in ([], [case.case_id])

    await eventually(asked_again)


async def test_the_command_runs_once_and_tells_what_it_read(
    reconciled: Reconciled, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(run_reconcile, reconciled.house.settings, True) == ALL_READ
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    read = {report["stream"]["vendor"]: report["records"] for report in told["streams"] if report["stream"]["vendor"]}
    assert read.keys() == {"stripe", "paypal", "duffel", "liteapi"}
    assert told["details"] == []


async def test_what_a_vendor_could_not_answer_is_asked_again(reconciled: Reconciled) -> None:
    """A hotel whose supplier was away for one run is not left out for good."""
    house = reconciled.house
    async with house.database.transaction() as connection:
        await connection.execute(text("UPDATE reconciliation_watermarks SET read_until = now() - interval '1 hour'"))
    find = {"vendor": "expedia_rapid", "method": "GET", "path": "/itineraries", "contains": "reconciliation"}
    await house.fault(**find, action="server_error", status=503, times=None)
    await reconcile(house, "run-while-away")
    await house.sandbox.delete("/_sandbox/faults")
    async with house.database.read() as connection:
        run = await reconciliation.get(connection, "run-while-away")
        until = await reconciliation.watermarks(connection)
    assert run is not None
    (report,) = [report for report in run.streams if report.stream.name == "lookups"]
    assert report.problem is None
    assert report.unchecked["expedia_rapid: vendor_unavailable"] >= 1
    assert until["lookups"] == report.again_from
    assert until["lookups"] < until["stripe:payments"]
    await reconcile(house, "run-when-back")
    async with house.database.read() as connection:
        run = await reconciliation.get(connection, "run-when-back")
        until = await reconciliation.watermarks(connection)
    assert run is not None
    assert until["lookups"] == run.started_at


async def test_the_schedule_runs_it_too(reconciled: Reconciled) -> None:
    await reconciled.house.client.get_schedule_handle(SCHEDULE_ID).trigger()

    async def reported() -> bool:
        async with reconciled.house.database.read() as connection:
            page = await reconciliation.page(connection, 10, None)
        return any(run.started_by == "schedule" and run.ended_at is not None for run in page.runs)

    await eventually(reported)
