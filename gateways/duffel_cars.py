"""Rental cars of Duffel. Source: vendor-specs/cars/duffel-cars.DERIVED.openapi.yaml and vendor-specs/README.md section 5.

A booking can be found by its id only: there is no list call and no key of ours that Duffel would refuse twice. A create whose
answer is lost therefore ends at a person, and is repeated only if it never left.
"""

from datetime import UTC, datetime, timedelta

import structlog

from gateways.airports import place_of
from gateways.duffel_wire import OK_STATUSES, VENDOR, DuffelWire, data_of, error_code, error_type, may_repeat, refused
from gateways.fields import Fields, kept_text, required_text
from gateways.found import found_offers
from gateways.http import FIRST_SERVER_ERROR, Answer, Call, VendorHttp, before_effect, outcome_of, path_segment
from gateways.parts import Parts
from gateways.ports import CancellationFee, LookUp, PriceCheck, Reservation, ReservationRequest, SupplierState
from schema.errors import OutcomeUnclear, VendorContractBroken
from schema.money import Money
from schema.offers import CarOffer, FoundOffer, Kind, SearchRequest
from schema.outcomes import Capabilities, Confirmed, Outcome, Rejected

CODE = "duffel_cars"
NOT_FOUND = 404
RATE_IS_DEAD = frozenset({404, 410, 422})

_logger = structlog.stdlib.get_logger("gateways.duffel_cars")


