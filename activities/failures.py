"""Our errors as Temporal's: the code becomes the type, and how long to wait is said in the failure itself."""

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from schema.errors import TravelHubError, VendorUnavailable

_JITTER = 0.25
_LONGEST_S = 60


def retry_delay_s(initial_s: float, attempt: int, retry_after_s: float | None = None) -> float:
    """S-1: doubles from `initial_s`, +-25 % jitter, never less than the vendor's Retry-After."""
    backoff = min(initial_s * 2 ** (attempt - 1), _LONGEST_S)
    jittered = backoff * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311  # spreads load, guards no secret
    return max(jittered, retry_after_s or 0)


@asynccontextmanager
async def told_to_temporal(initial_s: float) -> AsyncGenerator[None]:
    """Turns errors of our tree into ApplicationErrors that the one retry policy understands."""
    try:
        yield
    except TravelHubError as error:
        retry_after_s = error.retry_after_s if isinstance(error, VendorUnavailable) else None
        delay_s = retry_delay_s(initial_s, activity.info().attempt, retry_after_s)
        raise ApplicationError(
            error.message,
            type=error.problem_code,
            non_retryable=not error.retryable,
            next_retry_delay=timedelta(seconds=delay_s) if error.retryable else None,
            category=ApplicationErrorCategory.BENIGN if error.retryable else ApplicationErrorCategory.UNSPECIFIED,
        ) from error
