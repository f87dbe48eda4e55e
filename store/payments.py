"""Payments and refunds as the provider has told us, always together with their ledger entries."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Executable, RowMapping, bindparam, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.model import Message
from schema.money import Money
from schema.outcomes import Confirmed
from schema.states import PaymentState
from schema.tables import payments, refunds
from store import ledger
from store.ledger import Posting

# Built once: to build a statement costs as much as to run it. Which columns are written is said by the values given with it.
_OF_ID = payments.c.id == bindparam("of_payment")
_ENSURE = insert(payments).on_conflict_do_nothing()
_READ = select(payments).where(_OF_ID)
_LOCK = _READ.with_for_update()
_CHANGE = update(payments).where(_OF_ID).values(updated_at=func.now())


def _moving(to: PaymentState, *before: PaymentState) -> Executable:
    """Moves a payment that is in one of the states before, and tells what it is then; of any other it tells nothing."""
    in_time = payments.c.state.in_([literal_column(f"'{state.value}'") for state in before])
    return _CHANGE.where(in_time).values(state=to).returning(payments)


_AUTHORISE = _moving(PaymentState.AUTHORISED, PaymentState.CREATED, PaymentState.ACTION_REQUIRED, PaymentState.IN_DOUBT)
_CAPTURE = _moving(PaymentState.CAPTURED, PaymentState.AUTHORISED, PaymentState.IN_DOUBT)


class StoredPayment(Message):
    payment_id: str
    booking_id: str
    generation: int
    provider: str
    state: PaymentState
    provider_reference: str | None
    authorised: Money
    captured: Money
    refunded: Money
    expires_at: datetime | None
    failure: str | None
    created_at: datetime


class StoredRefund(Message):
    key: str
    payment_id: str
    provider_reference: str | None
    status: str
    amount: Money


async def ensure(  # a row
    connection: AsyncConnection, payment_id: str, booking_id: str, generation: int, provider: str, currency: str
) -> None:
    values = {
        "id": payment_id,
        "booking_id": booking_id,
        "generation": generation,
        "provider": provider,
        "currency": currency,
        "state": PaymentState.CREATED,
    }
    await connection.execute(_ENSURE, values)


async def get(connection: AsyncConnection, payment_id: str, *, lock: bool = False) -> StoredPayment | None:
    rows = await connection.execute(_LOCK if lock else _READ, {"of_payment": payment_id})
    row = rows.mappings().one_or_none()
    return None if row is None else _payment(row)


async def of_booking(connection: AsyncConnection, booking_id: str) -> list[StoredPayment]:
    query = select(payments).where(payments.c.booking_id == booking_id).order_by(payments.c.generation)
    return [_payment(row) for row in (await connection.execute(query)).mappings()]


async def authorised(connection: AsyncConnection, payment_id: str, amount: Money, outcome: Confirmed) -> None:
    """The money is reserved. Again is a no-op; so is news of it that arrives after the capture or the void."""
    payment = await _moved(
        connection,
        _AUTHORISE,
        payment_id,
        authorised_minor=amount.amount_minor,
        provider_reference=outcome.provider_reference,
        expires_at=outcome.expires_at,
    )
    if payment is not None:
        await _post(connection, payment, "authorised", ledger.authorised(payment.provider, amount))


async def renewed(connection: AsyncConnection, payment_id: str, expires_at: datetime | None) -> None:
    """The same money is reserved for longer."""
    await _change(connection, payment_id, expires_at=expires_at)


async def action_required(connection: AsyncConnection, payment_id: str, provider_reference: str) -> None:
    payment = await _locked(connection, payment_id)
    if payment.state in (PaymentState.CREATED, PaymentState.IN_DOUBT):
        await _change(connection, payment_id, state=PaymentState.ACTION_REQUIRED, provider_reference=provider_reference)


async def declined(connection: AsyncConnection, payment_id: str, message: str) -> None:
    await _change(connection, payment_id, state=PaymentState.DECLINED, failure=message)


async def captured(connection: AsyncConnection, payment_id: str, amount: Money) -> None:
    """The money is taken. Again is a no-op; so is news of it that arrives after the void or a refund."""
    payment = await _moved(connection, _CAPTURE, payment_id, captured_minor=amount.amount_minor)
    if payment is not None:
        await _post(connection, payment, "captured", ledger.captured(payment.provider, amount, payment.authorised))


async def voided(connection: AsyncConnection, payment_id: str) -> None:
    """Nothing is reserved any more; if something was, the books let go of it too."""
    payment = await _locked(connection, payment_id)
    if payment.state in (PaymentState.VOIDED, PaymentState.DECLINED):
        return
    await _change(connection, payment_id, state=PaymentState.VOIDED)
    if payment.authorised.amount_minor:
        await _post(connection, payment, "voided", ledger.released(payment.provider, payment.authorised))


async def in_doubt(connection: AsyncConnection, payment_id: str) -> None:
    payment = await _locked(connection, payment_id)
    if payment.state in (PaymentState.CREATED, PaymentState.ACTION_REQUIRED):
        await _change(connection, payment_id, state=PaymentState.IN_DOUBT)


async def capture_pending(connection: AsyncConnection, payment_id: str) -> None:
    """The provider is taking the money; its webhook is waited for."""
    payment = await _locked(connection, payment_id)
    if payment.state == PaymentState.AUTHORISED:
        await _change(connection, payment_id, state=PaymentState.IN_DOUBT)


async def refund_began(connection: AsyncConnection, key: str, payment_id: str, amount: Money) -> None:
    statement = insert(refunds).values(
        key=key, payment_id=payment_id, status="began", amount_minor=amount.amount_minor, currency=amount.currency
    )
    await connection.execute(statement.on_conflict_do_nothing())


async def refund_accepted(connection: AsyncConnection, key: str, payment_id: str, provider_reference: str) -> None:
    """The provider has it, and has not finished."""
    await connection.execute(
        update(refunds)
        .where(refunds.c.key == key, refunds.c.status != "succeeded")
        .values(status="pending", provider_reference=provider_reference, updated_at=func.now())
    )
    payment = await _locked(connection, payment_id)
    if payment.state in (PaymentState.CAPTURED, PaymentState.PARTIALLY_REFUNDED):
        await _change(connection, payment_id, state=PaymentState.REFUND_PENDING)


async def refund_succeeded(connection: AsyncConnection, key: str, payment_id: str, provider_reference: str) -> None:
    payment = await _locked(connection, payment_id)
    refund = await get_refund(connection, key)
    assert refund is not None, f"refund {key} succeeded but never began"
    if refund.status == "succeeded":
        return
    refunded = payment.refunded + refund.amount
    state = PaymentState.REFUNDED if refunded == payment.captured else PaymentState.PARTIALLY_REFUNDED
    await connection.execute(
        update(refunds)
        .where(refunds.c.key == key)
        .values(status="succeeded", provider_reference=provider_reference, updated_at=func.now())
    )
    await _change(connection, payment_id, state=state, refunded_minor=refunded.amount_minor)
    await ledger.post(
        connection,
        Posting(
            effect_key=key,
            booking_id=payment.booking_id,
            payment_id=payment_id,
            currency=payment.captured.currency,
            lines=ledger.refunded(payment.provider, refund.amount),
        ),
    )


async def refund_failed(connection: AsyncConnection, key: str) -> None:
    await connection.execute(
        update(refunds)
        .where(refunds.c.key == key, refunds.c.status != "succeeded")
        .values(status="failed", updated_at=func.now())
    )


async def refunds_replaced(connection: AsyncConnection, keys: Sequence[str]) -> None:
    """What began under these keys goes on under another; what the provider has accepted stays as it is."""
    await connection.execute(
        update(refunds)
        .where(refunds.c.key.in_(keys), refunds.c.status == "began")
        .values(status="failed", updated_at=func.now())
    )


async def get_refund(connection: AsyncConnection, key: str) -> StoredRefund | None:
    row = (await connection.execute(select(refunds).where(refunds.c.key == key))).one_or_none()
    if row is None:
        return None
    return StoredRefund(
        key=row.key,
        payment_id=row.payment_id,
        provider_reference=row.provider_reference,
        status=row.status,
        amount=Money(amount_minor=row.amount_minor, currency=row.currency),
    )


async def _locked(connection: AsyncConnection, payment_id: str) -> StoredPayment:
    payment = await get(connection, payment_id, lock=True)
    assert payment is not None, f"payment {payment_id} is not in the books"
    return payment


async def _moved(
    connection: AsyncConnection, statement: Executable, payment_id: str, **values: object
) -> StoredPayment | None:
    """The payment after the move; None if it was not in a state to make it."""
    row = (await connection.execute(statement, {"of_payment": payment_id, **values})).mappings().one_or_none()
    if row is None:
        await _locked(connection, payment_id)
        return None
    return _payment(row)


async def _change(connection: AsyncConnection, payment_id: str, **values: object) -> None:
    await connection.execute(_CHANGE, {"of_payment": payment_id, **values})


async def _post(connection: AsyncConnection, payment: StoredPayment, effect: str, lines: dict[str, int]) -> None:
    """The key must merge every retry and every late webhook of the effect; a payment is authorised, captured or voided once."""
    await ledger.post(
        connection,
        Posting(
            effect_key=f"{payment.payment_id}:{effect}",
            booking_id=payment.booking_id,
            payment_id=payment.payment_id,
            currency=payment.authorised.currency,
            lines=lines,
        ),
    )


def _payment(row: RowMapping) -> StoredPayment:
    def money(column: str) -> Money:
        return Money(amount_minor=row[column], currency=row["currency"])

    return StoredPayment(
        payment_id=row["id"],
        booking_id=row["booking_id"],
        generation=row["generation"],
        provider=row["provider"],
        state=PaymentState(row["state"]),
        provider_reference=row["provider_reference"],
        authorised=money("authorised_minor"),
        captured=money("captured_minor"),
        refunded=money("refunded_minor"),
        expires_at=row["expires_at"],
        failure=row["failure"],
        created_at=row["created_at"],
    )
