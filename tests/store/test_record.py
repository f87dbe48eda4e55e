"""The one way a booking changes: state, version and event in one transaction, only along the table of transitions; and what the
database itself refuses."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from schema.bookings import StateChange
from schema.errors import InvariantBroken
from schema.money import Money
from schema.outcomes import Confirmed, Rejected, Unknown
from schema.references import booking_id_for, new_id, payment_id_for
from schema.states import BookingState, ItemState, PaymentState
from store import attempts, bookings, items, ledger, payments
from store.attempts import NewAttempt
from store.clients import ensure_client
from store.database import Database
from store.ledger import Posting
from tests.store.made import new_booking

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(postgres_url: str) -> AsyncGenerator[Database]:
    opened = Database(postgres_url, pool_size=4)
    yield opened
    await opened.aclose()


@pytest_asyncio.fixture
async def booking_id(database: Database) -> str:
    client_id = await ensure_client(database, name=new_id("client"), scopes=[], token=new_id("token"))
    new = new_booking(client_id, booking_id_for(client_id, "key-of-this-test"))
    async with database.transaction() as connection:
        assert await bookings.create(connection, new)
    return new.booking_id


async def record(database: Database, booking_id: str, version: int, state: BookingState) -> bool:
    async with database.transaction() as connection:
        return await bookings.record(connection, StateChange(booking_id=booking_id, version=version, state=state))


async def states(database: Database, booking_id: str) -> list[tuple[int, str]]:
    async with database.read() as connection:
        return [(event.version, event.state.value) for event in await bookings.events_of(connection, booking_id)]


async def test_a_change_and_its_event_are_written_together(database: Database, booking_id: str) -> None:
    assert await record(database, booking_id, 1, BookingState.AWAITING_PAYMENT)
    assert await states(database, booking_id) == [(0, "PENDING"), (1, "AWAITING_PAYMENT")]


async def test_a_repeat_is_a_no_op(database: Database, booking_id: str) -> None:
    """A local activity may run again after a crash."""
    assert await record(database, booking_id, 1, BookingState.AWAITING_PAYMENT)
    assert not await record(database, booking_id, 1, BookingState.AWAITING_PAYMENT)
    assert len(await states(database, booking_id)) == 2


@pytest.mark.parametrize(
    ("version", "state"),
    [
        (1, BookingState.CONFIRMED),  # not a legal transition
        (2, BookingState.AWAITING_PAYMENT),  # a gap
    ],
)
async def test_an_illegal_change_is_refused_whole(
    database: Database, booking_id: str, version: int, state: BookingState
) -> None:
    with pytest.raises(InvariantBroken):
        await record(database, booking_id, version, state)
    assert await states(database, booking_id) == [(0, "PENDING")]


async def test_a_second_writer_is_noticed(database: Database, booking_id: str) -> None:
    await record(database, booking_id, 1, BookingState.AWAITING_PAYMENT)
    with pytest.raises(InvariantBroken, match="is recorded as AWAITING_PAYMENT"):
        await record(database, booking_id, 1, BookingState.FAILED)


async def test_two_at_once_write_one(database: Database, booking_id: str) -> None:
    written = await asyncio.gather(*(record(database, booking_id, 1, BookingState.AWAITING_PAYMENT) for _ in range(4)))
    assert sorted(written) == [False, False, False, True]


async def test_one_supplier_booking_belongs_to_one_item(database: Database, booking_id: str) -> None:
    """C-2d: the database refuses the same supplier's reference on two items."""
    found = Confirmed(provider_reference=new_id("ord"))
    async with database.transaction() as connection:
        await items.reserved(connection, booking_id, 1, ItemState.CONFIRMED, found, None)
    with pytest.raises(IntegrityError):
        async with database.transaction() as connection:
            await items.reserved(connection, booking_id, 2, ItemState.CONFIRMED, found, None)


