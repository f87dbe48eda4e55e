"""What a search is answered: offers with their prices, and how each supplier answered. Absolute times only, so that an answer can
be sent again as it is."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from schema.model import Message
from schema.money import Money
from schema.offers import CarOffer, FlightOffer, HotelOffer
from schema.searches import ANSWERED, CacheState, SupplierReport
from search.arranging import Arranging, Shown
from search.rates import Rates
from search.searching import Finding
from store.searches import StoredSearch

UNAVAILABLE: Final = "booking temporarily unavailable"


class AlsoFrom(Message):
    """An equal offer of another supplier, as dear or dearer."""

    supplier: str
    offer_id: str
    price: Money


class Display(Message):
    """What every offer is shown with. Its `price`, in the supplier's own currency, is what is charged."""

    converted_price: Money | None
    """In the display currency, by indicative rates; None where there is no rate."""
    found_at: datetime
    """When the supplier said so."""
    stale: bool
    """Kept from earlier, because nobody who sells this can be reached; it cannot be booked now."""
    also_from: list[AlsoFrom]


class FlightView(FlightOffer, Display):
    """A flight, there and back."""


class HotelView(HotelOffer, Display):
    """A room for the nights between."""


class CarView(CarOffer, Display):
    """A car for the days between."""


OfferView = Annotated[FlightView | HotelView | CarView, Field(discriminator="kind")]


class SearchSummary(Message):
    """How a search went. Its offers can be booked by the client that searched, until they expire."""

    search_id: str
    status: Literal["running", "complete"]
    complete: bool
    """Whether every supplier that was asked has answered."""
    cache: CacheState
    """`away`: the cache cannot be reached, so everything was asked anew."""
    booking_available: bool
    message: str | None
    """Why booking is not available."""
    created_at: datetime
    suppliers: list[SupplierReport]


class SearchResult(SearchSummary):
    offers: list[OfferView]


class SupplierOffers(Message):
    """One supplier's part of a search, as it arrived: filtered and sorted, beside the equal offers of others."""

    supplier: SupplierReport
    offers: list[OfferView]


def summary_of(search: StoredSearch) -> SearchSummary:
    return SearchSummary.model_construct(None, **_summary(search))


def result_of(finding: Finding, rates: Rates) -> SearchResult:
    """Offers arranged as the search wishes."""
    stale = {report.supplier for report in finding.search.progress.suppliers if report.stale}
    shown = Arranging(finding.search.trip, rates).shown(finding.entries, stale)
    return SearchResult.model_construct(None, **_summary(finding.search), offers=list(_views(shown)))


def supplier_offers_of(finding: Finding, report: SupplierReport, rates: Rates) -> SupplierOffers:
    entries = [entry for entry in finding.entries if entry.supplier == report.supplier]
    stale = {report.supplier} if report.stale else set[str]()
    shown = Arranging(finding.search.trip, rates).shown(entries, stale)
    return SupplierOffers.model_construct(supplier=report, offers=list(_views(shown)))


def _summary(search: StoredSearch) -> dict[str, object]:
    progress = search.progress
    return {
        "search_id": search.search_id,
        "status": search.status,
        "complete": all(report.outcome in ANSWERED for report in progress.suppliers),
        "cache": progress.cache,
        "booking_available": not progress.read_only,
        "message": UNAVAILABLE if progress.read_only else None,
        "created_at": search.created_at,
        "suppliers": progress.suppliers,
    }


def _views(shown: Iterable[Shown]) -> Iterable[FlightView | HotelView | CarView]:
    for one in shown:
        display = {
            "converted_price": one.converted_price,
            "found_at": one.found_at,
            "stale": one.stale,
            "also_from": [
                AlsoFrom.model_construct(supplier=offer.supplier, offer_id=offer.offer_id, price=offer.price)
                for offer in one.also_from
            ],
        }
        fields = {**dict(one.offer), **display}
        match one.offer:
            case FlightOffer():
                yield FlightView.model_construct(None, **fields)
            case HotelOffer():
                yield HotelView.model_construct(None, **fields)
            case CarOffer():
                yield CarView.model_construct(None, **fields)
