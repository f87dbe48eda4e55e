"""Endings of the demo's trips with everything as it must be, for tests to spoil."""

from datetime import UTC, datetime, timedelta

from sandbox.demo_answers import (
    AttemptSeen,
    BookingSeen,
    CaseDetail,
    Effect,
    EventSeen,
    FaultSeen,
    FeeQuoted,
    ItemSeen,
    NextAction,
    OutstandingSeen,
    PaymentNamed,
    PaymentSeen,
    Replaced,
    Resolved,
    StatementLine,
    StatementSeen,
    StatementTotals,
    VendorBooks,
    VendorPayment,
    VendorReservation,
)
from sandbox.demo_report import DemoReport, InvariantReport, report_of
from sandbox.demo_run import AskedPayer, Ending, KilledAt, Run
from sandbox.demo_scenarios import SCENARIOS, Scenario
from sandbox.demo_searches import DOWN, SEARCHES, SLOW, SUPPLIERS, Arrival, SearchReport
from schema.money import Money
from schema.references import booking_id_for, item_reference, payment_id_for
from schema.states import CONFIRMED_STATES, BookingState, ItemState, PaymentState
from tests.demo.flight_endings import disruption_of, given_up, rebooking, trip_of

SUPPLIER = "supplier"
PRICES = {"flight": 30_000, "hotel": 20_000, "car": 10_000}
FEE = 7_700
REASONS = {BookingState.FAILED: "sold_out", BookingState.CANCELLED: "cancelled_by_traveller"}
ITEMS_END = {
    BookingState.CONFIRMED: ItemState.CONFIRMED,
    BookingState.PARTIALLY_CONFIRMED: ItemState.CONFIRMED,
    BookingState.FAILED: ItemState.RELEASED,
    BookingState.CANCELLED: ItemState.CANCELLED,
}
PAYMENTS_END = {
    BookingState.CONFIRMED: PaymentState.CAPTURED,
    BookingState.PARTIALLY_CONFIRMED: PaymentState.PARTIALLY_REFUNDED,
    BookingState.FAILED: PaymentState.VOIDED,
    BookingState.CANCELLED: PaymentState.PARTIALLY_REFUNDED,
}
START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def euros(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="EUR")


def scenario_named(name: str) -> Scenario:
    return next(scenario for scenario in SCENARIOS if scenario.name == name)


def good(name: str) -> tuple[Run, Ending]:
    """A run and its ending with everything as it must be."""
    scenario = scenario_named(name)
    booking_id = booking_id_for("demo", scenario.key)
    seen = sum(PRICES.values())
    asked = seen + 5_000 if name == "price-rise" else seen
    prices = {**PRICES, "flight": PRICES["flight"] + asked - seen}
    swapped = [Replaced(supplier="another", price=euros(PRICES["flight"]), reason="sold_out")]
    replaces = {"flight": swapped} if name == "failover" else {}
    booking = BookingSeen(
        booking_id=booking_id,
        state=scenario.ends,
        reason=REASONS.get(scenario.ends),
        waiting_for=None,
        total=euros(asked),
        consent_limit=euros(asked),
        items=[
            ItemSeen(
                item_no=number,
                kind=kind,
                supplier=SUPPLIER,
                summary=kind,
                state=ITEMS_END[scenario.ends],
                price=euros(prices[kind]),
                replaces=replaces.get(kind, []),
            )
            for number, kind in enumerate(PRICES, 1)
        ],
        payments=[PaymentNamed(payment_id=payment_id_for(booking_id, 0), state=PAYMENTS_END[scenario.ends])],
    )
    run = Run(scenario, booking_id=booking_id, state=scenario.ends, seen_total=euros(seen), started_s=1.0, ended_s=3.5)
    as_it_went(run, booking)
    kinds = ["flight", "hotel"] if scenario.ends == BookingState.FAILED else list(PRICES)
    status = "confirmed" if scenario.ends in CONFIRMED_STATES else "cancelled"
    ending = Ending(
        booking=booking,
        payments=[payment_of(scenario, booking, asked)],
        events=events_of(scenario),
        books=VendorBooks(
            reservations=[
                reservation(booking_id, kind, status, prices[kind], generation=len(replaces.get(kind, [])))
                for kind in kinds
            ],
            payments=[vendor_payment_of(scenario, booking, asked)],
        ),
        ledger=ledger_of(scenario, kinds),
        cases=[],
        fault=run.mended or fault_of(scenario, fired=1),
        statement=statement_of(scenario, asked),
        trip=trip_of(scenario, booking_id) if scenario.goes_on else None,
    )
    return run, rebooked(ending) if scenario.act == "cancels_flight" else ending


