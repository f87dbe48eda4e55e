"""Disruptions: what a change of a flight means for one traveller's trip, the alternatives, and the traveller's choice."""

from datetime import datetime
from typing import Literal

from schema.bookings import OutstandingEffect, SagaPolicy
from schema.flights import Change
from schema.model import Message
from schema.money import Money
from schema.offers import FlightOffer
from schema.payments import CancellationInput

DISRUPTION_WORKFLOW = "DisruptionWorkflow"

DisruptionKind = Literal[
    "flight_delayed",
    "flight_on_time_again",
    "flight_cancelled",
    "flight_reinstated",
    "flight_diverted",
    "gate_changed",
    "terminal_changed",
    "schedule_changed",
    "missed_connection",
    "flight_departed",
    "flight_arrived",
]
"""The gravest of what a change means; the others are in the impact."""
DisruptionState = Literal[
    "open",
    "offered",
    "rebooking",
    "rebooked",
    "kept",
    "informed",
    "expired",
    "superseded",
    "failed",
]
"""`open`: alternatives are looked for. `offered`: the traveller may choose until the deadline. `informed`: there was nothing to
choose. `expired`: nobody chose. `superseded`: a newer change of the same flight has taken its place. `failed`: nothing could be
rebooked; the old flight stays."""
OPEN_STATES: frozenset[DisruptionState] = frozenset({"open", "offered", "rebooking"})


def disruption_id_for(itinerary_id: str, flight_key: str, flight_revision: int) -> str:
    """Must merge: every repeat of telling this trip of this change. Must not merge: the next change of the same flight."""
    return f"{itinerary_id}-{flight_key}-{flight_revision}"


def disruption_workflow_id_for(disruption_id: str) -> str:
    return f"disruption-{disruption_id}"


class Impact(Message):
    """What the change means for the rest of the trip."""

    changes: list[Change]
    delay_minutes: int = 0
    missed_segment_no: int | None = None
    """The next flight, if it leaves before one can be there."""
    connection_minutes: int | None = None
    """What is left for that connection; negative if it leaves before the arrival."""
    late_hotel_segment_nos: list[int] = []
    late_car_segment_nos: list[int] = []
    rebook_segment_no: int | None = None
    """Of the flight that another would take the place of: the changed one, or the connection that is missed. None: no other flight
    would help, or it has left already."""
    flown_legs: int = 0
    """So many flights of that flight's ticket are flown: only those after them are replaced. 0: the ticket is replaced as a whole."""
    leave_after: datetime | None = None
    """No alternative may leave before."""
    arrive_before: datetime | None = None
    """An alternative that arrives later would not help; None where the flight is not flown at all."""


class Alternative(Message):
    """One way on that the traveller may choose."""

    number: int
    """From 1, best first."""
    offer: FlightOffer
    difference: Money
    """What choosing it costs in all: its price less what is given back for the old flight; negative money is given back."""
    refund: Money
    """What is given back for the old flight once the new one is confirmed."""
    arrives_later_minutes: int
    """Than the old flight should have arrived; negative if earlier."""


class DisruptionPolicy(Message):
    """Travels in the workflow's input, so that a change of settings breaks no replay."""

    choice_timeout_s: float = 24 * 3600
    """For the traveller to choose; never beyond the departure of the alternative that leaves first."""
    alternatives: int = 5
    alternatives_from_minutes: int = 30
    """A delay or a new schedule below this is told, and nothing is offered."""
    to_the_gate_minutes: int = 60
    """An alternative must leave this much later than now."""
    search_budget_s: float = 120
    minimum_connection_minutes: int = 60
    """Where the table of airports does not say."""
    hotel_late_after_h: int = 22
    """A hotel is warned of arrivals after this hour of its day."""
    wait_for_other_s: float = 5
    """Between looks whether an older disruption, which is being rebooked, is over."""
    look_every_s: float = 1
    """At a rebooking under way; doubled up to ten minutes."""


class DisruptionInput(Message):
    disruption_id: str
    itinerary_id: str
    client_id: str
    booking_id: str
    """Of the segment; who looks after the itinerary's people."""
    segment_no: int
    flight_key: str
    flight_revision: int
    changes: list[Change]
    delay_minutes: int
    correlation_id: str
    policy: DisruptionPolicy = DisruptionPolicy()
    saga: SagaPolicy = SagaPolicy()


class ChooseAlternative(Message):
    """Update `choose`: the traveller takes this alternative, and consents to what it costs."""

    number: int
    difference: Money
    """As it was shown: what was consented to."""


class KeepFlight(Message):
    """Update `keep`: the traveller stays with the flight as it is now."""


class Superseded(Message):
    """Signal `superseded`: a newer disruption of the same flight has taken over."""

    by: str


class RebookingMoved(Message):
    """Signal `rebooking_moved`: the booking of the chosen alternative has a new state. It carries none: it is read again."""

    booking_id: str


class DisruptionChoice(Message):
    """Result of the updates."""

    state: DisruptionState
    message: str
    booking_id: str | None = None
    """Of the booking that was made for the chosen alternative: where its payment can be followed."""


class OpenedDisruption(Message):
    """Result of the activity that assesses a change. `blocked`: an older one of the same flight is being rebooked; try again."""

    state: DisruptionState
    kind: DisruptionKind | None = None
    blocked: bool = False
    superseded: list[str] = []
    """Ids of older disruptions that wait for nothing any more."""


class DisruptionStep(Message):
    """Input of the activities that go on with one."""

    disruption_id: str
    policy: DisruptionPolicy
    correlation_id: str
    retry_initial_s: float


class AlternativesFound(Message):
    """How many there are to choose from, and until when; none: nothing helps."""

    number: int
    deadline_at: datetime | None = None


class RebookStep(DisruptionStep):
    number: int
    difference: Money
    """What was consented to."""


class RebookingBegun(Message):
    """The booking of the chosen alternative; None: it cannot be had as it was shown, `reason` says why."""

    booking_id: str | None
    reason: str | None = None
    state: DisruptionState


class RebookingEnded(DisruptionStep):
    """What became of it."""

    confirmed: bool
    reason: str | None = None


class CancellationOfOld(Message):
    """How the old flight is given up; with neither a plan nor work for an operator it is given up already."""

    workflow_id: str | None = None
    plan: CancellationInput | None = None
    by_hand: OutstandingEffect | None = None
    """What only its supplier's people can settle, because a part of the ticket is flown."""


class DisruptionClosed(DisruptionStep):
    state: DisruptionState
    reason: str | None = None


class DisruptionResult(Message):
    disruption_id: str
    state: DisruptionState
    reason: str | None = None


class Disruption(Message):
    """As kept."""

    disruption_id: str
    itinerary_id: str
    client_id: str
    segment_no: int
    flight_key: str
    flight_revision: int
    kind: DisruptionKind
    state: DisruptionState
    impact: Impact
    alternatives: list[Alternative] = []
    chosen: int | None = None
    rebooking_id: str | None = None
    """The booking of the chosen alternative."""
    reason: str | None = None
    deadline_at: datetime | None = None
    opened_at: datetime
    closed_at: datetime | None = None
