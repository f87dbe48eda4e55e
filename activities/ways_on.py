"""Which offers would help a traveller whose flight is disrupted, and in which order they are shown: without I/O."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from schema.disruptions import Alternative, Disruption
from schema.flights import FlightId
from schema.itineraries import FlightDetails, Segment
from schema.money import Money
from schema.offers import FlightOffer, FlightSegment, SearchRequest
from schema.searches import TripSearch
from search.journeys import Journeys, arrival, departure, journeys
from store.records import StoredItem

_ONE_DAY: Final = timedelta(days=1)


class OldFlight:
    """What another offer would take the place of: a ticket of which one journey is disrupted, or what is left to fly of it."""

    def __init__(self, booking_id: str, segment: Segment, item: StoredItem, flown_legs: int = 0) -> None:
        """`flown_legs`: so many of the ticket's flights are flown, and are left alone."""
        assert isinstance(item.offer, FlightOffer), "only flights are disrupted"
        assert isinstance(segment.details, FlightDetails), "only flights are disrupted"
        self.booking_id = booking_id
        self.item = item
        self.offer = item.offer
        self.flown_legs = flown_legs
        request = item.search_request
        self._destinations = [] if request is None else [request.destination]
        one_way = request is not None and request.one_way
        ways = journeys(item.offer, self._destinations, one_way=one_way)
        self._one_way = one_way or flown_legs > 0
        self._there, self._back = ways.there, ways.back
        self.outbound = segment.details.item_leg < len(ways.there)
        self.replaced = item.offer.segments[flown_legs:]
        self.arrives = arrival(self.replaced[-1] if flown_legs else self.affected(item.offer)[-1])

    @property
    def replaceable(self) -> bool:
        """Whether one ticket could take its place: not where a journey is under way, and another one is still to follow it."""
        there_under_way = 0 < self.flown_legs < len(self._there)
        return not (there_under_way and self._back)

    def affected(self, offer: FlightOffer) -> list[FlightSegment]:
        """Of an offer, the journey in the direction that is disrupted."""
        ways = self._journeys(offer)
        return ways.there if self.outbound or not ways.back else ways.back

    def other_way(self, offer: FlightOffer) -> list[str]:
        """The flights of the journey that is not disrupted."""
        ways = self._journeys(offer)
        if not ways.back:
            return []
        return [segment.key() for segment in (ways.back if self.outbound else ways.there)]

    def trips(self, currency: str) -> list[TripSearch]:
        """What to search for: the disrupted journey on its day, and a day later; the other one as it was."""
        request = self._request()
        asked = [request]
        if self.outbound or request.return_date is None:
            later = request.departure_date + _ONE_DAY
            if request.return_date is None or later <= request.return_date:
                asked.append(request.model_copy(update={"departure_date": later}))
        else:
            asked.append(request.model_copy(update={"return_date": request.return_date + _ONE_DAY}))
        given = {"kinds": ["flight"], "currency": currency}
        return [TripSearch.model_validate(one.model_dump() | given) for one in asked]

    def _journeys(self, offer: FlightOffer) -> Journeys:
        return journeys(offer, self._destinations, one_way=self._one_way)

    def _request(self) -> SearchRequest:
        """How it was found, or would have been; one way, for what is left to fly of a ticket."""
        if self.item.search_request is not None and not self.flown_legs:
            return self.item.search_request
        there = self.replaced if self.flown_legs else self._there
        back = [] if self.flown_legs else self._back or there
        known = self.item.search_request
        return SearchRequest(
            origin=there[0].origin,
            destination=there[-1].destination,
            departure_date=there[0].departs_at.date(),
            return_date=back[0].departs_at.date() if back else None,
            travellers=self.offer.seats,
            kinds=["flight"],
            cabin="economy" if known is None else known.cabin,
            currency=self.offer.price.currency,
        )


def flight_keys(offer: FlightOffer) -> list[str]:
    """Of all its flights."""
    return [
        FlightId(
            carrier=segment.carrier, number=segment.number, on=segment.departs_at.date(), origin=segment.origin
        ).key
        for segment in offer.segments
    ]


def usable(
    offers: Sequence[FlightOffer], old: OldFlight, disruption: Disruption, not_flying: frozenset[str], now: datetime
) -> list[FlightOffer]:
    """Those that fly, can be caught, and arrive before the disrupted flight would. Of equal offers the cheapest."""
    impact = disruption.impact
    gone = not_flying | {disruption.flight_key}
    best: dict[str, FlightOffer] = {}
    for offer in sorted(offers, key=lambda one: one.price.amount_minor):
        way = old.affected(offer)
        keys = flight_keys(offer)
        missed = [flight_key for flight_key in keys if flight_key in gone]
        too_early = impact.leave_after is not None and departure(way[0]) < impact.leave_after
        too_late = impact.arrive_before is not None and arrival(way[-1]) >= impact.arrive_before
        left = departure(offer.segments[0]) <= now
        same = [segment.key() for segment in old.replaced] == [segment.key() for segment in offer.segments]
        if missed or too_early or too_late or left or same or offer.seats < old.offer.seats:
            continue
        best.setdefault(offer.equal_key(), offer)
    return list(best.values())


def ranked(offers: Sequence[FlightOffer], old: OldFlight, refund: Money, most: int) -> list[Alternative]:
    """First those that leave the other journey as it was booked; of these, who arrives first is best; of those that arrive together,
    the cheaper one."""

    def place(offer: FlightOffer) -> tuple[bool, datetime, int]:
        changes_more = old.other_way(offer) != old.other_way(old.offer)
        return (changes_more, arrival(old.affected(offer)[-1]), offer.price.amount_minor)

    ordered = sorted(offers, key=place)
    return [
        Alternative(
            number=number,
            offer=offer,
            refund=refund,
            difference=offer.price - refund,
            arrives_later_minutes=_minutes(arrival(old.affected(offer)[-1]) - old.arrives),
        )
        for number, offer in enumerate(ordered[:most], 1)
    ]


def leaves_first(alternatives: Sequence[Alternative]) -> datetime:
    return min((departure(one.offer.segments[0]) for one in alternatives), default=datetime.max.replace(tzinfo=UTC))


def _minutes(duration: timedelta) -> int:
    return int(duration.total_seconds() // 60)
