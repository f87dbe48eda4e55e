"""How old the answers are that clients get from the cache (C-6d), counted by this process since it started."""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

from structlog.stdlib import get_logger

from schema.model import Message

_log = get_logger(__name__)
_UPPER_MINUTES: Final = (1, 5, 15, 30)
_UPPER: Final = tuple(timedelta(minutes=minutes) for minutes in _UPPER_MINUTES)
_OLD: Final = timedelta(minutes=15)
_TOLD_EVERY_S: Final = 60
"""A busy process serves old answers thousands of times a minute; one line says it."""


class AgeBucket(Message):
    """Answers of suppliers served from the cache; at most so old, and older than the bucket before."""

    at_most_minutes: int | None
    """None: any age."""
    served: int


class CacheFigures(Message):
    """Of one API process since it started."""

    served: list[AgeBucket]
    cached: int
    """Answers of suppliers that came from the cache."""
    asked: int
    """Answers that suppliers were asked for."""
    hit_ratio: float | None
    """None before the first search."""
    dropped: int
    """Entries that were dropped, by any process: sold out, booked, or changed at the supplier."""


class Ages:
    def __init__(self) -> None:
        self._buckets = [0] * (len(_UPPER_MINUTES) + 1)
        self._asked = 0
        self._dropped = 0
        self._told_until = 0.0

    def served(self, found_at: Iterable[datetime]) -> None:
        """Entries were served from the cache that were found then."""
        now = datetime.now(UTC)
        oldest = timedelta()
        for moment in found_at:
            age = now - moment
            self._buckets[bisect_left(_UPPER, age)] += 1
            oldest = max(oldest, age)
        if oldest > _OLD and monotonic() >= self._told_until:
            self._told_until = monotonic() + _TOLD_EVERY_S
            _log.warning("search_served_stale_minutes", minutes=round(oldest / timedelta(minutes=1), 1))

    def asked(self, answers: int) -> None:
        """So many answers were not in the cache, or could not be used."""
        self._asked += answers

    def dropped(self, entries: int) -> None:
        self._dropped += entries

    def figures(self) -> CacheFigures:
        cached = sum(self._buckets)
        together = cached + self._asked
        return CacheFigures(
            served=[
                AgeBucket(at_most_minutes=minutes, served=count)
                for minutes, count in zip((*_UPPER_MINUTES, None), self._buckets, strict=True)
            ],
            cached=cached,
            asked=self._asked,
            hit_ratio=round(cached / together, 4) if together else None,
            dropped=self._dropped,
        )
