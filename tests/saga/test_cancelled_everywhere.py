"""W1: a cancellation at every activity of a saga, as it begins and as it ends, also while everything is being undone, also twice.

From Temporal's Web UI it is a workflow cancellation, from the traveller an update; neither may tear the saga. Every combination
is enumerated: the n-th activity of the run, for every n the run can have.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import pytest_asyncio
from temporalio import activity
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor
from typing_extensions import override

from schema.bookings import Accepted, CancelRequest
from schema.states import BookingState
from tests.saga.driver import Ended
from tests.saga.harness import FAST, House
from tests.saga.replaying import replay
from tests.saga.table import CAR_ROUTE, Case
from workers.audit import check, gather
from workers.interceptors import ObservedActivities

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

HAPPY_ACTIVITIES = 14
"""3 price checks, authorise, 2 holds, 1 booking, 2 confirmations, the capture, and the records in between."""
UNDOING_ACTIVITIES = 16
Moment = Literal["begins", "ends"]
Who = Literal["web_ui", "traveller"]


@dataclass(frozen=True)
class Point:
    """Where a cancellation meets the saga."""

    scenario: Literal["held", "car_refused"]
    nth: int
    moment: Moment
    who: Who
    times: int = 1

    @property
    def id(self) -> str:
        return f"{self.scenario}-{self.who}-{self.times}x-as-activity-{self.nth}-{self.moment}"


def all_points() -> list[Point]:
    points: list[Point] = []
    for moment in ("begins", "ends"):
        for nth in range(1, HAPPY_ACTIVITIES + 1):
            points += [Point("held", nth, moment, "web_ui"), Point("held", nth, moment, "traveller")]
        points += [Point("car_refused", nth, moment, "web_ui") for nth in range(1, UNDOING_ACTIVITIES + 1)]
    points += [Point("car_refused", nth, "begins", "web_ui", times=2) for nth in range(1, UNDOING_ACTIVITIES + 1)]
    return points


class CancelAt(Interceptor):
    """Sends the planned cancellation when its activity is reached."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.points: dict[str, Point] = {}
        self.seen: dict[str, int] = defaultdict(int)
        self.sent: set[str] = set()
        self.background: set[asyncio.Task[None]] = set()

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next, self)

    async def reached(self, workflow_id: str, nth: int, moment: Moment) -> None:
        point = self.points.get(workflow_id)
        if point is None or (point.nth, point.moment) != (nth, moment):
            return
        for _ in range(point.times):
            if point.who == "web_ui":
                await self.client.get_workflow_handle(workflow_id).cancel()
            else:
                # Not awaited: during a local activity the workflow task that would answer is the one that waits for it.
                task = asyncio.create_task(self._update(workflow_id))
                self.background.add(task)
        self.sent.add(workflow_id)

    async def _update(self, workflow_id: str) -> None:
        handle = self.client.get_workflow_handle(workflow_id)
        with contextlib.suppress(WorkflowUpdateFailedError, RPCError):  # refused after the pivot, or it has ended
            await handle.execute_update("cancel", CancelRequest(requested_by="traveller"), result_type=Accepted)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, owner: CancelAt) -> None:
        super().__init__(inner)
        self._owner = owner

    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        workflow_id = activity.info().workflow_id or ""
        self._owner.seen[workflow_id] += 1
        nth = self._owner.seen[workflow_id]
        await self._owner.reached(workflow_id, nth, "begins")
        result = await super().execute_activity(input)
        await self._owner.reached(workflow_id, nth, "ends")
        return result


@dataclass
class Outcome:
    state: BookingState
    violations: list[str]
    met: bool
    ended: Ended


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outcomes(
    house: House, request: pytest.FixtureRequest, say: Callable[[str], None]
) -> AsyncGenerator[dict[str, Outcome]]:
    """Runs the selected points side by side, then audits them together."""
    parameters = [
        item.callspec.params.get("point")
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    points = [point for point in parameters if isinstance(point, Point)]
    interceptor = CancelAt(house.client)
    places = asyncio.Semaphore(16)
    ended: dict[str, Ended] = {}

    async def run(point: Point) -> None:
        async with places:
            trip = await house.prepare()
            workflow_id = f"booking-{trip.booking_id}"
            interceptor.points[workflow_id] = point
            if point.scenario == "car_refused":
                await house.fault(contains=trip.correlation_id, **CAR_ROUTE, action="refuse")
            handle = await house.start(trip)
            async with asyncio.timeout(200):
                result = await handle.result()
            ended[point.id] = Ended(Case(point.scenario), trip, result.state, result.reason, [handle], False)

    async with house.worker(interceptors=[ObservedActivities(), interceptor], sandboxed=False):
        await asyncio.gather(*(run(point) for point in points))
        await asyncio.gather(*interceptor.background)
    say(f"  cancelled at {len(points)} points\n")
    booking_ids = [entry.trip.booking_id for entry in ended.values()]
    report = check(await gather(house.settings, booking_ids, policy=FAST, histories=0))
    yield {
        name: Outcome(
            state=entry.state,
            violations=[found.text for found in report.violations if found.booking_id == entry.trip.booking_id],
            met=f"booking-{entry.trip.booking_id}" in interceptor.sent,
            ended=entry,
        )
        for name, entry in ended.items()
    }


@pytest.mark.parametrize("point", all_points(), ids=lambda point: point.id)
async def test_a_cancellation_never_tears_the_saga(point: Point, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[point.id]
    allowed = {BookingState.CANCELLED, BookingState.CONFIRMED if point.scenario == "held" else BookingState.FAILED}
    assert outcome.state in allowed
    assert outcome.violations == []
    await replay(outcome.ended)


async def test_the_points_cover_the_whole_run(outcomes: dict[str, Outcome]) -> None:
    """Each point before the last activity was met, and the first that was not lies behind the end of the run."""
    if len(outcomes) < len(all_points()):
        pytest.skip("only part of the table was selected")
    for scenario, longest in (("held", HAPPY_ACTIVITIES), ("car_refused", UNDOING_ACTIVITIES)):
        met = {
            point.nth
            for point in all_points()
            if point.scenario == scenario and point.who == "web_ui" and outcomes[point.id].met
        }
        assert met == set(range(1, max(met) + 1)), "a point in the middle was never reached"
        assert max(met) >= longest - 3, "the run is shorter than the table thinks: the table must follow"
    early = [outcomes[Point("held", nth, "begins", "web_ui").id].state for nth in range(1, 7)]
    assert set(early) == {BookingState.CANCELLED}, "before the pivot a cancellation is honoured"
