"""What a provider's books prove goes into ours: ledger entries that are missing, refunds that others have made."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.money import Money
from schema.payments import refund_key
from schema.states import PaymentState
from schema.tables import ledger_entries, refunds
from store import ledger, payments
from store.ledger import Posting
from store.payments import StoredPayment, StoredRefund

_BY_HAND = "by_hand_"


def hand_made_key(payment_id: str, provider_reference: str) -> str:
    """Must merge every look at one refund that was made at the provider itself; it is never sent to anybody."""
    return refund_key(payment_id, f"{_BY_HAND}{provider_reference}", 0)


def made_by_hand(refund_key: str) -> bool:
    """Whether the refund with this key was made at the provider itself."""
    return f":refund-{_BY_HAND}" in refund_key


async def refunds_of(connection: AsyncConnection, payment_id: str) -> list[StoredRefund]:
    """All of one payment, oldest first."""
    query = select(refunds).where(refunds.c.payment_id == payment_id).order_by(refunds.c.created_at, refunds.c.key)
    return [
        StoredRefund(
            key=row.key,
            payment_id=row.payment_id,
            provider_reference=row.provider_reference,
            status=row.status,
            amount=Money(amount_minor=row.amount_minor, currency=row.currency),
        )
        for row in await connection.execute(query)
    ]


async def complete_ledger(connection: AsyncConnection, payment_id: str) -> bool:
    """Posts every effect that the payment has had, each under its own key: what is there already is not posted again. Whether
    anything was missing."""
    entries = select(func.count()).where(ledger_entries.c.payment_id == payment_id)
    payment = await payments.get(connection, payment_id, lock=True)
    assert payment is not None, f"payment {payment_id} is not in the books"
    provider, reserved = payment.provider, payment.authorised
    entries = entries.where(ledger_entries.c.booking_id == payment.booking_id)
    before = await connection.scalar(entries)
    if reserved.amount_minor:
        await _post(connection, payment, f"{payment_id}:authorised", ledger.authorised(provider, reserved))
    if payment.captured.amount_minor:
        lines = ledger.captured(provider, payment.captured, reserved)
        await _post(connection, payment, f"{payment_id}:captured", lines)
    elif reserved.amount_minor and payment.state == PaymentState.VOIDED:
        await _post(connection, payment, f"{payment_id}:voided", ledger.released(provider, reserved))
    for refund in await refunds_of(connection, payment_id):
        if refund.status == "succeeded":
            await _post(connection, payment, refund.key, ledger.refunded(provider, refund.amount))
    return await connection.scalar(entries) != before


async def _post(connection: AsyncConnection, payment: StoredPayment, effect_key: str, lines: dict[str, int]) -> None:
    posting = Posting(
        effect_key=effect_key,
        booking_id=payment.booking_id,
        payment_id=payment.payment_id,
        currency=payment.authorised.currency,
        lines=lines,
    )
    await ledger.post(connection, posting)
