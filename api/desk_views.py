"""What operators are shown of a review case: everything that helps to decide it, and nobody's personal data."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from api.desk_links import vendor_url, workflow_url
from api.views import EventView
from schema.bookings import OutstandingEffect, Resolution
from schema.model import Message
from schema.money import Money, total
from schema.outcomes import PaymentOutcome, Rejected, Unknown
from schema.settings import Settings
from schema.states import BookingState, PaymentState
from store.attempts import Attempt, Status
from store.cases import StoredCase
from store.desk import DeskAction, Kind
from store.payments import StoredPayment, StoredRefund
from store.records import StoredEvent


class Proposal(Message):
    """A write-off that takes effect when another operator sends the same."""

    operator: str
    reference: str | None
    note: str
    proposed_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, action: DeskAction) -> "Proposal":
        return cls(
            operator=action.operator,
            reference=action.reference,
            note=action.note,
            proposed_at=action.created_at,
            expires_at=action.expires_at,
        )


class CaseView(Message):
    """A review case: what machines could not settle."""

    case_id: str
    booking_id: str
    workflow_id: str
    workflow_url: str
    """Where the workflow that waits for the decision is shown in Temporal's Web UI."""
    reason: str
    effects: list[OutstandingEffect]
    outstanding: list[Money]
    """The sum of the effects, by currency; an effect whose amount nobody knows adds nothing."""
    opened_at: datetime
    age_s: int
    """Until it was resolved, or until now."""
    waiting_for: Literal["operator", "second_operator"] | None
    proposal: Proposal | None
    """The write-off that waits for a second operator."""
    resolved_at: datetime | None
    resolution: Resolution | None

    @classmethod
    def of(cls, case: StoredCase, proposal: DeskAction | None, settings: Settings) -> "CaseView":
        is_open = case.resolved_at is None
        waits = "second_operator" if proposal else "operator"
        return cls(
            case_id=case.case_id,
            booking_id=case.booking_id,
            workflow_id=case.workflow_id,
            workflow_url=workflow_url(settings, case.workflow_id),
            reason=case.reason,
            effects=case.effects,
            outstanding=sums_of(case.effects),
            opened_at=case.opened_at,
            age_s=max(0, int(((case.resolved_at or datetime.now(UTC)) - case.opened_at).total_seconds())),
            waiting_for=waits if is_open else None,
            proposal=Proposal.of(proposal) if proposal and is_open else None,
            resolved_at=case.resolved_at,
            resolution=case.resolution,
        )


class CaseList(Message):
    """A page of cases."""

    cases: list[CaseView]
    next_cursor: str | None


class EffectView(OutstandingEffect):
    """An outstanding effect, and where to find it; `reference` names it in a resolution."""

    our_reference: str
    """What the vendor knows it by as ours."""
    vendor_url: str | None
    """Where the vendor's own dashboard shows it, if there is one."""


class AttemptView(Message):
    """Something that was asked of a vendor, written down before it was asked."""

    step: str
    item_no: int | None
    generation: int
    vendor: str
    our_reference: str
    provider_reference: str | None
    status: Status
    tries: int
    reason: str | None
    """Why it was rejected: a code; or why nobody can say."""
    tombstoned: bool
    """Not wanted any more: nobody may ask for it again."""
    created_at: datetime

    @classmethod
    def of(cls, attempt: Attempt) -> "AttemptView":
        return cls(
            step=attempt.step,
            item_no=attempt.item_no,
            generation=attempt.generation,
            vendor=attempt.vendor,
            our_reference=attempt.reference,
            provider_reference=attempt.provider_reference,
            status=attempt.status,
            tries=attempt.tries,
            reason=_reason(attempt.outcome),
            tombstoned=attempt.tombstoned,
            created_at=attempt.created_at,
        )


class RefundView(Message):
    """Money on its way back, as the provider has told us."""

    key: str
    status: str
    amount: Money
    provider_reference: str | None

    @classmethod
    def of(cls, refund: StoredRefund) -> "RefundView":
        return cls(
            key=refund.key, status=refund.status, amount=refund.amount, provider_reference=refund.provider_reference
        )


