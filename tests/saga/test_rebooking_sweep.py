"""Every call of a rebooking to a vendor, with every fault: the traveller ends on one flight, and has paid for one."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from schema.states import BookingState, ItemState
from tests.saga.disrupted import itinerary_of
from tests.saga.harness import FAST, House, running_house
from tests.saga.rebooking_sweep import (
    FINDING,
    REBOOKING,
    Case,
    Rebooked,
    TripVendors,
    all_cases,
    faults_of,
    fired,
    run_case,
)
from tests.saga.replaying import not_replayed
from tests.saga.selecting import selected_cases
from workers.audit import AuditReport, check, gather
from workers.follow_ups import following_up

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

AT_ONCE = 8


@dataclass
class Swept:
    """How every selected case ended, and what the audit found once nothing moved any more."""

    house: House
    ended: dict[str, Rebooked] = field(default_factory=dict)
    failed: dict[str, BaseException] = field(default_factory=dict)
    fired: dict[str, set[str]] = field(default_factory=dict)
    report: AuditReport | None = None
    not_replayed: dict[str, Exception] = field(default_factory=dict)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rebooked(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, say: Callable[[str], None]
) -> AsyncGenerator[Swept]:
    """The selected cases side by side, in a house of their own: each cancels flights that no other trip may be on."""
    selected = selected_cases(request, Case)
    places = asyncio.Semaphore(AT_ONCE)
    async with running_house(Path(tmp_path_factory.mktemp("rebookings"))) as house:
        swept = Swept(house)
        vendors = TripVendors(house.vendors)

        async def run(case: Case) -> None:
            async with places:
                try:
                    swept.ended[case.id] = await run_case(house, vendors, case)
                except Exception as error:  # noqa: BLE001  # reported by the test of this case
                    swept.failed[case.id] = error
                say(f"  rebookings: {len(swept.ended) + len(swept.failed)} of {len(selected)}\n")

        async with house.worker(vendors, sandboxed=False), following_up(house.settings, house.database, house.client):
            await asyncio.gather(*(run(case) for case in selected))
            rules = (await house.sandbox.get("/_sandbox/faults")).json()
            for case in selected:
                if case.id in swept.ended:
                    swept.fired[case.id] = fired(case, swept.ended[case.id].trip.correlation_id, rules, vendors)
            swept.report = check(await gather(house.settings, policy=FAST, histories=0))
        handles = [
            house.client.get_workflow_handle(one.id, run_id=one.run_id)
            for ended in swept.ended.values()
            for one in ended.histories
        ]
        swept.not_replayed = await not_replayed(handles)
        yield swept


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.id)
async def test_a_traveller_has_one_flight_and_pays_for_one(case: Case, rebooked: Swept) -> None:
    if case.id in rebooked.failed:
        raise AssertionError(f"{case.id} did not end") from rebooked.failed[case.id]
    ended, house = rebooked.ended[case.id], rebooked.house
    never_met = {f"{place.name}-{fault}" for place, fault in case.faults} - rebooked.fired[case.id]
    assert not never_met, "the fault never happened, so the case proves nothing"
    assert ended.disruption.state == "rebooked", ended.disruption.reason

    old = await house.stored(ended.trip.booking_id)
    price = old.items[0].price.amount_minor
    assert (old.state, old.items[0].state) == (BookingState.CANCELLED, ItemState.CANCELLED)
    effects = await house.ledger(old.booking_id)
    assert Counter(one["type"] for one in effects)["flight.cancelled"] == 1
    assert [one["amount_minor"] for one in effects if one["type"] == "payment.refunded"] == [price], "all of it, once"

    *missed, taken = [await house.stored(booking_id) for booking_id in ended.tried]
    assert taken.state == BookingState.CONFIRMED
    assert {one.state for one in missed} <= {BookingState.FAILED}
    had = Counter(one["type"] for one in await house.ledger(taken.booking_id))
    assert (had["flight.ticketed"], had["payment.captured"], had["flight.cancelled"]) == (1, 1, 0)
    segments = (await itinerary_of(house, ended.trip)).segments
    assert {one.booking_id for one in segments if one.state == "confirmed"} == {taken.booking_id}

    assert rebooked.report is not None, "the audit runs after the last case"
    ours = {old.booking_id, *ended.tried}
    assert [one.text for one in rebooked.report.violations if one.booking_id in ours] == []
    assert len(ended.histories) >= 4, "of both bookings, of the disruption, and of the cancellation"
    assert not {one.id for one in ended.histories} & rebooked.not_replayed.keys()


async def test_nothing_at_the_vendors_belongs_to_nobody(rebooked: Swept) -> None:
    assert rebooked.report is not None, "the audit runs after the last case"
    assert [one.text for one in rebooked.report.violations if one.booking_id is None] == []


async def test_together_they_are_the_whole_table() -> None:
    met = [(place.name, fault) for case in all_cases() for place, fault in case.faults]
    assert sorted(met) == sorted((place.name, fault) for place in (*FINDING, *REBOOKING) for fault in faults_of(place))