def rebooked(ending: Ending) -> Ending:
    """Its flight is given up for another one."""
    price, left = euros(PRICES["flight"]), euros(sum(PRICES.values()) - PRICES["flight"])
    items = [
        item.model_copy(update={"state": ItemState.CANCELLED}) if item.kind == "flight" else item
        for item in ending.booking.items
    ]
    orders = [
        one.model_copy(update={"status": "cancelled"}) if one.kind == "flight" else one
        for one in ending.books.reservations
    ]
    paid = [one.model_copy(update={"refunded_minor": price.amount_minor}) for one in ending.books.payments]
    return changed(
        ending,
        booking=ending.booking.model_copy(update={"items": items, "total": left}),
        payments=[one.model_copy(update={"refunded": price}) for one in ending.payments],
        books=VendorBooks(reservations=orders, payments=paid),
        ledger=[*(one for one in ending.ledger if not one.type.endswith(".cancelled")), *given_up()],
        rebooking=rebooking(),
    )


def as_it_went(run: Run, booking: BookingSeen) -> None:
    """What the acts note on the way."""
    seen = sum(PRICES.values())
    act = run.scenario.act
    if act == "accepts_price":
        before = {"state": BookingState.PRICE_CHANGED, "consent_limit": euros(seen + 1_000)}
        run.waited_with = booking.model_copy(update=before)
    elif act == "kills_worker":
        run.killed_at = KilledAt(BookingState.RESERVING, ("payment.authorised", "flight.held"), worker_starts=2)
    elif act in ("pays_at_paypal", "authenticates_card"):
        run.asked_payer = asked_payer(run.scenario, booking)
    elif act == "cancels":
        run.quoted = FeeQuoted(fee=euros(FEE), refund=euros(seen - FEE), token="t" * 16)
    elif act == "cancels_flight":
        run.offered, run.rebooking_id = disruption_of(run.scenario, closed=False), rebooking().booking.booking_id
    elif act == "asks_desk":
        run.case = case_of(booking)
        resolution = Resolved(action="retry", operator="operator", note="seen there")
        run.resolved = run.case.model_copy(update={"resolution": resolution})
        run.mended = fault_of(run.scenario, fired=9)


def asked_payer(scenario: Scenario, booking: BookingSeen) -> AskedPayer:
    at_paypal = scenario.provider == "paypal"
    action = NextAction(
        provider=scenario.provider,
        client_secret=None if at_paypal else "pi_1_secret_2",
        approval_url="http://paypal/checkoutnow?token=1" if at_paypal else None,
    )
    waiting = booking.model_copy(update={"state": BookingState.AWAITING_PAYMENT})
    return AskedPayer(waiting, action, ("payment.action_required",))


def case_of(booking: BookingSeen) -> CaseDetail:
    outstanding = OutstandingSeen(
        vendor="stripe",
        step="payment",
        reference=booking.payments[0].payment_id,
        provider_reference="pi_1",
        amount=booking.total,
        problem="nobody can say",
    )
    return CaseDetail(
        case_id="case_1",
        booking_id=booking.booking_id,
        reason="the capture is in doubt",
        waiting_for="operator",
        effects=[outstanding],
        attempts=[AttemptSeen(step="capture", vendor="stripe", generation=0, status="unknown", reason="garbage")],
        resolution=None,
    )


def money_moved(scenario: Scenario, total: int) -> tuple[int, int]:
    """Taken and given back."""
    taken = 0 if scenario.ends == BookingState.FAILED else total
    return taken, total - FEE if scenario.ends == BookingState.CANCELLED else 0


def payment_of(scenario: Scenario, booking: BookingSeen, total: int) -> PaymentSeen:
    taken, given_back = money_moved(scenario, total)
    return PaymentSeen(
        **booking.payments[0].model_dump(),
        authorised=euros(total),
        captured=euros(taken),
        refunded=euros(given_back),
    )


def vendor_payment_of(scenario: Scenario, booking: BookingSeen, total: int) -> VendorPayment:
    taken, given_back = money_moved(scenario, total)
    return VendorPayment(
        vendor=scenario.provider,
        object_id="pi_1",
        metadata={"payment_id": booking.payments[0].payment_id},
        status="succeeded" if taken else "canceled",
        authorised_minor=total,
        captured_minor=taken,
        refunded_minor=given_back,
        currency="EUR",
        authorisation_open=False,
    )