class DuffelCars:
    """The port `Supplier` for cars."""

    def __init__(self, http: VendorHttp, token: str, *, offer_ttl_s: float) -> None:
        """`offer_ttl_s`: for how long a rate is offered on; the contract gives rates no end of their own."""
        self._wire = DuffelWire(http, token)
        self._offer_ttl = timedelta(seconds=offer_ttl_s)
        self._capabilities = Capabilities(
            idempotent_create=False, lookup_by_reference=False, hold=False, void=True, async_confirm=False
        )

    @property
    def code(self) -> str:
        return CODE

    @property
    def vendor(self) -> str:
        return VENDOR

    @property
    def kind(self) -> Kind:
        return "car"

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def search(self, request: SearchRequest, correlation_id: str) -> list[FoundOffer]:
        """POST /cars/search: picked up and dropped off at the destination airport, which is asked for by its coordinates."""
        call = self._wire.http.searching("search_cars", correlation_id)
        rates = await self._rates(call, request)
        expires_at = datetime.now(UTC) + self._offer_ttl
        return found_offers(CODE, rates, lambda rate: _found(rate, request, expires_at), request.currency)

    async def check(self, correlation_id: str) -> None:
        """POST /cars/search at an airport: a booking nobody has would be answered 404 to those without access to cars as well."""
        today = datetime.now(UTC).date()
        call = self._wire.http.pricing("check_cars", correlation_id)
        trip = SearchRequest(
            origin="LHR",
            destination="JFK",
            departure_date=today + timedelta(days=30),
            return_date=today + timedelta(days=31),
        )
        await self._rates(call, trip)

    async def price(self, supplier_state: SupplierState, correlation_id: str) -> PriceCheck:
        """POST /cars/quotes, which reserves nothing; the booking is made from the quote."""
        call = self._wire.http.pricing("price_car", correlation_id)
        answer = await self._quote(call, supplier_state)
        if answer.status in RATE_IS_DEAD:
            return PriceCheck(price=None, reason=error_code(answer) or "rate_no_longer_available")
        quote = data_of(answer, "car quote")
        return PriceCheck(price=_price(quote), supplier_state=_quoted(supplier_state, quote))

    async def hold(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        raise NotImplementedError("Duffel Cars cannot hold")

    async def confirm(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        raise NotImplementedError("Duffel Cars cannot hold")

    async def book(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        """POST /cars/bookings from the quote of the last price check; one is made here if there was none."""
        return await outcome_of(request, self._book(request))

    async def find(self, look_up: LookUp) -> Reservation | None:
        """GET /cars/bookings/{id}; the contract has no list call."""
        if look_up.provider_reference is None:
            raise NotImplementedError("Duffel Cars finds bookings by their id only")
        call = self._wire.http.booking("find_car", look_up.correlation_id)
        booking = await self._booking(call, look_up.provider_reference)
        return _reservation(booking) if booking else None

    async def cancellation_fee(self, reservation: Reservation, correlation_id: str) -> CancellationFee:
        """Nothing: the contract knows no charge for cancelling; its `conditions` are prose."""
        call = self._wire.http.booking("cancellation_fee_car", correlation_id)
        return _nothing_kept(await self._existing(call, reservation.provider_reference))

    async def cancel(self, reservation: Reservation, correlation_id: str) -> CancellationFee:
        """POST /cars/bookings/{id}/actions/cancel; if that is refused, the booking may be cancelled already: it is read."""
        call = self._wire.http.booking("cancel_car", correlation_id)
        reference = reservation.provider_reference
        answer = await self._wire.send(call, "POST", f"/cars/bookings/{path_segment(reference)}/actions/cancel")
        if answer.status in OK_STATUSES:
            booking = data_of(answer, "car booking")
        elif 400 <= answer.status < FIRST_SERVER_ERROR:
            booking = await self._existing(call, reference)
        else:
            raise OutcomeUnclear(f"{CODE}: cancel: status {answer.status}")
        if booking.text("status") != "cancelled":
            raise VendorContractBroken(f"{CODE}: cancel: status {answer.status}, code {error_code(answer)}")
        return _nothing_kept(booking)

    async def _rates(self, call: Call, request: SearchRequest) -> list[Fields]:
        airport = place_of(request.destination)
        coordinates = {"latitude": airport.latitude, "longitude": airport.longitude}
        place = {"geographic_coordinates": coordinates}
        data: dict[str, object] = {
            "pickup_date": request.departure_date.isoformat(),
            "pickup_time": f"{request.pickup_time:%H:%M}",
            "dropoff_date": request.last_day.isoformat(),
            "dropoff_time": f"{request.dropoff_time:%H:%M}",
            "pickup_location": place,
            "dropoff_location": place,
            "driver": {"age": request.driver_age, "residence_country_code": request.residence_country},
        }
        answer = await self._wire.send(call, "POST", "/cars/search", data)
        return data_of(answer.no_server_error(), "car search").objects("rates")

    async def _book(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        call = self._wire.http.booking("book_car", request.correlation_id)
        state = request.supplier_state
        if kept_text(state, "quote_id") is None:
            quoted = await before_effect(CODE, self._quote_for(call, request))
            if isinstance(quoted, Rejected):
                return quoted, state
            state = quoted
        driver = request.travellers[0]
        data: dict[str, object] = {
            "quote_id": required_text(state, "quote_id"),
            "driver": {
                "given_name": driver.given_name,
                "family_name": driver.family_name,
                "email": driver.email,
                "phone_number": driver.phone_number,
                "date_of_birth": driver.date_of_birth.isoformat(),
            },
            "metadata": {"reference": request.reference},
        }
        answer = await self._wire.send(call, "POST", "/cars/bookings", data)
        if answer.status not in OK_STATUSES:
            return _rate_refused(answer, refused(answer, books_once=False)), state
        booking = _reservation(data_of(answer, "car booking"))
        confirmed = Confirmed(
            provider_reference=booking.provider_reference, price=booking.price, record_locator=booking.record_locator
        )
        return confirmed, {**state, **booking.supplier_state}

    async def _quote_for(self, call: Call, request: ReservationRequest) -> SupplierState | Rejected:
        answer = (await self._quote(call, request.supplier_state)).no_server_error()
        if answer.status in RATE_IS_DEAD:
            return Rejected(code="sold_out", message=f"{CODE}: the rate is gone: {error_code(answer)}")
        quote = data_of(answer, "car quote")
        price = _price(quote)
        if price != request.price:
            return Rejected(code="price_changed", message=f"{CODE}: the car costs something else now", price=price)
        return _quoted(request.supplier_state, quote)

    async def _quote(self, call: Call, state: SupplierState) -> Answer:
        answer = await self._wire.send(call, "POST", "/cars/quotes", {"rate_id": required_text(state, "rate_id")})
        return answer.no_server_error()

    async def _booking(self, call: Call, booking_id: str) -> Fields | None:
        answer = await self._wire.read(call, f"/cars/bookings/{path_segment(booking_id)}")
        return None if answer.status == NOT_FOUND else data_of(answer, "car booking")

    async def _existing(self, call: Call, booking_id: str) -> Fields:
        booking = await self._booking(call, booking_id)
        if booking is None:
            raise OutcomeUnclear(f"{CODE}: the booking is not to be seen")
        return booking


def _found(rate: Fields, request: SearchRequest, expires_at: datetime) -> FoundOffer | None:
    car = rate.object("car")
    places = car.whole_or_none("max_passengers")
    if places is not None and places < request.travellers:
        return None
    payment_type = rate.text_or_none("payment_type")
    if payment_type in ("postpaid", "guarantee"):
        return None  # paid at the counter: taking its price with the trip's would charge it twice
    return FoundOffer(
        offer=CarOffer(
            offer_id="",
            supplier=CODE,
            price=_price(rate),
            expires_at=expires_at,
            refundable=False,  # cancellation terms are prose only, so nothing is promised
            holdable=False,
            seats=request.travellers,
            vendor_name=rate.object("supplier").text("name"),
            car_name=car.text("name"),
            car_class=car.text("category"),
            pickup_place=rate.object("pickup_location").text("name"),
            dropoff_place=rate.object("dropoff_location").text("name"),
            airport=request.destination,
            pickup_at=datetime.combine(request.departure_date, request.pickup_time),
            dropoff_at=datetime.combine(request.last_day, request.dropoff_time),
        ),
        supplier_state={"rate_id": rate.text("id"), "payment_type": payment_type},
    )


def _rate_refused(answer: Answer, outcome: Outcome) -> Outcome:
    """No code for a sold-out car is known; Duffel's type for "not in a state to do this" can mean nothing else of a rate."""
    if (
        isinstance(outcome, Rejected)
        and outcome.code == "vendor_rejected"
        and error_type(answer) == "invalid_state_error"
    ):
        return outcome.model_copy(update={"code": "sold_out"})
    return outcome


def _price(document: Fields) -> Money:
    return document.money("total_amount", "total_currency")


def _quoted(state: SupplierState, quote: Fields) -> SupplierState:
    return {**state, "quote_id": quote.text("id"), "payment_type": quote.text_or_none("payment_type")}


def _reservation(booking: Fields) -> Reservation:
    booking_id = booking.text("id")
    status = booking.text("status")
    if status not in ("confirmed", "cancelled"):
        # The contract's list of two may grow: what we do not know is neither booked nor gone.
        _logger.warning("unknown_status", vendor=CODE, status=status)
        status = "pending"
    return Reservation(
        provider_reference=booking_id,
        status=status,
        price=_price(booking),
        record_locator=booking.text_or_none("reference"),
        supplier_state={"booking_id": booking_id},
    )


def _nothing_kept(booking: Fields) -> CancellationFee:
    return CancellationFee(fee=Money.zero(_price(booking).currency))


def build(parts: Parts) -> DuffelCars:
    """From the settings; one host, one quota and one circuit with Duffel's flights."""
    settings = parts.settings
    http = parts.http(VENDOR, settings.duffel_url, may_repeat)
    return DuffelCars(http, settings.duffel_token.get_secret_value(), offer_ttl_s=settings.offer_ttl_s)
