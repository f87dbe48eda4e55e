"""Stripe's lists: newest first, by cursor, within a range of creation."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from functools import partial
from itertools import dropwhile, islice, takewhile
from typing import Final, Generic, NamedTuple, TypedDict, TypeVar

from sandbox.vendors.stripe_wire import Kind, Parameters, invalid

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


def page(parameters: Parameters, rows: Iterable[Row]) -> Page[Row]:
    """The page of `rows` (given newest first) that the request asks for."""
    limit = parameters.integer("limit")
    limit = _LIMIT_DEFAULT if limit is None else limit
    if not 1 <= limit <= _LIMIT_MAX:
        raise invalid(f"The limit must be between 1 and {_LIMIT_MAX}", param="limit", code="parameter_invalid_integer")
    bounds = _bounds(parameters)
    in_range = (row for row in rows if all(holds(row["created"]) for holds in bounds))
    after = parameters.text("starting_after")
    before = parameters.text("ending_before")
    if before is not None:
        newer = list(takewhile(lambda row: row["id"] != before, in_range))
        return Page(newer[-limit:], len(newer) > limit)
    if after is not None:
        in_range = islice(dropwhile(lambda row: row["id"] != after, in_range), 1, None)
    found = list(islice(in_range, limit + 1))
    return Page(found[:limit], len(found) > limit)


_COMPARISONS: Final[dict[str, Callable[[int, int], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def _bounds(parameters: Parameters) -> list[Callable[[int], bool]]:
    """`created=<time>` or `created[gte]=<time>` and its like, as conditions."""
    asked = parameters.mapping("created") or {"": parameters.text("created") or ""}
    conditions: list[Callable[[int], bool]] = []
    for name, value in asked.items():
        if value == "":
            continue
        if not isinstance(value, str) or not value.isdecimal() or name not in ("", *_COMPARISONS):
            raise invalid(f"Invalid created: {name} {value}", param="created")
        compare = _COMPARISONS.get(name, operator.eq)
        conditions.append(partial(_holds, compare, int(value)))
    return conditions


def _holds(compare: Callable[[int, int], bool], bound: int, created: int) -> bool:
    return compare(created, bound)
