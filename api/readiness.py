"""Whether this process can do its work: each dependency asked at most every five seconds, each for one second at most."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import monotonic
from typing import Final

from structlog.stdlib import get_logger
from temporalio.client import Client

from schema.model import Message
from store.database import Database
from store.migrate import head_revision, unknown_to_this_release
from store.valkey import Valkey

_log = get_logger(__name__)
_CHECK_S: Final = 1
_START_S: Final = 10
"""Opening a whole pool takes longer than asking one connection."""
_REMEMBERED_S: Final = 5
_NEEDED: Final = ("postgresql", "temporal")
"""Without Valkey we are slower and lose nothing: degraded, but ready."""


class Health(Message):
    """The answer of a health check: what is asked for, and each part of it."""

    status: str
    checks: dict[str, str] = {}

    @property
    def ok(self) -> bool:
        return self.status != "unavailable"


class Readiness:
    """Remembers what it found for a few seconds, so that probes cost nothing."""

    def __init__(self, database: Database, valkey: Valkey, temporal: Client) -> None:
        self._database = database
        self._valkey = valkey
        self._temporal = temporal
        self._found = Health(status="unavailable")
        self._valid_until = 0.0
        self._asking = asyncio.Lock()
        self._started = False

    async def ready(self) -> Health:
        async with self._asking:
            if monotonic() >= self._valid_until:
                self._found = await self._ask_all()
                self._valid_until = monotonic() + _REMEMBERED_S
            return self._found

    async def _ask_all(self) -> Health:
        checks: dict[str, Callable[[], Awaitable[object]]] = {
            "postgresql": self._database.ping,
            "valkey": self._valkey.ping,
            "temporal": self._ask_temporal,
        }
        answers = await asyncio.gather(*(_check(name, ask) for name, ask in checks.items()))
        found = dict(zip(checks, answers, strict=True))
        if any(found[name] != "ok" for name in _NEEDED):
            return Health(status="unavailable", checks=found)
        return Health(status="ready" if found["valkey"] == "ok" else "degraded", checks=found)

    async def _ask_temporal(self) -> None:
        if not await self._temporal.service_client.check_health(timeout=timedelta(seconds=_CHECK_S)):
            raise ConnectionError("Temporal says that it does not serve")

    async def started(self) -> Health:
        """Whether the database is at a revision this release knows and the pool is warm; once it is, it stays so."""
        if self._started:
            return Health(status="started")
        async with self._asking:
            found = await _check("postgresql", self._start, _START_S)
            self._started = found == "ok"
        return Health(status="started" if self._started else "unavailable", checks={"postgresql": found})

    async def _start(self) -> None:
        revision = await self._database.revision()
        # Alembic reads its scripts from disk.
        if await asyncio.to_thread(unknown_to_this_release, revision):
            raise WrongRevision("its schema is newer than this release")
        if revision != await asyncio.to_thread(head_revision):
            raise WrongRevision("its schema awaits a migration")
        await self._database.warm()


class WrongRevision(Exception):
    """The database is not at this release's revision; the message is for the answer."""


async def _check(name: str, ask: Callable[[], Awaitable[object]], timeout_s: float = _CHECK_S) -> str:
    try:
        async with asyncio.timeout(timeout_s):
            await ask()
    except WrongRevision as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  # whatever it is, the part cannot be used; addresses stay in the log
        _log.warning("dependency_away", dependency=name, error=type(error).__name__)
        return "away"
    return "ok"
