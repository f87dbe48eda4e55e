"""The reconciliation capability: workflow ids, what is compared with what, what can be found, and the messages."""

from datetime import datetime
from typing import Literal

from schema.bookings import ItemPlan, OutstandingEffect, PaymentPlan, SagaContext, SagaPolicy
from schema.model import Message
from schema.money import Money
from schema.states import BookingState

RECONCILIATION_WORKFLOW = "ReconciliationWorkflow"
REPAIR_WORKFLOW = "RepairWorkflow"
SCHEDULE_ID = "reconciliation"
CORRELATION_ID = "reconciliation"
"""Of every call to a vendor that a run or a repair makes by itself."""


def repair_workflow_id_for(booking_id: str) -> str:
    """Must merge every run that finds something of a booking: one repair at a time."""
    return f"repair-{booking_id}"


Books = Literal["payments", "refunds", "disputes", "reservations", "settled", "lookups", "unsettled"]
"""`payments`, `refunds`, `disputes`, `reservations`: a vendor's own list. `settled`, `unsettled`: our bookings, by themselves.
`lookups`: our bookings at vendors that show no list, asked one by one."""

FindingKind = Literal[
    "paid_without_booking",
    "booked_without_payment",
    "open_authorisation",
    "amount_differs",
    "refund_by_hand",
    "refund_unfinished",
    "disputed",
    "ledger_incomplete",
    "reservation_without_owner",
    "reservation_missing",
    "workflow_gone",
]
"""`open_authorisation`: reserved for a trip that does not want it. `reservation_missing`: a trip relies on what the supplier does not
have. `workflow_gone`: not settled, and nobody works on it."""

Outcome = Literal["repaired", "case", "waiting", "settled", "unfounded"]
"""`case`: it waits for an operator. `waiting`: somebody works on the booking, it is looked at again. `settled`: an operator decided.
`unfounded`: at a second look it was gone."""


class Finding(Message):
    """One difference between a vendor's books and ours. The same one is found once, however many runs see it, until it is over."""

    kind: FindingKind
    vendor: str
    object_id: str
    """The vendor's; of `workflow_gone` the workflow's."""
    booking_id: str
    reference: str | None = None
    """Ours, as the vendor keeps it: a payment's id, an item's reference."""


class Stream(Message):
    """One list to read from its watermark on."""

    books: Books
    vendor: str | None = None
    """None: our own."""

    @property
    def name(self) -> str:
        return self.books if self.vendor is None else f"{self.vendor}:{self.books}"


class StreamReport(Message):
    """How far one list was read, and what was on it."""

    stream: Stream
    since: datetime
    pages: int = 0
    records: int = 0
    foreign: int = 0
    """Without our reference: somebody else's business under the same account."""
    findings: int = 0
    """Suspicions that no earlier run had; a second look confirms them or not."""
    unchecked: dict[str, int] = {}
    """Why records could not be checked, and how many."""
    again_from: datetime | None = None
    """From when on the next run asks again, because questions were left for it, or a vendor was away."""
    problem: str | None = None
    """Why it was not read to its end; the next run begins where this one did."""


def earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    """Of two times that may be missing."""
    return min((each for each in (one, other) if each is not None), default=None)


class ReconciliationPolicy(Message):
    """How far back runs look, and how much they may ask."""

    overlap_s: float = 3600
    """Every run reads this much again: a list may show late what it dates early."""
    first_run_s: float = 30 * 24 * 3600
    pages_at_once: int = 50
    """Of one list in one activity."""
    lookups: int = 500
    """Questions that one run asks vendors without lists; each counts against their quotas."""
    page_size: int = 200
    """Of our own bookings."""


class ReconciliationInput(Message):
    """None of it, as the schedule starts it: by default a run begins. The rest is how a long run goes on under a new history."""

    started_by: str = "schedule"
    streams: list[StreamReport] = []
    done: int = 0
    """How many of the streams are read."""
    cursor: str | None = None


class BeginRun(Message):
    run_id: str
    started_by: str


class RunPlan(Message):
    streams: list[StreamReport]


class ReadPages(Message):
    """Input of the activity that reads some pages of one list."""

    run_id: str
    stream: Stream
    since: datetime
    cursor: str | None
    asked: int = 0
    """Look-ups that the run has asked so far."""


class PagesRead(Message):
    """What was on them, and where to go on; `cursor` None: at the end."""

    report: StreamReport
    cursor: str | None


class EndRun(Message):
    run_id: str
    streams: list[StreamReport]


class RunResult(Message):
    run_id: str
    findings: int
    repairs: int
    """Repairs that were begun, or begun again."""


class RepairInput(Message):
    booking_id: str
    policy: SagaPolicy


class ExamineBooking(Message):
    """Input of the second look."""

    booking_id: str
    first: bool
    """Nothing was repaired yet: what is not there was never there."""
    correlation_id: str
    retry_initial_s: float


class RefundLeft(Message):
    """Money to give back under this key."""

    amount: Money
    reason_key: str
    generation: int


class PaymentLeft(Message):
    """A payment to let go of; with `refund`, what to give back of it."""

    payment_id: str
    generation: int
    amount: Money
    via: PaymentPlan
    refund: RefundLeft | None = None


class ItemLeft(Message):
    """A reservation to undo."""

    plan: ItemPlan
    provider_reference: str | None = None


class StrayAuthorisation(Message):
    """An authorisation that nobody wants, by the provider's id. `payment_id`: ours, if it can be one of ours."""

    booking_id: str
    vendor: str
    provider_reference: str
    payment_id: str | None
    amount: Money
    known: bool
    """The booking is in our books."""
    correlation_id: str
    retry_initial_s: float


Decision = Literal["moving", "aside", "undo", "confirm", "ask"]
"""`moving`: leave it alone. `aside`: it is settled, and keeps its state. The others end a booking that its workflow has left: undo it,
call it confirmed, or ask an operator whether it is undone."""


class Examined(Message):
    """What a second look has shown, once our own books were put right where the vendors' prove it."""

    decision: Decision
    state: BookingState
    version: int
    cases: int = 0
    """How many a repair of this booking has opened before."""
    orphaned_cases: list[str] = []
    """Open, and the workflow that waited for them is gone."""
    ends_as: BookingState = BookingState.FAILED
    going_on: BookingState = BookingState.COMPENSATING
    """What the booking is while an operator's word on its end is carried out."""
    reason: str | None = None
    total: Money | None = None
    context: SagaContext | None = None
    payments: list[PaymentLeft] = []
    items: list[ItemLeft] = []
    authorisations: list[StrayAuthorisation] = []
    for_people: list[OutstandingEffect] = []

    def nothing_left(self) -> bool:
        settled = self.decision == "aside"
        return settled and not (self.payments or self.items or self.authorisations or self.for_people)


class Concluded(Message):
    """Input of the local activity that says what became of a booking's findings: of those about one of `ids`, or of all."""

    booking_id: str
    outcome: Outcome
    ids: list[str] | None = None


class RepairResult(Message):
    booking_id: str
    outcome: Outcome
