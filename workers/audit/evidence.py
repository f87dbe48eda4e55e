"""What an audit has in front of it: our books, the vendors' books, the workflows' answers, sorted by booking.

Values only: nothing is read and nothing is judged here, so that a test can plant any bug it likes.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from schema.references import booking_of_reference, checked_booking_id
from schema.states import CONFIRMED_STATES, FINAL_STATES, SETTLED_STATES
from store.audit import (
    AuditedAttempt,
    AuditedBooking,
    AuditedCase,
    AuditedEntry,
    AuditedEvent,
    AuditedItem,
    AuditedNote,
    AuditedPayment,
    AuditedRefund,
    Json,
    OurBooks,
)
from store.audited_notices import AuditedNotice

CREATING_STEPS = frozenset({"hold", "book", "confirm"})
"""Steps that make something at a supplier, as attempts name them."""


@dataclass(frozen=True, slots=True)
class VendorReservation:
    """One line of a supplier's books."""

    vendor: str
    kind: str
    object_id: str
    reference: str | None
    """Ours, as the supplier keeps it."""
    status: str
    """held, confirmed, cancelled or expired; a gateway also says pending or failed."""
    price_minor: int | None
    currency: str | None
    created_at: datetime | None = None

    @property
    def live(self) -> bool:
        return self.status in ("held", "confirmed")


@dataclass(frozen=True, slots=True)
class VendorPayment:
    """One line of a payment provider's books."""

    vendor: str
    object_id: str
    booking_id: str | None
    payment_id: str | None
    status: str
    authorised_minor: int
    captured_minor: int
    refunded_minor: int
    refund_pending_minor: int
    currency: str
    authorisation_open: bool
    created_at: datetime | None = None

    @property
    def kept_minor(self) -> int:
        """What the traveller has paid and not got back; a pending refund has not arrived."""
        return self.captured_minor - self.refunded_minor


@dataclass(frozen=True, slots=True)
class VendorNotice:
    """One message that a vendor has taken for a traveller."""

    vendor: str
    object_id: str
    notification_id: str | None
    """Ours, as the vendor keeps it."""
    status: str


@dataclass(frozen=True, slots=True)
class Effect:
    """One entry of a vendor's ledger, in the order in which the vendor made them."""

    seq: int
    at: datetime
    vendor: str
    type: str
    object_id: str
    metadata: Json
    amount_minor: int = 0
    currency: str | None = None
    details: Json = field(default_factory=dict[str, object])

    def told(self, name: str) -> str | None:
        """An entry of what the client attached to the object."""
        value = self.metadata.get(name)
        return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Unseen:
    """Something a vendor offers no way to look at, or would not show."""

    booking_id: str
    vendor: str
    why: str
    item_no: int | None = None
    """None: the payment."""


@dataclass(frozen=True)
class VendorEvidence:
    """The vendors' books. `effects` is None where the vendors keep no ledger that we may read."""

    reservations: Sequence[VendorReservation] = ()
    payments: Sequence[VendorPayment] = ()
    effects: Sequence[Effect] | None = ()
    notices: Sequence[VendorNotice] | None = None
    """None: those who take messages show us no list of them."""
    unseen: Sequence[Unseen] = ()
    seen: frozenset[str] | None = None
    """Bookings whose vendors were asked; None: all of them, and whatever else the vendors have."""


