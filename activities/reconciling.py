"""One run of the reconciliation: begin, read every list page by page, send somebody to look at what was found, report."""

from datetime import UTC, datetime, timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.asking import shows_list
from activities.failures import told_to_temporal
from activities.vendor_pages import Pages
from gateways.ports import ListsPayments, ListsRefunds, ListsReservations, Vendors
from schema.bookings import TASK_QUEUE, SagaPolicy
from schema.reconciliation import (
    REPAIR_WORKFLOW,
    BeginRun,
    Books,
    EndRun,
    PagesRead,
    ReadPages,
    ReconciliationPolicy,
    RepairInput,
    RunPlan,
    RunResult,
    Stream,
    StreamReport,
    earliest,
    repair_workflow_id_for,
)
from store import reconciliation
from store.database import Database

OVERLAP_OF_OUR_OWN_S = 60
"""Our own clock and our own books: longer than any transaction may last."""
_FROM_VENDORS: tuple[Books, ...] = ("payments", "refunds", "disputes", "reservations")
_PROVIDERS = ("stripe", "paypal")
"""Those a booking can be paid through; one that is not configured is left out."""
_REPAIRS_AT_ONCE = 200
_RETRY_INITIAL_S = 1.0


class Reconciling:
    def __init__(
        self,
        database: Database,
        vendors: Vendors,
        client: Client,
        policy: ReconciliationPolicy,
        saga: SagaPolicy,
    ) -> None:
        """`saga`: what repairs run under."""
        self._database = database
        self._vendors = vendors
        self._client = client
        self._policy = policy
        self._saga = saga
        self._pages = Pages(database, vendors, client, policy)

    @activity.defn
    async def begin_run(self, begin: BeginRun) -> RunPlan:
        """Which lists are read, and since when: each from its own watermark, less the overlap."""
        async with told_to_temporal(_RETRY_INITIAL_S):
            now = datetime.now(UTC)
            async with self._database.transaction() as connection:
                await reconciliation.begin(connection, begin.run_id, begin.started_by)
                read_until = await reconciliation.watermarks(connection)
                oldest = await reconciliation.oldest_booking(connection)
            first = now - timedelta(seconds=self._policy.first_run_s)
            first = max(first, oldest or now)
            streams = [
                StreamReport(stream=stream, since=self._since(stream, read_until.get(stream.name, first)))
                for stream in self._streams()
            ]
            return RunPlan(streams=streams)

    @activity.defn
    async def read_pages(self, reading: ReadPages) -> PagesRead:
        """Some pages of one list, each compared with one query. What is found is written before the next page is read; again is
        harmless, since a finding is found once."""
        async with told_to_temporal(_RETRY_INITIAL_S):
            report, cursor = StreamReport(stream=reading.stream, since=reading.since), reading.cursor
            counts = {"pages": 0, "records": 0, "foreign": 0, "findings": 0}
            unchecked: dict[str, int] = {}
            again_from: datetime | None = None
            for _ in range(self._policy.pages_at_once):
                page = await self._pages.read(reading, cursor, asked=reading.asked + counts["records"])
                async with self._database.transaction() as connection:
                    counts["findings"] += await reconciliation.add(connection, reading.run_id, page.findings)
                counts["pages"] += 1
                counts["records"] += page.records
                counts["foreign"] += page.foreign
                for why, count in page.unchecked.items():
                    unchecked[why] = unchecked.get(why, 0) + count
                again_from = earliest(again_from, page.again_from)
                cursor = page.cursor
                if cursor is None:
                    break
            told = {**counts, "unchecked": unchecked, "again_from": again_from}
            return PagesRead(report=report.model_copy(update=told), cursor=cursor)

    @activity.defn
    async def end_run(self, end: EndRun) -> RunResult:
        """Starts a repair for every booking with something to look at, also of earlier runs; then the report and the watermarks."""
        async with told_to_temporal(_RETRY_INITIAL_S):
            started, after = 0, ""
            while True:
                async with self._database.read() as connection:
                    found = await reconciliation.to_look_at(connection, after, _REPAIRS_AT_ONCE)
                if not found:
                    break
                for booking_id in found:
                    await self._start_repair(booking_id)
                started, after = started + len(found), found[-1]
            async with self._database.transaction() as connection:
                await reconciliation.end(connection, end.run_id, end.streams)
            findings = sum(report.findings for report in end.streams)
            return RunResult(run_id=end.run_id, findings=findings, repairs=started)

    async def _start_repair(self, booking_id: str) -> None:
        """One at a time for each booking; after it has ended, another one may be needed."""
        await self._client.start_workflow(
            REPAIR_WORKFLOW,
            RepairInput(booking_id=booking_id, policy=self._saga),
            id=repair_workflow_id_for(booking_id),
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=f"Put booking {booking_id} right",
        )

    def _streams(self) -> list[Stream]:
        """Vendors' lists before our own books, so that what they show was announced in ours before we read those."""
        streams: list[Stream] = []
        for code in _PROVIDERS:
            if shows_list(self._vendors.payments, code, ListsPayments):
                streams += [Stream(books=books, vendor=code) for books in ("payments", "refunds", "disputes")]
            elif shows_list(self._vendors.payments, code, ListsRefunds):
                streams.append(Stream(books="refunds", vendor=code))
        for supplier in self._vendors.suppliers():
            if isinstance(supplier, ListsReservations):
                streams.append(Stream(books="reservations", vendor=supplier.code))
        return [*streams, Stream(books="settled"), Stream(books="lookups"), Stream(books="unsettled")]

    def _since(self, stream: Stream, read_until: datetime) -> datetime:
        overlap_s = self._policy.overlap_s if stream.books in _FROM_VENDORS else OVERLAP_OF_OUR_OWN_S
        return read_until - timedelta(seconds=overlap_s)
