"""Plays the six scenarios: the traveller, who books over HTTP, and whoever breaks things on the way.

The one whose worker is killed begins; while its saga recovers, the others run side by side.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import httpx

from sandbox.demo_client import BookingSeen, DemoError, Effect, Lines, OfferSeen, until
from sandbox.demo_scenarios import TRAVELLER, Ending, KilledAt, Run, Scenario
from sandbox.stack import Stack
from sandbox.supervisor import StackError
from schema.money import total
from schema.offers import Kind
from schema.states import SETTLED_STATES, BookingState

_LEAVES_IN_DAYS: Final = (30, 37, 44, 51)
"""Tried in turn, should nothing that can be held be on sale on a day."""
_STAYS: Final = timedelta(days=4)
_SETTLED_WITHIN_S: Final = 60
_STEP_WITHIN_S: Final = 30
_WORKER: Final = "worker"
_SOLD_BY: Final[dict[Kind, str]] = {"flight": "duffel", "hotel": "expedia_rapid", "car": "duffel_cars"}
"""Whom the scenarios buy from, because it is their calls that the scenarios' rules break."""
_STUCK: Final = frozenset({BookingState.NEEDS_OPERATOR})
"""Nobody resolves cases here, so there is no use in waiting on."""


@dataclass(frozen=True)
class Stage:
    """Where the scenarios are played."""

    stack: Stack
    lines: Lines
    worker_is_back: asyncio.Event

    async def play(self, runs: Sequence[Run]) -> None:
        """All of them to their ends; one that cannot go on says why in its `problem` and leaves the others alone."""
        async with asyncio.TaskGroup() as group:
            for run in runs:
                group.create_task(self._play(run))

    async def _play(self, run: Run) -> None:
        try:
            await self._perform(run)
        except (DemoError, StackError) as error:
            run.problem = str(error)
        except (httpx.HTTPError, ValueError) as error:
            run.problem = f"{type(error).__name__}: {error}; {self.stack.state.logs} may tell why"
        finally:
            run.ended_s = time.monotonic() if run.started_s is not None else None
            run.doing = run.problem or "done"
            if run.scenario.name == "worker-killed":
                self.worker_is_back.set()  # or never will be: the others find out by themselves

    async def _perform(self, run: Run) -> None:
        scenario = run.scenario
        run.doing = "searching"
        offers = await self._find(scenario)
        if scenario.name != "worker-killed":
            run.doing = "waiting until the worker of (d) is back"
            await self.worker_is_back.wait()
        if scenario.fault is not None:
            run.fault_id = (await self.lines.vendors.plan({**scenario.fault, "contains": scenario.key})).id
            run.did(scenario.in_words)
        booking = await self._book(run, offers)
        if scenario.name == "worker-killed":
            await self._kill_worker(run, booking.booking_id)
            self.worker_is_back.set()
        elif scenario.name == "price-rise":
            await self._accept_price(run, booking.booking_id)
        run.doing = "waiting until it is settled"
        await self._follow(run, booking.booking_id, SETTLED_STATES, _SETTLED_WITHIN_S)

    # ------------------------------------------------------------------ the traveller

    async def _find(self, scenario: Scenario) -> list[OfferSeen]:
        """The cheapest of each kind, of those that can be held where the kind can: so every saga has the same steps."""
        for days in _LEAVES_IN_DAYS:
            leave_on: date = datetime.now(UTC).date() + timedelta(days=days)
            found = await self.lines.traveller.search(
                scenario.origin, scenario.destination, leave_on, leave_on + _STAYS
            )
            chosen = [_cheapest(found, "flight"), _cheapest(found, "hotel"), _cheapest(found, "car")]
            if scenario.substitution != "never":
                chosen[0] = _for_no_more_elsewhere(found, "flight")
            trip = [offer for offer in chosen if offer is not None]
            if len(trip) == len(chosen):
                return trip
        raise DemoError(f"no trip {scenario.origin}-{scenario.destination} with flight, hotel and car is on sale")

    async def _book(self, run: Run, offers: list[OfferSeen]) -> BookingSeen:
        scenario = run.scenario
        run.seen_total = total((offer.price for offer in offers), "EUR")
        body = {
            "items": [{"offer_id": offer.offer_id} for offer in offers],
            "travellers": [TRAVELLER],
            "payment": {"method": "card", "provider": "stripe", "payment_method_id": "pm_card_visa"},
            "expected_total": run.seen_total.model_dump(),
            "price_tolerance_percent": scenario.tolerance_percent,
            "substitution": scenario.substitution,
        }
        run.started_s = time.monotonic()
        run.did(f"asks for {scenario.origin}-{scenario.destination}: flight, hotel and car for {run.seen_total}")
        booking = await self.lines.traveller.book(body, scenario.key)
        run.booking_id, run.state = booking.booking_id, booking.state
        return booking

    async def _follow(self, run: Run, booking_id: str, wanted: frozenset[BookingState], within_s: float) -> BookingSeen:
        """Until the booking is in one of these states; raises DemoError when it can only be another one."""

        async def look() -> BookingSeen | None:
            booking = await self.lines.traveller.booking(booking_id)
            run.state = booking.state
            if booking.state in wanted:
                return booking
            if booking.state in SETTLED_STATES | _STUCK:
                why = booking.waiting_for or booking.reason or "no reason given"
                raise DemoError(f"it became {booking.state} ({why}), not {names}; see {log}")
            return None

        log = self.stack.state.logs / "worker.log"
        names = "settled" if wanted == SETTLED_STATES else " or ".join(sorted(wanted))
        return await until(look, what=f"booking {booking_id} to become {names}", within_s=within_s, log=log)

    async def _accept_price(self, run: Run, booking_id: str) -> None:
        waiting = frozenset({BookingState.PRICE_CHANGED})
        run.waited_with = booking = await self._follow(run, booking_id, waiting, _STEP_WITHIN_S)
        run.did(f"is asked for {booking.total}, having agreed to {booking.consent_limit} at most; accepts")
        await self.lines.traveller.accept_price(booking_id, booking.total, f"{run.scenario.key}-accepts")

    # ------------------------------------------------------------------ whoever breaks things

    async def _kill_worker(self, run: Run, booking_id: str) -> None:
        """Once the first hold is in a supplier's ledger, while the second is still being asked for."""
        logs = self.stack.state.logs

        async def look() -> list[Effect] | None:
            ledger = await self.lines.vendors.ledger(booking_id)
            return ledger if any(effect.type.endswith(".held") for effect in ledger) else None

        run.doing = "waiting for the first hold"
        log = logs / "worker.log"
        await until(look, what="the first hold in a supplier's ledger", within_s=_STEP_WITHIN_S, log=log)
        self.stack.kill(_WORKER)
        run.did("kills the worker with SIGKILL")
        booking = await self.lines.traveller.booking(booking_id)
        run.state = booking.state
        ledger = await self.lines.vendors.ledger(booking_id)
        await self.stack.wait_restarted(_WORKER, timeout_s=_STEP_WITHIN_S)
        effects = tuple(effect.type for effect in ledger)
        run.killed_at = KilledAt(booking.state, effects, self.stack.starts(_WORKER))
        run.did("sees the worker come back")

    # ------------------------------------------------------------------ what is there afterwards

    async def ending(self, run: Run) -> Ending | None:
        """Our answers and the vendors' books; None for a trip that was never booked."""
        if run.booking_id is None:
            return None
        traveller, vendors = self.lines.traveller, self.lines.vendors
        booking = await traveller.booking(run.booking_id)
        run.state = booking.state
        return Ending(
            booking=booking,
            payments=[await traveller.payment(payment.payment_id) for payment in booking.payments],
            events=await traveller.events(run.booking_id),
            books=await vendors.books(run.booking_id),
            ledger=await vendors.ledger(run.booking_id),
            cases=[case for case in await self.lines.operator.cases() if case.booking_id == run.booking_id],
            fault=next((rule for rule in await vendors.planned() if rule.id == run.fault_id), None),
        )


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
