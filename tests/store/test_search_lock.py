"""Who may ask a supplier: the lock is let go of when its owner is done, whatever becomes of the task that renews it."""

import asyncio
import contextlib

from store import search_cache
from store.valkey import Valkey
from tests.api.waiting import until


class LosesACancellation(Valkey):
    """As redis-py does now and then: who is cancelled during the first renewal of a lock is not told."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.renewals = 0

    async def attempt(self, operation, command):
        self.renewals += operation == "search_lock_renewed"
        if operation == "search_lock_renewed" and self.renewals == 1:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            return None
        return await super().attempt(operation, command)


async def test_a_renewal_ends_although_its_cancellation_is_lost(valkey_url, monkeypatch):
    monkeypatch.setattr(search_cache, "LOCK_S", 0.04)
    valkey = LosesACancellation(valkey_url)
    before = asyncio.all_tasks()
    async with search_cache.asking(valkey, "a-query") as ours:
        assert ours
        await until(lambda: valkey.renewals == 1)
    await until(lambda: asyncio.all_tasks() == before)
    assert valkey.renewals == 1
    assert not valkey.away
    await valkey.aclose()
