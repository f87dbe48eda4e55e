"""What is measured: memory with and without listeners; then messages at a steady pace, and to everybody at once."""

import asyncio
import time
from dataclasses import dataclass

from bench.command import Say
from bench.feed.listeners import Listeners, listening
from bench.feed.planting import Planted, happen, plant
from bench.house import House


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything."""

    clients: int
    connections: int
    steady: int
    """Messages to each API client, one API client after the other."""
    pause_s: float
    """Between two of them."""
    bursts: int
    """Messages to all API clients in one transaction."""


FULL = Sizes(clients=100, connections=2000, steady=6, pause_s=0.03, bursts=5)
QUICK = Sizes(clients=5, connections=50, steady=2, pause_s=0.02, bursts=2)


@dataclass(frozen=True, slots=True)
class Measured:
    connections: int
    api_idle_mb: float
    api_mb: float
    steady_per_s: float
    """Messages that arrived, all connections together."""
    steady_ms: list[float]
    steady_cpu_ms: float
    """Of the API, for one message on one connection."""
    burst_ms: list[float]

    @property
    def kb_per_connection(self) -> float:
        return 1000 * (self.api_mb - self.api_idle_mb) / self.connections


async def measure(house: House, sizes: Sizes, say: Say) -> Measured:
    say(f"making {sizes.clients} API clients")
    planted = await plant(house.database, sizes.clients)
    await happen(house.database, planted, 1)
    # One connection before anything is counted: what a process opens once is not a connection's.
    async with listening(house.stack.state.api_url, planted, 1) as first:
        await first.have_heard(1)
    idle_mb = house.resident_mb("api")
    say(f"connecting {sizes.connections} listeners")
    async with listening(house.stack.state.api_url, planted, sizes.connections) as listeners:
        await listeners.have_heard(1)
        listeners.take_latencies_ms()
        say("messages at a steady pace")
        began, used_s = time.perf_counter(), house.cpu_s()["api"]
        await _steadily(house, planted, listeners, sizes)
        elapsed_s, used_s = time.perf_counter() - began, house.cpu_s()["api"] - used_s
        steady_ms = listeners.take_latencies_ms()
        say("messages to everybody at once")
        for burst in range(sizes.bursts):
            await happen(house.database, planted, sizes.steady + burst + 2)
            await listeners.have_heard(sizes.steady + burst + 2)
        return Measured(
            connections=sizes.connections,
            api_idle_mb=idle_mb,
            api_mb=house.resident_mb("api"),
            steady_per_s=len(steady_ms) / elapsed_s,
            steady_ms=steady_ms,
            steady_cpu_ms=1000 * used_s / len(steady_ms),
            burst_ms=listeners.take_latencies_ms(),
        )


async def _steadily(house: House, planted: list[Planted], listeners: Listeners, sizes: Sizes) -> None:
    for version in range(2, sizes.steady + 2):
        for one in planted:
            await happen(house.database, [one], version)
            await asyncio.sleep(sizes.pause_s)
    await listeners.have_heard(sizes.steady + 1)
