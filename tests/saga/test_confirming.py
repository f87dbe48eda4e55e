"""A held flight that is confirmed is our own order, whatever its supplier's answer says of the offer."""

from collections.abc import Callable
from typing import Any

import pytest

from schema.outcomes import Unknown
from schema.states import BookingState
from tests.saga.harness import House
from tests.saga.vendors import CutVendors

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


class UsedUp(CutVendors):
    """Confirms, and then says that somebody has used the offer up."""

    async def call(self, vendor: str, method: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        answer = await super().call(vendor, method, real, arguments)
        if (vendor, method) != ("duffel", "confirm"):
            return answer
        return Unknown(reason="already booked", used_up=True), answer[1]


async def test_a_confirmation_is_looked_up_and_never_refused_for_a_used_up_offer(house: House) -> None:
    async with house.worker(UsedUp(house.vendors)):
        trip = await house.prepare(kinds=("flight",))
        assert (await (await house.start(trip)).result()).state == BookingState.CONFIRMED
    effects = [line["type"] for line in await house.ledger(trip.booking_id)]
    assert sorted(effects) == ["flight.held", "flight.ticketed", "payment.authorised", "payment.captured"]
