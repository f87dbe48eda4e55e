"""Availability and price check: from a question to a priced link, and from a priced link to one that books."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, cast

from sandbox.faults import Fault
from sandbox.vendors.rapid_content import RATE_PLANS, ROOMS, Hotel, hotel
from sandbox.vendors.rapid_protocol import RapidError, Settings, Tokens, invalid, link, link_invalid
from sandbox.vendors.rapid_rates import (
    PER_EURO,
    Occupancy,
    Offer,
    Stay,
    cancel_penalties,
    is_full,
    is_refundable,
    price,
    rate_plans,
    reprice,
    rooms_left,
)
from sandbox.world import JsonObject, World

_PROPERTIES_MAX: Final = 250
_ROOMS_MAX: Final = 8
_NIGHTS_MAX: Final = 28
_DAYS_AHEAD_MAX: Final = 500
_REQUIRED: Final = (
    "checkin",
    "checkout",
    "currency",
    "country_code",
    "language",
    "occupancy",
    "property_id",
    "rate_plan_count",
    "sales_channel",
    "sales_environment",
)


@dataclass(frozen=True, slots=True)
class SealedOffer:
    """What a price check or book link is for, and the price it was made with."""

    offer: Offer
    bed_group: str
    total_minor: int


class Shopping:
    """The read side of Rapid, up to the link that books."""

    def __init__(self, world: World, tokens: Tokens) -> None:
        self._world = world
        self._tokens = tokens

    # -------------------------------------------------------------------------------------------- availability

    def availability(self, query: Mapping[str, list[str]]) -> list[JsonObject]:
        """GET /properties/availability: properties with rooms, the best first."""
        stay, count = self._stay(query)
        expires = self._expiry()
        include_holdable = "rooms.rates.holdable" in query.get("include", [])
        refundable_only = "refundable" in query.get("filter", [])
        found: list[JsonObject] = []
        for property_id in dict.fromkeys(query["property_id"]):
            place = hotel(self._world.seed, property_id)
            if place is None or is_full(self._world, place, stay.checkin):
                continue
            rooms = self._rooms(place, stay, count, expires, holdable=include_holdable, refundable=refundable_only)
            if rooms:
                score = round(place.guest_rating * 1000) + int(place.stars * 100)
                found.append({"property_id": place.id, "status": "available", "rooms": rooms, "score": score})
        found.sort(key=lambda document: -cast(int, document["score"]))
        return found

    def _rooms(
        self, place: Hotel, stay: Stay, count: int, expires: float, *, holdable: bool, refundable: bool
    ) -> list[JsonObject]:
        """The `count` cheapest rates, grouped by their room."""
        guests = max(occupancy.adults + len(occupancy.child_ages) for occupancy in stay.occupancies)
        offers = [
            price(self._world, place, room, plan, stay)
            for room, plan in rate_plans()
            if guests <= room.sleeps and (plan.refundable or not refundable)
        ]
        rooms: dict[int, JsonObject] = {}
        for offer in sorted(offers, key=lambda each: each.total_minor)[:count]:
            room = rooms.setdefault(
                offer.room.number, {"id": place.room_id(offer.room), "room_name": offer.room.name, "rates": []}
            )
            cast("list[JsonObject]", room["rates"]).append(self._rate(offer, expires, holdable=holdable))
        return list(rooms.values())

    def _rate(self, offer: Offer, expires: float, *, holdable: bool) -> JsonObject:
        room, plan, stay = offer.room, offer.plan, offer.stay
        penalties = cancel_penalties(offer.hotel, plan, stay, self._world.now())
        path = f"/properties/{offer.hotel.id}/rooms/{offer.hotel.room_id(room)}/rates/{offer.hotel.rate_id(room, plan)}"
        bed_group: JsonObject = {
            "id": room.bed_group,
            "description": room.beds,
            "configuration": [
                {"type": room.bed_size, "size": room.bed_size.removesuffix("Bed"), "quantity": room.bed_count}
            ],
            "links": {"price_check": link("GET", path, self._seal("check", offer, expires), _zulu(expires))},
        }
        rate: JsonObject = {
            "id": offer.hotel.rate_id(room, plan),
            "status": "available",
            "available_rooms": rooms_left(self._world, offer.hotel, room, stay.checkin),
            "refundable": is_refundable(penalties, self._world.now()),
            "member_deal_available": False,
            "sale_scenario": {"package": False, "member": False, "corporate": False, "distribution": False},
            "merchant_of_record": "expedia",
            "amenities": {"2104": {"id": "2104", "name": "Full Breakfast"}} if plan.breakfast else {},
            "links": {},
            "bed_groups": {room.bed_group: bed_group},
            "cancel_penalties": penalties,
            "occupancy_pricing": _occupancy_pricing(offer),
        }
        if holdable:
            # In the vendor's hold-and-resume guide, not in the published contract; shown only when included.
            rate["holdable"] = plan.holdable
        return rate

    # --------------------------------------------------------------------------------------------- price check

    def price_check(self, token: str, fault: Fault | None, test: str) -> JsonObject:
        """GET of a price_check link: the price still stands, has changed, or the room is gone."""
        sealed = self.opened("check", token)
        action = fault.action if fault else None
        if action == "sold_out" or test == "sold_out":
            return {"status": "sold_out", "links": {}}
        if fault is not None and action == "price_changed":
            sealed = self.repriced(sealed, fault.percent)
        elif test == "price_changed":
            sealed = self.repriced(sealed, 8)
        offer = sealed.offer
        expires = self._expiry()
        return {
            "status": "available" if offer.total_minor == sealed.total_minor else "price_changed",
            "occupancy_pricing": _occupancy_pricing(offer),
            "links": {"book": link("POST", "/itineraries", self._seal("book", offer, expires), _zulu(expires))},
        }

    def repriced(self, sealed: SealedOffer, percent: float) -> SealedOffer:
        """The same offer after its price changed for good."""
        old = sealed.offer
        reprice(self._world, old.hotel, old.room, old.plan, old.stay, percent)
        new = price(self._world, old.hotel, old.room, old.plan, old.stay)
        return SealedOffer(new, sealed.bed_group, sealed.total_minor)

    def opened(self, purpose: str, token: str) -> SealedOffer:
        """The offer behind a link at its price now; raises link.invalid when the link is not good (any more)."""
        property_id, room_number, plan_number, checkin, checkout, rooms, currency, total, expires = self._tokens.open(
            purpose, token
        )
        place = hotel(self._world.seed, str(property_id))
        if place is None or cast(float, expires) < self._world.now().timestamp():
            raise link_invalid()
        room = ROOMS[cast(int, room_number) - 1]
        occupancies = tuple(filter(None, map(Occupancy.parse, cast("list[str]", rooms))))
        stay = Stay(date.fromisoformat(str(checkin)), date.fromisoformat(str(checkout)), occupancies, str(currency))
        offer = price(self._world, place, room, RATE_PLANS[cast(int, plan_number) - 1], stay)
        return SealedOffer(offer, room.bed_group, cast(int, total))

    def _seal(self, purpose: str, offer: Offer, expires: float) -> str:
        stay = offer.stay
        return self._tokens.seal(
            purpose,
            offer.hotel.id,
            offer.room.number,
            offer.plan.number,
            stay.checkin,
            stay.checkout,
            [occupancy.text for occupancy in stay.occupancies],
            stay.currency,
            offer.total_minor,
            expires,
        )

    def _expiry(self) -> float:
        return round(self._world.now().timestamp() + Settings.of(self._world).link_s, 3)

    # ----------------------------------------------------------------------------------------------- questions

    def _stay(self, query: Mapping[str, list[str]]) -> tuple[Stay, int]:
        for name in _REQUIRED:
            if not any(query.get(name, ())):
                raise invalid(f"{name}.required", f"{name} is required.", (name, "querystring", ""))
        checkin, checkout = self._dates(query["checkin"][0], query["checkout"][0])
        currency = query["currency"][0]
        if currency not in PER_EURO:
            raise _wrong("currency", currency)
        if len(query["property_id"]) > _PROPERTIES_MAX:
            raise _wrong("property_id", str(len(query["property_id"])))
        rooms = query["occupancy"]
        occupancies = tuple(filter(None, map(Occupancy.parse, rooms)))
        if len(occupancies) != len(rooms) or len(rooms) > _ROOMS_MAX:
            raise _wrong("occupancy", ";".join(rooms))
        count = query["rate_plan_count"][0]
        if not count.isdecimal() or not 1 <= int(count) <= _PROPERTIES_MAX:
            raise _wrong("rate_plan_count", count)
        return Stay(checkin, checkout, occupancies, currency), int(count)

    def _dates(self, checkin: str, checkout: str) -> tuple[date, date]:
        today = self._world.now().date()
        try:
            first = date.fromisoformat(checkin)
        except ValueError:
            raise _wrong("checkin", checkin) from None
        # It is still yesterday west of the date line.
        if not today - timedelta(days=1) <= first <= today + timedelta(days=_DAYS_AHEAD_MAX):
            raise _wrong("checkin", checkin)
        try:
            last = date.fromisoformat(checkout)
        except ValueError:
            raise _wrong("checkout", checkout) from None
        if not 1 <= (last - first).days <= _NIGHTS_MAX:
            raise _wrong("checkout", checkout)
        return first, last


def _occupancy_pricing(offer: Offer) -> JsonObject:
    rooms = zip(offer.stay.occupancies, offer.prices, strict=True)
    return {occupancy.text: pricing for occupancy, pricing in rooms}


def _wrong(name: str, value: str) -> RapidError:
    return invalid(f"{name}.invalid", f"{name} is invalid.", (name, "querystring", value))


def _zulu(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
