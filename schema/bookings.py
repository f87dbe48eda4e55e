"""The booking capability: task queue, workflow id and its inverse, and one input and one result model per message."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from schema.model import Message
from schema.money import Money
from schema.offers import Kind
from schema.outcomes import Capabilities, Outcome
from schema.references import checked_booking_id
from schema.states import BookingState

TASK_QUEUE = "bookings"
WORKFLOW = "BookingWorkflow"


def workflow_id_for(booking_id: str) -> str:
    return f"booking-{booking_id}"


def booking_of_workflow(workflow_id: str) -> str:
    """The inverse of `workflow_id_for`; raises ValueError for another workflow's id."""
    return checked_booking_id(workflow_id.removeprefix("booking-"))


Substitution = Literal["never", "same_or_cheaper"]
"""What the traveller allows when a supplier refuses an item: nothing else, or the same from another supplier for no more."""


class SagaPolicy(Message):
    """How long a saga waits for whom. Travels in the input, so that a change of settings never breaks a replay.

    A field that is added later has the default that keeps running workflows as they were: their inputs lack it. What new
    bookings get is said in `NewSagaPolicy`.
    """

    consent_timeout_s: float = 1800
    """For the traveller to accept a new price."""
    payment_action_timeout_s: float = 900
    """For the traveller to finish 3-D Secure."""
    payment_poll_s: float = 30
    """Between looks at a payment whose webhook may be lost."""
    freshness_s: float = 300
    """A price older than this is checked again before money or inventory moves."""
    assumed_hold_s: float = 900
    """How long a hold is taken to live whose supplier does not say."""
    hold_margin_s: float = 60
    """A hold that ends within this is treated as over."""
    step_timeout_s: float = 95
    """One try of one vendor call; Rapid says that after 90 s to 120 s no answer will come."""
    heartbeat_timeout_s: float = 6
    """After this long without a sign of life a worker is taken for dead and the step is tried elsewhere."""
    retry_initial_s: float = 0.1
    retry_attempts: int = 5
    """S-1: 100 ms x 2, 5 attempts, +-25 % jitter."""
    find_out_margin_s: float = 10
    """Looked for this much longer than the vendor's own look-up lag."""
    undo_budget_s: float = 900
    """One compensation may retry for this long before it is handed to an operator."""
    provider_pause_s: float = 2
    """After a payment provider could not be reached at all; doubled each time, up to two minutes."""
    provider_patience_s: float = 0
    """For how long a booking waits for a payment provider that is away (C-3a)."""
    max_payments: int = 6
    """Authorisations one booking may ask for: some for prices that moved, most of them for a provider that is away."""
    capture_patience_s: float = 24 * 3600
    """For a capture that the provider finishes later; after that an operator asks the provider."""
    refund_poll_s: float = 60
    refund_timeout_s: float = 10 * 24 * 3600
    """Banks take 5 to 10 days; a refund that is pending longer is a review case."""


class NewSagaPolicy(SagaPolicy):
    """The policy of bookings that are made from now on."""

    provider_patience_s: float = 1800
    max_payments: int = 30


class ItemPlan(Message):
    """What the saga knows of one item; the rest (tokens, travellers) stays in PostgreSQL."""

    item_no: int
    generation: int = 0
    """Raised when another supplier's offer takes the place of one that was refused."""
    kind: Kind
    supplier: str
    price: Money
    required: bool
    hold: bool
    """Reserved in two steps, because the supplier and the offer allow it."""
    refundable: bool
    summary: str
    capabilities: Capabilities
    tombstone_s: float
    """How long after an undo a late effect is still looked for."""


class PaymentPlan(Message):
    """One way to pay, as a saga knows it."""

    provider: str
    capabilities: Capabilities
    tombstone_s: float
    backup: bool = False
    """The second method that the traveller named."""


class Consent(Message):
    """What the traveller agreed to pay: never captured above `limit`."""

    total: Money
    limit: Money


