"""What a room costs, and under which cancellation terms. All amounts are minor units of the requested currency."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, cast
from zlib import crc32
from zoneinfo import ZoneInfo

from sandbox.vendors.rapid_content import RATE_PLANS, ROOMS, Hotel, RatePlan, Room
from sandbox.vendors.rapid_content import hotel as hotel_of
from sandbox.vendors.rapid_protocol import VENDOR, money
from sandbox.world import JsonObject, World

PER_EURO: Final = {"EUR": 1.0, "USD": 1.09, "GBP": 0.85}
"""The currencies sold here, and what a euro is in them."""

_TAX: Final = 0.1
_FREE_UNTIL_DAYS: Final = 2
_DEADLINE: Final = time(18, 0)
_WEEKDAY_FACTORS: Final = (1.0, 1.0, 1.02, 1.04, 1.12, 1.15, 0.95)
_MONTH_FACTORS: Final = (0.86, 0.88, 0.95, 1.0, 1.06, 1.12, 1.2, 1.22, 1.08, 1.0, 0.9, 1.02)


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Who sleeps in one room: `2-9,4` is two adults and children of nine and four."""

    text: str
    adults: int
    child_ages: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Occupancy | None:
        adults, dash, children = text.partition("-")
        ages = children.split(",") if dash else []
        if not adults.isdecimal() or not 1 <= int(adults) <= 14:
            return None
        if not all(age.isdecimal() and int(age) <= 17 for age in ages):
            return None
        return cls(text, int(adults), tuple(int(age) for age in ages))


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
    """A rate of a room for a stay, with its price: what a price check and a booking are about."""

    hotel: Hotel
    room: Room
    plan: RatePlan
    stay: Stay
    prices: tuple[JsonObject, ...]
    """`PricingInformation`, one per room of the stay."""
    totals_minor: tuple[int, ...]
    """What each room costs with tax, as charged at booking."""

    @property
    def total_minor(self) -> int:
        return sum(self.totals_minor)


def price(world: World, hotel: Hotel, room: Room, plan: RatePlan, stay: Stay) -> Offer:
    """The price now, with every change a fault has made to it."""
    repriced = world.get(VENDOR, "repriced", _reprice_key(hotel, room, plan, stay))
    factor = cast(float, repriced["factor"]) if repriced else 1.0
    prices, totals_minor = _priced(world.seed, hotel.id, room.number, plan.number, stay, factor)
    return Offer(hotel, room, plan, stay, prices, totals_minor)


@lru_cache(maxsize=4096)
def _priced(
    seed: int, property_id: str, room_number: int, plan_number: int, stay: Stay, factor: float
) -> tuple[tuple[JsonObject, ...], tuple[int, ...]]:
    """`PricingInformation` and total of each room. Cached: they follow from the arguments alone, the same stay is asked
    for again and again, and rendering its nights is most of what a search costs."""
    place = cast(Hotel, hotel_of(seed, property_id))
    level = place.night_minor * ROOMS[room_number - 1].factor * RATE_PLANS[plan_number - 1].factor * factor
    nights = [
        level * PER_EURO[stay.currency] * _night_factor(seed, place, stay.checkin + timedelta(days=number))
        for number in range(stay.nights)
    ]
    priced = {occupancy: _pricing(place, occupancy, nights, stay.currency) for occupancy in stay.occupancies}
    rooms = [priced[occupancy] for occupancy in stay.occupancies]
    return tuple(pricing for pricing, _ in rooms), tuple(total for _, total in rooms)


def reprice(world: World, hotel: Hotel, room: Room, plan: RatePlan, stay: Stay, percent: float) -> None:
    """Make it dearer by so many percent, for everybody and from now on: a price does not come back."""
    key = _reprice_key(hotel, room, plan, stay)
    earlier = world.get(VENDOR, "repriced", key)
    factor = cast(float, earlier["factor"]) if earlier else 1.0
    world.put(VENDOR, "repriced", key, {"factor": factor * (1 + percent / 100)})


def _reprice_key(hotel: Hotel, room: Room, plan: RatePlan, stay: Stay) -> str:
    return f"{hotel.rate_id(room, plan)}/{stay.checkin}/{stay.checkout}"


def is_full(world: World, hotel: Hotel, checkin: date) -> bool:
    """One hotel in sixteen has no room on a given day."""
    return crc32(f"{world.seed}|full|{hotel.id}|{checkin}".encode()) % 16 == 0


