"""A small, consistent world of five bookings, made by hand, into which tests plant bugs.

`happy` is confirmed: a flight that was held first, and a car. `failed` was undone and its card let go. `cancelled` was confirmed,
then cancelled for a fee. `stuck` needs an operator for a hotel that nobody can release. `moving` is still being made.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from schema.references import booking_id_for, item_reference, payment_id_for
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
    OurBooks,
)
from store.audited_notices import AuditedNotice
from workers.audit.evidence import (
    Bounds,
    Effect,
    Evidence,
    VendorEvidence,
    VendorNotice,
    VendorPayment,
    VendorReservation,
    WorkflowAnswer,
)

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
CLIENT = "cli_one"
NAMES = ("happy", "failed", "cancelled", "stuck", "moving")
HAPPY, FAILED, CANCELLED, STUCK, MOVING = (booking_id_for(CLIENT, name) for name in NAMES)
EUR = "EUR"
SUPPLIERS = {
    "flight": ("duffel", "duffel"),
    "car": ("duffel_cars", "duffel"),
    "hotel": ("expedia_rapid", "expedia_rapid"),
}
"""By kind: the supplier in our books, the vendor in the sandbox's."""
MADE_AS = {"flight": "flight.ticketed", "car": "car.booked", "hotel": "hotel.booked"}
PERSON = {
    "given_name": "Amelia",
    "family_name": "Earhart",
    "email": "amelia@example.com",
    "phone_number": "+442080160509",
}
BOUNDS = Bounds(late_effect_s=600, still_s=1800, waits_s={"traveller": 1800, "customer": 900, "provider": 864000})


def pay(booking_id: str) -> str:
    return payment_id_for(booking_id, 0)


def intent(booking_id: str) -> str:
    return f"pi_{booking_id[:6]}"


def ref(booking_id: str, number: int) -> str:
    return item_reference(booking_id, number, 0)


def order(booking_id: str, number: int) -> str:
    return f"ord_{booking_id[:6]}_{number}"


