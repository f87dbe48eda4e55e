"""What is noted of a scenario while it is played, and everything there is to see of it afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sandbox.demo_answers import (
    BookingSeen,
    CaseDetail,
    CaseSeen,
    Effect,
    EventSeen,
    FaultSeen,
    FeeQuoted,
    NextAction,
    PaymentSeen,
    StatementSeen,
    VendorBooks,
)
from sandbox.demo_scenarios import Scenario
from sandbox.demo_trip_answers import DisruptionSeen, TripSeen
from schema.money import Money
from schema.states import BookingState


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
    asked_payer: AskedPayer | None = None
    quoted: FeeQuoted | None = None
    """What cancelling would cost, as the traveller was told before accepting it."""
    offered: DisruptionSeen | None = None
    """What could be chosen in the cancelled flight's place, as the traveller was shown it."""
    rebooking_id: str | None = None
    """Of the booking that was made for what the traveller chose."""
    case: CaseDetail | None = None
    """As the operator read it."""
    resolved: CaseDetail | None = None
    """The same case, after the operator's word."""
    mended: FaultSeen | None = None
    """The scenario's rule when it was taken out of the plan before the end."""
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


@dataclass(frozen=True, slots=True)
class AskedPayer:
    """What the API said and the vendors had done when the payer was to act."""

    booking: BookingSeen
    action: NextAction
    effects: tuple[str, ...]


@dataclass(frozen=True)
class Booked:
    """A booking as we tell of it, and as the vendors have it in their books."""

    booking: BookingSeen
    payments: list[PaymentSeen]
    events: list[EventSeen]
    books: VendorBooks
    ledger: list[Effect]


@dataclass(frozen=True)
class Ending(Booked):
    """Everything there is to see of a scenario after its end: our answers, and the vendors' books."""

    cases: list[CaseSeen]
    fault: FaultSeen | None
    statement: StatementSeen
    trip: TripSeen | None = None
    """Of the scenarios that go on after the confirmation."""
    rebooking: Booked | None = None
    """What was booked in a cancelled flight's place."""
