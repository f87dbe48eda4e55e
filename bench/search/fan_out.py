"""How the cost of a search grows with the number of suppliers: made-up ones that answer at once, all with the same offers, which is
the worst case for putting equal offers together. What is measured is processor time of this process, so other load hardly matters."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from api.search_views import result_of
from bench.search.house import House
from bench.search.trips import Trips
from gateways.ports import Supplier
from gateways.registry import VendorRegistry
from gateways.traffic import Unbounded
from schema.offers import FoundOffer, SearchRequest
from schema.references import new_id
from search.house import SearchHouse, open_search
from search.queries import queries
from search.searching import Wish
from store.clients import ensure_client
from store.database import Database
from store.valkey import Valkey

NUMBERS: Final = (2, 4, 6, 12, 24)
_LIKE: Final = "liteapi"
"""The supplier whose answers the made-up ones give."""


@dataclass(frozen=True, slots=True)
class _MadeUp:
    """Of a supplier, what a search asks of it."""

    code: str
    answer: list[FoundOffer]
    kind: str = "hotel"
    vendor: str = "made up"

    async def search(self, request: SearchRequest, correlation_id: str) -> list[FoundOffer]:
        return [
            found.model_copy(update={"offer": found.offer.model_copy(update={"supplier": self.code})})
            for found in self.answer
        ]


async def cost_by_number(house: House, trips: Trips, searches: int) -> dict[int, float]:
    """Milliseconds of processor time a search, by how many suppliers were asked."""
    settings = house.stack.settings()
    database, valkey = Database(str(settings.database_url), 4), Valkey(str(settings.valkey_url))
    try:
        client_id = await ensure_client(database, name="bench", scopes=[], token=new_id("bench"))
        cost_ms: dict[int, float] = {}
        for number in NUMBERS:
            spent_ms: list[float] = []
            for _ in range(searches):
                wish = Wish(client_id, trips.another().model_copy(update={"kinds": ["hotel"]}), b"", new_id("bench"))
                suppliers = await _made_up(house, wish, number)
                vendors = VendorRegistry(suppliers, [], [], [], None, [], Unbounded())
                async with open_search(database, valkey, vendors, settings.search) as room:
                    spent_ms.append(await _search_ms(room, wish))
            # The cheapest: whatever else the process did meanwhile only adds.
            cost_ms[number] = min(spent_ms)
        return cost_ms
    finally:
        await valkey.aclose()
        await database.aclose()


def growth(cost_ms: dict[int, float]) -> float:
    """The power of the number of suppliers that the cost grows with, between 6 of them and the most: 1 is in proportion, 2 is its
    square."""
    most, six = max(NUMBERS), 6
    return math.log(cost_ms[most] / cost_ms[six]) / math.log(most / six)


async def _made_up(house: House, wish: Wish, number: int) -> list[Supplier]:
    like = house.vendors.supplier(_LIKE)
    (query,) = queries(wish.trip, [like])[_LIKE]
    answer = await like.search(query.request, wish.correlation_id)
    made_up: Sequence[object] = [_MadeUp(f"made_up_{each}", answer) for each in range(number)]
    return cast("list[Supplier]", made_up)


async def _search_ms(room: SearchHouse, wish: Wish) -> float:
    """As the API does it, up to the bytes of the answer."""
    began = time.process_time()
    finding = await room.searching.find(wish)
    result_of(finding, room.rates).model_dump_json()
    return 1000 * (time.process_time() - began)
