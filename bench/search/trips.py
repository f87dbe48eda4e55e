"""The searches that are measured: trips nobody has searched for, and one whose answer may be kept."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

import orjson

from bench.load import BenchFailed
from bench.search.house import SEARCHES, House
from schema.searches import TripSearch

_ROUTES: Final = (("LHR", "LIS"), ("CDG", "BCN"), ("AMS", "ATH"), ("FRA", "MAD"), ("DUB", "FCO"))
_FIRST_DAY, _LAST_DAY = 20, 300
"""From today; suppliers sell about that far ahead."""
_CANDIDATES: Final = 30


class Trips:
    """Each is handed out once, so that no supplier's answer to it can be known already."""

    def __init__(self) -> None:
        self._left = self._all()

    def another(self) -> TripSearch:
        return next(self._left)

    @staticmethod
    def _all() -> Iterator[TripSearch]:
        today = datetime.now(UTC).date()
        for day in range(_FIRST_DAY, _LAST_DAY):
            for origin, destination in _ROUTES:
                yield _trip(origin, destination, today + timedelta(days=day), nights=4)


def _trip(origin: str, destination: str, leave_on: date, nights: int) -> TripSearch:
    return TripSearch(
        origin=origin,
        destination=destination,
        departure_date=leave_on,
        return_date=leave_on + timedelta(days=nights),
    )


def body_of(trip: TripSearch) -> str:
    return trip.model_dump_json(include={"origin", "destination", "departure_date", "return_date", "kinds"})


async def cached_trip(house: House) -> tuple[str, bytes]:
    """A search of all suppliers that is answered from the cache, and that answer. Dear offers are always asked for anew (C-6c),
    so the stay is short. Raises BenchFailed where none of many trips can be kept."""
    today = datetime.now(UTC).date()
    for day in range(_CANDIDATES):
        for origin, destination in _ROUTES:
            # Beyond the days of `Trips`.
            body = body_of(_trip(origin, destination, today + timedelta(days=_LAST_DAY + day), nights=1))
            await search(house, body)
            answer = await search(house, body)
            if {report["outcome"] for report in orjson.loads(answer)["suppliers"]} == {"cached"}:
                return body, answer
    raise BenchFailed("no search is answered from the cache as a whole")


async def search(house: House, body: str) -> bytes:
    """One search, complete. Raises BenchFailed."""
    headers = {"Content-Type": "application/json"}
    answer = await house.api.post(SEARCHES, content=body, headers=headers)
    if not answer.is_success or not answer.json()["complete"]:
        raise BenchFailed(f"POST {SEARCHES} answers {answer.status_code}: {answer.text[:300]}")
    return answer.content
