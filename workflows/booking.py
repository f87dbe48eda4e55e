"""The booking saga: from an accepted request to a confirmed trip, or to nothing at all."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.pricing import Pricing
    from activities.recording import Recording
    from schema.bookings import (
        WORKFLOW,
        Accepted,
        AcceptPrice,
        BookingInput,
        BookingResult,
        BookingStatus,
        CancelRequest,
        Consent,
        ItemPrice,
        Resolution,
    )
    from schema.money import Money, total
    from schema.outcomes import Confirmed, Outcome, Rejected, Unknown
    from schema.payments import PaymentChanged
    from schema.states import BookingState
    from workflows.compensation import Compensation
    from workflows.items import Item
    from workflows.payment import UNREACHABLE, Payment, WaysToPay, refused
    from workflows.saga import Saga, SagaFailed, run_to_the_end
    from workflows.steps import local


@workflow.defn(name=WORKFLOW)
class BookingWorkflow:
    """See docs/architecture.md for the picture. Handlers only leave wishes; the saga's own task does everything."""

    @workflow.init
    def __init__(self, plan: BookingInput) -> None:
        self.plan = plan
        self.saga = Saga(plan.booking_id, plan.version, BookingState.PENDING, plan.policy)
        self.consent = plan.consent
        self.total = plan.consent.total
        self.items = [Item(plan, item) for item in plan.items]
        self.payment: Payment | None = None
        self.compensation = Compensation(self.saga, plan)
        self.verified_at = 0.0
        self.accepted_price: Money | None = None
        self.pivoting = False

    @workflow.run
    async def run(self, plan: BookingInput) -> BookingResult:
        return await run_to_the_end(self._saga(), self._wish_to_cancel)

    # ------------------------------------------------------------------ the business, in order

    async def _saga(self) -> BookingResult:
        try:
            await self._verify()
            await self._authorise()
            await self._reserve_and_confirm()
            await self._capture()
        except SagaFailed as failure:
            return await self._undo_everything(failure)
        return await self._finish()

    async def _verify(self) -> None:
        """Re-price every item; above consent, wait for the traveller; what is sold out fails the trip or is left out."""
        while True:
            self._checkpoint()
            # Interleaves with `cancel`: read at the next checkpoint.
            prices = await asyncio.gather(*(self._check_price(item) for item in self._wanted()))
            for item, price in zip(self._wanted(), prices, strict=True):
                await self._reprice(item, price)
            self.verified_at = workflow.time()
            self.total = total((item.price for item in self._wanted()), self.plan.currency)
            if self.total <= self.consent.limit:
                return
            await self._wait_for_consent()

    async def _authorise(self) -> None:
        """Reserve the money; after a long wait verify again; after a price that moved reserve anew."""
        ways = WaysToPay(self.saga, self.plan)
        for generation in range(self.plan.policy.max_payments):
            self._checkpoint()
            self.payment = Payment(self.saga, self.plan, generation, self.total, ways.now)
            self.compensation.register(self.payment)
            if self.saga.state != BookingState.AWAITING_PAYMENT:
                await self.saga.record(
                    BookingState.AWAITING_PAYMENT, total=self.total, consent_limit=self.consent.limit
                )
            outcome = await self.payment.authorise()
            if isinstance(outcome, Rejected):
                await ways.after(outcome)
            elif isinstance(outcome, Confirmed):
                ways.reached()
                if await self._still_covers_the_trip(self.payment):
                    if self.saga.state == BookingState.PRICE_CHANGED:
                        await self.saga.record(BookingState.AWAITING_PAYMENT, consent_limit=self.consent.limit)
                    return
            # Either nobody can say whether it was reserved, or it is too little: let go of it and ask with a new key.
            await self._let_go(self.payment)
            if isinstance(outcome, Unknown) and self.plan.policy.provider_patience_s > 0:
                certain = not self.compensation.may_still_appear(self.payment)
                await ways.after(Rejected(code=UNREACHABLE, message=outcome.reason), certain=certain)
        raise SagaFailed("vendor_unavailable", "the payment provider could not reserve the money")

    async def _reserve_and_confirm(self) -> None:
        """Until every item is confirmed: one that was refused may come back as another supplier's."""
        self._checkpoint()
        await self.saga.record(BookingState.RESERVING, total=self.total)
        while any(not item.confirmed for item in self._wanted()):
            while together := self._next_to_reserve():
                if not together[0].plan.hold:
                    self._checkpoint()
                    self._no_hold_is_over()
                for item in together:
                    self.compensation.register(item)
                # All are awaited, also after one has failed: an answer that nobody waits for is an Unknown for no reason.
                outcomes = await asyncio.gather(*(item.reserve() for item in together))
                await self._accept(dict(zip(together, outcomes, strict=True)))
            self._checkpoint()
            self._no_hold_is_over()
            holds = [item for item in self._wanted() if item.held and not item.confirmed]
            outcomes = await asyncio.gather(*(item.confirm() for item in holds))
            await self._accept(dict(zip(holds, outcomes, strict=True)))

    def _next_to_reserve(self) -> list[Item]:
        """Those that can be held, all at once; then the instant ones, one by one, least refundable last."""
        missing = [item for item in self._wanted() if not (item.held or item.confirmed)]
        holds = [item for item in missing if item.plan.hold]
        return holds or sorted(missing, key=lambda item: not item.plan.refundable)[:1]

    async def _capture(self) -> None:
        """The pivot: before it every failure undoes, after it everything goes forward."""
        assert self.payment is not None, "authorised before anything was reserved"
        reserved = await self.payment.still_reserved()
        if not isinstance(reserved, Confirmed):
            message = reserved.message if isinstance(reserved, Rejected) else reserved.reason
            raise SagaFailed("authorisation_expired", message)
        self._checkpoint()
        self.pivoting = True  # from here on `cancel` is refused: nothing may be awaited between the checkpoint and this
        self.total = total((item.price for item in self._wanted()), self.plan.currency)
        outcome = await self.payment.capture(self.total)
        while isinstance(outcome, Unknown):
            problem = [self.payment.outstanding(f"nobody can say whether {self.total} were taken: {outcome.reason}")]
            resolution = await self.saga.ask_operator("the capture is in doubt", problem)
            assert resolution is not None, "without a deadline only a resolution ends the wait"
            await self.saga.record(BookingState.RESERVING, reason=f"case: {resolution.action}", close_case=resolution)
            if resolution.action == "write_off":
                raise SagaFailed("vendor_unavailable", "the capture was given up by an operator")
            outcome = await self.payment.capture(self.total)
        if isinstance(outcome, Rejected):
            raise refused(outcome)

    async def _finish(self) -> BookingResult:
        complete = all(not item.left_out for item in self.items)
        state = BookingState.CONFIRMED if complete else BookingState.PARTIALLY_CONFIRMED
        await self.saga.record(state, total=self.total)
        if self.compensation.pending():
            await self.compensation.settle(await self.compensation.look_again(), going_on=None)
        return BookingResult(booking_id=self.plan.booking_id, state=state, captured=self.total)

    async def _undo_everything(self, failure: SagaFailed) -> BookingResult:
        """Newest first, nothing skipped, nothing forgotten: FAILED or CANCELLED only once no effect can be left."""
        self.pivoting = True
        if self.saga.state != BookingState.COMPENSATING:
            await self.saga.record(BookingState.COMPENSATING, reason=failure.code)
        left = await self.compensation.undo_all()
        await self.compensation.settle(left, BookingState.COMPENSATING)
        state = BookingState.CANCELLED if self.saga.cancel_requested else BookingState.FAILED
        await self.saga.record(state, reason=failure.code)
        return BookingResult(booking_id=self.plan.booking_id, state=state, reason=str(failure))

    # ------------------------------------------------------------------ what the traveller and the operator may say

    @workflow.update
    def accept_price(self, wish: AcceptPrice) -> Accepted:
        """The traveller consents to the new total, exactly."""
        if self.saga.state != BookingState.PRICE_CHANGED or self.saga.cancel_requested:
            raise ApplicationError("no price waits for consent", type="no_price_to_accept", non_retryable=True)
        if wish.total != self.total:
            raise ApplicationError(f"the price is {self.total} now", type="price_moved_again", non_retryable=True)
        self.accepted_price = wish.total
        return Accepted(state=self.saga.state, message="the booking goes on")

    @workflow.update
    def cancel(self, wish: CancelRequest) -> Accepted:
        """The traveller wants none of it; granted until the money is being taken."""
        if self.pivoting and not self.saga.cancel_requested:
            raise ApplicationError(
                f"the booking is {self.saga.state.value} and cannot be stopped any more",
                type="not_cancellable",
                non_retryable=True,
            )
        self._wish_to_cancel()
        return Accepted(state=self.saga.state, message="everything done so far will be undone")

    @workflow.update
    def resolve(self, resolution: Resolution) -> Accepted:
        """An operator's decision on the open review case."""
        return self.saga.resolve(resolution)

    @workflow.signal
    def payment_changed(self, changed: PaymentChanged) -> None:
        """A webhook: the provider has news of a payment."""
        if self.payment is not None:
            self.payment.news += 1

    @workflow.query
    def state(self) -> BookingStatus:
        return BookingStatus(
            booking_id=self.plan.booking_id,
            state=self.saga.state,
            version=self.saga.version,
            waiting_for=self.saga.waiting_for,
            total=self.total,
            consent=self.consent,
            deadline=self.saga.deadline,
            case_id=self.saga.case.case_id if self.saga.case else None,
        )

    # ------------------------------------------------------------------ the parts

    def _wanted(self) -> list[Item]:
        return [item for item in self.items if not item.left_out]

    def _wish_to_cancel(self) -> None:
        if not self.pivoting:
            self.saga.cancel_requested = True

    def _checkpoint(self) -> None:
        """Where a wish to cancel is honoured: between steps, never inside one."""
        if self.saga.cancel_requested:
            raise SagaFailed("cancelled_by_traveller", "the traveller cancelled")

    def _no_hold_is_over(self) -> None:
        for item in self._wanted():
            if item.hold_is_over():
                raise SagaFailed("hold_expired", f"the hold has ended: {item.plan.summary}")

    async def _check_price(self, item: Item) -> ItemPrice:
        try:
            return await local(Pricing.check_price, item.step(), attempts=self.plan.policy.retry_attempts)
        except ActivityError:
            return ItemPrice(item_no=item.plan.item_no, price=None, reason="vendor_unavailable")

    async def _reprice(self, item: Item, price: ItemPrice) -> None:
        reason = price.reason or "sold_out"
        if price.price is not None:
            item.price = price.price
        elif await self._found_elsewhere(item, reason):
            return
        elif item.plan.required:
            raise SagaFailed(reason, f"it can no longer be had: {item.plan.summary}")
        else:
            await self._leave_out(item)

    async def _wait_for_consent(self) -> None:
        self.accepted_price = None
        await self.saga.record(
            BookingState.PRICE_CHANGED,
            reason="price_changed",
            waiting_for=f"traveller: accept {self.total}",
            total=self.total,
        )
        answered = await self.saga.wait_until(
            lambda: self.accepted_price is not None or self.saga.cancel_requested, self.plan.policy.consent_timeout_s
        )
        self._checkpoint()
        if not answered or self.accepted_price is None:
            raise SagaFailed("consent_timeout", f"{self.total} was not accepted in time")
        self.consent = Consent(total=self.accepted_price, limit=self.accepted_price)

    async def _still_covers_the_trip(self, payment: Payment) -> bool:
        """What waited longer than prices stay fresh is verified again before inventory moves."""
        if workflow.time() - self.verified_at > self.plan.policy.freshness_s:
            await self._verify()
        return self.total <= payment.amount

    async def _let_go(self, payment: Payment) -> None:
        outstanding = await self.compensation.undo_one(payment)
        if outstanding is not None:
            raise SagaFailed("vendor_unavailable", outstanding.problem)

    async def _accept(self, outcomes: dict[Item, Outcome]) -> None:
        """What the outcomes of steps that ran together mean for the trip."""
        for item, outcome in list(outcomes.items()):
            # Never from Unknown, or the traveller is booked twice; nor from an operator's word, which comes later.
            if isinstance(outcome, Rejected) and await self._found_elsewhere(item, outcome.code):
                outcomes.pop(item)
        doubts = {item: outcome for item, outcome in outcomes.items() if isinstance(outcome, Unknown)}
        refused = [(item, outcome) for item, outcome in outcomes.items() if isinstance(outcome, Rejected)]
        if doubts and not any(item.plan.required for item, _ in refused):
            outcomes = {**outcomes, **await self._ask_what_happened(doubts)}
        # A definite no first: it ends the trip whatever else is in doubt.
        for item, outcome in sorted(outcomes.items(), key=lambda entry: not isinstance(entry[1], Rejected)):
            if isinstance(outcome, Confirmed):
                self._no_more_than_agreed()
            elif not item.plan.required:
                await self._leave_out(item)
            elif isinstance(outcome, Rejected):
                raise SagaFailed(outcome.code, f"{item.plan.summary}: {outcome.message}")
            else:
                raise SagaFailed("outcome_not_found_out", f"{item.plan.summary}: {outcome.reason}")

    async def _found_elsewhere(self, refused: Item, reason: str) -> bool:
        """Failover: an equal offer of another supplier takes the refused one's place, where the traveller allows it."""
        if self.plan.substitution == "never" or self.saga.cancel_requested:
            return False
        # What is left of the refused one goes first, such as a hold that was not confirmed.
        outstanding = await self.compensation.undo_one(refused)
        if outstanding is not None:
            raise SagaFailed("outcome_not_found_out", outstanding.problem)
        if self.compensation.may_still_appear(refused):
            return False  # an earlier, silent try may have had its effect: that is no definite no
        try:
            other = await refused.find_equal(self._most_for(refused), reason)
        except ActivityError:
            return False
        if other is None:
            return False
        self.items[self.items.index(refused)] = other
        self.total = total((item.price for item in self._wanted()), self.plan.currency)
        await self.saga.record(self.saga.state, reason="substituted", total=self.total)
        return True

    def _most_for(self, item: Item) -> Money:
        """No more than its offer cost, and no more than what the other items leave of what was agreed."""
        agreed = self.consent.limit
        if self.payment is not None and self.payment.amount < agreed:
            agreed = self.payment.amount
        others = total((other.price for other in self._wanted() if other is not item), self.plan.currency)
        left_minor = max(agreed.amount_minor - others.amount_minor, 0)
        limit_minor = min(item.plan.price.amount_minor, left_minor)
        return Money(amount_minor=limit_minor, currency=self.plan.currency)

    def _no_more_than_agreed(self) -> None:
        assert self.payment is not None, "authorised before anything was reserved"
        now = total((item.price for item in self._wanted()), self.plan.currency)
        if not (now <= self.consent.limit and now <= self.payment.amount):
            raise SagaFailed("price_changed", f"the suppliers now want {now}, more than was agreed")

    async def _ask_what_happened(self, doubts: dict[Item, Unknown]) -> dict[Item, Outcome]:
        """Nobody can look it up: an operator can ask the supplier, for as long as the other holds live."""
        suppliers = ", ".join(item.plan.supplier for item in doubts)
        self.saga.say(f"Waiting until a late answer of {suppliers} can no longer come, then asking an operator")
        await workflow.sleep(max(item.plan.tombstone_s for item in doubts))
        known: dict[Item, Outcome] = {}
        while doubts:
            effects = {item: item.outstanding(outcome.reason) for item, outcome in doubts.items()}
            question = f"nobody can say whether it is booked: {', '.join(item.plan.summary for item in doubts)}"
            resolution = await self.saga.ask_operator(
                question, list(effects.values()), self._patience_s(), give_up_on_cancel=True
            )
            if resolution is None:
                if not any(item.plan.required for item in doubts):
                    await self.saga.record(BookingState.RESERVING, reason="case: nobody answered in time")
                return {**known, **doubts}
            await self.saga.record(BookingState.RESERVING, reason=f"case: {resolution.action}", close_case=resolution)
            for item in [entry for entry in doubts if resolution.reference in (None, effects[entry].reference)]:
                outcome = await self._as_resolved(item, resolution)
                if isinstance(outcome, Unknown):
                    doubts[item] = outcome
                else:
                    known[item] = outcome
                    del doubts[item]
        return known

    async def _as_resolved(self, item: Item, resolution: Resolution) -> Outcome:
        if resolution.action in ("retry", "confirmed_at_vendor"):
            return await item.find_out(resolution.provider_reference)
        self.compensation.forget(item)
        return Rejected(code="vendor_rejected", message=f"{resolution.action} by {resolution.operator}")

    def _patience_s(self) -> float:
        """How long an operator may take: until the first hold, or the reserved money, is about to go."""
        deadlines = [item.deadline for item in self._wanted() if item.deadline is not None]
        if (
            self.payment is not None
            and self.payment.reserved is not None
            and self.payment.reserved.expires_at is not None
        ):
            deadlines.append(self.payment.reserved.expires_at)
        if not deadlines:
            return self.plan.policy.consent_timeout_s
        left_s = (min(deadlines) - workflow.now()).total_seconds()
        return max(0.0, left_s - self.plan.policy.hold_margin_s)

    async def _leave_out(self, item: Item) -> None:
        item.left_out = True
        if not any(other.plan.required for other in self._wanted()):
            raise SagaFailed("sold_out", "nothing is left of the trip")
        outstanding = await self.compensation.undo_one(item)
        if outstanding is not None:
            raise SagaFailed("outcome_not_found_out", outstanding.problem)
        await local(Recording.leave_out, item.step())
        self.total = total((other.price for other in self._wanted()), self.plan.currency)
