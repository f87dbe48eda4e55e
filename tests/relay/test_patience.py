"""When a delivery is tried again, and when not."""

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from gateways.callbacks import CallbackAnswer
from schema.settings import RelaySettings
from store.deliveries import DueDelivery, Verdict
from workers.relay.patience import verdict_of

DAY_S = 86_400


def judged(
    status: int | None, *, tries: int = 0, tried_for_s: float | None = None, wait_s: float | None = None
) -> Verdict:
    tried = DueDelivery(
        id="msg_1", endpoint_id="we_1", subject="s", type="t", occurred_at=datetime.now(UTC), data={}, tries=tries,
        tried_for_s=tried_for_s, url="https://example.com", secret=SecretStr("whsec_eA=="), previous_secret=None,
    )  # fmt: skip
    return verdict_of(tried, CallbackAnswer(status, None if status else "timeout", wait_s, 0.1), RelaySettings())


@pytest.mark.parametrize(
    ("status", "state"), [(200, "delivered"), (204, "delivered"), (299, "delivered"), (410, "given_up")]
)
def test_what_ends_it(status: int, state: str) -> None:
    assert judged(status).state == state
    assert judged(status).gone == (status == 410)


@pytest.mark.parametrize("status", [None, 199, 301, 400, 404, 429, 500, 503])
def test_all_else_is_tried_again(status: int | None) -> None:
    assert judged(status).state == "pending"


@pytest.mark.parametrize(("tries", "delay_s"), [(0, 5), (1, 300), (2, 1800), (3, 7200), (4, 18_000), (9, 18_000)])
def test_less_and_less_often(tries: int, delay_s: float) -> None:
    waits = {judged(500, tries=tries, tried_for_s=1).retry_in_s for _ in range(20)}
    assert all(0.8 * delay_s <= wait_s <= 1.2 * delay_s for wait_s in waits)
    assert len(waits) > 1, "all at the same moment would be the next outage"


def test_not_before_the_receiver_says() -> None:
    assert judged(429, wait_s=120).retry_in_s == 120
    assert judged(429, tries=3, tried_for_s=1, wait_s=120).retry_in_s > 120


def test_the_last_attempt_is_when_patience_ends() -> None:
    assert judged(500, tries=8, tried_for_s=DAY_S - 60).retry_in_s == 60
    assert judged(500, tries=9, tried_for_s=DAY_S).state == "given_up"
