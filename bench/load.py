"""One run: so many bookings with so many at once, each followed until its workflow has closed."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Final, Literal, cast

from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from bench.floor import FLOOR_QUEUE, NoopAcceptWorkflow, NoopBookingWorkflow, NoopParentWorkflow
from bench.house import House
from schema.bookings import BookingInput, BookingResult, StateChange, workflow_id_for
from schema.references import booking_id_for, new_id
from schema.states import BookingState

SideName = Literal["saga", "saga, no webhooks", "saga, endpoint", "floor", "floor, child", "floor, accept"]

_PREPARED_AT_ONCE: Final = 4
_SETTLE_S: Final = 0.5
"""What trails a run (webhooks, visibility) is counted to it, and not to the next."""
_ACCEPTED: Final = 202


class BenchFailed(Exception):
    """A booking did not end as it must: a fast wrong answer is worth nothing."""


@dataclass(frozen=True, slots=True)
class Ended:
    """One booking, from the client's first byte to the moment the client knows that the workflow has closed."""

    workflow_id: str
    accepted_s: float
    total_s: float
    result: BookingResult | None


@dataclass(frozen=True, slots=True)
class Run:
    """What one run measured."""

    side: SideName
    at_once: int
    ended: list[Ended]
    elapsed_s: float
    cpu_s: dict[str, float]

    @property
    def per_s(self) -> float:
        return len(self.ended) / self.elapsed_s

    def cpu_ms(self, *names: str) -> float:
        """Of these processes together, a booking."""
        return 1000 * sum(self.cpu_s[name] for name in names) / len(self.ended)


Book = Callable[[], Awaitable[Ended]]


async def drive(house: House, side: SideName, book: Book, count: int, at_once: int) -> Run:
    """Keeps `at_once` bookings going until `count` are done."""
    left = deque(range(count))
    ended: list[Ended] = []

    async def one_after_the_other() -> None:
        while left:
            left.popleft()
            ended.append(await book())

    cpu_before = house.cpu_s()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(min(at_once, count)):
            group.create_task(one_after_the_other())
    elapsed_s = time.perf_counter() - began
    await asyncio.sleep(_SETTLE_S)
    cpu_after = house.cpu_s()
    used_s = {name: cpu_after[name] - cpu_before[name] for name in cpu_before}
    return Run(side, at_once, ended, elapsed_s, used_s)


class Saga:
    """The product, through its own door. Each offer of a flight books once, so every booking has a search of its own, for dates that
    nobody has asked for: no answer to it can be kept already."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._ready: deque[dict[str, object]] = deque()
        self._dates = _dates()

    async def prepare(self, count: int, prepared: Callable[[], None]) -> None:
        """Searches for what `count` bookings will ask for, and says so after each; not part of what is timed."""
        others = await self._search(["hotel", "car"])
        left = deque(range(count))

        async def one_after_the_other() -> None:
            while left:
                left.popleft()
                flight = await self._search(["flight"])
                self._ready.append(_request([*flight, *others]))
                prepared()

        async with asyncio.TaskGroup() as group:
            for _ in range(_PREPARED_AT_ONCE):
                group.create_task(one_after_the_other())

    async def post(self) -> tuple[str, float]:
        """Accepted: the booking's id, and how long that took."""
        request = self._ready.popleft()
        began = time.perf_counter()
        answer = await self._house.api.post("/v1/bookings", json=request, headers={"Idempotency-Key": new_id("bench")})
        accepted_s = time.perf_counter() - began
        if answer.status_code != _ACCEPTED:
            raise BenchFailed(f"POST /v1/bookings answers {answer.status_code}: {answer.text[:300]}")
        return answer.json()["booking_id"], accepted_s

    async def book(self) -> Ended:
        began = time.perf_counter()
        booking_id, accepted_s = await self.post()
        result = await self.follow(booking_id)
        return Ended(workflow_id_for(booking_id), accepted_s, time.perf_counter() - began, result)

    async def follow(self, booking_id: str) -> BookingResult:
        """How the saga ended."""
        workflow_id = workflow_id_for(booking_id)
        handle = self._house.temporal.get_workflow_handle(workflow_id, result_type=BookingResult)
        return await handle.result()

    async def _search(self, kinds: list[str]) -> list[dict[str, object]]:
        """The first offer of each kind that the measured graph needs: a flight and a hotel that can be held, any car."""
        departure, back = next(self._dates)
        wanted = {
            "origin": "LHR",
            "destination": "LIS",
            "departure_date": departure.isoformat(),
            "return_date": back.isoformat(),
            "kinds": kinds,
        }
        answer = await self._house.api.post("/v1/searches", json=wanted)
        offers = cast("list[dict[str, object]]", answer.raise_for_status().json()["offers"])
        found: list[dict[str, object]] = []
        for kind in kinds:
            of_kind = [offer for offer in offers if offer["kind"] == kind and offer["holdable"] == (kind != "car")]
            if not of_kind:
                raise BenchFailed(f"the sandbox offers no {kind} of the kind that is measured")
            found.append(of_kind[0])
        return found


