"""The statement of a booking: the ledger in order and in words, for its owner and for operators, and never a wrong one."""

from datetime import UTC, datetime

import pytest

from schema.errors import InvariantBroken
from schema.money import Money
from schema.outcomes import Confirmed
from schema.references import new_id, payment_id_for
from schema.states import PaymentState
from store import ledger, payments
from store.database import Database
from store.ledger import Posting
from store.payments import StoredPayment
from store.statements import LedgerLine, statement_of
from tests.api.conftest import Booking, Caller, Minting


def eur(minor: int) -> Money:
    return Money(amount_minor=minor, currency="EUR")


async def _paid(database: Database, booking_id: str) -> None:
    """One authorisation let go; one taken in part and given back in part."""
    first, second = payment_id_for(booking_id, 0), payment_id_for(booking_id, 1)
    async with database.transaction() as connection:
        for generation, payment_id in enumerate((first, second)):
            await payments.ensure(connection, payment_id, booking_id, generation, "stripe", "EUR")
            reserved = Confirmed(provider_reference=new_id("pi"))
            await payments.authorised(connection, payment_id, eur(900), reserved)
        await payments.voided(connection, first)
        await payments.captured(connection, second, eur(700))
        await payments.refund_began(connection, f"{booking_id}:refund:0", second, eur(250))
        await payments.refund_succeeded(connection, f"{booking_id}:refund:0", second, new_id("re"))


async def test_every_effect_is_told_and_summed(caller: Caller, book: Booking, database: Database) -> None:
    booking_id = str((await book(caller))["booking_id"])
    await _paid(database, booking_id)
    statement = (await caller.get(f"/v1/bookings/{booking_id}/statement")).json()
    assert [(entry["effect"], entry["amount"]["amount_minor"]) for entry in statement["entries"]] == [
        ("authorised", 900),
        ("authorised", 900),
        ("released", 900),
        ("captured", 700),
        ("refunded", 250),
    ]
    taken = statement["entries"][3]
    assert taken["meaning"] == "7.00 EUR taken through stripe; the other 2.00 EUR that were reserved are let go"
    assert taken["payment_id"] == payment_id_for(booking_id, 1)
    (totals,) = statement["totals"]
    assert {name: amount["amount_minor"] for name, amount in totals.items()} == {
        "authorised": 1800, "captured": 700, "refunded": 250, "fees_kept": 0, "balance": 0,
    }  # fmt: skip


async def test_before_any_money_moves_it_is_empty(caller: Caller, book: Booking) -> None:
    booking_id = str((await book(caller))["booking_id"])
    statement = (await caller.get(f"/v1/bookings/{booking_id}/statement")).json()
    assert (statement["entries"], statement["totals"][0]["captured"]) == ([], {"amount_minor": 0, "currency": "EUR"})


async def test_whose_it_is(caller: Caller, book: Booking, mint: Minting) -> None:
    path = f"/v1/bookings/{(await book(caller))['booking_id']}/statement"
    owner_like, operator, neither = (
        await mint(["bookings:read"]),
        await mint(["ops:read"]),
        await mint(["payments:read"]),
    )
    answers = [await who.get(path) for who in (operator, owner_like, neither)]
    assert [answer.status_code for answer in answers] == [200, 404, 403]
    assert answers[1].json()["code"] == "not_found"
    missing = await operator.get(f"/v1/bookings/{'0' * 26}/statement")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


async def test_books_that_contradict_themselves_make_no_statement(
    caller: Caller, book: Booking, database: Database
) -> None:
    booking_id = str((await book(caller))["booking_id"])
    of_nobody = Posting(
        effect_key=f"{booking_id}:odd",
        booking_id=booking_id,
        payment_id=payment_id_for(booking_id, 0),
        currency="EUR",
        lines=ledger.refunded("stripe", eur(1)),
    )
    async with database.transaction() as connection:
        await ledger.post(connection, of_nobody)
    answer = await caller.get(f"/v1/bookings/{booking_id}/statement")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")


def _lines(key: str, **accounts: int) -> list[LedgerLine]:
    """`receivable__stripe=5` is five minor units on the account `receivable:stripe`."""
    return [
        LedgerLine(
            effect_key=key,
            account=account.replace("__", ":"),
            amount_minor=minor,
            currency="EUR",
            payment_id="pay_1",
            created_at=datetime.now(UTC),
        )
        for account, minor in accounts.items()
    ]


def _payment(captured_minor: int, refunded_minor: int = 0) -> StoredPayment:
    return StoredPayment(
        payment_id="pay_1",
        booking_id="b",
        generation=0,
        provider="stripe",
        state=PaymentState.CAPTURED,
        provider_reference="pi_1",
        authorised=eur(900),
        captured=eur(captured_minor),
        refunded=eur(refunded_minor),
        expires_at=None,
        failure=None,
        created_at=datetime.now(UTC),
    )


_TAKEN = _lines("taken", receivable__stripe=500, customers=-500)


def test_of_a_fee_is_kept_what_was_not_given_back() -> None:
    back = _lines("back", receivable__stripe=-420, customers=420)
    for fee_minor, kept_minor in ((80, 80), (60, 60), (90, 80)):
        statement = statement_of("b", [*_TAKEN, *back], [_payment(500, 420)], eur(fee_minor))
        assert statement.totals[0].fees_kept == eur(kept_minor)


@pytest.mark.parametrize(
    ("lines", "captured_minor", "told"),
    [
        (_lines("taken", receivable__stripe=500, customers=-499), 500, "do not sum to zero"),
        (_lines("odd", suspense__stripe=500, customers=-500), 500, "accounts that no statement knows"),
        (_lines("odd", customers=0), 0, "accounts that no statement knows"),
        (_TAKEN, 499, "differ in what was captured"),
        ([line.model_copy(update={"payment_id": "pay_2"}) for line in _TAKEN], 0, "no payment of this booking"),
        (
            [*_TAKEN[:1], _TAKEN[1].model_copy(update={"currency": "USD"})],
            500,
            "do not sum to zero",
        ),
    ],
)
def test_what_does_not_add_up_is_refused(lines: list[LedgerLine], captured_minor: int, told: str) -> None:
    with pytest.raises(InvariantBroken, match=told):
        statement_of("b", lines, [_payment(captured_minor)], eur(0))