@dataclass(frozen=True, slots=True)
class WorkflowAnswer:
    """How one workflow of a booking ended, and every readable text of its history."""

    workflow_id: str
    booking_id: str
    running: bool
    state: str | None = None
    """What it answered; None while it runs, and if it failed."""
    captured_minor: int | None = None
    fee_minor: int | None = None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long what is under way may take before it counts as wrong."""

    late_effect_s: float
    """After its tombstone an effect may still land, and be looked for and undone."""
    still_s: float
    """A booking that nobody waits for moves at least this often."""
    waits_s: dict[str, float] = field(default_factory=dict[str, float])
    """By whom a booking waits for; an operator has no deadline."""


@dataclass(slots=True)
class Dossier:
    """Everything about one booking."""

    booking: AuditedBooking
    taken_at: datetime
    bounds: Bounds
    in_motion: bool = False
    """It changed while the evidence was taken, so that ours and the vendors' may tell of different moments."""
    asked: bool = True
    """The vendors were asked about it."""
    items: dict[int, AuditedItem] = field(default_factory=dict[int, AuditedItem])
    attempts: list[AuditedAttempt] = field(default_factory=list[AuditedAttempt])
    payments: dict[str, AuditedPayment] = field(default_factory=dict[str, AuditedPayment])
    refunds: list[AuditedRefund] = field(default_factory=list[AuditedRefund])
    entries: list[AuditedEntry] = field(default_factory=list[AuditedEntry])
    events: list[AuditedEvent] = field(default_factory=list[AuditedEvent])
    cases: list[AuditedCase] = field(default_factory=list[AuditedCase])
    notices: list[AuditedNotice] = field(default_factory=list[AuditedNotice])
    notes: list[AuditedNote] = field(default_factory=list[AuditedNote])
    travellers: list[Json] = field(default_factory=list[Json])
    reservations: list[tuple[int, VendorReservation]] = field(default_factory=list[tuple[int, VendorReservation]])
    vendor_payments: list[VendorPayment] = field(default_factory=list[VendorPayment])
    effects: list[Effect] = field(default_factory=list[Effect])
    unseen: dict[int | None, str] = field(default_factory=dict[int | None, str])
    answers: list[WorkflowAnswer] = field(default_factory=list[WorkflowAnswer])

    @property
    def booking_id(self) -> str:
        return self.booking.booking_id

    @property
    def quiet(self) -> bool:
        """Settled, and not changed while we looked: ours and the vendors' books must agree."""
        return self.booking.state in SETTLED_STATES and not self.in_motion

    @property
    def confirmed(self) -> bool:
        return self.booking.state in CONFIRMED_STATES

    @property
    def final(self) -> bool:
        return self.booking.state in FINAL_STATES

    @property
    def money_seen(self) -> bool:
        return self.asked and None not in self.unseen

    def item_seen(self, item_no: int) -> bool:
        return self.asked and item_no not in self.unseen

    def reservations_of(self, item_no: int) -> list[VendorReservation]:
        return [reservation for number, reservation in self.reservations if number == item_no]

    def live(self) -> Iterator[tuple[int, VendorReservation]]:
        """What suppliers hold or have confirmed for this booking."""
        return ((number, reservation) for number, reservation in self.reservations if reservation.live)

    def tombstoned_at(self, reference: str | None) -> datetime | None:
        """Since when nobody may make what has this reference any more: an item as of one generation."""
        return min(
            (
                attempt.tombstoned_at
                for attempt in self.attempts
                if attempt.reference == reference
                and attempt.step in CREATING_STEPS
                and attempt.tombstoned_at is not None
            ),
            default=None,
        )

    def payment_tombstoned_at(self, payment_id: str) -> datetime | None:
        """Since when nobody may authorise this payment any more."""
        for attempt in self.attempts:
            if attempt.step == "authorise" and attempt.reference == payment_id and attempt.tombstoned_at is not None:
                return attempt.tombstoned_at
        return None

    def may_still_land(self, tombstoned_at: datetime | None) -> bool:
        """A confirmed booking goes on looking for late effects of what it did without; a final one has finished."""
        if tombstoned_at is None or not self.confirmed:
            return False
        return self.taken_at < tombstoned_at + timedelta(seconds=self.bounds.late_effect_s)

    def item_name(self, item_no: int) -> str:
        """How a review case names the effect of an item."""
        return f"{self.booking_id}/{item_no}"

    def named_in_open_cases(self) -> set[str]:
        return {name for case in self.cases if case.resolved_at is None for name in _names(case)}

    def written_off(self, name: str) -> bool:
        """An operator has recorded that an effect of this name may be left, and that we bear it."""
        return any(_decision(case, name) == "write_off" for case in self.cases)

    def operator_decided(self, name: str) -> bool:
        """An operator has recorded what became of the effect of this name; to try again decides nothing."""
        return any(_decision(case, name) not in (None, "retry") for case in self.cases)


