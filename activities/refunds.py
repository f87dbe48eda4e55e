"""Giving money back, and following it until the provider says that it has arrived."""

import hashlib

import orjson
from temporalio import activity

from activities.failures import told_to_temporal
from gateways.ports import PaymentRequest, ProviderRefund, Vendors
from schema.errors import OutcomeUnclear, VendorUnavailable
from schema.outcomes import Confirmed, Outcome, Rejected, Unknown
from schema.payments import RefundStatus, RefundStep
from store import attempts, payments
from store.attempts import Attempt, NewAttempt
from store.database import Database
from store.payments import StoredPayment


class Refunds:
    def __init__(self, database: Database, vendors: Vendors) -> None:
        self._database = database
        self._vendors = vendors

    @activity.defn
    async def start_refund(self, step: RefundStep) -> RefundStatus:
        """Ask for the refund once. After a silent try the provider's refunds are searched for our key before asking again."""
        async with told_to_temporal(step.retry_initial_s):
            payment, attempt = await self._begin(step)
            if isinstance(attempt.outcome, Rejected):
                return RefundStatus(kind="failed", reason=attempt.outcome.message)
            provider = self._vendors.payments(payment.provider)
            reference = payment.provider_reference
            assert reference is not None, "refunded only what was captured"
            if attempt.provider_reference is not None:
                known = await provider.get_refund(attempt.provider_reference, step.correlation_id)
                return await self._record(step, attempt, known)
            if not attempt.fresh or step.generation > 0:
                found = await provider.find_refund(reference, attempt.key, step.correlation_id)
                if found is not None:
                    return await self._record(step, attempt, found)
            request = PaymentRequest(
                idempotency_key=attempt.key,
                booking_id=step.booking_id,
                payment_id=step.payment_id,
                amount=step.amount,
                provider_reference=reference,
                correlation_id=step.correlation_id,
            )
            try:
                refund, outcome = await provider.refund(request)
            except VendorUnavailable:
                if attempt.fresh:
                    async with self._database.transaction() as connection:
                        await attempts.nothing_happened(connection, attempt.key)
                raise
            if refund is not None and isinstance(outcome, Confirmed):
                return await self._record(step, attempt, refund)
            return await self._without_refund(step, attempt, outcome)

    @activity.defn
    async def look_at_refund(self, step: RefundStep) -> RefundStatus:
        """How a refund stands that the provider has accepted, or may have."""
        async with told_to_temporal(step.retry_initial_s):
            payment, attempt = await self._begin(step)
            provider = self._vendors.payments(payment.provider)
            assert payment.provider_reference is not None, "refunded only what was captured"
            if attempt.provider_reference is not None:
                refund = await provider.get_refund(attempt.provider_reference, step.correlation_id)
            else:
                refund = await provider.find_refund(payment.provider_reference, attempt.key, step.correlation_id)
            if refund is None:
                return RefundStatus(kind="unknown", reason="the provider does not show it")
            return await self._record(step, attempt, refund)

    async def _begin(self, step: RefundStep) -> tuple[StoredPayment, Attempt]:
        async with self._database.transaction() as connection:
            payment = await payments.get(connection, step.payment_id)
            assert payment is not None, f"payment {step.payment_id} was captured"
            await payments.refund_began(connection, step.key(), step.payment_id, step.amount)
            attempt = await attempts.begin(
                connection,
                NewAttempt(
                    key=step.key(),
                    booking_id=step.booking_id,
                    step=f"refund-{step.reason_key}",
                    item_no=None,
                    generation=step.generation,
                    vendor=payment.provider,
                    reference=step.payment_id,
                    request_hash=hashlib.sha256(orjson.dumps([step.key(), str(step.amount)])).digest(),
                ),
            )
        return payment, attempt

    async def _record(self, step: RefundStep, attempt: Attempt, refund: ProviderRefund) -> RefundStatus:
        async with self._database.transaction() as connection:
            await attempts.finish(connection, attempt.key, Confirmed(provider_reference=refund.provider_reference))
            if refund.status == "succeeded":
                await payments.refund_succeeded(connection, step.key(), step.payment_id, refund.provider_reference)
            elif refund.status == "pending":
                await payments.refund_accepted(connection, step.key(), step.payment_id, refund.provider_reference)
            else:
                await payments.refund_failed(connection, step.key())
        return RefundStatus(kind=refund.status, provider_reference=refund.provider_reference, reason=refund.failure)

    async def _without_refund(self, step: RefundStep, attempt: Attempt, outcome: Outcome) -> RefundStatus:
        async with self._database.transaction() as connection:
            await attempts.finish(connection, attempt.key, outcome)
            if isinstance(outcome, Rejected):
                await payments.refund_failed(connection, step.key())
        if isinstance(outcome, Unknown):
            # The same key is sent again for as long as the first call could still land: two partial refunds would both be granted.
            raise OutcomeUnclear(outcome.reason)
        return RefundStatus(kind="failed", reason=outcome.message if isinstance(outcome, Rejected) else None)
