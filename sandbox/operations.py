"""What the airlines say about a flight on its day: delays, gates, cancellations, diversions, take-off and landing.

A flight's state is all that was said of it, in the order of the times at which the airline said it: what arrives late
does not overwrite what is newer. Vendors read it from here, each in its own words.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self, TypedDict, cast

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from sandbox.content import Airport, Flight, airports
from sandbox.timetable import AIRLINES
from sandbox.world import JsonObject, World

_ABOUT_THE_NEWS = frozenset({"origin", "said_at", "push"})


class News(BaseModel):
    """What an airline says at one time. What it does not mention stays as it was; null takes back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    origin: str | None = None
    """Only checked: the number and the date name the flight."""
    said_at: AwareDatetime | None = None
    """When the airline said it; None is now. An older time makes old news."""
    push: bool = False
    """Whether suppliers tell the holders of orders, as far as they can."""
    delay_minutes: int | None = Field(default=None, ge=-720, le=2880)
    """Of departure and arrival, against the schedule."""
    reschedule_minutes: int | None = Field(default=None, ge=-2880, le=2880)
    """The schedule itself moves."""
    cancelled: bool | None = None
    terminal: str | None = Field(default=None, min_length=1, max_length=5)
    gate: str | None = Field(default=None, min_length=1, max_length=5)
    arrival_terminal: str | None = Field(default=None, min_length=1, max_length=5)
    arrival_gate: str | None = Field(default=None, min_length=1, max_length=5)
    diverted_to: str | None = None
    departed_at: AwareDatetime | None = None
    arrived_at: AwareDatetime | None = None

    @field_validator("origin", "diverted_to")
    @classmethod
    def _is_an_airport(cls, code: str | None) -> str | None:
        if code is not None and code not in airports():
            raise ValueError("no airport has this code")
        return code

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set - _ABOUT_THE_NEWS:
            raise ValueError("nothing is said of the flight")
        return self

    def told(self) -> JsonObject:
        """What is said of the flight itself, as JSON."""
        return self.model_dump(mode="json", exclude_unset=True, exclude=set(_ABOUT_THE_NEWS))


class _Kept(TypedDict):
    """All news of one flight, in the order they came."""

    news: list[JsonObject]


@dataclass(frozen=True, slots=True)
class FlightState:
    """What is known of a flight. Times are aware, in their airport's zone."""

    flight: Flight
    on: date
    """The day of departure under which the flight is known, however late it leaves."""
    said_at: datetime | None
    told: JsonObject

    @property
    def cancelled(self) -> bool:
        return self.told.get("cancelled") is True

    @property
    def rescheduled_by(self) -> timedelta:
        return _minutes(self.told.get("reschedule_minutes"))

    @property
    def scheduled_departure(self) -> datetime:
        return _later(self.flight.departs, self.rescheduled_by)

    @property
    def scheduled_arrival(self) -> datetime:
        return _later(self.flight.arrives, self.rescheduled_by)

    @property
    def estimated_departure(self) -> datetime | None:
        if self.told.get("delay_minutes") is None:
            return None
        return _later(self.scheduled_departure, _minutes(self.told["delay_minutes"]))

    @property
    def estimated_arrival(self) -> datetime | None:
        """Follows from when it left, once it has left."""
        departed = self.departed_at
        if departed is not None:
            return (departed + self.flight.duration).astimezone(self.flight.arrives.tzinfo)
        if self.told.get("delay_minutes") is None:
            return None
        return _later(self.scheduled_arrival, _minutes(self.told["delay_minutes"]))

    @property
    def departed_at(self) -> datetime | None:
        return self._moment("departed_at", self.flight.departs)

    @property
    def arrived_at(self) -> datetime | None:
        return self._moment("arrived_at", self.flight.arrives)

    @property
    def diverted_to(self) -> Airport | None:
        code = self.text("diverted_to")
        return airports()[code] if code else None

    @property
    def departure_terminal(self) -> str | None:
        return self.text("terminal") or self.flight.departure_terminal

    @property
    def arrival_terminal(self) -> str | None:
        return self.text("arrival_terminal") or self.flight.arrival_terminal

    def text(self, name: str) -> str | None:
        """A text of the news."""
        return cast("str | None", self.told.get(name))

    def _moment(self, name: str, local_to: datetime) -> datetime | None:
        text = self.text(name)
        return datetime.fromisoformat(text).astimezone(local_to.tzinfo) if text else None


def name_of(flight: Flight) -> str:
    """How the airline names a flight on its day: `BA123/2026-12-01`."""
    return f"{flight.carrier.code}{flight.number}/{flight.departs:%Y-%m-%d}"


def say(world: World, flight: Flight, news: News) -> datetime:
    """Keep what the airline says; when it said it."""
    said_at = news.said_at or world.now()
    kept = _kept(world, flight)
    kept["news"].append({"said_at": said_at.isoformat(), **news.told()})
    world.put(AIRLINES, "news", name_of(flight), cast(JsonObject, cast(object, kept)))
    return said_at


def state_of(world: World, flight: Flight) -> FlightState:
    """What is known of the flight as of now."""
    told: JsonObject = {}
    said_at: datetime | None = None
    # Of two things said at the same time the one that came last counts: the sort is stable.
    for news in sorted(_kept(world, flight)["news"], key=_said_at):
        said_at = _said_at(news)
        told |= {name: value for name, value in news.items() if name != "said_at"}
    return FlightState(flight, flight.departs.date(), said_at, told)


def is_sold(world: World, flight: Flight) -> bool:
    """Whether seats are sold on it: no longer once it is cancelled, has another schedule, or has left."""
    if world.get(AIRLINES, "news", name_of(flight)) is None:
        return True
    state = state_of(world, flight)
    return not (state.cancelled or state.rescheduled_by or state.departed_at)


def is_cancelled(world: World, flight: Flight) -> bool:
    """Whether its airline has cancelled it."""
    return state_of(world, flight).cancelled


def count_poll(world: World, name: str) -> None:
    """Count that somebody asked for a flight's state."""
    asked = world.get(AIRLINES, "polls", name) or {"count": 0}
    world.put(AIRLINES, "polls", name, {"name": name, "count": cast(int, asked["count"]) + 1})


def polls(world: World) -> dict[str, int]:
    """How often each flight's state was asked for, by its name."""
    return {cast(str, asked["name"]): cast(int, asked["count"]) for asked in world.all(AIRLINES, "polls")}


def _kept(world: World, flight: Flight) -> _Kept:
    return cast(_Kept, cast(object, world.get(AIRLINES, "news", name_of(flight)) or {"news": []}))


def _said_at(news: JsonObject) -> datetime:
    return datetime.fromisoformat(cast(str, news["said_at"]))


def _minutes(value: object) -> timedelta:
    return timedelta(minutes=cast("int | None", value) or 0)


def _later(moment: datetime, by: timedelta) -> datetime:
    """By the clock that runs, not by the one on the wall of a day on which it is changed."""
    return (moment.astimezone(UTC) + by).astimezone(moment.tzinfo)
