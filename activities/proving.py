"""Putting our own books right where a provider's prove it. Nothing is asked of anybody here."""

from gateways.ports import ListedRefund, ProviderPayment
from schema.outcomes import Confirmed
from schema.references import step_key
from schema.states import PaymentState
from store import attempts, payments, proving
from store.attempts import NewAttempt
from store.database import Database
from store.payments import StoredPayment, StoredRefund

_BEFORE_AUTHORISED = (PaymentState.CREATED, PaymentState.ACTION_REQUIRED, PaymentState.IN_DOUBT)


class Proving:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def payment(self, stored: StoredPayment, theirs: ProviderPayment) -> tuple[StoredPayment, bool]:
        """The payment as it is in our books once they say what the provider's do, with a ledger that is complete; and whether
        anything had to be changed for that."""
        confirmed = Confirmed(provider_reference=theirs.provider_reference, expires_at=theirs.expires_at)
        async with self._database.transaction() as connection:
            if theirs.status in ("authorised", "captured") and stored.state in _BEFORE_AUTHORISED:
                await payments.authorised(connection, stored.payment_id, theirs.authorised, confirmed)
            if theirs.status == "captured" and stored.state in (*_BEFORE_AUTHORISED, PaymentState.AUTHORISED):
                await payments.captured(connection, stored.payment_id, theirs.captured)
            if theirs.status in ("voided", "failed") and stored.state in (*_BEFORE_AUTHORISED, PaymentState.AUTHORISED):
                await payments.voided(connection, stored.payment_id)
            posted = await proving.complete_ledger(connection, stored.payment_id)
            now = await payments.get(connection, stored.payment_id)
        assert now is not None, "no payment is ever deleted"
        if theirs.status == "captured":
            await self._capture_was_answered(now, confirmed)
        return now, posted or now != stored

    async def nothing_reserved(self, stored: StoredPayment) -> None:
        """The provider has been asked for it and has nothing, for certain."""
        async with self._database.transaction() as connection:
            await payments.voided(connection, stored.payment_id)

    async def refunds(self, stored: StoredPayment, lines: list[ListedRefund]) -> list[StoredRefund]:
        """The payment's refunds in our books once they say what the provider's list does, those made by hand among them."""
        async with self._database.transaction() as connection:
            known = {refund.key: refund for refund in await proving.refunds_of(connection, stored.payment_id)}
            for line in lines:
                theirs = line.refund
                key = line.key or ""
                if key not in known:
                    key = proving.hand_made_key(stored.payment_id, theirs.provider_reference)
                if key not in known and theirs.status != "failed":
                    await payments.refund_began(connection, key, stored.payment_id, theirs.amount)
                if theirs.status == "succeeded":
                    await payments.refund_succeeded(connection, key, stored.payment_id, theirs.provider_reference)
                elif theirs.status == "failed":
                    await payments.refund_failed(connection, key)
            return await proving.refunds_of(connection, stored.payment_id)

    async def adopt(self, booking_id: str, payment_id: str, provider: str, theirs: ProviderPayment) -> StoredPayment:
        """A payment that the provider has under one of our ids, and that our books have never had."""
        generation = int(payment_id[-1], 36)
        async with self._database.transaction() as connection:
            currency = theirs.captured.currency
            await payments.ensure(connection, payment_id, booking_id, generation, provider, currency)
            stored = await payments.get(connection, payment_id)
        assert stored is not None, "it was just written"
        return (await self.payment(stored, theirs))[0]

    async def _capture_was_answered(self, stored: StoredPayment, confirmed: Confirmed) -> None:
        """The attempt whose answer was lost; or, for what others have captured, one that only says what was seen."""
        async with self._database.transaction() as connection:
            captures = [
                attempt
                for attempt in await attempts.of_booking(connection, stored.booking_id)
                if attempt.step == "capture" and attempt.reference == stored.payment_id
            ]
            if any(attempt.status == "confirmed" for attempt in captures):
                return
            seen = NewAttempt(
                key=step_key(stored.booking_id, f"capture-seen-{stored.generation}", 0),
                booking_id=stored.booking_id,
                step="capture",
                item_no=None,
                generation=stored.generation,
                vendor=stored.provider,
                reference=stored.payment_id,
                request_hash=b"capture-seen",
            )
            key = captures[-1].key if captures else (await attempts.begin(connection, seen)).key
            await attempts.finish(connection, key, confirmed)
