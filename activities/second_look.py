"""A second look at one booking, at its vendors themselves: what a repair is to do, once our own books were put right.

The booking is settled, or not in our books at all. What an operator has decided is not raised again.
"""

from dataclasses import dataclass, field
from datetime import datetime

from activities.admission import item_plan, payment_plan
from activities.judging import OVER
from activities.proving import Proving
from activities.vendor_pages import place_of
from gateways.ports import (
    CancellationFee,
    ListedDispute,
    ListsPayments,
    ListsRefunds,
    LookUp,
    ProviderPayment,
    Reservation,
    Vendors,
)
from schema.bookings import ItemPlan, OutstandingEffect
from schema.money import Money
from schema.reconciliation import CORRELATION_ID, FindingKind, ItemLeft, PaymentLeft, RefundLeft, StrayAuthorisation
from schema.states import FINAL_STATES, SETTLED_STATES, ItemState, PaymentState
from schema.travellers import Traveller
from store.payments import StoredPayment, StoredRefund
from store.proving import made_by_hand
from store.reconciliation import StoredFinding
from store.records import StoredBooking, StoredItem

_LOOKED_FOR = (PaymentState.CREATED, PaymentState.ACTION_REQUIRED, PaymentState.IN_DOUBT)
_OF_MONEY: tuple[FindingKind, ...] = ("paid_without_booking", "open_authorisation", "amount_differs", "refund_by_hand")


@dataclass(frozen=True)
class Known:
    """What our own books say of the booking."""

    booking_id: str
    booking: StoredBooking | None
    payments: list[StoredPayment]
    items: dict[tuple[int, int], StoredItem]
    """By number and generation, replaced ones included."""
    travellers: list[Traveller]
    decided: frozenset[tuple[str, str]]
    """Steps and references of the effects that an operator has decided."""
    findings: list[StoredFinding]
    step_timeout_s: float
    retry_initial_s: float

    @property
    def final(self) -> bool:
        return self.booking is not None and self.booking.state in FINAL_STATES

    @property
    def settled(self) -> bool:
        return self.booking is not None and self.booking.state in SETTLED_STATES

    @property
    def asked_since(self) -> datetime:
        assert self.booking is not None, "only asked of a booking that is in our books"
        return self.booking.created_at


@dataclass
class Left:
    """What a look has found to do. `seen`: the vendors' and our ids of all that is not as it should be."""

    payments: list[PaymentLeft] = field(default_factory=list[PaymentLeft])
    items: list[ItemLeft] = field(default_factory=list[ItemLeft])
    authorisations: list[StrayAuthorisation] = field(default_factory=list[StrayAuthorisation])
    for_people: list[OutstandingEffect] = field(default_factory=list[OutstandingEffect])
    seen: set[str] = field(default_factory=set[str])
    decided: set[str] = field(default_factory=set[str])


