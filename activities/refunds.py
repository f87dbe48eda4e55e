"""Giving money back, and following it until the provider says that it has arrived."""

import hashlib

import orjson
from temporalio import activity

from activities.failures import told_to_temporal
from gateways.ports import PaymentProvider, PaymentRequest, ProviderRefund, Vendors
from schema.errors import OutcomeUnclear, VendorUnavailable
from schema.outcomes import Confirmed, Outcome, Rejected, Unknown
from schema.payments import RefundStatus, RefundStep
from store import attempts, payments
from store.attempts import Attempt, NewAttempt
from store.database import Database
from store.payments import StoredPayment

_TAKEN_OVER = RefundStatus(kind="unknown", reason="the refund goes on under a later key")
"""For a call that was taken for lost and wakes up: two partial refunds under two keys would both be granted."""


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
            if attempt.tombstoned:
                return _TAKEN_OVER
            provider = self._vendors.payments(payment.provider)
            reference = payment.provider_reference
            assert reference is not None, "refunded only what was captured"
            if attempt.provider_reference is not None:
                known = await provider.get_refund(attempt.provider_reference, step.correlation_id)
                return await self._record(step, step, known)
            if not attempt.fresh or step.generation > 0:
                there = await self._find(provider, reference, step)
                if there is not None:
                    return await self._record(step, *there)
                if await self._taken_over(attempt.key):
                    return _TAKEN_OVER
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
                return await self._record(step, step, refund)
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
                return await self._record(step, step, refund)
            there = await self._find(provider, payment.provider_reference, step)
            if there is None:
                return RefundStatus(kind="unknown", reason="the provider does not show it")
            return await self._record(step, *there)

    async def _begin(self, step: RefundStep) -> tuple[StoredPayment, Attempt]:
        async with self._database.transaction() as connection:
            payment = await payments.get(connection, step.payment_id)
            assert payment is not None, f"payment {step.payment_id} was captured"
            await payments.refund_began(connection, step.key(), step.payment_id, step.amount)
            for generation in range(step.generation):
                earlier = step.model_copy(update={"generation": generation})
                await attempts.tombstone(connection, _attempt_of(earlier, payment))
            attempt = await attempts.begin(connection, _attempt_of(step, payment))
        return payment, attempt

    async def _find(
        self, provider: PaymentProvider, reference: str, step: RefundStep
    ) -> tuple[RefundStep, ProviderRefund] | None:
        """Under this key, or under an earlier one whose call landed after everybody had stopped waiting for it."""
        for generation in range(step.generation, -1, -1):
            asked = step.model_copy(update={"generation": generation})
            refund = await provider.find_refund(reference, asked.key(), step.correlation_id)
            if refund is not None and (asked == step or refund.status != "failed"):
                return asked, refund
        return None

    async def _taken_over(self, key: str) -> bool:
        async with self._database.read() as connection:
            attempt = await attempts.by_key(connection, key)
        return attempt is not None and attempt.tombstoned

    async def _record(self, step: RefundStep, asked: RefundStep, refund: ProviderRefund) -> RefundStatus:
        """`asked`: under whose key the provider has it; what began under the others is over, and is not to be begun again."""
        key = asked.key()
        others = [step.model_copy(update={"generation": generation}).key() for generation in range(step.generation + 1)]
        async with self._database.transaction() as connection:
            await attempts.finish(connection, key, Confirmed(provider_reference=refund.provider_reference))
            if refund.status == "failed":
                await payments.refund_failed(connection, key)
            else:
                await payments.refunds_replaced(connection, [other for other in others if other != key])
            if refund.status == "succeeded":
                await payments.refund_succeeded(connection, key, step.payment_id, refund.provider_reference)
            elif refund.status == "pending":
                await payments.refund_accepted(connection, key, step.payment_id, refund.provider_reference)
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


def _attempt_of(step: RefundStep, payment: StoredPayment) -> NewAttempt:
    return NewAttempt(
        key=step.key(),
        booking_id=step.booking_id,
        step=f"refund-{step.reason_key}",
        item_no=None,
        generation=step.generation,
        vendor=payment.provider,
        reference=step.payment_id,
        request_hash=hashlib.sha256(orjson.dumps([step.key(), str(step.amount)])).digest(),
    )
