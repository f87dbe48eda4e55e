"""What a client is shown of what was found: filtered, equal offers of several suppliers put together, in the order it wishes."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from schema.money import Money
from schema.offers import CarOffer, FlightOffer, HotelOffer, Offer
from schema.searches import Entry, SearchFilters, TripSearch
from search import places
from search.journeys import Journeys, departure, journeys
from search.rates import Rates

_UNPRICED: Final = 1
"""Offers without a comparable price come last."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An offer as a client sees it, and the equal ones of other suppliers, dearer or as dear."""

    offer: Offer
    converted_price: Money | None
    found_at: datetime
    stale: bool
    ways: Journeys | None
    """Of a flight."""
    also_from: list[Offer] = field(default_factory=list[Offer])


class Arranging:
    """For one search."""

    def __init__(self, trip: TripSearch, rates: Rates) -> None:
        self._trip = trip
        self._rates = rates
        self._destinations = {destination for _, destination in places.pairs(trip)}

    def shown(self, entries: Iterable[Entry], stale_suppliers: Collection[str]) -> list[Shown]:
        """Every offer that the filters let through; offers equal to a cheaper one of another supplier are listed with that."""
        found = [
            self._show(offer, entry, stale=entry.supplier in stale_suppliers)
            for entry in entries
            for offer in entry.offers
        ]
        found = [one for one in found if passes(one, self._trip.filters)]
        found.sort(key=_price)
        return self._sorted(_together(found))

    def _show(self, offer: Offer, entry: Entry, *, stale: bool) -> Shown:
        return Shown(
            offer=offer,
            converted_price=self._rates.converted(offer.price, self._trip.shown_in),
            found_at=entry.found_at,
            stale=stale,
            ways=self._ways(offer) if isinstance(offer, FlightOffer) else None,
        )

    def _ways(self, offer: FlightOffer) -> Journeys:
        return journeys(offer, self._destinations, one_way=self._trip.one_way)

    def _sorted(self, found: list[Shown]) -> list[Shown]:
        """They are in order of price, and stay so where the wished order does not tell them apart."""
        match self._trip.sort:
            case "price":
                return found
            case "duration":
                return sorted(found, key=lambda one: one.ways.duration if one.ways else timedelta.max)
            case "departure":
                return sorted(found, key=lambda one: departure(one.ways.there[0]) if one.ways else _LAST)


_LAST: Final = datetime.max.replace(tzinfo=UTC)


def _price(shown: Shown) -> tuple[int, int, str, str]:
    price = shown.converted_price
    offer = shown.offer
    return (0 if price else _UNPRICED), (price or offer.price).amount_minor, offer.supplier, offer.item_key()


def _together(found: list[Shown]) -> list[Shown]:
    """`found` in order of price. A supplier's own offers are never put together, because it means something by each of them: the
    cheapest of each supplier make one, then the second cheapest, and so on."""
    equal: defaultdict[tuple[str, str], list[Shown]] = defaultdict(list)
    seen: Counter[tuple[str, str, str]] = Counter()
    leading: list[Shown] = []
    for one in found:
        offer = one.offer
        key = (offer.kind, offer.equal_key())
        rank = seen[*key, offer.supplier]
        seen[*key, offer.supplier] += 1
        if rank < len(equal[key]):
            equal[key][rank].also_from.append(offer)
        else:
            equal[key].append(one)
            leading.append(one)
    return leading


def passes(shown: Shown, filters: SearchFilters) -> bool:
    """Whether the filters of its kind, and those for every kind, let the offer through."""
    if filters.refundable_only and not shown.offer.refundable:
        return False
    if not _price_passes(shown.converted_price, filters):
        return False
    match shown.offer:
        case FlightOffer() as offer:
            direct = shown.ways is not None and shown.ways.direct
            bags = offer.checked_bags
            wanted = filters.min_checked_bags
            return (direct or not filters.direct_only) and (wanted is None or (bags is not None and bags >= wanted))
        case HotelOffer() as offer:
            return filters.hotel_stars_min is None or (offer.stars or 0) >= filters.hotel_stars_min
        case CarOffer() as offer:
            return filters.car_classes is None or offer.car_class in filters.car_classes


def _price_passes(price: Money | None, filters: SearchFilters) -> bool:
    """A price that cannot be compared passes only where none is wished for."""
    if filters.price_min_minor is None and filters.price_max_minor is None:
        return True
    if price is None:
        return False
    most = filters.price_max_minor
    return price.amount_minor >= (filters.price_min_minor or 0) and (most is None or price.amount_minor <= most)