class SecondLook:
    """At one booking, once."""

    def __init__(self, vendors: Vendors, proving: Proving, known: Known) -> None:
        self._vendors = vendors
        self._proving = proving
        self._known = known
        self.left = Left()

    async def look(self) -> Left:
        """Raises as the vendors' reads do."""
        await self._disputes()
        await self._payments()
        await self._strangers()
        for finding in self._known.findings:
            place = place_of(finding.reference)
            if place is not None and finding.kind not in ("disputed", "workflow_gone"):
                await self._reservation(finding, place[1])
        return self.left

    async def theirs(self, stored: StoredPayment) -> ProviderPayment | None:
        """How the payment stands at its provider; None if nothing is known there."""
        provider = self._vendors.payments(stored.provider)
        if stored.provider_reference is not None:
            return await provider.get(stored.provider_reference, CORRELATION_ID)
        if stored.state in _LOOKED_FOR and provider.capabilities.lookup_by_reference:
            return await provider.find(stored.payment_id, stored.created_at, CORRELATION_ID)
        return None

    async def prove(self, stored: StoredPayment, theirs: ProviderPayment) -> tuple[StoredPayment, list[StoredRefund]]:
        """The payment and its refunds once our books say what the provider's do."""
        proven, changed = await self._proving.payment(stored, theirs)
        lines = []
        provider = self._vendors.payments(stored.provider)
        if theirs.refunded.amount_minor and isinstance(provider, ListsRefunds):
            page = await provider.list_refunds(
                stored.created_at, None, CORRELATION_ID, of_payment=theirs.provider_reference
            )
            lines = page.lines
        refunds = await self._proving.refunds(proven, lines)
        if changed or any(refund.status != "succeeded" or made_by_hand(refund.key) for refund in refunds):
            self.left.seen |= {stored.payment_id, theirs.provider_reference}
        return proven, refunds

    # ------------------------------------------------------------------ money

    async def _payments(self) -> None:
        fee_minor = self._known.booking.fee.amount_minor if self._known.booking else 0
        captured = False
        for stored in self._known.payments:
            theirs = await self.theirs(stored)
            if theirs is None:
                await self._never_reserved(stored)
                continue
            proven, refunds = await self.prove(stored, theirs)
            if theirs.status == "authorised":
                self._release(stored.provider, theirs, stored.payment_id)
            kept_minor = theirs.captured.amount_minor - theirs.refunded.amount_minor
            if self._known.final:
                await self._kept_for_nothing(proven, theirs, refunds, max(kept_minor - fee_minor, 0))
                fee_minor = max(fee_minor - kept_minor, 0)
            elif theirs.captured.amount_minor:
                self._of_a_trip(proven, theirs, refunds, captured=captured)
                captured = True
        confirmed = self._known.booking is not None and not self._known.final
        if confirmed and not captured and not self._known_as("paid_without_booking"):
            total = self._known.booking.total if self._known.booking else None
            self._ask(
                "booked_without_payment",
                "travelhub",
                self._known.booking_id,
                None,
                total,
                "nothing was taken for the trip",
            )

    async def _never_reserved(self, stored: StoredPayment) -> None:
        """Its provider shows nothing of it, and its saga has looked until nothing could come any more."""
        asked = self._vendors.payments(stored.provider).capabilities.lookup_by_reference
        if asked and self._known.settled and stored.state in _LOOKED_FOR and stored.provider_reference is None:
            await self._proving.nothing_reserved(stored)
            self.left.seen |= {stored.payment_id}

    async def _kept_for_nothing(
        self, stored: StoredPayment, theirs: ProviderPayment, refunds: list[StoredRefund], excess_minor: int
    ) -> None:
        """Of a failed or cancelled trip: the rest goes back, unless its bank is taking it back, or an operator has decided."""
        unfinished = [
            refund for refund in refunds if refund.status in ("began", "pending") and not made_by_hand(refund.key)
        ]
        if not excess_minor and not unfinished:
            return
        self.left.seen |= {stored.payment_id, theirs.provider_reference}
        if ("payment", stored.payment_id) in self._known.decided:
            self.left.decided |= {stored.payment_id, theirs.provider_reference}
        elif excess_minor and await self._disputed(stored.provider, theirs.provider_reference):
            excess = Money(amount_minor=excess_minor, currency=theirs.captured.currency)
            problem = "it is disputed: to give it back as well could pay it twice"
            self._ask("paid_without_booking", stored.provider, stored.payment_id, theirs, excess, problem)
        else:
            for refund in unfinished:
                self.left.payments.append(self.payment_left(stored, unfinished_refund(refund)))
            if excess_minor and not unfinished:
                self.left.payments.append(self.payment_left(stored, rest_of(theirs, excess_minor)))

    def _of_a_trip(
        self, stored: StoredPayment, theirs: ProviderPayment, refunds: list[StoredRefund], *, captured: bool
    ) -> None:
        """Of a trip that goes on, people decide what a difference means."""
        reference = stored.payment_id
        if captured:
            self._ask("paid_without_booking", stored.provider, reference, theirs, theirs.captured, "paid a second time")
        elif theirs.captured != stored.captured:
            problem = f"{stored.captured} were taken in our books"
            self._ask("amount_differs", stored.provider, reference, theirs, theirs.captured, problem)
        given_back_minor = sum(refund.amount.amount_minor for refund in refunds if refund.status != "failed")
        if theirs.refunded.amount_minor != given_back_minor:
            problem = f"{given_back_minor} were given back in our books, in minor units"
            self._ask("amount_differs", stored.provider, reference, theirs, theirs.refunded, problem)
        for refund in refunds:
            if made_by_hand(refund.key) and refund.status != "failed":
                name = refund.provider_reference or refund.key
                problem = "it was given back at the provider, for a trip that goes on"
                self._ask("refund_by_hand", stored.provider, name, theirs, refund.amount, problem)

    async def _strangers(self) -> None:
        """Payments under one of our bookings' ids that our books do not have."""
        ours = {payment.provider_reference for payment in self._known.payments}
        # What the provider never named is told by our own id, which it cannot be asked for.
        ours |= {payment.payment_id for payment in self._known.payments}
        for finding in self._known.findings:
            if finding.kind not in _OF_MONEY or finding.object_id in ours or place_of(finding.reference) is not None:
                continue
            theirs = await self._vendors.payments(finding.vendor).get(finding.object_id, CORRELATION_ID)
            kept_minor = theirs.captured.amount_minor - theirs.refunded.amount_minor
            if theirs.status == "authorised":
                self._release(finding.vendor, theirs, finding.reference)
            elif kept_minor <= 0:
                continue
            elif self._adoptable(finding):
                assert finding.reference is not None, "what is adopted has one of our ids"
                adopted = await self._proving.adopt(self._known.booking_id, finding.reference, finding.vendor, theirs)
                _, refunds = await self.prove(adopted, theirs)
                await self._kept_for_nothing(adopted, theirs, refunds, kept_minor)
            else:
                problem = "our books have no such payment"
                self._ask("paid_without_booking", finding.vendor, finding.object_id, theirs, theirs.captured, problem)

    def _adoptable(self, finding: StoredFinding) -> bool:
        """Money of a trip that is over, under an id that no other payment has."""
        reference = finding.reference or ""
        free = reference not in {payment.payment_id for payment in self._known.payments}
        return self._known.final and free and reference[:-1] == f"pay_{self._known.booking_id}"

    async def _disputes(self) -> None:
        for finding in self._known.findings:
            if finding.kind != "disputed":
                continue
            provider = self._vendors.payments(finding.vendor)
            payment = next((each for each in self._known.payments if each.payment_id == finding.reference), None)
            if payment is None or payment.provider_reference is None or not isinstance(provider, ListsPayments):
                continue
            for dispute in await self._open_disputes(provider, payment.provider_reference):
                if dispute.provider_reference == finding.object_id:
                    problem = f"the customer's bank takes it back: {dispute.status}"
                    self._ask("disputed", finding.vendor, finding.object_id, None, dispute.amount, problem)

    async def _disputed(self, vendor: str, provider_reference: str) -> bool:
        provider = self._vendors.payments(vendor)
        return isinstance(provider, ListsPayments) and bool(await self._open_disputes(provider, provider_reference))

    async def _open_disputes(self, provider: ListsPayments, provider_reference: str) -> list[ListedDispute]:
        beginning = min((payment.created_at for payment in self._known.payments), default=self._known.asked_since)
        page = await provider.list_disputes(beginning, None, CORRELATION_ID, of_payment=provider_reference)
        return [dispute for dispute in page.lines if dispute.status not in OVER]

    def _release(self, vendor: str, theirs: ProviderPayment, payment_id: str | None) -> None:
        self.left.seen |= {theirs.provider_reference, payment_id or ""}
        if ("payment", payment_id or theirs.provider_reference) in self._known.decided:
            self.left.decided |= {theirs.provider_reference, payment_id or ""}
            return
        self.left.authorisations.append(
            StrayAuthorisation(
                booking_id=self._known.booking_id,
                vendor=vendor,
                provider_reference=theirs.provider_reference,
                payment_id=payment_id,
                amount=theirs.authorised,
                known=self._known.booking is not None,
                correlation_id=CORRELATION_ID,
                retry_initial_s=self._known.retry_initial_s,
            )
        )

    def payment_left(self, stored: StoredPayment, refund: RefundLeft | None) -> PaymentLeft:
        """As the workflows' own undo takes it."""
        amount = stored.captured if stored.captured.amount_minor else stored.authorised
        booking = self._known.booking
        if not amount.amount_minor and booking is not None:
            amount = booking.total
        via = payment_plan(stored.provider, self._vendors, self._known.step_timeout_s)
        backup = booking is not None and stored.provider != booking.payment_provider
        return PaymentLeft(
            payment_id=stored.payment_id,
            generation=stored.generation,
            amount=amount,
            via=via.model_copy(update={"backup": backup}),
            refund=refund,
        )

    # ------------------------------------------------------------------ reservations

    async def _reservation(self, finding: StoredFinding, item_no: int) -> None:
        item = self._known.items.get((item_no, generation_of(finding.reference or "")))
        name = f"{self._known.booking_id}/{item_no}"
        if item is None or self._known.booking is None:
            problem = "our books have no such item"
            self._ask(finding.kind, finding.vendor, name, None, None, problem, object_id=finding.object_id)
            return
        found = await self._vendors.supplier(finding.vendor).find(self._look_up(finding, item))
        current = self._known.items[max(place for place in self._known.items if place[0] == item_no)]
        relied_on = (
            not self._known.final
            and current.state == ItemState.CONFIRMED
            and current.provider_booking_ref == finding.object_id
        )
        if relied_on:
            if found is None or found.status != "confirmed":
                problem = f"the trip relies on it, and the supplier has it as {found.status if found else 'unknown'}"
                self._ask("reservation_missing", finding.vendor, name, None, item.price, problem, finding.object_id)
            elif found.price is not None and found.price != item.price:
                problem = f"it costs {item.price} in our books"
                self._ask("amount_differs", finding.vendor, name, None, found.price, problem, finding.object_id)
        elif found is not None and found.status in ("held", "confirmed"):
            await self._nobodys(finding, item, name, found, replaced=item is not current)

    async def _nobodys(
        self, finding: StoredFinding, item: StoredItem, name: str, found: Reservation, *, replaced: bool
    ) -> None:
        """Cancelled where that costs nothing and cannot touch what the trip relies on; else for people."""
        fee = CancellationFee(fee=Money.zero(item.price.currency))
        if found.status != "held":
            fee = await self._vendors.supplier(finding.vendor).cancellation_fee(found, CORRELATION_ID)
        plan: ItemPlan = item_plan(item, self._vendors, self._known.step_timeout_s)
        if (plan.kind, name) in self._known.decided:
            self.left.decided |= {finding.object_id}
        elif fee.fee.amount_minor or not (self._known.final or replaced or item.state != ItemState.CONFIRMED):
            problem = f"no booking of ours wants it; to cancel it costs {fee.fee}"
            self._ask(finding.kind, finding.vendor, name, None, fee.fee, problem, finding.object_id)
        else:
            self.left.seen |= {finding.object_id}
            self.left.items.append(ItemLeft(plan=plan, provider_reference=finding.object_id))

    def _look_up(self, finding: StoredFinding, item: StoredItem) -> LookUp:
        return LookUp(
            reference=finding.reference or item.client_reference,
            provider_reference=finding.object_id,
            supplier_state=item.supplier_state if item.provider_booking_ref == finding.object_id else {},
            travellers=self._known.travellers,
            since=self._known.asked_since,
            correlation_id=CORRELATION_ID,
        )

    def _ask(
        self,
        kind: FindingKind,
        vendor: str,
        reference: str,
        theirs: ProviderPayment | None,
        amount: Money | None,
        problem: str,
        object_id: str | None = None,
    ) -> None:
        """For an operator, unless one has decided it."""
        named = object_id or (theirs.provider_reference if theirs else None)
        ids = {reference, named or reference}
        self.left.seen |= ids
        if (kind, reference) in self._known.decided:
            self.left.decided |= ids
            return
        effect = OutstandingEffect(
            vendor=vendor, step=kind, reference=reference, provider_reference=named, amount=amount, problem=problem
        )
        self.left.for_people.append(effect)

    def _known_as(self, kind: FindingKind) -> bool:
        return any(effect.step == kind for effect in self.left.for_people)


def rest_of(theirs: ProviderPayment, excess_minor: int) -> RefundLeft:
    """Must merge every repair that finds the same rest; must not merge a rest that is left after more was given back."""
    amount = Money(amount_minor=excess_minor, currency=theirs.captured.currency)
    return RefundLeft(amount=amount, reason_key=f"reconciliation-{theirs.refunded.amount_minor}", generation=0)


def unfinished_refund(refund: StoredRefund) -> RefundLeft:
    """Under the key it began with."""
    _, step, generation = refund.key.split(":")
    return RefundLeft(amount=refund.amount, reason_key=step.removeprefix("refund-"), generation=int(generation))


def generation_of(reference: str) -> int:
    """Of an item's reference."""
    return int(reference[27:28] or "0", 36)
