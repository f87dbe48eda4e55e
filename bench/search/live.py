"""A search of all suppliers that nobody has made before, beside the time that the slowest of them takes when it is asked alone.

The overhead of one search is its answer time, from the client's first byte to the last, minus the longest of the six times that the
same query takes through each gateway alone. The simulated vendors share one process and this machine's cores: what they keep each
other waiting while all are asked at once is counted against the search.
"""

import time
from dataclasses import dataclass

from bench.load import BenchFailed
from bench.search.house import House
from bench.search.trips import Trips, body_of, search
from schema.errors import TravelHubError
from schema.references import new_id
from search.queries import Query, queries


@dataclass(frozen=True, slots=True)
class Pair:
    """One trip both ways."""

    search_s: float
    alone_s: dict[str, float]
    """By supplier."""
    cpu_s: dict[str, float]
    """Of the search alone, by process."""

    @property
    def overhead_s(self) -> float:
        return self.search_s - max(self.alone_s.values())


async def pair(house: House, trips: Trips, *, search_first: bool) -> Pair:
    """Who goes first changes, because the second may find the vendors warm."""
    trip = trips.another()
    asked = [query for group in queries(trip, house.vendors.suppliers()).values() for query in group]
    alone_s = {} if search_first else await _alone(asked)
    cpu_before = house.cpu_s()
    began = time.perf_counter()
    await search(house, body_of(trip))
    search_s = time.perf_counter() - began
    cpu_after = house.cpu_s()
    if search_first:
        alone_s = await _alone(asked)
    return Pair(search_s, alone_s, {name: cpu_after[name] - cpu_before[name] for name in cpu_after})


async def _alone(asked: list[Query]) -> dict[str, float]:
    """Each supplier after the other, with nobody else asking."""
    spent_s: dict[str, float] = {}
    for query in asked:
        began = time.perf_counter()
        try:
            await query.supplier.search(query.request, new_id("bench"))
        except TravelHubError as error:
            raise BenchFailed(f"{query.supplier.code} alone: {error}") from error
        spent_s[query.supplier.code] = time.perf_counter() - began
    return spent_s
