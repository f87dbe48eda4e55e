"""What must exist in Temporal before the first workflow: the namespace with its retention, search attributes, schedules.

Every step looks first and changes only what differs, so that it can run at every start and beside another one.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from schema import bookings, flights, reconciliation, search_attributes
from schema.settings import Settings
from workers.temporal import temporal_connection

DEFAULT_RETENTION_DAYS: Final = 30

_DEADLINE_S: Final = 60
_RETRY_EVERY_S: Final = 0.2
_NOT_OURS_TO_CHANGE: Final = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED)


class BootstrapError(Exception):
    """Temporal cannot be prepared; the message says what an operator can do."""


@dataclass(frozen=True, slots=True)
class RegularWork:
    """A workflow without arguments that is started again and again. The schedule's id is also the workflow's, to which
    Temporal adds the time."""

    schedule_id: str
    workflow: str
    task_queue: str
    every: timedelta
    jitter: timedelta | None = None
    """Starts up to this much later, so that many systems do not ask the same vendors in the same second."""


REGULAR_WORK: Final = (
    RegularWork("admission-sweep", "AdmissionSweepWorkflow", bookings.TASK_QUEUE, timedelta(seconds=30)),
    RegularWork(
        reconciliation.SCHEDULE_ID,
        reconciliation.RECONCILIATION_WORKFLOW,
        bookings.TASK_QUEUE,
        every=timedelta(minutes=10),
        jitter=timedelta(seconds=60),
    ),
    RegularWork(
        flights.MONITOR_SWEEP_SCHEDULE,
        flights.MONITOR_SWEEP_WORKFLOW,
        bookings.TASK_QUEUE,
        every=timedelta(minutes=5),
        jitter=timedelta(seconds=30),
    ),
)


async def bootstrap(settings: Settings, *, retention_days: int = DEFAULT_RETENTION_DAYS) -> None:
    """Prepares the namespace of the settings; raises BootstrapError."""
    try:
        async with asyncio.timeout(_DEADLINE_S):
            client = await temporal_connection(settings)
            await _ensure_namespace(client, timedelta(days=retention_days))
            await _ensure_search_attributes(client)
            for work in REGULAR_WORK:
                await _ensure_schedule(client, work)
    except TimeoutError:
        raise BootstrapError(f"Temporal was not prepared within {_DEADLINE_S} s") from None
    except ConnectionError as error:
        raise BootstrapError(str(error)) from None
    except RPCError as error:
        raise BootstrapError(f"Temporal refuses: {error.status.name}: {error.message}") from None


async def _ensure_namespace(client: Client, retention: timedelta) -> None:
    wanted = Duration(seconds=int(retention.total_seconds()))
    try:
        found = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        await _create_namespace(client, wanted)
        return
    if found.config.workflow_execution_retention_ttl.seconds == wanted.seconds:
        return
    request = UpdateNamespaceRequest(
        namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=wanted)
    )
    try:
        await client.workflow_service.update_namespace(request)
    except RPCError as error:
        # Temporal Cloud has its own tools for namespaces. Retention is convenience here: PostgreSQL remembers bookings.
        if error.status not in _NOT_OURS_TO_CHANGE:
            raise


async def _create_namespace(client: Client, retention: Duration) -> None:
    request = RegisterNamespaceRequest(namespace=client.namespace, workflow_execution_retention_period=retention)
    try:
        await client.workflow_service.register_namespace(request)
    except RPCError as error:
        if error.status in _NOT_OURS_TO_CHANGE:
            raise BootstrapError(
                f"there is no namespace {client.namespace!r} and we may not create it: have an administrator do it"
            ) from None
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise


async def _ensure_search_attributes(client: Client) -> None:
    types: dict[str, IndexedValueType.ValueType] = dict.fromkeys(
        search_attributes.KEYWORDS, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    )
    types |= dict.fromkeys(search_attributes.TEXTS, IndexedValueType.INDEXED_VALUE_TYPE_TEXT)
    while missing := await _missing_search_attributes(client, types):
        request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        try:
            await client.operator_service.add_search_attributes(request)
        except RPCError as error:
            if error.status in _NOT_OURS_TO_CHANGE:
                raise BootstrapError(
                    f"search attributes are missing and we may not add them: {', '.join(missing)}"
                ) from None
            # Someone else added them in this moment; or the namespace is so new that not every host knows it.
            if error.status not in (RPCStatusCode.ALREADY_EXISTS, RPCStatusCode.NOT_FOUND):
                raise
        await asyncio.sleep(_RETRY_EVERY_S)


async def _missing_search_attributes(
    client: Client, types: Mapping[str, IndexedValueType.ValueType]
) -> dict[str, IndexedValueType.ValueType]:
    """Those not there yet; raises BootstrapError for one that is there with another type."""
    try:
        found = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return dict(types)
        raise
    for name, wanted in types.items():
        if found.custom_attributes.get(name, wanted) != wanted:
            raise BootstrapError(f"the search attribute {name} exists with another type; remove or rename it first")
    return {name: wanted for name, wanted in types.items() if name not in found.custom_attributes}


async def _ensure_schedule(client: Client, work: RegularWork) -> None:
    wanted = _schedule(work)
    try:
        await client.create_schedule(work.schedule_id, wanted)
    except ScheduleAlreadyRunningError:
        handle = client.get_schedule_handle(work.schedule_id)
        found = (await handle.describe()).schedule
        if not _same(found, wanted):
            await handle.update(lambda update: _with_state_kept(update, wanted))


def _schedule(work: RegularWork) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(work.workflow, id=work.schedule_id, task_queue=work.task_queue),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=work.every)], jitter=work.jitter),
        # One sweep does the work of those missed, so a backlog of them is worth nothing.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
    )


def _same(found: Schedule, wanted: Schedule) -> bool:
    return (
        _action_of(found) == _action_of(wanted)
        and found.spec.intervals == wanted.spec.intervals
        and (found.spec.jitter or None) == wanted.spec.jitter
        and found.policy.overlap == wanted.policy.overlap
        and found.policy.catchup_window == wanted.policy.catchup_window
    )


def _action_of(schedule: Schedule) -> tuple[str, str, str]:
    action = schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow), "Temporal schedules start workflows"
    return action.workflow, action.id, action.task_queue


def _with_state_kept(update: ScheduleUpdateInput, wanted: Schedule) -> ScheduleUpdate:
    """An operator may have paused it: that stays."""
    return ScheduleUpdate(schedule=replace(wanted, state=update.description.schedule.state))
