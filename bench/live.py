"""Memory with many bookings alive: all wait durably for their card holder, are weighed, and then go on to their end."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import func, select

from bench.checks import Books
from bench.house import House
from bench.load import BenchFailed, Saga
from schema.states import BookingState
from schema.tables import bookings

_POSTED_AT_ONCE: Final = 20
_PATIENCE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident, while `live` bookings were under way in one worker."""

    live: int
    worker_mb: float
    api_mb: float


async def weigh(house: House, saga: Saga, books: Books, live: int) -> Memory:
    """Every card asks for 3-D Secure, so each of `live` bookings waits in the worker's cache while memory is read."""
    rule = {
        "vendor": "stripe",
        "method": "POST",
        "path": "/payment_intents$",
        "action": "three_d_secure",
        "times": live,
    }
    (await house.sandbox.post("/_sandbox/faults", json=rule)).raise_for_status()
    limit = asyncio.Semaphore(_POSTED_AT_ONCE)

    async def post() -> str:
        async with limit:
            return (await saga.post())[0]

    booking_ids = await asyncio.gather(*(post() for _ in range(live)))
    await _all_wait(house, booking_ids)
    memory = Memory(live, house.resident_mb("worker"), house.resident_mb("api"))
    await _finish_authentication(house, set(booking_ids))
    results = await asyncio.gather(*(saga.follow(booking_id) for booking_id in booking_ids))
    (await house.sandbox.delete("/_sandbox/faults")).raise_for_status()
    await books.check_results(dict(zip(booking_ids, results, strict=True)), besides={"payment.action_required": live})
    return memory


async def _all_wait(house: House, booking_ids: list[str]) -> None:
    until = time.monotonic() + _PATIENCE_S
    query = select(func.count()).where(
        bookings.c.id.in_(booking_ids),
        bookings.c.state == BookingState.AWAITING_PAYMENT,
        bookings.c.waiting_for.is_not(None),
    )
    while True:
        async with house.database.read() as connection:
            waiting = await connection.scalar(query)
        if waiting == len(booking_ids):
            return
        if time.monotonic() > until:
            raise BenchFailed(f"only {waiting} of {len(booking_ids)} bookings wait for their card holder")
        await asyncio.sleep(0.2)


async def _finish_authentication(house: House, booking_ids: set[str]) -> None:
    """Every customer says yes."""
    books = (await house.sandbox.get("/_sandbox/books")).raise_for_status().json()
    for payment in cast("list[dict[str, object]]", books["payments"]):
        metadata = cast("dict[str, str]", payment["metadata"])
        if metadata.get("booking_id") in booking_ids:
            path = f"/_sandbox/stripe/payment_intents/{payment['object_id']}/authenticate"
            (await house.sandbox.post(path, json={"succeed": True})).raise_for_status()
