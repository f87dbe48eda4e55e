"""A process that dies at a chosen step: before or after one of its transactions, or one of its signals to a workflow."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class Died(BaseException):
    """Not an Exception: nobody who is dead catches anything."""


class Mortal:
    """Counts the steps of one process, and dies at one of them."""

    def __init__(self, dies_at: int) -> None:
        self._dies_at = dies_at
        self._step = 0
        self.died_at: str | None = None
        """What it was about to do, or had just done."""

    def step(self, name: str) -> None:
        self._step += 1
        if self._step == self._dies_at:
            self.died_at = name
            raise Died(name)


class MortalDatabase:
    """The real one; what was committed before the death stays."""

    def __init__(self, real: Any, mortal: Mortal) -> None:
        self._real, self._mortal = real, mortal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self._mortal.step("before a transaction")
        async with self._real.transaction() as connection:
            yield connection
        self._mortal.step("after a transaction")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Any]:
        self._mortal.step("before a statement")
        async with self._real.read() as connection:
            yield connection
        self._mortal.step("after a statement")


class MortalClient:
    """Temporal's real client, for a process that signals workflows."""

    def __init__(self, real: Any, mortal: Mortal) -> None:
        self._real, self._mortal = real, mortal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def get_workflow_handle(self, workflow_id: str) -> Any:
        return _MortalHandle(self._real.get_workflow_handle(workflow_id), self._mortal)


class _MortalHandle:
    def __init__(self, real: Any, mortal: Mortal) -> None:
        self._real, self._mortal = real, mortal

    async def signal(self, *arguments: Any) -> None:
        self._mortal.step("before a signal")
        await self._real.signal(*arguments)
        self._mortal.step("after a signal")
