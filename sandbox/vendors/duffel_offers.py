"""Duffel's offers: how they are made of an offer request, and what became of them.

Only the request is kept. Its offers follow from seed and query and are made anew whenever asked for, also after a
restart: an offer's id is its request's id and a number. What happened to an offer since (sold out, dearer) is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, TypedDict, cast

from sandbox.content import Carrier, Flight, airport_of, find_place
from sandbox.operations import is_sold
from sandbox.timetable import numbers_on
from sandbox.vendors.duffel_documents import Way, ways
from sandbox.vendors.duffel_http import VENDOR, invalid_state, offer_gone
from sandbox.world import JsonObject, World

CABINS: Final = {"economy": 1.0, "premium_economy": 1.7, "business": 3.4, "first": 5.5}
"""Cabin classes, and what they cost beside economy."""

_OPTIONS: Final = 6
"""Ways to fly in one answer; each in two fares."""
_SHARES: Final = {"adult": 1.0, "child": 0.75, "infant_without_seat": 0.1}


@dataclass(frozen=True, slots=True)
class FareBrand:
    """What a fare is called, costs and allows. A penalty is a share of the total; None means not allowed."""

    name: str
    factor: float
    refund_penalty: float | None
    change_penalty: float | None
    holdable: bool
    checked_bags: int


_LIGHT: Final = FareBrand("Light", 1.0, None, None, holdable=False, checked_bags=0)
_STANDARD: Final = FareBrand("Standard", 1.22, 0.3, 0.15, holdable=True, checked_bags=1)
_FLEX: Final = FareBrand("Flex", 1.75, 0.0, 0.0, holdable=True, checked_bags=2)


class SliceRecord(TypedDict):
    origin: str
    destination: str
    departure_date: str
    departs_within: list[str]
    arrives_within: list[str]


class PassengerRecord(TypedDict):
    id: str
    type: str
    age: int | None
    fare_type: str | None


class RequestRecord(TypedDict):
    id: str
    created_at: str
    expires_at: str
    hold_until: str
    """Until when a hold made right now would last."""
    cabin_class: str
    max_connections: int
    slices: list[SliceRecord]
    passengers: list[PassengerRecord]


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer: its request, its flights, its fare, its price as of now."""

    offer_id: str
    request: RequestRecord
    ways: tuple[Way, ...]
    fare: FareBrand
    base_minor: int
    tax_minor: int
    listed_minor: int
    """The total when it was first offered."""
    sold_out: bool

    @property
    def total_minor(self) -> int:
        return self.base_minor + self.tax_minor

    @property
    def flights(self) -> list[Flight]:
        return [flight for way in self.ways for flight in way.itinerary.flights]

    @property
    def owner(self) -> Carrier:
        return self.ways[0].itinerary.flights[0].carrier

    @property
    def holdable(self) -> bool:
        return self.fare.holdable and not self.owner.low_cost

    @property
    def refund_penalty_minor(self) -> int | None:
        """What a refund before departure costs; None if there is none."""
        share = self.fare.refund_penalty
        return None if share is None else round(self.listed_minor * share)


def request_id_of(offer_id: str) -> str:
    """The offer request an offer belongs to."""
    return f"orq_{offer_id[4:26]}"


def find_offer(world: World, offer_id: str) -> Offer | None:
    """The offer, dead or alive; None if there never was one of this id."""
    record = find_request(world, request_id_of(offer_id))
    number = offer_id[26:]
    if record is None or not offer_id.startswith("off_") or not number.isdecimal():
        return None
    options = _options(world, record)
    option = int(number) // 2
    if option >= len(options) or offer_id != _offer_id(record, int(number)):
        return None
    return _make_offer(world, record, options[option], int(number))


def require_alive(world: World, offer: Offer) -> None:
    """An offer that can still be bought, or Duffel's error."""
    if offer.sold_out:
        raise offer_gone()
    if world.now() >= datetime.fromisoformat(offer.request["expires_at"]):
        raise invalid_state("offer_expired", "The offer has expired. Search again.")


def sell_out(world: World, offer: Offer) -> None:
    """From now on nobody can buy it."""
    _keep_fate(world, offer.offer_id, {"sold_out": True})


