"""Undoing a payment: letting go of what is reserved, or finding that it was taken, however little is known of it."""

from temporalio import activity

from activities.failures import told_to_temporal
from activities.key_life import may_be_forgotten
from activities.undoing import CannotFindOut
from gateways.ports import PaymentProvider, PaymentRequest, ProviderPayment, Vendors
from schema.errors import OutcomeUnclear
from schema.outcomes import ActionRequired, Confirmed, Rejected, Unknown
from schema.payments import PaymentUndone, UndoPayment
from schema.references import step_key
from store import attempts, bookings, payments
from store.attempts import Attempt, NewAttempt
from store.database import Database


class Releasing:
    """The compensation of a payment."""

    def __init__(self, database: Database, vendors: Vendors) -> None:
        self._database = database
        self._vendors = vendors

    @activity.defn
    async def undo_payment(self, undo: UndoPayment) -> PaymentUndone:
        """Let go of what is reserved, by our payment id. `captured`: it must be refunded instead. `nothing_found`: look again.

        Fails for good, with type `cannot_find_out`, where only a person can tell.
        """
        async with told_to_temporal(undo.retry_initial_s):
            async with self._database.transaction() as connection:
                payment = await payments.get(connection, undo.payment_id)
                provider_code = await bookings.payment_provider_of(connection, undo.booking_id)
                authorise = _attempt(undo, "authorise", provider_code)
                await attempts.tombstone(connection, authorise)
                attempt = await attempts.by_key(connection, authorise.key)
                if payment is None or attempt is None:
                    return PaymentUndone(kind="voided")  # nobody began, and now nobody can
            provider = self._vendors.payments(payment.provider)
            reference = payment.provider_reference or attempt.provider_reference
            if reference is None and (attempt.status == "ready" or attempt.clean_refusal()):
                return await self._voided(undo)
            if reference is None and not provider.capabilities.lookup_by_reference:
                if attempt.status == "rejected":
                    return await self._voided(undo)  # every try had the same key, and the answer to it was no
                reference = await self._asked_by_the_same_call(undo, provider, attempt)
                if reference is None:
                    return await self._voided(undo)
            if reference is None:
                found = await provider.find(undo.payment_id, attempt.created_at, undo.correlation_id)
                if found is None:
                    return PaymentUndone(kind="nothing_found")
            else:
                found = await provider.get(reference, undo.correlation_id)
            return await self._let_go(undo, provider, found)

    async def _asked_by_the_same_call(
        self, undo: UndoPayment, provider: PaymentProvider, attempt: Attempt
    ) -> str | None:
        """The provider's reference, from the answer it keeps for the attempt's key; None if it refused then.

        The call is the lost one over again, for as long as the key lives; what it may reserve now is let go of right away.
        """
        if undo.amount is None or may_be_forgotten(provider.capabilities, attempt):
            raise CannotFindOut(f"{provider.code} may have {undo.payment_id} and cannot be asked any more")
        async with self._database.read() as connection:
            _, method = await bookings.paid_through(connection, undo.booking_id, backup=undo.backup)
        outcome = await provider.authorise(
            PaymentRequest(
                idempotency_key=attempt.key,
                booking_id=undo.booking_id,
                payment_id=undo.payment_id,
                amount=undo.amount,
                payment_method=method,
                description=f"Trip {undo.booking_id}",
                correlation_id=undo.correlation_id,
            )
        )
        async with self._database.transaction() as connection:
            await attempts.finish(connection, attempt.key, outcome)
            if isinstance(outcome, Confirmed):
                await payments.authorised(connection, undo.payment_id, undo.amount, outcome)
            elif isinstance(outcome, ActionRequired):
                await payments.action_required(connection, undo.payment_id, outcome.provider_reference)
        if isinstance(outcome, Unknown):
            raise OutcomeUnclear(f"{provider.code}: {outcome.reason}")
        return None if isinstance(outcome, Rejected) else outcome.provider_reference

    async def _let_go(self, undo: UndoPayment, provider: PaymentProvider, found: ProviderPayment) -> PaymentUndone:
        if found.status == "captured":
            async with self._database.transaction() as connection:
                # The answer to the capture may have been lost; what is given back must first be in the books as taken.
                await payments.captured(connection, undo.payment_id, found.captured)
            return PaymentUndone(kind="captured", captured=found.captured - found.refunded)
        if found.status in ("voided", "failed"):
            return await self._voided(undo)
        async with self._database.transaction() as connection:
            attempt = await attempts.begin(connection, _attempt(undo, "void", provider.code))
        request = PaymentRequest(
            # The provider replays a stored 500 under a repeated key; voiding is idempotent by state, so each try may have its own.
            idempotency_key=f"{attempt.key}:{attempt.tries}",
            booking_id=undo.booking_id,
            payment_id=undo.payment_id,
            amount=found.authorised,
            provider_reference=found.provider_reference,
            correlation_id=undo.correlation_id,
        )
        outcome = await provider.void(request)
        async with self._database.transaction() as connection:
            await attempts.finish(connection, attempt.key, outcome)
        if isinstance(outcome, Unknown):
            raise OutcomeUnclear(f"{provider.code} did not say whether {undo.payment_id} was voided")
        if isinstance(outcome, Rejected):
            raise OutcomeUnclear(f"{provider.code} would not void {undo.payment_id}: {outcome.code}")
        undone = await self._voided(undo)
        if found.authorised.amount_minor == 0 and not provider.capabilities.lookup_by_reference:
            # There was nothing to void, and an order cannot be withdrawn: a call under way may still reserve money.
            return PaymentUndone(kind="nothing_found")
        return undone

    async def _voided(self, undo: UndoPayment) -> PaymentUndone:
        async with self._database.transaction() as connection:
            await payments.voided(connection, undo.payment_id)
        return PaymentUndone(kind="voided")


def _attempt(undo: UndoPayment, step: str, vendor: str) -> NewAttempt:
    return NewAttempt(
        key=step_key(undo.booking_id, step, undo.generation),
        booking_id=undo.booking_id,
        step=step,
        item_no=None,
        generation=undo.generation,
        vendor=vendor,
        reference=undo.payment_id,
        request_hash=step.encode(),
    )
