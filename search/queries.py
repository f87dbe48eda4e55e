"""What a supplier is asked: one normalised query for each kind and pair of airports, and its key in the cache."""

import hashlib
from dataclasses import dataclass
from typing import Final

import orjson

from gateways.ports import Supplier
from schema.offers import Kind, SearchRequest
from schema.searches import TripSearch
from search import places

_WHEN_AND_WHO: Final = ("destination", "departure_date", "return_date", "travellers", "currency")
_DEPENDS_ON: Final[dict[Kind, tuple[str, ...]]] = {
    "flight": ("origin", *_WHEN_AND_WHO, "cabin"),
    "hotel": (*_WHEN_AND_WHO, "residence_country"),
    "car": (*_WHEN_AND_WHO, "pickup_time", "dropoff_time", "driver_age", "residence_country"),
}
"""The fields that change what a supplier answers. Whatever else a client wishes is applied to the answers."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question to one supplier."""

    supplier: Supplier
    request: SearchRequest
    cache_key: str


def queries(trip: TripSearch, suppliers: list[Supplier]) -> dict[str, list[Query]]:
    """By the supplier's code: one query, or for flights one for each pair of airports."""
    pairs = places.pairs(trip)
    asked: dict[str, list[Query]] = {}
    for supplier in suppliers:
        wanted = pairs if supplier.kind == "flight" else pairs[:1]
        requests = [_request(trip, supplier.kind, origin, destination) for origin, destination in wanted]
        asked[supplier.code] = [Query(supplier, request, cache_key(supplier, request)) for request in requests]
    return asked


def _request(trip: TripSearch, kind: Kind, origin: str, destination: str) -> SearchRequest:
    """What a gateway sees: the trip alone."""
    return SearchRequest(
        origin=origin,
        destination=destination,
        departure_date=trip.departure_date,
        return_date=trip.return_date,
        travellers=trip.travellers,
        kinds=[kind],
        cabin=trip.cabin,
        currency=trip.currency,
        driver_age=trip.driver_age,
        residence_country=trip.residence_country,
        pickup_time=trip.pickup_time,
        dropoff_time=trip.dropoff_time,
    )


def cache_key(supplier: Supplier, request: SearchRequest) -> str:
    """Must merge: every search to which this supplier would answer the same. Must not merge: two suppliers, or two queries."""
    facts = [str(getattr(request, name)) for name in _DEPENDS_ON[supplier.kind]]
    digest = hashlib.sha256(orjson.dumps([supplier.kind, *facts])).hexdigest()
    return f"{supplier.code}:{digest[:32]}"