def change_price(world: World, offer: Offer, percent: float) -> Offer:
    """The offer at its new price, which lasts."""
    factor = offer.total_minor / offer.listed_minor * (1 + percent / 100)
    _keep_fate(world, offer.offer_id, {"price_factor": factor})
    changed = find_offer(world, offer.offer_id)
    return changed or offer


def _keep_fate(world: World, offer_id: str, change: JsonObject) -> None:
    world.put(VENDOR, "offer_fate", offer_id, {**(world.get(VENDOR, "offer_fate", offer_id) or {}), **change})


def find_request(world: World, request_id: str) -> RequestRecord | None:
    """The request as kept."""
    return cast("RequestRecord | None", world.get(VENDOR, "offer_request", request_id))


def _options(world: World, record: RequestRecord) -> list[tuple[Way, ...]]:
    """Ways to fly the whole journey: one way for each slice, the same airline where it flies them all."""
    per_slice = [_ways_of(world, each, record["max_connections"]) for each in record["slices"]]
    if not all(per_slice):
        return []
    options: list[tuple[Way, ...]] = []
    for number, outbound in enumerate(per_slice[0][:_OPTIONS]):
        rest = (_same_carrier(outbound, later) or later[number % len(later)] for later in per_slice[1:])
        options.append((outbound, *rest))
    return options


def _ways_of(world: World, record: SliceRecord, max_connections: int) -> list[Way]:
    origin, destination = find_place(record["origin"]), find_place(record["destination"])
    if origin is None or destination is None:
        return []
    on = date.fromisoformat(record["departure_date"])
    (leave_from, leave_to), (arrive_from, arrive_to) = record["departs_within"], record["arrives_within"]

    def fits(way: Way) -> bool:
        first, last = way.itinerary.flights[0], way.itinerary.flights[-1]
        return (
            len(way.segments) <= max_connections + 1
            and leave_from <= f"{first.departs:%H:%M}" <= leave_to
            and arrive_from <= f"{last.arrives:%H:%M}" <= arrive_to
        )

    ends = airport_of(origin), airport_of(destination)
    return [way for way in ways(world.seed, *ends, on, numbers_on(world, *ends, on)) if fits(way)]


def _same_carrier(way: Way, among: Sequence[Way]) -> Way | None:
    carrier = way.itinerary.flights[0].carrier
    return next((other for other in among if other.itinerary.flights[0].carrier is carrier), None)


def _offer_id(record: RequestRecord, number: int) -> str:
    return f"off_{record['id'][4:]}{number:02d}"


def _make_offer(world: World, record: RequestRecord, option: tuple[Way, ...], number: int) -> Offer:
    plain, better = (_LIGHT, _STANDARD) if number // 2 % 2 == 0 else (_STANDARD, _FLEX)
    fare = better if number % 2 else plain
    offer_id = _offer_id(record, number)
    fate = world.get(VENDOR, "offer_fate", offer_id) or {}
    factor = cast(float, fate.get("price_factor", 1.0))
    share = sum(_SHARES[passenger["type"]] for passenger in record["passengers"])
    fares_minor = sum(way.itinerary.fare_minor for way in option)
    base_minor = round(fares_minor * share * fare.factor * CABINS[record["cabin_class"]])
    tax_minor = round(base_minor * 0.14 + 850 * len(option) * share)
    total_minor = round((base_minor + tax_minor) * factor)
    taxed_minor = round(tax_minor * factor)
    flights = (flight for way in option for flight in way.itinerary.flights)
    sold_out = bool(fate.get("sold_out")) or not all(is_sold(world, flight) for flight in flights)
    return Offer(
        offer_id, record, option, fare, total_minor - taxed_minor, taxed_minor, base_minor + tax_minor, sold_out
    )


def living_offers(world: World, record: RequestRecord) -> list[Offer]:
    """The offers that can still be bought, in the order of their ids."""
    if world.now() >= datetime.fromisoformat(record["expires_at"]):
        return []
    options = _options(world, record)
    offers = [_make_offer(world, record, options[number // 2], number) for number in range(2 * len(options))]
    return [offer for offer in offers if not offer.sold_out]
