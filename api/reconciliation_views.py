"""What operators are answered about the reconciliation: each run's report, and what became of what it found."""

from collections import defaultdict
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from schema.model import ClientMessage, Message
from schema.reconciliation import FindingKind, Outcome, StreamReport
from store.reconciliation import StoredFinding, StoredRun


class RunsQuery(ClientMessage):
    """Paging through runs, newest first."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[A-Za-z0-9_=-]+$")] | None = None


class FoundOfKind(Message):
    """How many differences of one kind a run was the first to find, and what became of them by now."""

    kind: FindingKind
    found: int
    repaired: int = 0
    cases: int = 0
    """Waiting for an operator."""
    settled: int = 0
    """Decided by one."""
    open: int = 0
    """Being looked at, or left alone while somebody works on the booking."""


class RunView(Message):
    run_id: str
    started_by: str
    """`schedule`, or who asked for it."""
    status: Literal["running", "complete", "incomplete"]
    """`incomplete`: some list could not be read to its end; `streams` says which, and the next run begins there."""
    started_at: datetime
    ended_at: datetime | None
    duration_s: float | None
    pages: int
    records: int
    repaired: int
    cases: int
    findings: list[FoundOfKind]
    unchecked: dict[str, int]
    """Why records could not be checked, and how many."""
    streams: list[StreamReport]

    @classmethod
    def of(cls, run: StoredRun) -> "RunView":
        findings = _by_kind(run)
        unchecked: defaultdict[str, int] = defaultdict(int)
        for report in run.streams:
            for why, count in report.unchecked.items():
                unchecked[why] += count
        ended = run.ended_at is not None
        broken = any(report.problem is not None for report in run.streams)
        return cls(
            run_id=run.run_id,
            started_by=run.started_by,
            status="incomplete" if broken else "complete" if ended else "running",
            started_at=run.started_at,
            ended_at=run.ended_at,
            duration_s=(run.ended_at - run.started_at).total_seconds() if run.ended_at is not None else None,
            pages=sum(report.pages for report in run.streams),
            records=sum(report.records for report in run.streams),
            repaired=sum(found.repaired for found in findings),
            cases=sum(found.cases for found in findings),
            findings=findings,
            unchecked=dict(unchecked),
            streams=run.streams,
        )


class FindingView(Message):
    """One difference. `outcome` None: nobody has looked again yet."""

    kind: FindingKind
    vendor: str
    object_id: str
    booking_id: str
    reference: str | None
    outcome: Outcome | None
    found_at: datetime


class RunDetail(RunView):
    """`details`: the first 200."""

    details: list[FindingView]

    @classmethod
    def with_findings(cls, run: StoredRun, found: list[StoredFinding]) -> "RunDetail":
        details = [FindingView.model_validate(finding.model_dump()) for finding in found]
        return cls(**RunView.of(run).model_dump(), details=details)


class RunList(Message):
    runs: list[RunView]
    next_cursor: str | None


class RunStarted(Message):
    """Where its report will be."""

    run_id: str


def _by_kind(run: StoredRun) -> list[FoundOfKind]:
    """Without what was gone at a second look."""
    kinds: dict[FindingKind, dict[str, int]] = {}
    for count in run.findings:
        if count.outcome != "unfounded":
            of_kind = kinds.setdefault(count.kind, defaultdict(int))
            of_kind["found"] += count.count
            names: dict[Outcome | None, str] = {"repaired": "repaired", "case": "cases", "settled": "settled"}
            of_kind[names.get(count.outcome, "open")] += count.count
    return [FoundOfKind.model_validate({"kind": kind, **counts}) for kind, counts in kinds.items()]
