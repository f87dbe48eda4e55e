"""What a supplier answered, before anything of it is shown or kept: all of it makes sense, or none of it is taken."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from gateways.ports import Supplier
from schema.errors import VendorContractBroken
from schema.money import currency_code
from schema.offers import CarOffer, FlightOffer, FoundOffer, HotelOffer, Offer, SearchRequest
from search.journeys import departure, journeys

MAX_OFFERS_OF_A_SUPPLIER: Final = 50
"""The cheapest ones: each offer is stored under an id of ours, and nobody reads the hundredth."""
_WESTERNMOST: Final = timedelta(hours=12)


def checked(supplier: Supplier, request: SearchRequest, found: list[FoundOffer], now: datetime) -> list[FoundOffer]:
    """The cheapest offers. Raises VendorContractBroken if any offer cannot be meant: a supplier that is wrong about one may be
    wrong about all, and what it says is going to be paid for."""
    for offer in (entry.offer for entry in found):
        for fault in _faults(offer, supplier, request, now):
            raise VendorContractBroken(f"{supplier.code}: an offer {fault}")
    return found[:MAX_OFFERS_OF_A_SUPPLIER]


def _faults(offer: Offer, supplier: Supplier, request: SearchRequest, now: datetime) -> Iterable[str]:
    if offer.supplier != supplier.code or offer.kind != supplier.kind:
        yield "of another supplier or kind"
    if offer.price.amount_minor <= 0:
        yield "without a price above zero"
    try:
        currency_code(offer.price.currency)
    except ValueError:
        yield "in an unknown currency"
    if offer.expires_at <= now:
        yield "that has expired"
    if _days(offer, request) != (request.departure_date, request.return_date):
        yield "for other days than asked"
    if request.one_way and _goes_on(offer, request.destination):
        yield "that leads on from where it was to end"
    if _has_started(offer, now):
        yield "in the past"


def _days(offer: Offer, request: SearchRequest) -> tuple[date, date | None]:
    """There and back."""
    match offer:
        case FlightOffer():
            ways = journeys(offer, {request.destination}, one_way=request.one_way)
            return offer.starts_on(), ways.back[0].departs_at.date() if ways.back else None
        case HotelOffer():
            return offer.check_in, offer.check_out
        case CarOffer():
            return offer.pickup_at.date(), offer.dropoff_at.date()


def _goes_on(offer: Offer, destination: str) -> bool:
    return isinstance(offer, FlightOffer) and destination in [segment.destination for segment in offer.segments[:-1]]


def _has_started(offer: Offer, now: datetime) -> bool:
    if isinstance(offer, FlightOffer):
        return departure(offer.segments[0]) <= now
    # A place's clock is not known: what starts today in the last of all time zones has not started.
    return offer.starts_on() < (now.astimezone(UTC) - _WESTERNMOST).date()
