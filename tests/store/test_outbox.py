"""The relay's lock: one holder at a time, and nobody keeps it who is done or has failed."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from store.database import Database
from store.outbox import held_outbox

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def processes(postgres_url: str) -> AsyncGenerator[list[Database]]:
    opened = [Database(postgres_url, pool_size=1) for _ in range(2)]
    yield opened
    for database in opened:
        await database.aclose()


async def test_one_at_a_time_and_a_failure_lets_go(processes: list[Database]) -> None:
    ours, theirs = processes

    async def fails() -> None:
        async with held_outbox(ours, 5) as outbox, held_outbox(theirs, 5) as refused:
            assert outbox is not None
            assert refused is None
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await fails()
    async with held_outbox(theirs, 5) as outbox:
        assert outbox is not None
