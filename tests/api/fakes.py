"""Vendors in memory: what the API itself asks of them, which is offers, payments to look at, and webhooks to read."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

from gateways.notice_ports import NoticeSender, Receipt
from gateways.ports import Notifying, PaymentEvent, PaymentProvider, ProviderPayment, Supplier
from gateways.traffic import Unbounded
from schema.errors import Malformed, UnreadableEvent, VendorUnavailable
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
from schema.traffic import VendorTraffic

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


def on_the_days_of(request: SearchRequest, offer: Offer) -> Offer:
    """The offer, there and back on the days that are asked for; its first flight alone if that is one way."""
    there, back = request.departure_date, request.return_date
    if back is None:
        assert isinstance(offer, FlightOffer)
        first = offer.segments[0]
        return offer.model_copy(update={"segments": [first.model_copy(update=_at(there, first))]})
    if isinstance(offer, HotelOffer):
        return offer.model_copy(update={"check_in": there, "check_out": back})
    if isinstance(offer, CarOffer):
        pickup, dropoff = datetime.combine(there, time(10)), datetime.combine(back, time(10))
        return offer.model_copy(update={"pickup_at": pickup, "dropoff_at": dropoff})
    first, last = offer.segments[0], offer.segments[-1]
    out = first.model_copy(update=_at(there, first))
    places = {"origin": first.destination, "destination": first.origin}
    home = last.model_copy(update=_at(back, last) | (places if last is first else {}))
    return offer.model_copy(update={"segments": [out, *offer.segments[1:-1], home]})


def _at(day: date, segment: FlightSegment) -> dict[str, object]:
    departs_at = datetime.combine(day, segment.departs_at.timetz())
    return {"departs_at": departs_at, "arrives_at": departs_at + (segment.arrives_at - segment.departs_at)}


class FakeSupplier:
    """Answers a search as it is told: with offers, with an error, or never."""

    def __init__(self, code: str, kind: Kind) -> None:
        self.code = code
        self.vendor = code
        self.kind = kind
        self.capabilities = CAPABILITIES
        self.offers: list[Offer] = [offer_of(kind)]
        self.dated = True
        """Move the offers to the days that are asked for."""
        self.error: Exception | None = None
        self.fails_to: str | None = None
        """A destination it cannot be asked about."""
        self.answering = asyncio.Event()
        self.answering.set()
        self.asked: list[SearchRequest] = []

    @property
    def silent(self) -> bool:
        return not self.answering.is_set()

    @silent.setter
    def silent(self, value: bool) -> None:
        (self.answering.clear if value else self.answering.set)()

    async def search(self, request: SearchRequest, correlation_id: str) -> list[FoundOffer]:
        self.asked.append(request)
        await self.answering.wait()
        if self.error is not None:
            raise self.error
        if request.destination == self.fails_to:
            raise VendorUnavailable(self.code, "away")
        offers = [on_the_days_of(request, offer) for offer in self.offers] if self.dated else self.offers
        return [
            FoundOffer(
                offer=offer.model_copy(update={"supplier": self.code}), supplier_state={"secret": "tok_of_supplier"}
            )
            for offer in offers
        ]


class FakeTraffic(Unbounded):
    """Everything passes; circuits are as the test says."""

    def __init__(self) -> None:
        self.open: dict[str, float] = {}
        """Vendors whose circuit is open, and for how many seconds."""

    async def status(self, vendor: str) -> VendorTraffic:
        status = await super().status(vendor)
        if vendor in self.open:
            return status.model_copy(update={"circuit": "open", "opens_again_in_s": self.open[vendor]})
        return status


class FakePayments:
    """Knows payments that were put into it, and events that carry its signature."""

    code = "stripe"
    capabilities = CAPABILITIES

    def __init__(self) -> None:
        self.known: dict[str, ProviderPayment] = {}
        self.webhook_error: Exception | None = None
        """While it is set, nobody can say whether a webhook is genuine."""

    async def get(self, provider_reference: str, correlation_id: str) -> ProviderPayment:
        if provider_reference not in self.known:
            raise VendorUnavailable("stripe", "away")
        return self.known[provider_reference]

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> PaymentEvent:
        if self.webhook_error is not None:
            raise self.webhook_error
        if headers.get("stripe-signature") != SIGNATURE:
            raise Malformed("the webhook's signature does not match", code="invalid_signature")
        try:
            return PaymentEvent.model_validate(json.loads(body))
        except ValueError:
            raise UnreadableEvent(None) from None


class FakeMail:
    """Takes no message; reads receipts that carry its signature."""

    code = "sendgrid"
    channel = "email"

    def read_receipts(self, headers: Mapping[str, str], body: bytes, url: str) -> list[Receipt]:
        if headers.get("x-signature") != SIGNATURE:
            raise Malformed("the webhook's signature does not match", code="invalid_signature")
        try:
            return [Receipt.model_validate(told) for told in json.loads(body)]
        except (TypeError, ValueError):
            raise UnreadableEvent(None) from None


class FakeVendors:
    """The registry of the fakes."""

    def __init__(self) -> None:
        self.by_kind = {
            "flight": FakeSupplier("duffel", "flight"),
            "hotel": FakeSupplier("expedia_rapid", "hotel"),
            "car": FakeSupplier("duffel_cars", "car"),
        }
        self.more: list[FakeSupplier] = []
        """Beside one of each kind."""
        self.stripe = FakePayments()
        self.senders: dict[str, object] = {"email": FakeMail()}
        self.traffic = FakeTraffic()
        self.closed = False

    @property
    def all(self) -> list[FakeSupplier]:
        return [*self.by_kind.values(), *self.more]

    def supplier(self, code: str) -> Supplier:
        return {supplier.code: supplier for supplier in self.all}[code]  # pyright: ignore[reportReturnType]

    def suppliers(self, kind: Kind | None = None) -> Sequence[Supplier]:
        return [found for found in self.all if kind in (None, found.kind)]  # pyright: ignore[reportReturnType]

    def payments(self, code: str) -> PaymentProvider:
        return {"stripe": self.stripe}[code]  # pyright: ignore[reportReturnType]

    def notifying(self, code: str) -> Notifying:
        raise KeyError(code)

    def notice_sender(self, channel: str) -> NoticeSender | None:
        return self.senders.get(channel)  # pyright: ignore[reportReturnType]

    def flight_status(self) -> None:
        return None

    async def aclose(self) -> None:
        self.closed = True
