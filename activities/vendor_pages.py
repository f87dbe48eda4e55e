"""One page of one list, compared with our books by one query."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from temporalio.client import Client

from activities.asking import Asking, Question
from activities.judging import judge_dispute, judge_payment, judge_refund, judge_reservation, judge_settled
from activities.running import at_work
from gateways.ports import ListsPayments, ListsRefunds, ListsReservations, Vendors
from schema.bookings import workflow_id_for
from schema.errors import InvariantBroken
from schema.reconciliation import CORRELATION_ID, Finding, ReadPages, ReconciliationPolicy, repair_workflow_id_for
from schema.references import booking_of_reference, checked_booking_id
from store import reconciled
from store.cursors import read_cursor, write_cursor
from store.database import Database

_WORKFLOWS_AT_ONCE = 20


@dataclass
class Page:
    """What was on it, and where the next one begins; `cursor` None: it was the last."""

    cursor: str | None
    records: int = 0
    foreign: int = 0
    findings: list[Finding] = field(default_factory=list[Finding])
    unchecked: Counter[str] = field(default_factory=Counter[str])
    again_from: datetime | None = None
    """The first booking that is to be asked about again, by when it last changed."""

    def not_answered(self, question: Question, why: str, *, again: bool) -> None:
        self.unchecked[why] += 1
        if again:
            self.again_from = min(self.again_from or question.changed_at, question.changed_at)


class Pages:
    def __init__(self, database: Database, vendors: Vendors, client: Client, policy: ReconciliationPolicy) -> None:
        self._database = database
        self._vendors = vendors
        self._client = client
        self._policy = policy
        self._asking = Asking(database, vendors)

    async def read(self, reading: ReadPages, cursor: str | None, asked: int) -> Page:
        """Raises as a vendor's read does. `asked`: look-ups that the run has made so far."""
        since = reading.since
        match reading.stream.books:
            case "payments":
                return await self._payments(_vendor(reading), since, cursor)
            case "refunds":
                return await self._refunds(_vendor(reading), since, cursor)
            case "disputes":
                return await self._disputes(_vendor(reading), since, cursor)
            case "reservations":
                return await self._reservations(_vendor(reading), since, cursor)
            case "settled":
                return await self._settled(since, cursor)
            case "lookups":
                return await self._lookups(since, cursor, asked)
            case "unsettled":
                return await self._unsettled(cursor)

    async def _payments(self, vendor: str, since: datetime, cursor: str | None) -> Page:
        listed = await self._lists(vendor).list_payments(since, cursor, CORRELATION_ID)
        ours = [line for line in listed.lines if is_booking_id(line.booking_id)]
        async with self._database.read() as connection:
            pairs = [(line.booking_id or "", line.payment_id or "") for line in ours]
            known = await reconciled.payments_of(connection, pairs)
        judged = [judge_payment(vendor, line, own) for line, own in zip(ours, known, strict=True)]
        return _page(listed.cursor, len(listed.lines), len(listed.lines) - len(ours), judged)

    async def _refunds(self, vendor: str, since: datetime, cursor: str | None) -> Page:
        provider = self._vendors.payments(vendor)
        if not isinstance(provider, ListsRefunds):
            raise InvariantBroken(f"{vendor} shows no list")
        listed = await provider.list_refunds(since, cursor, CORRELATION_ID)
        async with self._database.read() as connection:
            references = [line.payment_reference for line in listed.lines]
            known = await reconciled.refunds_of(connection, vendor, references)
        ours = [line for line in listed.lines if line.payment_reference in known]
        judged = [judge_refund(vendor, line, known[line.payment_reference]) for line in ours]
        return _page(listed.cursor, len(listed.lines), len(listed.lines) - len(ours), judged)

    async def _disputes(self, vendor: str, since: datetime, cursor: str | None) -> Page:
        listed = await self._lists(vendor).list_disputes(since, cursor, CORRELATION_ID)
        async with self._database.read() as connection:
            references = [line.payment_reference or "" for line in listed.lines]
            known = await reconciled.refunds_of(connection, vendor, references)
        judged = [
            judge_dispute(vendor, line, known[line.payment_reference])
            for line in listed.lines
            if line.payment_reference in known
        ]
        return _page(listed.cursor, len(listed.lines), len(listed.lines) - len(judged), judged)

    async def _reservations(self, vendor: str, since: datetime, cursor: str | None) -> Page:
        supplier = self._vendors.supplier(vendor)
        if not isinstance(supplier, ListsReservations):
            raise InvariantBroken(f"{vendor} shows no list")
        listed = await supplier.list_reservations(since, cursor, CORRELATION_ID)
        ours = [
            (place, line.reference or "", line.reservation)
            for line in listed.lines
            if (place := place_of(line.reference)) is not None
        ]
        async with self._database.read() as connection:
            known = await reconciled.items_of(connection, [place for place, _, _ in ours])
        judged = [
            judge_reservation(vendor, reference, place[0], theirs, own)
            for (place, reference, theirs), own in zip(ours, known, strict=True)
        ]
        return _page(listed.cursor, len(listed.lines), len(listed.lines) - len(ours), judged)

    async def _settled(self, since: datetime, cursor: str | None) -> Page:
        async with self._database.transaction() as connection:
            found = await reconciled.settled_page(connection, _after(since, cursor), self._policy.page_size)
        judged = [finding for booking in found for finding in judge_settled(booking)]
        more = len(found) == self._policy.page_size
        return Page(
            cursor=write_cursor(found[-1].updated_at, found[-1].booking_id) if more else None,
            records=len(found),
            findings=judged,
        )

    async def _lookups(self, since: datetime, cursor: str | None, asked: int) -> Page:
        async with self._database.transaction() as connection:
            found = await reconciled.settled_page(connection, _after(since, cursor), self._policy.page_size)
        page = Page(cursor=None)
        if len(found) == self._policy.page_size:
            page.cursor = write_cursor(found[-1].updated_at, found[-1].booking_id)
        for question in self._asking.questions(found):
            if asked + page.records >= self._policy.lookups:
                why = f"{question.vendor}: more than {self._policy.lookups} look-ups in one run"
                page.not_answered(question, why, again=True)
                continue
            page.records += 1
            answer = await self._asking.ask(question)
            if isinstance(answer, Finding):
                page.findings.append(answer)
            elif answer is not None:
                page.not_answered(question, answer.why, again=answer.passing)
        return page

    async def _unsettled(self, cursor: str | None) -> Page:
        async with self._database.read() as connection:
            beginning = datetime.min.replace(tzinfo=UTC)
            found = await reconciled.unsettled_page(connection, _after(beginning, cursor), self._policy.page_size)
        turn = asyncio.Semaphore(_WORKFLOWS_AT_ONCE)

        async def nobody_works_on(booking_id: str, others: list[str]) -> bool:
            async with turn:
                own = [workflow_id_for(booking_id), repair_workflow_id_for(booking_id)]
                return not await at_work(self._client, [*own, *others])

        gone = await asyncio.gather(*(nobody_works_on(each.booking_id, each.workflow_ids) for each in found))
        left = [each.booking_id for each, nobody in zip(found, gone, strict=True) if nobody]
        async with self._database.read() as connection:
            # Read again: a workflow that has just ended has settled its booking before.
            left = sorted(await reconciled.still_unsettled(connection, left))
        more = len(found) == self._policy.page_size
        return Page(
            cursor=write_cursor(found[-1].created_at, found[-1].booking_id) if more else None,
            records=len(found),
            findings=[workflow_gone(booking_id) for booking_id in left],
        )

    def _lists(self, vendor: str) -> ListsPayments:
        provider = self._vendors.payments(vendor)
        if not isinstance(provider, ListsPayments):
            raise InvariantBroken(f"{vendor} shows no list")
        return provider


def workflow_gone(booking_id: str) -> Finding:
    return Finding(
        kind="workflow_gone", vendor="temporal", object_id=workflow_id_for(booking_id), booking_id=booking_id
    )


def is_booking_id(value: str | None) -> bool:
    """Whether it can be the id of a booking of ours."""
    try:
        checked_booking_id(value or "")
    except ValueError:
        return False
    return True


def place_of(reference: str | None) -> tuple[str, int] | None:
    """Booking and item of one of our references; None for anything else."""
    try:
        return booking_of_reference(reference or ""), int((reference or "")[26:27])
    except ValueError:
        return None


def _page(cursor: str | None, records: int, foreign: int, judged: list[Finding | None]) -> Page:
    return Page(cursor, records, foreign, [finding for finding in judged if finding is not None])


def _after(since: datetime, cursor: str | None) -> tuple[datetime, str]:
    return (since, "") if cursor is None else read_cursor(cursor)


def _vendor(reading: ReadPages) -> str:
    vendor = reading.stream.vendor
    if vendor is None:
        raise InvariantBroken(f"{reading.stream.books} are a vendor's")
    return vendor
