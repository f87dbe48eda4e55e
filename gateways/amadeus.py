"""Flights of Amadeus. Source: vendor-specs/amadeus and vendor-specs/README.md section 3, "Amadeus".

An order can be found by its id only, and nothing keeps a second create from booking twice: one whose answer is lost ends at a
person, who finds it by our reference in its remarks.

Orders are made with the ticketing agreement CONFIRM, and never held. DELAY_TO_CANCEL would let an orphan die by itself, but
tickets are issued off-line, by a consolidator, and no call says "pay now": a trip that we have confirmed to a traveller would
die the same way if the office is slow, and a traveller without a seat is worse than an orphan that a person cancels.
"""

from datetime import UTC, datetime, timedelta

from gateways.amadeus_flights import (
    asks_for_more,
    offer_of,
    price_of,
    search_body,
    state_of,
    version_of_flight,
)
from gateways.amadeus_orders import confirmed, kept, order_body, reservation_of
from gateways.amadeus_wire import (
    CREATED,
    FARE_NOT_APPLICABLE,
    OK,
    SEGMENT_SELL_FAILURE,
    VENDOR,
    AmadeusWire,
    data_of,
    document_of,
    error_codes,
    may_repeat,
    order_path,
    refused,
    told,
)
from gateways.checked import checked_first
from gateways.fields import Fields, is_object
from gateways.found import found_offers
from gateways.http import FIRST_SERVER_ERROR, Call, VendorHttp, outcome_of
from gateways.parts import Parts
from gateways.ports import CancellationFee, LookUp, PriceCheck, Reservation, ReservationRequest, SupplierState
from schema.errors import InvariantBroken, OutcomeUnclear, VendorContractBroken
from schema.money import Money
from schema.offers import FoundOffer, Kind, SearchRequest
from schema.outcomes import Capabilities, Outcome, Rejected

NOT_FOUND = 404
DELETED = frozenset({200, 204, NOT_FOUND})
OFFER_IS_DEAD = frozenset({4926, FARE_NOT_APPLICABLE, 38196, 1797})
"""INVALID DATA RECEIVED ("No fare applicable") of an offer that we sent as it came, or not found."""


