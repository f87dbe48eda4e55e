"""Flights of Duffel, API v2. Source: vendor-specs/duffel and vendor-specs/README.md section 3, "Duffel flights".

Our reference is kept as the order's metadata, which no list can be filtered by: it is matched here. An offer request books
once, so repeating a create cannot book twice; it answers "already booked", which means: look it up.
"""

from datetime import date, datetime, timedelta
from urllib.parse import urlencode

import structlog

from gateways.duffel_flights import listed_of, offer_of, passenger_ids, reference_of, reservation_of, version
from gateways.duffel_wire import (
    ACCEPTED,
    OK_STATUSES,
    REJECTIONS,
    VENDOR,
    DuffelWire,
    data_of,
    envelope_of,
    error_code,
    may_repeat,
    refused,
)
from gateways.fields import Fields, kept_text, kept_texts, required_text
from gateways.found import found_offers
from gateways.http import FIRST_SERVER_ERROR, Answer, Call, VendorHttp, before_effect, outcome_of, path_segment
from gateways.parts import Parts
from gateways.ports import (
    CancellationFee,
    ListedReservation,
    ListPage,
    LookUp,
    PriceCheck,
    Reservation,
    ReservationRequest,
    SupplierState,
)
from schema.errors import InvariantBroken, OutcomeUnclear, VendorContractBroken
from schema.money import Money
from schema.offers import FoundOffer, Kind, SearchRequest
from schema.outcomes import Capabilities, Confirmed, Outcome, Rejected, Unknown
from schema.travellers import Traveller

LOOKUP_LAG_S = 60.0
PAGE_SIZE = 200
"""The most a list call gives (parameter Limit)."""
MAX_PAGES = 25
CLOCK_MARGIN = timedelta(minutes=5)
"""Duffel's clock and ours may differ by this much."""
NOT_FOUND = 404
OFFER_IS_DEAD = frozenset({404, 410, 422})
SUPPLIER_TIMEOUT_SHARE = 0.8
"""Of our own deadline, so that Duffel still has time to answer with what the airlines sent (parameter supplier_timeout)."""

_logger = structlog.stdlib.get_logger("gateways.duffel")


