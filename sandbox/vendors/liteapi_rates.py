"""LiteAPI's rates: own prices for hotels that others sell too, cancellation terms, and offers whose id is the offer.

Amounts are minor units of the currency asked for. An offer's id carries what was offered and when, as the vendor's long
ids seem to; what became of a rate since (dearer, sold out) is kept in the world, so that pricing and booking agree.
"""

from __future__ import annotations

from base64 import b32decode, b32encode
from binascii import Error as Base32Error
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, cast
from zlib import crc32
from zoneinfo import ZoneInfo

import orjson

from sandbox.vendors.liteapi_content import find_hotel, hotel_id, room_name
from sandbox.vendors.liteapi_requests import Occupancy
from sandbox.vendors.liteapi_wire import VENDOR, money, wrong_input
from sandbox.vendors.rapid_content import ROOMS, Hotel, Room
from sandbox.world import JsonObject, World

PER_EURO: Final = {"EUR": 1.0, "USD": 1.1, "GBP": 0.86, "CHF": 0.95}
"""The currencies sold here, and what a euro is in them."""

_TAX: Final = 0.1
_COMMISSION: Final = 0.08
_FREE_UNTIL_DAYS: Final = 2
_DEADLINE: Final = time(18, 0)
_SEASONS: Final = (0.88, 0.9, 0.96, 1.0, 1.05, 1.1, 1.18, 1.2, 1.06, 1.0, 0.92, 1.02)


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to buy a room."""

    number: int
    factor: float
    refundable: bool
    board: tuple[str, str]
    """Code and name."""


PLANS: Final = (
    Plan(1, 1.0, refundable=True, board=("RO", "Room Only")),
    Plan(2, 0.9, refundable=False, board=("RO", "Room Only")),
    Plan(3, 1.12, refundable=True, board=("BB", "Bed and Breakfast")),
)


@dataclass(frozen=True, slots=True)
class Stay:
    """The nights asked for, and for whom: one occupancy per room."""

    checkin: date
    checkout: date
    occupancies: tuple[Occupancy, ...]
    currency: str

    @property
    def nights(self) -> int:
        return (self.checkout - self.checkin).days


@dataclass(frozen=True, slots=True)
class Offer:
    """A room of a hotel under a plan, with its price now."""

    hotel: Hotel
    room: Room
    plan: Plan
    stay: Stay
    totals_minor: tuple[int, ...]
    """What each room of the stay costs, taxes included."""
    sold_out: bool

    @property
    def total_minor(self) -> int:
        return sum(self.totals_minor)

    @property
    def key(self) -> str:
        """Names the rate for everybody who asks for these nights."""
        return f"{self.hotel.id}/{self.room.number}/{self.plan.number}/{self.stay.checkin}/{self.stay.checkout}"


def is_full(world: World, hotel: Hotel, checkin: date) -> bool:
    """One hotel in twenty has no room on a given day."""
    return crc32(f"{world.seed}|liteapi|full|{hotel.id}|{checkin}".encode()) % 20 == 0


def offers(world: World, hotel: Hotel, stay: Stay) -> list[Offer]:
    """What the hotel has for the stay, cheapest first."""
    guests = max(occupancy.adults + len(occupancy.children) for occupancy in stay.occupancies)
    rooms = [room for room in ROOMS if room.sleeps >= guests]
    found = [price(world, hotel, room, plan, stay) for room in rooms for plan in PLANS]
    return sorted((offer for offer in found if not offer.sold_out), key=lambda offer: offer.total_minor)


def price(world: World, hotel: Hotel, room: Room, plan: Plan, stay: Stay) -> Offer:
    """The offer as of now."""
    # Against the other vendor: one hotel a little cheaper, the next a little dearer, day by day.
    level = hotel.night_minor * world.random(VENDOR, "level", hotel.id).uniform(0.88, 1.12)
    level *= room.factor * plan.factor * PER_EURO[stay.currency]
    nights = [level * _night_factor(world.seed, hotel, stay.checkin + timedelta(days=n)) for n in range(stay.nights)]
    offer = Offer(hotel, room, plan, stay, (), sold_out=False)
    fate = world.get(VENDOR, "rate_fate", offer.key) or {}
    factor = cast(float, fate.get("price_factor", 1.0)) * (1 + _TAX)
    totals = tuple(round(sum(nights) * _guests_factor(occupancy) * factor) for occupancy in stay.occupancies)
    return Offer(hotel, room, plan, stay, totals, sold_out=bool(fate.get("sold_out")))


def _night_factor(seed: int, hotel: Hotel, night: date) -> float:
    dice = crc32(f"{seed}|liteapi|night|{hotel.id}|{night}".encode()) % 1000 / 1000
    return _SEASONS[night.month - 1] * (0.9 + 0.24 * dice)


def _guests_factor(occupancy: Occupancy) -> float:
    return 1 + 0.2 * max(0, occupancy.adults - 2) + 0.08 * len(occupancy.children)


def sell_out(world: World, offer: Offer) -> None:
    """From now on nobody can book it."""
    _keep_fate(world, offer, {"sold_out": True})


def change_price(world: World, offer: Offer, percent: float) -> Offer:
    """The offer at its new price, which lasts."""
    fate = world.get(VENDOR, "rate_fate", offer.key) or {}
    _keep_fate(world, offer, {"price_factor": cast(float, fate.get("price_factor", 1.0)) * (1 + percent / 100)})
    return price(world, offer.hotel, offer.room, offer.plan, offer.stay)


def _keep_fate(world: World, offer: Offer, change: JsonObject) -> None:
    world.put(VENDOR, "rate_fate", offer.key, {**(world.get(VENDOR, "rate_fate", offer.key) or {}), **change})


# ---------------------------------------------------------------------------------------------------------- offer ids


@dataclass(frozen=True, slots=True)
class Offered:
    """What an offer's id says: the offer as of now, and what it cost when it was offered."""

    offer: Offer
    listed_minor: int
    issued: datetime