class AmadeusFlights:
    """The port `Supplier` for flights."""

    def __init__(self, http: VendorHttp, client_id: str, client_secret: str, *, offer_ttl_s: float) -> None:
        """`offer_ttl_s`: for how long an offer is offered on; it has no end of its own, and `lastTicketingDate` is only a day."""
        self._wire = AmadeusWire(http, client_id, client_secret)
        self._offer_ttl = timedelta(seconds=offer_ttl_s)
        self._capabilities = Capabilities(
            idempotent_create=False, lookup_by_reference=False, hold=False, void=True, async_confirm=False
        )

    @property
    def code(self) -> str:
        return VENDOR

    @property
    def vendor(self) -> str:
        return VENDOR

    @property
    def kind(self) -> Kind:
        return "flight"

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def search(self, request: SearchRequest, correlation_id: str) -> list[FoundOffer]:
        """POST /v2/shopping/flight-offers. An offer in another currency than asked for is unusable."""
        call = self._wire.http.searching("search", correlation_id)
        answer = await self._wire.ask(call, "/v2/shopping/flight-offers", search_body(request))
        offers = document_of(answer, "flight offers").objects("data")
        expires_at = datetime.now(UTC) + self._offer_ttl
        return found_offers(VENDOR, offers, lambda offer: offer_of(offer, request, expires_at), request.currency)

    async def check(self, correlation_id: str) -> None:
        """A token, and one airport of the reference data."""
        call = self._wire.http.pricing("check", correlation_id)
        answer = await self._wire.read(call, "/v1/reference-data/locations?subType=AIRPORT&keyword=LHR")
        document_of(answer, "locations").objects("data")

    async def price(self, supplier_state: SupplierState, correlation_id: str) -> PriceCheck:
        """POST /v1/shopping/flight-offers/pricing; the order is made of the offer that it answers."""
        return await self._price(self._wire.http.pricing("price", correlation_id), supplier_state)

    async def hold(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        raise NotImplementedError("Amadeus's holds cannot be confirmed by API")

    async def confirm(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        raise NotImplementedError("Amadeus's holds cannot be confirmed by API")

    async def book(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        """POST /v1/booking/flight-orders of the offer of the last price check; one is made here if there was none."""
        return await outcome_of(request, self._book(request))

    async def find(self, look_up: LookUp) -> Reservation | None:
        """GET /v1/booking/flight-orders/{id}; the contract has no list call."""
        if look_up.provider_reference is None:
            raise NotImplementedError("Amadeus finds orders by their id only")
        call = self._wire.http.booking("find", look_up.correlation_id)
        order = await self._order(call, look_up.provider_reference)
        return reservation_of(order) if order else None

    async def cancellation_fee(self, reservation: Reservation, correlation_id: str) -> CancellationFee:
        """Nothing before the tickets are issued, then everything: the contract quotes no penalty and no refund."""
        call = self._wire.http.booking("cancellation_fee", correlation_id)
        return _fee(reservation, await self._order(call, reservation.provider_reference))

    async def cancel(self, reservation: Reservation, correlation_id: str) -> CancellationFee:
        """DELETE /v1/booking/flight-orders/{id}, which is refused once tickets are issued: VendorContractBroken then, for what
        is left can only be done off-line, by a person."""
        call = self._wire.http.booking("cancel", correlation_id)
        answer = await self._wire.send(call, "DELETE", order_path(reservation.provider_reference))
        if answer.status in DELETED:
            return _fee(reservation, None)
        if not 400 <= answer.status < FIRST_SERVER_ERROR:
            raise OutcomeUnclear(f"{VENDOR}: cancel: {told(answer)}")
        order = await self._order(call, reservation.provider_reference)
        if order is not None and reservation_of(order).status != "cancelled":
            raise VendorContractBroken(f"{VENDOR}: cancel: {told(answer)}")
        return _fee(reservation, order)

    async def _price(self, call: Call, state: SupplierState) -> PriceCheck:
        sent = _kept_offer(state)
        body: dict[str, object] = {"data": {"type": "flight-offers-pricing", "flightOffers": [sent.values]}}
        answer = await self._wire.ask(call, "/v1/shopping/flight-offers/pricing", body)
        codes = error_codes(answer)
        if SEGMENT_SELL_FAILURE in codes:
            return PriceCheck(price=None, reason="sold_out")
        if answer.status == NOT_FOUND or codes & OFFER_IS_DEAD:
            return PriceCheck(price=None, reason="offer_expired")
        priced = data_of(answer, "priced offer")
        offers = priced.objects("flightOffers")
        if not offers:
            return PriceCheck(price=None, reason="sold_out")
        if asks_for_more(priced.object_or_none("bookingRequirements")):
            return PriceCheck(price=None, reason="vendor_rejected")
        price = price_of(offers[0])
        if price.currency != price_of(sent).currency:
            raise offers[0].broken("price in the currency of the offer")
        return PriceCheck(
            price=price, supplier_state=state_of(offers[0], priced=True), version=version_of_flight(offers[0])
        )

    async def _book(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        call = self._wire.http.booking("book", request.correlation_id)
        if request.supplier_state.get("priced") is not True:
            checked = await checked_first(VENDOR, request, self._price(call, request.supplier_state))
            if isinstance(checked, Rejected):
                return checked, request.supplier_state
            request = request.model_copy(update={"supplier_state": checked})
        answer = await self._wire.send(call, "POST", "/v1/booking/flight-orders", order_body(request))
        if answer.status not in (OK, CREATED):
            return refused(answer), request.supplier_state
        order = data_of(answer, "order", answer.status)
        return confirmed(order), {"order_id": order.text("id")}

    async def _order(self, call: Call, order_id: str) -> Fields | None:
        answer = await self._wire.read(call, order_path(order_id))
        return None if answer.status == NOT_FOUND else data_of(answer, "order")


def _kept_offer(state: SupplierState) -> Fields:
    """The offer as it came; its absence is our own fault."""
    offer = state.get("flight_offer")
    if not is_object(offer):
        raise InvariantBroken("the stored supplier state has no flight_offer")
    return Fields(VENDOR, "kept offer", offer)


def _fee(reservation: Reservation, order: Fields | None) -> CancellationFee:
    """None: the order is gone, which before ticketing costs nothing, and after it could not have been done."""
    if order is not None:
        return CancellationFee(fee=kept(order))
    if reservation.price is None:
        raise VendorContractBroken(f"{VENDOR}: an order whose price is not known")
    return CancellationFee(fee=Money.zero(reservation.price.currency))


def build(parts: Parts) -> AmadeusFlights | None:
    """From the settings; None without both the client's id and its secret."""
    settings = parts.settings
    if not settings.amadeus_client_id or settings.amadeus_client_secret is None:
        return None
    return AmadeusFlights(
        parts.http(VENDOR, settings.amadeus_url, may_repeat),
        settings.amadeus_client_id,
        settings.amadeus_client_secret.get_secret_value(),
        offer_ttl_s=settings.offer_ttl_s,
    )