class SagaContext(Message):
    """What every saga of a booking is told."""

    booking_id: str
    client_id: str
    version: int
    """Of the stored booking when the saga starts; every record the saga writes raises it by one."""
    correlation_id: str
    currency: str
    items: list[ItemPlan]
    payment_provider: str
    payment_capabilities: Capabilities
    payment_tombstone_s: float
    policy: SagaPolicy = Field(default_factory=SagaPolicy)

    def first_payment(self) -> PaymentPlan:
        """The method that is tried first; of a cancellation, the one that was charged."""
        return PaymentPlan(
            provider=self.payment_provider,
            capabilities=self.payment_capabilities,
            tombstone_s=self.payment_tombstone_s,
        )


class BookingInput(SagaContext):
    consent: Consent
    backup_payment: PaymentPlan | None = None
    substitution: Substitution = "never"


class BookingResult(Message):
    booking_id: str
    state: BookingState
    reason: str | None = None
    captured: Money | None = None


class BookingStatus(Message):
    """Answer of the query `state`: what the saga is doing and whom it waits for."""

    booking_id: str
    state: BookingState
    version: int
    waiting_for: str | None
    total: Money
    consent: Consent
    deadline: datetime | None = None
    case_id: str | None = None


class AcceptPrice(Message):
    """Update `accept_price`: the traveller consents to this total, and to no more."""

    total: Money


class CancelRequest(Message):
    """Update `cancel`: the traveller does not want the trip any more."""

    requested_by: str


class Accepted(Message):
    """Result of an update that changed the saga's mind."""

    state: BookingState
    message: str


class Resolution(Message):
    """Update `resolve`: what an operator decided about a review case."""

    case_id: str
    action: Literal["retry", "confirmed_at_vendor", "settled_by_hand", "write_off"]
    """`retry`: try by machine again. `confirmed_at_vendor`: the effect exists, here is the vendor's reference. `settled_by_hand`:
    no effect is left. `write_off`: an effect may be left; we bear it."""
    reference: str | None = None
    """Which of the case's effects; needed where there are several, except for `retry`, which is for all."""
    provider_reference: str | None = None
    operator: str
    note: str


class ItemStep(Message):
    """Input of every activity that acts on one item."""

    booking_id: str
    item_no: int
    generation: int
    correlation_id: str
    retry_initial_s: float
    provider_reference: str | None = None
    """From an operator, who found out what no look-up could."""


class SubstituteWanted(ItemStep):
    """Input of the activity that looks for an equal offer of another supplier; `generation` is the refused one's."""

    limit: Money
    reason: str
    """Why the supplier refused: a code."""
    step_timeout_s: float


class Substitute(Message):
    """What takes the refused offer's place; None: nobody else has it for no more."""

    plan: ItemPlan | None


class StepResult(Message):
    """How a step on one item ended."""

    outcome: Outcome


class Undone(Message):
    """Nothing of the step is left at the vendor; `penalty` is what the vendor keeps."""

    kind: Literal["undone"] = "undone"
    penalty: Money | None = None


class NothingFound(Message):
    """The vendor has not seen our reference, yet. A tombstone stands; look again."""

    kind: Literal["nothing_found"] = "nothing_found"


class UndoResult(Message):
    result: Undone | NothingFound = Field(discriminator="kind")

    def nothing_left(self) -> bool:
        return isinstance(self.result, Undone)


class ItemPrice(Message):
    """Result of the price check of one item."""

    item_no: int
    price: Money | None
    """None: sold out or expired."""
    expires_at: datetime | None = None
    reason: str | None = None


class OutstandingEffect(Message):
    """Something at a vendor that nobody could undo or find out about; a review case lists these."""

    vendor: str
    step: str
    reference: str
    provider_reference: str | None = None
    amount: Money | None = None
    problem: str


class StateChange(Message):
    """Input of the local activity that records a state, its event and what goes with it in one transaction."""

    booking_id: str
    version: int
    state: BookingState
    reason: str | None = None
    waiting_for: str | None = None
    total: Money | None = None
    consent_limit: Money | None = None
    fee: Money | None = None
    """Cancellation fee that was disclosed and is kept."""
    case: "ReviewCase | None" = None
    close_case: Resolution | None = None


class CaseOpened(Message):
    """Input of the local activity that opens a case while the booking stays as it is."""

    booking_id: str
    case: "ReviewCase"


class ReviewCase(Message):
    case_id: str
    workflow_id: str
    """Which workflow waits for its resolution."""
    reason: str
    effects: list[OutstandingEffect]


StateChange.model_rebuild()
CaseOpened.model_rebuild()
