"""The replay gate: stored histories, one for each wait point, run on today's code. A failure here is a running booking that this
change would break: version the change (`workflow.patched`), or record anew if no such booking can exist yet."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from workers.wiring import WORKFLOWS

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))
MAX_EVENTS, MAX_BYTES = 400, 200_000
"""Budget of one saga, far below what the server allows (51,200 events, 50 MiB): a leak shows here first."""
WAIT_POINTS = {
    "booking-waits-for-consent",
    "booking-waits-for-3-d-secure",
    "booking-waits-for-operator-to-find-out",
    "booking-waits-for-operator-to-undo",
    "booking-looked-for-a-late-effect",
    "refund-waits-for-provider",
    "cancellation-done",
    "reconciliation-waits-for-vendor",
    "reconciliation-done",
    "repair-waits-for-vendor",
    "repair-waits-for-refund",
    "repair-waits-for-operator-beside-a-trip",
    "repair-waits-for-operator-to-decide",
    "repair-waits-for-operator-to-undo",
    "repair-looked-for-a-late-effect",
    "repair-let-go",
    "repair-undid",
    "repair-confirmed",
    "monitor-waits-for-the-next-poll",
    "monitor-waits-after-telling-of-a-delay",
    "monitor-ended-after-a-cancellation",
    "monitor-goes-on-under-a-new-run",
    "monitor-sweep-done",
    "cancellation-as-agreed",
    "disruption-waits-for-a-choice",
    "disruption-rebooked",
    "disruption-kept",
    "disruption-told",
    "notification-told",
    "notification-told-once-more",
    "notification-given-up",
    "notification-waits-for-the-end-of-quiet-hours",
    "notification-waits-for-vendor",
    "notification-waits-for-receipt",
}
OF_THE_FIRST_RELEASE = {"booking-failed-when-the-provider-was-away", "booking-cancelled-while-it-was-recorded"}
"""Made by code that neither waited for providers nor honoured a cancellation before the first holds; never recorded anew."""


def history_of(path: Path) -> WorkflowHistory:
    document = json.loads(path.read_text())
    return WorkflowHistory.from_json(document["workflow_id"], document["history"])


def replayer() -> Replayer:
    return Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_stored_history_replays(path: Path) -> None:
    await replayer().replay_workflow(history_of(path))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_history_stays_within_its_budget(path: Path) -> None:
    history = history_of(path)
    assert len(history.events) <= MAX_EVENTS
    assert sum(event.ByteSize() for event in history.events) <= MAX_BYTES


def test_every_wait_point_has_a_history() -> None:
    assert {path.stem for path in HISTORIES} >= WAIT_POINTS | OF_THE_FIRST_RELEASE


async def test_a_history_of_other_code_is_caught() -> None:
    """The gate must be able to fail: the same history, with one activity renamed."""
    path = next(path for path in HISTORIES if path.stem == "booking-confirmed")
    document = json.loads(path.read_text().replace('"name": "capture"', '"name": "charge"'))
    tampered = WorkflowHistory.from_json(document["workflow_id"], document["history"])
    with pytest.raises(NondeterminismError):
        await replayer().replay_workflow(tampered)
