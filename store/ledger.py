"""The ledger: double-entry, append-only, one set of entries per effect."""

from sqlalchemy import BigInteger, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.model import Message
from schema.money import Money
from schema.tables import ledger_entries

# The lines come as two arrays, since SQLAlchemy compiles an INSERT of several rows anew each time.
_LINES = (
    func.unnest(bindparam("accounts", type_=ARRAY(Text)), bindparam("minors", type_=ARRAY(BigInteger)))
    .table_valued("account", "amount_minor")
    .render_derived()
)
_POST = (
    insert(ledger_entries)
    .from_select(
        ["effect_key", "account", "amount_minor", "currency", "booking_id", "payment_id"],
        select(
            bindparam("of_effect", type_=Text),
            _LINES.c.account,
            _LINES.c.amount_minor,
            bindparam("in_currency", type_=Text),
            bindparam("of_booking", type_=Text),
            bindparam("of_payment", type_=Text),
        ),
    )
    .on_conflict_do_nothing()
)


class Posting(Message):
    """One effect on the books. `effect_key` must merge every retry of the effect and nothing else."""

    effect_key: str
    booking_id: str
    payment_id: str
    currency: str
    lines: dict[str, int]
    """Account to signed minor units; they sum to zero."""


def authorised(provider: str, amount: Money) -> dict[str, int]:
    """The provider keeps the amount for us: memo accounts, no money has moved."""
    return {f"authorised:{provider}": amount.amount_minor, "authorised:customers": -amount.amount_minor}


def released(provider: str, amount: Money) -> dict[str, int]:
    return {account: -minor for account, minor in authorised(provider, amount).items()}


def captured(provider: str, amount: Money, was_authorised: Money) -> dict[str, int]:
    """The provider owes us the amount; the whole authorisation is over, since what is not captured is released."""
    return {
        f"receivable:{provider}": amount.amount_minor,
        "customers": -amount.amount_minor,
        **released(provider, was_authorised),
    }


def refunded(provider: str, amount: Money) -> dict[str, int]:
    return {f"receivable:{provider}": -amount.amount_minor, "customers": amount.amount_minor}


async def post(connection: AsyncConnection, posting: Posting) -> None:
    """Writes the entries once; again is a no-op. The database refuses a set that does not balance."""
    values = {
        "of_effect": posting.effect_key,
        "accounts": list(posting.lines.keys()),
        "minors": list(posting.lines.values()),
        "in_currency": posting.currency,
        "of_booking": posting.booking_id,
        "of_payment": posting.payment_id,
    }
    await connection.execute(_POST, values)


async def balances(connection: AsyncConnection, booking_id: str) -> dict[str, int]:
    """Account to balance in minor units, of one booking."""
    rows = await connection.execute(
        select(ledger_entries.c.account, func.sum(ledger_entries.c.amount_minor).label("minor"))
        .where(ledger_entries.c.booking_id == booking_id)
        .group_by(ledger_entries.c.account)
    )
    return {row.account: int(row.minor) for row in rows}
