"""S-1: one retry policy. 100 ms doubling, +-25 % jitter, never sooner than the vendor's Retry-After."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.failures import retry_delay_s, told_to_temporal
from schema.errors import InvariantBroken, OutcomeUnclear, TravelHubError, VendorUnavailable


@given(st.integers(1, 5))
def test_delays_double_within_their_jitter(attempt: int) -> None:
    plain = 0.1 * 2 ** (attempt - 1)
    assert plain * 0.75 <= retry_delay_s(0.1, attempt) <= plain * 1.25


def test_two_callers_do_not_wait_alike() -> None:
    assert len({retry_delay_s(0.1, 3) for _ in range(20)}) > 10


def test_retry_after_is_obeyed() -> None:
    assert retry_delay_s(0.1, 1, retry_after_s=7) == 7


def test_waits_are_bounded() -> None:
    assert retry_delay_s(0.1, 50) <= 75


async def failure_of(error: TravelHubError) -> ApplicationError:
    async def activity() -> None:
        async with told_to_temporal(0.1):
            raise error

    with pytest.raises(ApplicationError) as caught:
        await ActivityEnvironment().run(activity)
    return caught.value


async def test_what_may_be_tried_again_says_when() -> None:
    failure = await failure_of(VendorUnavailable("duffel", "too many requests", retry_after_s=3))
    assert (failure.type, failure.non_retryable) == ("vendor_unavailable", False)
    assert failure.next_retry_delay is not None
    assert failure.next_retry_delay.total_seconds() == 3
    assert not (await failure_of(OutcomeUnclear("nobody knows"))).non_retryable


async def test_a_contradiction_is_never_tried_again() -> None:
    failure = await failure_of(InvariantBroken("two writers"))
    assert (failure.type, failure.non_retryable) == ("invariant_broken", True)
