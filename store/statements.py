"""The ledger of one booking, read as a statement: each effect once, in order, and the totals of each currency.

Computed from the ledger alone and compared with the payments. Books that contradict themselves make no statement at all.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.errors import InvariantBroken
from schema.model import Message
from schema.money import Money
from schema.tables import ledger_entries
from store import bookings, payments
from store.payments import StoredPayment

Effect = Literal["authorised", "released", "captured", "refunded"]


class LedgerLine(Message):
    effect_key: str
    account: str
    amount_minor: int
    currency: str
    payment_id: str
    created_at: datetime


class StatementEntry(Message):
    """One effect on one payment."""

    effect: Effect
    payment_id: str
    provider: str
    amount: Money
    released: Money
    """Of a capture: what was reserved beyond it, which is let go."""
    at: datetime


class StatementTotals(Message):
    """Of one currency."""

    authorised: Money
    """All that was ever reserved."""
    captured: Money
    refunded: Money
    fees_kept: Money
    """What of the disclosed cancellation fees is kept of the money that was captured."""
    balance: Money
    """The sum over every account of the ledger: zero, or there is no statement."""


class Statement(Message):
    booking_id: str
    entries: list[StatementEntry]
    totals: list[StatementTotals]


async def of_booking(connection: AsyncConnection, booking_id: str, client_id: str | None) -> Statement | None:
    """None if there is no such booking, or it is not this client's (None: anybody's). The connection's transaction must not have
    begun to read, since one snapshot is needed. Raises InvariantBroken when the books contradict themselves."""
    await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    booking = await bookings.get(connection, booking_id, client_id)
    if booking is None:
        return None
    query = select(ledger_entries).where(ledger_entries.c.booking_id == booking_id).order_by(ledger_entries.c.id)
    lines = [LedgerLine.model_validate(dict(row)) for row in (await connection.execute(query)).mappings()]
    return statement_of(booking_id, lines, await payments.of_booking(connection, booking_id), booking.fee)


def statement_of(booking_id: str, lines: Iterable[LedgerLine], paid: Iterable[StoredPayment], fee: Money) -> Statement:
    """Raises InvariantBroken when an effect does not balance or cannot be told, or when a payment says something else."""
    effects: defaultdict[tuple[str, str], list[LedgerLine]] = defaultdict(list)
    balance_minor: Counter[str] = Counter({fee.currency: 0})
    for line in lines:
        effects[line.effect_key, line.currency].append(line)
        balance_minor[line.currency] += line.amount_minor
    entries = [_entry(effect) for effect in effects.values()]
    _check_payments(entries, paid)
    balances = [Money(amount_minor=minor, currency=currency) for currency, minor in balance_minor.items()]
    return Statement(
        booking_id=booking_id, entries=entries, totals=[_totals(entries, balance, fee) for balance in balances]
    )


def _entry(effect: list[LedgerLine]) -> StatementEntry:
    """From the lines of one effect in one currency; which effect it is follows from the accounts that it moved."""
    first = effect[0]
    if sum(line.amount_minor for line in effect):
        raise InvariantBroken(f"the entries of {first.effect_key} in {first.currency} do not sum to zero")
    moved: Counter[str] = Counter()
    provider = ""
    for line in effect:
        kind, _, of = line.account.partition(":")
        # The customers' side mirrors the provider's, as was just checked.
        if of not in ("", "customers"):
            moved[kind] += line.amount_minor
            provider = of
    if not provider or not moved.keys() <= {"receivable", "authorised"}:
        raise InvariantBroken(f"the entries of {first.effect_key} are on accounts that no statement knows")
    name, minor = _named(moved["receivable"], moved["authorised"])
    released_minor = max(0, -moved["authorised"] - minor) if name == "captured" else 0
    return StatementEntry(
        effect=name,
        payment_id=first.payment_id,
        provider=provider,
        amount=Money(amount_minor=minor, currency=first.currency),
        released=Money(amount_minor=released_minor, currency=first.currency),
        at=first.created_at,
    )


def _named(taken_minor: int, reserved_minor: int) -> tuple[Effect, int]:
    if taken_minor:
        return ("captured", taken_minor) if taken_minor > 0 else ("refunded", -taken_minor)
    return ("authorised", reserved_minor) if reserved_minor > 0 else ("released", -reserved_minor)


def _check_payments(entries: list[StatementEntry], paid: Iterable[StoredPayment]) -> None:
    by_payment = {payment.payment_id: payment for payment in paid}
    if unknown := {entry.payment_id for entry in entries} - by_payment.keys():
        raise InvariantBroken(f"the ledger has entries of {sorted(unknown)[0]}, which is no payment of this booking")
    for payment in by_payment.values():
        of_it = [entry for entry in entries if entry.payment_id == payment.payment_id]
        for name, stored in (("captured", payment.captured), ("refunded", payment.refunded)):
            if _sum(of_it, name, stored.currency) != stored:
                raise InvariantBroken(f"{payment.payment_id}: the ledger and the payment differ in what was {name}")


def _totals(entries: list[StatementEntry], balance: Money, fee: Money) -> StatementTotals:
    currency = balance.currency
    captured, refunded = _sum(entries, "captured", currency), _sum(entries, "refunded", currency)
    kept = captured - refunded
    disclosed = fee if fee.currency == currency else Money.zero(currency)
    return StatementTotals(
        authorised=_sum(entries, "authorised", currency),
        captured=captured,
        refunded=refunded,
        fees_kept=min(disclosed, kept),
        balance=balance,
    )


def _sum(entries: list[StatementEntry], effect: str, currency: str) -> Money:
    minor = sum(
        entry.amount.amount_minor for entry in entries if entry.effect == effect and entry.amount.currency == currency
    )
    return Money(amount_minor=minor, currency=currency)
