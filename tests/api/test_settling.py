"""A start that goes with a question may have been cancelled with it; that cancels nobody else."""

import asyncio

import pytest

from api.temporal import _settle


class Operation:
    def __init__(self, future: asyncio.Future) -> None:
        self.future = future

    async def workflow_handle(self) -> object:
        return await self.future


@pytest.mark.parametrize("ending", ["cancelled", "failed", "never", "started"])
async def test_however_the_start_ended_the_request_goes_on(ending):
    future = asyncio.get_running_loop().create_future()
    if ending == "cancelled":
        future.cancel()
    elif ending == "failed":
        future.set_exception(RuntimeError("no"))
    elif ending == "started":
        future.set_result(object())
    await _settle(Operation(future))
