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
FLIGHT_KEY_PATTERN = r"^[A-Z0-9]{2}[0-9]{1,4}[A-Z]?-[0-9]{4}-[0-9]{2}-[0-9]{2}-[A-Z]{3}$"
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
    ambiguous: bool = False
    """Said of several flights of one journey, of which at least one is meant: the journey is off for those on it, but this flight may
    well fly, with others. Who else can be asked should be, before anybody else is told."""


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
    overdue_after_s: float = 600
    """A monitor that is so late with its next poll is woken, or started again."""
    events_of_a_run: int = 2000
    """History events after which a monitor goes on under a new run."""
    clock_scale: float = 1.0
    """Divides every wait; above 1 only where the flights' clocks are compressed too."""

    def poll_after_s(self, departs_in_s: float) -> float:
        """How long to wait before the next poll of a flight that leaves in so long, by the clock on the wall; without jitter."""
        departs_in_h = departs_in_s * self.clock_scale / 3600
        if departs_in_h <= self.near_h:
            return self.poll_near_s / self.clock_scale
        if departs_in_h <= self.far_h:
            wait_s, until_h = self.poll_day_s, self.near_h
        else:
            wait_s, until_h = self.poll_far_s, self.far_h
        # Not past the moment from which it is asked more often, by more than one of those shorter waits.
        nearer_s = (departs_in_h - until_h) * 3600 + (
            self.poll_near_s if wait_s == self.poll_day_s else self.poll_day_s
        )
        return min(wait_s, nearer_s) / self.clock_scale

    def look_after_s(self, departs_in_s: float, answer: "Answer") -> float:
        """The same, after this answer."""
        if answer == "nobody_to_ask":  # there are only pushes; the look is the net under their signals
            return self.poll_far_s / self.clock_scale
        due_s = self.poll_after_s(departs_in_s)
        return min(due_s, self.poll_near_s / self.clock_scale) if answer == "away" else due_s


class FanOutPlace(Message):
    """How far the telling of one revision has come."""

    revision: int
    after: str = ""
    """The last itinerary that was told of it; they are told in the order of their ids."""


class MonitorInput(Message):
    """Started by `signal-with-start`, for the first who is on the flight; goes on under new runs with what it knew."""

    flight: FlightId
    policy: FlightPolicy = FlightPolicy()
    correlation_id: str
    departs_at: datetime
    arrives_at: datetime
    """As booked; what has been said since is in PostgreSQL."""
    fan_out: FanOutPlace | None = None
    """Of the run before: where it was when it ended. Which revision all were told is in PostgreSQL."""
    newcomers: list[str] = []
    """Itineraries whose signal the run before had not dealt with."""
    next_poll_at: datetime | None = None
    """None: at once."""
    polls: int = 0
    """Of all runs together, for whoever looks at one."""


class Subscribed(Message):
    """Signal `subscribed`: somebody is on the flight."""

    itinerary_id: str


class FlightPushed(Message):
    """Signal `pushed`: there is news, in PostgreSQL; or a sweep wants the monitor to look at its flight."""

    event_id: str
    ask: bool = False
    """The news may not be about this flight: the source is to be asked now."""


Answer = Literal["given", "away", "nobody_to_ask", "none"]
"""Of a source that was to be asked; `none`: it was not time to ask."""


class WatchedFlight(Message):
    """What a monitor goes by: how its flight stands in our books."""

    revision: int
    told_revision: int
    phase: Phase
    departs_at: datetime
    arrives_at: datetime
    """As expected now."""
    wanted: bool
    """Somebody is on it."""
    answer: Answer = "none"


class PollFlight(Message):
    """Input of the activity that asks how the flight stands, and of the one that only looks at our books."""

    flight: FlightId
    policy: FlightPolicy
    correlation_id: str


class FanOutBatch(Message):
    """Input of the activity that tells some of those who are on the flight."""

    flight_key: str
    place: FanOutPlace
    policy: FlightPolicy


class BatchTold(Message):
    after: str | None
    """The last who was told; None: that was all."""


class TellNewcomers(Message):
    """Input of the activity that tells those who joined what the others know."""

    flight_key: str
    itinerary_ids: list[str]
    policy: FlightPolicy


class EndWatching(Message):
    """Input of the activity that notes that a flight is watched no more."""

    flight_key: str


class WatchEnded(Message):
    ended: bool
    """False: there is news to tell first."""


MonitorEnd = Literal["arrived", "cancelled", "nobody_on_it", "given_up"]


class MonitorResult(Message):
    ended: MonitorEnd
    revision: int
    polls: int


class MonitorSweepReport(Message):
    """Counts of flights."""

    started: int = 0
    """Somebody is on them, and nobody watched them."""
    woken: int = 0
    """Their monitor was late, or had news that it did not tell; one that was gone was started again."""
    released: int = 0
    """Nobody is on them any more: their monitor was told to look."""

    def plus(self, more: "MonitorSweepReport") -> "MonitorSweepReport":
        return MonitorSweepReport(
            started=self.started + more.started,
            woken=self.woken + more.woken,
            released=self.released + more.released,
        )


class MonitorSweepInput(Message):
    """None of it, as the schedule starts it; the rest is how a long sweep goes on under a new history."""

    after: str | None = None
    report: MonitorSweepReport = MonitorSweepReport()


class MonitorSweepPage(Message):
    """Input of the activity that puts some flights right; `after`: the last one that was looked at."""

    after: str | None = None


class MonitorSwept(Message):
    """What was done on one page, and where to go on; `after` None: at the end."""

    report: MonitorSweepReport
    after: str | None