@dataclass
class World:
    """Lists that a test may change as it likes before it asks for the evidence."""

    bookings: list[AuditedBooking] = field(default_factory=list)
    items: list[AuditedItem] = field(default_factory=list)
    attempts: list[AuditedAttempt] = field(default_factory=list)
    payments: list[AuditedPayment] = field(default_factory=list)
    refunds: list[AuditedRefund] = field(default_factory=list)
    entries: list[AuditedEntry] = field(default_factory=list)
    events: list[AuditedEvent] = field(default_factory=list)
    cases: list[AuditedCase] = field(default_factory=list)
    notes: list[AuditedNote] = field(default_factory=list)
    notices: list[AuditedNotice] = field(default_factory=list)
    messages: list[VendorNotice] = field(default_factory=list)
    travellers: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)
    reservations: list[VendorReservation] = field(default_factory=list)
    vendor_payments: list[VendorPayment] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    answers: list[WorkflowAnswer] = field(default_factory=list)
    clock: datetime = NOW - timedelta(hours=1)

    def tick(self) -> datetime:
        self.clock += timedelta(seconds=1)
        return self.clock

    def evidence(self, **options: Any) -> Evidence:
        vendors: dict[str, Any] = {
            "reservations": self.reservations,
            "payments": self.vendor_payments,
            "effects": self.effects,
            "notices": self.messages,
        }
        vendors |= {name: options.pop(name) for name in ("effects", "unseen", "seen") if name in options}
        ours = OurBooks(
            bookings=self.bookings,
            items=self.items,
            attempts=self.attempts,
            payments=self.payments,
            refunds=self.refunds,
            entries=self.entries,
            events=self.events,
            cases=self.cases,
            notes=self.notes,
            notices=self.notices,
            travellers=self.travellers,
        )
        return Evidence(NOW, ours, VendorEvidence(**vendors), BOUNDS, answers=self.answers, **options)

    def change(self, rows: str, change: dict[str, Any], **match: Any) -> None:
        """Replaces fields of the rows that match; there must be one."""
        table: list[Any] = getattr(self, rows)
        found = [
            at for at, row in enumerate(table) if all(getattr(row, name) == value for name, value in match.items())
        ]
        assert found, f"no row of {rows} has {match}"
        for at in found:
            table[at] = replace(table[at], **change)

    # ------------------------------------------------------------------ parts of a booking

    def booking(
        self, booking_id: str, states: list[str], *, fee_minor: int = 0, waiting_for: str | None = None
    ) -> None:
        name = next(name for name in NAMES if booking_id_for(CLIENT, name) == booking_id)
        self.bookings.append(
            AuditedBooking(
                booking_id=booking_id,
                client_id=CLIENT,
                idempotency_key=name,
                fingerprint=b"body",
                state=states[-1],
                version=len(states) - 1,
                reason=None,
                waiting_for=waiting_for,
                currency=EUR,
                total_minor=30000,
                consent_limit_minor=31000,
                fee_minor=fee_minor,
                payment_provider="stripe",
                created_at=self.clock,
                updated_at=NOW - timedelta(seconds=60),
            )
        )
        self.events += [AuditedEvent(booking_id, version, state, {}) for version, state in enumerate(states)]
        self.travellers.append((booking_id, [dict(PERSON)]))

    def item(self, booking_id: str, number: int, kind: str, price_minor: int, state: str) -> None:
        self.items.append(
            AuditedItem(
                booking_id=booking_id,
                item_no=number,
                kind=kind,
                supplier=SUPPLIERS[kind][0],
                client_reference=ref(booking_id, number),
                provider_reference=order(booking_id, number),
                state=state,
                required=True,
                currency=EUR,
                price_minor=price_minor,
                words="Grand Hotel Lisboa",
            )
        )

    def attempt(self, booking_id: str, step: str, number: int | None = None, status: str = "confirmed") -> None:
        self.attempts.append(
            AuditedAttempt(
                key=f"{booking_id}:{step}{'' if number is None else f'-{number}'}:0",
                booking_id=booking_id,
                step=step,
                item_no=number,
                generation=0,
                vendor="stripe" if number is None else "duffel",
                reference=pay(booking_id) if number is None else ref(booking_id, number),
                status=status,
                provider_reference=intent(booking_id) if number is None else order(booking_id, number),
                outcome={"kind": status},
                tombstoned_at=None,
                created_at=self.clock,
            )
        )

    def tombstone(self, booking_id: str, step: str) -> None:
        self.change("attempts", {"tombstoned_at": self.tick()}, booking_id=booking_id, step=step)

    def effect(
        self, kind: str, vendor: str, object_id: str, metadata: dict[str, Any], amount_minor: int, **more: Any
    ) -> None:
        at = self.tick()
        self.effects.append(
            Effect(len(self.effects) + 1, at, vendor, kind, object_id, metadata, amount_minor, EUR, more)
        )

    def reserve(self, booking_id: str, number: int, kind: str, price_minor: int, *, hold: bool = False) -> None:
        """Held and confirmed, or booked at once: attempt, effect, line in the supplier's books."""
        vendor = SUPPLIERS[kind][1]
        about = (vendor, order(booking_id, number), {"reference": ref(booking_id, number)}, price_minor)
        if hold:
            self.attempt(booking_id, "hold", number)
            self.effect(f"{kind}.held", *about)
        self.attempt(booking_id, "confirm" if hold else "book", number)
        self.effect(MADE_AS[kind], *about)
        self.reservations.append(
            VendorReservation(
                vendor,
                kind,
                order(booking_id, number),
                ref(booking_id, number),
                "confirmed",
                price_minor,
                EUR,
                self.clock,
            )
        )

    def cancel(self, booking_id: str, number: int, kind: str) -> None:
        for step in ("hold", "book", "confirm"):
            if any(a.booking_id == booking_id and a.step == step and a.item_no == number for a in self.attempts):
                self.change(
                    "attempts", {"tombstoned_at": self.tick()}, booking_id=booking_id, step=step, item_no=number
                )
        self.attempt(booking_id, "undo", number)
        vendor = SUPPLIERS[kind][1]
        self.effect(f"{kind}.cancelled", vendor, order(booking_id, number), {"reference": ref(booking_id, number)}, 0)
        self.change("reservations", {"status": "cancelled"}, object_id=order(booking_id, number))
        self.change("items", {"state": "CANCELLED"}, booking_id=booking_id, item_no=number)

    def post(self, booking_id: str, effect: str, lines: dict[str, int]) -> None:
        key = effect if ":" in effect else f"{pay(booking_id)}:{effect}"
        self.entries += [
            AuditedEntry(key, account, minor, EUR, booking_id, pay(booking_id)) for account, minor in lines.items()
        ]

    def stripe(self, booking_id: str, kind: str, amount_minor: int, key: str, **details: Any) -> None:
        metadata = {"booking_id": booking_id, "payment_id": pay(booking_id), "key": key}
        self.effect(f"payment.{kind}", "stripe", intent(booking_id), metadata, amount_minor, **details)

    def authorise(self, booking_id: str, amount_minor: int) -> None:
        self.attempt(booking_id, "authorise")
        self.stripe(booking_id, "authorised", amount_minor, f"{booking_id}:authorise:0")
        self.payments.append(
            AuditedPayment(
                pay(booking_id),
                booking_id,
                0,
                "stripe",
                "AUTHORISED",
                intent(booking_id),
                EUR,
                amount_minor,
                0,
                0,
                None,
                self.clock,
            )
        )
        self.vendor_payments.append(
            VendorPayment(
                "stripe", intent(booking_id), booking_id, pay(booking_id), "requires_capture", amount_minor, 0, 0, 0, EUR,
                authorisation_open=True, created_at=self.clock,
            )
        )  # fmt: skip
        self.post(booking_id, "authorised", {"authorised:stripe": amount_minor, "authorised:customers": -amount_minor})

    def capture(self, booking_id: str, amount_minor: int, reserved_minor: int) -> None:
        self.attempt(booking_id, "capture")
        self.stripe(booking_id, "captured", amount_minor, f"{booking_id}:capture:0")
        self.change("payments", {"state": "CAPTURED", "captured_minor": amount_minor}, booking_id=booking_id)
        self.change(
            "vendor_payments",
            {"status": "succeeded", "captured_minor": amount_minor, "authorisation_open": False},
            booking_id=booking_id,
        )
        lines = {"receivable:stripe": amount_minor, "customers": -amount_minor}
        released = {"authorised:stripe": -reserved_minor, "authorised:customers": reserved_minor}
        self.post(booking_id, "captured", lines | released)

    def void(self, booking_id: str, reserved_minor: int) -> None:
        self.tombstone(booking_id, "authorise")
        self.attempt(booking_id, "void")
        self.stripe(booking_id, "voided", reserved_minor, f"{booking_id}:authorise:0")
        self.change("payments", {"state": "VOIDED"}, booking_id=booking_id)
        self.change("vendor_payments", {"status": "canceled", "authorisation_open": False}, booking_id=booking_id)
        self.post(booking_id, "voided", {"authorised:stripe": -reserved_minor, "authorised:customers": reserved_minor})

    def refund(self, booking_id: str, amount_minor: int) -> None:
        step = "refund-cancellation-4"
        key = f"{pay(booking_id)}:{step}:0"
        self.attempt(booking_id, step)
        self.change("attempts", {"key": key}, booking_id=booking_id, step=step)
        self.stripe(booking_id, "refunded", amount_minor, key, refund="re_1")
        self.refunds.append(AuditedRefund(key, pay(booking_id), "re_1", "succeeded", amount_minor, EUR))
        self.change("payments", {"state": "PARTIALLY_REFUNDED", "refunded_minor": amount_minor}, booking_id=booking_id)
        self.change("vendor_payments", {"refunded_minor": amount_minor}, booking_id=booking_id)
        self.post(booking_id, key, {"receivable:stripe": -amount_minor, "customers": amount_minor})


