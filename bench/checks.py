"""Whether what was measured was also right: every booking confirmed, in our books and, one for one, in the vendors'."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, cast

import orjson
from sqlalchemy import func, select

from bench.house import House
from bench.load import BenchFailed, Ended
from schema.bookings import BookingResult, booking_of_workflow
from schema.states import BookingState, ItemState
from schema.tables import booking_items, bookings

EFFECTS_OF_A_BOOKING: Final = {
    "flight.held": 1,
    "flight.ticketed": 1,
    "hotel.held": 1,
    "hotel.booked": 1,
    "car.booked": 1,
    "payment.authorised": 1,
    "payment.captured": 1,
}
_ITEMS: Final = 3
_OF_BOOKINGS: Final = ("flight.", "hotel.", "car.", "payment.")
"""The rest is what travellers are told, which no booking waits for."""


class Books:
    """The vendors' ledgers from here on."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._seen = 0
        self.bookings = 0
        """Checked so far."""

    async def open(self) -> None:
        """Skips what is in the ledgers already."""
        await self._new_effects()

    async def check(self, ended: list[Ended]) -> None:
        """Raises BenchFailed unless each ended as CONFIRMED and the vendors' new effects are theirs and no others."""
        results: dict[str, BookingResult] = {}
        for one in ended:
            if one.result is None:
                raise BenchFailed(f"{one.workflow_id} has no result")
            results[booking_of_workflow(one.workflow_id)] = one.result
        await self.check_results(results)

    async def check_results(
        self, results: Mapping[str, BookingResult], besides: Mapping[str, int] | None = None
    ) -> None:
        """The same by booking id; `besides` are effects that were made to happen on purpose."""
        count = len(results)
        wrong = [result for result in results.values() if result.state != BookingState.CONFIRMED]
        if wrong:
            raise BenchFailed(f"{len(wrong)} of {count} bookings were not confirmed, such as: {wrong[0]}")
        effects = await self._new_effects()
        found = Counter(kind for effect in effects if (kind := str(effect["type"])).startswith(_OF_BOOKINGS))
        expected = Counter({name: times * count for name, times in EFFECTS_OF_A_BOOKING.items()}) + Counter(
            besides or {}
        )
        if found != expected:
            raise BenchFailed(f"the vendors' books do not agree: {dict(found)} instead of {dict(expected)}")
        taken = sum(cast(int, effect["amount_minor"]) for effect in effects if effect["type"] == "payment.captured")
        captured = sum(result.captured.amount_minor for result in results.values() if result.captured)
        if taken != captured:
            raise BenchFailed(f"the provider took {taken}, the sagas say {captured}")
        await self._check_ours(list(results))
        self.bookings += count

    async def _check_ours(self, booking_ids: list[str]) -> None:
        async with self._house.database.read() as connection:
            confirmed = await connection.scalar(
                select(func.count()).where(bookings.c.id.in_(booking_ids), bookings.c.state == BookingState.CONFIRMED)
            )
            items = await connection.scalar(
                select(func.count()).where(
                    booking_items.c.booking_id.in_(booking_ids), booking_items.c.state == ItemState.CONFIRMED
                )
            )
        count = len(booking_ids)
        if (confirmed, items) != (count, count * _ITEMS):
            raise BenchFailed(f"of {count} bookings our books show {confirmed} with {items} items as confirmed")

    async def _new_effects(self) -> list[dict[str, object]]:
        answer = await self._house.sandbox.get("/_sandbox/ledger", params={"after": self._seen})
        effects = cast("list[dict[str, object]]", orjson.loads(answer.raise_for_status().content))
        if effects:
            self._seen = cast(int, effects[-1]["seq"])
        return effects


def check_floor(ended: list[Ended]) -> None:
    """Raises BenchFailed unless every empty saga ended as its last step says."""
    for one in ended:
        if one.result is None or one.result.state != BookingState.CONFIRMED:
            raise BenchFailed(f"{one.workflow_id} ended with {one.result}")
