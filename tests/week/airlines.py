"""A week as the airlines see it: which flights there are, what is said of each, and how it comes to us. Pure, from a seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal

from schema.notifications import NotificationKind

DAYS = 7
STAY_DAYS = 3
ROUTES = (
    ("LHR", "LIS"),
    ("CDG", "FCO"),
    ("FRA", "BCN"),
    ("AMS", "MAD"),
    ("ZRH", "LHR"),
    ("DUB", "CDG"),
    ("CPH", "AMS"),
)
SHARED = 5
"""One in so many trips has a second traveller, who has booked it alone."""
Decision = Literal["keep", "rebook"]
Heard = tuple[NotificationKind, ...]
"""One notice; of several kinds, any one of them."""
_LATE: Heard = ("flight_delayed",)
_MOVED: Heard = ("flight_delayed", "schedule_changed")
"""Pushed: a supplier calls a new schedule what the airline calls a delay, and whoever is heard first is told."""
_OFF: Heard = ("flight_cancelled",)


@dataclass(frozen=True, slots=True)
class Said:
    """What an airline says of a flight at one time."""

    news: dict[str, Any]
    tells: Heard = ()
    """Of what those must hear who are on it, once; none: it changes nothing for them."""
    pushed: bool = False
    """The supplier tells of it; else it is found by asking."""
    old_s: float = 0
    """It was said so long ago, and comes only now."""
    at_once: bool = False
    """It comes right behind what was said before."""
    then: Decision | None = None
    """What the travellers choose, once they are told."""


@dataclass(frozen=True, slots=True)
class Story:
    """What becomes of one flight."""

    name: str
    said: tuple[Said, ...] = ()
    delay_minutes: int = 0
    """With which it leaves and lands at last."""
    flies: bool = True
    trip_ends: bool = False
    """Its travellers go by other flights: nothing is said of their way back, which may be another too."""


STORIES = (
    Story("as planned"),
    Story("late", (Said({"gate": "A1"}), Said({"delay_minutes": 35}, _LATE)), 35),
    Story("another gate", (Said({"gate": "A1"}), Said({"gate": "B7"}, ("gate_changed",)))),
    Story(
        "late, and another gate",
        (Said({"delay_minutes": 40, "gate": "C1"}, _LATE), Said({"gate": "C9"}, ("gate_changed",))),
        40,
    ),
    Story("very late", (Said({"delay_minutes": 95}, _MOVED, pushed=True),), 95),
    Story(
        "told again and again",
        (
            Said({"delay_minutes": 50}, _MOVED, pushed=True),
            Said({"delay_minutes": 50}, pushed=True, at_once=True),
            Said({"delay_minutes": 50}, pushed=True),
        ),
        50,
    ),
    Story(
        "old news come late",
        (
            Said({"delay_minutes": 55}, _MOVED, pushed=True),
            Said({"delay_minutes": 200}, pushed=True, old_s=3600),
        ),
        55,
    ),
    Story(
        "news in the wrong order",
        # What was said first would change nothing for anybody, and must not undo what was said last.
        (
            Said({"delay_minutes": 70}, _MOVED, pushed=True),
            Said({"delay_minutes": 10}, pushed=True, old_s=60, at_once=True),
        ),
        70,
    ),
    Story(
        "on time after all",
        (Said({"delay_minutes": 60}, _LATE), Said({"delay_minutes": 0}, ("flight_on_time_again",))),
    ),
    Story("another schedule", (Said({"reschedule_minutes": 45}, ("schedule_changed",)),), 45),
    Story("cancelled, and nobody goes by another", (Said({"cancelled": True}, _OFF),), flies=False),
    Story(
        "cancelled, and they stay with it",
        (Said({"cancelled": True}, _OFF, pushed=True, then="keep"),),
        flies=False,
    ),
    Story(
        "late, then cancelled, and they go by another",
        (
            Said({"delay_minutes": 35}, _LATE),
            Said({"cancelled": True}, _OFF, pushed=True, then="rebook"),
        ),
        flies=False,
        trip_ends=True,
    ),
    Story(
        "cancelled, and they go by another",
        (Said({"cancelled": True}, _OFF, then="rebook"),),
        flies=False,
        trip_ends=True,
    ),
)


@dataclass(frozen=True, slots=True)
class TripPlan:
    """Two flights, there and back; which ones is only known when they are looked for."""

    number: int
    route: tuple[str, str]
    day: int
    """Of the way there, from 0; the way back is `STAY_DAYS` later."""
    travellers: int
    there: Story
    back: Story


def a_week(seed: int, flights: int) -> list[TripPlan]:
    """Each story is there once before any is there twice."""
    dice = Random(f"{seed}|week")  # noqa: S311  # a test's input guards no secret
    out, back = _in_turn(dice), _in_turn(dice)
    trips: list[TripPlan] = []
    for number in range(flights // 2):
        there = next(out)
        # On the way back nobody is offered another flight: a part of the ticket is flown.
        home = STORIES[0] if there.trip_ends else next(story for story in back if not story.trip_ends)
        day, route = number % (DAYS - STAY_DAYS), ROUTES[number // (DAYS - STAY_DAYS) % len(ROUTES)]
        trips.append(TripPlan(number, route, day, 2 if number % SHARED == 1 else 1, there, home))
    return trips


def _in_turn(dice: Random) -> Iterator[Story]:
    while True:
        yield from dice.sample(STORIES, len(STORIES))


def landed(story: Story, departs_at: datetime, arrives_at: datetime) -> dict[str, str]:
    """The last that is said of a flight."""
    late = timedelta(minutes=story.delay_minutes)
    return {"departed_at": (departs_at + late).isoformat(), "arrived_at": (arrives_at + late).isoformat()}
