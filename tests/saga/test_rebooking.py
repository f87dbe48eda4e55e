"""A flight is cancelled: what its travellers are offered and choose, and that nobody is without a flight they paid for."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from playwright.async_api import expect
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from api.app import create_app
from schema.bookings import TASK_QUEUE
from schema.disruptions import (
    DISRUPTION_WORKFLOW,
    ChooseAlternative,
    DisruptionChoice,
    DisruptionInput,
    DisruptionResult,
    KeepFlight,
    disruption_id_for,
    disruption_workflow_id_for,
)
from schema.links import trip_link
from schema.states import BookingState, ItemState
from search.journeys import arrival, journeys
from tests.api.browsing import browser_started
from tests.api.live import served
from tests.saga.disrupted import (
    airline_says,
    choose,
    clean,
    confirmed,
    flights_of,
    in_state,
    itinerary_of,
    settled,
    workflow_of,
)
from tests.saga.harness import House
from tests.saga.test_people import open_case, resolution
from workers.follow_ups import following_up
from workers.relay import relaying

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]
_SOON_MS = 60_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def at_work(house: House) -> AsyncGenerator[House]:
    async with house.worker(), following_up(house.settings, house.database, house.client):
        yield house


async def test_a_cancelled_flight_is_replaced_and_never_missing(at_work: House):
    house = at_work
    trip, itinerary = await confirmed(house)
    out = flights_of(itinerary)[0]
    await airline_says(house, out, cancelled=True)

    offered = await in_state(house, itinerary, "offered")
    assert offered.kind == "flight_cancelled"
    assert 1 <= len(offered.alternatives) <= 5
    assert [one.number for one in offered.alternatives] == list(range(1, len(offered.alternatives) + 1))
    old = next(item for item in (await house.stored(trip.booking_id)).items if item.kind == "flight")
    for one in offered.alternatives:
        assert one.refund == old.price, "its airline has cancelled it: all of it is given back"
        assert one.difference == one.offer.price - old.price
        assert out.flight_key not in {
            f"{s.carrier}{s.number}-{s.departs_at:%Y-%m-%d}-{s.origin}" for s in one.offer.segments
        }

    begun = await choose(house, offered, 1)
    assert begun.state == "rebooking"
    result = await workflow_of(house, offered).result()
    assert result.state == "rebooked"
    await settled(house, trip.booking_id, BookingState.PARTIALLY_CONFIRMED)

    new = await house.stored(begun.booking_id)
    assert (new.state, new.itinerary_id) == (BookingState.CONFIRMED, itinerary.itinerary_id)
    after = await itinerary_of(house, trip)
    assert {segment.state for segment in after.segments if segment.booking_id == begun.booking_id} == {"confirmed"}
    gone = [segment for segment in after.segments if segment.booking_id == trip.booking_id and segment.flight_key]
    assert {segment.state for segment in gone} == {"replaced"}
    # By the suppliers' and the provider's own books: first the new flight and its money, then the old ones.
    had = {entry["type"]: entry["seq"] for entry in await house.ledger(begun.booking_id)}
    given_up = {entry["type"]: entry["seq"] for entry in await house.ledger(trip.booking_id)}
    assert max(had["flight.ticketed"], had["payment.captured"]) < given_up["flight.cancelled"]
    assert given_up["flight.cancelled"] < given_up["payment.refunded"]
    await clean(house, trip.booking_id, begun.booking_id)


@pytest.mark.timeout(300)
async def test_a_traveller_rebooks_on_the_trip_page(at_work: House):
    """In a real browser, which is told of everything that it shows: the cancellation, the alternatives, and the new flight."""
    house = at_work
    trip, itinerary = await confirmed(house, kinds=("flight",))
    out = flights_of(itinerary)[0]
    async with (
        browser_started() as browser,
        relaying(house.settings, house.database, house.valkey),
        served(create_app(house.settings, house.vendors)) as port,
    ):
        page = await browser.new_page(viewport={"width": 360, "height": 740})
        secret = house.settings.link_secret.get_secret_value()
        await page.goto(trip_link(f"http://127.0.0.1:{port}", secret, itinerary.itinerary_id))
        await expect(page.locator(f"#part-{out.segment_no}")).not_to_contain_text("Cancelled")
        await airline_says(house, out, cancelled=True)
        await page.get_by_role("radio").first.check(timeout=_SOON_MS)
        await expect(page.locator(f"#part-{out.segment_no}")).to_contain_text("Cancelled")
        await page.get_by_role("button", name="Confirm my choice").click()
        await expect(page.get_by_role("alert")).to_have_text("Thank you. We have your choice.", timeout=_SOON_MS)
        await expect(page.locator("#disruptions")).to_contain_text("You are on another flight.", timeout=_SOON_MS)
        rebooked = await in_state(house, itinerary, "rebooked")
        await settled(house, trip.booking_id, BookingState.CANCELLED)
        new = flights_of(await itinerary_of(house, trip))
        assert {segment.booking_id for segment in new} == {rebooked.rebooking_id}
        for segment in new:
            shown = page.locator(f"#part-{segment.segment_no}")
            await expect(shown).to_contain_text(f"{segment.details.carrier}{segment.details.number}", timeout=_SOON_MS)
            await expect(shown).not_to_contain_text("Cancelled")
    await clean(house, trip.booking_id, rebooked.rebooking_id)


async def test_what_cannot_be_had_leaves_the_old_flight_and_the_other_choices(at_work: House):
    house = at_work
    trip, itinerary = await confirmed(house, kinds=("flight",))
    await airline_says(house, flights_of(itinerary)[0], cancelled=True)
    offered = await in_state(house, itinerary, "offered")
    assert len(offered.alternatives) > 1, "or there is nothing to choose from afterwards"
    for path in ("/air/offers/", "/flight-offers/pricing"):
        await house.fault(
            vendor="amadeus" if "pricing" in path else "duffel",
            path=path,
            action="sold_out",
            contains=trip.correlation_id,
        )

    begun = await choose(house, offered, 1)
    await settled(house, begun.booking_id, BookingState.FAILED)
    again = await in_state(house, itinerary, "offered")
    assert [one.number for one in again.alternatives] == [one.number for one in offered.alternatives[1:]]
    old = await house.stored(trip.booking_id)
    assert (old.state, old.items[0].state) == (BookingState.CONFIRMED, ItemState.CONFIRMED), "nothing was given up"
    assert {segment.state for segment in (await itinerary_of(house, trip)).segments} == {"confirmed"}

    await house.sandbox.delete("/_sandbox/faults")
    second = await choose(house, again, again.alternatives[0].number)
    assert second.booking_id != begun.booking_id
    assert (await workflow_of(house, offered).result()).state == "rebooked"
    await settled(house, trip.booking_id, BookingState.CANCELLED)
    assert (await itinerary_of(house, trip)).state == "active", "the new flight is ahead"
    await clean(house, trip.booking_id, begun.booking_id, second.booking_id)


async def test_who_keeps_the_flight_keeps_it(at_work: House):
    house = at_work
    trip, itinerary = await confirmed(house, kinds=("flight",))
    await airline_says(house, flights_of(itinerary)[0], cancelled=True)
    offered = await in_state(house, itinerary, "offered")
    kept = await workflow_of(house, offered).execute_update("keep", KeepFlight(), result_type=DisruptionChoice)
    assert kept.state == "kept"
    assert (await workflow_of(house, offered).result()).state == "kept"
    assert (await house.stored(trip.booking_id)).state == BookingState.CONFIRMED
    with pytest.raises((RPCError, WorkflowUpdateFailedError)):  # it has ended, and takes no wishes any more
        await choose(house, offered, 1)


async def test_who_chooses_while_the_offer_is_on_its_way_is_heard(at_work: House):
    """A worker may die after it has written the offer down, and before the run hears of it: the traveller sees it by then."""
    house = at_work
    trip, itinerary = await confirmed(house, kinds=("flight",))
    slow = {"vendor": "duffel", "path": "/air/offer_requests", "action": "delay", "delay_s": 2}
    await house.fault(**slow, contains=trip.correlation_id)
    await airline_says(house, flights_of(itinerary)[0], cancelled=True)
    still_open = await in_state(house, itinerary, "open")
    kept = await workflow_of(house, still_open).execute_update("keep", KeepFlight(), result_type=DisruptionChoice)
    assert kept.state == "kept"
    await house.sandbox.delete("/_sandbox/faults")


async def test_a_newer_change_takes_the_place_of_the_older_ones_offer(at_work: House):
    house = at_work
    _, itinerary = await confirmed(house, kinds=("flight",))
    out = flights_of(itinerary)[0]
    await airline_says(house, out, cancelled=True)
    first = await in_state(house, itinerary, "offered")
    await airline_says(house, out, cancelled=None, said_at=(datetime.now(UTC) + timedelta(seconds=1)).isoformat())
    assert (await workflow_of(house, first).result()).state == "superseded"
    newer = await in_state(house, itinerary, "informed")
    assert newer.kind == "flight_reinstated"


async def test_an_alternative_that_does_not_exist_is_refused(at_work: House):
    house = at_work
    _, itinerary = await confirmed(house, kinds=("flight",))
    await airline_says(house, flights_of(itinerary)[0], cancelled=True)
    offered = await in_state(house, itinerary, "offered")
    price = offered.alternatives[0].difference
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await workflow_of(house, offered).execute_update("choose", ChooseAlternative(number=99, difference=price))
    assert isinstance(refused.value.cause, ApplicationError)
    dearer = ChooseAlternative(number=1, difference=price + price.model_copy(update={"amount_minor": 1}))
    with pytest.raises(WorkflowUpdateFailedError):
        await workflow_of(house, offered).execute_update("choose", dearer)
    assert (await in_state(house, itinerary, "offered")).disruption_id == offered.disruption_id
    await workflow_of(house, offered).execute_update("keep", KeepFlight())


async def test_of_a_partly_flown_ticket_only_the_way_back_is_replaced(at_work: House):
    """Nothing of it is cancelled or refunded by us: the supplier knows only whole orders, and the flown part is one with the rest."""
    house = at_work
    trip, itinerary = await confirmed(house, kinds=("flight",))
    ways = journeys((await house.stored(trip.booking_id)).items[0].offer, {"LIS"})
    flown, ahead = flights_of(itinerary)[: len(ways.there)], flights_of(itinerary)[len(ways.there) :]
    for segment in flown:
        await airline_says(
            house, segment, departed_at=segment.starts_at.isoformat(), arrived_at=segment.ends_at.isoformat()
        )
    await airline_says(house, ahead[0], cancelled=True)

    offered = await in_state(house, itinerary, "offered")
    assert offered.impact.flown_legs == len(flown)
    assert [one.number for one in offered.alternatives] == list(range(1, len(offered.alternatives) + 1))
    for one in offered.alternatives:
        assert (one.offer.segments[0].origin, one.offer.segments[-1].destination) == ("LIS", "LHR")
        assert (one.refund.amount_minor, one.difference) == (0, one.offer.price), "nobody can promise what comes back"
    arrivals = [arrival(one.offer.segments[-1]) for one in offered.alternatives]
    assert arrivals == sorted(arrivals), "who arrives first is best"

    begun = await choose(house, offered, 1)
    case = await open_case(house, trip, "partly flown")
    (effect,) = case.effects
    old = (await house.stored(trip.booking_id)).items[0]
    assert (effect.vendor, effect.reference) == (old.supplier, old.client_reference)
    assert effect.provider_reference == old.provider_booking_ref
    await settled(house, begun.booking_id, BookingState.CONFIRMED)
    after = {segment.segment_no: segment for segment in (await itinerary_of(house, trip)).segments}
    assert {after[segment.segment_no].state for segment in flown} == {"confirmed"}
    assert {after[segment.segment_no].state for segment in ahead} == {"replaced"}
    assert {segment.state for segment in after.values() if segment.booking_id == begun.booking_id} == {"confirmed"}

    await workflow_of(house, offered).execute_update("resolve", resolution(case, "settled_by_hand"))
    assert (await workflow_of(house, offered).result()).state == "rebooked"
    assert (await house.stored(trip.booking_id)).state == BookingState.CONFIRMED
    effects = {entry["type"] for entry in await house.ledger(trip.booking_id)}
    assert not effects & {"flight.cancelled", "payment.refunded"}, "by the supplier's and the provider's own books"
    await clean(house, trip.booking_id, begun.booking_id)


async def test_what_was_offered_whole_cannot_be_chosen_once_a_part_is_flown(at_work: House):
    house = at_work
    trip, itinerary = await confirmed(house, kinds=("flight",))
    out, back = flights_of(itinerary)[0], flights_of(itinerary)[-1]
    await airline_says(house, back, cancelled=True)
    offered = await in_state(house, itinerary, "offered")
    assert offered.impact.flown_legs == 0
    await airline_says(house, out, departed_at=out.starts_at.isoformat())
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await choose(house, offered, 1)
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == "conflict"
    assert (await house.stored(trip.booking_id)).state == BookingState.CONFIRMED
    assert "flight.cancelled" not in {entry["type"] for entry in await house.ledger(trip.booking_id)}
    await workflow_of(house, offered).execute_update("keep", KeepFlight())


async def test_a_gate_is_told_and_nothing_is_offered(at_work: House):
    house = at_work
    _, itinerary = await confirmed(house, kinds=("flight",))
    out = flights_of(itinerary)[0]
    await airline_says(house, out, gate="A1", matters=False)  # the first gate is no change
    await airline_says(house, out, gate="B42")
    told = await in_state(house, itinerary, "informed")
    assert (told.kind, told.alternatives) == ("gate_changed", [])
    assert (await workflow_of(house, told).result()).state == "informed"


async def test_nobody_chooses(at_work: House):
    """A second disruption of the trip, begun by hand so that its patience is certain: its deadline is its own, and ends it."""
    house = at_work
    trip, itinerary = await confirmed(house, kinds=("flight",))
    out = flights_of(itinerary)[0]
    await airline_says(house, out, cancelled=True)
    patient = await in_state(house, itinerary, "offered")
    told = DisruptionInput(
        disruption_id=disruption_id_for(itinerary.itinerary_id, out.flight_key, patient.flight_revision + 1),
        itinerary_id=itinerary.itinerary_id,
        client_id=house.client_id,
        booking_id=trip.booking_id,
        segment_no=out.segment_no,
        flight_key=out.flight_key,
        flight_revision=patient.flight_revision + 1,
        changes=["cancelled"],
        delay_minutes=0,
        correlation_id=trip.correlation_id,
        policy=house.settings.disruption.model_copy(update={"choice_timeout_s": 2.0}),
        saga=house.settings.saga,
    )
    result = await house.client.execute_workflow(
        DISRUPTION_WORKFLOW,
        told,
        id=disruption_workflow_id_for(told.disruption_id),
        task_queue=TASK_QUEUE,
        result_type=DisruptionResult,
    )
    assert result.state == "expired"
    expired = await in_state(house, itinerary, "expired")
    assert (expired.disruption_id, expired.chosen, expired.rebooking_id) == (told.disruption_id, None, None)
    assert expired.alternatives, "there was something to choose"
    assert expired.closed_at >= expired.deadline_at
    assert (await workflow_of(house, patient).result()).state == "superseded"
    assert (await house.stored(trip.booking_id)).state == BookingState.CONFIRMED
    assert {segment.state for segment in (await itinerary_of(house, trip)).segments} == {"confirmed"}