@dataclass(frozen=True)
class Evidence:
    """All of it. `answers` is None where no workflow was looked at."""

    taken_at: datetime
    ours: OurBooks
    vendors: VendorEvidence
    bounds: Bounds
    answers: Sequence[WorkflowAnswer] | None = None
    in_motion: frozenset[str] = frozenset()
    vendors_read_at: datetime | None = None
    """Our books were read after it; None: both at once."""
    whole: bool = True
    """Every booking is in it: what a vendor has beyond them is nobody's."""
    notes: Sequence[str] = ()
    """What could not be looked at, in words."""

    @cached_property
    def by_booking(self) -> dict[str, Dossier]:
        seen = self.vendors.seen
        dossiers = {
            booking.booking_id: Dossier(
                booking,
                self.taken_at,
                self.bounds,
                in_motion=booking.booking_id in self.in_motion,
                asked=seen is None or booking.booking_id in seen,
            )
            for booking in self.ours.bookings
        }
        self._sort_ours(dossiers)
        for number, reservation in self._placed():
            if (dossier := dossiers.get(number[0])) is not None:
                dossier.reservations.append((number[1], reservation))
        for payment in self.vendors.payments:
            if payment.booking_id in dossiers:
                dossiers[payment.booking_id].vendor_payments.append(payment)
        for effect in self.vendors.effects or ():
            booking_id = effect.told("booking_id") or place_of(effect.told("reference"))[0]
            if booking_id in dossiers:
                dossiers[booking_id].effects.append(effect)
        for unseen in self.vendors.unseen:
            if unseen.booking_id in dossiers:
                dossiers[unseen.booking_id].unseen[unseen.item_no] = unseen.why
        for answer in self.answers or ():
            if answer.booking_id in dossiers:
                dossiers[answer.booking_id].answers.append(answer)
        return dossiers

    @property
    def dossiers(self) -> Iterable[Dossier]:
        return self.by_booking.values()

    def nobodys_reservations(self) -> Iterator[VendorReservation]:
        """Reservations of bookings that are not in our books at all."""
        if self.whole and self.vendors.seen is None:
            for place, reservation in self._placed():
                if place[0] not in self.by_booking:
                    yield reservation

    def nobodys_notes(self) -> Iterator[AuditedNote]:
        """What operators wrote about what belongs to no booking in our books."""
        return (note for note in self.ours.notes if note.booking_id not in self.by_booking)

    def nobodys_payments(self) -> Iterator[VendorPayment]:
        """Payments of bookings that are not in our books at all."""
        if self.whole and self.vendors.seen is None:
            for payment in self.vendors.payments:
                if payment.booking_id not in self.by_booking:
                    yield payment

    def _placed(self) -> Iterator[tuple[tuple[str, int], VendorReservation]]:
        for reservation in self.vendors.reservations:
            yield place_of(reservation.reference), reservation

    def _sort_ours(self, dossiers: dict[str, Dossier]) -> None:
        ours = self.ours
        for item in ours.items:
            dossiers[item.booking_id].items[item.item_no] = item
        for attempt in ours.attempts:
            dossiers[attempt.booking_id].attempts.append(attempt)
        owner: dict[str, str] = defaultdict(str)
        for payment in ours.payments:
            owner[payment.payment_id] = payment.booking_id
            dossiers[payment.booking_id].payments[payment.payment_id] = payment
        for refund in ours.refunds:
            dossiers[owner[refund.payment_id]].refunds.append(refund)
        for entry in ours.entries:
            if entry.booking_id in dossiers:
                dossiers[entry.booking_id].entries.append(entry)
        for event in ours.events:
            dossiers[event.booking_id].events.append(event)
        for notice in ours.notices:
            if notice.booking_id in dossiers:
                dossiers[notice.booking_id].notices.append(notice)
        for booking_id, people in ours.travellers:
            dossiers[booking_id].travellers = people
        self._sort_desk(dossiers)

    def _sort_desk(self, dossiers: dict[str, Dossier]) -> None:
        """What a vendor has of a booking that is not in our books can have a case and notes, and is in no dossier."""
        for case in self.ours.cases:
            if case.booking_id in dossiers:
                dossiers[case.booking_id].cases.append(case)
        for note in self.ours.notes:
            if note.booking_id in dossiers:
                dossiers[note.booking_id].notes.append(note)


def place_of(reference: str | None) -> tuple[str, int]:
    """Booking and item of one of our references; an empty booking id for anything else."""
    try:
        return booking_of_reference(reference or ""), int((reference or "")[26:27])
    except ValueError:
        return "", 0


def is_booking_id(value: str | None) -> bool:
    """Whether it can be the id of a booking of ours."""
    try:
        checked_booking_id(value or "")
    except ValueError:
        return False
    return True


def _names(case: AuditedCase) -> set[str]:
    return {str(effect.get("reference")) for effect in case.effects}


def _decision(case: AuditedCase, name: str) -> str | None:
    """What was decided about the effect of this name; a decision that names none is about all of its case."""
    resolution = case.resolution
    if resolution is None or name not in _names(case) or resolution.get("reference") not in (None, name):
        return None
    return str(resolution.get("action"))
