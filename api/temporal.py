"""How the API talks to workflows: every call bounded, every failure one of ours.

A call ends with its result, with a refusal by the workflow, with `WorkflowGone`, with `None` for "accepted, and under way", or with
ServiceUnavailable when nobody can say whether it arrived. Updates carry ids made from the client's Idempotency-Key, so that the
client's next try of the same request finds the update of the first one.
"""

import asyncio
import hashlib
from datetime import timedelta
from typing import Any, Final, TypeVar

from pydantic import BaseModel
from structlog.stdlib import get_logger
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from schema.errors import REFUSALS, Conflict, ServiceUnavailable
from schema.settings import Settings, SettingsError

_log = get_logger(__name__)
_ACCEPT_S: Final = 5
_RESULT_S: Final = 8

Result = TypeVar("Result", bound=BaseModel)


class WorkflowGone(Exception):
    """There is no such workflow, or it has ended and takes no updates any more."""


async def connect(settings: Settings) -> Client:
    """A client that connects at its first call, and again after Temporal was away."""
    if settings.temporal_address is not None:
        return await Client.connect(
            settings.temporal_address,
            namespace=settings.temporal_namespace,
            data_converter=pydantic_data_converter,
            lazy=True,
        )
    configuration: dict[str, Any] = {**ClientConfig.load_client_connect_config()}
    if not configuration.get("target_host"):
        raise SettingsError("no Temporal address: set TRAVELHUB_TEMPORAL_ADDRESS, or TEMPORAL_ADDRESS or a profile")
    return await Client.connect(**configuration, data_converter=pydantic_data_converter, lazy=True)


def update_id_for(update: str, client_id: str, idempotency_key: str) -> str:
    """Must merge: repeats of one request. Must not merge: two clients' keys, or two kinds of update under one key."""
    digest = hashlib.sha256(f"{len(client_id)}:{client_id}:{idempotency_key}".encode()).hexdigest()
    return f"{update}-{digest[:32]}"


async def send_update(
    client: Client, workflow_id: str, update: str, message: BaseModel, *, update_id: str, result: type[Result]
) -> Result | None:
    """The update's result; None when the workflow has accepted it and is not done yet. Raises Conflict with the workflow's own
    code, WorkflowGone, or ServiceUnavailable."""
    handle = client.get_workflow_handle(workflow_id)
    try:
        async with asyncio.timeout(_ACCEPT_S):
            started: WorkflowUpdateHandle[Result] = await handle.start_update(
                update,
                message,
                id=update_id,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                result_type=result,
                rpc_timeout=timedelta(seconds=_ACCEPT_S),
            )
    except Exception as error:
        raise _translated(error, update) from error
    try:
        async with asyncio.timeout(_RESULT_S):
            return await started.result(rpc_timeout=timedelta(seconds=_RESULT_S))
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
        return None
    except Exception as error:
        raise _translated(error, update) from error


async def update_with_start(
    client: Client,
    operation: WithStartWorkflowOperation[object, object],
    update: str,
    *,
    update_id: str,
    result: type[Result],
) -> Result:
    """Starts the workflow unless it runs, and returns the update's result. For questions only: a timeout is ServiceUnavailable."""
    try:
        async with asyncio.timeout(_RESULT_S):
            return await client.execute_update_with_start_workflow(
                update,
                start_workflow_operation=operation,
                id=update_id,
                result_type=result,
                rpc_timeout=timedelta(seconds=_RESULT_S),
            )
    except Exception as error:
        await _settle(operation)
        raise _translated(error, update) from error


async def _settle(operation: WithStartWorkflowOperation[object, object]) -> None:
    """The operation's own future must be awaited after a failure, or asyncio reports it as forgotten."""
    settled = asyncio.ensure_future(operation.workflow_handle())
    # Waited for and not awaited: a future that was cancelled with the call would otherwise cancel the request.
    await asyncio.wait({settled}, timeout=0.1)
    if not settled.done():
        settled.cancel()
    elif not settled.cancelled() and (error := settled.exception()) is not None:
        _log.debug("update_with_start_failed", error=type(error).__name__)


async def ask(client: Client, workflow_id: str, query: str, result: type[Result], timeout_s: float) -> Result:
    """The query's answer. Raises WorkflowGone, or ServiceUnavailable when there is none in time."""
    handle = client.get_workflow_handle(workflow_id)
    try:
        async with asyncio.timeout(timeout_s):
            return await handle.query(query, result_type=result, rpc_timeout=timedelta(seconds=timeout_s))
    except Exception as error:
        raise _translated(error, query) from error


async def is_running(client: Client, workflow_id: str) -> bool:
    """Whether it has not ended; raises ServiceUnavailable when Temporal cannot be asked."""
    try:
        async with asyncio.timeout(_RESULT_S):
            description = await client.get_workflow_handle(workflow_id).describe(
                rpc_timeout=timedelta(seconds=_RESULT_S)
            )
    except Exception as error:
        translated = _translated(error, "describe")
        if isinstance(translated, WorkflowGone):
            return False
        raise translated from error
    return description.status == WorkflowExecutionStatus.RUNNING


def _translated(error: Exception, what: str) -> Exception:
    if isinstance(error, WorkflowUpdateFailedError):
        return _refusal(error, what)
    if isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND:
        return WorkflowGone(what)
    _log.warning("temporal_away", call=what, error=type(error).__name__, detail=str(error)[:200])
    return ServiceUnavailable("the booking engine cannot be reached; try again with the same Idempotency-Key")


def _refusal(error: WorkflowUpdateFailedError, what: str) -> Exception:
    """The workflow's own word, by the code it gave as the error's type."""
    cause = error.cause
    known = REFUSALS.get(cause.type or "") if isinstance(cause, ApplicationError) else None
    if known is None or not isinstance(cause, ApplicationError):
        # Also what is answered when the workflow ends before it has finished the update.
        _log.warning("update_refused_without_a_code", update=what, cause=type(cause).__name__)
        return Conflict("the booking moved on meanwhile; read its state", code="conflict")
    message = cause.message or known.title
    if known.status == ServiceUnavailable.status:
        return ServiceUnavailable(message, code=known.code)
    return Conflict(message, code=known.code)