FORWARD = ["PENDING", "AWAITING_PAYMENT", "RESERVING"]


def consistent_world() -> World:
    """Nothing is wrong with it."""
    world = World()
    _happy(world)
    _failed(world)
    _cancelled(world)
    _stuck(world)
    world.booking(MOVING, FORWARD)
    world.item(MOVING, 1, "flight", 20000, "PLANNED")
    world.authorise(MOVING, 20000)
    _told(world)
    return world


def _told(world: World) -> None:
    """Of the happy trip by three channels; of a cancelled flight twice, because the first answer was lost."""
    at = world.tick()
    for channel, state in (("live", "sent"), ("email", "delivered"), ("sms", "skipped")):
        told = {"title": "Your trip is confirmed"} if channel == "live" else None
        tries = [{"vendor": "sendgrid", "ended": "confirmed"}] if channel == "email" else []
        world.notices.append(
            AuditedNotice(
                *(f"ntf_{channel}", HAPPY, HAPPY, "booking_confirmed", 3, channel, state, len(tries)),
                *(tries, None, at, at, told),
            )
        )
    lost = [{"vendor": "sendgrid", "ended": "unknown"}, {"vendor": "sendgrid", "ended": "confirmed"}]
    world.notices.append(
        AuditedNotice(
            *("ntf_safety", HAPPY, f"itn_{HAPPY}", "flight_cancelled", 1, "email", "sent", 2),
            *(lost, None, at, at, None),
        )
    )
    for number, notification_id in enumerate(("ntf_email", "ntf_safety", "ntf_safety")):
        world.messages.append(VendorNotice("sendgrid", f"mail_{number}", notification_id, "delivered"))