async def test_a_straggler_never_takes_an_item_back(database: Database, booking_id: str) -> None:
    """A zombie that reports its hold late must not undo what its successor reached."""
    found = Confirmed(provider_reference=new_id("ord"))
    for reached in (ItemState.CONFIRMED, ItemState.RELEASED):
        async with database.transaction() as connection:
            await items.set_state(connection, booking_id, 1, reached)
            await items.reserved(connection, booking_id, 1, ItemState.HELD, found, None)
            assert (await items.get(connection, booking_id, 1)).state == reached


@pytest.mark.parametrize("statement", ["UPDATE ledger_entries SET amount_minor = 1", "DELETE FROM ledger_entries"])
async def test_the_ledger_is_append_only(database: Database, booking_id: str, statement: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.transaction() as connection:
            await connection.execute(text(statement))


async def test_an_effect_that_does_not_balance_is_refused(database: Database, booking_id: str) -> None:
    posting = Posting(
        effect_key=new_id("effect"), booking_id=booking_id, payment_id="p", currency="EUR", lines={"a": 5, "b": -4}
    )
    with pytest.raises(DBAPIError, match="does not sum to zero"):
        async with database.transaction() as connection:
            await ledger.post(connection, posting)


async def test_money_is_booked_once_however_often_it_is_told(database: Database, booking_id: str) -> None:
    payment_id, amount = payment_id_for(booking_id, 0), Money(amount_minor=900, currency="EUR")
    async with database.transaction() as connection:
        await payments.ensure(connection, payment_id, booking_id, 0, "stripe", "EUR")
    for _ in range(2):
        async with database.transaction() as connection:
            await payments.authorised(connection, payment_id, amount, Confirmed(provider_reference=payment_id))
            await payments.captured(connection, payment_id, amount)
    async with database.transaction() as connection:
        await payments.refund_began(connection, f"{payment_id}:r", payment_id, Money(amount_minor=400, currency="EUR"))
        for _ in range(2):
            await payments.refund_succeeded(connection, f"{payment_id}:r", payment_id, "re_1")
    async with database.read() as connection:
        payment = await payments.get(connection, payment_id)
        balances = await ledger.balances(connection, booking_id)
    assert payment is not None
    assert (payment.state, payment.refunded.amount_minor) == (PaymentState.PARTIALLY_REFUNDED, 400)
    assert balances == {
        "authorised:stripe": 0, "authorised:customers": 0, "receivable:stripe": 500, "customers": -500,
    }  # fmt: skip


@pytest.mark.parametrize("voided", [True, False])
async def test_late_news_of_an_authorisation_changes_nothing(database: Database, booking_id: str, voided: bool) -> None:
    """The money was let go of or taken before: neither the payment nor the books move again."""
    payment_id, amount = payment_id_for(booking_id, 0), Money(amount_minor=900, currency="EUR")
    authorised = Confirmed(provider_reference=payment_id)
    async with database.transaction() as connection:
        await payments.ensure(connection, payment_id, booking_id, 0, "stripe", "EUR")
        await payments.authorised(connection, payment_id, amount, authorised)
        if voided:
            await payments.voided(connection, payment_id)
        else:
            await payments.captured(connection, payment_id, amount)
        settled, books = await payments.get(connection, payment_id), await ledger.balances(connection, booking_id)
    async with database.transaction() as connection:
        await payments.authorised(connection, payment_id, amount, authorised)
        await payments.captured(connection, payment_id, amount)
        assert await payments.get(connection, payment_id) == settled
        assert await ledger.balances(connection, booking_id) == books


async def test_news_of_a_payment_that_is_not_in_the_books_is_a_bug(database: Database, booking_id: str) -> None:
    payment_id, amount = payment_id_for(booking_id, 0), Money(amount_minor=900, currency="EUR")
    with pytest.raises(AssertionError, match="not in the books"):
        async with database.transaction() as connection:
            await payments.captured(connection, payment_id, amount)


async def test_a_step_reads_of_its_item_what_is_stored(database: Database, booking_id: str) -> None:
    async with database.transaction() as connection:
        await items.repriced(connection, booking_id, 1, Money(amount_minor=700, currency="EUR"), {"token": "t"})
        await items.reserved(connection, booking_id, 1, ItemState.HELD, Confirmed(provider_reference=new_id("o")), None)
        whole, lean = await items.get(connection, booking_id, 1), await items.for_step(connection, booking_id, 1)
        with_people, travellers = await items.with_travellers(connection, booking_id, 1)
        people, method = await bookings.travellers_of(connection, booking_id)
        paid_through = await bookings.paid_through(connection, booking_id)
    assert all(getattr(whole, name) == value for name, value in lean)
    assert (with_people, travellers) == (lean, people)
    assert paid_through == ("stripe", method)


def attempt_of(booking_id: str, request: bytes = b"request") -> NewAttempt:
    return NewAttempt(
        key=f"{booking_id}:hold-1:0", booking_id=booking_id, step="hold", item_no=1, generation=0, vendor="duffel",
        reference=f"{booking_id}10", request_hash=request,
    )  # fmt: skip


async def test_only_one_caller_may_call(database: Database, booking_id: str) -> None:
    async with database.transaction() as connection:
        first = await attempts.begin(connection, attempt_of(booking_id))
        second = await attempts.begin(connection, attempt_of(booking_id))
    assert (first.fresh, second.fresh) == (True, False)


async def test_after_a_call_that_did_nothing_one_may_call_again(database: Database, booking_id: str) -> None:
    new = attempt_of(booking_id)
    async with database.transaction() as connection:
        await attempts.begin(connection, new)
        await attempts.nothing_happened(connection, new.key)
        again = await attempts.begin(connection, new)
        third = await attempts.begin(connection, new)
    assert (again.fresh, third.fresh) == (True, False)


async def test_a_tombstone_forbids_every_later_call(database: Database, booking_id: str) -> None:
    new = attempt_of(booking_id)
    async with database.transaction() as connection:
        await attempts.tombstone(connection, new)
        late = await attempts.begin(connection, new)
    assert (late.tombstoned, late.fresh) == (True, False)


async def test_evidence_outweighs_and_doubt_overwrites_nothing(database: Database, booking_id: str) -> None:
    new = attempt_of(booking_id)
    async with database.transaction() as connection:
        await attempts.begin(connection, new)
        await attempts.finish(connection, new.key, Rejected(code="sold_out", message="gone"))
        await attempts.finish(connection, new.key, Unknown(reason="a straggler lost its answer"))
        refused = await attempts.by_key(connection, new.key)
        await attempts.finish(connection, new.key, Confirmed(provider_reference="ord_1"))
        await attempts.finish(connection, new.key, Rejected(code="sold_out", message="already booked"))
        found = await attempts.by_key(connection, new.key)
    assert refused is not None
    assert found is not None
    assert (refused.status, found.status, found.provider_reference) == ("rejected", "confirmed", "ord_1")


@pytest.mark.parametrize("others", ["nobody", "nobody with effect", "before", "since"])
async def test_what_only_refuses_the_sole_caller(database: Database, booking_id: str, others: str) -> None:
    """An order of this offer exists: ours, if anybody might have called before, or has since."""
    new, refusal = attempt_of(booking_id), Rejected(code="offer_expired", message="another order was made of it")
    async with database.transaction() as connection:
        mine = await attempts.begin(connection, new)
        if others == "nobody with effect":
            await attempts.nothing_happened(connection, new.key)
            mine = await attempts.begin(connection, new)
        elif others == "before":
            mine = await attempts.begin(connection, new)
        elif others == "since":
            await attempts.begin(connection, new)
        only = await attempts.refuse_only(connection, mine, refusal)
        found = await attempts.by_key(connection, new.key)
    assert found is not None
    assert only == others.startswith("nobody")
    assert found.status == ("rejected" if only else "calling")


async def test_a_key_is_for_one_request(database: Database, booking_id: str) -> None:
    async with database.transaction() as connection:
        await attempts.begin(connection, attempt_of(booking_id))
    with pytest.raises(InvariantBroken):
        async with database.transaction() as connection:
            await attempts.begin(connection, attempt_of(booking_id, request=b"another"))
