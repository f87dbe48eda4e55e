"""What the demo's stack is told: waits that suit an audience. What takes minutes or days in production takes seconds here."""

from __future__ import annotations

from typing import Final

from schema.bookings import NewSagaPolicy

POLICY: Final = NewSagaPolicy(
    consent_timeout_s=120,
    payment_action_timeout_s=60,
    payment_poll_s=5,
    step_timeout_s=20,
    heartbeat_timeout_s=5,
    find_out_margin_s=5,
    undo_budget_s=40,
    refund_poll_s=2,
    refund_timeout_s=60,
)

FLIGHTS_ASKED_EVERY_S: Final = 8
"""All trips' flights are watched, by one source, which has a quota."""


def environment() -> dict[str, str]:
    """The `TRAVELHUB_*` variables that make the demo's stack wait for less long."""
    saga = {f"TRAVELHUB_SAGA__{name.upper()}": str(value) for name, value in POLICY.model_dump().items()}
    # A try of a step outlives its call; the vendors' look-up lags, minutes in reality, shrink to seconds.
    return {
        **saga,
        "TRAVELHUB_VENDOR_TIMEOUT_S": "15",
        "TRAVELHUB_VENDOR_CLOCK_SCALE": "0.05",
        "TRAVELHUB_SEARCH__SUPPLIER_TIMEOUT_S": "2",
        # A delay of 95 minutes is told and nothing offered, whatever else flies on the day of the demo.
        "TRAVELHUB_DISRUPTION__ALTERNATIVES_FROM_MINUTES": "120",
        "TRAVELHUB_FLIGHTS__POLL_FAR_S": str(FLIGHTS_ASKED_EVERY_S),
    }
