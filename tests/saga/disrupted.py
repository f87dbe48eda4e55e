"""Trips whose flights are disrupted: made, disrupted at the airline, and decided on as their travellers would."""

from schema.disruptions import (
    ChooseAlternative,
    Disruption,
    DisruptionChoice,
    DisruptionResult,
    disruption_workflow_id_for,
)
from schema.flights import FlightId, FlightNews
from schema.itineraries import Itinerary, Segment, itinerary_id_for
from schema.states import BookingState
from store import disruptions, flights, itineraries
from tests.saga.harness import FAST, House, Trip
from tests.saga.waiting import eventually
from workers.audit import check, gather


async def confirmed(house: House, **wanted) -> tuple[Trip, Itinerary]:
    """A confirmed trip, whose flights are watched. On a day of its own: what its airline cancels, no other test could book."""
    trip = await house.prepare(**{"leaves_in_days": 60 + 7 * house.counter % 210, **wanted})
    await (await house.start(trip)).result()
    itinerary = await itinerary_of(house, trip)

    async def watched() -> bool:
        async with house.database.read() as connection:
            return all([await flights.get(connection, flight.flight_key) for flight in flights_of(itinerary)])

    await eventually(watched)
    return trip, itinerary


async def itinerary_of(house: House, trip: Trip) -> Itinerary:
    async with house.database.read() as connection:
        found = await itineraries.get(connection, itinerary_id_for(trip.booking_id))
    assert found is not None
    return found


def flights_of(itinerary: Itinerary) -> list[Segment]:
    return [segment for segment in itinerary.segments if segment.flight_key and segment.state == "confirmed"]


async def airline_says(house: House, segment: Segment, *, matters: bool = True, **state) -> None:
    """At the airline, so that suppliers sell and refund accordingly, and to us, as its monitor would hear it by its next poll."""
    flight = FlightId.of_key(segment.flight_key)
    path = f"/_sandbox/flights/{flight.carrier}{flight.number}/{flight.on}"
    answer = await house.sandbox.post(path, json={"origin": flight.origin, **state})
    assert answer.is_success, answer.text
    source = house.vendors.flight_status()
    news = await source.status(flight, "test")
    assert isinstance(news, FlightNews)
    policy = house.settings.flights
    async with house.database.transaction() as connection:
        before = await flights.get(connection, flight.key)
        status = await flights.take_news(connection, news, policy)
        assert (status.revision > before.status.revision) == matters
    if not matters:
        return
    async with house.database.transaction() as connection:
        told = await flights.telling(connection, flight.key, status.revision, policy)
        for itinerary_id in await itineraries.on_flight(connection, flight.key, "", 100):
            await itineraries.tell_of_flight(connection, itinerary_id, told.status, told.changes)
        await flights.told(connection, flight.key, status.revision)


async def in_state(house: House, itinerary: Itinerary, *states: str) -> Disruption:
    async def look() -> Disruption | None:
        async with house.database.read() as connection:
            found = await disruptions.of_itinerary(connection, itinerary.itinerary_id)
        return next((one for one in found if one.state in states), None)

    return await eventually(look, 60)


def workflow_of(house: House, disruption: Disruption):
    return house.client.get_workflow_handle(
        disruption_workflow_id_for(disruption.disruption_id), result_type=DisruptionResult
    )


async def choose(house: House, disruption: Disruption, number: int) -> DisruptionChoice:
    alternative = next(one for one in disruption.alternatives if one.number == number)
    wish = ChooseAlternative(number=number, difference=alternative.difference)
    return await workflow_of(house, disruption).execute_update("choose", wish, result_type=DisruptionChoice)


async def clean(house: House, *booking_ids: str) -> None:
    report = check(await gather(house.settings, list(booking_ids), policy=FAST, histories=0))
    assert [violation.text for violation in report.violations] == []


async def settled(house: House, booking_id: str, state: BookingState) -> None:
    async def look() -> bool:
        return (await house.stored(booking_id)).state == state

    await eventually(look, 60)