def rooms_left(world: World, hotel: Hotel, room: Room, checkin: date) -> int:
    return crc32(f"{world.seed}|left|{hotel.id}|{room.number}|{checkin}".encode()) % 9 + 1


def rate_plans() -> list[tuple[Room, RatePlan]]:
    """Every room with every way to buy it."""
    return [(room, plan) for room in ROOMS for plan in RATE_PLANS]


def _night_factor(seed: int, hotel: Hotel, night: date) -> float:
    dice = crc32(f"{seed}|night|{hotel.id}|{night}".encode()) % 1000 / 1000
    return _WEEKDAY_FACTORS[night.weekday()] * _MONTH_FACTORS[night.month - 1] * (0.92 + 0.2 * dice)


def _pricing(hotel: Hotel, occupancy: Occupancy, nights: list[float], currency: str) -> tuple[JsonObject, int]:
    """`PricingInformation` of one room and its total. A third adult and children cost extra."""
    guests = 1 + 0.2 * max(0, occupancy.adults - 2) + 0.08 * len(occupancy.child_ages)
    exclusive = inclusive = 0
    nightly: list[list[JsonObject]] = []
    for night in nights:
        base = round(night * guests)
        tax = round(base * _TAX)
        exclusive += base
        inclusive += base + tax
        nightly.append(
            [{"type": "base_rate", **money(base, currency)}, {"type": "tax_and_service_fee", **money(tax, currency)}]
        )
    totals: JsonObject = {"inclusive": _charge(inclusive, currency), "exclusive": _charge(exclusive, currency)}
    pricing: JsonObject = {"nightly": nightly, "totals": totals}
    city_tax = round(hotel.city_tax_minor * PER_EURO[currency]) * len(nights)
    if city_tax:
        # Collected by the hotel, never part of what is charged at booking.
        totals["property_inclusive"] = _charge(inclusive + city_tax, currency)
        totals["property_fees"] = _charge(city_tax, currency)
        pricing["fees"] = {"mandatory_tax": _charge(city_tax, currency)}
    return pricing, inclusive


def _charge(amount_minor: int, currency: str) -> JsonObject:
    amount = money(amount_minor, currency)
    return {"billable_currency": amount, "request_currency": amount}


# ------------------------------------------------------------------------------------------------ cancellation


def cancel_penalties(offer_hotel: Hotel, plan: RatePlan, stay: Stay, now: datetime) -> list[JsonObject]:
    """`cancel_penalties`, times with the hotel's offset. Flexible: free until two days before at 18:00, then a night,
    from check-in on everything. Not refundable: everything, from the start."""
    zone = ZoneInfo(offer_hotel.airport.time_zone)
    checkin = datetime.combine(stay.checkin, _DEADLINE, zone)
    end = datetime.combine(stay.checkout, _DEADLINE, zone)
    everything: JsonObject = {"currency": stay.currency, "percent": "100%", "end": _moment(end)}
    if not plan.refundable:
        return [everything | {"start": _moment(now.astimezone(zone).replace(microsecond=0))}]
    one_night: JsonObject = {
        "currency": stay.currency,
        "start": _moment(checkin - timedelta(days=_FREE_UNTIL_DAYS)),
        "end": _moment(checkin),
        "nights": "1",
    }
    return [one_night, everything | {"start": _moment(checkin)}]


def is_refundable(penalties: list[JsonObject], now: datetime) -> bool:
    """Fully refundable at this moment."""
    return datetime.fromisoformat(str(penalties[0]["start"])) > now


def penalty_minor(penalties: list[JsonObject], total_minor: int, nights: int, now: datetime) -> int:
    """What a cancellation at `now` costs: the dearest of the windows it falls into, at most the whole price."""
    cost = 0
    for penalty in penalties:
        start = datetime.fromisoformat(str(penalty["start"]))
        last = penalty is penalties[-1]
        # After the last window the stay is over: nothing comes back either.
        if now < start or (now >= datetime.fromisoformat(str(penalty["end"])) and not last):
            continue
        if "percent" in penalty:
            cost = max(cost, round(total_minor * float(str(penalty["percent"]).rstrip("%")) / 100))
        else:
            cost = max(cost, round(total_minor * int(str(penalty["nights"])) / nights))
    return min(cost, total_minor)


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
