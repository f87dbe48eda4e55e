"""P-1: after a definite no, the same flight, room or class of car comes from another supplier; never after an unknown.

Judged by the vendors' own books: one supplier has the item, the other has nothing, and what was taken is what it costs.
"""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from activities.substituting import Substituting
from schema.bookings import SubstituteWanted
from schema.money import Money
from schema.states import BookingState, ItemState
from tests.saga.harness import House, Trip
from tests.saga.table import CAR_ROUTE
from tests.saga.waiting import eventually
from workers.audit import check, gather

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

_ALLOWED = "same_or_cheaper"
FLIGHT_SOLD_OUT = {"vendor": "duffel", "method": "POST", "path": "/air/orders$", "action": "sold_out"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def at_work(house: House) -> AsyncGenerator[House]:
    async with house.worker():
        yield house


async def ended(house: House, trip: Trip) -> BookingState:
    result = await (await house.start(trip)).result()
    report = check(await gather(house.settings, [trip.booking_id], policy=trip.plan.policy, histories=1))
    assert [violation.text for violation in report.violations] == []
    return result.state


async def live(house: House, trip: Trip) -> dict[str, str]:
    """Supplier and status of what is held or confirmed for the trip, by the suppliers' books."""
    books = await house.books(trip.booking_id)
    return {line["vendor"]: line["status"] for line in books["reservations"] if line["status"] in ("held", "confirmed")}


@pytest.mark.parametrize(
    ("kind", "supplier", "other", "fault"),
    [
        ("flight", "duffel", "amadeus", FLIGHT_SOLD_OUT),
        ("flight", "duffel", "amadeus", {**FLIGHT_SOLD_OUT, "method": "GET", "path": "/air/offers/", "times": None}),
        (
            "hotel",
            "expedia_rapid",
            "liteapi",
            {"vendor": "expedia_rapid", "method": "POST", "path": "/itineraries$", "action": "sold_out"},
        ),
        ("car", "duffel_cars", "avis", {**CAR_ROUTE, "action": "sold_out"}),
    ],
    ids=["flight_refused", "flight_gone_before", "hotel_refused", "car_refused"],
)
async def test_the_same_comes_from_another_supplier(
    at_work: House, kind: str, supplier: str, other: str, fault: dict[str, Any]
):
    house = at_work
    trip = await house.prepare(kinds=(kind,), suppliers=(supplier,), like=other, substitution=_ALLOWED)
    await house.fault(**fault, contains=trip.correlation_id)
    assert await ended(house, trip) == BookingState.CONFIRMED
    assert await live(house, trip) == {other: "confirmed"}
    (item,) = (await house.stored(trip.booking_id)).items
    assert (item.supplier, item.generation, item.state) == (other, 1, ItemState.CONFIRMED)
    assert [entry.supplier for entry in item.replaces] == [supplier]
    assert item.price <= trip.booking.items[0].price


async def test_what_was_held_is_let_go_when_its_confirmation_is_refused(at_work: House):
    house = at_work
    trip = await house.prepare(kinds=("flight",), suppliers=("duffel",), like="amadeus", substitution=_ALLOWED)
    await house.fault(vendor="duffel", path="/air/payments$", action="decline", contains=trip.correlation_id)
    assert await ended(house, trip) == BookingState.CONFIRMED
    assert await live(house, trip) == {"amadeus": "confirmed"}


async def test_without_consent_nothing_is_swapped(at_work: House):
    house = at_work
    trip = await house.prepare(kinds=("flight",), suppliers=("duffel",), like="amadeus")
    await house.fault(**FLIGHT_SOLD_OUT, contains=trip.correlation_id)
    assert await ended(house, trip) == BookingState.FAILED
    assert await live(house, trip) == {}


async def test_a_dearer_one_is_not_taken(at_work: House):
    house = at_work
    trip = await house.prepare(
        kinds=("flight",), suppliers=("duffel",), like="amadeus", dearer=True, substitution=_ALLOWED
    )
    await house.fault(**FLIGHT_SOLD_OUT, contains=trip.correlation_id)
    assert await ended(house, trip) == BookingState.FAILED
    assert await live(house, trip) == {}


async def test_an_unknown_outcome_never_books_elsewhere(at_work: House):
    """The car's answer is lost and nobody can look: an operator is asked, and Avis has nothing meanwhile."""
    house = at_work
    trip = await house.prepare(kinds=("car",), suppliers=("duffel_cars",), like="avis", substitution=_ALLOWED)
    await house.fault(**CAR_ROUTE, action="drop_after", contains=trip.correlation_id)
    await house.start(trip)

    async def asked() -> bool:
        return (await house.stored(trip.booking_id)).state == BookingState.NEEDS_OPERATOR

    await eventually(asked, 60)
    assert await live(house, trip) == {"duffel": "confirmed"}
    (item,) = (await house.stored(trip.booking_id)).items
    assert (item.supplier, item.generation) == ("duffel_cars", 0)


async def test_to_look_again_finds_the_swap_done(at_work: House):
    """The activity's own answer may be lost: its second run must not swap a second time."""
    house = at_work
    trip = await house.prepare(kinds=("flight",), suppliers=("duffel",), like="amadeus", substitution=_ALLOWED)
    wanted = SubstituteWanted(
        booking_id=trip.booking_id,
        item_no=1,
        generation=0,
        correlation_id=trip.correlation_id,
        retry_initial_s=0.1,
        limit=trip.booking.items[0].price,
        reason="sold_out",
        step_timeout_s=6,
    )
    substituting = Substituting(house.database, house.vendors)
    first = await substituting.find_equal(wanted)
    again = await substituting.find_equal(wanted)
    assert first.plan is not None
    assert (first.plan.supplier, first.plan.generation) == ("amadeus", 1)
    assert again == first
    nothing = Money.zero(wanted.limit.currency)
    beyond = wanted.model_copy(update={"generation": 1, "limit": nothing})
    assert (await substituting.find_equal(beyond)).plan is None, "duffel was tried, and nobody gives it away"
