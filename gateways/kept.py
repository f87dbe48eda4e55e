"""Slow-moving facts of a vendor, kept in memory for a while: what a desk or a hotel is called."""

import time
from typing import Generic, TypeVar

KEPT_S = 3600.0
MAX_KEPT = 10_000

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Values by key, each for KEPT_S seconds; emptied when full, because a cold start costs one call."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[float, Value]] = {}

    def get(self, key: str) -> Value | None:
        until_s, value = self._values.get(key, (0.0, None))
        return value if time.monotonic() < until_s else None

    def put(self, key: str, value: Value) -> None:
        if len(self._values) >= MAX_KEPT:
            self._values.clear()
        self._values[key] = (time.monotonic() + KEPT_S, value)
