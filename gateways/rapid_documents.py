"""Rapid's rates, itineraries and penalties in our words.

Source: vendor-specs/expedia-rapid, schemas PropertyAvailability, Rate, Itinerary, RateItinerary, CancelPenalty, Totals.
Prices are `totals.inclusive` in the billable currency: what is charged, taxes included, without what the hotel collects itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal
from urllib.parse import urlencode

from gateways.fields import Fields, is_list, is_object
from gateways.http import path_segment
from gateways.ports import Reservation, SupplierState
from gateways.rapid_wire import VENDOR, href, link
from schema.money import Money, exponent_of, total
from schema.offers import FoundOffer, HotelOffer, SearchRequest


@dataclass(frozen=True, slots=True)
class Property:
    """What a traveller wants to know of a hotel; availability itself only gives ids."""

    name: str
    city: str
    stars: float | None


def rates_of(properties: list[Fields]) -> Iterator[tuple[str, str, Fields]]:
    """Property id, room name and rate of everything that is available."""
    for item in properties:
        property_id = item.text_or_none("property_id")
        for room in (property_id and item.objects_or_none("rooms")) or []:
            for rate in room.objects_or_none("rates") or []:
                yield property_id or "", room.text_or_none("room_name") or "Room", rate


def offer_of(
    rate: Fields, request: SearchRequest, *, property_id: str, described: Property, room_name: str, ends_at: datetime
) -> FoundOffer | None:
    """None for a rate that is paid at the hotel, and for one without a link to check its price."""
    if rate.text_or_none("merchant_of_record") == "property":
        return None
    price_check = next(
        (found for group in rate.mapped("bed_groups").values() if (found := link(group, "price_check"))), None
    )
    if price_check is None:
        return None
    occupancy = str(request.travellers)
    return FoundOffer(
        offer=HotelOffer(
            offer_id="",
            supplier=VENDOR,
            price=price_of_stay(rate, occupancy),
            expires_at=price_check.moment_or_none("expires") or ends_at,
            refundable=rate.flag("refundable"),
            holdable=rate.flag("holdable"),
            seats=request.travellers,
            property_id=property_id,
            name=described.name,
            city=described.city,
            stars=described.stars,
            room_type=room_name,
            check_in=request.departure_date,
            check_out=request.last_day,
        ),
        supplier_state={"price_check": price_check.text("href"), "occupancy": occupancy},
    )


def price_of_stay(document: Fields, occupancy: str) -> Money:
    """Of a rate or a price check, for the one room we ask for."""
    prices = document.mapped("occupancy_pricing")
    pricing = prices.get(occupancy) or (next(iter(prices.values())) if len(prices) == 1 else None)
    if pricing is None:
        raise document.broken("occupancy_pricing")
    return _charged(pricing)


def _charged(pricing: Fields) -> Money:
    return pricing.object("totals").object("inclusive").object("billable_currency").money("value", "currency")


def links_of(itinerary: Fields, email: str) -> SupplierState:
    """What confirm, find and cancel need later; an itinerary without a link to itself is read by its id and the e-mail address."""
    itinerary_id = itinerary.text("itinerary_id")
    by_email = f"/v3/itineraries/{path_segment(itinerary_id)}?{urlencode({'email': email})}"
    return {
        "itinerary_id": itinerary_id,
        "retrieve": href(itinerary, "retrieve") or by_email,
        "resume": href(itinerary, "resume"),
        "cancel": href(itinerary, "cancel"),
    }


def reservation_of(itinerary: Fields, email: str) -> Reservation:
    """An itinerary as a reservation; one that shows only its id is pending: Rapid shows the rest some minutes later."""
    status = status_of(itinerary)
    resume = link(itinerary, "resume")
    rooms = itinerary.objects_or_none("rooms") or []
    prices = [_charged(pricing) for room in rooms if (pricing := _pricing(room))]
    price = total(prices, prices[0].currency) if prices and len(prices) == len(rooms) else None
    currency: SupplierState = {"currency": price.currency} if price else {}
    return Reservation(
        provider_reference=itinerary.text("itinerary_id"),
        status=status,
        price=price,
        expires_at=resume.moment_or_none("expires") if resume and status == "held" else None,
        record_locator=_confirmation(rooms[0]) if rooms else None,
        supplier_state={**links_of(itinerary, email), **currency},
    )


def status_of(itinerary: Fields) -> Literal["held", "confirmed", "cancelled", "pending"]:
    """Only a held itinerary has a link to resume it; a status we do not know counts as pending."""
    statuses = {room.text_or_none("status") for room in itinerary.objects_or_none("rooms") or []}
    if statuses == {"canceled"}:
        return "cancelled"
    if href(itinerary, "resume"):
        return "held"
    return "confirmed" if "booked" in statuses and statuses <= {"booked", "canceled"} else "pending"


def _confirmation(room: Fields) -> str | None:
    confirmation = room.object_or_none("confirmation_id")
    if confirmation is None:
        return None
    return confirmation.text_or_none("property") or confirmation.text_or_none("expedia")


def _pricing(room: Fields) -> Fields | None:
    rate = room.object_or_none("rate")
    return rate.object_or_none("pricing") if rate else None


def fee_of(itinerary: Fields, now: datetime) -> Money:
    """What is kept if the booked rooms are cancelled now."""
    return _sum(itinerary, [_room_fee(room, now) for room in itinerary.objects("rooms")])


def fee_of_cancelled(itinerary: Fields, now: datetime, *, was_booked: bool) -> Money:
    """What was kept when it was cancelled: the price less `cancel_refund`; without one, by the terms if it had been booked."""
    fees: list[Money] = []
    for room in itinerary.objects("rooms"):
        price = _charged(room.object("rate").object("pricing"))
        refund = room.object("rate").object_or_none("cancel_refund")
        # The amount is sent with a minus sign, as a string or as a number.
        refunded = abs(refund.decimal("amount")) if refund and refund.text("currency") == price.currency else None
        if refunded is not None:
            fees.append(_bounded(Decimal(price.decimal()) - refunded, price))
        else:
            fees.append(_room_fee(room, now) if was_booked else Money.zero(price.currency))
    return _sum(itinerary, fees)


def _sum(itinerary: Fields, fees: list[Money]) -> Money:
    if not fees:
        raise itinerary.broken("rooms")
    return total(fees, fees[0].currency)


def _room_fee(room: Fields, now: datetime) -> Money:
    """Nights that are not refundable are kept whole, whatever the penalties say; the penalty is on the rest, and at most the rest."""
    rate = room.object("rate")
    price = _charged(rate.object("pricing"))
    charged = Decimal(price.decimal())
    penalties = rate.objects_or_none("cancel_penalties") or []
    if rate.values.get("refundable") is False and not penalties:
        return price
    nights = _nights(rate.object("pricing"))
    ranges = [(item.day("start"), item.day("end")) for item in rate.objects_or_none("nonrefundable_date_ranges") or []]
    check_in = room.day("checkin")
    lost = [any(first <= check_in + timedelta(days=n) <= last for first, last in ranges) for n in range(len(nights))]
    if ranges and (not nights or all(lost)):
        return price
    kept = sum((amount for amount, is_lost in zip(nights, lost, strict=True) if is_lost), Decimal(0))
    refundable = [amount for amount, is_lost in zip(nights, lost, strict=True) if not is_lost]
    rest = max(charged - kept, Decimal(0))
    penalty = min(_penalty(penalties, price, rest, refundable, now), rest)
    return _bounded(kept + penalty, price)


def _penalty(penalties: list[Fields], price: Money, rest: Decimal, nights: list[Decimal], now: datetime) -> Decimal:
    """The largest penalty in force now. After the end of the last one nothing comes back; in another currency neither."""
    if not penalties:
        return Decimal(0)
    if now >= max(penalty.moment("end") for penalty in penalties):
        return rest
    due = Decimal(0)
    for penalty in penalties:
        if not penalty.moment("start") <= now < penalty.moment("end"):
            continue
        if penalty.text_or_none("currency") not in (None, price.currency):
            return rest
        percent = penalty.decimal_or_none("percent") or Decimal(0)
        count = int(penalty.decimal_or_none("nights") or 0)
        amount = penalty.decimal_or_none("amount") or Decimal(0)
        due = max(due, amount + Decimal(price.decimal()) * percent / 100 + sum(nights[:count], Decimal(0)))
    return due


def _nights(pricing: Fields) -> list[Decimal]:
    """What each night costs, taxes included."""
    nightly = pricing.values.get("nightly")
    nights: list[Decimal] = []
    for night in nightly if is_list(nightly) else []:
        charges = [
            Fields(VENDOR, "nightly", charge) for charge in (night if is_list(night) else []) if is_object(charge)
        ]
        nights.append(sum((charge.decimal("value") for charge in charges), Decimal(0)))
    return nights


def _bounded(amount: Decimal, price: Money) -> Money:
    """Rounded half up to the currency's minor unit, not below nothing and not above the price."""
    minor = int(amount.scaleb(exponent_of(price.currency)).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    return Money(amount_minor=min(max(minor, 0), price.amount_minor), currency=price.currency)


def created_at(itinerary: Fields) -> datetime:
    """For choosing the newest; an itinerary without a time counts as the oldest."""
    return itinerary.moment_or_none("creation_date_time") or datetime.min.replace(tzinfo=UTC)
