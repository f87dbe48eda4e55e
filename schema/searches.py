"""Searches: what a client may wish beyond the trip itself, how each supplier answered, and what is kept of the answers."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field

from schema.model import ClientMessage, Message
from schema.money import MAX_AMOUNT_MINOR, CurrencyCode, Money
from schema.offers import Kind, Offer, SearchRequest

Sort = Literal["price", "duration", "departure"]
CarClass = Literal["mini", "economy", "compact", "intermediate", "standard", "fullsize", "premium", "luxury", "special"]
Amount = Annotated[int, Field(strict=True, ge=0, le=MAX_AMOUNT_MINOR)]

LIVE_ABOVE: Final = Money(amount_minor=100_000, currency="USD")
"""C-6c: an answer with a dearer offer is asked for anew each time."""

INDICATIVE_RATES: Final[dict[str, Decimal]] = {
    "EUR": Decimal(1),
    "AUD": Decimal("1.77"),
    "CAD": Decimal("1.62"),
    "CHF": Decimal("0.93"),
    "GBP": Decimal("0.88"),
    "JPY": Decimal(180),
    "USD": Decimal("1.16"),
}
"""Units of each currency for one euro, rounded, November 2026. They order and compare offers; nothing is ever charged by them."""


class SearchPolicy(Message):
    """Bounds of a search and of what is kept of it."""

    supplier_timeout_s: Annotated[float, Field(gt=0)] = 5
    total_timeout_s: Annotated[float, Field(gt=0)] = 30
    cache_max_document_bytes: Annotated[int, Field(gt=0)] = 10_000_000
    """Before compression. A larger answer is served and not kept."""
    copies_max_bytes: Annotated[int, Field(ge=0)] = 64_000_000
    """Of finished answers, in each API process."""
    exchange_rates: dict[CurrencyCode, Annotated[Decimal, Field(gt=0)]] = INDICATIVE_RATES
    """Units of each currency for one euro. An offer in a currency that is missing here counts as dear, and comes last."""


class SearchFilters(ClientMessage):
    """What an offer must be to be shown. Filters of one kind of offer leave the other kinds alone."""

    direct_only: Annotated[bool, Field(strict=True)] = False
    """Flights: one flight number each way."""
    min_checked_bags: Annotated[int, Field(strict=True, ge=0, le=9)] | None = None
    """Flights: for each traveller, within the price. Offers that do not say are left out."""
    nearby_airports: Annotated[bool, Field(strict=True)] = False
    """Flights: also from and to the other airports of the same city, four pairs at most."""
    refundable_only: Annotated[bool, Field(strict=True)] = False
    price_min_minor: Amount | None = None
    """Of one offer, in minor units of the display currency."""
    price_max_minor: Amount | None = None
    hotel_stars_min: Annotated[float, Field(ge=0, le=5)] | None = None
    car_classes: Annotated[list[CarClass], Field(min_length=1, max_length=9)] | None = None


class TripSearch(SearchRequest):
    """A trip to look for, and how to show what is found."""

    filters: SearchFilters = SearchFilters()
    sort: Sort = "price"
    """`duration` and `departure` order flights; hotels and cars stay ordered by price."""
    display_currency: CurrencyCode | None = None
    """For `converted_price` and the price filters; `currency` if it is not given."""

    @property
    def shown_in(self) -> str:
        return self.display_currency or self.currency


SupplierOutcome = Literal["waiting", "ok", "cached", "timeout", "circuit_open", "rate_limited", "error"]
CacheState = Literal["ok", "away"]
ANSWERED: Final[frozenset[SupplierOutcome]] = frozenset({"ok", "cached"})


class SupplierReport(Message):
    """How one supplier answered a search; `waiting` only while the search is running."""

    supplier: str
    kind: Kind
    outcome: SupplierOutcome
    offers: int = 0
    """Before filters, and before equal offers of other suppliers are put together."""
    found_at: datetime | None = None
    """When the oldest part of its answer came from the supplier; None if there is no answer."""
    stale: bool = False
    """Kept from earlier because the supplier cannot be reached now; nothing of it can be booked."""


class SearchProgress(Message):
    """How far a search has come: the `reports` of its row."""

    suppliers: list[SupplierReport]
    cache: CacheState = "ok"
    read_only: list[Kind] = []
    """Kinds whose suppliers' circuits are all open."""


class Entry(Message):
    """One supplier's answer to one normalised query; its offers have ids of ours and are in the books."""

    entry_id: str
    cache_key: str
    supplier: str
    kind: Kind
    found_at: datetime
    fresh_until: datetime
    """Not served from the cache after that, except in read-only mode. Equal to `found_at` where it must be asked live."""
    version_tag: str
    offers: list[Offer]
