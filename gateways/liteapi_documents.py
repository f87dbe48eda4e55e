"""LiteAPI's rates, prebooks, bookings and cancellation policies in our words.

Source: vendor-specs/liteapi, POST /hotels/rates, POST /rates/prebook, GET /bookings, PUT /bookings/{bookingId}.
Prices are what our account is charged: `retailRate.total` of the one room at search, `price` afterwards; both with the commission
in them, which LiteAPI pays back later, and without what `taxesAndFees` marks as not included: that is paid at the hotel.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Literal

import structlog

from gateways.fields import Fields, kept_text
from gateways.found import version_of
from gateways.liteapi_wire import VENDOR
from gateways.ports import ListedReservation, Reservation, SupplierState
from schema.money import Money
from schema.offers import FoundOffer, HotelOffer, SearchRequest, Version, plain

REFUNDABLE = "RFN"
NON_REFUNDABLE = "NRFN"
AT_THE_PROPERTY = "PROPERTY_PAY"
CANCELLED = frozenset({"CANCELLED", "CANCELED", "CANCELLED_WITH_CHARGES"})
"""The contract spells it both ways."""

_logger = structlog.stdlib.get_logger("gateways.liteapi")


def room_types_of(document: Fields) -> Iterator[tuple[Fields, Fields]]:
    """Hotel and room type of everything that is available; a room type is what is booked, by its offerId."""
    for hotel in document.objects_or_none("data") or []:
        for room_type in hotel.objects_or_none("roomTypes") or []:
            yield hotel, room_type


def hotels_of(document: Fields) -> dict[str, Fields]:
    """Name, city and stars by hotel id, as far as the rates answer has them."""
    hotels = document.objects_or_none("hotels") or []
    return {hotel_id: hotel for hotel in hotels if (hotel_id := hotel.text_or_none("id"))}


def offer_of(
    room_type: Fields, request: SearchRequest, *, hotel_id: str, hotel: Fields | None, city: str, ends_at: datetime
) -> FoundOffer | None:
    """None for what is paid at the hotel, needs a loyalty card or is too small. A hotel without content is named by its id."""
    rate = only_rate(room_type)
    if rate.texts("paymentTypes") == [AT_THE_PROPERTY] or room_type.flag("loyaltyMembershipIdRequired"):
        return None
    places = rate.whole_or_none("maxOccupancy")
    if places is not None and places < request.travellers:
        return None
    price = _total_of(rate)
    if price.currency != request.currency:
        raise rate.broken("total in the currency that was asked for")
    room = rate.text("name")
    refundable = _refundable_tag(rate) == REFUNDABLE
    return FoundOffer(
        offer=HotelOffer(
            offer_id="",
            supplier=VENDOR,
            price=price,
            expires_at=ends_at,
            refundable=refundable,
            holdable=False,
            seats=request.travellers,
            property_id=hotel_id,
            name=(hotel.text_or_none("name") if hotel else None) or f"Hotel {hotel_id}",
            city=(hotel.text_or_none("city_name") if hotel else None) or city,
            stars=_stars(hotel),
            room_type=room,
            check_in=request.departure_date,
            check_out=request.last_day,
        ),
        supplier_state={
            "offer_id": room_type.text("offerId"),
            "currency": price.currency,
            "room": room,
            "refundable": refundable,
        },
        version=_version(hotel_id, room, request.departure_date, request.last_day, refundable=refundable),
    )


def only_rate(room_type: Fields) -> Fields:
    """There is one for each room that was asked for, and we ask for one."""
    rates = room_type.objects("rates")
    if len(rates) != 1:
        raise room_type.broken("single rate")
    return rates[0]


def version_now(prebook: Fields, state: SupplierState) -> Version:
    """What a prebook sells, which may be a similar rate where the first was sold out: the contract says to look at its flags.

    Its rooms are named with the board behind the name ("King Room - Room only"), so a longer name is still the same room.
    """
    room_types = prebook.objects("roomTypes")
    rate = only_rate(room_types[0]) if len(room_types) == 1 else None
    if rate is None:
        raise prebook.broken("single room type")
    kept, told = kept_text(state, "room") or "", rate.text_or_none("name") or ""
    tag = _refundable_tag(rate)
    return _version(
        prebook.text("hotelId"),
        kept if plain(told).startswith(plain(kept)) or not told else told,
        prebook.day("checkin"),
        prebook.day("checkout"),
        refundable=state.get("refundable") is True if tag is None else tag == REFUNDABLE,
        changed=prebook.flag("cancellationChanged") or prebook.flag("boardChanged"),
    )


def price_of(document: Fields) -> Money:
    """Of a prebook or a booking."""
    return document.money("price", "currency")


def reservation_of(booking: Fields) -> Reservation:
    """A booking as a reservation; a status that we do not know counts as pending."""
    booking_id = booking.text("bookingId")
    return Reservation(
        provider_reference=booking_id,
        status=status_of(booking),
        price=booking.money_or_none("price", "currency"),
        record_locator=booking.text_or_none("hotelConfirmationCode"),
        supplier_state={"booking_id": booking_id},
    )


def listed_of(line: Fields) -> ListedReservation:
    """A line of the list of all bookings, whose fields have other names than those of a booking."""
    # The contract's schema says `bookingId`, its example of the same list `booking_Id`.
    booking_id = line.text_or_none("bookingId") or line.text("booking_Id")
    reference = line.text_or_none("client_reference") or None
    reservation = Reservation(
        provider_reference=booking_id,
        status=status_of(line),
        # What is not ours is only counted, and need not be readable.
        price=line.money_or_none("retail_rate", "currency") if reference else None,
        supplier_state={"booking_id": booking_id},
    )
    return ListedReservation(reference=reference, reservation=reservation)


def listed_at(line: Fields) -> datetime | None:
    """When it was booked."""
    return line.moment_or_none("created_at")


def status_of(booking: Fields) -> Literal["confirmed", "cancelled", "pending"]:
    status = booking.text("status")
    if status == "CONFIRMED":
        return "confirmed"
    if status in CANCELLED:
        return "cancelled"
    if status != "PENDING":
        _logger.warning("unknown_status", vendor=VENDOR, status=status)
    return "pending"


def fee_of(booking: Fields, at: datetime) -> Money:
    """What is kept if it is cancelled at that time: the largest penalty whose deadline has passed, at most the price.

    What cannot be read counts against the traveller, so that a quote is never too low: without any policy, of another type than
    `amount`, or in another currency, the whole price is kept.
    """
    price = price_of(booking)
    policies = booking.object("cancellationPolicies")
    infos = policies.objects_or_none("cancelPolicyInfos") or []
    tag = policies.text_or_none("refundableTag")
    if tag == NON_REFUNDABLE or (not infos and tag != REFUNDABLE):
        return price
    fee = Money.zero(price.currency)
    for info in infos:
        # "Always GMT, even if not listed": a time without an offset is UTC.
        deadline = info.moment_or_none("cancelTime")
        if deadline is None or deadline <= at:
            fee = max(fee, _penalty(info, price), key=_minor)
    return fee


def fee_of_cancelled(booking: Fields) -> Money:
    """What was kept when it was cancelled: the price less what came back, or by the policies of that time where it says nothing."""
    price = price_of(booking)
    refunded = booking.money_or_none("amountRefunded", "currency")
    if refunded and refunded.amount_minor > 0:
        return max(price - refunded, Money.zero(price.currency), key=_minor)
    return fee_of(booking, booking.moment_or_none("cancelledAt") or datetime.now(UTC))


def fee_told(cancellation: Fields) -> Money | None:
    """What PUT /bookings/{bookingId} says is kept; None where it says nothing."""
    return cancellation.money_or_none("cancellation_fee", "currency")


def created_at(booking: Fields) -> datetime:
    """For choosing the newest; one without a time counts as the oldest."""
    return booking.moment_or_none("createdAt") or datetime.min.replace(tzinfo=UTC)


def _penalty(info: Fields, price: Money) -> Money:
    if info.text_or_none("type") != "amount" or info.text_or_none("currency") != price.currency:
        return price
    return min(price, info.money("amount", "currency"), key=_minor)


def _minor(amount: Money) -> int:
    return amount.amount_minor


def _total_of(rate: Fields) -> Money:
    totals = rate.object("retailRate").objects("total")
    if len(totals) != 1:
        raise rate.broken("single total")
    return totals[0].money("amount", "currency")


def _refundable_tag(rate: Fields) -> str | None:
    policies = rate.object_or_none("cancellationPolicies")
    return policies.text_or_none("refundableTag") if policies else None


def _stars(hotel: Fields | None) -> float | None:
    stars = hotel.decimal_or_none("stars") if hotel else None
    return float(stars) if stars is not None else None


def _version(
    hotel_id: str, room: str, check_in: date, check_out: date, *, refundable: bool, changed: bool = False
) -> Version:
    return version_of(None, hotel_id, plain(room), check_in, check_out, refundable, changed)
