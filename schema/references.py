"""Ids and keys: how they are made, and what each must and must not merge."""

import hashlib
import re
from typing import Annotated

from pydantic import AfterValidator
from ulid import ULID

BOOKING_ID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
MAX_ITEMS = 9
MAX_GENERATION = len(_BASE36) - 1


def booking_id_for(client_id: str, idempotency_key: str) -> str:
    """26 characters shaped like a ULID, derived from (principal, Idempotency-Key).

    Must merge: every repeat of a request under one key, also after every cache is gone. Must not merge: the same key of two
    clients, hence the length prefix, which keeps ("ab", "c") and ("a", "bc") apart.
    """
    digest = hashlib.sha256(f"{len(client_id)}:{client_id}:{idempotency_key}".encode()).digest()
    return str(ULID.from_bytes(digest[:16]))


def checked_booking_id(value: str) -> str:
    """The id itself; raises ValueError if it cannot be one of ours."""
    if not BOOKING_ID.fullmatch(value):
        raise ValueError("a booking id has 26 characters of Crockford's base 32")
    return value


BookingId = Annotated[str, AfterValidator(checked_booking_id)]


def new_id(prefix: str) -> str:
    """A fresh, time-ordered id such as `off_01J...`; not for anything that must be the same on a retry."""
    return f"{prefix}_{ULID()}"


def item_reference(booking_id: str, item_no: int, generation: int) -> str:
    """Our reference on a supplier's order: 28 characters, the most Expedia Rapid accepts (affiliate_reference_id, 3 to 28).

    Must merge: every attempt, retry and look-up of one item of one booking. Must not merge: a deliberate second try of the item
    (a new generation), nor two items of one trip.
    """
    if not 1 <= item_no <= MAX_ITEMS or not 0 <= generation <= MAX_GENERATION:
        raise ValueError(f"item {item_no}, generation {generation} do not fit into a reference")
    return f"{booking_id}{item_no}{_BASE36[generation]}"


def booking_of_reference(reference: str) -> str:
    """The inverse of `item_reference`, as far as the booking; raises ValueError for a reference that is not ours."""
    return checked_booking_id(reference[:26])


def step_key(booking_id: str, step: str, generation: int) -> str:
    """Idempotency key of one effect: `{booking}:{step}:{generation}`.

    Must merge: every attempt to make this one effect. Must not merge: two steps, or a new generation, which is a decision and
    is only taken in workflows/. Never made from run ids, clocks or random values: a reset or a second run repeats it.
    """
    return f"{booking_id}:{step}:{generation}"


def payment_id_for(booking_id: str, generation: int) -> str:
    """Id of one payment of a booking; a second generation is a second authorisation after the first was let go."""
    return f"pay_{booking_id}{_BASE36[generation]}"


def booking_of_payment(payment_id: str) -> str:
    """The inverse of `payment_id_for`; raises ValueError for an id that is not ours."""
    return checked_booking_id(payment_id.removeprefix("pay_")[:26])
