"""The payment, refund and cancellation capabilities: workflow ids and messages."""

from datetime import datetime
from typing import Literal

from schema.bookings import SagaContext, SagaPolicy
from schema.model import Message
from schema.money import Money
from schema.outcomes import Capabilities, PaymentOutcome
from schema.states import BookingState

REFUND_WORKFLOW = "RefundWorkflow"
CANCELLATION_WORKFLOW = "CancellationWorkflow"


def refund_workflow_id_for(payment_id: str, reason_key: str) -> str:
    return f"refund-{payment_id}-{reason_key}"


def refund_key(payment_id: str, reason_key: str, generation: int) -> str:
    """Must merge every try to give this money back for this reason; must not merge two reasons of one payment."""
    return f"{payment_id}:refund-{reason_key}:{generation}"


def refund_workflow_id_of(key: str) -> str:
    """The workflow that writes the refund with this key."""
    payment_id, step, _ = key.split(":")
    return refund_workflow_id_for(payment_id, step.removeprefix("refund-"))


def cancellation_workflow_id_for(booking_id: str, generation: int, item_nos: list[int] | None = None) -> str:
    """Must merge every quote for the same items of a booking at one version; `item_nos` None: all that is confirmed."""
    items = "" if item_nos is None else f"-items-{'.'.join(str(number) for number in sorted(item_nos))}"
    return f"cancel-{booking_id}-{generation}{items}"


class PaymentStep(Message):
    """Input of every activity that acts on one payment."""

    booking_id: str
    payment_id: str
    generation: int
    """Of the payment."""
    amount: Money
    """To authorise or to capture."""
    correlation_id: str
    retry_initial_s: float
    step_generation: int = 0
    """Of the capture: a second key for the same effect, once the provider's books have shown that the first had none."""
    backup: bool = False
    """Through the second method that the traveller named."""


class PaymentResult(Message):
    """How a step on a payment ended."""

    outcome: PaymentOutcome
    pending: bool = False
    """The provider has it and will say later how it ends."""


class PaymentChanged(Message):
    """Signal `payment_changed`: a webhook says that the provider has news. It carries no news: the object is fetched again."""

    payment_id: str
    event_id: str


class UndoPayment(Message):
    booking_id: str
    payment_id: str
    generation: int
    correlation_id: str
    retry_initial_s: float
    amount: Money | None = None
    """What was to be reserved: for a provider that can only be asked by the same call again."""
    backup: bool = False


class PaymentUndone(Message):
    """`voided`: nothing was taken, or it was let go. `captured`: it was taken and must be refunded. `nothing_found`: tombstoned."""

    kind: Literal["voided", "captured", "nothing_found"]
    captured: Money | None = None


class RefundInput(Message):
    booking_id: str
    payment_id: str
    reason_key: str
    """What the refund is for: `compensation`, `cancellation-3`. One refund per payment and reason."""
    first_generation: int = 0
    amount: Money
    correlation_id: str
    payment_capabilities: Capabilities
    policy: SagaPolicy


class RefundStep(Message):
    booking_id: str
    payment_id: str
    reason_key: str
    generation: int
    amount: Money
    correlation_id: str
    retry_initial_s: float

    def key(self) -> str:
        """Of this refund's effect; see `refund_key`."""
        return refund_key(self.payment_id, self.reason_key, self.generation)


class RefundStatus(Message):
    """How a refund stands at the provider."""

    kind: Literal["succeeded", "pending", "failed", "unknown"]
    provider_reference: str | None = None
    reason: str | None = None


class RefundResult(Message):
    kind: Literal["succeeded", "pending", "failed", "unknown"]
    generation: int
    """Of the key that was used last: a failed refund is tried again under the next one, any other under the same."""
    reason: str | None = None


class CancellationInput(SagaContext):
    """The traveller cancels items of a confirmed booking, by default all that are confirmed. `version` is also the generation of
    this cancellation, because a quote is for exactly one version."""

    quote_ttl_s: float = 900
    payment_id: str
    payment_generation: int
    captured: Money
    """What was paid for `items`."""
    fee_before: Money | None = None
    """Disclosed and kept in earlier cancellations of this booking."""
    remaining: Money | None = None
    """What the items that stay cost; None: none stays, and the booking is cancelled."""
    agreed_fee: Money | None = None
    """The fee was disclosed and accepted elsewhere: carried out at once, for that or for less. None: quoted first, then accepted."""
    reason: str = "cancelled_by_traveller"


class FeeQuote(Message):
    """Result of the update `quote`: what cancelling costs, and until when. The token that accepts it is the API's to make."""

    fee: Money
    refund: Money
    expires_at: datetime


class QuoteRequest(Message):
    """Input of the activity that asks the suppliers what cancelling costs."""

    booking_id: str
    item_nos: list[int]
    captured: Money
    ttl_s: float
    correlation_id: str
    retry_initial_s: float


class ExecuteCancellation(Message):
    """Update `execute`: the traveller accepted this fee."""

    fee: Money


class CancellationResult(Message):
    booking_id: str
    state: BookingState
    fee: Money | None = None
    """Of this cancellation and those before it."""
    reason: str | None = None