def offer_id(offer: Offer, now: datetime) -> str:
    """The id of an offer; opaque to clients."""
    stay = offer.stay
    guests = [[occupancy.adults, list(occupancy.children)] for occupancy in stay.occupancies]
    what = [hotel_id(offer.hotel), offer.room.number, offer.plan.number]
    when = [stay.checkin, stay.checkout, stay.currency, guests]
    return b32encode(orjson.dumps([what, when, offer.total_minor, int(now.timestamp())])).decode().rstrip("=")


def opened(world: World, wanted: str) -> Offered:
    """The offer of an id; raises 4002 for an id that nobody gave out."""
    try:
        body = b32decode(wanted + "=" * (-len(wanted) % 8))
        what, when, listed_minor, issued = cast("tuple[list[object], list[object], int, int]", orjson.loads(body))
        name, room, plan = cast("tuple[str, int, int]", what)
        checkin, checkout, currency, guests = cast("tuple[str, str, str, list[tuple[int, list[int]]]]", when)
        occupancies = tuple(Occupancy(adults=adults, children=tuple(children)) for adults, children in guests)
        stay = Stay(date.fromisoformat(checkin), date.fromisoformat(checkout), occupancies, currency)
        hotel = find_hotel(world.seed, name)
    except (Base32Error, ValueError, TypeError) as error:
        raise wrong_input("invalid offerId") from error
    if hotel is None:
        raise wrong_input("invalid offerId")
    offer = price(world, hotel, ROOMS[room - 1], PLANS[plan - 1], stay)
    return Offered(offer, listed_minor, datetime.fromtimestamp(issued, UTC))


# -------------------------------------------------------------------------------------------------------- cancellation


