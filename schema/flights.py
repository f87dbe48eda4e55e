"""Flights and what is known of them: ids, news from sources, the newest status; and the messages of the flight monitor.

A source never knows everything: one tells gates and delays, another only that the schedule has moved. News carry what the source
said and when it said so; the status is what the newest of them add up to.
"""

import re
from datetime import date, datetime
from typing import Literal

from schema.model import Message

FLIGHT_MONITOR_WORKFLOW = "FlightMonitorWorkflow"
MONITOR_SWEEP_WORKFLOW = "MonitorSweepWorkflow"
MONITOR_SWEEP_SCHEDULE = "monitor-sweep"

Phase = Literal["scheduled", "departed", "arrived", "cancelled", "diverted"]
Change = Literal[
    "delayed",
    "on_time_again",
    "schedule_changed",
    "cancelled",
    "reinstated",
    "diverted",
    "gate_changed",
    "terminal_changed",
    "departed",
    "arrived",
]
_KEY = re.compile(r"(?P<carrier>[A-Z0-9]{2})(?P<number>[0-9]{1,4}[A-Z]?)-(?P<on>[0-9-]{10})-(?P<origin>[A-Z]{3})")


class FlightId(Message):
    """One flight on one day from one airport, however many travellers are on it."""

    carrier: str
    number: str
    on: date
    """Of departure as scheduled, by the clock of its airport."""
    origin: str

    @property
    def key(self) -> str:
        """Must merge: the same flight bought from any supplier. Must not merge: the flight's later legs, or other days."""
        return f"{self.carrier}{self.number}-{self.on}-{self.origin}"

    @classmethod
    def of_key(cls, key: str) -> "FlightId":
        """The inverse of `key`; raises ValueError for a key that is none."""
        match = _KEY.fullmatch(key)
        if match is None:
            raise ValueError(f"{key!r} names no flight")
        return cls.model_validate(match.groupdict())


def monitor_id_for(flight_key: str) -> str:
    """Must merge everybody who is on this flight."""
    return f"flight-{flight_key}"


def flight_of_monitor(workflow_id: str) -> FlightId:
    """The inverse of `monitor_id_for`; raises ValueError."""
    return FlightId.of_key(workflow_id.removeprefix("flight-"))


class FlightPoint(Message):
    """A departure or an arrival; None is what the source does not say. Instants, UTC."""

    airport: str
    scheduled: datetime | None = None
    estimated: datetime | None = None
    actual: datetime | None = None
    terminal: str | None = None
    gate: str | None = None

    def expected(self) -> datetime | None:
        """The best that is known of when it is."""
        return self.actual or self.estimated or self.scheduled


class FlightNews(Message):
    """What one source says of a flight. What it leaves None it says nothing about."""

    flight: FlightId
    source: str
    """A vendor's code."""
    said_at: datetime
    """By the source's own clock; where it does not say, when it was asked. Newer wins, stale never overwrites (C-4c)."""
    phase: Phase | None = None
    departure: FlightPoint | None = None
    arrival: FlightPoint | None = None
    diverted_to: str | None = None


class FlightStatus(Message):
    """What is known of a flight: the newest that any source has said of each part."""

    flight_key: str
    revision: int = 0
    """Raised by what travellers must know of; small movements change the status and not the revision."""
    phase: Phase = "scheduled"
    departure: FlightPoint
    arrival: FlightPoint
    diverted_to: str | None = None
    delay_minutes: int = 0
    """Of departure, or of arrival once it has left, against the schedule; never negative."""
    said_at: datetime
    source: str


class FlightPolicy(Message):
    """How often monitors ask and what they tell. Travels in the monitor's input, so that a change of settings breaks no replay."""

    poll_far_s: float = 6 * 3600
    """More than `far_h` before departure."""
    far_h: float = 72
    poll_day_s: float = 3600
    """Between `far_h` and `near_h`."""
    near_h: float = 6
    poll_near_s: float = 300
    """From `near_h` before departure until it has arrived."""
    jitter: float = 0.1
    give_up_after_arrival_h: float = 12
    """Nobody said that it arrived: after this long past its expected arrival the monitor ends."""
    delay_threshold_minutes: int = 30
    delay_step_minutes: int = 15
    """Once a delay was told, it is told again when it has moved by this much."""
    schedule_change_minutes: int = 15
    fan_out_batch: int = 50
    """Itineraries told of a change in one activity."""
    clock_scale: float = 1.0
    """Divides every wait; above 1 only where the flights' clocks are compressed too."""


class MonitorInput(Message):
    """Started by `signal-with-start`, for the first who is on the flight; goes on under new runs with what it knew."""

    flight: FlightId
    policy: FlightPolicy = FlightPolicy()
    correlation_id: str
    departs_at: datetime
    """As booked."""
    arrives_at: datetime
    told_revision: int = 0
    """Up to which revision of the flight all subscribers were told."""
    polls: int = 0


class Subscribed(Message):
    """Signal `subscribed`: somebody is on the flight; who they are is in PostgreSQL."""

    itinerary_id: str


class FlightPushed(Message):
    """Signal `pushed`: a vendor's webhook says there is news. The news are in PostgreSQL, or are asked for again."""

    event_id: str