class DeskPayment(Message):
    """A payment with its refunds, as the provider has told us."""

    payment_id: str
    provider: str
    provider_reference: str | None
    vendor_url: str | None
    state: PaymentState
    authorised: Money
    captured: Money
    refunded: Money
    failure: str | None
    refunds: list[RefundView]

    @classmethod
    def of(cls, payment: StoredPayment, refunds: list[StoredRefund], settings: Settings) -> "DeskPayment":
        return cls(
            payment_id=payment.payment_id,
            provider=payment.provider,
            provider_reference=payment.provider_reference,
            vendor_url=vendor_url(settings, payment.provider, payment.provider_reference),
            state=payment.state,
            authorised=payment.authorised,
            captured=payment.captured,
            refunded=payment.refunded,
            failure=payment.failure,
            refunds=[RefundView.of(refund) for refund in refunds if refund.payment_id == payment.payment_id],
        )


class ActionView(Message):
    """A line of the desk's record."""

    kind: Kind
    """`proposed`: waits for a second operator. `decided`: handed to the workflow. `refused`: the workflow did not take it.
    `closed`: the case was closed with it."""
    operator: str
    proposed_by: str | None
    action: str
    reference: str | None
    provider_reference: str | None
    note: str
    created_at: datetime

    @classmethod
    def of(cls, action: DeskAction) -> "ActionView":
        return cls.model_validate(action.model_dump())


class CaseDetail(CaseView):
    """A case with all that happened before it and since."""

    effects: list[EffectView]  # pyright: ignore[reportIncompatibleVariableOverride]  # the same effects, told at length
    events: list[EventView]
    """Of the booking, up to the case."""
    attempts: list[AttemptView]
    payments: list[DeskPayment]
    actions: list[ActionView]
    """What operators did about it, oldest first."""


class CaseDecision(Message):
    """What came of a decision."""

    case_id: str
    booking_id: str
    state: BookingState | Literal["proposed"]
    """The booking's; or `proposed`: nothing is done until another operator sends the same write-off."""
    message: str


class Dossier(Message):
    """What the books hold about a case."""

    case: StoredCase
    proposal: DeskAction | None
    events: list[StoredEvent]
    attempts: list[Attempt]
    payments: list[StoredPayment]
    refunds: list[StoredRefund]
    actions: list[DeskAction]

    def view(self, settings: Settings) -> CaseDetail:
        events = [EventView.of(event) for event in self.events if event.created_at <= self.case.opened_at]
        told = {
            "effects": [self._effect(effect, settings) for effect in self.case.effects],
            "events": events,
            "attempts": [AttemptView.of(attempt) for attempt in self.attempts],
            "payments": [DeskPayment.of(payment, self.refunds, settings) for payment in self.payments],
            "actions": [ActionView.of(action) for action in self.actions],
        }
        return CaseDetail.model_validate(dict(CaseView.of(self.case, self.proposal, settings)) | told)

    def _effect(self, effect: OutstandingEffect, settings: Settings) -> EffectView:
        """With the vendor's reference as far as any attempt or payment has learnt it."""
        paid = [payment for payment in self.payments if payment.payment_id == effect.reference]
        behind = [attempt for attempt in self.attempts if _is_behind(attempt, effect)]
        known = paid[0].provider_reference if paid else _last(attempt.provider_reference for attempt in behind)
        provider_reference = effect.provider_reference or known
        found = {
            "provider_reference": provider_reference,
            "our_reference": _last(attempt.reference for attempt in behind) or effect.reference,
            "vendor_url": vendor_url(settings, effect.vendor, provider_reference),
        }
        return EffectView.model_validate(effect.model_dump() | found)


def sums_of(effects: list[OutstandingEffect]) -> list[Money]:
    """By currency; what has no amount adds nothing."""
    amounts = [effect.amount for effect in effects if effect.amount is not None]
    currencies = dict.fromkeys(amount.currency for amount in amounts)
    return [total((one for one in amounts if one.currency == currency), currency) for currency in currencies]


def _is_behind(attempt: Attempt, effect: OutstandingEffect) -> bool:
    """An item is named `{booking}/{item}` in a case, and by the reference of the attempt at the vendor."""
    item = effect.reference.partition("/")[2]
    return attempt.vendor == effect.vendor and (
        attempt.reference == effect.reference or (item != "" and str(attempt.item_no) == item)
    )


def _last(values: Iterable[str | None]) -> str | None:
    known = [value for value in values if value is not None]
    return known[-1] if known else None


def _reason(outcome: PaymentOutcome | None) -> str | None:
    if isinstance(outcome, Rejected):
        return outcome.code
    return outcome.reason if isinstance(outcome, Unknown) else None
