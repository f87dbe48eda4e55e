"""The door to PostgreSQL: one pool, short transactions."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import orjson
from sqlalchemy import text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

_WAIT_FOR_CONNECTION_S = 10
_WAIT_FOR_LOCK_MS = 5_000
_STATEMENT_MS = 15_000

AWAY = (OperationalError, InterfaceError, PoolTimeoutError)
"""What is raised when PostgreSQL cannot be reached, is restarting, or is too slow: the same call may succeed later."""


def _to_json(value: object) -> str:
    return orjson.dumps(value).decode()


class Database:
    """A pool of connections. `url` is a SQLAlchemy URL with the psycopg driver."""

    def __init__(self, url: str, pool_size: int = 10) -> None:
        self._pool_size = pool_size
        self._engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_WAIT_FOR_CONNECTION_S,
            pool_pre_ping=False,
            pool_recycle=1800,
            use_native_hstore=False,  # nothing here is one, and to look for its type takes a statement on each new connection
            hide_parameters=True,  # personal data must not reach failure messages
            json_serializer=_to_json,
            json_deserializer=orjson.loads,
            # Errors are logged, and statements carry personal data.
            connect_args={
                "options": f"-c lock_timeout={_WAIT_FOR_LOCK_MS} -c statement_timeout={_STATEMENT_MS} -c timezone=UTC",
                "connect_timeout": 5,
            },
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Commits when the block ends, rolls back when it raises."""
        async with self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """For a single statement, which may be a write: no BEGIN and no COMMIT are sent."""
        async with self._engine.connect() as connection:
            # Here and not on an engine of its own, which would lose the connection of a task that is cancelled at this moment.
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            yield connection

    async def ping(self) -> None:
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def warm(self) -> None:
        """Opens every connection of the pool, so that the first requests do not wait for them (S-8)."""
        async with AsyncExitStack() as opened:
            for _ in range(self._pool_size):
                await opened.enter_async_context(self.read())

    async def revision(self) -> str | None:
        """The schema revision the database is at; None before the first migration."""
        async with self.read() as connection:
            exists = await connection.scalar(text("SELECT to_regclass('alembic_version')"))
            return await connection.scalar(text("SELECT version_num FROM alembic_version")) if exists else None

    async def aclose(self) -> None:
        await self._engine.dispose()
