"""Vendors that are cut off at a chosen call, as a dying worker would cut them off: what no HTTP fault can show."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from temporalio import activity

from gateways.ports import Vendors
from workers.interceptors import heartbeat_name

_FORGOTTEN_S = 20

Cut = Literal["killed_before", "killed_after", "zombie"]
"""`killed_before`: the worker dies after the attempt was written, before the call. `killed_after`: it dies with the answer in
hand. `zombie`: it is taken for dead, and makes its call after its successor has made the same one."""


class CutVendors:
    """Wraps the real gateways; cuts are planned by correlation id, vendor and method, and fire once."""

    def __init__(self, real: Vendors) -> None:
        self._real = real
        self._plans: dict[tuple[str, str, str], Cut] = {}
        self._finished: dict[tuple[str, str, str], asyncio.Event] = defaultdict(asyncio.Event)
        self._hanging: dict[tuple[str, str, str], asyncio.Event] = {}
        self._reached: set[tuple[str, str, str]] = set()
        self.fired: set[tuple[str, str, str]] = set()

    def plan(self, correlation_id: str, vendor: str, method: str, cut: Cut) -> None:
        self._plans[(correlation_id, vendor, method)] = cut

    def hang(self, correlation_id: str, vendor: str, method: str) -> None:
        """Such a call is never made, and its worker waits, until `let_go`."""
        self._hanging[(correlation_id, vendor, method)] = asyncio.Event()

    def hung(self, correlation_id: str) -> bool:
        """Whether such a call has come so far."""
        return any(key[0] == correlation_id for key in self._reached)

    def let_go(self, correlation_id: str) -> None:
        """Whoever hangs gives back its place in the worker, and is forgotten."""
        for key in [key for key in self._hanging if key[0] == correlation_id]:
            self._hanging.pop(key).set()

    def supplier(self, code: str) -> Any:
        return _Cut(self, code, self._real.supplier(code))

    def suppliers(self, kind: Any = None) -> list[Any]:
        return [_Cut(self, supplier.code, supplier) for supplier in self._real.suppliers(kind)]

    def payments(self, code: str) -> Any:
        return _Cut(self, code, self._real.payments(code))

    def notifying(self, code: str) -> Any:
        return self._real.notifying(code)

    def notice_sender(self, channel: Any) -> Any:
        sender = self._real.notice_sender(channel)
        return None if sender is None else _Cut(self, sender.code, sender)

    def flight_status(self) -> Any:
        return self._real.flight_status()

    @property
    def traffic(self) -> Any:
        return self._real.traffic

    async def aclose(self) -> None:
        await self._real.aclose()

    async def call(self, vendor: str, method: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        key = (_correlation_of(arguments), vendor, method)
        if key in self._hanging:
            self._reached.add(key)
            await self._hanging[key].wait()
            raise asyncio.CancelledError
        cut = self._plans.pop(key, None)
        if cut is None:
            result = await real(*arguments)
            self._finished[key].set()
            return result
        self.fired.add(key)
        if cut == "killed_before":
            await die()
        if cut == "zombie":
            _stop_heartbeat()
            await asyncio.wait_for(self._finished[key].wait(), 30)
        result = await real(*arguments)
        if cut == "killed_after":
            await die()
        return result


class _Cut:
    def __init__(self, owner: CutVendors, vendor: str, real: Any) -> None:
        self._owner, self._vendor, self._real = owner, vendor, real

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._real, name)
        if not asyncio.iscoroutinefunction(attribute):
            return attribute

        async def through(*arguments: Any, **named: Any) -> Any:
            return await self._owner.call(self._vendor, name, partial(attribute, **named), arguments)

        return through


def _correlation_of(arguments: tuple[Any, ...]) -> str:
    for argument in arguments:
        correlation_id = argument if isinstance(argument, str) else getattr(argument, "correlation_id", "")
        if correlation_id.startswith("case-"):
            return correlation_id
    return ""


def _stop_heartbeat() -> None:
    name = heartbeat_name(activity.info())
    for task in asyncio.all_tasks():
        if task.get_name() == name:
            task.cancel()


async def die() -> None:
    """Nothing of this attempt runs any more; the server notices by its missing heartbeat. The place in the worker is given back
    once everybody has forgotten the attempt."""
    _stop_heartbeat()
    await asyncio.sleep(_FORGOTTEN_S)
    raise asyncio.CancelledError
