"""Puts payments into the simulated provider's books and into ours, as if each had been booked, authorised and taken then.

Bookings have no items and no events: what a run does with money is measured, and nothing else. Written in bulk, past the triggers that
look at each row; `ledger_balances` makes up for one of them.
"""

from collections.abc import Callable, Sequence
from typing import Final, cast

import httpx
from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, DateTime, Text

from bench.house import House
from bench.load import BenchFailed
from bench.reconciliation.business import CURRENCY, Business, Taken
from schema.tables import api_clients
from store.database import Database

_AT_ONCE: Final = 2_000
_CREATED: Final = 201
_COLUMNS: Final = """
    unnest(:bookings, :payments, :references, :states, :moments, :authorised, :taken)
      AS row (booking_id, payment_id, reference, state, moment, authorised, taken)
"""
_ROWS: Final = (
    bindparam("bookings", type_=ARRAY(Text)),
    bindparam("payments", type_=ARRAY(Text)),
    bindparam("references", type_=ARRAY(Text)),
    bindparam("states", type_=ARRAY(Text)),
    bindparam("moments", type_=ARRAY(DateTime(timezone=True))),
    bindparam("authorised", type_=ARRAY(BigInteger)),
    bindparam("taken", type_=ARRAY(BigInteger)),
)
_INTO_OUR_BOOKS: Final = tuple(
    text(statement.format(rows=_COLUMNS, currency=CURRENCY)).bindparams(*_ROWS)
    for statement in (
        """
        INSERT INTO bookings (id, client_id, idempotency_key, fingerprint, state, version, currency, total_minor,
          consent_total_minor, consent_limit_minor, payment_provider, correlation_id, workflow_started_at, created_at, updated_at)
        SELECT booking_id, :client, booking_id, '', state, 3, '{currency}', authorised, authorised, authorised, 'stripe', booking_id,
          moment, moment, moment
        FROM {rows}
        """,
        """
        INSERT INTO booking_travellers (booking_id, travellers, payment_method)
        SELECT booking_id, '[]', 'pm_card_visa' FROM {rows}
        """,
        """
        INSERT INTO payments (id, booking_id, generation, provider, state, provider_reference, currency, authorised_minor,
          captured_minor, created_at, updated_at)
        SELECT payment_id, booking_id, 0, 'stripe', 'CAPTURED', reference, '{currency}', authorised, authorised, moment, moment
        FROM {rows} WHERE reference IS NOT NULL
        """,
        """
        INSERT INTO ledger_entries (effect_key, account, amount_minor, currency, booking_id, payment_id, created_at)
        SELECT payment_id || ':' || effect, account, sign * authorised, '{currency}', booking_id, payment_id, moment
        FROM {rows} CROSS JOIN (VALUES
          ('authorised', 'authorised:stripe', 1), ('authorised', 'authorised:customers', -1),
          ('captured', 'receivable:stripe', 1), ('captured', 'customers', -1),
          ('captured', 'authorised:stripe', -1), ('captured', 'authorised:customers', 1)
        ) AS line (effect, account, sign)
        WHERE reference IS NOT NULL AND (effect = 'authorised' OR taken IS NOT NULL)
        """,
    )
)


async def plant(house: House, business: Business, first: int, end: int, say: Callable[[str], None]) -> None:
    """The payments from `first` until `end`, at both sides; those that are there stay."""
    for begin in range(first, end, _AT_ONCE):
        taken = list(business.taken(begin, min(end, begin + _AT_ONCE)))
        references = await _at_the_provider(house.sandbox, [one for one in taken if one.wrong != "unpaid"])
        await _in_our_books(house.database, taken, references)
        if (begin - first) // _AT_ONCE % 5 == 4:
            say(f"{begin + len(taken):,} payments in both books")
    async with house.database.read() as connection:
        # As PostgreSQL does by itself after a while; then it would do so beside what is measured, on the same cores.
        await connection.execute(text("VACUUM (ANALYZE) bookings, payments, ledger_entries, booking_travellers"))
        await connection.execute(text("CHECKPOINT"))


async def _at_the_provider(sandbox: httpx.AsyncClient, taken: Sequence[Taken]) -> dict[str, str]:
    """The provider's id of each payment, by ours."""
    payments = [
        {
            "created": int(one.at.timestamp()),
            "amount": one.amount_minor,
            "currency": CURRENCY.lower(),
            "metadata": {"booking_id": one.booking_id, "payment_id": one.payment_id},
        }
        for one in taken
    ]
    answer = await sandbox.post("/_sandbox/stripe/past_payments", json={"payments": payments})
    if answer.status_code != _CREATED:
        raise BenchFailed(f"the sandbox does not take payments of the past: {answer.status_code} {answer.text[:300]}")
    made = cast("list[str]", answer.json()["payment_intents"])
    return dict(zip((one.payment_id for one in taken), made, strict=True))


async def _in_our_books(database: Database, taken: Sequence[Taken], references: dict[str, str]) -> None:
    """All but strangers. What is wrong with the others is wrong here: the provider is always right."""
    ours = [one for one in taken if one.wrong != "stranger"]
    amounts = [one.amount_minor + (7 if one.wrong == "amount" else 0) for one in ours]
    values: dict[str, object] = {
        "bookings": [one.booking_id for one in ours],
        "payments": [one.payment_id for one in ours],
        "references": [None if one.wrong == "failed" else references.get(one.payment_id) for one in ours],
        "states": ["FAILED" if one.wrong == "failed" else "CONFIRMED" for one in ours],
        "moments": [one.at for one in ours],
        "authorised": amounts,
        "taken": [None if one.wrong == "ledger" else amount for one, amount in zip(ours, amounts, strict=True)],
    }
    async with database.transaction() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        client = await connection.scalar(select(api_clients.c.id).where(api_clients.c.name == "demo"))
        for statement in _INTO_OUR_BOOKS:
            of_client = {"client": client} if ":client" in statement.text else {}
            await connection.execute(statement, {**values, **of_client})


async def ledger_balances(database: Database) -> bool:
    """Whether every effect sums to zero."""
    async with database.read() as connection:
        odd = await connection.scalar(
            text(
                "SELECT count(*) FROM (SELECT FROM ledger_entries GROUP BY effect_key HAVING sum(amount_minor) <> 0) AS odd"
            )
        )
    return odd == 0
