"""What befalls a confirmed trip: its airline delays or cancels the flight, and the traveller is told, and chooses."""

from __future__ import annotations

from typing import Final

from sandbox.demo_client import DemoError, until
from sandbox.demo_run import Run
from sandbox.demo_stage import Stage
from sandbox.demo_told import DELAY_MINUTES, TOLD_BY, TOLD_OF_CANCELLATION, TOLD_OF_DELAY
from sandbox.demo_trip_answers import DisruptionSeen, SegmentSeen
from schema.disruptions import DisruptionKind
from schema.itineraries import itinerary_id_for
from schema.notifications import NotificationKind
from schema.states import CONFIRMED_STATES, BookingState

_DEVICE: Final = "device-of-the-demos-traveller"
_KNOWN_WITHIN_S: Final = 60
"""By the next look at the flight, all others' looks between, and after a search at every supplier."""


async def delay_flight(stage: Stage, run: Run, booking_id: str) -> None:
    """The airline says so where anybody can ask; nobody tells us, so it is found by asking."""
    flight = await _flight_there(stage, run, booking_id)
    run.did(f"as airline says that {flight.designator} leaves {DELAY_MINUTES} minutes late")
    await stage.lines.vendors.airline_says(flight, {"delay_minutes": DELAY_MINUTES})
    await _disrupted(stage, run, booking_id, "flight_delayed")
    await _told(stage, run, booking_id, TOLD_OF_DELAY)


async def cancel_flight(stage: Stage, run: Run, booking_id: str) -> None:
    """The airline cancels; the traveller takes the first of the flights that are offered, and gets the money for the old one back."""
    flight = await _flight_there(stage, run, booking_id)
    run.did(f"as airline cancels {flight.designator}; Duffel, who sold it, pushes the news")
    await stage.lines.vendors.airline_says(flight, {"cancelled": True, "push": True})
    run.offered = offered = await _disrupted(stage, run, booking_id, "flight_cancelled")
    if not offered.alternatives:
        raise DemoError(f"{flight.designator} is cancelled, and nothing is offered in its place: {offered.state}")
    first = offered.alternatives[0]
    flights = "+".join(one.carrier + one.number for one in first.segments)
    run.did(
        f"is offered {len(offered.alternatives)} other ways; takes the first, {flights}, for {first.difference} in all"
    )
    await stage.lines.traveller.choose(offered.disruption_id, first, f"{run.scenario.key}-chooses")
    run.rebooking_id = (await _over(stage, run, booking_id, offered)).rebooking_id
    run.did("has the new flight")
    ends = frozenset({run.scenario.ends})
    await stage.follow(run, booking_id, ends, _KNOWN_WITHIN_S, passing=frozenset({BookingState.CONFIRMED}))
    await _told(stage, run, booking_id, TOLD_OF_CANCELLATION)


async def _flight_there(stage: Stage, run: Run, booking_id: str) -> SegmentSeen:
    """The one that arrives where the trip goes: whatever becomes of it, no connection of the same journey is missed."""
    traveller = stage.lines.traveller
    await traveller.add_device(_DEVICE, f"{run.scenario.key}-device")
    await stage.follow(run, booking_id, CONFIRMED_STATES, _KNOWN_WITHIN_S)
    itinerary = await traveller.itinerary(itinerary_id_for(booking_id))
    run.did(f"has the trip; its page: {itinerary.trip_page}")
    there = [one for one in itinerary.segments if one.details.destination == run.scenario.route[1]]
    if not there:
        raise DemoError(f"no flight of {itinerary.itinerary_id} goes to {run.scenario.route[1]}")
    return there[0]


async def _disrupted(stage: Stage, run: Run, booking_id: str, kind: DisruptionKind) -> DisruptionSeen:
    """Until it is known what this means for the trip: something is offered, or there is nothing to choose."""

    async def look() -> DisruptionSeen | None:
        found = await stage.lines.traveller.disruptions(itinerary_id_for(booking_id))
        return next((one for one in found if one.kind == kind and one.state != "open"), None)

    run.doing = "waiting until TravelHub knows, and says what it means"
    log = stage.stack.state.logs / "worker.log"
    return await until(look, what=f"a disruption {kind}", within_s=_KNOWN_WITHIN_S, log=log)


async def _over(stage: Stage, run: Run, booking_id: str, offered: DisruptionSeen) -> DisruptionSeen:
    """Until the chosen flight is confirmed. Raises DemoError if it cannot be had."""

    async def look() -> DisruptionSeen | None:
        found = await stage.lines.traveller.disruptions(itinerary_id_for(booking_id))
        return next((one for one in found if one.disruption_id == offered.disruption_id and one.closed_at), None)

    run.doing = "waiting for the new flight"
    log = stage.stack.state.logs / "worker.log"
    over = await until(look, what="the new flight to be booked", within_s=_KNOWN_WITHIN_S, log=log)
    if over.state != "rebooked":
        raise DemoError(f"the chosen flight was not booked: {over.state}; see {log}")
    return over


async def _told(stage: Stage, run: Run, booking_id: str, kinds: tuple[NotificationKind, ...]) -> None:
    """Until every message is as far as its vendor can say."""
    wanted = {(kind, channel, state) for kind in kinds for channel, state in TOLD_BY.items()}

    async def look() -> bool | None:
        seen = await stage.lines.traveller.notifications(itinerary_id_for(booking_id))
        return True if wanted <= {(one.kind, one.channel, one.state) for one in seen} else None

    run.doing = "waiting until the messages have arrived"
    log = stage.stack.state.logs / "worker.log"
    await until(look, what=f"{', '.join(kinds)} to be told", within_s=_KNOWN_WITHIN_S, log=log)
    run.did("has an e-mail, an SMS and a push message of each of: " + ", ".join(kinds).replace("_", " "))
