"""The process that runs the floor: a worker with the options of the product's, and nothing to do."""

import asyncio
import os
import signal
import sys
from datetime import timedelta

import uvloop
from temporalio.worker import Worker

from bench.floor import FLOOR_ACTIVITIES, FLOOR_QUEUE, FLOOR_WORKFLOWS
from schema.settings import Settings
from workers.main import settle_memory, workflow_runner
from workers.temporal import temporal_connection


async def run_floor_worker(settings: Settings) -> None:
    """Polls until SIGTERM. The options are those of `workers.main.run_worker`, which a test holds; its interceptor, which is
    ours and not the engine's, is left out."""
    client = await temporal_connection(settings)
    worker = Worker(
        client,
        task_queue=FLOOR_QUEUE,
        workflows=FLOOR_WORKFLOWS,
        activities=FLOOR_ACTIVITIES,
        workflow_runner=workflow_runner(settings),
        max_concurrent_activities=settings.worker_max_activities,
        max_concurrent_workflow_tasks=settings.worker_max_workflow_tasks,
        max_concurrent_activity_task_polls=settings.worker_pollers,
        max_concurrent_workflow_task_polls=settings.worker_pollers,
        max_cached_workflows=max(1000, 2 * settings.sagas_in_flight),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=settings.worker_sticky_timeout_s),
        graceful_shutdown_timeout=timedelta(seconds=20),
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settle_memory()
    async with worker:
        await stop.wait()


def main() -> None:
    """Runs until told to stop, with the event loop that the product's worker runs on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_floor_worker(Settings.load()))
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of Temporal's core do not always survive the interpreter's own way out.
    os._exit(0)


if __name__ == "__main__":
    main()
