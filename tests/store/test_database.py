"""The pool: whoever is cancelled, at whatever moment, gives its connection back."""

import asyncio
import gc
import random
import warnings

import pytest
from sqlalchemy import text

from store.database import Database

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]
_SEED = 20261128


@pytest.mark.parametrize("way", ["read", "transaction"])
async def test_a_task_that_is_cancelled_keeps_no_connection(postgres_url: str, way: str) -> None:
    rng = random.Random(_SEED)  # noqa: S311  # chooses moments, guards no secret
    database = Database(postgres_url, pool_size=4)

    async def ask() -> None:
        async with getattr(database, way)() as connection:
            await connection.execute(text("SELECT pg_sleep(0.002)"))

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(300):
            asking = [asyncio.create_task(ask()) for _ in range(6)]
            await asyncio.sleep(rng.uniform(0, 0.01))  # the moment is the test's input, not a synchronisation
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)
        gc.collect()
    assert [str(warning.message) for warning in told] == [], "the garbage collector had to give it back"
    async with asyncio.timeout(5):
        await database.warm()  # all connections of the pool at once
    await database.aclose()
