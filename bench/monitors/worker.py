"""The process that watches: the product's workflows and activities, with a source of flight status that always says "as planned"."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from typing import Final

import uvloop
from temporalio.worker import Worker

from activities.monitor_sweeping import MonitorSweeping
from activities.watching import Watching
from gateways.flight_ports import FlightStatusSource
from gateways.registry import VendorRegistry
from gateways.traffic import Unbounded
from schema.flights import FlightId, FlightNews
from schema.settings import Settings
from store.database import Database
from workers.interceptors import ObservedActivities
from workers.main import settle_memory, workflow_runner
from workers.temporal import temporal_connection
from workflows.flight_monitor import FlightMonitorWorkflow
from workflows.monitor_sweep import MonitorSweepWorkflow

QUEUE: Final = "bookings"


class AsPlanned:
    """The port `FlightStatusSource`; answers at once."""

    @property
    def code(self) -> str:
        return "simulated"

    async def status(self, flight: FlightId, correlation_id: str) -> FlightNews | None:
        return FlightNews(flight=flight, source=self.code, said_at=datetime.now(UTC), phase="scheduled")


async def run_worker(settings: Settings) -> None:
    """Polls until SIGTERM."""
    database, source = Database(str(settings.database_url), settings.database_pool_size), AsPlanned()
    vendors = _only(source)
    client = await temporal_connection(settings)
    watching, sweeping = Watching(database, vendors), MonitorSweeping(database, client, settings.flights)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[FlightMonitorWorkflow, MonitorSweepWorkflow],
        activities=[
            watching.poll_flight,
            watching.look_at_flight,
            watching.fan_out_batch,
            watching.tell_newcomers,
            watching.end_watching,
            sweeping.sweep_monitors,
        ],
        workflow_runner=workflow_runner(settings),
        interceptors=[ObservedActivities()],
        max_concurrent_activities=settings.worker_max_activities,
        max_concurrent_workflow_tasks=settings.worker_max_workflow_tasks,
        max_concurrent_activity_task_polls=settings.worker_pollers,
        max_concurrent_workflow_task_polls=settings.worker_pollers,
        max_cached_workflows=max(1000, 2 * settings.sagas_in_flight),
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settle_memory()
    async with worker:
        await stop.wait()
    await database.aclose()


def _only(source: FlightStatusSource) -> VendorRegistry:
    return VendorRegistry(
        suppliers=[], payments=[], notifying=[], senders=[], flight_status=source, https=[], traffic=Unbounded()
    )


def main() -> None:
    """Runs until told to stop, with the event loop that the product's worker runs on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_worker(Settings.load()))
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of Temporal's core do not always survive the interpreter's own way out.
    os._exit(0)


if __name__ == "__main__":
    main()
