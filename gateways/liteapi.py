"""Hotels of LiteAPI, v3. Source: vendor-specs/liteapi and vendor-specs/README.md section 4.

Rates, then a prebook (a price check that reserves nothing), then a book under our reference, which LiteAPI takes once. One room
for all travellers, charged to our account.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from gateways.airports import place_of
from gateways.checked import checked_first
from gateways.fields import Fields, kept_text, required_text
from gateways.found import found_offers
from gateways.http import FIRST_SERVER_ERROR, Answer, Call, outcome_of, path_segment
from gateways.liteapi_documents import (
    CANCELLED,
    created_at,
    fee_of,
    fee_of_cancelled,
    fee_told,
    hotels_of,
    listed_at,
    listed_of,
    offer_of,
    price_of,
    reservation_of,
    room_types_of,
    status_of,
    version_now,
)
from gateways.liteapi_wire import (
    NO_AVAILABILITY,
    NO_CONTENT,
    NOT_MODIFIED,
    OK,
    PREBOOK_TIMEOUT,
    REQUEST_CODES,
    REQUEST_TIMEOUT,
    VENDOR,
    LiteApiWire,
    data_of,
    error_code,
    refused,
    says,
    told,
)
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
from schema.errors import OutcomeUnclear, VendorContractBroken, VendorUnavailable
from schema.offers import FoundOffer, Kind, SearchRequest
from schema.outcomes import Capabilities, Confirmed, Outcome, Rejected, Unknown

LOOKUP_LAG_S = 60.0
"""The contract names no lag; a minute is our own caution."""
CLOCK_MARGIN = timedelta(minutes=5)
"""Its clock may be behind ours."""
MAX_HOTELS = 50
RATES_PER_HOTEL = 3
PAYMENT_METHOD = "ACC_CREDIT_CARD"
"""The card kept in our LiteAPI account. With a sandbox key it books without a charge; a live key decides that it is charged."""
NOBODYS_REFERENCE = "travelhub-check"
"""Has never been booked: asking for it is harmless."""


class LiteApiHotels:
    """The ports `Supplier` for hotels and `ListsReservations`."""

    def __init__(
        self, wire: LiteApiWire, *, offer_ttl_s: float, read_timeout_s: float, clock_scale: float = 1.0
    ) -> None:
        """`offer_ttl_s`: for how long a rate is offered on; the contract gives rates no end. `read_timeout_s`: the deadline of a
        search. `clock_scale` multiplies the look-up lag, for vendors that run on compressed clocks."""
        self._wire = wire
        self._offer_ttl = timedelta(seconds=offer_ttl_s)
        # LiteAPI cuts its own search off in whole seconds, "a few more ms" before its answer leaves.
        self._search_timeout_s = max(1, int(read_timeout_s) - 1)
        self._capabilities = Capabilities(
            idempotent_create=True,
            lookup_by_reference=True,
            hold=False,
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
        return "hotel"

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def search(self, request: SearchRequest, correlation_id: str) -> list[FoundOffer]:
        """POST /hotels/rates by the airport's code; the answer names the hotels too. Nothing for a trip without a night."""
        if request.last_day <= request.departure_date:
            return []
        city = place_of(request.destination).city
        call = self._wire.search_http.searching("search", correlation_id)
        answer = await self._wire.rates(call, self._rates_request(request))
        if answer.status != OK:
            return _nothing_there(answer)
        document = answer.fields("rates")
        described = hotels_of(document)
        ends_at = datetime.now(UTC) + self._offer_ttl

        def make(found: tuple[Fields, Fields]) -> FoundOffer | None:
            hotel, room_type = found
            hotel_id = hotel.text("hotelId")
            return offer_of(
                room_type, request, hotel_id=hotel_id, hotel=described.get(hotel_id), city=city, ends_at=ends_at
            )

        return found_offers(VENDOR, room_types_of(document), make, request.currency)

    async def check(self, correlation_id: str) -> None:
        """GET /bookings by a reference that nobody has."""
        call = self._wire.booking_http.pricing("check", correlation_id)
        await self._bookings(call, NOBODYS_REFERENCE)

    async def price(self, supplier_state: SupplierState, correlation_id: str) -> PriceCheck:
        """POST /rates/prebook, which reserves nothing; the booking is made from its prebookId."""
        call = self._wire.booking_http.pricing("price", correlation_id)
        return await self._prebook(call, supplier_state)

    async def hold(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        raise NotImplementedError("LiteAPI cannot hold")

    async def confirm(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        raise NotImplementedError("LiteAPI cannot hold")

    async def book(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        """POST /rates/book from the last prebook; one is made here if there was none."""
        return await outcome_of(request, self._book(request))

    async def find(self, look_up: LookUp) -> Reservation | None:
        """GET /bookings/{bookingId} if we have the id, else GET /bookings by our reference."""
        call = self._wire.booking_http.booking("find", look_up.correlation_id)
        reference = look_up.provider_reference
        booking = await self._booking(call, reference) if reference else None
        if booking is None:
            booking = await self._booking_by_reference(call, look_up.reference)
        return reservation_of(booking) if booking else None

    async def list_reservations(
        self, since: datetime, cursor: str | None, correlation_id: str
    ) -> ListPage[ListedReservation]:
        """GET /bookings/, which is another call than GET /bookings: all bookings of our key that were made since that day, in one
        page, for the contract has no other."""
        call = self._wire.booking_http.booking("list", correlation_id)
        oldest = since.astimezone(UTC) - CLOCK_MARGIN
        # In which zone a booking's day is, the contract does not say.
        query = urlencode({"bookingStartDate": (oldest - timedelta(days=1)).date().isoformat()})
        answer = await self._wire.read(call, f"/bookings/?{query}")
        if answer.status not in (OK, NO_CONTENT):
            raise VendorContractBroken(told(answer, "list"))
        found = [] if answer.status == NO_CONTENT else answer.fields("bookings").objects_or_none("data") or []
        listed = [each for each in found if (listed_at(each) or oldest) >= oldest]
        return ListPage(lines=[listed_of(each) for each in listed], cursor=None)

    async def cancellation_fee(self, reservation: Reservation, correlation_id: str) -> CancellationFee:
        """From the booking's cancellation policies."""
        call = self._wire.booking_http.booking("cancellation_fee", correlation_id)
        booking = await self._existing(call, reservation.provider_reference)
        if status_of(booking) == "cancelled":
            return CancellationFee(fee=fee_of_cancelled(booking))
        return CancellationFee(fee=fee_of(booking, datetime.now(UTC)))

    async def cancel(self, reservation: Reservation, correlation_id: str) -> CancellationFee:
        """PUT /bookings/{bookingId}, which is how LiteAPI cancels; a refusal may mean that it is cancelled: it is read then."""
        call = self._wire.booking_http.booking("cancel", correlation_id)
        reference = reservation.provider_reference
        answer = await self._wire.send(call, "PUT", f"/bookings/{path_segment(reference)}")
        if answer.status >= FIRST_SERVER_ERROR or answer.status == REQUEST_TIMEOUT:
            raise OutcomeUnclear(told(answer, "cancel"))
        if answer.status == OK:
            cancellation = data_of(answer, "cancellation")
            if cancellation.text("status") not in CANCELLED:
                raise OutcomeUnclear(f"{VENDOR}: cancel: not cancelled yet")
            fee = fee_told(cancellation)
            if fee is not None:
                return CancellationFee(fee=fee)
        elif answer.status not in (NO_CONTENT, NOT_MODIFIED) and answer.status < 400:
            raise OutcomeUnclear(told(answer, "cancel"))
        booking = await self._existing(call, reference)
        if status_of(booking) != "cancelled":
            raise VendorContractBroken(told(answer, "cancel"))
        return CancellationFee(fee=fee_of_cancelled(booking))

    def _rates_request(self, request: SearchRequest) -> dict[str, object]:
        return {
            "iataCode": request.destination,
            "checkin": request.departure_date.isoformat(),
            "checkout": request.last_day.isoformat(),
            "occupancies": [{"adults": request.travellers}],
            "currency": request.currency,
            "guestNationality": request.residence_country,
            "limit": MAX_HOTELS,
            "maxRatesPerHotel": RATES_PER_HOTEL,
            "includeHotelData": True,
            "timeout": self._search_timeout_s,
        }

    async def _prebook(self, call: Call, state: SupplierState) -> PriceCheck:
        body: dict[str, object] = {"offerId": required_text(state, "offer_id"), "usePaymentSdk": False}
        answer = (await self._wire.send(call, "POST", "/rates/prebook", body)).no_server_error()
        code = error_code(answer)
        if code == PREBOOK_TIMEOUT:
            raise VendorUnavailable(VENDOR, "the prebook took the hotel too long")
        if code in NO_AVAILABILITY:
            return PriceCheck(price=None, reason="sold_out")
        if code in REQUEST_CODES:
            return PriceCheck(price=None, reason=f"rate_no_longer_available ({code})")
        prebook = data_of(answer, "prebook")
        price = price_of(prebook)
        if price.currency != required_text(state, "currency"):
            raise prebook.broken("price in the currency that was asked for")
        return PriceCheck(
            price=price,
            supplier_state={**state, "prebook_id": prebook.text("prebookId")},
            version=version_now(prebook, state),
        )

    async def _book(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        call = self._wire.booking_http.booking("book", request.correlation_id)
        state = request.supplier_state
        if kept_text(state, "prebook_id") is None:
            checked = await checked_first(VENDOR, request, self._prebook(call, state))
            if isinstance(checked, Rejected):
                return checked, state
            state = checked
        answer = await self._wire.send(call, "POST", "/rates/book", _book_request(request, state))
        if answer.status != OK:
            return refused(answer), state
        booking = reservation_of(data_of(answer, "booking"))
        kept = {**state, **booking.supplier_state}
        if booking.status != "confirmed":
            return Unknown(reason=f"{VENDOR}: booked, but shown as {booking.status}"), kept
        return Confirmed(
            provider_reference=booking.provider_reference, price=booking.price, record_locator=booking.record_locator
        ), kept

    async def _booking(self, call: Call, booking_id: str) -> Fields | None:
        """None for 204, LiteAPI's word for "not found"; and for 404, which its contract does not know."""
        answer = await self._wire.read(call, f"/bookings/{path_segment(booking_id)}")
        return None if answer.status in (NO_CONTENT, 404) else data_of(answer, "booking")

    async def _bookings(self, call: Call, reference: str) -> list[Fields]:
        answer = await self._wire.read(call, f"/bookings?{urlencode({'clientReference': reference})}")
        if answer.status == NO_CONTENT:
            return []
        if answer.status != OK:
            raise VendorContractBroken(told(answer, "bookings"))
        return answer.fields("bookings").objects_or_none("data") or []

    async def _booking_by_reference(self, call: Call, reference: str) -> Fields | None:
        found = await self._bookings(call, reference)
        ours = [booking for booking in found if booking.text_or_none("clientReference") == reference]
        return max(ours, key=lambda each: (status_of(each) != "cancelled", created_at(each)), default=None)

    async def _existing(self, call: Call, booking_id: str) -> Fields:
        booking = await self._booking(call, booking_id)
        if booking is None:
            raise OutcomeUnclear(f"{VENDOR}: the booking is not to be seen")
        return booking


def _nothing_there(answer: Answer) -> list[FoundOffer]:
    """No offers if that is what the answer means, which is no success; raises VendorContractBroken otherwise."""
    # The one documented 400: there is no hotel at this airport.
    if answer.status == NO_CONTENT or error_code(answer) in NO_AVAILABILITY or says(answer, "hotel ids not found"):
        return []
    raise VendorContractBroken(told(answer, "rates"))


def _book_request(request: ReservationRequest, state: SupplierState) -> dict[str, object]:
    """One guest for each room, so one; our reference makes a second booking of it impossible (error 4005)."""
    traveller = request.travellers[0]
    person = {
        "firstName": traveller.given_name,
        "lastName": traveller.family_name,
        "email": traveller.email,
        "phone": traveller.phone_number,
    }
    return {
        "prebookId": required_text(state, "prebook_id"),
        "clientReference": request.reference,
        "holder": person,
        "guests": [{"occupancyNumber": 1, **person}],
        "payment": {"method": PAYMENT_METHOD},
    }


def build(parts: Parts) -> LiteApiHotels | None:
    """From the settings; both hosts share one quota and one circuit."""
    settings = parts.settings
    if settings.liteapi_api_key is None:
        return None
    wire = LiteApiWire(
        parts.http(VENDOR, settings.liteapi_url),
        parts.http(VENDOR, settings.liteapi_booking_url),
        settings.liteapi_api_key.get_secret_value(),
    )
    return LiteApiHotels(
        wire,
        offer_ttl_s=settings.offer_ttl_s,
        read_timeout_s=settings.vendor_read_timeout_s,
        clock_scale=settings.vendor_clock_scale,
    )
