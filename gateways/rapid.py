"""Hotels of Expedia Rapid, v3. Source: vendor-specs/expedia-rapid and vendor-specs/README.md section 4.

The flow goes by links: a rate's price check gives the link to book, a booking gives links to look at, resume and cancel it.
Their tokens carry Rapid's state, so they are kept and followed as they came. One room for all travellers: only such can be held.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from gateways.checked import checked_first
from gateways.fields import Fields, is_list, kept_text, required_text
from gateways.found import found_offers
from gateways.http import FIRST_SERVER_ERROR, Answer, Call, before_effect, outcome_of
from gateways.parts import Parts
from gateways.ports import CancellationFee, LookUp, PriceCheck, Reservation, ReservationRequest, SupplierState
from gateways.rapid_documents import (
    created_at,
    fee_of,
    fee_of_cancelled,
    links_of,
    offer_of,
    price_of_stay,
    rates_of,
    reservation_of,
    status_of,
)
from gateways.rapid_guests import itinerary_request
from gateways.rapid_properties import LANGUAGE, OK, RapidProperties
from gateways.rapid_wire import (
    ACCEPTED,
    ALREADY_CANCELLED,
    DONE,
    FOUND,
    NOT_FOUND,
    VENDOR,
    RapidWire,
    error_types,
    href,
    link,
    may_repeat,
    refused,
)
from schema.errors import OutcomeUnclear, VendorContractBroken, VendorUnavailable
from schema.money import Money
from schema.offers import FoundOffer, Kind, SearchRequest
from schema.outcomes import Capabilities, Confirmed, Outcome, Rejected, Unknown

LOOKUP_LAG_S = 180.0
"""The contract says "a few minutes" (GET /itineraries)."""
RATES_PER_PROPERTY = 3
CREATED = 201
BILLING_ADDRESS = {"line_1": "TravelHub", "city": "Dublin", "country_code": "IE"}
"""Whom Expedia bills: us. Ireland, because its addresses need neither a postal code nor a state (BillingContactRequestAddress)."""
RATE_IS_DEAD = frozenset({400, 404, 410})
"""A price check whose token has expired or is no longer known."""


class RapidHotels:
    """The port `Supplier` for hotels."""

    def __init__(
        self, wire: RapidWire, *, billing_address: dict[str, str], offer_ttl_s: float, clock_scale: float = 1.0
    ) -> None:
        """`billing_address`: ours, see `itinerary_request`. `offer_ttl_s`: for how long a rate whose link names no end is
        offered on. `clock_scale` multiplies the look-up lag, for vendors that run on compressed clocks."""
        self._wire = wire
        self._billing_address = billing_address
        self._offer_ttl = timedelta(seconds=offer_ttl_s)
        self._properties = RapidProperties(wire)
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
        return "hotel"

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def search(self, request: SearchRequest, correlation_id: str) -> list[FoundOffer]:
        """GET /regions for the properties at the airport, then GET /properties/availability; nothing for a trip without a night."""
        if request.last_day <= request.departure_date:
            return []
        call = self._wire.http.searching("search", correlation_id)
        property_ids = await self._properties.near(call, request.destination)
        if not property_ids:
            return []
        answer, described = await asyncio.gather(
            self._wire.read(call, f"/v3/properties/availability?{_availability(request, property_ids)}"),
            self._properties.describe(call, property_ids, request.destination),
        )
        document = answer.json()
        if answer.status != OK or not is_list(document):
            raise VendorContractBroken(f"{VENDOR}: availability: status {answer.status}")
        ends_at = datetime.now(UTC) + self._offer_ttl

        def make(found: tuple[str, str, Fields]) -> FoundOffer | None:
            property_id, room_name, rate = found
            hotel = described.get(property_id)
            if hotel is None:
                return None
            return offer_of(
                rate, request, property_id=property_id, described=hotel, room_name=room_name, ends_at=ends_at
            )

        properties = [Fields.of(VENDOR, "property", item) for item in document]
        return found_offers(VENDOR, rates_of(properties), make, request.currency)

    async def check(self, correlation_id: str) -> None:
        """GET /regions, which reads only."""
        await self._wire.check(self._wire.http.pricing("check", correlation_id))

    async def price(self, supplier_state: SupplierState, correlation_id: str) -> PriceCheck:
        """The rate's price_check link; the answer's book link carries the price it names."""
        call = self._wire.http.pricing("price", correlation_id)
        return await self._price_check(call, supplier_state)

    async def hold(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        """POST /itineraries with hold true: nothing is charged, and it is rolled back by itself if it is not resumed."""
        call = self._wire.http.booking("hold", request.correlation_id)
        return await outcome_of(request, self._create(call, request, hold=True))

    async def book(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        """POST /itineraries with hold false, then a look for the hotel's confirmation number."""
        call = self._wire.http.booking("book", request.correlation_id)
        outcome, state = await outcome_of(request, self._create(call, request, hold=False))
        if not isinstance(outcome, Confirmed):
            return outcome, state
        return await self._verified(call, request, outcome, state)

    async def confirm(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        """PUT the resume link; a refusal may mean that an earlier try resumed it, so the itinerary is read then."""
        return await outcome_of(request, self._confirm(request))

    async def find(self, look_up: LookUp) -> Reservation | None:
        """By the itinerary's own link if we have one, else GET /itineraries by our reference and the first traveller's e-mail."""
        call = self._wire.http.booking("find", look_up.correlation_id)
        email = look_up.travellers[0].email
        retrieve = kept_text(look_up.supplier_state, "retrieve")
        itinerary = await self._itinerary(call, retrieve) if retrieve and look_up.provider_reference else None
        if itinerary is None:
            itinerary = await self._itinerary_by_reference(call, look_up, email)
        return reservation_of(itinerary, email) if itinerary else None

    async def cancellation_fee(self, reservation: Reservation, correlation_id: str) -> CancellationFee:
        """From the terms of the booked rooms; a hold costs nothing. Raises OutcomeUnclear while Rapid shows it in part only."""
        call = self._wire.http.booking("cancellation_fee", correlation_id)
        itinerary = await self._itinerary(call, required_text(reservation.supplier_state, "retrieve"))
        if itinerary is None:
            raise OutcomeUnclear(f"{VENDOR}: the itinerary is not to be seen")
        return CancellationFee(fee=_fee(itinerary, reservation))

    async def cancel(self, reservation: Reservation, correlation_id: str) -> CancellationFee:
        """DELETE the hold, or each booked room. Reads first, for fresh links and so that a repeat finds what is done."""
        call = self._wire.http.booking("cancel", correlation_id)
        itinerary = await self._itinerary(call, required_text(reservation.supplier_state, "retrieve"))
        status = status_of(itinerary) if itinerary else "pending"
        if itinerary is None or status == "pending":
            return await self._cancel_unseen(call, reservation)
        fee = _fee(itinerary, reservation)
        if status == "held":
            await self._delete(call, href(itinerary, "cancel"))
        elif status == "confirmed":
            for room in itinerary.objects("rooms"):
                if room.text_or_none("status") != "canceled":
                    await self._delete(call, href(room, "cancel") or href(itinerary, "cancel"))
        return CancellationFee(fee=fee)

    async def _price_check(self, call: Call, state: SupplierState) -> PriceCheck:
        answer = await self._wire.read(call, required_text(state, "price_check"))
        if answer.status in RATE_IS_DEAD:
            return PriceCheck(price=None, reason=", ".join(sorted(error_types(answer))) or "rate no longer known")
        if answer.status != OK:
            raise VendorContractBroken(f"{VENDOR}: price check: status {answer.status}")
        check = answer.fields("price check")
        if check.text("status") == "sold_out":
            return PriceCheck(price=None, reason="sold_out")
        book = link(check, "book")
        if book is None:
            raise check.broken("book link")
        return PriceCheck(
            price=price_of_stay(check, required_text(state, "occupancy")),
            expires_at=book.moment_or_none("expires"),
            supplier_state={**state, "book": book.text("href")},
        )

    async def _create(self, call: Call, request: ReservationRequest, *, hold: bool) -> tuple[Outcome, SupplierState]:
        state = request.supplier_state
        if kept_text(state, "book") is None:
            # Never checked since the search: without a check there is no link to book.
            checked = await checked_first(VENDOR, request, self._price_check(call, state))
            if isinstance(checked, Rejected):
                return checked, state
            state = checked
        body = itinerary_request(request, hold=hold, billing_address=self._billing_address)
        answer = await self._wire.send(call, "POST", required_text(state, "book"), body)
        if answer.status != CREATED:
            return refused(answer), request.supplier_state
        created = answer.fields("itinerary")
        itinerary_id = created.text("itinerary_id")
        kept = {
            **state,
            **links_of(created, request.travellers[0].email),
            "currency": request.price.currency,
        }
        if href(created, "complete_payment_session"):
            return Unknown(reason=f"{VENDOR}: the payment is challenged"), kept
        resume = link(created, "resume")
        if hold and resume is None:
            return Unknown(reason=f"{VENDOR}: created, but without a link to resume it"), kept
        return Confirmed(
            provider_reference=itinerary_id, expires_at=resume.moment_or_none("expires") if resume else None
        ), kept

    async def _confirm(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        call = self._wire.http.booking("confirm", request.correlation_id)
        state = request.supplier_state
        resume = kept_text(state, "resume")
        if resume is None:
            itinerary = await before_effect(VENDOR, self._itinerary(call, required_text(state, "retrieve")))
            resume = href(itinerary, "resume") if itinerary else None
            if itinerary is None or resume is None:
                return _ended(itinerary, request, Unknown(reason=f"{VENDOR}: there is no link to resume it yet")), state
        answer = await self._wire.send(call, "PUT", resume)
        if answer.status in DONE:
            confirmed = Confirmed(provider_reference=required_text(state, "itinerary_id"))
            return await self._verified(call, request, confirmed, state)
        outcome = refused(answer)
        if isinstance(outcome, Rejected):
            itinerary = await self._itinerary(call, required_text(state, "retrieve"))
            outcome = _ended(itinerary, request, outcome)
        return outcome, state

    async def _verified(
        self, call: Call, request: ReservationRequest, confirmed: Confirmed, state: SupplierState
    ) -> tuple[Outcome, SupplierState]:
        """Adds price and confirmation number. Rapid has said yes: that it does not show it yet takes nothing back, a room that is
        shown as pending or cancelled does."""
        try:
            itinerary = await self._itinerary(call, required_text(state, "retrieve"))
        except (VendorUnavailable, OutcomeUnclear, VendorContractBroken):
            return confirmed, state
        if itinerary is None or not itinerary.values.get("rooms"):
            return confirmed, state
        found = reservation_of(itinerary, request.travellers[0].email)
        if found.status in ("cancelled", "pending"):
            return Unknown(reason=f"{VENDOR}: confirmed, but shown as {found.status}"), state
        return confirmed.model_copy(update={"price": found.price, "record_locator": found.record_locator}), state

    async def _itinerary(self, call: Call, retrieve: str) -> Fields | None:
        answer = await self._wire.read(call, retrieve)
        if answer.status == NOT_FOUND:
            return None
        if answer.status not in FOUND:
            raise VendorContractBroken(
                f"{VENDOR}: itinerary: status {answer.status}, {', '.join(sorted(error_types(answer)))}"
            )
        return answer.fields("itinerary")

    async def _itinerary_by_reference(self, call: Call, look_up: LookUp, email: str) -> Fields | None:
        query = urlencode({"affiliate_reference_id": look_up.reference, "email": email})
        answer = await self._wire.read(call, f"/v3/itineraries?{query}")
        if answer.status == NOT_FOUND:
            return None
        document = answer.json()
        if answer.status not in FOUND:
            raise VendorContractBroken(f"{VENDOR}: itineraries: status {answer.status}")
        items = document if is_list(document) else [document]
        found = [Fields.of(VENDOR, "itinerary", item) for item in items]
        # One that shows only its id so far has no reference to compare; it was found by ours.
        ours = [
            item for item in found if item.values.get("affiliate_reference_id", look_up.reference) == look_up.reference
        ]
        ours.sort(key=lambda item: (status_of(item) != "cancelled", created_at(item)))
        return ours[-1] if ours else None

    async def _cancel_unseen(self, call: Call, reservation: Reservation) -> CancellationFee:
        """Rapid does not show it, or in part only. A hold's own link works all the same; for anything else we must wait."""
        cancel_link = kept_text(reservation.supplier_state, "cancel")
        if reservation.status != "held" or cancel_link is None:
            raise OutcomeUnclear(f"{VENDOR}: the itinerary is not to be seen in full yet")
        await self._delete(call, cancel_link, gone_is_done=True)
        return CancellationFee(fee=_nothing(reservation))

    async def _delete(self, call: Call, address: str | None, *, gone_is_done: bool = False) -> None:
        if address is None:
            raise VendorContractBroken(f"{VENDOR}: no link to cancel it")
        answer = await self._wire.send(call, "DELETE", address)
        if answer.status in DONE or (gone_is_done and answer.status == NOT_FOUND):
            return
        if ALREADY_CANCELLED in error_types(answer):
            return
        raise _undo_failed(answer)


def _availability(request: SearchRequest, property_ids: list[str]) -> str:
    return urlencode(
        [
            ("checkin", request.departure_date.isoformat()),
            ("checkout", request.last_day.isoformat()),
            ("currency", request.currency),
            ("country_code", request.residence_country),
            ("language", LANGUAGE),
            ("occupancy", str(request.travellers)),
            ("rate_plan_count", str(RATES_PER_PROPERTY)),
            ("sales_channel", "website"),
            ("sales_environment", "hotel_only"),
            # Paid to Expedia when booked: what is paid at the hotel could not be part of the trip's price.
            ("filter", "expedia_collect"),
            # Without it no rate says that it can be held (vendor's page on hold and resume; not in the saved contract).
            ("include", "rooms.rates.holdable"),
            *(("property_id", property_id) for property_id in property_ids),
        ]
    )


def _fee(itinerary: Fields, reservation: Reservation) -> Money:
    status = status_of(itinerary)
    if status == "held":
        return _nothing(reservation)
    if status == "cancelled":
        return fee_of_cancelled(itinerary, datetime.now(UTC), was_booked=reservation.status == "confirmed")
    if status == "pending":
        raise OutcomeUnclear(f"{VENDOR}: the itinerary is not to be seen in full yet")
    return fee_of(itinerary, datetime.now(UTC))


def _nothing(reservation: Reservation) -> Money:
    """In the currency it was booked in: a hold need not show its rooms, and so its price, before it is resumed."""
    currency = (
        reservation.price.currency if reservation.price else required_text(reservation.supplier_state, "currency")
    )
    return Money.zero(currency)


def _ended(itinerary: Fields | None, request: ReservationRequest, otherwise: Outcome) -> Outcome:
    """How a resume that was refused, or that needs no link, ended: as the itinerary shows."""
    if itinerary is None:
        return Unknown(reason=f"{VENDOR}: the held itinerary is not to be seen")
    found = reservation_of(itinerary, request.travellers[0].email)
    if found.status == "confirmed":
        return Confirmed(
            provider_reference=found.provider_reference, price=found.price, record_locator=found.record_locator
        )
    if found.status == "cancelled":
        return Rejected(code="hold_expired", message=f"{VENDOR}: the hold has ended")
    if found.status == "pending":
        return Unknown(reason=f"{VENDOR}: the itinerary is pending")
    return otherwise


def _undo_failed(answer: Answer) -> Exception:
    """The error of an undo that did not succeed; all of them are tried again, and the next try reads the itinerary first."""
    reason = f"{VENDOR}: cancel: status {answer.status}, {', '.join(sorted(error_types(answer)))}"
    if answer.status >= FIRST_SERVER_ERROR or answer.status == ACCEPTED:
        return OutcomeUnclear(reason)
    return VendorContractBroken(reason)


def build(parts: Parts) -> RapidHotels:
    """From the settings."""
    settings = parts.settings
    wire = RapidWire(
        parts.http(VENDOR, settings.rapid_url, may_repeat),
        settings.rapid_api_key.get_secret_value(),
        settings.rapid_secret.get_secret_value(),
        customer_ip=settings.rapid_customer_ip,
        test_header=settings.rapid_test_header,
    )
    return RapidHotels(
        wire,
        billing_address=BILLING_ADDRESS,
        offer_ttl_s=settings.offer_ttl_s,
        clock_scale=settings.vendor_clock_scale,
    )