class DuffelFlights:
    """The port `Supplier` for flights."""

    def __init__(self, http: VendorHttp, token: str, *, read_timeout_s: float, clock_scale: float = 1.0) -> None:
        """`clock_scale` multiplies the look-up lag, for vendors that run on compressed clocks."""
        self._wire = DuffelWire(http, token)
        self._supplier_timeout_ms = int(min(max(read_timeout_s * SUPPLIER_TIMEOUT_SHARE, 2), 60) * 1000)
        self._capabilities = Capabilities(
            idempotent_create=True,
            lookup_by_reference=True,
            hold=True,
            void=True,
            async_confirm=True,
            lookup_lag_s=LOOKUP_LAG_S * clock_scale,
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
        """POST /air/offer_requests: one slice there, and for a return a second one, sold as one offer. Offers that lack what we need
        are left out."""
        call = self._wire.http.searching("search", correlation_id)
        query = urlencode({"return_offers": "true", "supplier_timeout": self._supplier_timeout_ms})
        data: dict[str, object] = {
            "slices": [_slice(*journey) for journey in request.journeys],
            "passengers": [{"type": "adult"} for _ in range(request.travellers)],
            "cabin_class": request.cabin,
        }
        answer = await self._wire.send(call, "POST", f"/air/offer_requests?{query}", data)
        offers = data_of(answer.no_server_error(), "offer request").objects_or_none("offers") or []
        return found_offers(VENDOR, offers, lambda offer: offer_of(offer, request), request.currency)

    async def check(self, correlation_id: str) -> None:
        """GET /air/orders, of which one is enough: it reads, and only those whom Duffel knows get an answer."""
        call = self._wire.http.pricing("check", correlation_id)
        envelope_of(await self._wire.read(call, "/air/orders?limit=1"), "orders").objects("data")

    async def price(self, supplier_state: SupplierState, correlation_id: str) -> PriceCheck:
        """GET /air/offers/{id}: "a dead offer gives an error"."""
        call = self._wire.http.pricing("price", correlation_id)
        answer = await self._wire.read(call, f"/air/offers/{path_segment(required_text(supplier_state, 'offer_id'))}")
        if answer.status in OFFER_IS_DEAD:
            code = error_code(answer) or "offer_no_longer_available"
            return PriceCheck(price=None, reason=REJECTIONS.get(code, code))
        offer = data_of(answer, "offer")
        return PriceCheck(
            price=offer.money("total_amount", "total_currency"),
            expires_at=offer.moment("expires_at"),
            supplier_state={**supplier_state, "passenger_ids": passenger_ids(offer)},
            version=version(offer),
        )

    async def hold(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        """POST /air/orders with type hold, which carries neither payments nor services."""
        return await outcome_of(request, self._create("hold", request, {"type": "hold"}))

    async def book(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        """POST /air/orders with type instant, paid from our balance at Duffel."""
        payment = {"type": "balance", "amount": request.price.decimal(), "currency": request.price.currency}
        return await outcome_of(request, self._create("book", request, {"type": "instant", "payments": [payment]}))

    async def confirm(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        """POST /air/payments for the held order, after a look at what it costs now: a stale amount is refused."""
        return await outcome_of(request, self._confirm(request))

    async def find(self, look_up: LookUp) -> Reservation | None:
        """By the order's id, else by paging through the orders of the first traveller's family name (no filter on metadata).

        Raises OutcomeUnclear when there are too many orders to look through, because that proves nothing.
        """
        call = self._wire.http.booking("find", look_up.correlation_id)
        order_id = look_up.provider_reference or kept_text(look_up.supplier_state, "order_id")
        order = await self._order(call, order_id) if order_id else await self._order_by_reference(call, look_up)
        return reservation_of(order) if order else None

    async def list_reservations(
        self, since: datetime, cursor: str | None, correlation_id: str
    ) -> ListPage[ListedReservation]:
        """GET /air/orders, newest first, until a page is older as a whole: no filter by time is known."""
        call = self._wire.http.booking("list", correlation_id)
        query = [("limit", str(PAGE_SIZE)), *([("after", cursor)] if cursor else [])]
        page = envelope_of(await self._wire.read(call, f"/air/orders?{urlencode(query)}"), "orders")
        orders = page.objects("data")
        oldest = since - CLOCK_MARGIN
        ends = not orders or all(_created(order) < oldest for order in orders)
        return ListPage(
            lines=[listed_of(order) for order in orders if _created(order) >= oldest],
            cursor=None if ends else page.object("meta").text_or_none("after"),
        )

    async def cancellation_fee(self, reservation: Reservation, correlation_id: str) -> CancellationFee:
        """A refund quote (POST /air/order_cancellations), which cancels nothing until it is confirmed."""
        call = self._wire.http.booking("cancellation_fee", correlation_id)
        order = await self._existing(call, reservation.provider_reference)
        fee = await self._fee_of_cancelled(call, order)
        if fee is not None:
            return fee
        if reservation_of(order).status == "held":
            return CancellationFee(fee=Money.zero(order.text("total_currency")))
        return _fee(order, await self._quote(call, reservation.provider_reference))

    async def cancel(self, reservation: Reservation, correlation_id: str) -> CancellationFee:
        """Quote and confirm; a held order cancels the same way and costs nothing. Reads first, so that a repeat finds it done."""
        call = self._wire.http.booking("cancel", correlation_id)
        order = await self._existing(call, reservation.provider_reference)
        fee = await self._fee_of_cancelled(call, order)
        if fee is not None:
            return fee
        quote = await self._quote(call, reservation.provider_reference)
        path = f"/air/order_cancellations/{path_segment(quote.text('id'))}/actions/confirm"
        answer = await self._wire.send(call, "POST", path)
        if answer.status not in OK_STATUSES:
            raise _undo_failed("cancel", answer)
        if reservation_of(order).status == "held":
            return CancellationFee(fee=Money.zero(order.text("total_currency")))
        return _fee(order, data_of(answer, "cancellation"))

    async def _create(
        self, operation: str, request: ReservationRequest, terms: dict[str, object]
    ) -> tuple[Outcome, SupplierState]:
        call = self._wire.http.booking(operation, request.correlation_id)
        ids = kept_texts(request.supplier_state, "passenger_ids")
        if len(ids) != len(request.travellers):
            raise InvariantBroken(f"an offer for {len(ids)} is booked for {len(request.travellers)} travellers")
        data: dict[str, object] = {
            **terms,
            "selected_offers": [required_text(request.supplier_state, "offer_id")],
            "passengers": [
                _passenger(passenger_id, traveller)
                for passenger_id, traveller in zip(ids, request.travellers, strict=True)
            ],
            "metadata": {"reference": request.reference},
        }
        answer = await self._wire.send(call, "POST", "/air/orders", data)
        if answer.status not in OK_STATUSES:
            return refused(answer, books_once=True), request.supplier_state
        order = data_of(answer, "order")
        return _confirmed(order), {**request.supplier_state, "order_id": order.text("id")}

    async def _confirm(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        call = self._wire.http.booking("confirm", request.correlation_id)
        order = await before_effect(VENDOR, self._payable(call, request))
        if not isinstance(order, Fields):
            return order, request.supplier_state
        return await self._pay(call, request, order)

    async def _payable(self, call: Call, request: ReservationRequest) -> Fields | Outcome:
        """The order if it waits for exactly the price we mean to pay; otherwise how the confirmation ends."""
        order = await self._order(call, required_text(request.supplier_state, "order_id"))
        if order is None:
            return Unknown(reason=f"{VENDOR}: the held order is not to be seen")
        price = order.money("total_amount", "total_currency")
        return _settled(order) or (order if price == request.price else _price_changed(price))

    async def _pay(self, call: Call, request: ReservationRequest, order: Fields) -> tuple[Outcome, SupplierState]:
        order_id = order.text("id")
        data: dict[str, object] = {
            "order_id": order_id,
            "payment": {
                "type": "balance",
                "amount": order.text("total_amount"),
                "currency": order.text("total_currency"),
            },
        }
        answer = await self._wire.send(call, "POST", "/air/payments", data)
        if answer.status in OK_STATUSES:
            data_of(answer, "payment").text("id")
            return _confirmed(order).model_copy(update={"expires_at": None}), request.supplier_state
        outcome = refused(answer, books_once=True)
        if not isinstance(outcome, Rejected):
            return outcome, request.supplier_state
        # Refused: because somebody paid already, because it ended, or because the price moved. The order itself knows.
        now = await self._order(call, order_id)
        if now is None:
            return Unknown(reason=f"{VENDOR}: refused, and the order is not to be seen"), request.supplier_state
        if outcome.code == "price_changed":
            outcome = _price_changed(now.money("total_amount", "total_currency"))
        return _settled(now) or outcome, request.supplier_state

    async def _order(self, call: Call, order_id: str) -> Fields | None:
        answer = await self._wire.read(call, f"/air/orders/{path_segment(order_id)}")
        return None if answer.status == NOT_FOUND else data_of(answer, "order")

    async def _existing(self, call: Call, order_id: str) -> Fields:
        order = await self._order(call, order_id)
        if order is None:
            raise OutcomeUnclear(f"{VENDOR}: the order is not to be seen")
        return order

    async def _order_by_reference(self, call: Call, look_up: LookUp) -> Fields | None:
        oldest = look_up.since - CLOCK_MARGIN
        after: str | None = None
        for _ in range(MAX_PAGES):
            query = [("passenger_name[]", look_up.travellers[0].family_name), ("limit", str(PAGE_SIZE))]
            query += [("after", after)] if after else []
            answer = await self._wire.read(call, f"/air/orders?{urlencode(query)}")
            page = envelope_of(answer, "orders")
            orders = page.objects("data")
            for order in orders:
                if reference_of(order) == look_up.reference:
                    return order
            after = page.object("meta").text_or_none("after")
            # Newest first; a page that is older as a whole ends the search, a single order that is out of place does not.
            if after is None or (orders and all(_created(order) < oldest for order in orders)):
                return None
        raise OutcomeUnclear(f"{VENDOR}: more than {MAX_PAGES * PAGE_SIZE} orders to look through")

    async def _quote(self, call: Call, order_id: str) -> Fields:
        answer = await self._wire.send(call, "POST", "/air/order_cancellations", {"order_id": order_id})
        if answer.status not in OK_STATUSES:
            raise _undo_failed("cancellation quote", answer)
        return data_of(answer, "cancellation")

    async def _fee_of_cancelled(self, call: Call, order: Fields) -> CancellationFee | None:
        """What was kept when the order was cancelled; None if it was not."""
        if reservation_of(order).status != "cancelled":
            return None
        if not _was_paid(order):
            return CancellationFee(fee=Money.zero(order.text("total_currency")))
        cancellation = order.object_or_none("cancellation")
        if cancellation is None:
            answer = await self._wire.read(
                call, f"/air/order_cancellations?{urlencode({'order_id': order.text('id')})}"
            )
            if answer.status in OK_STATUSES:
                confirmed = [
                    quote
                    for quote in answer.fields("cancellations").objects("data")
                    if quote.text_or_none("confirmed_at")
                ]
                cancellation = confirmed[0] if confirmed else None
        if cancellation is None:
            # Cancelled by others (the airline): nobody says what is refunded, so nothing is counted on.
            _logger.warning("cancellation_without_refund_terms", vendor=VENDOR, order_id=order.text("id"))
            return CancellationFee(fee=order.money("total_amount", "total_currency"))
        return _fee(order, cancellation)


def _slice(origin: str, destination: str, on: date) -> dict[str, object]:
    return {"origin": origin, "destination": destination, "departure_date": on.isoformat()}


def _passenger(passenger_id: str, traveller: Traveller) -> dict[str, object]:
    return {
        "id": passenger_id,
        "title": traveller.title,
        "given_name": traveller.given_name,
        "family_name": traveller.family_name,
        "gender": traveller.gender,
        "born_on": traveller.date_of_birth.isoformat(),
        "email": traveller.email,
        "phone_number": traveller.phone_number,
    }


def _created(order: Fields) -> datetime:
    return order.moment("created_at")


def _confirmed(order: Fields) -> Confirmed:
    found = reservation_of(order)
    return Confirmed(
        provider_reference=found.provider_reference,
        price=found.price,
        expires_at=found.expires_at,
        record_locator=found.record_locator,
    )


def _settled(order: Fields) -> Outcome | None:
    """The outcome of paying an order that is not waiting for payment; None if it is."""
    status = reservation_of(order).status
    if status == "confirmed":
        return _confirmed(order)
    if status == "cancelled":
        return Rejected(code="hold_expired", message=f"{VENDOR}: the held order has ended")
    return None


def _price_changed(price: Money) -> Rejected:
    return Rejected(code="price_changed", message=f"{VENDOR}: the order costs something else now", price=price)


def _was_paid(order: Fields) -> bool:
    status = order.object("payment_status")
    return status.text_or_none("paid_at") is not None or not (
        status.flag("awaiting_payment") or status.text_or_none("payment_required_by")
    )


def _fee(order: Fields, cancellation: Fields) -> CancellationFee:
    """The price less the refund. A refund nobody quotes, or in another currency, cannot be counted on: all is kept then."""
    price = order.money("total_amount", "total_currency")
    if cancellation.text_or_none("refund_to") == "awaiting_payment":
        return CancellationFee(fee=Money.zero(price.currency))
    refund = cancellation.money_or_none("refund_amount", "refund_currency")
    if refund is None or refund.currency != price.currency:
        return CancellationFee(fee=price)
    return CancellationFee(fee=Money.zero(price.currency) if price <= refund else price - refund)


def _undo_failed(what: str, answer: Answer) -> Exception:
    """The error of an undo that did not succeed; all of them are tried again, and the next try reads the order first."""
    reason = f"{VENDOR}: {what}: status {answer.status}, code {error_code(answer)}"
    if answer.status >= FIRST_SERVER_ERROR or answer.status == ACCEPTED:
        return OutcomeUnclear(reason)
    return VendorContractBroken(reason)


def build(parts: Parts) -> DuffelFlights:
    """From the settings."""
    settings = parts.settings
    return DuffelFlights(
        parts.http(VENDOR, settings.duffel_url, may_repeat),
        settings.duffel_token.get_secret_value(),
        read_timeout_s=settings.vendor_read_timeout_s,
        clock_scale=settings.vendor_clock_scale,
    )
