"""Bookings whose workflow is taken away at exactly one call to a vendor, which is never made."""

import asyncio
import contextlib
from typing import Any

from temporalio.service import RPCError

from schema.bookings import workflow_id_for
from schema.payments import cancellation_workflow_id_for, refund_workflow_id_for
from schema.references import payment_id_for
from schema.states import BookingState
from tests.reconciliation.planting import ended, take_away, until_state
from tests.saga.driver import People
from tests.saga.harness import House, Trip
from tests.saga.table import TRIPS
from tests.saga.vendors import CutVendors
from tests.saga.waiting import eventually


async def left_unpaid(house: House) -> str:
    """Everything is reserved, and nobody hears of its capture again."""
    return await _left_unpaid(house, "stripe", {"flight.ticketed", "hotel.booked", "car.booked"}, {})


async def left_flight(house: House) -> str:
    return await _left_unpaid(house, "stripe", {"flight.ticketed"}, {"kinds": ("flight",)})


async def left_hotel(house: House) -> str:
    return await _left_unpaid(house, "stripe", {"hotel.booked"}, {"kinds": ("hotel",)})


async def left_car(house: House) -> str:
    return await _left_unpaid(house, "stripe", {"car.booked"}, {"kinds": ("car",)})


async def left_unpaid_by_paypal(house: House) -> str:
    return await _left_unpaid(house, "paypal", {"flight.ticketed"}, TRIPS["paypal"])


async def _left_unpaid(house: House, provider: str, effects: set[str], options: dict[str, Any]) -> str:
    trip = await house.prepare(**options)
    assert isinstance(house.vendors, CutVendors)
    house.vendors.hang(trip.correlation_id, provider, "capture")
    await house.start(trip)

    async def reserved() -> bool:
        return effects <= {entry["type"] for entry in await house.ledger(trip.booking_id)}

    await eventually(reserved, 90)
    await until_hung(house.vendors, trip)
    await take_away(house, workflow_id_for(trip.booking_id))
    house.vendors.let_go(trip.correlation_id)
    return trip.booking_id


async def left_refunding(house: House) -> str:
    """Cancelled at its supplier, and nobody hears of its refund again."""
    return await _left_refunding(house, "stripe", {"kinds": ("flight",)})


async def left_refunding_by_paypal(house: House) -> str:
    return await _left_refunding(house, "paypal", TRIPS["paypal"])


async def _left_refunding(house: House, provider: str, options: dict[str, Any]) -> str:
    trip = await ended(house, **options)
    version = (await house.stored(trip.booking_id)).version
    assert isinstance(house.vendors, CutVendors)
    house.vendors.hang(trip.correlation_id, provider, "refund")
    cancelling = asyncio.ensure_future(People(house, trip).cancel_for_the_fee())
    await until_state(house, trip, BookingState.REFUND_PENDING, "refund")
    await until_hung(house.vendors, trip)
    await take_away(house, cancellation_workflow_id_for(trip.booking_id, version))
    # Temporal ends it with its parent, unless the parent's history is gone by then.
    refund = refund_workflow_id_for(payment_id_for(trip.booking_id, 0), f"cancellation-{version}")
    with contextlib.suppress(RPCError):
        await house.client.get_workflow_handle(refund).terminate("planted")
    house.vendors.let_go(trip.correlation_id)
    cancelling.cancel()
    return trip.booking_id


async def until_hung(vendors: CutVendors, trip: Trip) -> None:
    """Let go before it has come so far, the call would be made."""

    async def hung() -> bool:
        return vendors.hung(trip.correlation_id)

    await eventually(hung, 90)
