"""What follows from an attempt to deliver: done, gone, again after a while, or given up."""

import random
from http import HTTPStatus
from typing import Final

from gateways.callbacks import CallbackAnswer
from schema.settings import RelaySettings
from store.deliveries import DueDelivery, Verdict

_JITTER: Final = 0.2
_SUCCESS: Final = range(200, 300)


def verdict_of(tried: DueDelivery, answer: CallbackAnswer, policy: RelaySettings) -> Verdict:
    """Later by the policy's delays, +-20 %, and not before the Retry-After of the answer; the last attempt is as late as the
    patience allows."""
    if answer.status in _SUCCESS:
        return Verdict(state="delivered")
    if answer.status == HTTPStatus.GONE:
        return Verdict(state="given_up", gone=True)
    left_s = policy.give_up_after_s - (tried.tried_for_s or 0)
    if left_s <= 0:
        return Verdict(state="given_up")
    delay_s = policy.retry_delays_s[min(tried.tries, len(policy.retry_delays_s) - 1)]
    delay_s *= 1 + random.uniform(-_JITTER, _JITTER)  # noqa: S311  # spreads retries, guards nothing
    return Verdict(state="pending", retry_in_s=min(max(delay_s, answer.retry_after_s or 0), left_s))
