"""Reserving, taking, letting go of money. The provider's own books decide; ours follow in the transaction that records the outcome."""

import hashlib

import orjson
from temporalio import activity

from activities.failures import told_to_temporal
from activities.key_life import may_be_forgotten
from activities.undoing import CannotFindOut
from gateways.ports import PaymentProvider, PaymentRequest, ProviderPayment, Vendors
from schema.errors import OutcomeUnclear, VendorUnavailable
from schema.outcomes import ActionRequired, Confirmed, PaymentOutcome, Rejected, Unknown
from schema.payments import PaymentResult, PaymentStep
from schema.references import step_key
from store import attempts, bookings, payments
from store.attempts import Attempt, NewAttempt
from store.database import Database


class Payments:
    """The activities of one payment of one booking. Its workflow is their only caller."""

    def __init__(self, database: Database, vendors: Vendors) -> None:
        self._database = database
        self._vendors = vendors

    @activity.defn
    async def authorise(self, step: PaymentStep) -> PaymentResult:
        """Reserve the money. A second call carries the same key, so the provider answers it with the first one's result, for as long
        as it keeps the key."""
        async with told_to_temporal(step.retry_initial_s):
            async with self._database.transaction() as connection:
                provider_code, method = await bookings.paid_through(connection, step.booking_id, backup=step.backup)
                await payments.ensure(
                    connection, step.payment_id, step.booking_id, step.generation, provider_code, step.amount.currency
                )
                new = _attempt(step, "authorise", provider_code, step.generation)
                attempt = await attempts.begin(connection, new)
            if attempt.tombstoned:
                return PaymentResult(outcome=Rejected(code="cancelled", message="undone before it ran"))
            if isinstance(attempt.outcome, Confirmed | Rejected | ActionRequired):
                return PaymentResult(outcome=attempt.outcome)
            provider = self._vendors.payments(provider_code)
            if not attempt.fresh and may_be_forgotten(provider.capabilities, attempt):
                known = await self._without_the_key(step, attempt, provider)
                if known is not None:
                    return known
            request = _request(step, attempt, payment_method=method)
            try:
                outcome = await provider.authorise(request)
            except VendorUnavailable:
                await self._nothing_happened(attempt)
                raise
            await self._record_authorisation(step, attempt, outcome)
            return PaymentResult(outcome=outcome)

    @activity.defn
    async def find_out_authorisation(self, step: PaymentStep) -> PaymentResult:
        """What became of an authorisation whose answer was lost; a retryable failure while the provider shows nothing."""
        async with told_to_temporal(step.retry_initial_s):
            attempt, provider = await self._known(step, "authorise", step.generation)
            if attempt.status == "ready":
                async with self._database.transaction() as connection:
                    await attempts.tombstone(connection, _attempt(step, "authorise", provider.code, step.generation))
                return PaymentResult(
                    outcome=Rejected(code="vendor_unavailable", message="the payment provider could not be reached")
                )
            if isinstance(attempt.outcome, Confirmed | Rejected | ActionRequired):
                return PaymentResult(outcome=attempt.outcome)
            if not provider.capabilities.lookup_by_reference:
                # It keeps the answer under the key: the same call over again tells what the lost one did.
                result = await self._go_on(step, attempt, provider)
                if isinstance(result.outcome, Unknown):
                    raise OutcomeUnclear(f"{provider.code}: {result.outcome.reason}")
                return result
            found = await provider.find(step.payment_id, attempt.created_at, step.correlation_id)
            if found is None:
                raise OutcomeUnclear(f"{provider.code} does not show {step.payment_id} yet")
            return await self._authorisation_as(step, attempt, found)

    @activity.defn
    async def look_at_authorisation(self, step: PaymentStep) -> PaymentResult:
        """How an authorisation stands that waits for the customer: asked after a webhook, and now and then without one."""
        async with told_to_temporal(step.retry_initial_s):
            attempt, provider = await self._known(step, "authorise", step.generation)
            assert attempt.provider_reference is not None, "only asked once the provider has named it"
            found = await provider.get(attempt.provider_reference, step.correlation_id)
            if found.status == "approved":
                return await self._go_on(step, attempt, provider)
            return await self._authorisation_as(step, attempt, found)

    async def _without_the_key(
        self, step: PaymentStep, attempt: Attempt, provider: PaymentProvider
    ) -> PaymentResult | None:
        """What became of a call whose key the provider may have forgotten; None if it certainly did nothing and may be sent."""
        if provider.capabilities.lookup_by_reference:
            found = await provider.find(step.payment_id, attempt.created_at, step.correlation_id)
            return None if found is None else await self._authorisation_as(step, attempt, found)
        outcome = Unknown(reason=f"{provider.code} may have forgotten the key of {step.payment_id}")
        await self._record_authorisation(step, attempt, outcome)
        return PaymentResult(outcome=outcome)

    async def _go_on(self, step: PaymentStep, attempt: Attempt, provider: PaymentProvider) -> PaymentResult:
        """The same call under the same key: after the payer's approval it reserves the money, after a lost answer it repeats it."""
        if attempt.provider_reference is None and may_be_forgotten(provider.capabilities, attempt):
            raise CannotFindOut(f"{provider.code} may have {step.payment_id} and cannot be asked any more")
        async with self._database.read() as connection:
            _, method = await bookings.paid_through(connection, step.booking_id, backup=step.backup)
        request = _request(step, attempt, payment_method=method, provider_reference=attempt.provider_reference)
        outcome = await provider.authorise(request)
        await self._record_authorisation(step, attempt, outcome)
        return PaymentResult(outcome=outcome)

    @activity.defn
    async def reauthorise(self, step: PaymentStep) -> PaymentResult:
        """Reserve anew what the provider is about to let go of; under the same payment, for the same amount."""
        async with told_to_temporal(step.retry_initial_s):
            async with self._database.transaction() as connection:
                payment = await payments.get(connection, step.payment_id)
                assert payment is not None, f"payment {step.payment_id} was authorised"
                new = _attempt(step, "reauthorise", payment.provider, step.step_generation)
                attempt = await attempts.begin(connection, new)
            if isinstance(attempt.outcome, Confirmed | Rejected):
                return PaymentResult(outcome=attempt.outcome)
            provider = self._vendors.payments(payment.provider)
            try:
                outcome = await provider.reauthorise(
                    _request(step, attempt, provider_reference=payment.provider_reference)
                )
            except VendorUnavailable:
                await self._nothing_happened(attempt)
                raise
            async with self._database.transaction() as connection:
                await attempts.finish(connection, attempt.key, outcome)
                if isinstance(outcome, Confirmed):
                    await payments.renewed(connection, step.payment_id, outcome.expires_at)
            if isinstance(outcome, Unknown):
                # The same call under the same key tells; a trip is not given up for a lost answer.
                raise OutcomeUnclear(outcome.reason)
            return PaymentResult(outcome=outcome)

    @activity.defn
    async def capture(self, step: PaymentStep) -> PaymentResult:
        """Take the money, once. After a silent try the provider's books are read before anything is sent again."""
        async with told_to_temporal(step.retry_initial_s):
            async with self._database.transaction() as connection:
                payment = await payments.get(connection, step.payment_id)
                assert payment is not None, f"payment {step.payment_id} was authorised"
                new = _attempt(step, "capture", payment.provider, step.step_generation)
                attempt = await attempts.begin(connection, new)
            if isinstance(attempt.outcome, Confirmed | Rejected):
                return PaymentResult(outcome=attempt.outcome)
            provider = self._vendors.payments(payment.provider)
            assert payment.provider_reference is not None, "captured only what was authorised"
            if not attempt.fresh or step.step_generation > 0:
                books = await provider.get(payment.provider_reference, step.correlation_id)
                if books.status == "captured":
                    return await self._captured(step, attempt, Confirmed(provider_reference=books.provider_reference))
                if books.status in ("voided", "failed"):
                    gone = Rejected(code="authorisation_expired", message="the reserved money was released")
                    return await self._captured(step, attempt, gone)
                if books.status == "processing":
                    async with self._database.transaction() as connection:
                        await payments.capture_pending(connection, step.payment_id)
                    return PaymentResult(outcome=Unknown(reason="the provider is working on it"), pending=True)
            request = _request(step, attempt, provider_reference=payment.provider_reference)
            try:
                outcome = await provider.capture(request)
            except VendorUnavailable:
                await self._nothing_happened(attempt)
                raise
            return await self._captured(step, attempt, outcome)

    async def _authorisation_as(self, step: PaymentStep, attempt: Attempt, found: ProviderPayment) -> PaymentResult:
        """The outcome that the provider's books prove."""
        outcome: PaymentOutcome
        if found.status in ("authorised", "captured"):
            outcome = Confirmed(provider_reference=found.provider_reference, expires_at=found.expires_at)
        elif found.status in ("voided", "failed", "created"):
            outcome = Rejected(code="card_declined", message=found.failure or "the payment was not completed")
        elif found.status == "action_required":
            outcome = ActionRequired(provider_reference=found.provider_reference)
        else:
            outcome = Unknown(reason="the provider is still working on it")
        await self._record_authorisation(step, attempt, outcome)
        return PaymentResult(outcome=outcome)

    async def _record_authorisation(self, step: PaymentStep, attempt: Attempt, outcome: PaymentOutcome) -> None:
        async with self._database.transaction() as connection:
            await attempts.finish(connection, attempt.key, outcome)
            if isinstance(outcome, Confirmed):
                await payments.authorised(connection, step.payment_id, step.amount, outcome)
            elif isinstance(outcome, ActionRequired):
                await payments.action_required(connection, step.payment_id, outcome.provider_reference)
            elif isinstance(outcome, Rejected):
                await payments.declined(connection, step.payment_id, outcome.message)
            else:
                await payments.in_doubt(connection, step.payment_id)

    async def _captured(
        self, step: PaymentStep, attempt: Attempt, outcome: Confirmed | Rejected | Unknown
    ) -> PaymentResult:
        async with self._database.transaction() as connection:
            await attempts.finish(connection, attempt.key, outcome)
            if isinstance(outcome, Confirmed):
                await payments.captured(connection, step.payment_id, step.amount)
        return PaymentResult(outcome=outcome)

    async def _nothing_happened(self, attempt: Attempt) -> None:
        # Only the sole caller may say so; an earlier, silent one may still have had its effect.
        if attempt.fresh:
            async with self._database.transaction() as connection:
                await attempts.nothing_happened(connection, attempt.key)

    async def _known(self, step: PaymentStep, name: str, generation: int) -> tuple[Attempt, PaymentProvider]:
        async with self._database.read() as connection:
            attempt = await attempts.by_key(connection, step_key(step.booking_id, name, generation))
        if attempt is None:
            raise OutcomeUnclear(f"{name} of {step.payment_id} has not begun")
        return attempt, self._vendors.payments(attempt.vendor)


def _attempt(step: PaymentStep, name: str, vendor: str, generation: int) -> NewAttempt:
    return NewAttempt(
        key=step_key(step.booking_id, name, generation),
        booking_id=step.booking_id,
        step=name,
        item_no=None,
        generation=generation,
        vendor=vendor,
        reference=step.payment_id,
        request_hash=hashlib.sha256(orjson.dumps([name, step.payment_id, str(step.amount)])).digest(),
    )


def _request(
    step: PaymentStep, attempt: Attempt, *, payment_method: str | None = None, provider_reference: str | None = None
) -> PaymentRequest:
    return PaymentRequest(
        idempotency_key=attempt.key,
        booking_id=step.booking_id,
        payment_id=step.payment_id,
        amount=step.amount,
        payment_method=payment_method,
        provider_reference=provider_reference,
        description=f"Trip {step.booking_id}",
        correlation_id=step.correlation_id,
    )
