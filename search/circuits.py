"""Read-only mode: whether anybody who sells a kind of item can be reached at all (C-3d)."""

import asyncio
from collections.abc import Iterable
from time import monotonic
from typing import Final

from gateways.ports import Vendors
from schema.offers import Kind

_REMEMBERED_S: Final = 1.0


class Circuits:
    """Remembers for a second what it found, because every search and every booking asks."""

    def __init__(self, vendors: Vendors) -> None:
        self._vendors = vendors
        self._known: dict[Kind, tuple[float, float | None]] = {}

    async def read_only(self, kinds: Iterable[Kind]) -> list[Kind]:
        """Those of the kinds whose suppliers' circuits are all open."""
        return [kind for kind in kinds if await self.opens_again_in_s(kind) is not None]

    async def opens_again_in_s(self, kind: Kind) -> float | None:
        """Until the first of its suppliers is tried again; None if one can be asked now, or nobody sells the kind."""
        until, seconds = self._known.get(kind, (0.0, None))
        if monotonic() >= until:
            # Meanwhile the others go by what was known: one asks for all.
            self._known[kind] = (monotonic() + _REMEMBERED_S, seconds)
            seconds = await self._ask(kind)
            self._known[kind] = (monotonic() + _REMEMBERED_S, seconds)
        return seconds

    async def _ask(self, kind: Kind) -> float | None:
        vendors = {supplier.vendor for supplier in self._vendors.suppliers(kind)}
        found = await asyncio.gather(*(self._vendors.traffic.status(vendor) for vendor in vendors))
        if any(status.circuit != "open" for status in found):
            return None
        return min((status.opens_again_in_s or 0.0 for status in found), default=None)
