"""A worker process: connects, builds what it needs, polls until it is told to stop, and lets running activities finish."""

import asyncio
import gc
import signal
from datetime import timedelta

from structlog.stdlib import get_logger
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from gateways.registry import build_vendors
from schema.bookings import TASK_QUEUE
from schema.settings import Settings, SettingsError
from store.database import Database
from store.migrate import unknown_to_this_release
from store.traffic import SharedTraffic
from store.valkey import Valkey
from workers.follow_ups import following_up
from workers.interceptors import ObservedActivities
from workers.relay import relaying
from workers.temporal import temporal_connection
from workers.wiring import WORKFLOWS, all_activities

_log = get_logger(__name__)
_GRACE = timedelta(seconds=20)


def workflow_runner(settings: Settings) -> WorkflowRunner:
    """Sandboxed unless settings say otherwise; our own modules and those they need are passed through, not loaded per workflow."""
    return SandboxedWorkflowRunner() if settings.worker_sandboxed else UnsandboxedWorkflowRunner()


def settle_memory() -> None:
    """What is loaded now stays; the collector need not look at it again with every generation. What comes after it are mostly
    cached workflows, which live long: to look for garbage among them more rarely costs little memory."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def run_worker(settings: Settings) -> None:
    """Polls until SIGTERM or SIGINT. Raises SettingsError when the database is at a revision this release does not know (S-6)."""
    database = Database(str(settings.database_url), settings.database_pool_size)
    valkey = Valkey(str(settings.valkey_url))
    traffic = SharedTraffic(valkey, settings.outbound)
    vendors = build_vendors(settings, traffic)
    try:
        revision = await database.revision()
        if unknown_to_this_release(revision):
            raise SettingsError(f"the database is at revision {revision}, which is newer than this release")
        client = await temporal_connection(settings)
        worker = Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=WORKFLOWS,
            activities=all_activities(settings, database, valkey, vendors, client),
            workflow_runner=workflow_runner(settings),
            interceptors=[ObservedActivities()],
            max_concurrent_activities=settings.worker_max_activities,
            max_concurrent_workflow_tasks=settings.worker_max_workflow_tasks,
            max_concurrent_activity_task_polls=settings.worker_pollers,
            max_concurrent_workflow_task_polls=settings.worker_pollers,
            max_cached_workflows=max(1000, 2 * settings.sagas_in_flight),
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=settings.worker_sticky_timeout_s),
            graceful_shutdown_timeout=_GRACE,
        )
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        settle_memory()
        async with relaying(settings, database, valkey), following_up(settings, database, client), worker:
            _log.info("worker_ready", task_queue=TASK_QUEUE, sandboxed=settings.worker_sandboxed)
            await stop.wait()
            _log.info("worker_draining")
    finally:
        await vendors.aclose()
        await traffic.aclose()
        await valkey.aclose()
        await database.aclose()