@dataclass(frozen=True, slots=True)
class Penalty:
    """What cancelling costs from a moment on."""

    since: datetime
    amount_minor: int

    def document(self, currency: str) -> JsonObject:
        """A `cancelPolicyInfo`: its time is a deadline in GMT, without a zone in the text."""
        cancel_time = self.since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        return {"cancelTime": cancel_time, **money(self.amount_minor, currency), "type": "amount", "timezone": "GMT"}


def penalties(offer: Offer, total_minor: int, now: datetime) -> list[Penalty]:
    """Flexible: free until two days before at 18:00 local, then a night, from check-in on everything. Else everything."""
    if not offer.plan.refundable:
        return [Penalty(now.replace(microsecond=0), total_minor)]
    zone = ZoneInfo(offer.hotel.airport.time_zone)
    checkin = datetime.combine(offer.stay.checkin, _DEADLINE, zone)
    one_night_minor = round(total_minor / offer.stay.nights)
    return [Penalty(checkin - timedelta(days=_FREE_UNTIL_DAYS), one_night_minor), Penalty(checkin, total_minor)]


def policies_document(found: list[Penalty], currency: str, now: datetime) -> JsonObject:
    """`cancellationPolicies`. RFN means that it is free to cancel now."""
    return {
        "cancelPolicyInfos": [penalty.document(currency) for penalty in found],
        "hotelRemarks": [],
        "refundableTag": "RFN" if found[0].since > now else "NRFN",
    }


# ------------------------------------------------------------------------------------------------------------ documents


def rate_documents(world: World, offer: Offer) -> list[JsonObject]:
    """The rates of an offer, one per room of the stay."""
    return [_rate_document(world, offer, position) for position in range(len(offer.stay.occupancies))]


def _rate_document(world: World, offer: Offer, position: int) -> JsonObject:
    occupancy, total_minor, now = offer.stay.occupancies[position], offer.totals_minor[position], world.now()
    currency, children = offer.stay.currency, len(occupancy.children)
    board_code, board_name = offer.plan.board
    city_tax_minor = round(offer.hotel.city_tax_minor * PER_EURO[currency]) * offer.stay.nights
    tax = money(total_minor - round(total_minor / (1 + _TAX)), currency)
    taxes: list[JsonObject] = [{"included": True, "description": "Tax", **tax}]
    if city_tax_minor:
        # Collected by the hotel, never part of what is charged at booking.
        taxes.append({"included": False, "description": "City tax", **money(city_tax_minor, currency)})
    return {
        "rateId": f"{offer_id(offer, now)}{position + 2}",
        "occupancyNumber": position + 1,
        "name": room_name(world.seed, offer.hotel, offer.room),
        "maxOccupancy": offer.room.sleeps,
        "adultCount": occupancy.adults,
        "childCount": children,
        "childrenAges": list(occupancy.children),
        "boardType": board_code,
        "boardName": board_name,
        "remarks": "",
        "priceType": "commission",
        "commission": [money(round(total_minor * _COMMISSION), currency)],
        "retailRate": {"total": [money(total_minor, currency)], "taxesAndFees": taxes},
        "cancellationPolicies": policies_document(penalties(offer, total_minor, now), currency, now),
        "paymentTypes": ["NUITEE_PAY"],
        "perks": [],
    }


def room_type_document(world: World, offer: Offer) -> JsonObject:
    """An entry of `roomTypes` of a search."""
    return {
        "roomTypeId": f"{hotel_id(offer.hotel)}-{offer.room.number}",
        "name": room_name(world.seed, offer.hotel, offer.room),
        "offerId": offer_id(offer, world.now()),
        "supplier": "nuitee",
        "supplierId": 2,
        "rates": rate_documents(world, offer),
        "offerRetailRate": [money(offer.total_minor, offer.stay.currency)],
        "priceType": "commission",
        "rateType": "standard",
    }


def commission_minor(total_minor: int) -> int:
    """What of a price is ours."""
    return round(total_minor * _COMMISSION)
