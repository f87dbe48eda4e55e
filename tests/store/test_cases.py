"""Review cases as the desk finds them, and its record, in which nothing is ever changed."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from schema.bookings import OutstandingEffect, Resolution, ReviewCase
from schema.errors import Malformed
from schema.money import Money
from schema.references import booking_id_for, new_id
from store import bookings, cases, desk
from store.cases import CaseFilter
from store.clients import ensure_client
from store.database import Database
from store.desk import NewAction
from tests.store.made import new_booking

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(postgres_url: str) -> AsyncGenerator[Database]:
    opened = Database(postgres_url, pool_size=4)
    yield opened
    await opened.aclose()


class Opener:
    """Opens cases of a booking of its own, at a vendor that no other test knows."""

    def __init__(self, database: Database, booking_id: str) -> None:
        self.database = database
        self.booking_id = booking_id
        self.vendor = f"vendor_{booking_id.lower()}"

    async def open(self, *amounts: Money | None, reason: str = "lost") -> str:
        effects = [
            OutstandingEffect(
                vendor=self.vendor, step="hotel", reference=f"{self.booking_id}/{number}", amount=amount, problem="?"
            )
            for number, amount in enumerate(amounts, 1)
        ]
        case = ReviewCase(case_id=new_id("case"), workflow_id="booking-x", reason=reason, effects=effects)
        async with self.database.transaction() as connection:
            await cases.open_case(connection, self.booking_id, case)
        return case.case_id

    async def found(self, **wanted: object) -> list[str]:
        only = CaseFilter.model_validate({"vendor": self.vendor, **wanted})
        async with self.database.read() as connection:
            return [case.case_id for case in (await cases.page(connection, only, 50, None)).cases]


@pytest_asyncio.fixture
async def opener(database: Database) -> Opener:
    client_id = await ensure_client(database, name=new_id("client"), scopes=[], token=new_id("token"))
    new = new_booking(client_id, booking_id_for(client_id, "key-of-this-test"))
    async with database.transaction() as connection:
        assert await bookings.create(connection, new)
    return Opener(database, new.booking_id)


def eur(minor: int) -> Money:
    return Money(amount_minor=minor, currency="EUR")


async def close(database: Database, case_id: str, action: str = "write_off") -> None:
    resolution = Resolution.model_validate(
        {"case_id": case_id, "action": action, "operator": "ann", "note": "so be it"}
    )
    async with database.transaction() as connection:
        await cases.close_case(connection, resolution)


async def test_amounts_add_up_within_a_currency_only(opener: Opener) -> None:
    two, mixed, unknown = (
        await opener.open(eur(400), eur(300)),
        await opener.open(eur(600), Money(amount_minor=600, currency="USD")),
        await opener.open(None, eur(10)),
    )
    assert await opener.found() == [two, mixed, unknown]
    assert await opener.found(min_amount_minor=700) == [two]
    assert await opener.found(min_amount_minor=10) == [two, mixed, unknown]


async def test_by_reason_age_and_state(opener: Opener, database: Database) -> None:
    odd, other = await opener.open(eur(1), reason="a 100% LOSS_"), await opener.open(eur(1), reason="a 1000 lossx")
    assert await opener.found(reason="100% loss_") == [odd]
    assert await opener.found(older_than_s=3600) == []
    await close(database, odd)
    assert await opener.found() == [other]
    assert await opener.found(state="resolved") == [odd]
    assert await opener.found(state="all") == [odd, other]


async def test_pages_go_on_where_the_last_one_ended(opener: Opener, database: Database) -> None:
    opened = [await opener.open(eur(1)) for _ in range(5)]
    seen, cursor = [], None
    async with database.read() as connection:
        for size in (2, 2, 1):
            page = await cases.page(connection, CaseFilter(vendor=opener.vendor), 2, cursor)
            assert len(page.cases) == size
            seen += [case.case_id for case in page.cases]
            cursor = page.next_cursor
    assert (seen, cursor) == (opened, None)


async def test_a_cursor_of_nobodys_is_refused(database: Database) -> None:
    async with database.read() as connection:
        for cursor in ("nonsense", "WyIyMDMwLTAxLTAxVDAwOjAwOjAwWiIsIlx1MDAwMCJd"):  # the second one holds a NUL
            with pytest.raises(Malformed):
                await cases.page(connection, CaseFilter(), 2, cursor)


async def test_closing_a_case_is_written_down_once(opener: Opener, database: Database) -> None:
    case_id = await opener.open(eur(1))
    await close(database, case_id)
    await close(database, case_id, action="retry")
    await close(database, "case-of-nobody")
    async with database.read() as connection:
        lines = await desk.of_case(connection, case_id)
    assert [(line.kind, line.operator, line.action, line.note) for line in lines] == [
        ("closed", "ann", "write_off", "so be it")
    ]


@pytest.mark.parametrize(
    "change", ["UPDATE desk_actions SET note = ''", "DELETE FROM desk_actions", "TRUNCATE desk_actions"]
)
async def test_the_record_cannot_be_changed(change: str, opener: Opener, database: Database) -> None:
    await close(database, await opener.open(eur(1)))
    with pytest.raises(IntegrityError, match="append-only"):
        async with database.transaction() as connection:
            await connection.execute(text(change))


async def _write(database: Database, case_id: str, kind: str, lasts_s: float | None = None, **more: object) -> None:
    line = {
        "case_id": case_id,
        "kind": kind,
        "key": new_id("key"),
        "operator": "ann",
        "action": "write_off",
        "note": "n",
    }
    async with database.transaction() as connection:
        await desk.append(connection, NewAction.model_validate(line | more), lasts_s=lasts_s)


async def test_which_proposal_stands(opener: Opener, database: Database) -> None:
    standing, expired, replaced, carried_out, twice = [await opener.open(eur(1)) for _ in range(5)]
    for case_id in (standing, replaced, carried_out, twice):
        await _write(database, case_id, "proposed", 3600)
    await _write(database, expired, "proposed", 0)
    await _write(database, replaced, "decided", action="retry")
    await _write(database, carried_out, "decided", operator="bob", proposed_by="ann")
    await _write(database, twice, "proposed", 3600, operator="bob")
    async with database.read() as connection:
        found = await desk.proposals(connection, [standing, expired, replaced, carried_out, twice])
    assert {case_id: action.operator for case_id, action in found.items()} == {
        standing: "ann", carried_out: "ann", twice: "bob",
    }  # fmt: skip


async def test_a_line_is_written_once_for_its_key(opener: Opener, database: Database) -> None:
    case_id = await opener.open(eur(1))
    for note in ("first", "second"):
        await _write(database, case_id, "decided", key=f"{case_id}-key", note=note)
    async with database.read() as connection:
        assert [line.note for line in await desk.of_case(connection, case_id)] == ["first"]
