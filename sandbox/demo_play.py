"""Plays the scenarios: each searches and books over HTTP, has its act, and is followed to its end.

The one whose worker is killed begins; while its saga recovers, the others run side by side.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

import httpx

from sandbox.demo_acts import ACTS
from sandbox.demo_answers import BookingSeen, OfferSeen
from sandbox.demo_client import DemoError
from sandbox.demo_run import Booked, Ending, Run
from sandbox.demo_scenarios import TRAVELLER, Scenario
from sandbox.demo_stage import Stage
from sandbox.demo_trip_answers import TripSeen
from sandbox.supervisor import StackError
from schema.itineraries import itinerary_id_for
from schema.money import total
from schema.offers import Kind
from schema.states import SETTLED_STATES

_LEAVES_IN_DAYS: Final = (30, 37, 44, 51)
"""Tried in turn, should nothing that can be held be on sale on a day."""
_STAYS: Final = timedelta(days=4)
_SETTLED_WITHIN_S: Final = 60
_SEARCHES_AT_ONCE: Final = 2
"""All of them at once would, on a small or busy machine, each take longer than a supplier is waited for."""
_SOLD_BY: Final[dict[Kind, str]] = {"flight": "duffel", "hotel": "expedia_rapid", "car": "duffel_cars"}
"""Whom the scenarios buy from, because it is their calls that the scenarios' rules break."""


@dataclass(frozen=True)
class Player:
    """Plays the runs on a stage, and looks at what came of them."""

    stage: Stage
    searching: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SEARCHES_AT_ONCE))

    async def play(self, runs: Sequence[Run]) -> None:
        """All of them to their ends; one that cannot go on says why in its `problem` and leaves the others alone."""
        async with asyncio.TaskGroup() as group:
            for run in sorted(runs, key=_kills_worker, reverse=True):
                group.create_task(self._play(run))

    async def _play(self, run: Run) -> None:
        try:
            await self._perform(run)
        except (DemoError, StackError) as error:
            run.problem = str(error)
        except (httpx.HTTPError, ValueError) as error:
            run.problem = f"{type(error).__name__}: {error}; {self.stage.stack.state.logs} may tell why"
        finally:
            run.ended_s = time.monotonic() if run.started_s is not None else None
            run.doing = run.problem or "done"
            if _kills_worker(run):
                self.stage.worker_is_back.set()  # or never will be: the others find out by themselves

    async def _perform(self, run: Run) -> None:
        scenario, stage = run.scenario, self.stage
        async with self.searching:
            run.doing = "searching"
            offers = await self._find(scenario)
        if not _kills_worker(run):
            run.doing = "waiting until the worker of (d) is back"
            await stage.worker_is_back.wait()
        if scenario.fault is not None:
            run.fault_id = (await stage.lines.vendors.plan({**scenario.fault, "contains": scenario.key})).id
            run.did(scenario.in_words)
        booking = await self._book(run, offers)
        await ACTS[scenario.act](stage, run, booking.booking_id)
        run.doing = "waiting until it is settled"
        await stage.follow(run, booking.booking_id, SETTLED_STATES, _SETTLED_WITHIN_S)

    async def _find(self, scenario: Scenario) -> list[OfferSeen]:
        """The cheapest of each kind, of those that can be held where the kind can: so every saga has the same steps."""
        origin, destination = scenario.route
        for days in _LEAVES_IN_DAYS:
            leave_on: date = datetime.now(UTC).date() + timedelta(days=days)
            found = await self.stage.lines.traveller.search(origin, destination, leave_on, leave_on + _STAYS)
            chosen = [_cheapest(found, "flight"), _cheapest(found, "hotel"), _cheapest(found, "car")]
            if scenario.substitution != "never":
                chosen[0] = _for_no_more_elsewhere(found, "flight")
            trip = [offer for offer in chosen if offer is not None]
            if len(trip) == len(chosen):
                return trip
        raise DemoError(f"no trip {origin}-{destination} with flight, hotel and car is on sale")

    async def _book(self, run: Run, offers: list[OfferSeen]) -> BookingSeen:
        scenario = run.scenario
        run.seen_total = total((offer.price for offer in offers), "EUR")
        body = {
            "items": [{"offer_id": offer.offer_id} for offer in offers],
            "travellers": [TRAVELLER],
            "payment": scenario.payment,
            "expected_total": run.seen_total.model_dump(),
            "price_tolerance_percent": scenario.tolerance_percent,
            "substitution": scenario.substitution,
        }
        run.started_s = time.monotonic()
        run.did(f"asks for {'-'.join(scenario.route)}: flight, hotel and car for {run.seen_total}")
        booking = await self.stage.lines.traveller.book(body, scenario.key)
        run.booking_id, run.state = booking.booking_id, booking.state
        return booking

    async def ending(self, run: Run) -> Ending | None:
        """Our answers and the vendors' books; None for a trip that was never booked."""
        if run.booking_id is None:
            return None
        traveller, vendors = self.stage.lines.traveller, self.stage.lines.vendors
        booked = await self._booked(run.booking_id)
        run.state = booked.booking.state
        return Ending(
            **{name: getattr(booked, name) for name in Booked.__dataclass_fields__},
            cases=[case for case in await self.stage.lines.operator.cases() if case.booking_id == run.booking_id],
            fault=run.mended or next((rule for rule in await vendors.planned() if rule.id == run.fault_id), None),
            statement=await traveller.statement(run.booking_id),
            trip=await self._trip(itinerary_id_for(run.booking_id)) if run.scenario.goes_on else None,
            rebooking=await self._booked(run.rebooking_id) if run.rebooking_id is not None else None,
        )

    async def _booked(self, booking_id: str) -> Booked:
        traveller, vendors = self.stage.lines.traveller, self.stage.lines.vendors
        booking = await traveller.booking(booking_id)
        return Booked(
            booking=booking,
            payments=[await traveller.payment(payment.payment_id) for payment in booking.payments],
            events=await traveller.events(booking_id),
            books=await vendors.books(booking_id),
            ledger=await vendors.ledger(booking_id),
        )

    async def _trip(self, itinerary_id: str) -> TripSeen:
        traveller = self.stage.lines.traveller
        told = await traveller.notifications(itinerary_id)
        return TripSeen(
            itinerary=await traveller.itinerary(itinerary_id),
            disruptions=await traveller.disruptions(itinerary_id),
            notifications=told,
            notices=await self.stage.lines.vendors.notices({one.notification_id for one in told}),
        )


def _kills_worker(run: Run) -> bool:
    return run.scenario.act == "kills_worker"


def _cheapest(offers: Sequence[OfferSeen], kind: Kind) -> OfferSeen | None:
    """Of those that can be held; nobody can hold a car."""
    of_kind = [offer for offer in offers if offer.kind == kind and offer.supplier == _SOLD_BY[kind]]
    wanted = [offer for offer in of_kind if offer.holdable or kind == "car"]
    return min(wanted, key=lambda offer: offer.price.amount_minor, default=None)


def _for_no_more_elsewhere(offers: Sequence[OfferSeen], kind: Kind) -> OfferSeen | None:
    """What another supplier has for no more: the search lists such an offer with the other one's."""
    for offer in offers:
        for same in offer.also_from:
            if offer.kind == kind and same.supplier == _SOLD_BY[kind]:
                return offer.model_copy(
                    update={"offer_id": same.offer_id, "supplier": same.supplier, "price": same.price}
                )
    return None
