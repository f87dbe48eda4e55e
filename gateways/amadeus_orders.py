"""Amadeus's flight orders, as they are sent and as they come back. Source: vendor-specs/amadeus/FlightCreateOrders_v1.json
and FlightOrderManagement_v1.json."""

from typing import Literal

import phonenumbers
import structlog

from gateways.amadeus_flights import price_of
from gateways.amadeus_wire import VENDOR
from gateways.fields import Fields, is_list, is_object, kept_texts
from gateways.ports import Reservation, ReservationRequest
from schema.errors import InvariantBroken, VendorContractBroken
from schema.money import Money
from schema.outcomes import Confirmed
from schema.travellers import Traveller

GENDERS = {"m": "MALE", "f": "FEMALE"}
GONE = frozenset({"CANCELLED", "DENIED"})

_logger = structlog.stdlib.get_logger("gateways.amadeus")


def order_body(request: ReservationRequest) -> dict[str, object]:
    """FlightOrder: the priced offer as it came, who travels, and our reference where people at the vendor read it."""
    offer = request.supplier_state.get("flight_offer")
    ids = kept_texts(request.supplier_state, "traveller_ids")
    if not is_object(offer) or len(ids) != len(request.travellers):
        raise InvariantBroken(f"an offer for {len(ids)} is booked for {len(request.travellers)} travellers")
    travellers = [
        _traveller(traveller_id, traveller) for traveller_id, traveller in zip(ids, request.travellers, strict=True)
    ]
    first = request.travellers[0]
    remark = {"subType": "GENERAL_MISCELLANEOUS", "text": f"TRAVELHUB {request.reference}"}
    return {
        "data": {
            "type": "flight-order",
            "flightOffers": [offer],
            "travelers": travellers,
            "remarks": {"general": [remark]},
            "ticketingAgreement": {"option": "CONFIRM"},
            "contacts": [{"addresseeName": _name(first), "purpose": "STANDARD", **_contact(first)}],
        }
    }


def confirmed(order: Fields) -> Confirmed:
    """An order that was created. Its id is all that must be legible: without it the order could not be found again."""
    return Confirmed(
        provider_reference=order.text("id"), price=_price_if_legible(order), record_locator=_record_locator(order)
    )


def reservation_of(order: Fields) -> Reservation:
    """An order as a reservation."""
    return Reservation(
        provider_reference=order.text("id"),
        status=_status(order),
        price=_price(order),
        record_locator=_record_locator(order),
        supplier_state={"order_id": order.text("id")},
    )


def kept(order: Fields) -> Money:
    """What is kept of an order's price: nothing before its tickets are issued; after that nobody here quotes a refund."""
    price = _price(order)
    return price if order.objects_or_none("tickets") else Money.zero(price.currency)


def _traveller(traveller_id: str, traveller: Traveller) -> dict[str, object]:
    return {
        "id": traveller_id,
        "dateOfBirth": traveller.date_of_birth.isoformat(),
        "gender": GENDERS[traveller.gender],
        "name": _name(traveller),
        "contact": {"purpose": "STANDARD", **_contact(traveller)},
    }


def _name(traveller: Traveller) -> dict[str, str]:
    return {"firstName": traveller.given_name, "lastName": traveller.family_name}


def _contact(traveller: Traveller) -> dict[str, object]:
    return {"emailAddress": traveller.email, "phones": [{"deviceType": "MOBILE", **_phone(traveller.phone_number)}]}


def _phone(number: str) -> dict[str, str]:
    """Country calling code and national number; the plain digits where no country has such a code, for the vendor to judge."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return {"number": number.removeprefix("+")}
    return {
        # The contract's pattern wants two characters at least, "+" being one of them: "44", but "+1".
        "countryCallingCode": str(parsed.country_code).rjust(2, "+"),
        "number": phonenumbers.national_significant_number(parsed),
    }


def _offer(order: Fields) -> Fields:
    offers = order.objects("flightOffers")
    if not offers:
        raise order.broken("flightOffers")
    return offers[0]


def _price(order: Fields) -> Money:
    return price_of(_offer(order))


def _price_if_legible(order: Fields) -> Money | None:
    try:
        return _price(order)
    except VendorContractBroken:
        _logger.warning("order_without_price", vendor=VENDOR)
        return None


def _record_locator(order: Fields) -> str | None:
    records = order.values.get("associatedRecords")
    first = records[0] if is_list(records) and records else None
    return Fields.of(VENDOR, "record", first).text_or_none("reference") if is_object(first) else None


def _status(order: Fields) -> Literal["confirmed", "cancelled", "pending"]:
    """From its segments; the order itself has no status, and a segment without one is confirmed: it was sold."""
    told = {
        segment.text_or_none("bookingStatus") or "CONFIRMED"
        for leg in _offer(order).objects_or_none("itineraries") or []
        for segment in leg.objects_or_none("segments") or []
    }
    if told <= {"CONFIRMED"}:
        return "confirmed"
    if told <= GONE:
        return "cancelled"
    # Waitlisted, part of the trip, or a word that we do not know: neither booked nor gone.
    _logger.warning("unsettled_status", vendor=VENDOR, told=sorted(told))
    return "pending"
