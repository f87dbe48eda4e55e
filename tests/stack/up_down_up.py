"""Brings the three servers up, writes to each, brings them down and up again and reads. A program too, for other users."""

import asyncio
import sys
from pathlib import Path

from psycopg import AsyncConnection
from redis.asyncio import Redis
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest

from sandbox.stack import running_stack
from sandbox.stack_state import DATABASE
from workers.temporal import temporal_connection


def servers(data, **more):
    """A stack of nothing but the servers."""
    return running_stack(data, workers=0, api=False, vendors=False, migrate=False, **more)


def database(stack):
    """A new connection to the stack's database, to be awaited."""
    where = str(stack.state.socket_directory)
    return AsyncConnection.connect(host=where, dbname=DATABASE, user=DATABASE, autocommit=True)


async def _write(stack):
    async with await database(stack) as connection:
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    async with Redis.from_url(str(stack.settings().valkey_url)) as valkey:
        await valkey.set("kept", "42")
    temporal = await temporal_connection(stack.settings())
    await temporal.start_workflow("Kept", id="kept", task_queue="nobody-works-here")


async def _read(stack):
    async with await database(stack) as connection:
        row = await (await connection.execute("SELECT answer FROM kept")).fetchone()
    assert row == (42,)
    async with Redis.from_url(str(stack.settings().valkey_url)) as valkey:
        assert await valkey.get("kept") == b"42"
    temporal = await temporal_connection(stack.settings())
    request = DescribeWorkflowExecutionRequest(namespace="default", execution=WorkflowExecution(workflow_id="kept"))
    found = await temporal.workflow_service.describe_workflow_execution(request)
    assert found.workflow_execution_info.type.name == "Kept"


async def up_down_up(data):
    """Fails when anything that was written is gone, or found elsewhere, after a restart."""
    async with servers(data) as stack:
        before = stack.state.model_copy(deep=True)
        await _write(stack)
    async with servers(data) as stack:
        after = stack.state
        await _read(stack)
    assert (before.ports, before.secrets, before.tokens) == (after.ports, after.secrets, after.tokens)


if __name__ == "__main__":
    asyncio.run(up_down_up(Path(sys.argv[1])))
    print("kept", flush=True)  # noqa: T201  # the test that runs us reads it
