"""Rental cars of Avis Budget: Avis, Budget and Payless.

Source: tests/contracts/avis-budget.DERIVED.openapi.yaml and vendor-specs/README.md section 5.

A reservation can be found by its number and the driver's last name only, and nothing of ours would make Avis refuse a second
one. A create whose answer is lost therefore ends at a person, and is repeated only if it never left.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import structlog

from gateways.avis_documents import (
    BRANDS,
    cancel_request,
    kept_of,
    local_time,
    offer_of,
    quoted,
    rate_request,
    reservation_of,
    reservation_request,
)
from gateways.avis_wire import (
    CANCELLED_ALREADY,
    CREATED,
    NO_DESK,
    NO_SUCH_RESERVATION,
    REQUEST_TIMEOUT,
    SOLD_OUT,
    VENDOR,
    AvisWire,
    business_code,
    document_of,
    refused,
    told,
)
from gateways.checked import checked_first
from gateways.fields import Fields, kept_text, required_text
from gateways.found import found_offers
from gateways.http import FIRST_SERVER_ERROR, Call, outcome_of
from gateways.kept import Kept
from gateways.parts import Parts
from gateways.ports import CancellationFee, LookUp, PriceCheck, Reservation, ReservationRequest, SupplierState
from schema.errors import OutcomeUnclear, TravelHubError, VendorContractBroken, VendorUnavailable
from schema.money import Money
from schema.offers import FoundOffer, Kind, SearchRequest
from schema.outcomes import Capabilities, Confirmed, Outcome, Rejected, Unknown

RESERVATIONS = "/cars/reservation/v2"
CHECKED_AIRPORT = "LHR"

_logger = structlog.stdlib.get_logger("gateways.avis")


class AvisCars:
    """The port `Supplier` for cars."""

    def __init__(self, wire: AvisWire, *, offer_ttl_s: float) -> None:
        """`offer_ttl_s`: for how long a rate is offered on; the contract gives rates no end of their own."""
        self._wire = wire
        self._offer_ttl = timedelta(seconds=offer_ttl_s)
        self._desks: Kept[dict[str, str]] = Kept()
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
        return "car"

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def search(self, request: SearchRequest, correlation_id: str) -> list[FoundOffer]:
        """GET /cars/locations/v2/keyword for the brands with a desk at the airport, then GET /cars/catalog/v2/vehicles of each.

        Picked up and dropped off at that desk, and offered in the desk's own currency: Avis converts only for information.
        """
        call = self._wire.http.searching("search", correlation_id)
        desks = await self._desks_at(call, request.destination)
        answers = await asyncio.gather(*(self._vehicles(call, request, brand) for brand in desks))
        failures = [answer for answer in answers if isinstance(answer, TravelHubError)]
        if failures and len(failures) == len(answers):
            raise failures[0]
        for failure in failures:
            _logger.warning("brand_left_out", vendor=VENDOR, problem=failure.message)
        expires_at = datetime.now(UTC) + self._offer_ttl

        def make(found: tuple[str, Fields]) -> FoundOffer | None:
            brand, vehicle = found
            return offer_of(vehicle, request, brand=brand, desk_name=desks[brand], expires_at=expires_at)

        vehicles = [
            (brand, vehicle)
            for brand, answer in zip(desks, answers, strict=True)
            if not isinstance(answer, TravelHubError)
            for vehicle in answer
        ]
        return found_offers(VENDOR, vehicles, make, request.currency)

    async def check(self, correlation_id: str) -> None:
        """GET /cars/locations/v2/keyword, after a token."""
        await self._locations(self._wire.http.pricing("check", correlation_id), CHECKED_AIRPORT)

    async def price(self, supplier_state: SupplierState, correlation_id: str) -> PriceCheck:
        """POST /cars/catalog/v2/vehicles/rates, which reserves nothing; its quote_id keeps the price. The answer names neither car
        nor times, so it has no version."""
        call = self._wire.http.pricing("price", correlation_id)
        return await self._quote(call, supplier_state)

    async def hold(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        raise NotImplementedError("Avis cannot hold")

    async def confirm(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        raise NotImplementedError("Avis cannot hold")

    async def book(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        """POST /cars/reservation/v2 from the quote of the last price check; one is made here if there was none."""
        return await outcome_of(request, self._book(request))

    async def find(self, look_up: LookUp) -> Reservation | None:
        """GET /cars/reservation/v2 by number and last name. One that is cancelled is not shown, only told to be so."""
        number = look_up.provider_reference
        if number is None:
            raise NotImplementedError("Avis finds reservations by their number only")
        call = self._wire.http.booking("find", look_up.correlation_id)
        state = kept_of(look_up.supplier_state, look_up.travellers[0].family_name)
        return await self._shown(call, number, state)

    async def cancellation_fee(self, reservation: Reservation, correlation_id: str) -> CancellationFee:
        """Nothing: the contract knows no charge for cancelling; the terms are prose."""
        call = self._wire.http.booking("cancellation_fee", correlation_id)
        if await self._shown(call, reservation.provider_reference, reservation.supplier_state) is None:
            raise OutcomeUnclear(f"{VENDOR}: the reservation is not to be seen")
        return _nothing_kept(reservation)

    async def cancel(self, reservation: Reservation, correlation_id: str) -> CancellationFee:
        """PUT /cars/reservation/v2, which is how Avis cancels; a second time is told as such."""
        call = self._wire.http.booking("cancel", correlation_id)
        body = cancel_request(reservation.supplier_state, reservation.provider_reference, correlation_id)
        answer = await self._wire.send(call, "PUT", RESERVATIONS, body)
        if answer.status >= FIRST_SERVER_ERROR or answer.status == REQUEST_TIMEOUT:
            raise OutcomeUnclear(told(answer, "cancel"))
        code = business_code(answer)
        if code == NO_SUCH_RESERVATION:
            raise OutcomeUnclear(f"{VENDOR}: the reservation is not to be seen")
        if code != CANCELLED_ALREADY:
            document_of(answer, "cancel").object("status").objects("success")
        return _nothing_kept(reservation)

    async def _desks_at(self, call: Call, iata: str) -> dict[str, str]:
        """The name of each brand's desk at the airport, whose code is the airport's own."""
        kept = self._desks.get(iata)
        if kept is not None:
            return kept
        desks: dict[str, str] = {}
        for location in await self._locations(call, iata):
            brand = location.text("brand")
            if brand in BRANDS and location.flag("airport_location") and location.text("code") == iata:
                desks[brand] = location.text("name")
        if desks:
            self._desks.put(iata, desks)
        return desks

    async def _locations(self, call: Call, iata: str) -> list[Fields]:
        answer = await self._wire.read(
            call, f"/cars/locations/v2/keyword?{urlencode({'brand': 'ALL', 'keyword': iata})}"
        )
        if business_code(answer) in NO_DESK:
            return []
        return document_of(answer, "locations").objects("locations")

    async def _vehicles(self, call: Call, request: SearchRequest, brand: str) -> list[Fields] | TravelHubError:
        """One brand's vehicles, or why there are none to be had: the other brands are offered all the same."""
        query = {
            "brand": brand,
            "pickup_date": local_time(datetime.combine(request.departure_date, request.pickup_time)),
            "pickup_location": request.destination,
            "dropoff_date": local_time(datetime.combine(request.last_day, request.dropoff_time)),
            "dropoff_location": request.destination,
            "country_code": request.residence_country,
            "age": str(request.driver_age),
            # We pay with paperless vouchers, which not every desk takes.
            "paperless": "true",
        }
        try:
            answer = await self._wire.read(call, f"/cars/catalog/v2/vehicles?{urlencode(query)}")
            if business_code(answer) in SOLD_OUT | NO_DESK:
                return []
            return document_of(answer, "vehicles").objects("vehicles")
        except (VendorUnavailable, OutcomeUnclear, VendorContractBroken) as error:
            return error

    async def _quote(self, call: Call, state: SupplierState) -> PriceCheck:
        body = rate_request(state, call.correlation_id)
        answer = (await self._wire.send(call, "POST", "/cars/catalog/v2/vehicles/rates", body)).no_server_error()
        code = business_code(answer)
        if code is not None:
            return PriceCheck(
                price=None, reason="sold_out" if code in SOLD_OUT else f"rate_no_longer_available ({code})"
            )
        price, kept = quoted(state, document_of(answer, "rate"))
        return PriceCheck(price=price, supplier_state=kept)

    async def _book(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        call = self._wire.http.booking("book", request.correlation_id)
        state = request.supplier_state
        if kept_text(state, "quote_id") is None:
            checked = await checked_first(VENDOR, request, self._quote(call, state))
            if isinstance(checked, Rejected):
                return checked, state
            state = checked
        answer = await self._wire.send(call, "POST", RESERVATIONS, reservation_request(request, state))
        if answer.status not in CREATED:
            return refused(answer), state
        found = reservation_of(answer.fields("reservation"), state, request.travellers[0].family_name)
        kept = {**state, **found.supplier_state}
        if found.status != "confirmed":
            # A person has to follow it up, and needs its number.
            return Unknown(reason=f"{VENDOR}: {found.provider_reference} is {found.status}, on request only"), kept
        return Confirmed(
            provider_reference=found.provider_reference, price=found.price, record_locator=found.record_locator
        ), kept

    async def _shown(self, call: Call, number: str, state: SupplierState) -> Reservation | None:
        last_name = required_text(state, "last_name")
        query = {"brand": required_text(state, "brand"), "confirmation_number": number, "last_name": last_name}
        answer = await self._wire.read(call, f"{RESERVATIONS}?{urlencode(query)}")
        code = business_code(answer)
        if code == NO_SUCH_RESERVATION:
            return None
        if code == CANCELLED_ALREADY:
            return Reservation(provider_reference=number, status="cancelled", supplier_state=kept_of(state, last_name))
        return reservation_of(document_of(answer, "reservation"), state, last_name)


def _nothing_kept(reservation: Reservation) -> CancellationFee:
    return CancellationFee(fee=Money.zero(required_text(reservation.supplier_state, "currency")))


def build(parts: Parts) -> AvisCars | None:
    """From the settings; None without credentials."""
    settings = parts.settings
    if settings.avis_client_id is None or settings.avis_client_secret is None:
        return None
    wire = AvisWire(
        parts.http(VENDOR, settings.avis_url), settings.avis_client_id, settings.avis_client_secret.get_secret_value()
    )
    return AvisCars(wire, offer_ttl_s=settings.offer_ttl_s)
