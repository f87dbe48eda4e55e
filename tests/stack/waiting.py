"""Waiting for what must become true, with a deadline; nothing here sleeps and hopes."""

import asyncio
import time

import psutil

_POLL_S = 0.02


def until(condition, timeout_s=20):
    """Returns what the condition answered when it was first true; fails when that takes too long."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"it did not happen within {timeout_s} s"
        time.sleep(_POLL_S)
    return answer


async def until_async(condition, timeout_s=20):
    """The same, letting others run meanwhile."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"it did not happen within {timeout_s} s"
        await asyncio.sleep(_POLL_S)
    return answer


def is_alive(pid):
    """A zombie does nothing any more: only whoever inherited it has not looked yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
