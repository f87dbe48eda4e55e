"""The bench's floor has the saga's activity graph: one real booking and one empty one, their histories side by side."""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import orjson
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.worker import Worker

from bench import floor_worker
from bench.floor import FLOOR_ACTIVITIES, FLOOR_QUEUE, FLOOR_WORKFLOWS
from bench.histories import events_of, input_of
from schema.bookings import BookingInput, BookingResult, SagaPolicy
from schema.references import booking_id_for
from schema.states import BookingState
from tests.saga.harness import House, running_house
from workers import main as worker_main
from workers.main import workflow_runner

pytestmark = pytest.mark.stack

SIZES = 0.15
"""By how much the floor's messages may be smaller or larger."""
OWN_BUSINESS = {"workflows", "activities", "interceptors"}
"""Options of a worker that are not the engine's."""


@dataclass
class Histories:
    """Of a real booking, and of the floor's with the payment inside and as a child."""

    real: list[HistoryEvent]
    floor: list[HistoryEvent]
    parent: list[HistoryEvent]
    child: list[HistoryEvent]
    house: House


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def histories(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Histories]:
    async with running_house(tmp_path_factory.mktemp("floor")) as house, house.worker(), _floor(house):
        # The policy of production: the options of every activity follow from it.
        trip = await house.prepare(policy=SagaPolicy())
        booked = await (await house.start(trip)).result()
        assert booked.state == BookingState.CONFIRMED
        plan = await input_of(house.client, f"booking-{trip.booking_id}")
        assert plan == trip.plan
        inside = await _run(house, "NoopBookingWorkflow", plan)
        outside = await _run(house, "NoopParentWorkflow", plan)
        yield Histories(
            real=await events_of(house.client, f"booking-{trip.booking_id}"),
            floor=await events_of(house.client, f"noop-{inside}"),
            parent=await events_of(house.client, f"noop-{outside}"),
            child=await events_of(house.client, f"payment-{outside}-0"),
            house=house,
        )


@asynccontextmanager
async def _floor(house: House) -> AsyncGenerator[None]:
    async with Worker(
        house.client,
        task_queue=FLOOR_QUEUE,
        workflows=FLOOR_WORKFLOWS,
        activities=FLOOR_ACTIVITIES,
        workflow_runner=workflow_runner(house.settings),
    ):
        yield


async def _run(house: House, workflow: str, plan: BookingInput) -> str:
    """Runs the floor with a real booking's input under an id of its own."""
    booking_id = booking_id_for("floor", workflow)
    mine = plan.model_copy(update={"booking_id": booking_id})
    result = await house.client.execute_workflow(
        workflow, mine, id=f"noop-{booking_id}", task_queue=FLOOR_QUEUE, result_type=BookingResult
    )
    assert result == BookingResult(booking_id=booking_id, state=BookingState.CONFIRMED, captured=plan.consent.total)
    return booking_id


def activities_of(events: list[HistoryEvent]) -> list[str]:
    """The steps in the order in which workflow code asked for them: remote as scheduled, local as recorded."""
    steps = []
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            steps.append(f"remote {event.activity_task_scheduled_event_attributes.activity_type.name}")
        elif event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
            marker = event.marker_recorded_event_attributes
            assert marker.marker_name == "core_local_activity"
            data = orjson.loads(marker.details["data"].payloads[0].data)
            steps.append(f"local {data['activity_type']}")
    return steps


def options_of(events: list[HistoryEvent]) -> list[Message]:
    """Time limits and retry policies of the remote steps."""
    options = []
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled = type(event.activity_task_scheduled_event_attributes)()
            scheduled.CopyFrom(event.activity_task_scheduled_event_attributes)
            for own in ("activity_id", "input", "task_queue", "workflow_task_completed_event_id"):
                scheduled.ClearField(own)
            options.append(scheduled)
    return options


def bytes_of(events: list[HistoryEvent]) -> dict[str, int]:
    """How much went in and out of steps of each type, and of the workflow."""
    sizes: Counter[str] = Counter()
    types: dict[int, str] = {}
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            sizes["workflow, in"] += event.workflow_execution_started_event_attributes.input.ByteSize()
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
            sizes["workflow, out"] += event.workflow_execution_completed_event_attributes.result.ByteSize()
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled = event.activity_task_scheduled_event_attributes
            types[event.event_id] = scheduled.activity_type.name
            sizes[f"{types[event.event_id]}, in"] += scheduled.input.ByteSize()
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            completed = event.activity_task_completed_event_attributes
            sizes[f"{types[completed.scheduled_event_id]}, out"] += completed.result.ByteSize()
        elif event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
            sizes["local, out"] += event.marker_recorded_event_attributes.details["result"].ByteSize()
    return dict(sizes)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_floor_runs_the_steps_of_the_saga_in_its_order(histories):
    steps = activities_of(histories.real)
    assert steps.count("local check_price") == 3, "the measured trip has a flight, a hotel and a car"
    assert activities_of(histories.floor) == steps


@pytest.mark.asyncio(loop_scope="module")
async def test_the_floor_asks_for_them_with_the_same_options(histories):
    assert options_of(histories.floor) == options_of(histories.real)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_floor_sends_and_keeps_about_as_much(histories):
    real, floor = bytes_of(histories.real), bytes_of(histories.floor)
    assert floor.keys() == real.keys()
    for what, size_bytes in real.items():
        assert floor[what] == pytest.approx(size_bytes, rel=SIZES), (
            f"{what}: {floor[what]} instead of {size_bytes} bytes"
        )


@pytest.mark.asyncio(loop_scope="module")
async def test_a_payment_as_a_child_runs_the_same_steps_elsewhere(histories):
    together = activities_of(histories.parent) + activities_of(histories.child)
    assert sorted(together) == sorted(activities_of(histories.floor))
    assert activities_of(histories.child) == ["remote authorise", "remote capture"]


class Asked(Exception):
    """Instead of a worker: what it was to be made with."""

    def __init__(self, _client, **options):
        super().__init__()
        self.options = options


@pytest.mark.asyncio(loop_scope="module")
async def test_the_floors_worker_has_the_options_of_the_products(histories, monkeypatch):
    def refuse(client, **options):
        raise Asked(client, **options)

    made = []
    for module, run in ((worker_main, worker_main.run_worker), (floor_worker, floor_worker.run_floor_worker)):
        monkeypatch.setattr(module, "Worker", refuse)
        with pytest.raises(Asked) as asked:
            await run(histories.house.settings)
        made.append(asked.value.options)
    product, floor = made
    assert (product.pop("task_queue"), floor.pop("task_queue")) == ("bookings", FLOOR_QUEUE)
    assert type(product.pop("workflow_runner")) is type(floor.pop("workflow_runner"))
    assert floor == {name: option for name, option in product.items() if name not in OWN_BUSINESS} | {
        "workflows": FLOOR_WORKFLOWS,
        "activities": FLOOR_ACTIVITIES,
    }
    assert floor["graceful_shutdown_timeout"] == timedelta(seconds=20)
