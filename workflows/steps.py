"""How the workflows call activities: one retry policy, one place."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from schema.bookings import SagaPolicy
    from schema.model import Message

Host = TypeVar("Host")
Input = TypeVar("Input", bound=Message)
Result = TypeVar("Result")

_NEVER_RETRIED = ["invariant_broken", "cannot_find_out"]
_LOCAL_TIMEOUT = timedelta(seconds=20)
_LONGEST_PAUSE = timedelta(seconds=60)


async def remote(
    activity: Callable[[Host, Input], Awaitable[Result]], argument: Input, policy: SagaPolicy, summary: str
) -> Result:
    """A step that moves money or inventory: bounded tries, watched by heartbeat. Raises ActivityError when they are used up."""
    return await workflow.execute_activity_method(
        activity,
        argument,
        start_to_close_timeout=timedelta(seconds=policy.step_timeout_s),
        heartbeat_timeout=timedelta(seconds=policy.heartbeat_timeout_s),
        retry_policy=_policy(policy, attempts=policy.retry_attempts),
        summary=summary,
    )


async def persistent(
    activity: Callable[[Host, Input], Awaitable[Result]],
    argument: Input,
    policy: SagaPolicy,
    summary: str,
    budget_s: float,
) -> Result:
    """A look or an undo that is tried until it works or its budget is over. Raises ActivityError then."""
    return await workflow.execute_activity_method(
        activity,
        argument,
        schedule_to_close_timeout=timedelta(seconds=budget_s),
        start_to_close_timeout=timedelta(seconds=min(policy.step_timeout_s, budget_s)),
        heartbeat_timeout=timedelta(seconds=policy.heartbeat_timeout_s),
        retry_policy=_policy(policy, attempts=0),
        summary=summary,
    )


async def local(activity: Callable[[Host, Input], Awaitable[Result]], argument: Input, *, attempts: int = 0) -> Result:
    """A read or a write of our own books, in the same workflow task; by default tried until the database is there."""
    return await workflow.execute_local_activity_method(
        activity,
        argument,
        start_to_close_timeout=_LOCAL_TIMEOUT,
        retry_policy=RetryPolicy(
            initial_interval=timedelta(milliseconds=200),
            maximum_interval=timedelta(seconds=10),
            maximum_attempts=attempts,
            non_retryable_error_types=_NEVER_RETRIED,
        ),
    )


def why(error: ActivityError) -> str:
    """The cause in one line, without stack and without personal data."""
    cause = error.cause
    return f"{type(cause).__name__}: {cause}" if cause is not None else str(error)


def _policy(policy: SagaPolicy, attempts: int) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=timedelta(seconds=policy.retry_initial_s),
        maximum_interval=_LONGEST_PAUSE,
        maximum_attempts=attempts,
        non_retryable_error_types=_NEVER_RETRIED,
    )
