"""Other ways to fly: searched for through the search room, ranked, and offered with what each would cost."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.cancelling import Cancelling
from activities.failures import told_to_temporal
from activities.ways_on import OldFlight, flight_keys, leaves_first, ranked, usable
from gateways.ports import Vendors
from schema.disruptions import Alternative, AlternativesFound, Disruption, DisruptionStep
from schema.errors import InvariantBroken
from schema.money import Money
from schema.offers import FlightOffer
from schema.payments import QuoteRequest
from schema.searches import TripSearch
from search.searching import Searching, Wish
from store import disruptions, items, itineraries
from store.database import Database

_QUOTED_FOR_S: Final = 3600
_BEFORE_DEPARTURE: Final = timedelta(minutes=45)


class Alternatives:
    """Asks suppliers what else flies, and what giving up the old flight costs; buys nothing."""

    def __init__(self, database: Database, vendors: Vendors, searching: Searching) -> None:
        self._database = database
        self._searching = searching
        self._cancelling = Cancelling(database, vendors)

    @activity.defn
    async def find_alternatives(self, step: DisruptionStep) -> AlternativesFound:
        """Offers the best to the traveller; none where nothing would help. Run again, it finds its own work done."""
        async with told_to_temporal(step.retry_initial_s):
            async with self._database.read() as connection:
                disruption = await disruptions.get(connection, step.disruption_id)
            if disruption is None or disruption.state != "open":
                return _as_offered(disruption)
            found = await self.search(disruption, step)
            if not found:
                return AlternativesFound(number=0)
            chooses_by = datetime.now(UTC) + timedelta(seconds=step.policy.choice_timeout_s)
            deadline = min(chooses_by, leaves_first(found) - _BEFORE_DEPARTURE)
            async with self._database.transaction() as connection:
                current = await disruptions.get(connection, step.disruption_id, lock=True)
                if current is None or current.state != "open":
                    return _as_offered(current)
                await disruptions.offer(connection, current, found, deadline)
            return AlternativesFound(number=len(found), deadline_at=deadline)

    async def search_again(self, disruption: Disruption, step: DisruptionStep) -> list[Alternative]:
        """The best first, as the suppliers sell it now: an offer may have expired, or be used up by an order of another one that
        was found with it."""
        await self._searching.forget([one.offer for one in disruption.alternatives])
        return await self.search(disruption, step)

    async def search(self, disruption: Disruption, step: DisruptionStep) -> list[Alternative]:
        """The best first. Raises what a supplier raises that cannot say what giving up the old flight costs."""
        async with self._database.transaction() as connection:
            old = await old_flight(connection, disruption)
        if not old.replaceable:
            return []
        offers: list[FlightOffer] = []
        for trip in old.trips(old.offer.price.currency):
            offers += await self._offers(disruption, trip, step)
        now = datetime.now(UTC)
        found = usable(offers, old, disruption, await self._not_flying(offers), now)
        return ranked(found, old, await self._refund(old, step), step.policy.alternatives) if found else []

    async def _offers(self, disruption: Disruption, trip: TripSearch, step: DisruptionStep) -> list[FlightOffer]:
        wish = Wish(disruption.client_id, trip, disruption.disruption_id.encode(), step.correlation_id)
        finding = await self._searching.find(wish)
        found = [offer for entry in finding.entries for offer in entry.offers if isinstance(offer, FlightOffer)]
        return [offer for offer in found if offer.price.currency == trip.currency]

    async def _not_flying(self, offers: Sequence[FlightOffer]) -> frozenset[str]:
        keys = {flight_key for offer in offers for flight_key in flight_keys(offer)}
        async with self._database.read() as connection:
            return await disruptions.not_flying(connection, sorted(keys))

    async def _refund(self, old: OldFlight, step: DisruptionStep) -> Money:
        """What the traveller gets back for the old flight: its price less what the supplier keeps now. Nothing is promised for a
        ticket that is partly flown: suppliers quote whole orders."""
        if old.flown_legs:
            return Money.zero(old.item.price.currency)
        quote = await self._cancelling.quote_cancellation(
            QuoteRequest(
                booking_id=old.booking_id,
                item_nos=[old.item.item_no],
                captured=old.item.price,
                ttl_s=_QUOTED_FOR_S,
                correlation_id=step.correlation_id,
                retry_initial_s=step.retry_initial_s,
            )
        )
        return quote.refund


async def old_flight(connection: AsyncConnection, disruption: Disruption) -> OldFlight:
    """The item that the disruption wants another for; raises InvariantBroken where it wants none."""
    itinerary = await itineraries.get(connection, disruption.itinerary_id)
    wanted = disruption.impact.rebook_segment_no
    segments = [] if itinerary is None else itinerary.segments
    segment = next((one for one in segments if one.segment_no == wanted), None)
    if segment is None:
        raise InvariantBroken(f"disruption {disruption.disruption_id} is about no flight that could be rebooked")
    item = await items.get(connection, segment.booking_id, segment.item_no)
    return OldFlight(segment.booking_id, segment, item, disruption.impact.flown_legs)


def _as_offered(disruption: Disruption | None) -> AlternativesFound:
    if disruption is None or disruption.state != "offered":
        return AlternativesFound(number=0)
    return AlternativesFound(number=len(disruption.alternatives), deadline_at=disruption.deadline_at)