def _happy(world: World) -> None:
    world.booking(HAPPY, [*FORWARD, "CONFIRMED"])
    world.item(HAPPY, 1, "flight", 20000, "CONFIRMED")
    world.item(HAPPY, 2, "car", 10000, "CONFIRMED")
    world.authorise(HAPPY, 30500)
    world.reserve(HAPPY, 1, "flight", 20000, hold=True)
    world.reserve(HAPPY, 2, "car", 10000)
    world.capture(HAPPY, 30000, 30500)
    text = f'{{"booking_id":"{HAPPY}","state":"CONFIRMED"}}'
    world.answers.append(WorkflowAnswer(f"booking-{HAPPY}", HAPPY, False, "CONFIRMED", 30000, texts=(text,)))


def _failed(world: World) -> None:
    world.booking(FAILED, [*FORWARD, "COMPENSATING", "FAILED"])
    world.item(FAILED, 1, "flight", 20000, "CONFIRMED")
    world.authorise(FAILED, 20000)
    world.reserve(FAILED, 1, "flight", 20000)
    world.cancel(FAILED, 1, "flight")
    world.void(FAILED, 20000)


def _cancelled(world: World) -> None:
    world.booking(CANCELLED, [*FORWARD, "CONFIRMED", "CANCELLING", "REFUND_PENDING", "CANCELLED"], fee_minor=2500)
    world.item(CANCELLED, 1, "hotel", 15000, "CONFIRMED")
    world.authorise(CANCELLED, 15000)
    world.reserve(CANCELLED, 1, "hotel", 15000)
    world.capture(CANCELLED, 15000, 15000)
    world.cancel(CANCELLED, 1, "hotel")
    world.refund(CANCELLED, 12500)
    world.answers.append(WorkflowAnswer(f"booking-{CANCELLED}", CANCELLED, False, "CONFIRMED", 15000))
    world.answers.append(WorkflowAnswer(f"cancel-{CANCELLED}-3", CANCELLED, False, "CANCELLED", fee_minor=2500))


def _stuck(world: World) -> None:
    world.booking(STUCK, [*FORWARD, "COMPENSATING", "NEEDS_OPERATOR"], waiting_for="operator: could not undo: hotel")
    world.item(STUCK, 1, "hotel", 9000, "CONFIRMED")
    world.authorise(STUCK, 9000)
    world.reserve(STUCK, 1, "hotel", 9000)
    world.tombstone(STUCK, "book")
    world.attempt(STUCK, "undo", 1, "calling")
    world.void(STUCK, 9000)
    effect = {"vendor": "expedia_rapid", "step": "hotel", "reference": f"{STUCK}/1", "problem": "the supplier is away"}
    world.cases.append(AuditedCase(f"case_{STUCK}", STUCK, "could not undo: hotel", [effect], None, None))
    world.notes.append(AuditedNote(STUCK, f"case_{STUCK}", "desk-1", "asked the hotel by telephone"))
    world.notes.append(AuditedNote(None, "dl_1", "desk-2", "the vendor sends it again"))
