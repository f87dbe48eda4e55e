"""The six trips of the demo: what is booked, what goes wrong on the way, and how it must end. Facts only, no doing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from sandbox.demo_client import BookingSeen, CaseSeen, Effect, EventSeen, FaultSeen, PaymentSeen, VendorBooks
from schema.bookings import NewSagaPolicy, Substitution
from schema.money import Money
from schema.states import BookingState

POLICY: Final = NewSagaPolicy(
    consent_timeout_s=120,
    payment_action_timeout_s=60,
    payment_poll_s=5,
    step_timeout_s=20,
    heartbeat_timeout_s=5,
    find_out_margin_s=5,
    undo_budget_s=40,
    refund_poll_s=2,
    refund_timeout_s=60,
)
"""Waits that suit an audience: what takes minutes or days in production takes seconds here."""

TRAVELLER: Final = {
    "title": "ms",
    "given_name": "Amelia",
    "family_name": "Earhart",
    "gender": "f",
    "date_of_birth": "1987-07-24",
    "email": "amelia@example.com",
    "phone_number": "+442080160509",
}


def environment() -> dict[str, str]:
    """The `TRAVELHUB_*` variables that make the demo's stack wait for less long."""
    saga = {f"TRAVELHUB_SAGA__{name.upper()}": str(value) for name, value in POLICY.model_dump().items()}
    # A try of a step outlives its call; the vendors' look-up lags, minutes in reality, shrink to seconds.
    return {
        **saga,
        "TRAVELHUB_VENDOR_TIMEOUT_S": "15",
        "TRAVELHUB_VENDOR_CLOCK_SCALE": "0.05",
        "TRAVELHUB_SEARCH__SUPPLIER_TIMEOUT_S": "2",
    }


@dataclass(frozen=True, slots=True)
class Scenario:
    """One trip."""

    letter: str
    name: str
    title: str
    origin: str
    destination: str
    ends: BookingState
    fault: dict[str, object] | None = None
    """A rule of the sandbox's fault plan, for the calls of this trip only."""
    in_words: str = ""
    """What that rule does."""
    tolerance_percent: int = 0
    """The rise of the price that the traveller agrees to beforehand."""
    substitution: Substitution = "never"
    """Whether the same may come from another supplier. Then a flight is chosen that another one has for no more."""

    @property
    def key(self) -> str:
        """Idempotency-Key and correlation id. No scenario's may be part of another's: rules are addressed by it."""
        return f"demo-{self.name}"


_HOLD_HOTEL: Final[dict[str, object]] = {"vendor": "expedia_rapid", "method": "POST", "path": "/itineraries"}
SCENARIOS: Final = (
    Scenario("a", "confirmed", "a trip is booked", "LHR", "LIS", BookingState.CONFIRMED),
    Scenario(
        "b",
        "sold-out",
        "the car is sold out at the last step: everything is undone",
        "DUB",
        "FCO",
        BookingState.FAILED,
        {"vendor": "duffel", "method": "POST", "path": "/cars/bookings$", "action": "sold_out"},
        "lets the last car be sold just before it is booked",
    ),
    Scenario(
        "c",
        "answer-lost",
        "the hotel books, its answer is lost: found by our reference",
        "CDG",
        "BCN",
        BookingState.CONFIRMED,
        {**_HOLD_HOTEL, "action": "drop_after"},
        "cuts the line when the hotel has booked and not yet answered",
    ),
    Scenario(
        "d",
        "worker-killed",
        "the worker is killed with SIGKILL half-way, and comes back",
        "AMS",
        "ATH",
        BookingState.CONFIRMED,
        # Slow enough that the flight is held and the hotel is not yet: there the worker dies.
        {**_HOLD_HOTEL, "action": "delay", "delay_s": 4},
        "makes the hotel take 4 s",
    ),
    Scenario(
        "e",
        "price-rise",
        "the flight gets dearer than agreed: the traveller is asked",
        "FRA",
        "MAD",
        BookingState.CONFIRMED,
        {"vendor": "duffel", "method": "GET", "path": "/air/offers/", "action": "price_changed", "percent": 18},
        "raises the price of the flight by 18 %",
        tolerance_percent=2,
    ),
    Scenario(
        "f",
        "failover",
        "the flight is sold out at one supplier: the same flight comes from another",
        "LHR",
        "BCN",
        BookingState.CONFIRMED,
        {"vendor": "duffel", "method": "POST", "path": "/air/orders$", "action": "sold_out"},
        "lets Duffel's last seat be sold just before it is held",
        substitution="same_or_cheaper",
    ),
)


@dataclass(slots=True)
class Happening:
    """Something the demo itself did or saw, for the timeline."""

    at: datetime
    what: str


@dataclass(slots=True)
class Run:
    """One scenario while it is played. The screen shows it, the report is made of it."""

    scenario: Scenario
    booking_id: str | None = None
    state: BookingState | None = None
    doing: str = "waiting for its turn"
    problem: str | None = None
    """Why it could not be played to its end."""
    seen_total: Money | None = None
    """What the search said the trip costs."""
    waited_with: BookingSeen | None = None
    """The booking when it waited for consent."""
    killed_at: KilledAt | None = None
    happenings: list[Happening] = field(default_factory=list[Happening])
    fault_id: str | None = None
    started_s: float | None = None
    ended_s: float | None = None

    def did(self, what: str) -> None:
        """Notes it, with the time."""
        self.happenings.append(Happening(datetime.now(UTC), what))
        self.doing = what

    @property
    def seconds(self) -> float:
        """From the request to book until it ended, or until now."""
        if self.started_s is None:
            return 0.0
        return (self.ended_s or time.monotonic()) - self.started_s


@dataclass(frozen=True, slots=True)
class KilledAt:
    """How far the saga was when its worker was killed, and what the supervisor did about it."""

    state: BookingState
    effects: tuple[str, ...]
    worker_starts: int


@dataclass(frozen=True)
class Ending:
    """Everything there is to see of a scenario after its end: our answers, and the vendors' books."""

    booking: BookingSeen
    payments: list[PaymentSeen]
    events: list[EventSeen]
    books: VendorBooks
    ledger: list[Effect]
    cases: list[CaseSeen]
    fault: FaultSeen | None
