"""Around every activity: a sign of life while it runs, and one correlation id in every log line."""

import asyncio
import time
from collections.abc import Awaitable

from structlog.contextvars import bound_contextvars
from structlog.stdlib import get_logger
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor
from typing_extensions import override

_log = get_logger(__name__)
_BEATS_PER_TIMEOUT = 3


class ObservedActivities(Interceptor):
    """Heartbeats for activities that ask for them, so that a dead worker is noticed in seconds and not at the step's deadline."""

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Observed(next)


class _Observed(ActivityInboundInterceptor):
    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> object:
        info = activity.info()
        argument = input.args[0] if input.args else None
        facts = {"activity": info.activity_type, "attempt": info.attempt, "workflow_id": info.workflow_id}
        correlation_id = getattr(argument, "correlation_id", None)
        if correlation_id is not None:
            facts["correlation_id"] = correlation_id
        with bound_contextvars(**facts):
            started = time.perf_counter()
            try:
                result = await self._with_heartbeat(super().execute_activity(input), info)
            except Exception as error:
                _log.info("activity_failed", duration_ms=_since(started), error=type(error).__name__)
                raise
            _log.debug("activity_done", duration_ms=_since(started))
            return result

    async def _with_heartbeat(self, work: Awaitable[object], info: activity.Info) -> object:
        if info.is_local or info.heartbeat_timeout is None:
            return await work
        interval_s = info.heartbeat_timeout.total_seconds() / _BEATS_PER_TIMEOUT
        beating = asyncio.create_task(_beat(interval_s), name=heartbeat_name(info))
        try:
            return await work
        finally:
            beating.cancel()


def heartbeat_name(info: activity.Info) -> str:
    """Name of the task that beats for one attempt; the tests that play a dead worker stop it by this name."""
    return f"heartbeat {info.workflow_id} {info.activity_id} {info.attempt}"


async def _beat(interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)
        activity.heartbeat()


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
