"""Stripe's lists: newest first, by cursor, within a range of creation. A page costs the same wherever it begins."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, Generic, NamedTuple, TypedDict, TypeVar, cast

from sandbox.vendors.stripe_wire import Kind, Parameters, invalid
from sandbox.world import Shelf

LIST_PARAMETERS: Final[dict[str, Kind]] = {
    "created": "any",
    "ending_before": "string",
    "expand": "list",
    "limit": "integer",
    "starting_after": "string",
}
_LIMIT_DEFAULT: Final = 10
_LIMIT_MAX: Final = 100


class Listed(TypedDict):
    """What every listed object has: its id and the time it was created, in seconds since 1970."""

    id: str
    created: int


Row = TypeVar("Row", bound=Listed)


class Page(NamedTuple, Generic[Row]):
    """One page, and whether there are more."""

    rows: list[Row]
    more: bool


def page(parameters: Parameters, shelf: Shelf, wanted: Callable[[Row], bool]) -> Page[Row]:
    """The page that the request asks for, of what lies on the shelf in the order of its creation and is wanted."""
    limit = parameters.integer("limit")
    limit = _LIMIT_DEFAULT if limit is None else limit
    if not 1 <= limit <= _LIMIT_MAX:
        raise invalid(f"The limit must be between 1 and {_LIMIT_MAX}", param="limit", code="parameter_invalid_integer")
    rows = cast("Sequence[Row]", shelf.documents)
    places = _within(parameters, rows)
    after, before = parameters.text("starting_after"), parameters.text("ending_before")
    if before is not None:
        place = shelf.place(before)
        newer = range(0) if place is None else places[max(0, place + 1 - places.start) :]
        found = _first(rows, newer, wanted, limit + 1)
        return Page(found[limit - 1 :: -1], len(found) > limit)
    if after is not None:
        place = shelf.place(after)
        places = range(0) if place is None else places[: max(0, place - places.start)]
    found = _first(rows, reversed(places), wanted, limit + 1)
    return Page(found[:limit], len(found) > limit)


def _first(rows: Sequence[Row], places: Iterable[int], wanted: Callable[[Row], bool], count: int) -> list[Row]:
    return list(islice((row for row in map(rows.__getitem__, places) if wanted(row)), count))


def _within(parameters: Parameters, rows: Sequence[Listed]) -> range:
    """The places of rows that `created=<time>`, or `created[gte]=<time>` and its like, leave."""
    first, end = 0, len(rows)
    asked = parameters.mapping("created") or {"": parameters.text("created") or ""}
    for name, value in asked.items():
        if value == "":
            continue
        if not isinstance(value, str) or not value.isdecimal() or name not in ("", "gt", "gte", "lt", "lte"):
            raise invalid(f"Invalid created: {name} {value}", param="created")
        since = bisect_left(rows, int(value), key=_created)
        later = bisect_right(rows, int(value), key=_created)
        if name in ("", "gte"):
            first = max(first, since)
        if name == "gt":
            first = max(first, later)
        if name in ("", "lte"):
            end = min(end, later)
        if name == "lt":
            end = min(end, since)
    return range(first, max(first, end))


def _created(row: Listed) -> int:
    return row["created"]
