"""Where the scenarios are played: the running stack, the lines to it, and following a booking to a state."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from sandbox.demo_answers import BookingSeen
from sandbox.demo_client import DemoError, Lines, until
from sandbox.demo_run import Run
from sandbox.stack import Stack
from schema.states import SETTLED_STATES, BookingState

STEP_WITHIN_S: Final = 30
_STUCK: Final = frozenset({BookingState.NEEDS_OPERATOR})
"""Unless a scenario waits for just this, nobody resolves its case, so there is no use in waiting on."""


@dataclass(frozen=True)
class Stage:
    """What every act needs."""

    stack: Stack
    lines: Lines
    worker_is_back: asyncio.Event

    async def follow(
        self,
        run: Run,
        booking_id: str,
        wanted: frozenset[BookingState],
        within_s: float = STEP_WITHIN_S,
        passing: frozenset[BookingState] = frozenset(),
    ) -> BookingSeen:
        """Until the booking is in one of these states; raises DemoError when it can only be another one.

        `passing`: states in which a booking could stay, but this one is known to be on its way out of.
        """
        log = self.stack.state.logs / "worker.log"
        names = "settled" if wanted == SETTLED_STATES else " or ".join(sorted(wanted))

        async def look() -> BookingSeen | None:
            booking = await self.lines.traveller.booking(booking_id)
            run.state = booking.state
            if booking.state in wanted:
                return booking
            if booking.state in (SETTLED_STATES | _STUCK) - passing:
                why = booking.waiting_for or booking.reason or "no reason given"
                raise DemoError(f"it became {booking.state} ({why}), not {names}; see {log}")
            return None

        return await until(look, what=f"booking {booking_id} to become {names}", within_s=within_s, log=log)
