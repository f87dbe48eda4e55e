"""The read path put together, for the processes that search."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from gateways.ports import Vendors
from schema.searches import SearchPolicy
from search.ages import Ages
from search.asking import Asking
from search.circuits import Circuits
from search.copies import Copies
from search.listening import listen
from search.rates import Rates
from search.running import Running
from search.searching import Searching
from store.database import Database
from store.valkey import Valkey

_ASK_AGAIN_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class SearchHouse:
    """What the API needs of it."""

    searching: Searching
    running: Running
    circuits: Circuits
    rates: Rates
    copies: Copies
    ages: Ages


@asynccontextmanager
async def open_search(
    database: Database, valkey: Valkey, vendors: Vendors, policy: SearchPolicy
) -> AsyncIterator[SearchHouse]:
    """Closed, it has ended every search that was running."""
    rates, copies, ages, circuits = (
        Rates(policy.exchange_rates),
        Copies(policy.copies_max_bytes),
        Ages(),
        Circuits(vendors),
    )
    asking = Asking(database, valkey, rates, policy)
    searching = Searching(database, valkey, vendors, policy, asking, circuits, ages)
    running = Running(searching)
    listening = asyncio.create_task(listen(valkey, copies, ages))
    try:
        yield SearchHouse(searching, running, circuits, rates, copies, ages)
    finally:
        await running.aclose()
        await asking.aclose()
        while not listening.done():
            # Once is not enough: redis-py can swallow a cancellation that meets it while it reads.
            listening.cancel()
            await asyncio.wait({listening}, timeout=_ASK_AGAIN_S)


def searching_alone(database: Database, valkey: Valkey, vendors: Vendors, policy: SearchPolicy) -> Searching:
    """For a process that searches now and then, and keeps nothing between searches: there is nothing to close."""
    asking = Asking(database, valkey, Rates(policy.exchange_rates), policy)
    return Searching(database, valkey, vendors, policy, asking, Circuits(vendors), Ages())
