"""Vendors in memory: what the API itself asks of them, which is offers, payments to look at, and webhooks to read."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from gateways.ports import PaymentEvent, PaymentProvider, ProviderPayment, Supplier
from schema.errors import Malformed, VendorUnavailable
from schema.money import Money
from schema.offers import (
    Bookable,
    CarOffer,
    FlightOffer,
    FlightSegment,
    FoundOffer,
    HotelOffer,
    Kind,
    Offer,
    SearchRequest,
)
from schema.outcomes import Capabilities

SIGNATURE = "signed-by-the-fake"
CAPABILITIES = Capabilities(idempotent_create=True, lookup_by_reference=True, hold=True, void=True, async_confirm=False)


def trip_day(days: int = 60) -> datetime:
    return datetime.now(UTC).replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=days)


def offer_of(kind: Kind, amount_minor: int = 10_000, **changes: object) -> Offer:
    """An offer of the kind, good for half an hour, for one traveller if it is a flight and two if not."""
    start = trip_day()
    common = {
        "offer_id": "",
        "price": Money(amount_minor=amount_minor, currency="EUR"),
        "expires_at": datetime.now(UTC) + timedelta(minutes=30),
        "refundable": True,
        "holdable": True,
    }
    offer: Bookable
    if kind == "flight":
        segment = FlightSegment(
            carrier="BA",
            number="117",
            origin="LHR",
            destination="JFK",
            departs_at=start,
            arrives_at=start + timedelta(hours=8),
        )
        offer = FlightOffer(**common, supplier="duffel", seats=1, cabin="economy", segments=[segment])
    elif kind == "hotel":
        offer = HotelOffer(
            **common,
            supplier="expedia_rapid",
            seats=2,
            property_id="p1",
            name="Harbour Hotel",
            city="New York",
            stars=4,
            room_type="Double",
            check_in=start.date(),
            check_out=start.date() + timedelta(days=3),
        )
    else:
        offer = CarOffer(
            **common,
            supplier="duffel_cars",
            seats=2,
            vendor_name="Avis",
            car_name="Ford Focus",
            car_class="compact",
            pickup_place="JFK",
            dropoff_place="JFK",
            pickup_at=start,
            dropoff_at=start + timedelta(days=3),
        )
    return offer.model_copy(update=changes)  # pyright: ignore[reportReturnType]


class FakeSupplier:
    """Answers a search as it is told: with offers, with an error, or never."""

    def __init__(self, code: str, kind: Kind) -> None:
        self.code = code
        self.kind = kind
        self.capabilities = CAPABILITIES
        self.offers: list[Offer] = [offer_of(kind)]
        self.error: Exception | None = None
        self.silent = False

    async def search(self, request: SearchRequest, correlation_id: str) -> list[FoundOffer]:
        if self.silent:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return [FoundOffer(offer=offer, supplier_state={"secret": "tok_of_supplier"}) for offer in self.offers]


class FakePayments:
    """Knows payments that were put into it, and events that carry its signature."""

    code = "stripe"
    capabilities = CAPABILITIES

    def __init__(self) -> None:
        self.known: dict[str, ProviderPayment] = {}

    async def get(self, provider_reference: str, correlation_id: str) -> ProviderPayment:
        if provider_reference not in self.known:
            raise VendorUnavailable("stripe", "away")
        return self.known[provider_reference]

    def parse_webhook(self, body: bytes, signature: str) -> PaymentEvent:
        if signature != SIGNATURE:
            raise Malformed("the webhook's signature does not match", code="invalid_signature")
        try:
            return PaymentEvent.model_validate(json.loads(body))
        except ValueError:
            raise Malformed("the webhook's body is not an event", code="malformed_json") from None


class FakeVendors:
    """The registry of the fakes."""

    def __init__(self) -> None:
        self.by_kind = {
            "flight": FakeSupplier("duffel", "flight"),
            "hotel": FakeSupplier("expedia_rapid", "hotel"),
            "car": FakeSupplier("duffel_cars", "car"),
        }
        self.stripe = FakePayments()
        self.closed = False

    def supplier(self, code: str) -> Supplier:
        return {supplier.code: supplier for supplier in self.by_kind.values()}[code]  # pyright: ignore[reportReturnType]

    def suppliers(self, kind: Kind | None = None) -> Sequence[Supplier]:
        return [found for found in self.by_kind.values() if kind in (None, found.kind)]  # pyright: ignore[reportReturnType]

    def payments(self, code: str) -> PaymentProvider:
        return {"stripe": self.stripe}[code]  # pyright: ignore[reportReturnType]

    async def aclose(self) -> None:
        self.closed = True
