"""A trip with a page: confirmed, its first flight watched, and disruptions of it as the books have them."""

from datetime import UTC, datetime, timedelta
from itertools import count

from sqlalchemy import insert, update

from schema.disruptions import Alternative, Disruption, Impact, disruption_id_for
from schema.flights import FlightId, FlightNews, FlightPoint, FlightPolicy
from schema.itineraries import itinerary_id_for
from schema.links import trip_link
from schema.money import Money
from schema.offers import FlightOffer, FlightSegment
from schema.tables import disruptions
from store import flights, itineraries
from tests.store.trips import COMMON, a_booking, confirm

_NUMBERS = count(2001)
DEPARTS = datetime(2027, 2, 1, 9, tzinfo=UTC)


async def a_trip(database, client_id: str) -> str:
    """On a flight of its own, so that no test hears another's news."""
    booking_id = await a_booking(database, client_id, number=str(next(_NUMBERS)))
    await confirm(database, booking_id)
    return itinerary_id_for(booking_id)


async def first_flight(database, itinerary_id: str) -> FlightId:
    async with database.read() as connection:
        itinerary = await itineraries.get(connection, itinerary_id)
    return FlightId.of_key(itinerary.segments[0].flight_key)


async def news(database, itinerary_id: str, *, minutes=0, gate=None, phase=None):
    """What a source says, a minute after whatever it has said before."""
    flight = await first_flight(database, itinerary_id)
    async with database.transaction() as connection:
        planned = flights.PlannedFlight(
            flight=flight, destination="LIS", departs_at=DEPARTS, arrives_at=DEPARTS + timedelta(hours=3)
        )
        await flights.watch(connection, planned)
        before = (await flights.get(connection, flight.key)).status
        said = FlightNews(
            flight=flight,
            source="amadeus",
            said_at=max(before.said_at, datetime.now(UTC)) + timedelta(minutes=1),
            phase=phase,
            departure=FlightPoint(
                airport="LHR",
                scheduled=DEPARTS,
                estimated=DEPARTS + timedelta(minutes=minutes),
                terminal="5",
                gate=gate,
            ),
        )
        return await flights.take_news(connection, said, FlightPolicy())


async def tell(database, itinerary_id: str, status, *changes: str) -> None:
    async with database.transaction() as connection:
        await itineraries.tell_of_flight(connection, itinerary_id, status, list(changes))


def alternative(number: int, difference_minor: int, later: int, *, via: str | None = None) -> Alternative:
    def flown(number: str, origin: str, destination: str, hour: int) -> FlightSegment:
        at = datetime(2027, 2, 1, hour)  # noqa: DTZ001  # by the clock of the airport
        return FlightSegment(
            carrier="ZZ", number=number, origin=origin, destination=destination, departs_at=at,
            arrives_at=at + timedelta(hours=2, minutes=40),
        )  # fmt: skip

    direct = [flown(f"20{number}", "LHR", "LIS", 10 + number)]
    stops = [flown("301", "LHR", via, 11), flown("302", via, "LIS", 16)] if via else direct
    offer = FlightOffer(offer_id=f"off_{number}", supplier="duffel", cabin="economy", segments=stops, **COMMON)
    return Alternative(
        number=number,
        offer=offer,
        difference=Money(amount_minor=difference_minor, currency="EUR"),
        refund=Money(amount_minor=10_000, currency="EUR"),
        arrives_later_minutes=later,
    )


async def disrupt(database, itinerary_id: str, **changes) -> Disruption:
    """The first flight is cancelled, and three others are offered."""
    async with database.read() as connection:
        itinerary = await itineraries.get(connection, itinerary_id)
    now, key = datetime.now(UTC), itinerary.segments[0].flight_key
    disruption = Disruption(
        disruption_id=disruption_id_for(itinerary_id, key, 1),
        itinerary_id=itinerary_id,
        client_id=itinerary.client_id,
        segment_no=1,
        flight_key=key,
        flight_revision=1,
        kind="flight_cancelled",
        state="offered",
        impact=Impact(changes=["cancelled"], late_hotel_segment_nos=[3]),
        alternatives=[alternative(1, 4_500, 65), alternative(2, -1_250, 170, via="MAD"), alternative(3, 0, 0)],
        deadline_at=now + timedelta(hours=5),
        opened_at=now,
    ).model_copy(update=changes)
    row = disruption.model_dump(mode="python", exclude={"disruption_id", "impact", "alternatives"})
    row |= disruption.model_dump(mode="json", include={"impact", "alternatives"})
    async with database.transaction() as connection:
        await connection.execute(insert(disruptions).values(id=disruption.disruption_id, **row))
        data = {"disruption_id": disruption.disruption_id, "kind": disruption.kind}
        await itineraries.raised(connection, itinerary_id, "itinerary.alternatives_offered", data)
    return disruption


async def settle(database, disruption: Disruption, state: str, event: str = "itinerary.rebooked") -> None:
    """As its workflow does when it is over."""
    async with database.transaction() as connection:
        changed = update(disruptions).where(disruptions.c.id == disruption.disruption_id)
        await connection.execute(changed.values(state=state, closed_at=datetime.now(UTC)))
        await itineraries.raised(connection, disruption.itinerary_id, event, {})


def address(settings, itinerary_id: str) -> str:
    """Path and query of its page."""
    return trip_link("", settings.link_secret.get_secret_value(), itinerary_id)
