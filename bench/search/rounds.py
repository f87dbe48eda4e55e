"""Which runs, in which order: the cached search and the empty route take turns, and who goes first changes with every round."""

from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol

import orjson

from bench.search.fan_out import cost_by_number
from bench.search.house import EmptyRoute, House, running_empty_route
from bench.search.live import Pair, pair
from bench.search.load import Loaded
from bench.search.trips import Trips, body_of, cached_trip

BUSY: Final = 50
"""Connections to a cached search and to the empty route."""
FEW: Final = 4
"""Connections for live searches: each keeps six suppliers busy, all of them in one process here."""
_WARM_UP_S: Final = 1
_WARM_UP_PAIRS: Final = 3
_DISTINCT: Final = 10_000
"""Searches that differ only in what is shown; more than a run can make."""
_NO_LIMIT_MINOR: Final = 10_000_000
_LIVE_BODIES: Final = 400


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything."""

    rounds: int
    load_s: float
    pairs: int
    live_s: float
    fan_out_searches: int


FULL: Final = Sizes(rounds=9, load_s=1.2, pairs=40, live_s=6, fan_out_searches=5)
QUICK: Final = Sizes(rounds=1, load_s=0.5, pairs=4, live_s=1, fan_out_searches=1)


@dataclass(frozen=True, slots=True)
class Round:
    """Runs that were next to each other."""

    empty: Loaded
    cached: Loaded
    assembled: Loaded
    """From the same entries of the cache, but with an answer that nobody had before: another filter each time."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that was seen."""

    payload_bytes: int
    rounds: list[Round]
    pairs: list[Pair]
    live: Loaded
    fan_out_ms: dict[int, float]


class Tell(Protocol):
    """Who is told how far it is."""

    def __call__(self, text: str, /) -> None: ...


class Bench:
    """One measurement of one house."""

    def __init__(self, house: House, sizes: Sizes, say: Tell) -> None:
        self._house = house
        self._sizes = sizes
        self._say = say
        self._trips = Trips()
        self._numbers = count()

    async def measure(self) -> Measured:
        self._say("searching for a trip that can be cached")
        body, payload = await cached_trip(self._house)
        async with running_empty_route(self._house, payload, self._say) as empty:
            rounds = await self._cached(body, empty)
        pairs = await self._pairs()
        self._say(f"live searches, {FEW} at once")
        bodies = [body_of(self._trips.another()) for _ in range(_LIVE_BODIES)]
        live = await self._house.load_searches(bodies, FEW, self._sizes.live_s)
        self._say("made-up suppliers, up to 24 of them")
        fan_out_ms = await cost_by_number(self._house, self._trips, self._sizes.fan_out_searches)
        return Measured(len(payload), rounds, pairs, live, fan_out_ms)

    async def _cached(self, body: str, empty: EmptyRoute) -> list[Round]:
        async def run_empty(duration_s: float) -> Loaded:
            return await empty.load(body, BUSY, duration_s)

        async def run_cached(duration_s: float) -> Loaded:
            return await self._house.load_searches([body], BUSY, duration_s)

        async def run_assembled(duration_s: float) -> Loaded:
            return await self._house.load_searches(self._shown_otherwise(body), BUSY, duration_s)

        sides = {"empty": run_empty, "cached": run_cached, "assembled": run_assembled}
        for run in sides.values():
            await run(_WARM_UP_S)
        rounds: list[Round] = []
        for number in range(self._sizes.rounds):
            runs: dict[str, Loaded] = {}
            for side in sides if number % 2 == 0 else reversed(sides):
                runs[side] = await sides[side](self._sizes.load_s)
                self._say(f"{BUSY} at once, {side:<9} {runs[side].per_s:7.0f}/s")
            rounds.append(Round(**runs))
        return rounds

    def _shown_otherwise(self, body: str) -> list[str]:
        trip = orjson.loads(body)
        limits = (_NO_LIMIT_MINOR + next(self._numbers) for _ in range(_DISTINCT))
        return [orjson.dumps({**trip, "filters": {"price_max_minor": limit}}).decode() for limit in limits]

    async def _pairs(self) -> list[Pair]:
        self._say(f"{self._sizes.pairs} live searches, each beside its suppliers asked alone")
        for number in range(_WARM_UP_PAIRS):
            await pair(self._house, self._trips, search_first=number % 2 == 0)
        return [
            await pair(self._house, self._trips, search_first=number % 2 == 0) for number in range(self._sizes.pairs)
        ]
