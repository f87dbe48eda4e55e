"""Which runs, in which order: the product and its floor take turns, and who goes first changes with every round."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from temporalio.client import Client

from bench.checks import Books, check_floor
from bench.histories import Shape, duration_s, input_of, shape_of
from bench.house import House
from bench.live import Memory, weigh
from bench.load import Book, Ended, Floor, Run, Saga, SideName, drive
from bench.telling import ENDPOINT, SILENT, Lags, Telling

Answer = TypeVar("Answer")

ALONE: Final = 1
BUSY: Final = 20
"""Where throughput stops to grow on one machine."""
CROWD: Final = 100

_WARM_UP: Final = 24
_SHAPES: Final = 8


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything."""

    alone_rounds: int
    alone_bookings: int
    busy_rounds: int
    busy_bookings: int
    crowd_rounds: int
    crowd_bookings: int
    live: int

    def searches(self) -> int:
        return (
            _WARM_UP
            + self.alone_rounds * self.alone_bookings
            + 3 * self.busy_rounds * self.busy_bookings
            + self.crowd_rounds * self.crowd_bookings
            + self.live
        )

    def runs(self) -> int:
        """For the progress bar: the warm-up of all three, and the weighing, count as one each."""
        return 2 + 3 * self.alone_rounds + 5 * self.busy_rounds + 2 * self.crowd_rounds


FULL: Final = Sizes(
    alone_rounds=5, alone_bookings=8, busy_rounds=5, busy_bookings=60, crowd_rounds=2, crowd_bookings=120, live=100
)
QUICK: Final = Sizes(
    alone_rounds=2, alone_bookings=3, busy_rounds=1, busy_bookings=30, crowd_rounds=1, crowd_bookings=30, live=30
)


class Tell(Protocol):
    """Who is told how far it is."""

    def say(self, text: str) -> None: ...
    def prepared(self) -> None: ...
    def done(self, text: str) -> None: ...


@dataclass
class Round:
    """Runs that were next to each other, by side."""

    runs: dict[SideName, Run] = field(default_factory=dict["SideName", "Run"])
    open_s: dict[SideName, list[float]] = field(default_factory=dict["SideName", "list[float]"])
    """Alone only: from start to close of each workflow, by the server's clock."""


@dataclass
class Measured:
    """Everything that was seen."""

    rounds: dict[int, list[Round]]
    """By how many were at once."""
    shapes: dict[SideName, list[Shape]]
    memory: Memory
    lags: Lags
    """With `BUSY` at once."""
    checked: int
    """Bookings found right in all books."""


class Bench:
    """One measurement of one house."""

    def __init__(self, house: House, telling: Telling, sizes: Sizes, tell: Tell) -> None:
        self._house = house
        self._telling = telling
        self._sizes = sizes
        self._tell = tell
        self._saga = Saga(house)
        self._books = Books(house)

    async def measure(self) -> Measured:
        sizes = self._sizes
        self._tell.say("searching for trips to book (not timed)")
        await self._saga.prepare(sizes.searches(), self._tell.prepared)
        await self._books.open()
        floor = await self._warm_up()
        alone = await self._rounds(
            sizes.alone_rounds,
            sizes.alone_bookings,
            ALONE,
            {"saga": self._saga.book, "floor": floor.book, "floor, accept": floor.accept},
        )
        busy = await self._rounds(
            sizes.busy_rounds,
            sizes.busy_bookings,
            BUSY,
            # Next to each other what is compared.
            {
                "floor, child": floor.book_with_child,
                "floor": floor.book,
                "saga": self._saga.book,
                SILENT: self._saga.book,
                ENDPOINT: self._saga.book,
            },
        )
        crowd = await self._rounds(
            sizes.crowd_rounds, sizes.crowd_bookings, CROWD, {"saga": self._saga.book, "floor": floor.book}
        )
        memory = await weigh(self._house, self._saga, self._books, sizes.live)
        self._tell.done(f"{sizes.live} live bookings: worker {memory.worker_mb:.0f} MB, api {memory.api_mb:.0f} MB")
        shapes = await self._shapes(busy[-1])
        return Measured(
            {ALONE: alone, BUSY: busy, CROWD: crowd}, shapes, memory, self._telling.lags, self._books.bookings
        )

    async def _warm_up(self) -> Floor:
        """Loads code, opens connections, fills caches; and takes the floor's input from a real booking."""
        first = await drive(self._house, "saga", self._saga.book, _WARM_UP, 8)
        await self._books.check(first.ended)
        floor = Floor(self._house, await input_of(self._house.temporal, first.ended[0].workflow_id))
        for book in (floor.book, floor.book_with_child, floor.accept):
            await drive(self._house, "floor", book, _WARM_UP, 8)
        self._tell.done("warmed up")
        return floor

    async def _rounds(self, rounds: int, count: int, at_once: int, books: dict[SideName, Book]) -> list[Round]:
        order = list(books)
        done: list[Round] = []
        for number in range(rounds):
            this = Round()
            for side in order if number % 2 == 0 else reversed(order):
                async with self._telling.scene(side):
                    run = await drive(self._house, side, books[side], count, at_once)
                    await self._check(run)
                this.runs[side] = run
                if at_once == ALONE and side != "floor, accept":
                    this.open_s[side] = await self._each(run.ended, duration_s)
                median_ms = 1000 * sorted(one.total_s for one in run.ended)[count // 2]
                self._tell.done(f"{at_once:>3} at once, {side:<17} {run.per_s:6.1f}/s   p50 {median_ms:6.0f} ms")
            done.append(this)
        return done

    async def _check(self, run: Run) -> None:
        if run.side in ("saga", SILENT, ENDPOINT):
            await self._books.check(run.ended)
            if run.at_once == BUSY:
                await self._telling.look(run)
        elif run.side != "floor, accept":
            check_floor(run.ended)

    async def _shapes(self, last: Round) -> dict[SideName, list[Shape]]:
        """What a few of each side wrote into the server's history."""
        return {side: await self._each(run.ended[-_SHAPES:], shape_of) for side, run in last.runs.items()}

    async def _each(self, ended: Sequence[Ended], ask: Callable[[Client, str], Awaitable[Answer]]) -> list[Answer]:
        return [await ask(self._house.temporal, one.workflow_id) for one in ended]