def events_of(scenario: Scenario) -> list[EventSeen]:
    """The first and, of a cancelled trip, those of its end."""
    last = [BookingState.REFUND_PENDING, BookingState.CANCELLED]
    states = [BookingState.PENDING, *(last if scenario.ends == BookingState.CANCELLED else [])]
    return [
        EventSeen(state=state, data={}, created_at=START + timedelta(seconds=20 * number))
        for number, state in enumerate(states)
    ]


def ledger_of(scenario: Scenario, kinds: list[str]) -> list[Effect]:
    """Everything is held and cancelled, whatever becomes of it, and the money as it must go."""
    items = [
        effect(f"{kind}.{what}", seconds)
        for seconds, (kind, what) in enumerate((kind, what) for what in ("held", "cancelled") for kind in kinds)
    ]
    taken, given_back = money_moved(scenario, sum(PRICES.values()))
    money = ["payment.captured"] * bool(taken) + ["payment.refunded"] * bool(given_back)
    return items + [effect(what, 10 + seconds) for seconds, what in enumerate(money)]


def statement_of(scenario: Scenario, total: int) -> StatementSeen:
    taken, given_back = money_moved(scenario, total)
    amounts = {
        "authorised": total,
        **({"captured": taken} if taken else {"released": total}),
        **({"refunded": given_back} if given_back else {}),
    }
    return StatementSeen(
        entries=[
            StatementLine(effect=what, meaning=what, amount=euros(amount), at=START) for what, amount in amounts.items()
        ],
        totals=[
            StatementTotals(
                captured=euros(taken),
                refunded=euros(given_back),
                fees_kept=euros(taken - given_back if given_back else 0),
                balance=euros(0),
            )
        ],
    )


def fault_of(scenario: Scenario, *, fired: int) -> FaultSeen | None:
    if scenario.fault is None:
        return None
    return FaultSeen(id="fault_1", action=str(scenario.fault["action"]), path=None, matched=fired, fired=fired)


def reservation(booking_id: str, kind: str, status: str, price_minor: int, generation: int = 0) -> VendorReservation:
    return VendorReservation(
        vendor=SUPPLIER,
        kind=kind,
        object_id=f"order of {kind}",
        metadata={"reference": item_reference(booking_id, list(PRICES).index(kind) + 1, generation)},
        status=status,
        price_minor=price_minor,
        currency="EUR",
    )


def effect(kind: str, seconds: float) -> Effect:
    at = START + timedelta(seconds=seconds)
    return Effect(at=at, vendor="supplier", type=kind, object_id="1", amount_minor=None, currency=None)


def arrived(name: str) -> list[Arrival]:
    """A search as it must go."""
    broken = {DOWN: "error", SLOW: "timeout"} if name == "degraded" else {}
    order = sorted(SUPPLIERS, key=lambda supplier: (supplier == SLOW, supplier))
    return [
        Arrival(
            supplier=supplier,
            kind="flight",
            outcome=broken.get(supplier, "cached" if name == "cached" else "ok"),
            offers=0 if supplier in broken else 3,
            after_s=0.1,
        )
        for supplier in order
    ]


def searched(name: str, arrivals: list[Arrival]) -> SearchReport:
    search = next(search for search in SEARCHES if search.name == name)
    return SearchReport(name=name, title=search.title, arrivals=arrivals, expectations=search.expected(arrivals))


def invariant(**changes) -> InvariantReport:
    return InvariantReport(**{"number": 1, "title": "something", "checked": 5, "violations": [], **changes})


def report_with(name: str | None = None, run: Run | None = None, ending: Ending | None = None, **changes) -> DemoReport:
    """All scenarios as they must be, but for the one that is given."""
    played = {scenario.name: good(scenario.name) for scenario in SCENARIOS}
    reports = [
        report_of(*(played[scenario.name] if scenario.name != name else (run, ending)), "http://ui")
        for scenario in SCENARIOS
    ]
    searches = [searched(search.name, arrived(search.name)) for search in SEARCHES]
    parts = {"searches": searches, "scenarios": reports, "invariants": [invariant()], "seconds": 30}
    return DemoReport(**{**parts, **changes})


def changed(ending: Ending, **changes) -> Ending:
    return Ending(**{**{name: getattr(ending, name) for name in Ending.__dataclass_fields__}, **changes})
