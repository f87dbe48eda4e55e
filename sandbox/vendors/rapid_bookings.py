"""Itineraries: booked or held, resumed, dropped, cancelled room by room, rolled back when nobody resumes.

What the contract leaves open is answered conservatively: resuming what is booked already or gone is an error and
never a second effect, and a reference stays taken after its itinerary ended.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b
from typing import Final, cast

from sandbox.faults import Fault
from sandbox.vendors.rapid_documents import (
    Itinerary,
    Room,
    creation_document,
    itinerary_document,
    partial_document,
    total_minor,
)
from sandbox.vendors.rapid_protocol import (
    VENDOR,
    RapidError,
    Settings,
    Tokens,
    invalid,
    itinerary_not_found,
    link_invalid,
    money,
)
from sandbox.vendors.rapid_rates import cancel_penalties, is_refundable, penalty_minor
from sandbox.vendors.rapid_requests import booking_request
from sandbox.vendors.rapid_shopping import SealedOffer, Shopping
from sandbox.world import JsonObject, World

DONE: Final = 204
ACCEPTED: Final = 202
"""The request is valid, the state unknown: retrieve to see (contract, PUT and DELETE of itineraries)."""


class Bookings:
    """Every itinerary of a world, and the one place that changes them."""

    def __init__(self, world: World, tokens: Tokens, shopping: Shopping) -> None:
        self._world = world
        self._tokens = tokens
        self._shopping = shopping

    # -------------------------------------------------------------------------------------------------- create

    def book(self, token: str, body: bytes, fault: Fault | None, test: str) -> JsonObject:
        """POST /itineraries."""
        sealed = self._shopping.opened("book", token)
        asked = booking_request(body, len(sealed.offer.stay.occupancies))
        reference = cast("str | None", asked.get("affiliate_reference_id"))
        self._check_reference_is_new(reference)
        self._check_still_sold(sealed, fault, test)
        hold = bool(asked.get("hold", False))
        if hold and not sealed.offer.plan.holdable:
            # Which error the vendor gives is not published; only that not every rate can be held.
            raise invalid("hold.invalid", "This rate cannot be held.", ("hold", "body", "true"))
        if hold and len(sealed.offer.stay.occupancies) > 1:
            raise invalid("hold.invalid", "Only a single room can be held.", ("hold", "body", "true"))
        itinerary = self._new_itinerary(sealed, asked, hold=hold)
        if reference is not None:
            self._world.put(VENDOR, "reference", reference, {"itinerary_id": itinerary["id"]})
        if fault is not None and fault.action == "accept_later":
            itinerary["pending_until"] = itinerary["created"] + fault.delay_s
            itinerary["pending_fails"] = fault.fail
            self._save(itinerary)
            self._take_effect_later(itinerary)
        else:
            self._take_effect(itinerary)
        return creation_document(itinerary, self._tokens)

    def _check_reference_is_new(self, reference: str | None) -> None:
        if reference is not None and self._world.get(VENDOR, "reference", reference) is not None:
            raise invalid(
                "duplicate_itinerary",
                "An itinerary already exists with this affiliate reference id.",
                ("affiliate_reference_id", "body", reference),
            )

    def _check_still_sold(self, sealed: SealedOffer, fault: Fault | None, test: str) -> None:
        action = fault.action if fault else None
        if action == "sold_out" or test == "rooms_unavailable":
            raise RapidError(410, "rooms_unavailable", "One or more requested rooms are unavailable.")
        if action == "decline" or test == "cc_declined":
            raise invalid("credit_card.declined", "The credit card was declined.", ("payments", "body", ""))
        if fault is not None and action == "price_changed":
            sealed = self._shopping.repriced(sealed, fault.percent)
        if sealed.offer.total_minor != sealed.total_minor or test == "price_mismatch":
            currency = sealed.offer.stay.currency
            raise RapidError(
                409,
                "price_mismatch",
                "Payment amount did not match current price, please check price and try again.",
                fields=[
                    {"name": name, "type": "body", "value": money(amount, currency)["value"]}
                    for name, amount in (
                        ("payments.amount", sealed.total_minor),
                        ("price.amount", sealed.offer.total_minor),
                    )
                ],
            )

    def _new_itinerary(self, sealed: SealedOffer, asked: JsonObject, *, hold: bool) -> Itinerary:
        now = self._world.now()
        offer = sealed.offer
        payments = cast("list[JsonObject]", asked["payments"])
        itinerary_id = self._numeric_id("itinerary", 13)
        return Itinerary(
            id=itinerary_id,
            reference=cast("str | None", asked.get("affiliate_reference_id")),
            email=cast(str, asked["email"]),
            phone=cast(JsonObject, asked["phone"]),
            property_id=offer.hotel.id,
            billing_contact=cast(JsonObject, payments[0]["billing_contact"]),
            affiliate_metadata=cast("str | None", asked.get("affiliate_metadata")),
            hold=hold,
            state="accepting",
            resuming=False,
            rooms=[
                self._new_room(sealed, number, guest, now)
                for number, guest in enumerate(cast("list[JsonObject]", asked["rooms"]))
            ],
            currency=offer.stay.currency,
            created=now.timestamp(),
            created_at=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            held_until=None,
            pending_until=None,
            pending_fails=False,
        )

    def _new_room(self, sealed: SealedOffer, number: int, guest: JsonObject, now: datetime) -> Room:
        offer = sealed.offer
        occupancy = offer.stay.occupancies[number]
        penalties = cancel_penalties(offer.hotel, offer.plan, offer.stay, now)
        return Room(
            id=self._numeric_id("room", 11),
            confirmation=self._numeric_id("confirmation", 10),
            bed_group=sealed.bed_group,
            rate=offer.hotel.rate_id(offer.room, offer.plan),
            checkin=offer.stay.checkin.isoformat(),
            checkout=offer.stay.checkout.isoformat(),
            nights=offer.stay.nights,
            adults=occupancy.adults,
            child_ages=list(occupancy.child_ages),
            given_name=cast(str, guest["given_name"]),
            family_name=cast(str, guest["family_name"]),
            special_request=cast("str | None", guest.get("special_request")),
            smoking=bool(guest.get("smoking", False)),
            cancelled=False,
            cancelling=False,
            refundable=is_refundable(penalties, now),
            cancel_penalties=penalties,
            pricing=offer.prices[number],
            total_minor=offer.totals_minor[number],
            refund_minor=0,
        )

    def _numeric_id(self, kind: str, digits: int) -> str:
        """So many digits, made from an id of the world: not even a reset brings one back."""
        while True:
            drawn = int.from_bytes(blake2b(self._world.new_id(f"{kind}_").encode(), digest_size=8).digest(), "big")
            number = str(10 ** (digits - 1) + drawn % (9 * 10 ** (digits - 1)))
            if self._world.get(VENDOR, kind, number) is None:
                return number

    # ---------------------------------------------------------------------------------------------- take effect

    def _take_effect(self, itinerary: Itinerary) -> None:
        itinerary["pending_until"] = None
        if itinerary["hold"]:
            itinerary["held_until"] = self._world.now().timestamp() + Settings.of(self._world).hold_s
            itinerary["state"] = "held"
            self._expire_at(itinerary["held_until"], itinerary)
        else:
            itinerary["state"] = "confirmed"
        self._save(itinerary)
        self._effect("hotel.held" if itinerary["hold"] else "hotel.booked", itinerary, total_minor(itinerary))

    def _take_effect_later(self, itinerary: Itinerary) -> None:
        def finish() -> None:
            if itinerary["state"] != "accepting":
                return
            if itinerary["pending_fails"]:
                itinerary["pending_until"] = None
                itinerary["state"] = "failed"
                self._save(itinerary)
            else:
                self._take_effect(itinerary)

        self._later((itinerary["pending_until"] or 0) - self._world.now().timestamp(), finish)

    def _expire_at(self, due: float, itinerary: Itinerary) -> None:
        def expire() -> None:
            if itinerary["state"] == "held":
                itinerary["state"] = "expired"
                self._save(itinerary)
                self._effect("hotel.hold_expired", itinerary, total_minor(itinerary))

        self._later(due - self._world.now().timestamp(), expire)

    # ------------------------------------------------------------------------------------------- after creation

    def resume(self, token: str, fault: Fault | None) -> int:
        """PUT /itineraries/{id}: the held booking is wanted; 204, or 202."""
        itinerary = self._by_token("resume", token)
        if itinerary["state"] in ("cancelled", "expired", "failed", "accepting"):
            raise itinerary_not_found()
        if itinerary["state"] == "confirmed":
            raise link_invalid()
        if itinerary["resuming"]:
            return ACCEPTED
        if fault is None or fault.action != "accept_later":
            self._confirm(itinerary)
            return DONE
        itinerary["resuming"] = True
        self._save(itinerary)

        def finish() -> None:
            itinerary["resuming"] = False
            self._save(itinerary)
            if itinerary["state"] == "held" and not fault.fail:
                self._confirm(itinerary)

        self._later(fault.delay_s, finish)
        return ACCEPTED

    def drop(self, token: str, fault: Fault | None) -> int:
        """DELETE /itineraries/{id}: the held booking is not wanted; 204, or 202."""
        itinerary = self._by_token("drop", token)
        if itinerary["state"] in ("cancelled", "expired", "failed"):
            raise _already_cancelled()
        if itinerary["state"] != "held":
            raise link_invalid()
        if fault is None or fault.action != "accept_later":
            self._release(itinerary)
            return DONE
        if not fault.fail:
            self._later(fault.delay_s, lambda: self._release(itinerary))
        return ACCEPTED

    def cancel_room(self, token: str, fault: Fault | None) -> int:
        """DELETE /itineraries/{id}/rooms/{room}: a booked room is cancelled at the price of its penalties."""
        itinerary_id, room_id = self._tokens.open("cancel", token)
        itinerary = self._itinerary(str(itinerary_id))
        room = next(room for room in itinerary["rooms"] if room["id"] == room_id)
        if room["cancelled"]:
            raise _already_cancelled()
        if room["cancelling"]:
            return ACCEPTED
        if fault is None or fault.action != "accept_later":
            self._cancel(itinerary, room)
            return DONE
        room["cancelling"] = True
        self._save(itinerary)

        def finish() -> None:
            room["cancelling"] = False
            self._save(itinerary)
            if not fault.fail:
                self._cancel(itinerary, room)

        self._later(fault.delay_s, finish)
        return ACCEPTED

    def _confirm(self, itinerary: Itinerary) -> None:
        itinerary["state"] = "confirmed"
        self._save(itinerary)
        self._effect("hotel.booked", itinerary, total_minor(itinerary))

    def _release(self, itinerary: Itinerary) -> None:
        if itinerary["state"] == "held":
            itinerary["state"] = "cancelled"
            self._save(itinerary)
            self._effect("hotel.cancelled", itinerary, 0, {"hold_dropped": True})

    def _cancel(self, itinerary: Itinerary, room: Room) -> None:
        penalty = penalty_minor(room["cancel_penalties"], room["total_minor"], room["nights"], self._world.now())
        room["cancelled"] = True
        room["refund_minor"] = room["total_minor"] - penalty
        if all(each["cancelled"] for each in itinerary["rooms"]):
            itinerary["state"] = "cancelled"
        self._save(itinerary)
        details: JsonObject = {"room": room["id"], "penalty_minor": penalty}
        self._effect("hotel.cancelled", itinerary, room["refund_minor"], details)

    # ------------------------------------------------------------------------------------------------- retrieve

    def by_reference(self, reference: str, email: str) -> list[JsonObject]:
        """GET /itineraries: none, also while the itinerary lags behind its creation."""
        place = self._world.get(VENDOR, "reference", reference)
        if place is None:
            return []
        itinerary = self._itinerary(str(place["itinerary_id"]))
        if itinerary["email"].lower() != email.lower() or self._is_hidden(itinerary):
            return []
        return [self._shown(itinerary)]

    def by_id(self, itinerary_id: str, token: str | None, email: str | None) -> JsonObject:
        """GET /itineraries/{id} with the token of a link, or with the booking's email."""
        itinerary = self._by_token("retrieve", token) if token else self._itinerary(itinerary_id)
        by_stranger = not token and itinerary["email"].lower() != (email or "").lower()
        if by_stranger or self._is_hidden(itinerary):
            raise itinerary_not_found()
        return self._shown(itinerary)

    def _is_hidden(self, itinerary: Itinerary) -> bool:
        return self._age_s(itinerary) < Settings.of(self._world).retrieval_lag_s

    def _shown(self, itinerary: Itinerary) -> JsonObject:
        settings = Settings.of(self._world)
        if self._age_s(itinerary) < settings.retrieval_lag_s + settings.partial_retrieval_s:
            return partial_document(itinerary)
        return itinerary_document(itinerary, self._tokens)

    def _age_s(self, itinerary: Itinerary) -> float:
        return self._world.now().timestamp() - itinerary["created"]

    # ---------------------------------------------------------------------------------------------------- small

    def resume_timers(self) -> None:
        """Ask again for the timers that a restart of the process lost. A resume or cancellation that was under way
        then is not done: that is what 202 leaves open."""
        for document in self._world.all(VENDOR, "itinerary"):
            itinerary = cast(Itinerary, cast(object, document))
            itinerary["resuming"] = False
            for room in itinerary["rooms"]:
                room["cancelling"] = False
            self._save(itinerary)
            if itinerary["state"] == "accepting":
                self._take_effect_later(itinerary)
            elif itinerary["state"] == "held":
                self._expire_at(itinerary["held_until"] or 0, itinerary)

    def _later(self, delay_s: float, do: Callable[[], None]) -> None:
        async def run() -> None:
            do()

        self._world.later(max(0.0, delay_s), run)

    def _by_token(self, purpose: str, token: str) -> Itinerary:
        return self._itinerary(str(self._tokens.open(purpose, token)[0]))

    def _itinerary(self, itinerary_id: str) -> Itinerary:
        found = self._world.get(VENDOR, "itinerary", itinerary_id)
        if found is None:
            raise itinerary_not_found()
        return cast(Itinerary, cast(object, found))

    def _save(self, itinerary: Itinerary) -> None:
        self._world.put(VENDOR, "itinerary", itinerary["id"], cast(JsonObject, cast(object, itinerary)))

    def _effect(self, effect: str, itinerary: Itinerary, amount: int, details: JsonObject | None = None) -> None:
        self._world.effect(
            VENDOR,
            effect,
            object_id=itinerary["id"],
            metadata={"reference": itinerary["reference"]},
            amount_minor=amount,
            currency=itinerary["currency"],
            details=details,
        )


def _already_cancelled() -> RapidError:
    return RapidError(400, "room_already_cancelled", "Room is already cancelled.")