def _dates() -> Iterator[tuple[date, date]]:
    """Days to leave and to come back, each pair once; suppliers sell about that far ahead."""
    today = datetime.now(UTC).date()
    for day, nights in product(range(20, 300), range(3, 10)):
        yield today + timedelta(days=day), today + timedelta(days=day + nights)


def _request(offers: list[dict[str, object]]) -> dict[str, object]:
    prices = [cast("dict[str, int]", offer["price"]) for offer in offers]
    traveller = {
        "title": "ms",
        "given_name": "Amelia",
        "family_name": "Earhart",
        "gender": "f",
        "date_of_birth": "1987-07-24",
        "email": "amelia@example.com",
        "phone_number": "+442080160509",
    }
    return {
        "items": [{"offer_id": offer["offer_id"]} for offer in offers],
        "travellers": [traveller],
        "payment": {"method": "card", "provider": "stripe", "payment_method_id": "pm_card_visa"},
        "expected_total": {"amount_minor": sum(price["amount_minor"] for price in prices), "currency": "EUR"},
    }


@dataclass
class Floor:
    """Empty sagas, started as raw as a client can, with the input of a real booking under another id."""

    house: House
    plan: BookingInput
    started: int = field(default=0, init=False)

    async def book(self) -> Ended:
        return await self._book(NoopBookingWorkflow)

    async def book_with_child(self) -> Ended:
        return await self._book(NoopParentWorkflow)

    async def accept(self) -> Ended:
        """Accepted by an update that starts its workflow."""
        plan = self._next()
        workflow_id = f"noop-accept-{plan.booking_id}"
        change = StateChange(
            booking_id=plan.booking_id, version=1, state=BookingState.PENDING, total=plan.consent.total
        )
        began = time.perf_counter()
        start = WithStartWorkflowOperation(
            NoopAcceptWorkflow.run,
            plan,
            id=workflow_id,
            task_queue=FLOOR_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        await self.house.temporal.execute_update_with_start_workflow(
            NoopAcceptWorkflow.accept, change, start_workflow_operation=start
        )
        accepted_s = time.perf_counter() - began
        await (await start.workflow_handle()).result()
        return Ended(workflow_id, accepted_s, time.perf_counter() - began, None)

    async def _book(self, workflow: type[NoopBookingWorkflow] | type[NoopParentWorkflow]) -> Ended:
        plan = self._next()
        workflow_id = f"noop-{plan.booking_id}"
        began = time.perf_counter()
        handle = await self.house.temporal.start_workflow(
            workflow.__name__, plan, id=workflow_id, task_queue=FLOOR_QUEUE, result_type=BookingResult
        )
        accepted_s = time.perf_counter() - began
        result = await handle.result()
        return Ended(workflow_id, accepted_s, time.perf_counter() - began, result)

    def _next(self) -> BookingInput:
        self.started += 1
        return self.plan.model_copy(update={"booking_id": booking_id_for("bench", str(self.started))})
