"""What news of a flight add up to, and which of it travellers must know: pure functions.

Each part of what is known (its phase, a time, a gate) is kept with who said it and when. Of two sayings of one part the newer wins by
the source's own time, whatever order they come in and however often: so any permutation of the same news ends in the same status.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, cast

from schema.flights import Change, FlightId, FlightNews, FlightPoint, FlightPolicy, FlightStatus, Phase
from schema.model import Message

BOOKED: Final = "booked"
"""The source of what the booking says: older than all news."""
_BEFORE_ALL_NEWS: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES: Final = ("scheduled", "estimated", "actual")
_PLACES: Final = ("airport", "terminal", "gate")
_LEFT: Final = frozenset[Phase]({"departed", "arrived", "diverted"})
_OF_TIMES: Final = frozenset[Change]({"delayed", "on_time_again"})
_SEEN_BETWEEN: Final[tuple[Change, ...]] = ("schedule_changed", "gate_changed", "terminal_changed")
"""Changes that are only seen from one news to the next; the others are shown by any two statuses."""


class Said(Message):
    """One part of what is known. Instants are ISO 8601, UTC."""

    value: str
    at: datetime
    source: str

    def rank(self) -> tuple[datetime, str, str]:
        """Two sources of the same second: any order will do, if it is always the same."""
        return self.at, self.source, self.value


Record = Mapping[str, Said]
"""By part: `phase`, `diverted_to`, `departure.gate` and so on."""


def as_booked(flight: FlightId, destination: str, departs_at: datetime, arrives_at: datetime) -> dict[str, Said]:
    """What is known before anybody has said anything."""
    news = FlightNews(
        flight=flight,
        source=BOOKED,
        said_at=_BEFORE_ALL_NEWS,
        departure=FlightPoint(airport=flight.origin, scheduled=departs_at),
        arrival=FlightPoint(airport=destination, scheduled=arrives_at),
    )
    return merge({}, news)


def merge(record: Record, news: FlightNews) -> dict[str, Said]:
    """The newest of each part. Commutative, associative and idempotent in the news."""
    merged = dict(record)
    for part, value in _parts_of(news).items():
        said = Said(value=value, at=news.said_at.astimezone(UTC), source=news.source)
        known = merged.get(part)
        if known is None or said.rank() > known.rank():
            merged[part] = said
    return merged


def status_of(flight_key: str, revision: int, record: Record) -> FlightStatus:
    """What the record adds up to; it needs the parts of `as_booked`."""
    phase = cast("Phase", record["phase"].value) if "phase" in record else "scheduled"
    departure, arrival = _point(record, "departure"), _point(record, "arrival")
    newest = max(record.values(), key=Said.rank)
    diverted_to = record["diverted_to"].value if "diverted_to" in record else None
    return FlightStatus(
        flight_key=flight_key,
        revision=revision,
        phase=phase,
        departure=departure,
        arrival=arrival,
        diverted_to=diverted_to if phase in ("diverted", "arrived") else None,
        delay_minutes=_delay_minutes(phase, departure, arrival),
        said_at=newest.at,
        source=newest.source,
    )


def changes_between(told: FlightStatus, before: FlightStatus, now: FlightStatus, policy: FlightPolicy) -> list[Change]:
    """What travellers must know of `now`, who were told `told`; `before` is what was known last, which may have moved since.

    Delays are measured against what was told, so that a drift in small steps is told as well; places against what was known, so that
    the first gate is no change. One source calls a new schedule what another calls a delay: who was told of the one is not told of the
    other while the times to expect are the same.
    """
    changes: list[Change] = _by_themselves(told, now, policy)
    if now.phase in ("cancelled", "arrived"):
        return changes
    least = timedelta(minutes=policy.schedule_change_minutes)
    ends = ((told.departure, now.departure), (told.arrival, now.arrival))
    moved = [(one, other) for one, other in ends if _apart(one.scheduled, other.scheduled) >= least]
    if any(_apart(one.expected(), other.expected()) >= least for one, other in moved):
        changes.append("schedule_changed")
    elif moved:
        changes = [change for change in changes if change not in _OF_TIMES]
    if now.phase not in _LEFT and _differs(before.departure.gate, now.departure.gate):
        changes.append("gate_changed")
    terminal = now.phase not in _LEFT and _differs(before.departure.terminal, now.departure.terminal)
    if terminal or _differs(before.arrival.terminal, now.arrival.terminal):
        changes.append("terminal_changed")
    return changes


def told_together(
    told: FlightStatus, now: FlightStatus, between: list[list[Change]], policy: FlightPolicy
) -> list[Change]:
    """The changes of several revisions as one: without what has come and gone since travellers were told."""
    if len(between) == 1:
        return between[0]
    changes = _by_themselves(told, now, policy)
    if now.phase in ("cancelled", "arrived"):
        return changes
    return changes + [change for change in _SEEN_BETWEEN if any(change in one for one in between)]


def news_to_newcomer(now: FlightStatus, policy: FlightPolicy) -> list[Change]:
    """What somebody must know who has just booked the flight: how it differs from its own schedule."""
    expected = now.model_copy(update={"phase": "scheduled", "delay_minutes": 0, "diverted_to": None})
    return _by_themselves(expected, now, policy)


def _by_themselves(told: FlightStatus, now: FlightStatus, policy: FlightPolicy) -> list[Change]:
    changes: list[Change] = []
    if now.phase == "cancelled":
        return changes if told.phase == "cancelled" else ["cancelled"]
    if told.phase == "cancelled":
        changes.append("reinstated")
    if now.phase == "diverted" and (told.phase != "diverted" or told.diverted_to != now.diverted_to):
        changes.append("diverted")
    if now.phase == "departed" and told.phase not in _LEFT:
        changes.append("departed")
    if now.phase == "arrived":
        return changes if told.phase == "arrived" else [*changes, "arrived"]
    return changes + _of_delay(told.delay_minutes, now.delay_minutes, policy)


def _of_delay(told: int, now: int, policy: FlightPolicy) -> list[Change]:
    threshold, step = policy.delay_threshold_minutes, policy.delay_step_minutes
    if now >= threshold and (told < threshold or abs(now - told) >= step):
        return ["delayed"]
    # Only a whole step back: an estimate that trembles around the threshold is no news each time.
    if now < threshold <= told and told - now >= step:
        return ["on_time_again"]
    return []


def _parts_of(news: FlightNews) -> dict[str, str]:
    parts: dict[str, str | None] = {"phase": news.phase, "diverted_to": news.diverted_to}
    points: dict[Literal["departure", "arrival"], FlightPoint | None] = {
        "departure": news.departure,
        "arrival": news.arrival,
    }
    for end, point in points.items():
        if point is None:
            continue
        for name in _TIMES:
            moment = cast("datetime | None", getattr(point, name))
            parts[f"{end}.{name}"] = None if moment is None else moment.astimezone(UTC).isoformat()
        for name in _PLACES:
            parts[f"{end}.{name}"] = cast("str | None", getattr(point, name))
    return {part: value for part, value in parts.items() if value is not None}


def _point(record: Record, end: str) -> FlightPoint:
    times = {name: datetime.fromisoformat(said.value) for name in _TIMES if (said := record.get(f"{end}.{name}"))}
    places = {name: said.value for name in _PLACES if (said := record.get(f"{end}.{name}"))}
    scheduled, estimated = record.get(f"{end}.scheduled"), record.get(f"{end}.estimated")
    # An estimate from before the schedule itself moved past it says nothing any more.
    if scheduled and estimated and estimated.at < scheduled.at and times["estimated"] <= times["scheduled"]:
        del times["estimated"]
    return FlightPoint.model_validate({**times, **places})


def _delay_minutes(phase: Phase, departure: FlightPoint, arrival: FlightPoint) -> int:
    if phase == "cancelled":
        return 0
    of_arrival = phase in _LEFT and (arrival.actual or arrival.estimated) is not None
    point = arrival if of_arrival else departure
    expected = point.expected()
    if expected is None or point.scheduled is None:
        return 0
    return max(0, int((expected - point.scheduled).total_seconds() // 60))


def _apart(one: datetime | None, other: datetime | None) -> timedelta:
    return timedelta(0) if one is None or other is None else abs(one - other)


def _differs(before: str | None, now: str | None) -> bool:
    return before is not None and now is not None and before != now
