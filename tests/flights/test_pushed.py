"""C-4c: what Duffel tells by itself reaches everybody on the flight, whatever order it comes in and whoever is away meanwhile."""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client

from activities.handing_over import Away, HandingOver
from schema.errors import VendorUnavailable
from schema.flights import FlightNews
from schema.itineraries import itinerary_id_for
from schema.references import new_id
from store import bookings, flights, inbox, itineraries
from store.inbox import InboxMessage
from tests.flights.conftest import SLOW, Tower, news_of
from tests.store.trips import a_booking, confirm

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.stack]


class Duffel:
    """The ports `Notifying` and `TellsOfFlights`: an order's changes, as they are listed at each moment."""

    code = "duffel"

    def __init__(self) -> None:
        self.listed: list[FlightNews] = []
        self.away = False

    async def news(self, subject: str, correlation_id: str) -> list[FlightNews]:
        if self.away:
            raise VendorUnavailable("duffel", "it is away")
        return self.listed

    async def touched(self, subject: str, correlation_id: str) -> list[str]:
        return []


class OnlyDuffel:
    def __init__(self, duffel: Duffel, source: Any = None) -> None:
        self._duffel = duffel
        self._source = source

    def flight_status(self) -> Any:
        return self._source

    def notifying(self, code: str) -> Duffel:
        return self._duffel


async def received(tower: Tower, order_id: str) -> InboxMessage:
    message = InboxMessage(
        vendor="duffel", event_id=new_id("evt"), type="changed", booking_id=None, payment_id=None, subject=order_id
    )
    async with tower.database.transaction() as connection:
        assert await inbox.receive(connection, message)
    return message


async def left_to_do(tower: Tower, message: InboxMessage) -> bool:
    async with tower.database.transaction() as connection:
        return await inbox.receive(connection, message)


def handing_over(tower: Tower, duffel: Duffel, client: Client | None = None) -> HandingOver:
    vendors: Any = OnlyDuffel(duffel)
    return HandingOver(tower.database, tower.valkey, vendors, client or tower.client, SLOW)


async def booked(tower: Tower, number: str) -> tuple[str, str, flights.PlannedFlight]:
    """A confirmed trip: its itinerary, its order's id, and its first flight; nobody watches that yet."""
    booking_id = await a_booking(tower.database, tower.client_id, kinds=("flight",), number=number)
    await confirm(tower.database, booking_id)
    itinerary_id = itinerary_id_for(booking_id)
    async with tower.database.read() as connection:
        stored = await bookings.get(connection, booking_id)
        itinerary = await itineraries.get(connection, itinerary_id)
    assert stored is not None
    assert itinerary is not None
    out = itinerary.segments[0]
    assert out.flight_key is not None
    planned = flights.PlannedFlight(
        flight=flights.FlightId.of_key(out.flight_key),
        destination="LIS",
        departs_at=out.starts_at,
        arrives_at=out.ends_at,
    )
    order_id = stored.items[0].provider_booking_ref
    assert order_id is not None
    return itinerary_id, order_id, planned


async def test_pushes_doubled_late_and_out_of_order_are_told_once_and_as_the_newest_says(tower: Tower) -> None:
    itinerary_id, order_id, planned = await booked(tower, "701")
    older, newer = news_of(planned, said_min=1, delay_min=40), news_of(planned, said_min=9, delay_min=90)
    duffel = Duffel()
    async with tower.worker():
        await tower.subscribe([itinerary_id])
        for listed in ([newer], [older], [older, newer], [newer]):
            duffel.listed = listed
            message = await received(tower, order_id)
            assert await handing_over(tower, duffel).hand_over(message)
            assert not await left_to_do(tower, message)
        stored = await tower.until(planned, lambda stored: stored.told_revision == 1)
        assert stored.status.delay_minutes == 90
        assert await tower.told([itinerary_id]) == [[["delayed"]]]


async def test_a_push_that_comes_before_anybody_watches_is_told_to_who_does(tower: Tower) -> None:
    itinerary_id, order_id, planned = await booked(tower, "702")
    duffel = Duffel()
    duffel.listed = [news_of(planned, phase="cancelled")]
    async with tower.worker():
        assert await handing_over(tower, duffel).hand_over(await received(tower, order_id))
        await tower.subscribe([itinerary_id])
        await tower.until(planned, lambda stored: stored.told_revision == 1)
        assert await tower.told([itinerary_id]) == [[["cancelled"]]]


async def test_news_that_may_be_of_another_flight_have_the_source_asked_and_tell_nobody(tower: Tower) -> None:
    itinerary_id, order_id, planned = await booked(tower, "704")
    duffel = Duffel()
    duffel.listed = [news_of(planned, phase="cancelled", ambiguous=True)]
    async with tower.worker():
        await tower.subscribe([itinerary_id])
        before = await tower.until(planned, lambda stored: stored.polled_at is not None)
        vendors: Any = OnlyDuffel(duffel, tower.source)
        asking = HandingOver(tower.database, tower.valkey, vendors, tower.client, SLOW)
        assert await asking.hand_over(await received(tower, order_id))
        asked = await tower.until(planned, lambda stored: stored.polled_at > before.polled_at)
        assert (asked.status.phase, asked.told_revision) == ("scheduled", 0)


async def test_a_push_is_kept_while_duffel_or_temporal_is_away(tower: Tower) -> None:
    itinerary_id, order_id, planned = await booked(tower, "703")
    duffel = Duffel()
    duffel.listed = [news_of(planned, delay_min=60)]
    nowhere = await Client.connect("127.0.0.1:1", lazy=True)
    message = await received(tower, order_id)
    duffel.away = True
    with pytest.raises(Away):
        await handing_over(tower, duffel).hand_over(message)
    duffel.away = False
    with pytest.raises(Away):
        await handing_over(tower, duffel, nowhere).hand_over(message)
    assert await left_to_do(tower, message), "the inbox's sweep hands it over again"
    async with tower.worker():
        await tower.subscribe([itinerary_id])
        assert await handing_over(tower, duffel).hand_over(message)
        await tower.until(planned, lambda stored: stored.told_revision == 1)
        assert await tower.told([itinerary_id]) == [[["delayed"]]]


async def test_a_push_about_somebody_elses_order_concerns_nobody(tower: Tower) -> None:
    planned = tower.a_flight(timedelta(days=5))
    duffel = Duffel()
    duffel.listed = [news_of(planned, delay_min=60)]
    assert await handing_over(tower, duffel).hand_over(await received(tower, "ord_of_somebody_else"))
    async with tower.database.read() as connection:
        assert await flights.get(connection, planned.flight.key) is None
