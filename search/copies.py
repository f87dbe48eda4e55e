"""Finished answers, ready to be sent again as they are: the fastest way to answer a search that was asked before.

A copy is as good as the entries it is made of. It is used only while this process hears which entries are dropped; when it has
not heard for a while, all copies are forgotten.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schema.offers import Kind

Key = tuple[str, bytes]
"""The client, and the search it sent in canonical form."""
_OVERHEAD_BYTES: Final = 1_000
"""Of the copy's own records, roughly."""


@dataclass(frozen=True, slots=True)
class Copy:
    """An answer to one client's search."""

    body: bytes
    cache_keys: tuple[str, ...]
    found_at: tuple[datetime, ...]
    fresh_until: datetime
    """Of the entry that is the first to age."""
    kinds: tuple[Kind, ...]


class Copies:
    """At most `max_bytes` of them; the least recently used go first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Key, Copy] = OrderedDict()
        self._of_entry: dict[str, set[Key]] = {}
        self._bytes = 0
        self.hears = False
        self.epoch = 0
        """Grows with every piece of news. What was read before it may not be kept after it."""

    def listening(self, *, on: bool) -> None:
        """Whether news of dropped entries arrives; what happened while it did not is unknown, so nothing is kept."""
        self.hears = on
        self._forget_all()

    def find(self, key: Key, now: datetime) -> Copy | None:
        copy = self._kept.get(key)
        if copy is None:
            return None
        if copy.fresh_until <= now:
            self._forget(key)
            return None
        self._kept.move_to_end(key)
        return copy

    def keep(self, key: Key, copy: Copy, epoch: int) -> None:
        """`epoch` is what it was before the copy's entries were read."""
        size = _size(key, copy)
        if not self.hears or epoch != self.epoch or size > self._max_bytes:
            return
        self._forget(key)
        self._kept[key] = copy
        self._bytes += size
        for cache_key in copy.cache_keys:
            self._of_entry.setdefault(cache_key, set()).add(key)
        while self._bytes > self._max_bytes:
            self._forget(next(iter(self._kept)))

    def drop(self, cache_keys: Sequence[str]) -> None:
        """The entries are gone, and so is every answer that shows them."""
        self.epoch += 1
        for cache_key in cache_keys:
            for key in list(self._of_entry.get(cache_key, ())):
                self._forget(key)

    def _forget(self, key: Key) -> None:
        copy = self._kept.pop(key, None)
        if copy is None:
            return
        self._bytes -= _size(key, copy)
        for cache_key in copy.cache_keys:
            keys = self._of_entry[cache_key]
            keys.discard(key)
            if not keys:
                del self._of_entry[cache_key]

    def _forget_all(self) -> None:
        self.epoch += 1
        self._kept.clear()
        self._of_entry.clear()
        self._bytes = 0


def _size(key: Key, copy: Copy) -> int:
    return len(key[1]) + len(copy.body) + _OVERHEAD_BYTES
